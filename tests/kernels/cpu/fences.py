"""Memory between pages that can't be read or written: whoever touches what lies beyond an array is stopped."""

import ctypes
import mmap

import numpy as np
import pytest

protecting = pytest.mark.skipif(not hasattr(mmap, "MAP_PRIVATE"), reason="protecting pages needs POSIX's mmap")


class Fenced:
    """An array whose last byte (or first) lies beside a page that can't be read or written."""

    def __init__(self, values, at_end):
        page = mmap.PAGESIZE
        inner = -(-max(values.nbytes, 1) // page) * page
        self.memory = mmap.mmap(-1, inner + 2 * page)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        self.fences = (address, address + page + inner)
        self.page = page
        offset = page + (inner - values.nbytes if at_end else 0)
        self.array = np.frombuffer(self.memory, values.dtype, values.size, offset).reshape(values.shape)
        self.array[...] = values
        for fence in self.fences:
            assert self.libc.mprotect(fence, page, 0) == 0

    def open(self):
        for fence in self.fences:
            self.libc.mprotect(fence, self.page, 3)


def fence_results(monkeypatch, at_end):
    """Let `numpy.empty` and `numpy.zeros` make fenced arrays from now on; returns what opens them."""
    made = []

    def maker(value):
        def make(shape, dtype=float, **options):
            if options:  # asked for by NumPy's own functions
                return np.full(shape, value, dtype, **options)
            made.append(Fenced(np.full(shape, value, dtype), at_end))
            return made[-1].array

        return make

    monkeypatch.setattr(np, "empty", maker(7))
    monkeypatch.setattr(np, "zeros", maker(0))

    def open_all():
        monkeypatch.undo()
        for fenced in made:
            fenced.open()

    return open_all
