import numpy as np
import pytest

from wengert.kernels.cpu.squares import running_squares


@pytest.mark.parametrize("shape", [(1, 8), (1, 80_000), (7, 1024), (0, 8), (3, 0)])
def test_the_running_sums_are_those_of_the_reference_bit_for_bit(shape):
    rows = np.random.default_rng(0).standard_normal(shape, np.float32)
    parts = rows.reshape(shape[0], shape[1] // 8, 8)
    np.testing.assert_array_equal(running_squares(rows), np.einsum("rij,rij->rj", parts, parts))


def test_other_dtypes_and_layouts_are_left_to_the_reference():
    rows = np.ones((4, 16), np.float32)
    assert running_squares(rows.astype(np.float64)) is None
    assert running_squares(rows[:, ::2]) is None
