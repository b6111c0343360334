"""PyTorch's CPU random stream on NumPy's Mersenne Twister, word for word.

PyTorch and NumPy run the same engine (MT19937, Matsumoto and Nishimura 1998) and differ only in what they make of its
32-bit words.  This module takes the words from ``numpy.random.MT19937`` and makes of them what PyTorch makes, so that
one seed gives one model in both libraries:

* a float32 uniform is the low 24 bits of one word, a float64 uniform the low 53 bits of two (first the high half);
* 16 or more normals that lie next to each other in memory are made in groups of 16 by Box and Muller's method (1958):
  eight radii, eight angles, eight cosines, eight sines.  A last group that is not full is drawn anew and laid over the
  end.  Fewer normals, or scattered ones, are made one by one in float64, and the unused sine waits for the next draw;
* an integer below ``r`` is a word modulo ``r`` (two words from ``r = 2**28``);
* every other distribution is a function of those uniforms.

PyTorch fills a tensor in the order of its memory, not of its indices: `fill` does the same.

PyTorch 2.13 does not use MKL's generators, as it once did on Intel's processors, so that none of this depends on the
processor's maker (docs/randomness.md tells the story).  One thing depends on its age: float32 normals are computed with
AVX2 polynomials where the processor has AVX2 (every x86 one since 2015), and `box_muller_float32` repeats those
polynomials, fused multiply-adds included, to the last bit.

Engine words are drawn ahead of need, a block of 624 first (the engine's own period of renewal), up to 16 blocks at a
time later.  What the words drawn ahead would give as uniforms or as polar coordinates is computed once for all of them
and handed out in slices; this makes a small draw cheap.
"""

import math
import os
import struct
from collections.abc import Callable, Iterator

import ml_dtypes
import numpy as np

from wengert.kernels import choices

BLOCK = 624
"""Words in one renewal of the engine's state."""

CHUNK = 16 * BLOCK
"""Words handled at a time, and drawn ahead at most: the arrays in flight stay in the second-level cache."""

LARGE = 4096
"""A draw of more numbers is computed by itself, not taken from a table of all words drawn ahead."""

DEFAULT_SEED = 67280421310721
"""PyTorch's seed for a generator that nobody has seeded."""

STATE_BYTES = 5056

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOAT16 = np.dtype(np.float16)
FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)
INT64 = np.dtype(np.int64)

SIGNIFICAND_BITS = {FLOAT64: 53, FLOAT32: 24, FLOAT16: 11, BFLOAT16: 8}
"""Bits of precision, the leading one counted: the integers up to ``2**bits`` are exact."""

Shape = int | tuple[int, ...]


# --- numbers from words -----------------------------------------------------------------------------------------------


def temper(key: np.ndarray) -> np.ndarray:
    """The words (uint64) that the engine gives out for its 624 words of state."""
    word = key.astype(np.uint64)
    word ^= word >> 11
    word ^= (word << 7) & 0x9D2C5680
    word ^= (word << 15) & 0xEFC60000
    word ^= word >> 18
    return word


def untemper(words: np.ndarray) -> np.ndarray:
    """The words of the engine's state (uint64) that gave out `words`."""
    word = words ^ (words >> 18)
    word ^= (word << 15) & 0xEFC60000
    unknown = word
    for _ in range(4):  # each round makes seven more bits right
        unknown = word ^ ((unknown << 7) & 0x9D2C5680)
    return unknown ^ (unknown >> 11) ^ (unknown >> 22)


def unit_float32(words: np.ndarray) -> np.ndarray:
    """Uniforms in [0, 1) of the low 24 bits of each word."""
    low = words.astype(np.uint32)
    low &= 0xFFFFFF
    # Signed to float has a vector instruction everywhere, unsigned to float only in AVX-512.
    unit = low.view(np.int32).astype(np.float32)
    unit *= np.float32(2.0**-24)
    return unit


def unit_float64(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Uniforms in [0, 1) of the low 53 bits of each pair of words."""
    joined = high & np.uint64(0x1FFFFF)
    joined <<= np.uint64(32)
    joined |= low
    unit = joined.view(np.int64).astype(np.float64)
    unit *= 2.0**-53
    return unit


def cast(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Values in `dtype`; to a 16-bit float by way of float32, rounding twice, as PyTorch's C++ conversions do."""
    if values.dtype == dtype:
        return values
    if dtype.itemsize == 2 and dtype.kind not in "iu":
        values = values.astype(np.float32, copy=False)
    return values.astype(dtype)


def libm(function: Callable[[float], float], values: np.ndarray) -> np.ndarray:
    """`function` of the ``math`` module on each of the float64 `values`.

    NumPy's vector versions differ from the C library's, which PyTorch calls, in the last bit of about one float64 in a
    hundred.  That bit is lost in all narrower dtypes, so they take the vector version.
    """
    return np.fromiter(map(function, values.tolist()), np.float64, len(values))


def fused_multiply_add(a: np.ndarray, b: float, c: float) -> np.ndarray:
    """``a * b + c`` rounded once to the dtype of `a`, where `b` and `c` are constants of that dtype."""
    if c == 0.0:
        return a * a.dtype.type(b)
    if math.frexp(b)[0] in (0.5, -0.5):  # a power of two: the product is exact
        return a * a.dtype.type(b) + a.dtype.type(c)
    if a.dtype == FLOAT32:
        # The product of two float32 is exact in float64.
        return (a.astype(np.float64) * float(np.float32(b)) + float(np.float32(c))).astype(np.float32)
    # Dekker's product and Knuth's sum (1971, 1969): each gives its rounding error as a second number.
    product = a * b
    split_a, split_b = a * 134217729.0, b * 134217729.0
    a_high, b_high = split_a - (split_a - a), split_b - (split_b - b)
    a_low, b_low = a - a_high, b - b_high
    product_error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    total = product + c
    part = total - product
    total_error = (product - (total - part)) + (c - part)
    return total + (total_error + product_error)


# --- Box and Muller's method, float32 ---------------------------------------------------------------------------------
#
# Moshier's single-precision logf, sinf and cosf (Cephes, 1992) as PyTorch compiles them: every product that is followed
# by a sum is fused with it, that is, rounded once.  A fused float32 operation is computed here in float64, where the
# product is exact, and rounded to float32 afterwards.


def _float32(*constants: float) -> tuple[float, ...]:
    return tuple(float(np.float32(constant)) for constant in constants)


LOG_POLYNOMIAL = _float32(
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
    -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
SIN_POLYNOMIAL = _float32(-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
COS_POLYNOMIAL = _float32(2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
LOG_2_LOW, LOG_2_HIGH = _float32(-2.12194440e-4, 0.693359375)
QUARTER_PI_PARTS = _float32(0.78515625, 2.4187564849853515625e-4, 3.77489497744594108e-8)
SQRT_HALF = np.float32(math.sqrt(0.5))
TWO_PI = np.float32(2 * math.pi)
FOUR_OVER_PI = np.float32(4 / math.pi)


def _round_to_float32(wide: np.ndarray, narrow: np.ndarray) -> None:
    """Rounds a float64 array in place, leaving the same values in the float32 array `narrow`."""
    np.copyto(narrow, wide, casting="same_kind")
    np.copyto(wide, narrow)


def _horner(x: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    """A polynomial by Horner's rule, each step fused; `x` holds float32 values in float64, the result is float32."""
    narrow = np.empty(x.shape, np.float32)
    value = x * coefficients[0]
    for coefficient in coefficients[1:-1]:
        value += coefficient
        _round_to_float32(value, narrow)
        value *= x
    value += coefficients[-1]
    return value.astype(np.float32)


def radius_float32(unit: np.ndarray) -> np.ndarray:
    """Box and Muller's radius ``sqrt(-2 log(1 - unit))`` for float32 uniforms in [0, 1)."""
    bits = (np.float32(1) - unit).view(np.int32)
    exponent = (bits >> 23) - 126
    bits &= 0x7FFFFF
    bits |= 0x3F000000
    x = bits.view(np.float32)  # the significand, in [1/2, 1)
    small = x < SQRT_HALF
    exponent -= small
    x += x * small
    x -= np.float32(1)

    wide_x, square = x.astype(np.float64), x * x
    wide_e, wide_square = exponent.astype(np.float64), square.astype(np.float64)
    narrow = np.empty_like(x)
    log = (_horner(wide_x, LOG_POLYNOMIAL) * x).astype(np.float64)
    log *= wide_square
    log += (wide_e * LOG_2_LOW).astype(np.float32)
    _round_to_float32(log, narrow)
    wide_square *= 0.5
    log -= wide_square
    np.copyto(narrow, log, casting="same_kind")
    x += narrow
    wide_e *= LOG_2_HIGH
    wide_e += x
    np.copyto(x, wide_e, casting="same_kind")
    x *= np.float32(-2)
    return np.sqrt(x, out=x)


def sin_cos_float32(unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sine and cosine of ``2 pi unit`` for float32 uniforms in [0, 1)."""
    theta = unit * TWO_PI
    octant = (theta * FOUR_OVER_PI).astype(np.int32)
    octant += 1
    octant &= ~1
    wide_octant, x, narrow = octant.astype(np.float64), theta.astype(np.float64), np.empty_like(theta)
    for part in QUARTER_PI_PARTS:  # the angle less its multiple of pi/4, pi/4 in three pieces
        x -= wide_octant * part
        _round_to_float32(x, narrow)
    narrow_square = narrow * narrow
    square = narrow_square.astype(np.float64)

    cos = (_horner(square, COS_POLYNOMIAL) * narrow_square).astype(np.float64)
    cos *= square
    square_half = square * 0.5
    cos -= square_half
    narrow_cos = cos.astype(np.float32)
    narrow_cos += np.float32(1)

    sin = (_horner(square, SIN_POLYNOMIAL) * narrow_square).astype(np.float64)
    sin *= x
    sin += x
    narrow_sin = sin.astype(np.float32)

    swapped = (octant & 2).astype(bool)
    sine, cosine = np.where(swapped, narrow_cos, narrow_sin), np.where(swapped, narrow_sin, narrow_cos)
    sine.view(np.int32)[...] ^= (octant & 4) << 29  # the sign bit
    octant += 2
    octant &= 4
    octant <<= 29
    cosine.view(np.int32)[...] ^= octant
    return sine, cosine


def box_muller_float32(u1: np.ndarray, u2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays of independent standard normals of two arrays of float32 uniforms in [0, 1)."""
    radius = radius_float32(u1)
    sine, cosine = sin_cos_float32(u2)
    cosine *= radius
    sine *= radius
    return cosine, sine


def box_muller_float64(u1: np.ndarray, u2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays of independent standard normals of two arrays of float64 uniforms in [0, 1)."""
    radius = np.sqrt(-2.0 * libm(math.log, (1.0 - u1).ravel()).reshape(u1.shape))
    theta = (2.0 * math.pi) * u2
    return radius * np.cos(theta), radius * np.sin(theta)


def box_muller_in_groups(units: np.ndarray) -> None:
    """Turns uniforms into standard normals in place, each group of 16 by itself; the length is a multiple of 16."""
    if choices.offered("random.box_muller_in_groups", units.size, units) is not None:
        return
    transform = box_muller_float32 if units.dtype == FLOAT32 else box_muller_float64
    groups = units.reshape(-1, 2, 8)
    for start in range(0, len(groups), 1024):
        group = groups[start : start + 1024]
        group[:, 0], group[:, 1] = transform(group[:, 0], group[:, 1])


# --- permutations -----------------------------------------------------------------------------------------------------


def swap_in_turn(targets: np.ndarray) -> np.ndarray:
    """The array 0, 1, 2, … after swapping, for each i in turn, the items at i and at ``targets[i] >= i``.

    This is the loop of Fisher and Yates' shuffle without the loop.  The item that step i fetches from position t was
    put there by the last earlier step with the same target, or was there from the start; and what that step j put there
    is what lay at j when its turn came, which again was put there by the last step before j with target j.  So items
    are found by following such links to their root, all at once, by pointer doubling.
    """
    n = len(targets)
    ordered = targets << 32
    ordered |= np.arange(n)
    ordered.sort()
    step, target = ordered & 0xFFFFFFFF, ordered >> 32  # by target, and for one target by time
    before = np.append(step[:1], step[:-1])
    repeated = np.append(False, target[1:] == target[:-1])

    came_from = np.arange(n)
    came_from[target] = step  # of several values for one place, the last remains
    # A step that swaps an item with itself puts nothing there: the step before it with that target did.
    idle = np.flatnonzero(step == target)
    came_from[step[idle]] = np.where(repeated[idle], before[idle], step[idle])
    while True:
        further = came_from.take(came_from)
        if np.array_equal(further, came_from):
            break
        came_from = further

    items = np.empty(n, np.int64)
    items[step] = np.where(repeated, came_from.take(before), target)
    return items


# --- order of filling -------------------------------------------------------------------------------------------------


def memory_order(array: np.ndarray) -> list[int]:
    """The dimensions of `array` by falling stride: in this order, its C order is the order of memory."""
    return sorted(range(array.ndim), key=lambda axis: -array.strides[axis])


def fill(array: np.ndarray, values: np.ndarray) -> None:
    """Writes flat `values` into `array` in the order in which PyTorch visits its elements."""
    target = array if array.flags.c_contiguous else array.transpose(memory_order(array))
    target[...] = values.reshape(target.shape)


# --- the stream -------------------------------------------------------------------------------------------------------


class Stream:
    """A stream of random numbers, equal to that of ``torch.Generator("cpu")`` with the same seed.

    Every method that draws advances the stream as PyTorch's function of that name does, so that draws may be mixed.
    Methods return fresh C-contiguous arrays; `shape` is an int or a tuple.  A stream is not locked: its owner is to
    see that two threads do not draw at once.
    """

    __slots__ = (
        "_engine", "_fresh", "_polar", "_position", "_seed", "_seeder", "_spare",
        "_unit32", "_unit64", "_unit64_list", "_words",
    )  # fmt: skip

    def __init__(self, seed: int = DEFAULT_SEED) -> None:
        self._engine = np.random.MT19937(0)
        self._seeder = np.random.RandomState(self._engine)
        self.manual_seed(seed)

    # Seeds and states

    def manual_seed(self, seed: int) -> None:
        """Starts the stream anew; the engine sees the low 32 bits of a seed from ``-2**63`` to ``2**64 - 1``."""
        if not -(2**63) <= seed < 2**64:
            raise ValueError("Overflow when unpacking long long")
        self._seed = seed % 2**64
        self._seeder.seed(self._seed & 0xFFFFFFFF)
        self._spare: float | None = None
        # PyTorch starts with a block that counts as spent: the first draw renews the engine.
        self._hold(temper(self._engine.state["state"]["key"]), position=BLOCK)
        self._fresh = True

    def seed(self) -> int:
        """Starts the stream anew from the operating system's entropy, and returns the seed (64 bits)."""
        seed = int.from_bytes(os.urandom(8), "little")
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        """The seed last given, as an unsigned 64-bit number."""
        return self._seed

    def get_state(self) -> np.ndarray:
        """The state as 5056 bytes in PyTorch's layout (uint8): ``torch.Generator.set_state`` takes them.

        The layout: seed, words left before renewal plus one, a one, words used, the engine's 624 words as 64-bit
        numbers, then the normal that waits (its second number) and whether one does.
        """
        used = self._position - self._block_start()
        left = BLOCK + 1 - used
        head = struct.pack("<QiiQ", self._seed, left, 1, 0 if self._fresh else used)
        block = self._words[self._block_start() : self._block_start() + BLOCK]
        key = untemper(block).astype("<u8").tobytes()
        waits = self._spare is not None
        tail = struct.pack("<dddi4xfi", 0.0, self._spare if waits else 0.0, 0.0, waits, 0.0, 0)
        return np.frombuffer(bytearray(head + key + tail), np.uint8)

    def set_state(self, state: np.ndarray) -> None:
        """Continues from a state of `get_state` or of ``torch.get_rng_state()`` (uint8, 5056 bytes)."""
        if state.dtype != np.uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        if state.size != STATE_BYTES:
            raise RuntimeError(
                f"Expected a CPUGeneratorImplState of size {STATE_BYTES} but found the input RNG state size to be "
                f"{state.size}"
            )
        data = state.tobytes()
        seed, left, seeded, used = struct.unpack_from("<QiiQ", data)
        renewal_due = left == 1 and used <= BLOCK
        if seeded != 1 or not (renewal_due or left + used == BLOCK + 1):
            raise RuntimeError("Invalid mt19937 state")
        key = np.frombuffer(data, "<u8", BLOCK, 24).astype(np.uint32)
        _, normal, _, waits = struct.unpack_from("<dddi", data, 24 + 8 * BLOCK)
        self._engine.state = {"bit_generator": "MT19937", "state": {"key": key, "pos": BLOCK}}
        self._seed = seed
        self._spare = normal if waits else None
        self._hold(temper(key), position=BLOCK if renewal_due else used)
        self._fresh = used == 0 and renewal_due

    # Words

    def _hold(self, words: np.ndarray, position: int) -> None:
        """Takes `words`, whole blocks, as those drawn ahead, of which `position` have been given out."""
        self._words = words
        self._position = position
        self._fresh = False
        self._unit32 = self._unit64 = self._unit64_list = self._polar = None

    def _draw_ahead(self) -> None:
        """Draws blocks ahead: twice as many as the last time, so that a stream of few words stays cheap."""
        self._hold(self._engine.random_raw(min(2 * len(self._words), CHUNK) if not self._fresh else BLOCK), position=0)

    def _block_start(self) -> int:
        """Where in the words drawn ahead the block begins that the last word given out belongs to."""
        return max(self._position - 1, 0) // BLOCK * BLOCK

    def _runs(self, count: int) -> Iterator[tuple[int, np.ndarray]]:
        """The next `count` words in runs, each with its offset: what was drawn ahead, whole blocks, part of a block."""
        offset = min(count, len(self._words) - self._position)
        if offset:
            start, self._position = self._position, self._position + offset
            yield 0, self._words[start : start + offset]
        while count - offset >= BLOCK:
            words = self._engine.random_raw(min((count - offset) // BLOCK * BLOCK, CHUNK))
            self._hold(words, position=len(words))
            yield offset, words
            offset += len(words)
        if offset < count:
            self._draw_ahead()
            self._position = count - offset
            yield offset, self._words[: count - offset]

    def words(self, count: int) -> np.ndarray:
        """The next `count` 32-bit words of the engine, as uint64 (read only)."""
        start = self._position
        end = start + count
        if end <= len(self._words):
            self._position = end
            return self._words[start:end]
        words = np.empty(count, np.uint64)
        for offset, run in self._runs(count):
            words[offset : offset + len(run)] = run
        return words

    def words64(self, count: int) -> np.ndarray:
        """The next `count` 64-bit words (uint64), each of two words of the engine, the high half first."""
        words = self.words(2 * count)
        joined = words[0::2] << np.uint64(32)
        joined |= words[1::2]
        return joined

    def _bulk(self, count: int) -> np.ndarray | None:
        """The next `count` words as uint32, where a fast kernel makes many at a time; else None, and none are drawn."""
        ahead = self._words[self._position :]
        missing = count - len(ahead)
        if missing <= 0:
            return None
        words = np.empty(len(ahead) + -(-missing // BLOCK) * BLOCK, np.uint32)
        if choices.offered("random.words", missing, self._engine, words[len(ahead) :]) is None:
            return None
        words[: len(ahead)] = ahead
        self._hold(words[-BLOCK:].astype(np.uint64), position=BLOCK - (len(words) - count))
        return words[:count]

    # Uniforms in [0, 1)

    def unit32(self, count: int) -> np.ndarray:
        """The next `count` float32 uniforms in [0, 1); flat, and not to be written to (it may be part of a table)."""
        start = self._position
        end = start + count
        if end <= len(self._words):
            self._position = end
            table = self._unit32
            if table is None:
                if count > LARGE:
                    return unit_float32(self._words[start:end])
                table = self._unit32 = unit_float32(self._words)
            return table[start:end]
        words = self._bulk(count)
        if words is not None:
            return unit_float32(words)
        units = np.empty(count, np.float32)
        for offset, run in self._runs(count):
            units[offset : offset + len(run)] = unit_float32(run)
        return units

    def unit64(self, count: int) -> np.ndarray:
        """The next `count` float64 uniforms in [0, 1); flat, and not to be written to (it may be part of a table)."""
        start = self._position
        end = start + 2 * count
        if end <= len(self._words):
            self._position = end
            table = self._unit64
            if table is None:
                words = self._words
                if count > LARGE:
                    return unit_float64(words[start:end:2], words[start + 1 : end : 2])
                table = self._unit64 = unit_float64(words[:-1], words[1:])
            return table[start:end:2]
        words = self._bulk(2 * count)
        if words is not None:
            return unit_float64(words[0::2].astype(np.uint64), words[1::2])
        units = np.empty(count, np.float64)
        for start in range(0, count, CHUNK // 2):
            words = self.words(2 * min(count - start, CHUNK // 2))
            units[start : start + CHUNK // 2] = unit_float64(words[0::2], words[1::2])
        return units

    def next_unit64(self) -> float:
        """The next float64 uniform in [0, 1)."""
        start = self._position
        if start > len(self._words) - 2:
            return float(self.unit64(1)[0])
        table = self._unit64_list
        if table is None:
            table = self._unit64_list = unit_float64(self._words[:-1], self._words[1:]).tolist()
        self._position = start + 2
        return table[start]

    # Normals

    def next_normal(self) -> float:
        """The next standard normal of the one-by-one method, in float64."""
        spare = self._spare
        if spare is not None:
            self._spare = None
            return spare
        theta = 2.0 * math.pi * self.next_unit64()
        radius = math.sqrt(-2.0 * math.log1p(-self.next_unit64()))
        self._spare = radius * math.sin(theta)
        return radius * math.cos(theta)

    def _few_normals(self, count: int) -> list[float]:
        start = self._position
        pairs = count // 2
        table = self._unit64_list
        if table is None or self._spare is not None or start + 4 * pairs > len(table):
            return [self.next_normal() for _ in range(count)]
        normals = []
        for place in range(start, start + 4 * pairs, 4):  # next_normal without its calls
            theta = 2.0 * math.pi * table[place]
            radius = math.sqrt(-2.0 * math.log1p(-table[place + 2]))
            normals.append(radius * math.cos(theta))
            normals.append(radius * math.sin(theta))
        self._position = start + 4 * pairs
        if count % 2:
            normals.append(self.next_normal())
        return normals

    def normals_one_by_one(self, count: int, dtype: np.dtype) -> np.ndarray:
        """The next `count` standard normals of the one-by-one method, in float64 though meant for `dtype`."""
        if count < 64:
            return np.array(self._few_normals(count), np.float64)
        normals = np.empty(count + 2, np.float64)
        first = 0
        if self._spare is not None:
            normals[0], self._spare, first = self._spare, None, 1
        pairs = (count - first + 1) // 2
        units = self.unit64(2 * pairs)
        inverted = -units[1::2]
        radius = np.sqrt(-2.0 * (libm(math.log1p, inverted) if dtype == FLOAT64 else np.log1p(inverted)))
        theta = (2.0 * math.pi) * units[0::2]
        normals[first : first + 2 * pairs : 2] = radius * np.cos(theta)
        normals[first + 1 : first + 2 * pairs : 2] = radius * np.sin(theta)
        if first + 2 * pairs > count:
            # The state that PyTorch would show, to the last bit.
            self._spare = math.sqrt(-2.0 * math.log1p(inverted[-1])) * math.sin(theta[-1])
        return normals[:count]

    def _polar32(self, count: int) -> np.ndarray:
        """What each of the next `count` words gives as a radius, and as an angle's cosine and sine: three rows."""
        if self._position == len(self._words):
            self._draw_ahead()
        if self._polar is None:
            units = unit_float32(self._words)
            sine, cosine = sin_cos_float32(units)
            self._polar = np.stack((radius_float32(units), cosine, sine))
        start = self._position
        end = min(start + count, len(self._words))
        self._position = end
        polar = self._polar[:, start:end]
        if end - start == count:
            return polar
        return np.concatenate((polar, self._polar32(count - (end - start))), axis=1)

    def _small_normals32(self, count: int, drawn: int) -> np.ndarray:
        """Standard normals in groups of 16, from the table; `drawn` words go to the groups that are full."""
        full = count - count % 16
        polar = self._polar32(drawn + 16 if count > full else drawn)
        normals = np.empty(count, np.float32)
        groups = polar[:, :full].reshape(3, -1, 2, 8)
        np.multiply(groups[1:, :, 1], groups[0, :, 0], out=normals[:full].reshape(-1, 2, 8).transpose(1, 0, 2))
        if count > full:
            np.multiply(polar[1:, drawn + 8 :], polar[0, drawn : drawn + 8], out=normals[-16:].reshape(2, 8))
        return normals

    def normals_in_groups(self, count: int, dtype: np.dtype) -> np.ndarray:
        """The next `count >= 16` standard normals in groups of 16: float64 for float64, float32 for other dtypes."""
        full = count - count % 16
        # For 16-bit floats PyTorch draws the full groups only, for the wide ones also what the tail overwrites.
        drawn = full if dtype.itemsize == 2 else count
        if dtype == FLOAT64:
            uniforms = self.unit64
        elif drawn <= LARGE:
            return self._small_normals32(count, drawn)
        else:
            uniforms = self.unit32
        normals = np.empty(count, FLOAT64 if dtype == FLOAT64 else FLOAT32)
        normals[:drawn] = uniforms(drawn)
        box_muller_in_groups(normals[:full])
        if count > full:
            normals[-16:] = uniforms(16)
            box_muller_in_groups(normals[-16:])
        return normals

    # Distributions

    def uniform(self, shape: Shape, dtype: np.dtype = FLOAT32, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        """Uniforms in [low, high) in a floating dtype."""
        count = shape if type(shape) is int else math.prod(shape)
        standard = low == 0.0 and high == 1.0
        units = self.unit64(count) if dtype == FLOAT64 else self.unit32(count)
        if standard and units.dtype == dtype:
            # A slice of a table is copied: it would keep the whole table alive.
            return units.reshape(shape) if units.base is None else units.reshape(shape).copy()
        if not standard:
            bounds = units.dtype.type
            units = fused_multiply_add(units, bounds(high) - bounds(low), bounds(low))
        values = cast(units, dtype)
        # Rounding may reach the upper end, which is not in the interval: PyTorch gives the lower end instead.
        np.putmask(values, values == dtype.type(high), dtype.type(low))
        return values.reshape(shape)

    def normal(
        self, shape: Shape, dtype: np.dtype = FLOAT32, mean: float = 0.0, std: float = 1.0, adjacent: bool = True
    ) -> np.ndarray:
        """Normals in a floating dtype; `adjacent` says that they are meant for a contiguous tensor (see the module)."""
        count = shape if type(shape) is int else math.prod(shape)
        if count >= 16 and adjacent:
            normals = self.normals_in_groups(count, dtype)
        else:
            normals = self.normals_one_by_one(count, dtype)
        if mean != 0.0 or std != 1.0:
            normals = fused_multiply_add(normals, std, mean)
        return cast(normals, dtype).reshape(shape)

    def random_bits(self, shape: Shape, dtype: np.dtype = INT64) -> np.ndarray:
        """What ``Tensor.random_()`` gives: integers up to the dtype's largest, or the largest exact one of a float."""
        count = shape if type(shape) is int else math.prod(shape)
        words = self.words64(count) if dtype.itemsize == 8 else self.words(count)
        if dtype.kind == "b":
            values = words & np.uint64(1)
        elif dtype.kind in "iu":
            values = words & np.uint64(np.iinfo(dtype).max)
        else:
            values = words % np.uint64(2 ** SIGNIFICAND_BITS[dtype] + 1)
        return cast(values, dtype).reshape(shape)

    def integers(self, shape: Shape, low: int, high: int | None, dtype: np.dtype = INT64) -> np.ndarray:
        """Integers in [low, high), or with ``high=None`` in [low, 2**63), in any dtype that can hold them."""
        count = shape if type(shape) is int else math.prod(shape)
        span = (2**63 if high is None else high) - low
        if span >= 2**64:
            values = self.words64(count).view(np.int64)
        elif span >= 2**28:
            values = (self.words64(count) % np.uint64(span)).view(np.int64) + np.int64(low)
        else:
            words = self._bulk(count)
            if words is not None:
                values = choices.offered("random.remainders", count, words, span, low)
                if values is not None:
                    return cast(values, dtype).reshape(shape)
            words = self.words(count) if words is None else words
            if count < 512:
                values = (words % np.uint64(span)).view(np.int64)
            else:
                # NumPy divides by a constant with vector instructions, but takes remainders one by one.
                words = words.astype(np.uint32)
                words -= words // np.uint32(span) * np.uint32(span)
                values = words.astype(np.int64)
            if low:
                values += low
        return cast(values, dtype).reshape(shape)

    def permutation(self, n: int, dtype: np.dtype = INT64) -> np.ndarray:
        """The numbers 0 … n-1 in random order."""
        if n < 2:
            return np.arange(n).astype(dtype)
        short = n < 0xFFFFFFFF // 20  # one word is enough for PyTorch to pick an item with
        words = self._bulk(n - 1) if short else None
        if words is not None:
            items = choices.offered("random.shuffled", n, words)
            if items is not None:
                return items.astype(dtype, copy=False)
            words = words.astype(np.uint64)
        if words is None:
            words = self.words(n - 1) if short else self.words64(n - 1)
        left = np.arange(n, 1, -1, dtype=np.uint64)
        picks = words % left
        if n > 256:
            picks = np.append(picks, np.uint64(0)).view(np.int64)
            picks += np.arange(n)
            return swap_in_turn(picks).astype(dtype, copy=False)
        items = list(range(n))
        for i, pick in enumerate(picks.tolist()):
            j = i + pick
            items[i], items[j] = items[j], items[i]
        return np.array(items, dtype)

    def bernoulli(self, shape: Shape, p: float, dtype: np.dtype = FLOAT32) -> np.ndarray:
        """Ones with probability `p`, zeros otherwise, in any dtype."""
        count = shape if type(shape) is int else math.prod(shape)
        words = self._bulk(2 * count)
        below = None if words is None else choices.offered("random.bernoulli", 2 * count, words, p)
        if below is None:
            units = self.unit64(count) if words is None else unit_float64(words[0::2].astype(np.uint64), words[1::2])
            below = units < p
        return below.astype(dtype, copy=False).reshape(shape)

    def bernoulli_each(self, p: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Ones with the probabilities in the array `p` (float64 draws for float64, float32 draws for other dtypes)."""
        units = self.unit64(p.size) if p.dtype == FLOAT64 else self.unit32(p.size)
        return (units.reshape(p.shape) < p).astype(dtype)

    def exponential(self, shape: Shape, dtype: np.dtype = FLOAT32, rate: float = 1.0) -> np.ndarray:
        """Waiting times of a process with `rate` events per unit of time."""
        count = shape if type(shape) is int else math.prod(shape)
        inverted = -self.unit64(count)
        logs = libm(math.log1p, inverted) if dtype == FLOAT64 else np.log1p(inverted)
        return cast(-1.0 / rate * logs, dtype).reshape(shape)

    def cauchy(self, shape: Shape, dtype: np.dtype = FLOAT32, median: float = 0.0, sigma: float = 1.0) -> np.ndarray:
        """Cauchy's distribution around `median`."""
        count = shape if type(shape) is int else math.prod(shape)
        angles = math.pi * (self.unit64(count) - 0.5)
        values = libm(math.tan, angles) if dtype == FLOAT64 else np.tan(angles)
        return cast(fused_multiply_add(values, sigma, median), dtype).reshape(shape)

    def log_normal(self, shape: Shape, dtype: np.dtype = FLOAT32, mean: float = 1.0, std: float = 2.0) -> np.ndarray:
        """Exponentials of normals with `mean` and `std`, always of the one-by-one method."""
        count = shape if type(shape) is int else math.prod(shape)
        normals = fused_multiply_add(self.normals_one_by_one(count, dtype), std, mean)
        with np.errstate(over="ignore"):
            return cast(libm(_exp, normals) if dtype == FLOAT64 else np.exp(normals), dtype).reshape(shape)

    def geometric(self, shape: Shape, p: float, dtype: np.dtype = FLOAT32) -> np.ndarray:
        """Number of trials, the first success counted, each with probability `p`."""
        count = shape if type(shape) is int else math.prod(shape)
        with np.errstate(divide="ignore"):
            return cast(np.ceil(np.log(self.unit64(count)) / math.log(1.0 - p)), dtype).reshape(shape)

    def multinomial(self, p: np.ndarray, count: int, replacement: bool) -> np.ndarray:
        """Draws `count` categories (int64) for each row of the weights `p` (floating, 1-d or 2-d)."""
        if replacement and count > 1:
            return self._multinomial_with_replacement(p, count)
        # A race: the category whose waiting time, its weight being its rate, is shortest comes first (Efraimidis and
        # Spirakis 2006, in the form of Gumbel's maximum).
        times = self.exponential(p.shape, p.dtype)
        with np.errstate(divide="ignore", invalid="ignore"):
            speeds = p / times
        if count == 1:
            return speeds.argmax(-1)[..., None]
        return np.argsort(-speeds, axis=-1, kind="stable")[..., :count]

    def _multinomial_with_replacement(self, p: np.ndarray, count: int) -> np.ndarray:
        rows = p.reshape(-1, p.shape[-1])
        cumulative = np.cumsum(rows, axis=1, dtype=np.float64 if p.dtype == FLOAT64 else np.float32)
        cumulative /= cumulative[:, -1:]
        cumulative[:, -1] = 1
        units = self.unit64(len(rows) * count).reshape(len(rows), count)
        picks = [np.searchsorted(c, u) for c, u in zip(cumulative.astype(np.float64), units, strict=True)]
        return np.array(picks, np.int64).reshape(*p.shape[:-1], count)

    def poisson(self, rate: np.ndarray) -> np.ndarray:
        """Numbers of events at each of the rates, in their dtype."""
        return self._each(sample_poisson, rate)

    def standard_gamma(self, alpha: np.ndarray) -> np.ndarray:
        """Gamma variates of scale 1 for each of the shapes `alpha`, in their dtype."""
        single = alpha.dtype == FLOAT32
        samples = self._each(sample_gamma_float32 if single else sample_gamma_float64, alpha)
        return np.maximum(samples, np.finfo(alpha.dtype).tiny)

    def dirichlet(self, alpha: np.ndarray) -> np.ndarray:
        """Points of the simplex, one for each row of the concentrations `alpha`, in their dtype."""
        gamma = self._each(sample_gamma_float64, alpha.astype(np.float64))
        share = (gamma / gamma.sum(-1, keepdims=True)).astype(alpha.dtype)
        one = alpha.dtype.type(1)
        return np.clip(share, np.finfo(alpha.dtype).tiny, np.nextafter(one, one - one))

    def binomial(self, trials: np.ndarray, p: np.ndarray) -> np.ndarray:
        """Numbers of successes among `trials`, each with probability `p` (arrays of one shape and floating dtype)."""
        samples = [sample_binomial(self, n, q) for n, q in zip(trials.ravel(), p.ravel(), strict=True)]
        return np.array(samples, trials.dtype).reshape(trials.shape)

    def _each(self, sample: Callable[["Stream", float], float], parameters: np.ndarray) -> np.ndarray:
        values = np.array([sample(self, value) for value in parameters.ravel().tolist()], np.float64)
        return cast(values, parameters.dtype).reshape(parameters.shape)


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


# --- distributions by rejection ---------------------------------------------------------------------------------------
#
# How many words a sample takes depends on the words, so these run one sample after the other.


def sample_poisson(stream: Stream, rate: float) -> float:
    """One Poisson variate: Hörmann's transformed rejection PTRS (1993), below rate 10 Knuth's product of uniforms."""
    if not rate >= 0:
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    if rate == 0:
        return 0.0
    uniform = stream.next_unit64
    if rate < 10:
        limit, product, events = math.exp(-rate), uniform(), 0
        while product > limit:
            product *= uniform()
            events += 1
        return float(events)
    log_rate = math.log(rate)
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    v_r = 0.9277 - 3.6224 / (b - 2)
    while True:
        u = uniform() - 0.5
        v = uniform()
        us = 0.5 - abs(u)
        k = math.floor((2 * a / us + b) * u + rate + 0.43) if us else -1
        if us >= 0.07 and v <= v_r:
            return float(k)
        if k < 0 or (us < 0.013 and v > us):
            continue
        height = (math.log(v) if v else -math.inf) + math.log(inverse_alpha) - math.log(a / (us * us) + b)
        if height <= -rate + k * log_rate - math.lgamma(k + 1):
            return float(k)


def sample_gamma_float64(stream: Stream, alpha: float) -> float:
    """One gamma variate by the method of Marsaglia and Tsang (2000), for a float64 shape parameter."""
    return _sample_gamma(stream, alpha, 1.0 / alpha if alpha else 0.0, float)


def sample_gamma_float32(stream: Stream, alpha: float) -> float:
    """The same for a float32 shape parameter, whose own arithmetic PyTorch does in float32."""
    return _sample_gamma(stream, alpha, float(np.float32(1) / np.float32(alpha)) if alpha else 0.0, np.float32)


THIRD, SQUEEZE = _float32(1 / 3, 0.0331)


def _sample_gamma(stream: Stream, alpha: float, inverse: float, rounded: Callable[[float], float]) -> float:
    uniform = stream.next_unit64
    scale = 1.0
    if alpha < 1:
        if alpha == 0:
            return 0.0
        scale = (1 - uniform()) ** inverse
        alpha = rounded(alpha + 1.0)
    d = float(rounded(alpha - THIRD))
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        y = 0.0
        while y <= 0:
            x = stream.next_normal()
            y = 1.0 + c * x
        v = y * y * y
        u = 1 - uniform()
        square = x * x
        if u < 1.0 - SQUEEZE * square * square or math.log(u) < 0.5 * square + d * (1.0 - v + math.log(v)):
            return scale * d * v


def sample_binomial(stream: Stream, trials: np.floating, p: np.floating) -> float:
    """One binomial variate: Hörmann's transformed rejection BTRS (1993) or, for a mean below 10, counting geometrics.

    The parameters keep their dtype, because PyTorch's arithmetic on them is done in it.
    """
    if trials <= 0 or p <= 0:
        return 0.0
    if p >= 1:
        return float(trials)
    if math.isnan(p):
        return math.nan
    q = p if p <= 0.5 else type(p)(1.0 - float(p))
    successes = _binomial_rejection(stream, trials, q) if trials * q >= 10 else _binomial_counting(stream, trials, q)
    return successes if p <= 0.5 else float(trials) - successes


def _binomial_counting(stream: Stream, trials: np.floating, p: np.floating) -> float:
    log_failure = float(type(p)(math.log1p(-float(p))))
    count, position, successes = float(trials), 0.0, 0
    while True:
        u = stream.next_unit64()
        position += math.ceil(math.log(u) / log_failure) if u else math.inf
        if position > count:
            return float(successes)
        successes += 1


STIRLING_TAILS = (
    0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509, 0.0166446911898211,
    0.0138761288230707, 0.0118967099458917, 0.0104112652619720, 0.00925546218271273, 0.00833056343336287,
)  # fmt: skip


def _stirling_tail(k: float) -> float:
    """What Stirling's formula leaves of ``log k!``."""
    if k < len(STIRLING_TAILS):
        return STIRLING_TAILS[int(k)]
    square = (k + 1) * (k + 1)
    return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1)


def _binomial_rejection(stream: Stream, trials: np.floating, p: np.floating) -> float:
    one = type(p)(1)
    spread = float(np.sqrt(trials * p * (one - p)))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * float(p)
    c = float(trials * p) + 0.5
    v_r = 0.92 - 4.2 / b
    odds = float(p / (one - p))
    alpha = (2.83 + 5.1 / b) * spread
    mode = float(np.floor((trials + one) * p))
    n = float(trials)
    while True:
        u = stream.next_unit64() - 0.5
        v = stream.next_unit64()
        us = 0.5 - abs(u)
        k = math.floor((2 * a / us + b) * u + c) if us else -1
        if k < 0 or k > n:
            continue
        if us >= 0.07 and v <= v_r:
            return float(k)
        height = math.log(v * alpha / (a / (us * us) + b)) if v else -math.inf
        bound = (
            (mode + 0.5) * math.log((mode + 1) / (odds * (n - mode + 1)))
            + (n + 1) * math.log((n - mode + 1) / (n - k + 1))
            + (k + 0.5) * math.log(odds * (n - k + 1) / (k + 1))
            + _stirling_tail(mode) + _stirling_tail(n - mode) - _stirling_tail(k) - _stirling_tail(n - k)
        )  # fmt: skip
        if height <= bound:
            return float(k)
