"""The engine in bulk gives NumPy's words, and what is made of them is what the stream makes one by one."""

import numpy as np
import pytest

from wengert.kernels import choices
from wengert.kernels.cpu import mersenne
from wengert.kernels.random import Stream, unit_float64


def engines(seed):
    """Two engines in one state, at the end of a block, as seeding leaves them."""
    first, second = np.random.MT19937(0), np.random.MT19937(0)
    np.random.RandomState(first).seed(seed)
    second.state = first.state
    return first, second


@pytest.mark.parametrize("blocks", [1, 2, 50])
def test_the_words_are_those_of_numpy_and_go_on_from_there(blocks):
    ours, numpys = engines(blocks)
    out = np.empty(624 * blocks, np.uint32)
    mersenne.words(ours, out)
    np.testing.assert_array_equal(out, numpys.random_raw(out.size))
    np.testing.assert_array_equal(ours.random_raw(1000), numpys.random_raw(1000))


def test_an_engine_within_a_block_is_refused():
    ours, _ = engines(1)
    ours.random_raw(3)
    with pytest.raises(ValueError, match="within a block"):
        mersenne.words(ours, np.empty(624, np.uint32))


@pytest.mark.parametrize("p", [0.0, 2.0**-53, 0.1, 0.25, 1 / 3, 0.9999999999999999, 1.0])
@pytest.mark.parametrize("count", [1, 7, 8, 9, 31200])
def test_truths_are_uniforms_below_the_probability(p, count):
    ours, numpys = engines(3)
    out = np.empty(624 * 100, np.uint32)
    mersenne.words(ours, out)
    words = numpys.random_raw(out.size)
    expected = unit_float64(words[0::2], words[1::2])[:count] < p
    np.testing.assert_array_equal(mersenne.bernoulli(out[: 2 * count], p), expected)


@pytest.mark.parametrize("count", [8_191, 8_192, 16_383, 16_384, 40_000])
def test_a_stream_goes_on_the_same_whoever_makes_its_words(count, monkeypatch):
    """Uniforms and truths, before and after a large draw, by the fast kernels and without them."""

    def drawn(fast):
        monkeypatch.setattr(choices.state, "active", fast)
        stream = Stream(count)
        few = stream.uniform(5)
        many = stream.bernoulli(count, 0.3), stream.uniform(count), stream.uniform(count, np.dtype(np.float64))
        return [few, *many, stream.normal(20), stream.get_state()]

    for ours, reference in zip(drawn(True), drawn(False)):
        np.testing.assert_array_equal(ours, reference)


@pytest.mark.parametrize("count", [1, 15, 16, 17, 1000])
@pytest.mark.parametrize("span", [1, 2, 3, 10, 255, 65_537, (1 << 28) - 1])
def test_remainders_are_exact(span, count):
    words = np.random.default_rng(span).integers(0, 1 << 32, count, np.uint32)
    words[: count // 2] -= words[: count // 2] % np.uint32(span)  # where an inverse is off by one if at all
    words[: count // 4] -= words[: count // 4] > 0
    np.testing.assert_array_equal(mersenne.remainders(words, span, -3), words.astype(np.int64) % span - 3)
