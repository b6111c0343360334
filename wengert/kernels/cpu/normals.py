"""Box and Muller's normals in single precision, to the last bit those of `wengert.kernels.random.box_muller_float32`.

There each fused multiplication and addition is computed in float64 and rounded; here it is one instruction. All
operations are written one by one, so that none is fused that should not be.
"""

import ctypes
from functools import cache

import numpy as np

from wengert.kernels import random
from wengert.kernels.cpu import native, threads
from wengert.kernels.cpu.function import Function, module

LANES = 8  # a group of 16 uniforms is eight for the radii and eight for the angles
EACH = 512  # groups of a task
WHOLE = f"<{LANES} x i32>"


class Exact(Function):
    """A function whose sums and products are rounded each by itself."""

    def plus(self, a, b):
        return self.op(f"fadd {self.vector} {a}, {b}")

    def minus(self, a, b):
        return self.op(f"fsub {self.vector} {a}, {b}")

    def product(self, a, b):
        return self.op(f"fmul {self.vector} {a}, {b}")

    def whole(self, operation, a, b):
        b = b if isinstance(b, str) else f"splat (i32 {b})"
        return self.op(f"{operation} {WHOLE} {a}, {b}")

    def bits(self, x):
        return self.op(f"bitcast {self.vector} {x} to {WHOLE}")

    def of_bits(self, x):
        return self.op(f"bitcast {WHOLE} {x} to {self.vector}")

    def floating(self, x):
        return self.op(f"sitofp {WHOLE} {x} to {self.vector}")

    def choose(self, condition, a, b):
        return self.op(f"select {self.mask} {condition}, {self.vector} {a}, {self.vector} {b}")

    def polynomial(self, x, coefficients):
        """By Horner's rule, each step fused."""
        first, *rest = map(self.number, coefficients)
        value = first
        for coefficient in rest:
            value = self.fused(x, value, coefficient)
        return value


def radius(f, unit):
    """sqrt(-2 log(1 - unit))."""
    bits = f.bits(f.minus(f.number(1), unit))
    exponent = f.whole("sub", f.whole("ashr", bits, 23), 126)
    x = f.of_bits(f.whole("or", f.whole("and", bits, 0x7FFFFF), 0x3F000000))
    small = f.op(f"fcmp olt {f.vector} {x}, {f.number(random.SQRT_HALF)}")
    exponent = f.floating(f.op(f"add {WHOLE} {exponent}, {f.op(f'sext {f.mask} {small} to {WHOLE}')}"))
    x = f.minus(f.choose(small, f.plus(x, x), x), f.number(1))
    square = f.product(x, x)
    log = f.product(f.polynomial(x, random.LOG_POLYNOMIAL), x)
    log = f.fused(log, square, f.product(exponent, f.number(random.LOG_2_LOW)))
    log = f.fused(square, f.number(-0.5), log)
    log = f.fused(exponent, f.number(random.LOG_2_HIGH), f.plus(x, log))
    return f.intrinsic(f"sqrt.v{LANES}f32", f.vector, (f.vector, f.product(log, f.number(-2))))


def sine_and_cosine(f, unit):
    """Of 2 pi unit."""
    theta = f.product(unit, f.number(random.TWO_PI))
    octant = f.op(f"fptosi {f.vector} {f.product(theta, f.number(random.FOUR_OVER_PI))} to {WHOLE}")
    octant = f.whole("and", f.whole("add", octant, 1), -2)
    turns, x = f.floating(octant), theta
    for part in random.QUARTER_PI_PARTS:
        x = f.fused(turns, f.number(-part), x)
    square = f.product(x, x)
    cosine = f.product(f.polynomial(square, random.COS_POLYNOMIAL), square)
    half = f.op(f"fneg {f.vector} {f.product(square, f.number(0.5))}")
    cosine = f.plus(f.fused(cosine, square, half), f.number(1))
    sine = f.fused(f.product(f.polynomial(square, random.SIN_POLYNOMIAL), square), x, x)
    swapped = f.op(f"icmp ne {WHOLE} {f.whole('and', octant, 2)}, zeroinitializer")
    minus_sine = f.whole("shl", f.whole("and", octant, 4), 29)
    minus_cosine = f.whole("shl", f.whole("and", f.whole("add", octant, 2), 4), 29)
    signed = lambda value, sign: f.of_bits(f.whole("xor", f.bits(value), sign))
    return (signed(f.choose(swapped, cosine, sine), minus_sine),
            signed(f.choose(swapped, sine, cosine), minus_cosine))  # fmt: skip


def normals_function():
    """``normals(argument, task)``: the argument is the address of the uniforms and the number of groups."""
    f = Exact("@@normals", "ptr argument, i64 task", LANES, internal=False)
    field = lambda k: f.load(f.op(f"getelementptr i64, ptr %argument, i64 {k}"), "i64")
    units = f.op(f"inttoptr i64 {field(0)} to ptr")
    first = f.mul("%task", EACH)
    with f.loop(first, f.minimum(f.add(first, EACH), field(1))) as group:
        place = f.at(units, f.mul(group, 2 * LANES))
        other = f.at(place, LANES)
        size = radius(f, f.load(place))
        sine, cosine = sine_and_cosine(f, f.load(other))
        f.store(f.product(cosine, size), place)
        f.store(f.product(sine, size), other)
    return f


@cache
def compiled():
    """The address of the task."""
    return native.compile_text(module([normals_function()]), ["normals"])["normals"]


def box_muller_in_groups(units):
    """Turn float32 uniforms into standard normals in place, each group of 16 by itself; None for others."""
    if units.dtype != np.float32 or not units.flags.c_contiguous:
        return None
    groups = units.size // (2 * LANES)
    argument = (ctypes.c_int64 * 2)(units.__array_interface__["data"][0], groups)
    threads.share(compiled(), argument, -(-groups // EACH))
    return units
