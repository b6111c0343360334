"""Normalization by layer, by batch and by group: statistics, results and cotangents are those of the reference."""

import numpy as np
import pytest

from wengert.kernels import cpu
from wengert.kernels import normalization as reference
from wengert.kernels.cpu import normalization as fast

cpu.begin()

# (input, how it is seen, the axes standardized over, affine)
CASES = {
    "layer": ((37, 50), (37, 50), (1,), (1, 50)),
    "layer of many rows": ((fast.LINE * 3 + 5, 300), (fast.LINE * 3 + 5, 300), (1,), (1, 300)),
    "layer of lines only": ((fast.LINE * 2, 33), (fast.LINE * 2, 33), (1,), (1, 33)),
    "layer of two axes": ((5, 9, 33), (5, 9, 33), (1, 2), (1, 9, 33)),
    "layer of the last of three axes": ((5, 9, 33), (5, 9, 33), (2,), (1, 1, 33)),
    "batch": ((4, 6, 9, 17), (4, 6, 9, 17), (0, 2, 3), (1, 6, 1, 1)),
    "batch of rows": ((70, 33), (70, 33), (0,), (1, 33)),
    "group": ((3, 12, 9, 17), (3, 4, 3 * 9 * 17), (2,), (1, 12, 1, 1)),
    "one group": ((3, 6, 70), (3, 1, 6 * 70), (2,), (1, 6, 1)),
    "a group for each channel": ((3, 6, 70), (3, 6, 70), (2,), (1, 6, 1)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_equal_to_the_reference(name, scaled, dtype):
    shape, seen, axes, affine = CASES[name]
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    parameters = [n for n in affine if n > 1] if name.startswith("layer") else [max(affine)]
    weight, bias = (rng.standard_normal(parameters).astype(dtype) if scaled else None for _ in range(2))
    close = {"rtol": 1e-4, "atol": 1e-5} if dtype == np.float32 else {"rtol": 1e-11, "atol": 1e-12}
    mean, variance = reference.statistics.reference(x, seen, axes)
    for found, wanted in zip(fast.statistics(x, seen, axes), (mean, variance), strict=True):
        np.testing.assert_allclose(found, wanted, **close)
    rstd = 1 / np.sqrt(variance + x.dtype.type(1e-5))
    given = (x, weight, bias, seen, axes, affine, 1e-5)
    for found, wanted in zip(fast.standardize(*given), reference.standardize.reference(*given), strict=True):
        np.testing.assert_allclose(found, wanted, **close)
    given = (x, weight, bias, mean, rstd, seen, axes, affine)
    np.testing.assert_allclose(fast.normalize(*given), reference.normalize.reference(*given), **close)
    for needs in ((True, True, True), (True, False, False), (False, True, True)) if scaled else ((True, False, False),):
        given = (g, x, weight, mean, rstd, seen, axes, affine, False, 1e-5, needs)
        found, wanted = fast.gradients(*given), reference.gradients.reference(*given)
        for a, b, need in zip(found, wanted, needs, strict=True):
            if need:
                np.testing.assert_allclose(a, b, **close)
