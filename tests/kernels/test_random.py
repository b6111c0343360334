"""The random stream: the words of the engine, the recorded figures of PyTorch 2.13, and what must hold among draws.

Where a hash of bytes is expected, the bytes were recorded from PyTorch 2.13 on an x86 processor with AVX2.
"""

import hashlib
import math
import struct
from fractions import Fraction

import numpy as np
import pytest

from wengert.kernels import random
from wengert.kernels.random import BFLOAT16, BLOCK, FLOAT16, FLOAT32, FLOAT64, INT64, Stream

FLOATS = [FLOAT32, FLOAT64, FLOAT16, BFLOAT16]
INTEGERS = [np.dtype(name) for name in ("int64", "int32", "int16", "int8", "uint8")]


def engine_words(seed, count):
    engine = np.random.MT19937(0)
    np.random.RandomState(engine).seed(seed)
    return engine.random_raw(count)


def digest(array):
    return hashlib.sha256(array.tobytes()).hexdigest()[:16]


# --- words and uniforms -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cuts", [(1, 1, 1), (600, 23, 2), (624, 624, 1), (3, 20000, 5), (9984, 1, 9984), (0, 700, 0)])
def test_words_are_the_engines_however_they_are_asked_for(cuts):
    stream = Stream(5)
    drawn = np.concatenate([stream.words(count).copy() for count in cuts])
    assert np.array_equal(drawn, engine_words(5, sum(cuts)))


@pytest.mark.parametrize(
    "seed, low_bits", [(0, 0), (-1, 2**32 - 1), (2**32 + 5, 5), (2**64 - 1, 2**32 - 1), (-(2**63), 0)]
)
def test_the_engine_sees_the_low_32_bits_of_the_seed(seed, low_bits):
    stream = Stream(seed)
    assert stream.initial_seed() == seed % 2**64
    assert np.array_equal(stream.words(3), engine_words(low_bits, 3))


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1])
def test_a_seed_beyond_64_bits_is_refused(seed):
    with pytest.raises(ValueError, match="Overflow"):
        Stream(0).manual_seed(seed)


def test_seed_draws_a_seed_that_can_be_given_again():
    stream = Stream(0)
    seed = stream.seed()
    assert 0 <= seed == stream.initial_seed() < 2**64
    assert np.array_equal(stream.uniform(5), Stream(seed).uniform(5))


def test_a_float32_uniform_is_the_low_24_bits_of_a_word():
    assert np.array_equal(Stream(3).uniform(9), (engine_words(3, 9) % 2**24 / 2**24).astype(np.float32))


def test_a_float64_uniform_is_the_low_53_bits_of_two_words():
    words = [int(word) for word in engine_words(3, 18)]
    expected = [((high << 32 | low) % 2**53) / 2**53 for high, low in zip(words[::2], words[1::2], strict=True)]
    assert Stream(3).uniform(9, FLOAT64).tolist() == expected


@pytest.mark.parametrize("dtype", FLOATS)
def test_many_small_draws_equal_one_large_draw(dtype):
    small, large = Stream(11), Stream(11)
    drawn = np.concatenate([small.uniform(count, dtype) for count in (1, 2, 300, 17, 5000, 11000, 3)])
    assert np.array_equal(drawn, large.uniform(16323, dtype))
    assert np.array_equal(small.get_state(), large.get_state())


def test_a_draw_owns_its_memory():
    stream = Stream(0)
    for draw in (
        stream.uniform(3),
        stream.uniform(3, FLOAT64),
        stream.uniform((2, 2), FLOAT32, -1, 1),
        stream.normal(20),
    ):
        draw[...] = 0
    assert not (stream.uniform(600) == 0).any()


@pytest.mark.parametrize("dtype", FLOATS)
def test_uniforms_keep_within_their_bounds_when_rounded(dtype):
    high = dtype.type(1)
    for low, upper in ((0.0, 1.0), (1.0, 1.0078125), (-3.0, 5.0)):
        values = Stream(0).uniform(20000, dtype, low, upper)
        assert (values >= dtype.type(low)).all() and (values < dtype.type(upper)).all()
    assert (Stream(0).uniform(9, dtype, 1.0, 1.0) == high).all()


# --- recorded figures -------------------------------------------------------------------------------------------------


def test_the_first_numbers_after_seed_0():
    stream = Stream(0)
    assert stream.uniform(4).tolist() == [
        0.49625658988952637, 0.7682217955589294, 0.08847743272781372, 0.13203048706054688
    ]  # fmt: skip
    assert stream.normal(4).tolist() == [
        -2.1787893772125244, 0.5684312582015991, -1.0845223665237427, -1.3985954523086548
    ]  # fmt: skip
    assert stream.normal(17)[[0, 1, 8, 15, 16]].tolist() == [
        -0.08853142708539963, 0.8743818402290344, 0.4396958351135254, 0.05250748619437218, 0.5228604674339294
    ]  # fmt: skip


def test_the_first_numbers_after_seed_minus_1():
    stream = Stream(-1)
    assert stream.uniform(2, FLOAT64).tolist() == [0.9503951604874923, 0.5600645841090078]
    assert stream.integers(6, 0, 1000).tolist() == [820, 800, 942, 114, 329, 32]
    assert stream.integers(2, 0, 2**40).tolist() == [547627168379, 1042369230955]
    assert stream.permutation(8).tolist() == [3, 0, 5, 6, 1, 7, 2, 4]


def test_the_first_numbers_of_the_other_distributions():
    stream = Stream(2**40 + 7)
    weights = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    assert stream.bernoulli(8, 0.5).tolist() == [1, 1, 0, 0, 0, 0, 1, 0]
    assert stream.exponential(2, FLOAT64, 2.0).tolist() == pytest.approx(
        [0.7199391621480451, 0.7122208578679312], rel=1e-15
    )
    assert stream.cauchy(2, FLOAT64).tolist() == pytest.approx([-4.984675931845143, -5.470049852591657], rel=1e-15)
    assert stream.log_normal(2, FLOAT64, 0, 1).tolist() == pytest.approx(
        [1.1471998917159172, 1.271943605460152], rel=1e-15
    )
    assert stream.geometric(4, 0.2).tolist() == [10, 1, 20, 1]
    assert stream.multinomial(weights, 6, replacement=True).tolist() == [1, 3, 3, 3, 3, 2]
    assert stream.multinomial(weights, 4, replacement=False).tolist() == [3, 1, 2, 0]
    assert stream.poisson(np.array([0.5, 5, 50, 500], np.float32)).tolist() == [0, 6, 43, 516]
    assert stream.standard_gamma(np.array([0.5, 5])).tolist() == pytest.approx(
        [0.7300126590406454, 3.5745994971997357], rel=1e-15
    )
    trials, p = np.array([10, 1000], np.float32), np.array([0.3, 0.6], np.float32)
    assert stream.binomial(trials, p).tolist() == [3, 584]


def test_a_hundred_thousand_float32_normals_to_the_bit():
    stream = Stream(1)
    assert digest(stream.normal(100_000)) == "2ca236e63bb6433d"
    stream.normal(1000, FLOAT64)
    assert digest(stream.get_state()) == "3a2d93afc00f9d2e"


def test_the_second_permutation_of_a_thousand():
    stream = Stream(7)
    stream.permutation(1000)
    assert stream.permutation(1000)[:6].tolist() == [521, 964, 149, 126, 950, 844]


# --- normals ----------------------------------------------------------------------------------------------------------


def normals_one_by_one(seed, count):
    words = [int(word) for word in engine_words(seed, 4 * ((count + 1) // 2))]
    units = [((high << 32 | low) % 2**53) / 2**53 for high, low in zip(words[::2], words[1::2], strict=True)]
    for u1, u2 in zip(units[::2], units[1::2], strict=True):
        radius, theta = math.sqrt(-2 * math.log1p(-u2)), 2 * math.pi * u1
        yield from (radius * math.cos(theta), radius * math.sin(theta))


@pytest.mark.parametrize("count", [1, 2, 15])
def test_few_normals_are_made_one_by_one(count):
    assert Stream(9).normal(count, FLOAT64).tolist() == list(normals_one_by_one(9, count))[:count]


@pytest.mark.parametrize("count", [16, 63, 64, 65, 1001])
def test_scattered_normals_are_made_one_by_one(count):
    drawn = Stream(9).normal(count, FLOAT64, adjacent=False)
    assert drawn.tolist() == list(normals_one_by_one(9, count))[:count]


def test_the_unused_second_normal_waits_for_the_next_draw():
    odd, whole = Stream(4), Stream(4)
    pieces = [odd.normal(count, FLOAT64, adjacent=False) for count in (3, 101, 1, 70, 1)]
    assert np.array_equal(np.concatenate(pieces), whole.normal(176, FLOAT64, adjacent=False))
    assert np.array_equal(odd.get_state(), whole.get_state())


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("count", [16, 17, 31, 32, 640, 4096, 4099, 20001])
def test_many_normals_are_made_in_groups_of_16_and_the_tail_anew(count, dtype):
    stream, words = Stream(2), Stream(2)
    full = count - count % 16
    drawn = full if dtype.itemsize == 2 else count
    wide = np.float64 if dtype == FLOAT64 else np.float32
    uniforms = words.uniform(drawn, np.dtype(wide)).astype(np.float64)

    def box_muller(groups):
        radius, theta = np.sqrt(-2 * np.log1p(-groups[:, :8])), 2 * np.pi * groups[:, 8:]
        return np.concatenate([radius * np.cos(theta), radius * np.sin(theta)], axis=1).ravel()

    expected = np.empty(count)
    expected[:full] = box_muller(uniforms[:full].reshape(-1, 16))
    if count % 16:
        expected[-16:] = box_muller(words.uniform(16, np.dtype(wide)).astype(np.float64).reshape(1, 16))
    resolution = {2: 2**-8, 4: 1e-6, 8: 1e-14}[dtype.itemsize]
    drawn = stream.normal(count, dtype).astype(np.float64)
    assert np.abs(drawn - expected).max() < resolution * 6
    assert np.array_equal(stream.get_state(), words.get_state())


def test_polynomials_agree_with_the_functions_they_stand_for():
    units = (np.arange(0, 2**24, 997) / 2**24).astype(np.float32)
    sine, cosine = random.sin_cos_float32(units)
    turns = 2 * np.pi * units.astype(np.float64)
    assert np.abs(random.radius_float32(units) - np.sqrt(-2 * np.log1p(-units.astype(np.float64)))).max() < 5e-7
    assert max(np.abs(sine - np.sin(turns)).max(), np.abs(cosine - np.cos(turns)).max()) < 5e-7


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64])
def test_mean_and_spread_are_applied_with_one_rounding(dtype):
    standard = Stream(6).normal(500, dtype)
    std, mean = dtype.type(1.3), dtype.type(-0.7)
    exact = [Fraction(float(x)) * Fraction(float(std)) + Fraction(float(mean)) for x in standard]
    drawn = Stream(6).normal(500, dtype, float(mean), float(std))
    nearest = np.array([float(x) for x in exact]).astype(dtype)
    assert (drawn == nearest).mean() > 0.999


# --- integers and permutations ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("low, high", [(0, 2), (0, 100), (-5, 7), (-100, 28)])
def test_integers_are_words_modulo_the_range(low, high, dtype):
    if low < np.iinfo(dtype).min:
        low, high = 0, high - low
    drawn = Stream(8).integers((5, 10), low, high, dtype)
    assert drawn.dtype == dtype and drawn.shape == (5, 10)
    assert np.array_equal(drawn.ravel(), (engine_words(8, 50) % np.uint64(high - low)).astype(np.int64) + low)


@pytest.mark.parametrize("low, high", [(0, 2**28), (-(2**62), 2**62 + 9), (-(2**63), 2**63 - 1)])
def test_wide_ranges_take_two_words(low, high):
    words = [int(word) for word in engine_words(8, 20)]
    expected = [
        low + (first << 32 | second) % (high - low) for first, second in zip(words[::2], words[1::2], strict=True)
    ]
    assert Stream(8).integers(10, low, high).tolist() == expected


def test_the_range_below_wide_takes_one_word():
    assert Stream(8).integers(3, 0, 2**28 - 1).tolist() == (engine_words(8, 3) % np.uint64(2**28 - 1)).tolist()


def test_all_64_bits():
    words = engine_words(8, 4).tolist()
    expected = [(words[0] << 32 | words[1]), (words[2] << 32 | words[3])]
    drawn = Stream(8).integers(2, -(2**63), None)
    assert drawn.dtype == INT64 and [int(x) % 2**64 for x in drawn] == expected


@pytest.mark.parametrize("dtype, largest", [
    (np.dtype(bool), 1), (np.dtype("uint8"), 255), (np.dtype("int8"), 127), (np.dtype("int16"), 2**15 - 1),
    (np.dtype("int32"), 2**31 - 1), (FLOAT16, 2**11), (BFLOAT16, 2**8), (FLOAT32, 2**24),
])  # fmt: skip
def test_random_bits_reach_up_to_the_largest_exact_integer(dtype, largest):
    drawn = Stream(1).random_bits(20, dtype)
    assert drawn.dtype == dtype
    assert drawn.astype(np.float64).tolist() == (engine_words(1, 20) % np.uint64(largest + 1)).tolist()


@pytest.mark.parametrize("n", [0, 1, 2, 3, 50, 256, 257, 258, 1000, 30000])
def test_a_permutation_is_fisher_and_yates_shuffle(n):
    words = engine_words(13, n).tolist()
    expected = list(range(n))
    for i in range(n - 1):
        j = i + words[i] % (n - i)
        expected[i], expected[j] = expected[j], expected[i]
    assert Stream(13).permutation(n).tolist() == expected


@pytest.mark.parametrize("seed", range(40))
def test_swaps_without_a_loop(seed):
    generator = np.random.default_rng(seed)
    n = int(generator.integers(1, 60))
    reach = int(generator.integers(1, 60))
    targets = np.minimum(np.arange(n) + generator.integers(0, reach, n), n - 1)
    expected = list(range(n))
    for i, j in enumerate(targets):
        expected[i], expected[j] = expected[j], expected[i]
    assert random.swap_in_turn(targets).tolist() == expected


# --- the other distributions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS, np.dtype(bool)])
def test_bernoulli_compares_float64_uniforms(dtype):
    drawn = Stream(3).bernoulli((3, 4), 0.3, dtype)
    assert drawn.dtype == dtype
    assert np.array_equal(drawn.astype(bool).ravel(), Stream(3).uniform(12, FLOAT64) < 0.3)


@pytest.mark.parametrize("dtype", FLOATS)
def test_bernoulli_of_an_array_compares_uniforms_of_its_width(dtype):
    p = np.linspace(0, 1, 12).reshape(3, 4).astype(dtype)
    uniforms = Stream(3).uniform((3, 4), FLOAT64 if dtype == FLOAT64 else FLOAT32)
    assert np.array_equal(Stream(3).bernoulli_each(p, dtype).astype(bool), uniforms < p.astype(np.float64))


MOMENTS = {
    "exponential": (lambda s: s.exponential(40000, FLOAT64, 2.0), 0.5, 0.25),
    "geometric": (lambda s: s.geometric(40000, 0.25, FLOAT64), 4.0, 12.0),
    "log_normal": (
        lambda s: s.log_normal(40000, FLOAT64, 0.0, 0.5),
        math.exp(0.125),
        (math.exp(0.25) - 1) * math.exp(0.25),
    ),
    "poisson 3": (lambda s: s.poisson(np.full(20000, 3.0)), 3.0, 3.0),
    "poisson 40": (lambda s: s.poisson(np.full(20000, 40.0)), 40.0, 40.0),
    "gamma 0.5": (lambda s: s.standard_gamma(np.full(20000, 0.5)), 0.5, 0.5),
    "gamma 7": (lambda s: s.standard_gamma(np.full(20000, 7.0)), 7.0, 7.0),
    "binomial 10": (lambda s: s.binomial(np.full(20000, 10.0), np.full(20000, 0.4)), 4.0, 2.4),
    "binomial 100": (lambda s: s.binomial(np.full(20000, 100.0), np.full(20000, 0.7)), 70.0, 21.0),
    "dirichlet": (lambda s: s.dirichlet(np.full((20000, 2), [1.0, 3.0]))[:, 0], 0.25, 0.25 * 0.75 / 5),
    "normal": (lambda s: s.normal(40000, FLOAT64, 3.0, 2.0), 3.0, 4.0),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_mean_and_variance(name):
    draw, mean, variance = MOMENTS[name]
    values = draw(Stream(0))
    # Five standard errors; the variance's own error is at most that of a kurtosis of 30.
    assert abs(values.mean() - mean) < 5 * math.sqrt(variance / len(values))
    assert abs(values.var() - variance) < 5 * variance * math.sqrt(30 / len(values))


def test_cauchy_quartiles():
    assert np.quantile(Stream(0).cauchy(40000, FLOAT32, 2.0, 3.0), [0.25, 0.5, 0.75]) == pytest.approx(
        [-1, 2, 5], abs=0.15
    )


def test_multinomial_with_replacement_follows_the_weights_row_by_row():
    weights = np.array([[0, 1, 3], [2, 0, 2]], np.float32)
    picks = Stream(0).multinomial(weights, 8000, replacement=True)
    shares = np.stack([np.bincount(row, minlength=3) for row in picks]) / 8000
    assert picks.dtype == INT64 and np.abs(shares - [[0, 0.25, 0.75], [0.5, 0, 0.5]]).max() < 0.03


def test_multinomial_without_replacement_takes_each_category_once():
    picks = Stream(0).multinomial(np.full((50, 6), 1.0), 6, replacement=False)
    assert (np.sort(picks, axis=1) == np.arange(6)).all()
    assert (Stream(0).multinomial(np.array([0.0, 0.0, 1.0]), 1, replacement=False) == [2]).all()


def test_degenerate_parameters():
    stream = Stream(0)
    assert stream.poisson(np.zeros(3)).tolist() == [0, 0, 0]
    assert stream.binomial(np.array([5.0, 5.0, 0.0]), np.array([0.0, 1.0, 0.5])).tolist() == [0, 5, 0]
    assert stream.standard_gamma(np.zeros(2, np.float32)).tolist() == [float(np.finfo(np.float32).tiny)] * 2
    with pytest.raises(RuntimeError, match="invalid Poisson rate"):
        stream.poisson(np.array([-1.0]))


# --- states -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [0, 1, 623, 624, 625, 5000, 9984, 40000])
def test_a_state_continues_where_it_was_taken(before):
    stream, other = Stream(3), Stream(99)
    stream.uniform(before)
    stream.normal(3)
    state = stream.get_state()
    assert state.dtype == np.uint8 and state.shape == (5056,)
    expected = [stream.normal(5), stream.uniform(700), stream.normal(20, FLOAT64)]
    other.set_state(state)
    assert np.array_equal(other.get_state(), state) and other.initial_seed() == 3
    for draw, again in zip(expected, [other.normal(5), other.uniform(700), other.normal(20, FLOAT64)], strict=True):
        assert np.array_equal(draw, again)


def test_the_layout_of_a_state():
    stream = Stream(17)
    assert struct.unpack_from("<QiiQ", stream.get_state()) == (17, 1, 1, 0)
    stream.uniform(3)
    assert struct.unpack_from("<QiiQ", stream.get_state()) == (17, BLOCK + 1 - 3, 1, 3)
    stream.uniform(BLOCK - 3)
    assert struct.unpack_from("<QiiQ", stream.get_state()) == (17, 1, 1, BLOCK)
    key = np.frombuffer(stream.get_state(), "<u8", BLOCK, 24)
    engine = np.random.MT19937(0)
    np.random.RandomState(engine).seed(17)
    engine.random_raw(1)
    assert np.array_equal(key, engine.state["state"]["key"])


def test_tempering_is_undone():
    key = engine_words(0, BLOCK)
    assert np.array_equal(random.untemper(random.temper(key)), key)


def test_what_is_no_state_is_refused():
    stream = Stream(0)
    with pytest.raises(TypeError, match=r"must be a torch\.ByteTensor"):
        stream.set_state(np.zeros(5056))
    with pytest.raises(RuntimeError, match="size 5056 but found the input RNG state size to be 10"):
        stream.set_state(np.zeros(10, np.uint8))
    with pytest.raises(RuntimeError, match="Invalid mt19937 state"):
        stream.set_state(np.zeros(5056, np.uint8))


# --- order of filling -------------------------------------------------------------------------------------------------


def test_fill_follows_memory():
    base = np.zeros((2, 3, 4))
    random.fill(base.transpose(2, 0, 1), np.arange(24.0))
    assert np.array_equal(base.ravel(), np.arange(24))


def test_fill_of_a_slice_follows_its_strides():
    base = np.zeros((4, 6))
    random.fill(base[::2, 1::2].T, np.arange(1.0, 7.0))
    assert np.array_equal(base[::2, 1::2], [[1, 2, 3], [4, 5, 6]])
    assert base.sum() == 21
