"""Distances between rows give what NumPy gives in twice the precision."""

import numpy as np
import pytest

import wengert
from wengert.kernels import cpu
from wengert.kernels.cpu import distances

cpu.begin()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [1, 2, np.inf])
@pytest.mark.parametrize("length", [1, 17, 300])
def test_distances(length, p, dtype):
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((2, n, length)).astype(dtype) for n in (7, 5))
    found = distances.distances(a[:, :, None], b[:, None], p)
    wanted = np.linalg.norm(a.astype(np.longdouble)[:, :, None] - b[:, None], p, -1)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, wanted, 1e-6 if dtype is np.float32 else 1e-14)


def test_other_norms_are_left_to_the_reference():
    assert distances.distances(np.ones((2, 1, 3)), np.ones((1, 2, 3)), 3) is None


def test_pairs_of_many_rows():
    x = np.random.default_rng(0).standard_normal((90, 40)).astype(np.float32)
    x[7] = x[3]  # at no distance, and with no pull
    given = wengert.from_numpy(x).requires_grad_()
    found = wengert.pdist(given)
    wide = wengert.from_numpy(x.astype(np.float64)).requires_grad_()
    first, second = map(wengert.from_numpy, np.triu_indices(90, 1))
    wanted = (wide[first] - wide[second]).norm(2, -1)
    np.testing.assert_allclose(found.detach().numpy(), wanted.detach().numpy(), 1e-6)
    assert (found == 0).sum() == 1
    weights = wengert.rand(len(found))
    (found * weights).sum().backward()
    (wanted * weights).sum().backward()
    np.testing.assert_allclose(given.grad.numpy(), wide.grad.numpy(), 1e-4, 1e-5)
