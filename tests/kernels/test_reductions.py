import numpy as np
import pytest

from wengert.kernels import reductions


def one_after_the_other(row):
    """Every eighth square added to its sum in float32, then the sums and the rest."""
    squares, whole = row * row, len(row) - len(row) % 8
    sums = np.zeros(8, np.float32)
    for start in range(0, whole, 8):
        sums += squares[start : start + 8]
    total = sums[0]
    for term in [*sums[1:], *squares[whole:]]:
        total = total + term
    return total


@pytest.mark.parametrize("length", [3, 8, 1000, 2053])
def test_squares_are_added_in_eight_running_sums(length):
    rows = np.random.default_rng(length).standard_normal((3, length), np.float32)
    assert reductions.squares_of(rows).tolist() == [one_after_the_other(row) for row in rows]


def test_a_matrix_is_as_long_in_either_layout():
    matrix = np.random.default_rng(0).standard_normal((300, 400), np.float32)
    lengths = {float(reductions.vector_norm(m)) for m in (matrix, np.asfortranarray(matrix), matrix.T)}
    assert len(lengths) == 2  # the same memory, the same sums


@pytest.mark.parametrize("scan, exact", [("cumsum", np.cumsum), ("cumprod", np.cumprod)])
@pytest.mark.parametrize("dim", [0, 1])
def test_running_totals_are_kept_in_double_precision(scan, exact, dim):
    values = np.float32(1) + np.random.default_rng(0).random((300, 300), np.float32) * np.float32(0.01)
    expected = exact(values, axis=dim, dtype=np.float64).astype(np.float32)
    np.testing.assert_array_equal(getattr(reductions, scan)(values, dim), expected)
