"""The Mersenne Twister in bulk: many renewals of its 624 words, a vector of words at a time.

The words are those of `numpy.random.MT19937` and of PyTorch (Matsumoto and Nishimura 1998), bit for bit; only the
number of them that a draw asks for decides whether they are made here (`wengert.kernels.random`).
"""

import ctypes
from functools import cache

import numpy as np

from wengert.kernels.cpu import native
from wengert.kernels.cpu.function import Function, module

WORDS, AHEAD = 624, 397  # of a state, and how far ahead the recurrence looks


class Words(Function):
    """A function on vectors of 32-bit words."""

    def __init__(self, name, parameters, lanes, internal=False):
        super().__init__(name, parameters, lanes, internal)
        self.vector = f"<{lanes} x i32>"

    def both(self, operation, a, b):
        b = b if isinstance(b, str) else f"splat (i32 {b})"
        return self.op(f"{operation} {self.vector} {a}, {b}")

    def renewed(self, here, after, ahead):
        """The recurrence: the top bit of one word and the rest of the next, divided by x, and the word ahead."""
        joined = self.both("or", self.both("and", here, -0x80000000), self.both("and", after, 0x7FFFFFFF))
        odd = self.both("sub", "zeroinitializer", self.both("and", joined, 1))
        change = self.both("and", odd, 0x9908B0DF - (1 << 32))
        return self.both("xor", self.both("xor", self.both("lshr", joined, 1), change), ahead)

    def tempered(self, word):
        word = self.both("xor", word, self.both("lshr", word, 11))
        word = self.both("xor", word, self.both("and", self.both("shl", word, 7), 0x9D2C5680 - (1 << 32)))
        word = self.both("xor", word, self.both("and", self.both("shl", word, 15), 0xEFC60000 - (1 << 32)))
        return self.both("xor", word, self.both("lshr", word, 18))


def renewal_function(lanes):
    """``words(state, out, blocks)``: renew the state so many times and write each, tempered, to `out`."""
    f = Words("@@words", "ptr state, ptr out, i64 blocks", lanes)
    with f.loop(0, "%blocks") as block:
        out = f.at("%out", f.mul(block, WORDS))
        # A vector reads `lanes` words ahead of those it writes: the parts of the state are cut so that what it reads is
        # old where it must be old and new where it must be new, and what is left over is done word by word.
        for start, end, step in ((0, WORDS - AHEAD, AHEAD), (WORDS - AHEAD, WORDS - 1, AHEAD - WORDS)):
            whole = start + (end - start) // lanes * lanes
            for first, last, width in ((start, whole, lanes), (whole, end, 1)):
                f.vector = f"<{width} x i32>"
                with f.loop(first, last, width) as i:
                    place = f.at("%state", i)
                    word = f.renewed(f.load(place), f.load(f.at(place, 1)), f.load(f.at(place, step)))
                    f.store(word, place)
        f.vector = "<1 x i32>"
        place = f.at("%state", WORDS - 1)
        word = f.renewed(f.load(place), f.load("%state"), f.load(f.at("%state", AHEAD - 1)))
        f.store(word, place)
        f.vector = f"<{lanes} x i32>"
        with f.loop(0, WORDS, lanes) as i:
            f.store(f.tempered(f.load(f.at("%state", i))), f.at(out, i))
    return f


def below_function(lanes):
    """``below(words, limit, out, count)``: whether the low 53 bits of each pair of words, high half first, are less."""
    f = Function("@@below", "ptr words, i64 limit, ptr out, i64 count", lanes, internal=False)
    half = lanes // 2

    def some(width, start, end):
        wide = f"<{width} x i64>"
        one = f.op(f"insertelement {wide} poison, i64 %limit, i64 0")
        limit = f.op(f"shufflevector {wide} {one}, {wide} poison, <{width} x i32> zeroinitializer")
        with f.loop(start, end, width) as i:
            pair = f.load(f.at("%words", f.mul(i, 2)), wide)
            high = f.op(f"shl {wide} {f.op(f'and {wide} {pair}, splat (i64 2097151)')}, splat (i64 32)")
            number = f.op(f"or {wide} {high}, {f.op(f'lshr {wide} {pair}, splat (i64 32)')}")
            less = f.op(f"icmp ult {wide} {number}, {limit}")
            place = f.op(f"getelementptr i8, ptr %out, i64 {i}")
            f.do(f"store <{width} x i8> {f.op(f'zext <{width} x i1> {less} to <{width} x i8>')}, ptr {place}, align 1")

    whole = f.mul(f.div("%count", half), half)
    some(half, 0, whole)
    some(1, whole, "%count")
    return f


def remainder_function(lanes):
    """``remainders(words, span, low, out, count)``: each word modulo `span`, plus `low`.

    A word by the inverse of `span` in float64 is the quotient or one beside it; the remainder tells which.
    """
    f = Function("@@remainders", "ptr words, i64 span, i64 low, ptr out, i64 count", lanes, internal=False)
    real = f.op(f"fdiv double 1.0, {f.op('uitofp i64 %span to double')}")

    def some(width, start, end):
        wide, reals = f"<{width} x i64>", f"<{width} x double>"

        def every(kind, element, x):
            one = f.op(f"insertelement {kind} poison, {element} {x}, i64 0")
            return f.op(f"shufflevector {kind} {one}, {kind} poison, <{width} x i32> zeroinitializer")

        span, low, inverse = every(wide, "i64", "%span"), every(wide, "i64", "%low"), every(reals, "double", real)
        with f.loop(start, end, width) as i:
            short = f.load(f.at("%words", i), f"<{width} x i32>")
            word = f.op(f"zext <{width} x i32> {short} to {wide}")
            quotient = f.op(f"fmul {reals} {f.op(f'uitofp <{width} x i32> {short} to {reals}')}, {inverse}")
            whole = f.op(f"fptosi {reals} {quotient} to {wide}")
            rest = f.op(f"sub {wide} {word}, {f.op(f'mul {wide} {whole}, {span}')}")
            for wrong, mended in (("slt", "add"), ("sge", "sub")):
                bound = "zeroinitializer" if wrong == "slt" else span
                beyond = f.op(f"icmp {wrong} {wide} {rest}, {bound}")
                other = f.op(f"{mended} {wide} {rest}, {span}")
                rest = f.op(f"select <{width} x i1> {beyond}, {wide} {other}, {wide} {rest}")
            place = f.op(f"getelementptr i64, ptr %out, i64 {i}")
            f.store(f.op(f"add {wide} {rest}, {low}"), place, wide)

    whole = f.mul(f.div("%count", lanes), lanes)
    some(lanes, 0, whole)
    some(1, whole, "%count")
    return f


def shuffle_function():
    """``shuffle(items, words, count)``: swap each of the `count` items in turn with one of those from it on."""
    f = Function("@@shuffle", "ptr items, ptr words, i64 count", 1, internal=False)
    with f.loop(0, f.sub("%count", 1)) as i:
        left = f.op(f"trunc i64 {f.sub('%count', i)} to i32")
        pick = f.op(f"urem i32 {f.load(f.at('%words', i), 'i32')}, {left}")
        here = f.op(f"getelementptr i64, ptr %items, i64 {i}")
        there = f.op(f"getelementptr i64, ptr {here}, i64 {f.op(f'zext i32 {pick} to i64')}")
        mine, other = f.load(here, "i64"), f.load(there, "i64")
        f.store(mine, there, "i64")
        f.store(other, here, "i64")
    return f


@cache
def compiled():
    """The four functions, to be called with addresses."""
    lanes = native.target().vector_bytes // 4
    functions = [renewal_function(lanes), below_function(lanes), shuffle_function(), remainder_function(lanes)]
    found = native.compile_text(module(functions), ["words", "below", "shuffle", "remainders"])
    pointer, count = ctypes.c_void_p, ctypes.c_int64
    words = ctypes.CFUNCTYPE(None, pointer, pointer, count)(found["words"])
    below = ctypes.CFUNCTYPE(None, pointer, count, pointer, count)(found["below"])
    shuffle = ctypes.CFUNCTYPE(None, pointer, pointer, count)(found["shuffle"])
    remainders = ctypes.CFUNCTYPE(None, pointer, count, count, pointer, count)(found["remainders"])
    return words, below, shuffle, remainders


def words(engine, out):
    """Fill `out` (uint32, whole blocks of 624) with the next words of `engine`, and return it.

    Raises ValueError if the engine doesn't stand at the end of a block.
    """
    state = engine.state
    key = state["state"]["key"]  # a copy of NumPy's
    if state["state"]["pos"] != WORDS:
        raise ValueError("the engine stands within a block")
    compiled()[0](key.ctypes.data, out.ctypes.data, out.size // WORDS)
    engine.state = state
    return out


def bernoulli(words, p):
    """Whether the float64 uniform of each pair of `words` (uint32) is below `p` (bool)."""
    out = np.empty(words.size // 2, np.bool_)
    limit = min(1 << 53, -int(-(p * 2**53) // 1))
    compiled()[1](words.ctypes.data, limit, out.ctypes.data, out.size)
    return out


def remainders(words, span, low):
    """Each of `words` (uint32) modulo `span`, below 2³², plus `low` (int64)."""
    out = np.empty(words.size, np.int64)
    compiled()[3](words.ctypes.data, span, low, out.ctypes.data, out.size)
    return out


def shuffled(words):
    """The numbers 0 … n-1 after Fisher and Yates' shuffle by n-1 `words` (uint32)."""
    items = np.arange(len(words) + 1)
    compiled()[2](items.ctypes.data, words.ctypes.data, len(items))
    return items
