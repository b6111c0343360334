"""Fourier transforms agree with NumPy's; their derivatives with finite differences."""

import numpy as np
import pytest

import wengert
from wengert.autograd import gradcheck, gradgradcheck

RNG = np.random.default_rng(0)
REAL = RNG.standard_normal((3, 4, 6))
COMPLEX = REAL + 1j * RNG.standard_normal((3, 4, 6))
NORMS = pytest.mark.parametrize("norm", [None, "forward", "backward", "ortho"])
INPUTS = {"rfft": REAL, "ihfft": REAL, "fft": COMPLEX, "ifft": COMPLEX, "irfft": COMPLEX, "hfft": COMPLEX}


@NORMS
@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize(("n", "dim"), [(None, -1), (5, 1), (8, 0)])
def test_one_dimension(name, n, dim, norm):
    result = getattr(wengert.fft, name)(wengert.tensor(INPUTS[name]), n, dim, norm)
    np.testing.assert_allclose(result.numpy(), getattr(np.fft, name)(INPUTS[name], n, dim, norm), atol=1e-12)


@NORMS
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft"])
@pytest.mark.parametrize(("s", "dim"), [(None, (-2, -1)), ((5, 3), (0, 2)), ((2, 8), (1, 0))])
def test_several_dimensions(name, s, dim, norm):
    x = INPUTS[name]
    expected = getattr(np.fft, f"{name}n")(x, s, dim, norm)
    np.testing.assert_allclose(
        getattr(wengert.fft, f"{name}n")(wengert.tensor(x), s, dim, norm).numpy(), expected, atol=1e-12
    )
    np.testing.assert_allclose(
        getattr(wengert.fft, f"{name}2")(wengert.tensor(x), s, dim, norm).numpy(), expected, atol=1e-12
    )


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("n", [None, 4, 7])
def test_derivatives(name, n):
    x = wengert.tensor(INPUTS[name][0, :2], requires_grad=True)
    function = getattr(wengert.fft, name)
    assert gradcheck(lambda x: function(x, n), [x])
    assert gradgradcheck(lambda x: function(x, n), [x])


def test_hermitian_transforms_of_several_dimensions_undo_each_other():
    x = wengert.tensor(REAL)
    np.testing.assert_allclose(wengert.fft.hfft2(wengert.fft.ihfft2(x), s=(4, 6)).numpy(), REAL, atol=1e-12)
    np.testing.assert_allclose(wengert.fft.hfftn(wengert.fft.ihfftn(x), s=(3, 4, 6)).numpy(), REAL, atol=1e-12)


def test_dtypes():
    assert wengert.fft.fft(wengert.ones(4)).dtype is wengert.complex64
    assert wengert.fft.rfft(wengert.ones(4, dtype=wengert.int64)).dtype is wengert.complex64
    assert wengert.fft.irfft(wengert.ones(4, dtype=wengert.complex128)).dtype is wengert.float64


def test_frequencies_and_shifts():
    for n in (7, 8):
        np.testing.assert_allclose(wengert.fft.fftfreq(n, 0.5).numpy(), np.fft.fftfreq(n, 0.5), rtol=1e-6)
        np.testing.assert_allclose(wengert.fft.rfftfreq(n, 0.5).numpy(), np.fft.rfftfreq(n, 0.5), rtol=1e-6)
        x = np.arange(n * 3).reshape(n, 3)
        np.testing.assert_array_equal(wengert.fft.fftshift(wengert.tensor(x)).numpy(), np.fft.fftshift(x))
        np.testing.assert_array_equal(wengert.fft.ifftshift(wengert.tensor(x), 0).numpy(), np.fft.ifftshift(x, 0))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: wengert.fft.fft(wengert.ones(4), 0), "Invalid number of data points"),
        (lambda: wengert.fft.fft(wengert.ones(4), norm="full"), "Invalid normalization mode"),
        (lambda: wengert.fft.rfft(wengert.ones(4, dtype=wengert.complex64)), "expects a real input"),
        (lambda: wengert.fft.fftn(wengert.ones(4, 4), dim=(0, 0)), "must be unique"),
        (lambda: wengert.fft.fftn(wengert.ones(4, 4), (2,), (0, 1)), "same length"),
        (lambda: wengert.fft.fft(wengert.ones(4).half()), "Unsupported dtype Half"),
    ],
)
def test_refusals(call, words):
    with pytest.raises(RuntimeError, match=words):
        call()
