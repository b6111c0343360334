"""Normal numbers and shuffles in bulk are, bit for bit, those that NumPy makes one step at a time."""

import numpy as np
import pytest

from wengert.kernels import cpu, random
from wengert.kernels.cpu import mersenne, normals

cpu.begin()


@pytest.mark.parametrize("groups", [1, 2, 511, 512, 513, 3000])
def test_groups_of_normals(groups):
    units = np.random.default_rng(groups).integers(0, 1 << 24, 16 * groups).astype(np.float32) / np.float32(1 << 24)
    units[:16] = [0, 1 - 2.0**-24, 0.5, 0.25, 2.0**-24, 0.125, 0.75, 0.875] * 2
    radius, angle = units.reshape(-1, 2, 8)[:, 0], units.reshape(-1, 2, 8)[:, 1]
    cosine, sine = random.box_muller_float32(radius.copy(), angle.copy())
    found = normals.box_muller_in_groups(units.copy()).reshape(-1, 2, 8)
    np.testing.assert_array_equal(found[:, 0], cosine)
    np.testing.assert_array_equal(found[:, 1], sine)


def test_other_types_are_left_to_numpy():
    assert normals.box_muller_in_groups(np.zeros(16)) is None


@pytest.mark.parametrize("n", [2, 3, 100, 20_000])
def test_a_shuffle(n):
    words = np.random.default_rng(n).integers(0, 1 << 32, n - 1, np.uint32)
    items = list(range(n))
    for i, word in enumerate(words.tolist()):
        j = i + word % (n - i)
        items[i], items[j] = items[j], items[i]
    np.testing.assert_array_equal(mersenne.shuffled(words), items)
