"""Transforms by SciPy are those of the reference, scaled as asked."""

import numpy as np
import pytest

from wengert.kernels import choices
from wengert.kernels import fourier as reference
from wengert.kernels.cpu import fourier

RNG = np.random.default_rng(0)
REAL = RNG.standard_normal((3, 6, 10), dtype=np.float32)
COMPLEX = REAL + 1j * RNG.standard_normal((3, 6, 10), dtype=np.float32)


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
@pytest.mark.parametrize(
    ("kind", "x", "options"),
    [
        ("fftn", COMPLEX, {"axes": (-2, -1)}),
        ("ifftn", COMPLEX, {"axes": (-1,)}),
        ("rfft", REAL, {}),
        ("irfft", COMPLEX, {"n": 17}),
    ],
)
def test_transforms(monkeypatch, kind, x, options, norm):
    monkeypatch.setattr(choices.state, "active", False)
    found = fourier.computed(kind, x, norm=norm, **options)
    expected = reference.computed(kind, x, norm=norm, **options)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_factors_without_a_name_are_multiplied_in():
    plain = reference.complex_to_complex(COMPLEX, (1, 2), 1, True)
    np.testing.assert_allclose(reference.complex_to_complex(COMPLEX, (1, 2), 0.3, True), plain * 0.3, rtol=1e-5)
    back = reference.complex_to_complex(COMPLEX, (2,), 1, False)
    np.testing.assert_allclose(reference.complex_to_complex(COMPLEX, (2,), 0.3, False), back * 0.3, rtol=1e-5)


@pytest.mark.parametrize("dim", [0, 1, 2])
@pytest.mark.parametrize("size", [1, 2, 7, 8])
def test_the_whole_spectrum_of_a_real_signal(size, dim):
    x = np.moveaxis(RNG.standard_normal((3, 2, size), dtype=np.float32), 2, dim)
    found = reference.real_to_spectrum(x, dim, 0.5)
    np.testing.assert_allclose(found, np.fft.fft(x, axis=dim) * 0.5, rtol=1e-4, atol=1e-5)
