"""Windows for spectra: samples of a bump, symmetric, or periodic by leaving out the last one.

Formulas: F. J. Harris, "On the use of windows for harmonic analysis with the discrete Fourier transform" (1978).
"""

import math

import numpy as np

from wengert import dtypes
from wengert.ops.creation import check_device
from wengert.tensor import wrap


def positions(M, sym):
    """(number of each sample, the number of the last one of the symmetric window)."""
    return np.arange(M, dtype=np.float64), max(M - 1 if sym else M, 1)


def tapered(M, sym, values):
    """No samples for M = 0, a single 1 for M = 1, else ``values(k, last)``."""
    if M == 1:
        return np.ones(1)
    return values(*positions(M, sym))


def cosines(coefficients):
    def values(k, last):
        return sum((-1) ** i * a * np.cos(2 * math.pi * i * k / last) for i, a in enumerate(coefficients)) + 0 * k

    return values


def made(name, M, values, sym, dtype, layout, device, requires_grad):
    check_device(device)
    if layout not in (None, dtypes.strided):
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    dtype = dtype or dtypes.default.dtype
    if not dtype.is_floating_point or dtype.itemsize < 4:
        raise ValueError(f"{name} expects floating point dtypes (float32 or float64), got: {dtype}")
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    return wrap(tapered(M, sym, values).astype(dtype.numpy), dtype).requires_grad_(requires_grad)


def bartlett(M, *, sym=True, dtype=None, layout=None, device=None, requires_grad=False):
    """A triangle that is 0 at both ends."""
    return made("bartlett", M, lambda k, n: 1 - np.abs(2 * k / n - 1), sym, dtype, layout, device, requires_grad)


def blackman(M, *, sym=True, dtype=None, layout=None, device=None, requires_grad=False):
    """A sum of cosines with coefficients 0.42, 0.5, 0.08."""
    return made("blackman", M, cosines((0.42, 0.5, 0.08)), sym, dtype, layout, device, requires_grad)


def cosine(M, *, sym=True, dtype=None, layout=None, device=None, requires_grad=False):
    """Half a period of a sine, sampled at the middles."""
    return made(
        "cosine", M, lambda k, n: np.sin(math.pi * (k + 0.5) / (n + 1)), sym, dtype, layout, device, requires_grad
    )


def exponential(M, *, center=None, tau=1.0, sym=True, dtype=None, layout=None, device=None, requires_grad=False):
    """exp(-|k - center| / tau); `center` is the middle unless given, which needs a periodic window."""
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    return made(
        "exponential",
        M,
        lambda k, n: np.exp(-np.abs(k - (n / 2 if center is None else center)) / tau),
        sym,
        dtype,
        layout,
        device,
        requires_grad,
    )


def gaussian(M, *, std=1.0, sym=True, dtype=None, layout=None, device=None, requires_grad=False):
    """A normal distribution's bell with this standard deviation, in samples."""
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    return made(
        "gaussian", M, lambda k, n: np.exp(-(((k - n / 2) / std) ** 2) / 2), sym, dtype, layout, device, requires_grad
    )


def general_cosine(M, *, a, sym=True, dtype=None, layout=None, device=None, requires_grad=False):
    """A sum of cosines with coefficients `a`, of alternating signs."""
    if not hasattr(a, "__iter__"):
        raise TypeError("Coefficients must be a list/tuple")
    coefficients = list(a)
    if not coefficients:
        raise ValueError("Coefficients cannot be empty")
    return made("general_cosine", M, cosines(coefficients), sym, dtype, layout, device, requires_grad)


def general_hamming(M, *, alpha=0.54, sym=True, dtype=None, layout=None, device=None, requires_grad=False):
    """alpha - (1 - alpha) cos."""
    return made("general_hamming", M, cosines((alpha, 1 - alpha)), sym, dtype, layout, device, requires_grad)


def hamming(M, *, sym=True, dtype=None, layout=None, device=None, requires_grad=False):
    """0.54 - 0.46 cos."""
    return made("hamming", M, cosines((0.54, 0.46)), sym, dtype, layout, device, requires_grad)


def hann(M, *, sym=True, dtype=None, layout=None, device=None, requires_grad=False):
    """0.5 - 0.5 cos."""
    return made("hann", M, cosines((0.5, 0.5)), sym, dtype, layout, device, requires_grad)


def bell(beta):
    return lambda k, n: np.i0(beta * np.sqrt(np.maximum(1 - (2 * k / n - 1) ** 2, 0))) / np.i0(beta)


def kaiser(M, *, beta=12.0, sym=True, dtype=None, layout=None, device=None, requires_grad=False):
    """I0(beta sqrt(1 - t^2)) / I0(beta), t from -1 to 1."""
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    return made("kaiser", M, bell(beta), sym, dtype, layout, device, requires_grad)


def nuttall(M, *, sym=True, dtype=None, layout=None, device=None, requires_grad=False):
    """The sum of four cosines with a continuous first derivative: A. H. Nuttall (1981)."""
    return made(
        "nuttall", M, cosines((0.3635819, 0.4891775, 0.1365995, 0.0106411)), sym, dtype, layout, device, requires_grad
    )


# --- torch.hann_window and its kind: periodic unless told otherwise ---------------------------------------------------


def window(name, window_length, values, periodic, dtype, layout, device, requires_grad):
    dtype = dtype or dtypes.default.dtype
    if not dtype.differentiable or dtype.is_complex:
        raise RuntimeError(f"{name} expects floating point dtypes, got: {dtype}")
    if window_length < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={window_length}")
    if layout not in (None, dtypes.strided):
        raise RuntimeError(f"{name} is not implemented for sparse types, got: {layout}")
    check_device(device)
    samples = tapered(window_length, not periodic, values)
    return wrap(samples.astype(dtype.numpy), dtype).requires_grad_(requires_grad)


def bartlett_window(
    window_length, periodic=True, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False
):
    """A triangle that is 0 at its ends."""
    return window(
        "bartlett_window",
        window_length,
        lambda k, n: 1 - np.abs(2 * k / n - 1),
        periodic,
        dtype,
        layout,
        device,
        requires_grad,
    )


def blackman_window(
    window_length, periodic=True, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False
):
    """0.42 - 0.5 cos + 0.08 cos of the double angle."""
    return window(
        "blackman_window", window_length, cosines((0.42, 0.5, 0.08)), periodic, dtype, layout, device, requires_grad
    )


def hamming_window(
    window_length,
    periodic=True,
    alpha=0.54,
    beta=0.46,
    *,
    dtype=None,
    layout=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
):
    """alpha - beta cos."""
    return window(
        "hamming_window", window_length, cosines((alpha, beta)), periodic, dtype, layout, device, requires_grad
    )


def hann_window(
    window_length, periodic=True, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False
):
    """0.5 - 0.5 cos."""
    return window("hann_window", window_length, cosines((0.5, 0.5)), periodic, dtype, layout, device, requires_grad)


def kaiser_window(
    window_length,
    periodic=True,
    beta=12.0,
    *,
    dtype=None,
    layout=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
):
    """I0(beta sqrt(1 - t^2)) / I0(beta), t from -1 to 1."""
    return window("kaiser_window", window_length, bell(beta), periodic, dtype, layout, device, requires_grad)
