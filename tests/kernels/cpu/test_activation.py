"""Gated linear units: both halves in one walk give what the reference gives."""

import numpy as np
import pytest

import wengert
from wengert.kernels import activation as reference
from wengert.kernels import cpu
from wengert.kernels.cpu import activation

cpu.begin()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("shape", "dim"), [((200,), 0), ((5, 66), -1), ((6, 33), 0), ((3, 4, 70), 1)])
def test_gated_linear_units(shape, dim, dtype):
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    wanted = reference.glu(x, dim)
    np.testing.assert_allclose(activation.glu.beside(None)(x, dim), wanted, 1e-6, 1e-6)
    g = np.random.default_rng(1).standard_normal(wanted.shape).astype(dtype)
    value, gate = np.split(x.astype(np.float64), 2, dim)
    s = 1 / (1 + np.exp(-gate))
    exact = np.concatenate([g * s, g * value * s * (1 - s)], dim)
    np.testing.assert_allclose(activation.glu_gradient(g, x, dim), exact, 1e-5, 1e-6)


def test_what_has_no_halves_is_refused():
    with pytest.raises(RuntimeError, match="must be even"):
        wengert.nn.functional.glu(wengert.ones(100_001))
