"""The short-time Fourier transform: frames written out, and the way back."""

import numpy as np
import pytest

import wengert
from wengert.autograd import gradcheck

SIGNAL = np.random.default_rng(0).standard_normal((2, 40))


def test_frames_are_windowed_and_transformed():
    window = np.hanning(8)
    result = wengert.stft(
        wengert.tensor(SIGNAL), 8, 3, window=wengert.tensor(window), center=False, return_complex=True
    )
    frames = np.stack([SIGNAL[:, i : i + 8] * window for i in range(0, 33, 3)], -1)
    np.testing.assert_allclose(result.numpy(), np.fft.rfft(frames, axis=1), atol=1e-12)


def test_centred_frames_reflect_the_ends():
    result = wengert.stft(
        wengert.tensor(SIGNAL[0]), 8, 4, window=wengert.ones(8, dtype=wengert.float64), return_complex=True
    )
    padded = np.pad(SIGNAL[0], 4, mode="reflect")
    np.testing.assert_allclose(result[:, 0].numpy(), np.fft.rfft(padded[:8]), atol=1e-12)
    assert result.shape == (5, 11)


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("onesided", [False, True])
@pytest.mark.parametrize("win_length", [None, 6])
def test_there_and_back(normalized, onesided, win_length):
    window = wengert.hann_window(win_length or 8, dtype=wengert.float64) + 0.1
    options = {"win_length": win_length, "window": window, "normalized": normalized, "onesided": onesided}
    spectra = wengert.stft(wengert.tensor(SIGNAL), 8, 2, return_complex=True, **options)
    back = wengert.istft(spectra, 8, 2, length=40, **options)
    np.testing.assert_allclose(back.numpy(), SIGNAL, atol=1e-12)


def test_derivatives():
    window = wengert.hann_window(4, dtype=wengert.float64) + 0.1
    x = wengert.tensor(SIGNAL[0, :10], requires_grad=True)
    assert gradcheck(lambda x: wengert.stft(x, 4, 2, window=window, return_complex=True), [x])
    spectra = wengert.stft(x.detach(), 4, 2, window=window, return_complex=True).requires_grad_()
    assert gradcheck(lambda s: wengert.istft(s, 4, 2, window=window), [spectra])


def test_refusals():
    x = wengert.tensor(SIGNAL)
    with pytest.raises(RuntimeError, match="return_complex"):
        x.stft(8)
    with pytest.raises(RuntimeError, match="window tensor of size"):
        x.stft(8, window=wengert.ones(3), return_complex=True)
    with pytest.raises(RuntimeError, match="hop_length"):
        x.stft(8, 0, window=wengert.ones(8), return_complex=True)
    with pytest.raises(RuntimeError, match="window overlap add min"):
        wengert.istft(x[:, :10].to(wengert.complex128).reshape(1, 5, 4), 8, 8, window=wengert.hann_window(8).double())
