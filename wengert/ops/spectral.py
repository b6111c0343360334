"""The short-time Fourier transform: spectra of overlapping windowed frames, and back by overlap and add."""

import warnings

from wengert import dtypes
from wengert.ops import fourier  # noqa: F401 (declares the transforms)
from wengert.ops.creation import ones
from wengert.ops.declare import FUNCTIONS, composite
from wengert.ops.padding import pad
from wengert.ops.shape import fold_windows, narrow_to, transpose, unfold, view_as_real

FFT = FUNCTIONS["fft"]


def framing(name, n_fft, hop_length, win_length, window, real_dtype):
    """(hop, window of n_fft samples) with PyTorch's defaults."""
    hop = n_fft // 4 if hop_length is None else hop_length
    length = n_fft if win_length is None else win_length
    if hop <= 0:
        raise RuntimeError(f"{name}: expected hop_length > 0, but got hop_length={hop}")
    if not 0 < length <= n_fft:
        raise RuntimeError(f"{name}: expected 0 < win_length <= n_fft, but got win_length={length}")
    if window is None:
        window = ones(length, dtype=real_dtype)
    elif window.ndim != 1 or window.shape[0] != length:
        raise RuntimeError(
            f"{name}: expected a 1D window tensor of size equal to win_length={length}, but got window with size "
            f"{list(window.shape)}"
        )
    if length < n_fft:
        left = (n_fft - length) // 2
        window = pad(window, (left, n_fft - length - left))
    return hop, window


@composite
def stft(
    input,
    n_fft,
    hop_length=None,
    win_length=None,
    window=None,
    center=True,
    pad_mode="reflect",
    normalized=False,
    onesided=None,
    return_complex=None,
    align_to_window=None,
):
    """The spectra of frames of a signal.

    Args:
        input: (T,) or (B, T), real or complex.
        n_fft: samples in a frame; hop_length: from one frame to the next (n_fft // 4 by default).
        window: (win_length,), by default all ones; filled up with zeros on both sides to n_fft.
        center: whether frames are centred on multiples of hop_length, the signal's ends padded by `pad_mode`.
        onesided: half of the spectrum, which is all of it for a real signal.
    Returns:
        (B, frequencies, frames), complex; with a last dimension of two if not `return_complex`.
    """
    if return_complex is None:
        if not (input.dtype.is_complex or (window is not None and window.dtype.is_complex)):
            raise RuntimeError(
                "stft requires the return_complex parameter be given for real inputs, and will further require that "
                "return_complex=True in a future PyTorch release."
            )
        return_complex = True
    if not return_complex:
        warnings.warn(
            "stft with return_complex=False is deprecated. In a future pytorch release, stft will return complex "
            "tensors for "
            "all inputs, and return_complex=False will raise an error.\nNote: you can still call torch.view_as_real "
            "on the complex "
            "output to recover the old return format.",
            UserWarning,
            stacklevel=3,
        )
    if not input.dtype.differentiable:
        raise RuntimeError(f"stft({list(input.shape)}): expected a tensor of floating point or complex values")
    if input.ndim not in (1, 2):
        raise RuntimeError(f"stft: expected a 1D or 2D tensor, but got {input.ndim}D")
    if center and align_to_window is not None:
        raise RuntimeError("stft align_to_window should only be set when center = false.")
    batched = input.ndim == 2
    x = input if batched else input.unsqueeze(0)
    if n_fft <= 0:
        raise RuntimeError(f"stft: expected 0 < n_fft, but got n_fft={n_fft}")
    if center:
        side = n_fft // 2
        x = pad(x.unsqueeze(1), (side, side), pad_mode).squeeze(1)
    elif align_to_window and win_length is not None and win_length < n_fft:
        side = (n_fft - win_length) // 2
        x = pad(x, (side, side))
    if n_fft > x.shape[1]:
        raise RuntimeError(
            f"stft({list(input.shape)}, n_fft={n_fft}): expected 0 < n_fft <= {x.shape[1]}, but got n_fft={n_fft}"
        )
    real_dtype = dtypes.float64 if x.dtype in (dtypes.float64, dtypes.complex128) else dtypes.float32
    hop, taper = framing("stft", n_fft, hop_length, win_length, window, real_dtype)
    frames = unfold(x, 1, n_fft, hop) * taper
    is_complex = frames.dtype.is_complex
    onesided = not is_complex if onesided is None else onesided
    if onesided and is_complex:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    norm = "ortho" if normalized else None
    spectrum = FFT["rfft" if onesided else "fft"](frames, norm=norm)
    spectrum = transpose(spectrum, 1, 2)
    spectrum = spectrum if batched else spectrum.squeeze(0)
    return spectrum if return_complex else view_as_real(spectrum)


@composite
def istft(
    input,
    n_fft,
    hop_length=None,
    win_length=None,
    window=None,
    center=True,
    normalized=False,
    onesided=None,
    length=None,
    return_complex=False,
):
    """The signal with these spectra of frames: least squares, by overlap and add (D. W. Griffin and J. S. Lim, 1984).

    Args:
        input: (frequencies, frames) or (B, frequencies, frames), complex; the other arguments as given to `stft`.
        length: samples in the result.
    Raises:
        RuntimeError: somewhere all windows are 0.
    """
    if not input.dtype.is_complex:
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with return_complex=True."
        )
    if not input.numel():
        raise RuntimeError("istft: input tensor cannot be empty.")
    if input.ndim not in (2, 3):
        raise RuntimeError(f"istft: expected a tensor with 3 or 4 dimensions, but got {input.ndim + 1}")
    batched = input.ndim == 3
    x = input if batched else input.unsqueeze(0)
    real_dtype = dtypes.float32 if x.dtype is dtypes.complex64 else dtypes.float64
    onesided = x.shape[1] != n_fft if onesided is None else onesided
    if x.shape[1] != (n_fft // 2 + 1 if onesided else n_fft):
        raise RuntimeError(
            f"istft: expected the frequency dimension (3rd to the last) of the input tensor to match n_fft"
            f"{' / 2 + 1' if onesided else ''} when onesided={onesided}, but got {x.shape[1]}"
        )
    hop, taper = framing("istft", n_fft, hop_length, win_length, window, real_dtype)
    if hop > (n_fft if win_length is None else win_length):
        raise RuntimeError("istft: expected 0 < hop_length <= win_length")
    norm = "ortho" if normalized else None
    spectra = transpose(x, 1, 2)
    if return_complex:
        if onesided:
            raise RuntimeError("complex output is not compatible with onesided=True")
        frames = FFT["ifft"](spectra, norm=norm)
    elif onesided:
        frames = FFT["irfft"](spectra, n_fft, norm=norm)
    else:
        frames = FFT["irfft"](narrow_to(spectra, 2, 0, n_fft // 2 + 1), n_fft, norm=norm)
    count = x.shape[2]
    total = n_fft + hop * (count - 1)
    signal = fold_windows(frames * taper, (x.shape[0], total), 1, n_fft, hop)
    envelope = fold_windows((taper * taper).expand(1, count, n_fft), (1, total), 1, n_fft, hop)
    start = n_fft // 2 if center else 0
    stop = start + length if length is not None else total - n_fft // 2 if center else total
    kept = min(stop, total) - start
    signal, envelope = narrow_to(signal, 1, start, kept), narrow_to(envelope, 1, start, kept)
    smallest = float(abs(envelope._array).min(initial=1.0))
    if smallest < 1e-11:
        raise RuntimeError(f"istft: window overlap add min: {smallest}")
    signal = signal / envelope
    if stop > total:
        warnings.warn(
            "The length of signal is shorter than the length parameter. Result is being padded with zeros in the tail. "
            "Please check your center, hop_length and window settings.",
            UserWarning,
            stacklevel=3,
        )
        signal = pad(signal, (0, stop - total))
    return signal if batched else signal.squeeze(0)
