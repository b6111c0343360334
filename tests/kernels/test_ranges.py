"""Numbers in equal steps have the bits that PyTorch's loops give them (recorded from PyTorch 2.13)."""

import zlib

import numpy as np

from wengert.kernels import ranges


def crc(array):
    return zlib.crc32(array.tobytes())


def test_both_ends_are_exact_and_each_number_is_rounded_once():
    line = ranges.spaced(-1, 1, 28, np.dtype(np.float32))
    assert (line[0], line[-1], len(line)) == (-1, 1, 28)
    assert crc(line) == 0x0CF0CFAE
    assert crc(ranges.spaced(0, 25, 200, np.dtype(np.float64))) == 0xC8A6C619


def test_counting_is_by_vectors():
    assert crc(ranges.counted(0, 0.001, 3000, np.dtype(np.float32))) == 0xB3243CB8
    assert crc(ranges.counted(0, 0.001, 3000, np.dtype(np.float64))) == 0x4DD43CC4
    assert ranges.counted(0, 1, 5, np.dtype(np.float32)).tolist() == [0, 1, 2, 3, 4]
