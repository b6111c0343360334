"""Forward mode: tangents of operations, through views and writes in place, with reverse mode inside and outside."""

import numpy as np
import pytest

import wengert as torch
from wengert.autograd import Function
from wengert.autograd import forward_ad as fw

X, T = np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.5, -1.0])


def dual():
    return fw.make_dual(torch.from_numpy(X.copy()), torch.from_numpy(T.copy()))


@pytest.mark.parametrize(
    "f, value, tangent",
    [
        (lambda d: d * d.sin(), X * np.sin(X), T * (np.sin(X) + X * np.cos(X))),
        (lambda d: 2 / d, 2 / X, -2 / X**2 * T),
        (lambda d: d.sum(), X.sum(), T.sum()),
        (lambda d: d.prod(), X.prod(), (X.prod() / X * T).sum()),
        (lambda d: d @ d, X @ X, 2 * X @ T),
        (lambda d: d.cumsum(0), X.cumsum(), T.cumsum()),
        (lambda d: d.sort(descending=True)[0], X[::-1], T[::-1]),
        (lambda d: torch.cat([d, d * 2]), np.r_[X, 2 * X], np.r_[T, 2 * T]),
        (lambda d: torch.stack([d, torch.zeros_like(d)]), np.stack([X, 0 * X]), np.stack([T, 0 * T])),
        (lambda d: d[torch.tensor([2, 2, 0])], X[[2, 2, 0]], T[[2, 2, 0]]),
        (lambda d: d[d > 1.5], X[1:], T[1:]),
        (lambda d: d.split(2)[1], X[2:], T[2:]),
        (lambda d: d.view(3, 1).T, X[None], T[None]),
        (lambda d: torch.where(d > 1.5, d, -d), np.where(X > 1.5, X, -X), np.where(X > 1.5, T, -T)),
        (lambda d: d.float().double(), X, T),
        (lambda d: (d * (1 + 2j)).abs(), np.sqrt(5) * X, np.sqrt(5) * T),
        (lambda d: d.expand(2, 3), np.stack([X, X]), np.stack([T, T])),
    ],
)
def test_values_and_tangents(f, value, tangent):
    with fw.dual_level():
        found = fw.unpack_dual(f(dual()))
        np.testing.assert_allclose(found.primal.numpy(), value)
        np.testing.assert_allclose(found.tangent.numpy(), tangent)


def test_what_has_no_derivative_has_no_tangent():
    with fw.dual_level():
        d = dual()
        for plain in (d.detach(), d.argmax(), d > 1, d.int(), torch.zeros_like(d)):
            assert fw.unpack_dual(plain).tangent is None


def test_writes_in_place_move_the_tangents_of_all_views():
    with fw.dual_level():
        base = torch.zeros(3, dtype=torch.float64)
        view = base[:2]
        view.copy_(dual()[1:])
        assert fw.unpack_dual(base).tangent.tolist() == [0.5, -1.0, 0.0]
        base.mul_(3)
        assert fw.unpack_dual(view).tangent.tolist() == [1.5, -3.0]
        base.zero_()
        assert fw.unpack_dual(view).tangent.tolist() == [0.0, 0.0]
        base[1] = dual()[0]
        assert fw.unpack_dual(base).tangent.tolist() == [0.0, 1.0, 0.0]


def test_a_tensor_written_with_a_dual_one_becomes_dual():
    with fw.dual_level():
        x = torch.ones(3, dtype=torch.float64)
        x.add_(dual(), alpha=2)
        assert x.tolist() == [3.0, 5.0, 7.0]
        assert fw.unpack_dual(x).tangent.tolist() == [2.0, 1.0, -2.0]


def test_tangents_end_with_their_level():
    with fw.dual_level():
        d = dual() * 2
        assert "tangent=" in repr(d)
    assert fw.unpack_dual(d).tangent is None
    assert "tangent" not in repr(d)
    assert repr(d).startswith("tensor(")


def test_gradients_carry_tangents():
    x = torch.from_numpy(X.copy()).requires_grad_()
    with fw.dual_level():
        d = fw.make_dual(x, torch.from_numpy(T.copy()))
        (g,) = torch.autograd.grad((d.exp() * d).sum(), d)
        np.testing.assert_allclose(g.numpy(), np.exp(X) * (1 + X))
        np.testing.assert_allclose(fw.unpack_dual(g).tangent.numpy(), np.exp(X) * (2 + X) * T)


def test_tangents_can_be_differentiated():
    x = torch.from_numpy(X.copy()).requires_grad_()
    with fw.dual_level():
        tangent = fw.unpack_dual((fw.make_dual(x, torch.from_numpy(T.copy())) ** 3).sum()).tangent
    (g,) = torch.autograd.grad(tangent, x)
    np.testing.assert_allclose(g.numpy(), 6 * X * T)


def test_a_function_brings_its_own_rule():
    class Mul(Function):
        @staticmethod
        def forward(x, y):
            return x * y

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_forward(*inputs)

        @staticmethod
        def jvp(ctx, a, b):
            x, y = ctx.saved_tensors
            return a * y + x * b

    with fw.dual_level():
        found = Mul.apply(dual(), torch.from_numpy(X))
        np.testing.assert_allclose(fw.unpack_dual(found).tangent.numpy(), X * T)


def test_a_function_without_a_rule_is_refused():
    class Twice(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    with fw.dual_level(), pytest.raises(NotImplementedError, match="implement the jvp function"):
        Twice.apply(dual())


def test_no_grad_does_not_stop_tangents():
    with fw.dual_level(), torch.no_grad():
        assert fw.unpack_dual(dual() * 2).tangent.tolist() == [2.0, 1.0, -2.0]


def test_misuse_is_refused():
    x = torch.ones(3)
    with pytest.raises(RuntimeError, match="no level exists"):
        fw.make_dual(x, x)
    with pytest.raises(RuntimeError, match="Dual level must be a positive number"):
        fw.exit_dual_level()
    with fw.dual_level():
        with pytest.raises(RuntimeError, match="Nested forward mode AD is not supported"):
            fw.enter_dual_level()
        with pytest.raises(RuntimeError, match="different size than that of the original"):
            fw.make_dual(x, torch.ones(2))
        with pytest.raises(ValueError, match="Expected primal to be floating point or complex"):
            fw.make_dual(x.long(), x)
        with pytest.raises(RuntimeError, match="already has a forward gradient at the same level"):
            fw.make_dual(fw.make_dual(x, x), x)


def test_tangents_go_through_maxima_as_the_maxima_do():
    with fw.dual_level():
        d = fw.make_dual(torch.tensor([[[1.0, 5.0, 2.0, 3.0]]]), torch.tensor([[[0.1, 0.2, 0.3, 0.4]]]))
        pooled, places = torch.nn.functional.max_pool1d(d, 2, return_indices=True)
        assert fw.unpack_dual(pooled).tangent.tolist() == torch.tensor([[[0.2, 0.4]]]).tolist()
        assert fw.unpack_dual(torch.nn.functional.max_pool1d(d, 2)).tangent.tolist() == [
            [[pytest.approx(0.2), pytest.approx(0.4)]]
        ]
        back = torch.nn.functional.max_unpool1d(pooled, places, 2)
        assert fw.unpack_dual(back).tangent.tolist() == [[[0, pytest.approx(0.2), 0, pytest.approx(0.4)]]]


@pytest.mark.parametrize(
    ("tangent", "complaint"),
    [
        (lambda t: t.narrow(0, 0, 2), None),
        (lambda t: t.narrow(0, 0, 2).clone(), "not returning a view\\."),
        (lambda t: t.narrow(0, 0, 2).clone().view(2), "not returning a view of the given grad input"),
    ],
)
def test_where_forward_returns_a_view_jvp_does(tangent, complaint):
    class Part(Function):
        @staticmethod
        def forward(ctx, x):
            return x.narrow(0, 0, 2)

        @staticmethod
        def jvp(ctx, t):
            return tangent(t)

    with fw.dual_level():
        dual = fw.make_dual(torch.ones(3), torch.arange(3.0))
        if complaint is None:
            assert fw.unpack_dual(Part.apply(dual)).tangent.tolist() == [0, 1]
        else:
            with pytest.raises(RuntimeError, match=complaint):
                Part.apply(dual)


@pytest.mark.parametrize("in_place", [True, False])
def test_where_forward_writes_in_place_jvp_does(in_place):
    class Double(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def jvp(ctx, t):
            return t.mul_(2) if in_place else t * 2

    with fw.dual_level():
        dual = fw.make_dual(torch.ones(3), torch.ones(3)).clone()
        if in_place:
            assert fw.unpack_dual(Double.apply(dual)).tangent.tolist() == [2, 2, 2]
        else:
            with pytest.raises(RuntimeError, match="not modifying the forward mode gradients inplace"):
                Double.apply(dual)


def test_tangents_are_not_pushed_where_forward_mode_is_off():
    with fw.dual_level():
        dual = fw.make_dual(torch.ones(2), torch.ones(2))
        with fw._set_fwd_grad_enabled(False):
            assert not fw._is_fwd_grad_enabled()
            assert fw.unpack_dual(dual * 2).tangent is None
        assert fw.unpack_dual(dual * 2).tangent.tolist() == [2, 2]


def test_the_number_of_the_level():
    assert fw._current_level == -1
    with fw.dual_level():
        assert fw._current_level == 0


def test_tangents_go_neither_into_out_nor_upon_tangents():
    with fw.dual_level():
        dual, plain = fw.make_dual(torch.ones(2), torch.ones(2)), torch.ones(2)
        for given, out in ((dual, plain), (plain, dual)):
            with pytest.raises(RuntimeError, match="out= function"):
                torch.add(given, plain, out=out)
        with pytest.raises(RuntimeError, match="has a forward gradient at the same level"):
            fw.make_dual(plain, dual)
