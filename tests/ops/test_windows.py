"""Windows: symmetric and periodic, known values, refusals."""

import numpy as np
import pytest

import wengert
from wengert.signal import windows

NUMPYS = {"hann": np.hanning, "hamming": np.hamming, "blackman": np.blackman, "bartlett": np.bartlett}


@pytest.mark.parametrize("name", NUMPYS)
@pytest.mark.parametrize("M", [0, 1, 2, 7, 8])
def test_windows_that_numpy_has(name, M):
    symmetric, longer = NUMPYS[name](M), NUMPYS[name](M + 1)
    periodic = longer[:-1] if M > 1 else np.ones(M)
    options = {"dtype": wengert.float64}
    np.testing.assert_allclose(getattr(windows, name)(M, **options).numpy(), symmetric, atol=1e-12)
    np.testing.assert_allclose(getattr(windows, name)(M, sym=False, **options).numpy(), periodic, atol=1e-12)
    function = getattr(wengert, f"{name}_window")
    np.testing.assert_allclose(function(M, **options).numpy(), periodic, atol=1e-12)
    np.testing.assert_allclose(function(M, periodic=False, **options).numpy(), symmetric, atol=1e-12)


def test_other_windows():
    options = {"dtype": wengert.float64}
    np.testing.assert_allclose(windows.kaiser(8, beta=5.0, **options).numpy(), np.kaiser(8, 5.0))
    np.testing.assert_allclose(wengert.kaiser_window(8, False, 5.0, **options).numpy(), np.kaiser(8, 5.0))
    np.testing.assert_allclose(windows.gaussian(5, std=2.0, **options).numpy(), np.exp(-(np.arange(-2, 3) ** 2) / 8))
    np.testing.assert_allclose(
        windows.exponential(5, tau=2.0, **options).numpy(), np.exp(-np.abs(np.arange(-2, 3)) / 2)
    )
    np.testing.assert_allclose(windows.cosine(4, **options).numpy(), np.sin(np.pi * (np.arange(4) + 0.5) / 4))
    same = windows.general_cosine(6, a=[0.5, 0.5], **options), windows.general_hamming(6, alpha=0.5, **options)
    for window in same:
        np.testing.assert_allclose(window.numpy(), np.hanning(6), atol=1e-12)
    assert windows.nuttall(5).argmax() == 2


def test_options_and_refusals():
    assert windows.hann(4, requires_grad=True).requires_grad
    assert wengert.hann_window(4).dtype is wengert.float32
    with pytest.raises(ValueError, match="non-negative"):
        windows.hann(-1)
    with pytest.raises(RuntimeError, match="non-negative"):
        wengert.hann_window(-1)
    with pytest.raises(ValueError, match="floating point"):
        windows.hann(3, dtype=wengert.int64)
    with pytest.raises(ValueError, match="Standard deviation"):
        windows.gaussian(3, std=0)
