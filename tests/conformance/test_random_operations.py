"""Random operations beside PyTorch's: the same line of program, run under both names, from the same seed.

Values are compared to the bit, with dtype, strides, `requires_grad` and the name of `grad_fn`; so is the generator's
state afterwards. Where PyTorch raises, the class must be the same, and the sentence begin alike.
"""

import warnings

import numpy as np
import pytest

import wengert

torch = pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed: `make conformance` installs it")

SHAPES = ["()", "(0,)", "(1,)", "(3,)", "(4, 4)", "(2, 3, 5)", "(17,)", "(700,)", "(40, 33)"]
FLOATS = ["float32", "float64", "float16", "bfloat16"]
REALS = [*FLOATS, "int64", "int32", "int16", "int8", "uint8"]

FILLS = [
    "uniform_()", "uniform_(-1, 2.5)", "uniform_(to=3)", "uniform_(**{'from': -2, 'to': 0})",
    "normal_()", "normal_(1, 0.3)", "normal_(std=2)", "normal_(torch.tensor(3.0))",
    "exponential_()", "exponential_(0.2)",
    "cauchy_()", "cauchy_(median=1, sigma=3)", "log_normal_()", "log_normal_(0.1, 0.5)",
]  # fmt: skip
COUNTS = [
    "geometric_(0.3)", "random_()", "random_(9)", "random_(3, 100)", "random_(to=7)", "random_(**{'from': 2, 'to': 5})",
    "random_(3, None)", "bernoulli_()", "bernoulli_(0.2)", "bernoulli_(p=torch.tensor(0.7))",
]  # fmt: skip
VIEWS = [".T", "[::2]", "[:, 1:3]", "[:, ::2]", "[3]", "[:, 2]", ".reshape(2, 2, 8)[:, :, ::3]"]


def programs():
    for shape in SHAPES:
        for dtype in FLOATS:
            for fill in FILLS:
                yield f"torch.empty({shape}, dtype=torch.{dtype}).{fill}"
            yield f"torch.rand({shape}, dtype=torch.{dtype})"
            yield f"torch.randn({shape}, dtype=torch.{dtype})"
            yield f"torch.normal(0.5, 2.0, {shape}, dtype=torch.{dtype})"
            yield f"torch.normal(torch.full({shape}, 0.5, dtype=torch.{dtype}), 1.5)"
            yield f"torch.normal(0.25, torch.full({shape}, 1.5, dtype=torch.{dtype}))"
            yield f"torch.normal(torch.full({shape}, 2.0, dtype=torch.{dtype}), torch.ones(1, dtype=torch.{dtype}))"
            yield f"torch.bernoulli(torch.full({shape}, 0.4, dtype=torch.{dtype}))"
            yield f"torch.poisson(torch.full({shape}, 3.5, dtype=torch.{dtype}))"
            for p in ("0.5", "0.1", "1.0"):
                yield f"torch.dropout(torch.full({shape}, 1.5, dtype=torch.{dtype}), {p}, True)"
                yield f"torch.alpha_dropout(torch.full({shape}, 1.5, dtype=torch.{dtype}), {p}, True)"
        for dtype in REALS:
            for fill in COUNTS:
                yield f"torch.empty({shape}, dtype=torch.{dtype}).{fill}"
            yield f"torch.randint(5, 100, {shape}, dtype=torch.{dtype})"
            yield f"torch.randint_like(torch.zeros({shape}, dtype=torch.{dtype}), 7)"
        for dtype in ("complex64", "complex128"):
            yield f"torch.randn({shape}, dtype=torch.{dtype})"
            yield f"torch.rand({shape}, dtype=torch.{dtype})"
    for view in VIEWS:
        for fill in (*FILLS, *COUNTS):
            yield f"(lambda base: (base{view}.{fill}, base)[1])(torch.zeros(4, 8))"
        for function in ("rand_like", "randn_like", "bernoulli"):
            yield f"torch.{function}(torch.zeros(4, 8){view})"
        yield f"torch.dropout(torch.ones(4, 8){view}, 0.3, True)"
    for weights in ("[1.0, 2.0, 3.0, 0.0]", "[[0.2, 0.8, 0.0], [1.0, 1.0, 5.0]]"):
        for dtype in FLOATS:
            for rest in ("1", "2, True", "20, True", "1, replacement=True"):
                yield f"torch.multinomial(torch.tensor({weights}, dtype=torch.{dtype}), {rest})"
        yield f"torch.multinomial(torch.tensor({weights}), 2)"
    for n in (0, 1, 2, 100, 1000):
        for dtype in REALS if n <= 100 else ["int64", "int32", "float32"]:
            yield f"torch.randperm({n}, dtype=torch.{dtype})"
    yield from LINES


LINES = """
torch.rand(2, 3)
torch.rand((2, 3))
torch.rand([2, 3], dtype=torch.float64, requires_grad=True)
torch.rand(size=(2,))
torch.rand(torch.tensor(2), 3)
torch.rand(3, generator=torch.Generator().manual_seed(5))
torch.randn(3, generator=None, device='cpu', layout=torch.strided, pin_memory=False)
torch.rand(2, out=torch.empty(2))
torch.randn(2, 3, out=torch.empty(3, 2).T)
torch.randint(10, (2,))
torch.randint(3, 10, (2,))
torch.randint(low=3, high=10, size=(2,))
torch.randint(3, size=(2,))
torch.randint(high=3, size=(2,))
torch.randint(3, 10, size=(2,))
torch.randint(0, 3, [2])
torch.randint(torch.tensor(3), (2,))
torch.randint(-2**63, 2**63 - 1, (20,))
torch.randint(0, 2**40, (5,))
torch.randint(0, 10, (2,), dtype=torch.uint16)
torch.randint(0, 10, (2,), out=torch.empty(2, dtype=torch.int32))
torch.randint(0, 2**25, (50,), dtype=torch.float32)
torch.empty(30).random_(-2**24 - 5, 2**24 + 7)
torch.empty(30).random_(-2**31, None)
torch.empty(30, dtype=torch.float64).random_(-2**53 - 5, 2**53 + 5)
torch.empty(30, dtype=torch.float16).random_(0, 3000)
torch.empty(30, dtype=torch.float16).random_(-3000, 5)
torch.empty(30, dtype=torch.bfloat16).random_(-1000, 1001)
torch.empty(30, dtype=torch.bfloat16).random_(2**40)
torch.empty(30).random_(0, 2**63 - 1)
torch.empty(30).random_(-2**62 - 2**20, 2**61 + 2**21)
torch.empty(30, dtype=torch.float16).random_(-2051, 2053)
torch.empty(30, dtype=torch.int64).random_(-2**63, None)
torch.empty(30, dtype=torch.bfloat16).random_(-2**63, None)
torch.empty(30, dtype=torch.bool).random_()
torch.empty(30, dtype=torch.bool).bernoulli_(0.4)
torch.empty(30, dtype=torch.bool).random_(0, None)
torch.randint_like(torch.zeros(2, 3), 5, dtype=torch.int64)
torch.randint_like(torch.zeros(2, 3), 2, 5)
torch.randint_like(torch.zeros(2, 3), torch.tensor(5))
torch.randn_like(torch.zeros(2, 3), memory_format=torch.contiguous_format)
torch.randn_like(torch.zeros(3, 1).expand(3, 4))
torch.rand_like(torch.zeros(2, 3, 4, 5), memory_format=torch.channels_last)
torch.rand_like(torch.zeros(2, 3), requires_grad=True)
torch.rand_like(torch.zeros(2, dtype=torch.int64), dtype=torch.float32)
torch.randperm(5, dtype=torch.float32, requires_grad=True)
torch.normal(0, 1, (2,))
torch.normal(torch.zeros(3))
torch.normal(torch.zeros(3, 1), torch.ones(4))
torch.normal(torch.zeros(20, 30).T, 1.5)
torch.normal(torch.zeros(3, dtype=torch.float64), torch.ones(3))
torch.normal(torch.zeros(3), torch.ones(3, dtype=torch.float64))
torch.normal(torch.zeros(3, requires_grad=True), torch.ones(3, requires_grad=True))
torch.normal(torch.zeros(2, requires_grad=True), 2.0)
torch.normal(1.0, torch.ones(2, requires_grad=True))
torch.normal(torch.zeros(3), torch.ones(3), out=torch.empty(3, dtype=torch.float64))
torch.bernoulli(torch.tensor([0.5, 0.5]), 0.3)
torch.bernoulli(torch.tensor([0.5, 0.5], requires_grad=True))
torch.zeros(3).bernoulli(p=0.9)
torch.zeros(3, dtype=torch.int64).bernoulli(p=0.9)
torch.bernoulli(torch.zeros(3, 2).T)
torch.empty(3, 4).bernoulli_(torch.tensor([0.5, 0.2, 0.1, 0.9], dtype=torch.float64))
torch.empty(4, 3).T.bernoulli_(torch.tensor([0.5, 0.2, 0.1, 0.9]))
torch.poisson(torch.tensor([1.0], requires_grad=True))
torch.poisson(torch.tensor([0.5, 20.0, 300.0]), generator=torch.Generator())
torch.binomial(torch.tensor([5.0, 300.0]), torch.tensor([0.5]))
torch.multinomial(torch.ones(0, 3), 1)
torch.multinomial(torch.ones(3), 2, out=torch.empty(2, dtype=torch.int64))
torch.ones(3).multinomial(1)
torch.multinomial(torch.ones(2, requires_grad=True), 1)
torch.multinomial(torch.ones(5), 5, generator=torch.Generator().manual_seed(3))
(torch.zeros(3, requires_grad=True) * 2).normal_()
(torch.zeros(3, requires_grad=True) * 2).uniform_()
(torch.zeros(3, requires_grad=True) * 2).random_()
(torch.zeros(3, requires_grad=True) * 2).random_(5)
(torch.zeros(3, requires_grad=True) * 2).random_(2, 5)
(torch.zeros(3, requires_grad=True) * 2).bernoulli_(0.5)
(torch.zeros(3, requires_grad=True) * 2).bernoulli_(torch.tensor(0.5))
(torch.zeros(3, requires_grad=True) * 2).exponential_()
(torch.zeros(3, requires_grad=True) * 2).cauchy_()
(torch.zeros(3, requires_grad=True) * 2).log_normal_()
(torch.zeros(3, requires_grad=True) * 2).geometric_(0.5)
torch.dropout(torch.ones(4, requires_grad=True), 0.5, True)
torch.dropout(torch.ones(4, requires_grad=True), 0.5, False)
torch.dropout(torch.ones(4, requires_grad=True), 0.0, True)
torch.dropout(torch.ones(4, requires_grad=True), 1.0, True)
torch.dropout_(torch.ones(4), 0.5, True)
torch.dropout_(torch.ones(4, requires_grad=True) * 1, 0.5, True)
torch.feature_dropout(torch.ones(2, 4, 2, requires_grad=True), 0.5, True)
torch.feature_dropout_(torch.ones(2, 4, 2), 0.5, True)
torch.alpha_dropout(torch.ones(40, requires_grad=True), 0.3, True)
torch.alpha_dropout_(torch.ones(40, dtype=torch.float64), 0.3, True)
torch.feature_alpha_dropout(torch.ones(2, 4, 2), 0.3, True)
torch.feature_alpha_dropout_(torch.ones(2, 4, 2), 0.3, True)
torch.native_dropout(torch.ones(4), 0.5, True)[0]
torch.native_dropout(torch.ones(4), 0.5, True)[1]
torch.native_dropout(torch.ones(4), 1.0, True)[0]
torch.native_dropout(torch.ones(4), 0.5, False)[1]
torch.empty(0, dtype=torch.int64).normal_()
torch.empty(3).normal_(float('nan'))
torch.empty(3).exponential_(float('inf'))
torch.Generator().get_state()
torch.Generator().manual_seed(-3).get_state()
torch.get_rng_state()
(torch.seed(), torch.manual_seed(7), torch.rand(3))[2]
(torch.randn(3), torch.set_rng_state(torch.Generator().get_state()), torch.randn(3))[2]
torch.rand(3, generator=torch.Generator().manual_seed(4).clone_state())
""".strip().splitlines()

ERRORS = """
torch.rand()
torch.rand(-1)
torch.rand(2.5)
torch.rand('a')
torch.rand(2, dtype=torch.int64)
torch.rand(2, out=torch.empty(2, dtype=torch.float64), dtype=torch.float32)
torch.rand(2, generator=5)
torch.rand(2, device='cuda')
torch.rand(2, pin_memory=True)
torch.rand(2, bogus=1)
torch.randn(2, dtype=torch.int32)
torch.randn(2, dtype=torch.bool)
torch.randint(10, 2)
torch.randint(10, 3, 2)
torch.randint(5, 5, (2,))
torch.randint(0, 300, (2,), dtype=torch.uint8)
torch.randint(-1, 3, (2,), dtype=torch.uint8)
torch.randint(0, 3, (2,), dtype=torch.bool)
torch.randint(0, 3, (2,), requires_grad=True)
torch.randint(1.5, 3, (2,))
torch.randint(0, 10, (2,), dtype=torch.complex64)
torch.randint(2**63, (2,))
torch.randint(low=3, size=(2,))
torch.randperm(-1)
torch.randperm(300, dtype=torch.uint8)
torch.randperm(3000, dtype=torch.float16)
torch.randperm(5, dtype=torch.bool)
torch.randperm(2.5)
torch.randperm(True)
torch.rand_like(torch.zeros(2, dtype=torch.int64))
torch.rand_like(3)
torch.normal(0, 1)
torch.normal(torch.zeros(3), torch.tensor([-1.0, 1, 1]))
torch.normal(torch.zeros(3), -1.0)
torch.normal(torch.zeros(3, dtype=torch.int64), torch.ones(3))
torch.normal(torch.zeros(2), torch.ones(2, dtype=torch.complex64))
torch.normal(0.0, -1.0, (3,))
torch.bernoulli(torch.tensor([0.5]), p=1.3)
torch.bernoulli(torch.tensor([1.5, 0.5]))
torch.bernoulli(torch.tensor([float('nan')]))
torch.bernoulli(torch.tensor([1, 0]))
torch.bernoulli(torch.zeros(3), 0.5, out=torch.empty(5))
torch.empty(3).bernoulli_(torch.tensor([0.5, 0.2]))
torch.empty(3).bernoulli_(torch.tensor(1))
torch.empty(3).bernoulli_(2)
torch.empty(3, dtype=torch.complex64).bernoulli_(0.2)
torch.multinomial(torch.tensor([0.5, 0.5]), 3)
torch.multinomial(torch.tensor([0.5, 0.5]), 0)
torch.multinomial(torch.tensor([0.5, -0.5]), 1)
torch.multinomial(torch.tensor([0.0, 0.0]), 1)
torch.multinomial(torch.tensor([[0.0, 0.0], [1, 1]]), 2, True)
torch.multinomial(torch.tensor([float('inf'), 1.0]), 1)
torch.multinomial(torch.tensor([1, 2]), 1)
torch.multinomial(torch.ones(2, 2, 2), 1)
torch.multinomial(torch.ones(()), 1)
torch.multinomial(torch.ones(3), 2, out=torch.empty(0))
torch.multinomial(torch.ones(3), 2.5)
torch.poisson(torch.tensor([1, 2]))
torch.poisson(torch.tensor([-1.0]))
torch.binomial(torch.tensor([5.0]), torch.tensor([0.5], dtype=torch.float64))
torch.binomial(torch.tensor([5]), torch.tensor([0.5]))
torch.empty(3).normal_(0, -1)
torch.empty(0).normal_(0, -1)
torch.empty(3).normal_(std=float('nan'))
torch.empty(3, dtype=torch.int64).normal_()
torch.empty(3).normal_('a')
torch.empty(3).normal_(1 + 1j)
torch.empty(3).uniform_(1, 0)
torch.empty(3).uniform_(0, float('inf'))
torch.empty(3).uniform_(float('nan'), 1)
torch.empty(3).uniform_(-3e38, 3e38)
torch.empty(3, dtype=torch.float16).uniform_(0, 70000)
torch.empty(3, dtype=torch.int64).uniform_()
torch.empty(3).exponential_(-1)
torch.empty(3).exponential_(0)
torch.empty(3, dtype=torch.int64).exponential_()
torch.empty(3).cauchy_(0, 0)
torch.empty(3, dtype=torch.int64).cauchy_()
torch.empty(3).log_normal_(0, 0)
torch.empty(3, dtype=torch.int64).log_normal_()
torch.empty(3).geometric_(0)
torch.empty(3).geometric_(1)
torch.empty(3).geometric_()
torch.empty(3, dtype=torch.bool).geometric_(0.5)
torch.empty(3).random_(5, 5)
torch.empty(3).random_(-5)
torch.empty(3).random_(2.5)
torch.empty(3).random_(0, 2**63)
torch.empty(3, dtype=torch.uint8).random_(0, 300)
torch.empty(3, dtype=torch.int16).random_(-2**40, 0)
torch.empty(3, dtype=torch.complex64).random_()
torch.empty(3, dtype=torch.int32).random_(-2**63, None)
torch.zeros(3).expand(2, 3).normal_()
torch.zeros(1).expand(20).uniform_()
torch.zeros(3, requires_grad=True).normal_()
torch.zeros(3, requires_grad=True)[1:].uniform_()
torch.dropout(torch.ones(4), 1.5, True)
torch.dropout(torch.ones(4), float('nan'), True)
torch.dropout(torch.ones(4, dtype=torch.int64), 0.5, True)
torch.dropout(torch.ones(4, dtype=torch.complex64), 0.5, True)
torch.dropout_(torch.ones(4, requires_grad=True), 0.5, True)
torch.feature_dropout(torch.ones(4), 0.5, True)
torch.native_dropout(torch.ones(4, dtype=torch.int64), 0.5, True)
torch.Generator('cuda:0', 3)
torch.Generator().manual_seed(1.5)
torch.Generator().manual_seed('a')
torch.Generator().manual_seed(2**64)
torch.Generator().manual_seed(-2**63 - 1)
torch.Generator().manual_seed(True)
torch.Generator().set_state(torch.zeros(3))
torch.Generator().set_state([1])
torch.Generator().set_state(torch.zeros(10, dtype=torch.uint8))
torch.Generator().set_state(torch.zeros(5056, dtype=torch.uint8))
torch.Generator().set_state(torch.zeros(10112, dtype=torch.uint8)[::2])
torch.Generator().graphsafe_get_state()
torch.Generator().graphsafe_set_state(torch.Generator())
torch.Generator().get_offset()
torch.Generator().set_offset(3)
torch.Generator().x = 3
torch.manual_seed('a')
torch.manual_seed(None)
torch.set_rng_state(5)
""".strip().splitlines()


def run(library, program, seed):
    """What a line gives: the result, the state afterwards, or the error; warnings are let pass."""
    library.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return eval(program, {"torch": library}), library.get_rng_state()


def bits(tensor):
    """The elements as integers, in logical order, so that comparison is to the bit."""
    tensor = tensor.detach()
    if tensor.dtype in (torch.bfloat16, wengert.bfloat16):
        tensor = tensor.to({torch.bfloat16: torch.float32, wengert.bfloat16: wengert.float32}[tensor.dtype])
    array = np.ascontiguousarray(tensor.numpy())
    return array.view(np.uint8) if array.size else array


@pytest.mark.parametrize("program", dict.fromkeys(programs()))
def test_the_same_program(program):
    seed = len(program)  # any number that is the same in every run
    (expected, state), (found, our_state) = run(torch, program, seed), run(wengert, program, seed)
    assert str(found.dtype) == str(expected.dtype)
    assert tuple(found.shape) == tuple(expected.shape)
    assert found.stride() == expected.stride() or found.numel() < 2
    assert np.array_equal(bits(found), bits(expected))
    assert found.requires_grad == expected.requires_grad
    names = [None if t.grad_fn is None else t.grad_fn.name() for t in (found, expected)]
    assert names[0] == names[1] or names[1] == "torch::autograd::NotImplemented"
    assert np.array_equal(our_state.numpy(), state.numpy())


@pytest.mark.parametrize("program", ERRORS)
def test_the_same_error(program):
    run_line = exec if program.endswith(".x = 3") else eval
    with pytest.raises(Exception) as expected:
        run_line(program, {"torch": torch})
    with pytest.raises(Exception) as found:
        run_line(program, {"torch": wengert})
    assert isinstance(found.value, expected.type)
    theirs, ours = str(expected.value), str(found.value)
    if expected.type is not TypeError and "set_state" not in program and expected.type is not AttributeError:
        assert ours[:25] == theirs[:25]


@pytest.mark.parametrize("name", ["dropout", "alpha_dropout", "feature_dropout", "feature_alpha_dropout"])
@pytest.mark.parametrize("inplace", [False, True])
def test_gradient_of_dropout(name, inplace):
    gradients = []
    for library in (torch, wengert):
        library.manual_seed(3)
        x = library.linspace(-1, 1, 24).reshape(2, 3, 4).requires_grad_()
        y = getattr(library, name + "_" * inplace)(x * 2, 0.4, True)
        (y * y).sum().backward()
        gradients.append(x.grad.numpy())
    assert np.allclose(*gradients, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("fill", [*FILLS, *COUNTS])
def test_gradient_through_a_fill_is_zero(fill):
    for library in (torch, wengert):
        x = library.ones(5, requires_grad=True)
        y = eval(f"(x * 2).{fill}", {"x": x, "torch": library})
        y.sum().backward()
        assert x.grad.tolist() == [0.0] * 5


def test_gradient_through_a_view_that_was_filled():
    gradients = []
    for library in (torch, wengert):
        x = library.ones(4, 5, requires_grad=True)
        y = x * 3
        y[:, 1:3].normal_()
        y.sum().backward()
        gradients.append(x.grad.numpy())
    assert np.array_equal(*gradients)


def test_gradients_of_normal_are_zero():
    for library in (torch, wengert):
        mean, std = library.zeros(3, 1, requires_grad=True), library.ones(4, requires_grad=True)
        library.normal(mean, std).sum().backward()
        assert mean.grad.tolist() == [[0.0]] * 3 and std.grad.tolist() == [0.0] * 4
