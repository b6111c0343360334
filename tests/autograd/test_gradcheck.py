"""gradcheck accepts right derivatives and finds wrong ones."""

import pytest

import wengert as torch
from wengert.autograd import Function, gradcheck, gradgradcheck
from wengert.autograd.gradcheck import GradcheckError


def real(*shape):
    torch.manual_seed(0)
    return torch.randn(*shape, dtype=torch.float64).requires_grad_()


def complex_numbers():
    return torch.tensor([1 + 2j, -0.5 + 0.3j], dtype=torch.complex128, requires_grad=True)


class Wrong(Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 3

    @staticmethod
    def jvp(ctx, t):
        return t * 3


FUNCTIONS = [torch.sin, lambda x: x.softmax(0), lambda x: x.unbind(0), lambda x: (x.sum(), x.exp())]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("options", [{}, {"fast_mode": True}, {"check_forward_ad": True}, {"check_batched_grad": True},
                                     {"check_forward_ad": True, "check_batched_forward_grad": True}])  # fmt: skip
def test_right_derivatives(function, options):
    assert gradcheck(function, (real(3),), **options)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("options", [{}, {"fast_mode": True}, {"check_fwd_over_rev": True}])
def test_right_second_derivatives(function, options):
    assert gradgradcheck(function, (real(3),), **options)


@pytest.mark.parametrize("function", [torch.exp, torch.abs, lambda z: z * z.conj(), lambda z: z.real * z])
def test_complex_derivatives(function):
    assert gradcheck(function, (complex_numbers(),), check_forward_ad=True)
    assert gradgradcheck(function, (complex_numbers(),))


@pytest.mark.parametrize("options", [{}, {"fast_mode": True}, {"check_forward_ad": True, "check_backward_ad": False}])
def test_wrong_derivatives(options):
    with pytest.raises(GradcheckError, match="mismatch for output 0 with respect to input 0"):
        gradcheck(Wrong.apply, (real(2),), **options)
    assert not gradcheck(Wrong.apply, (real(2),), raise_exception=False, **options)


def test_wrong_second_derivatives():
    class Cube(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 3 * (x.detach() ** 2)

    assert gradcheck(Cube.apply, (real(2),))
    with pytest.raises(GradcheckError):
        gradgradcheck(Cube.apply, (real(2),))


def test_an_unreliable_backward():
    calls = []

    class Drifts(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            calls.append(1)
            return g * (2 + 1e-9 * len(calls))

    with pytest.raises(GradcheckError, match="not reentrant"):
        gradcheck(Drifts.apply, (real(2),))
    assert gradcheck(Drifts.apply, (real(2),), nondet_tol=1e-5)


def test_a_missing_gradient_must_count_as_zero():
    class Three(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 2, x * 3, x * 4

        @staticmethod
        def backward(ctx, *gs):
            wrong = sum(g is None for g in gs) == 1
            return sum(g * k for g, k in zip(gs, (2, 3, 4), strict=True) if g is not None) + wrong

    with pytest.raises(GradcheckError, match="undefined or zero"):
        gradcheck(Three.apply, (real(2),))
    assert gradcheck(Three.apply, (real(2),), check_undefined_grad=False)


def test_inputs_are_looked_at():
    with pytest.raises(ValueError, match="at least one input tensor to require gradient"):
        gradcheck(torch.sin, (torch.ones(2, dtype=torch.float64),))
    with pytest.warns(UserWarning, match="not a double precision"):
        gradcheck(torch.sin, (torch.ones(2).requires_grad_(),), raise_exception=False)
    with pytest.raises(RuntimeError, match="stride 0"):
        gradcheck(torch.sin, (real(1).detach().expand(3).requires_grad_(),))


def test_hooks_that_falsify_a_gradient_are_found():
    def f(x):
        y = x.clone()
        y.register_hook(lambda g: g + 1e-2)
        return y

    for fast_mode in (True, False):
        with pytest.raises(GradcheckError, match=r"^Jacobian mismatch for output 0 with respect to input 0"):
            gradcheck(f, (real(2),), fast_mode=fast_mode)
        with pytest.raises(GradcheckError, match="While considering the imaginary part of complex outputs only, Jac"):
            gradcheck(lambda x: f(torch.complex(x, x)), (real(2),), fast_mode=fast_mode)


@pytest.mark.parametrize(
    ("other", "what"), [(lambda x: torch.cat([x, x]), "shape"), (lambda x: x.to(torch.float32), "dtype")]
)
def test_results_keep_their_shape_and_dtype_when_inputs_move(other, what):
    with pytest.raises(AssertionError, match=f"same {what} when inputs are perturbed"):
        gradcheck(lambda x: other(x) if (x >= 1).all() else x, (torch.ones(1, dtype=torch.float64).requires_grad_(),))


def test_every_input_has_a_tangent_in_forward_mode():
    from wengert.autograd import forward_ad as fw

    def f(x, y):
        if fw._current_level >= 0:
            primal, tangent = fw.unpack_dual(y)
            y = fw.make_dual(primal, tangent * 1.1)
        return x + y

    with pytest.raises(GradcheckError, match="forward mode mismatch for output 0 with respect to input 1"):
        gradcheck(f, (real(2), real(2)), check_forward_ad=True)


def test_the_function_is_found_under_the_name_of_its_module():
    import wengert.autograd.gradcheck  # noqa: F401 - the module takes the function's name

    assert torch.autograd.gradcheck(torch.sin, (real(2),))


def test_in_fast_mode_every_element_may_be_off_by_the_tolerance():
    def nearly(x):
        return x + (x.detach() * 1e-6) ** 2 * 1e6

    assert gradcheck(nearly, (real(50),), fast_mode=True, atol=1e-5)
    assert gradcheck(torch.sin, (torch.ones(0, 3, dtype=torch.float64, requires_grad=True),))


def test_a_dense_tensor_masks_nothing():
    assert gradcheck(lambda z: z * z, torch.rand(3, dtype=torch.float64, requires_grad=True), masked=True)
