"""The random stream beside PyTorch's: same seed, same draws before, same numbers to the bit, same state afterwards."""

import mmap
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from wengert.kernels.random import BFLOAT16, FLOAT64, Stream, fill

torch = pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed: `make conformance` installs it")

FLOATS = {torch.float32: "f4", torch.float64: "f8", torch.float16: "f2", torch.bfloat16: BFLOAT16}
INTEGERS = {torch.int64: "i8", torch.int32: "i4", torch.int16: "i2", torch.int8: "i1", torch.uint8: "u1"}
DTYPES = {key: np.dtype(value) for key, value in {**FLOATS, **INTEGERS, torch.bool: "?"}.items()}

COUNTS = [0, 1, 2, 7, 15, 16, 17, 31, 32, 100, 608, 624, 640, 1300, 4096, 4101, 10001]
BEFORE = [0, 1, 617, 623, 624, 11000]
"""Words drawn beforehand: the draw then begins at the start, within, or across the end of a block."""


def to_numpy(tensor):
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def ulps(a, b):
    """How many floating-point numbers lie between the elements of two arrays."""
    whole = np.dtype(f"i{a.dtype.itemsize}")
    mask = np.iinfo(whole).max
    a, b = (np.where(x < 0, -(x & mask), x) for x in (np.ascontiguousarray(x).view(whole) for x in (a, b)))
    return np.abs(a - b)


def compare(theirs, ours, given, given_to_ours, before=0, seed=3, most_ulps=0):
    """Draws from both streams, the first `before` words of which are spent; each side has its own arguments."""
    torch.manual_seed(seed)
    stream = Stream(seed)
    if before:
        torch.rand(before)
        stream.uniform(before)
    expected, drawn = to_numpy(theirs(*given)), ours(stream, *given_to_ours)
    assert drawn.dtype == expected.dtype and drawn.shape == expected.shape
    if most_ulps:
        assert ulps(drawn, expected).max(initial=0) <= most_ulps
    else:
        assert np.array_equal(drawn, expected)
    assert np.array_equal(stream.get_state(), torch.get_rng_state().numpy())


CONTINUOUS = {
    "uniform": (lambda x: x.uniform_(), lambda s, n, d: s.uniform(n, d)),
    "uniform -0.3 0.7": (lambda x: x.uniform_(-0.3, 0.7), lambda s, n, d: s.uniform(n, d, -0.3, 0.7)),
    "uniform -0.5 0.5": (lambda x: x.uniform_(-0.5, 0.5), lambda s, n, d: s.uniform(n, d, -0.5, 0.5)),
    "normal": (lambda x: x.normal_(), lambda s, n, d: s.normal(n, d)),
    "normal 0.7 1.3": (lambda x: x.normal_(0.7, 1.3), lambda s, n, d: s.normal(n, d, 0.7, 1.3)),
    "normal 0 0.02": (lambda x: x.normal_(0, 0.02), lambda s, n, d: s.normal(n, d, 0, 0.02)),
    "normal 3 0": (lambda x: x.normal_(3, 0), lambda s, n, d: s.normal(n, d, 3, 0)),
    "exponential": (lambda x: x.exponential_(1.7), lambda s, n, d: s.exponential(n, d, 1.7)),
    "cauchy": (lambda x: x.cauchy_(0.7, 1.3), lambda s, n, d: s.cauchy(n, d, 0.7, 1.3)),
    "log_normal": (lambda x: x.log_normal_(0.7, 1.3), lambda s, n, d: s.log_normal(n, d, 0.7, 1.3)),
}
DISCRETE = {
    "bernoulli": (lambda x: x.bernoulli_(0.3), lambda s, n, d: s.bernoulli(n, 0.3, d)),
    "random": (lambda x: x.random_(), lambda s, n, d: s.random_bits(n, d)),
    "geometric": (lambda x: x.geometric_(0.3), lambda s, n, d: s.geometric(n, 0.3, d)),
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_distributions(name, dtype):
    for before in BEFORE:
        for n in COUNTS:
            compare(*CONTINUOUS[name], [torch.empty(n, dtype=dtype)], [n, DTYPES[dtype]], before)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_distributions(name, dtype):
    if (name, dtype) == ("geometric", torch.bool):
        with pytest.raises(RuntimeError, match="not implemented for 'Bool'"):
            torch.empty(3, dtype=dtype).geometric_(0.3)
        return
    for before in BEFORE:
        for n in COUNTS:
            compare(*DISCRETE[name], [torch.empty(n, dtype=dtype)], [n, DTYPES[dtype]], before)


RANGES = [
    (0, 2), (0, 100), (-5, 100), (0, 256), (-3, 2**27), (-3, 2**28 - 4), (-3, 2**28 - 3),
    (-(2**31), 2**31), (0, 2**32), (0, 2**40 + 7), (-(2**62) - 5, 2**62 + 5), (-(2**63), 2**63 - 1),
]  # fmt: skip


@pytest.mark.parametrize("low, high", RANGES)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers(dtype, low, high):
    limits = torch.iinfo(dtype)
    low, high = max(low, limits.min), min(high, limits.max)
    for before in BEFORE:
        for n in (1, 5, 700, 5000):
            compare(torch.Tensor.random_, Stream.integers, [torch.empty(n, dtype=dtype), low, high],
                    [n, low, high, DTYPES[dtype]], before)  # fmt: skip


def test_all_64_bits():
    compare(torch.Tensor.random_, Stream.integers, [torch.empty(50, dtype=torch.int64), -(2**63), None],
            [50, -(2**63), None])  # fmt: skip


@pytest.mark.parametrize("n", [0, 1, 2, 3, 100, 255, 256, 257, 258, 1000, 100_000])
def test_permutations(n):
    for before in BEFORE:
        compare(torch.randperm, Stream.permutation, [n], [n], before)


@pytest.mark.parametrize("seed", [0, 1, -1, 2**31, 2**32 + 5, 2**63, 2**64 - 1, -(2**63)])
def test_seeds(seed):
    compare(torch.rand, Stream.uniform, [700], [700], seed=seed)


@pytest.mark.parametrize("shape", [(1,), (5,), (3, 4), (2, 300), (7, 100)])
@pytest.mark.parametrize("dtype", FLOATS)
def test_distributions_with_arrays_of_parameters(dtype, shape):
    generator = np.random.default_rng(0)
    theirs = torch.tensor(generator.random(shape) + 0.01).to(dtype).clamp(max=1)
    ours = to_numpy(theirs)
    for before in (0, 1, 617, 623):
        compare(torch.bernoulli, Stream.bernoulli_each, [theirs], [ours, ours.dtype], before)
        for count, replacement in [(1, True), (2, True), (30, True), (1, False), (2, False), (30, False)]:
            # A float of 16 bits has ties, and how topk breaks them is nobody's promise.
            tied = not replacement and count > 1 and ours.itemsize == 2
            if replacement or (count <= shape[-1] and not tied):
                drawn = [count, replacement]
                compare(torch.multinomial, Stream.multinomial, [theirs, *drawn], [ours, *drawn], before)
        for scale in (1, 9.9, 30, 1000):
            compare(torch.poisson, Stream.poisson, [theirs * scale], [to_numpy(theirs * scale)], before)


@pytest.mark.parametrize("shape", [(1,), (5,), (3, 4), (2, 300)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rejection_samplers(dtype, shape):
    generator = np.random.default_rng(1)
    p = torch.tensor(generator.random(shape)).to(dtype)
    for before in (0, 1, 617, 623):
        for scale in (1, 5, 30, 1000):
            alpha, trials = p * scale, torch.round(p * 10 * scale)
            compare(torch._standard_gamma, Stream.standard_gamma, [alpha], [alpha.numpy()], before)
            # The sum over a row of up to 300 is taken in another order.
            compare(torch._sample_dirichlet, Stream.dirichlet, [alpha], [alpha.numpy()], before, most_ulps=8)
            compare(torch.binomial, Stream.binomial, [trials, p], [trials.numpy(), p.numpy()], before)


@pytest.mark.parametrize("dtype, n", [(torch.float32, 1_000_005), (torch.float64, 200_005)])
@pytest.mark.parametrize("name", [name for name in CONTINUOUS if "normal" in name or "uniform" in name])
def test_large_fills(name, dtype, n):
    compare(*CONTINUOUS[name], [torch.empty(n, dtype=dtype)], [n, DTYPES[dtype]])


def test_bounds_so_close_that_rounding_meets_them():
    theirs = torch.empty(1_000_000)
    compare(torch.Tensor.uniform_, Stream.uniform, [theirs, 1, 1.0000003], [1_000_000, np.dtype("f4"), 1, 1.0000003])


VIEWS = {
    "transposed": lambda x: x.swapaxes(0, 2),
    "sliced": lambda x: x[::2, 1:, ::3],
    "permuted": lambda x: x.swapaxes(0, 2).swapaxes(0, 1),
    "row": lambda x: x[1],
    "column": lambda x: x[:, :, 1],
    "with an axis of one": lambda x: x[:, 1:2, ::2],
}


def fill_ours(stream, array, view):
    target = VIEWS[view](array)
    fill(target, stream.normal(target.size, target.dtype, adjacent=target.flags.c_contiguous))
    first = target.copy()
    fill(target, stream.uniform(target.size, target.dtype))
    return np.stack([first, target])


def fill_theirs(tensor, view):
    target = VIEWS[view](tensor)
    return torch.stack([target.normal_().clone(), target.uniform_()])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("view", VIEWS)
def test_fills_of_views(view, dtype):
    theirs, ours = torch.zeros(6, 7, 8, dtype=dtype), np.zeros((6, 7, 8), DTYPES[dtype])
    compare(fill_theirs, fill_ours, [theirs, view], [ours, view])
    assert np.array_equal(ours, to_numpy(theirs))


@pytest.mark.parametrize("before", [0, 1, 623, 624, 625, 20_000])
def test_states_pass_between_the_two(before):
    torch.manual_seed(5)
    torch.rand(before)
    torch.randn(3)
    stream = Stream(0)
    stream.set_state(torch.get_rng_state().numpy())
    assert stream.initial_seed() == 5
    assert np.array_equal(stream.normal(5), torch.randn(5).numpy())
    stream.uniform(1000, FLOAT64)
    torch.set_rng_state(torch.from_numpy(stream.get_state()))
    assert np.array_equal(stream.normal(50), torch.randn(50).numpy())
    assert np.array_equal(stream.get_state(), torch.get_rng_state().numpy())


def test_pytorch_has_no_second_generator():
    """Where PyTorch is built with MKL it could draw from MKL's MCG31m1, as it once did on Intel's processors."""
    folder = Path(torch.__file__).parent / "lib"
    library = next((path for path in folder.iterdir() if "torch_cpu." in path.name and path.suffix != ".lib"), None)
    if library is None or not torch.backends.mkl.is_available():
        pytest.skip("this build of PyTorch has no MKL to draw from")
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as code:
        assert code.find(b"vsLn") >= 0, "MKL's functions are not to be found by name, so that nothing can be said"
        assert code.find(b"vslNewStream") < 0
