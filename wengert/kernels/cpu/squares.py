"""Sums of squares in eight running sums, to the last bit those that PyTorch forms (`wengert.kernels.reductions`)."""

import ctypes
from functools import cache

import numpy as np

from wengert.kernels.cpu import native
from wengert.kernels.cpu.function import Function, module

LANES = 8


@cache
def compiled():
    """``squares(rows, out, count, length)``: the eight sums of each row of `length` numbers, whole vectors."""
    f = Function("@@squares", "ptr rows, ptr out, i64 count, i64 length", LANES, internal=False)
    total = f.variable()
    with f.loop(0, "%count") as row:
        f.store("zeroinitializer", total)
        with f.loop(0, "%length", LANES) as i:
            x = f.load(f.at("%rows", f.mul(row, "%length"), i))
            square = f.op(f"fmul {f.vector} {x}, {x}")  # rounded before it is added, so not `fused`
            f.store(f.op(f"fadd {f.vector} {f.load(total)}, {square}"), total)
        f.store(f.load(total), f.at("%out", f.mul(row, LANES)))
    pointer, count = ctypes.c_void_p, ctypes.c_int64
    address = native.compile_text(module([f]), ["squares"])["squares"]
    return ctypes.CFUNCTYPE(None, pointer, pointer, count, count)(address)


def running_squares(rows):
    """(rows, length) to (rows, 8); None unless `rows` is float32 and contiguous."""
    if rows.dtype != np.float32 or not rows.flags.c_contiguous:
        return None
    out = np.empty((len(rows), LANES), np.float32)
    compiled()(rows.ctypes.data, out.ctypes.data, *rows.shape)
    return out
