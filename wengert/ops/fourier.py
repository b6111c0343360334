"""``torch.fft``: every transform is one of three (complex to complex, real to complex, complex to real) after resizing.

A discrete Fourier transform is linear: its derivative is the transform in the other direction.
"""

import math

from wengert import dtypes
from wengert.dtypes import SCALAR_NAMES
from wengert.kernels import fourier as kernels
from wengert.kernels.reductions import axis_of
from wengert.ops import creation
from wengert.ops.declare import composite, primitive
from wengert.ops.shape import real_of, roll

INNER = {"function": False, "method": False, "holomorphic": False}
FFT = {"namespace": "fft", "method": False}

complex_to_complex = primitive(
    "fft_c2c",
    kernels.complex_to_complex,
    **INNER,
    node="FftC2CBackward0",
    input=lambda g, dims, scale, forward: complex_to_complex(g, dims, scale, not forward),
)
real_to_complex = primitive(
    "fft_r2c",
    kernels.real_to_complex,
    **INNER,
    node="FftR2CBackward0",
    input=lambda g, input_shape, dim, scale, forward: real_of(
        complex_to_complex(resized(g, dim, input_shape[dim]), (dim,), scale, not forward)
    ),
)
real_to_spectrum = primitive(
    "fft_r2c",
    kernels.real_to_spectrum,
    **INNER,
    node="FftR2CBackward0",
    input=lambda g, dim, scale: real_of(complex_to_complex(g, (dim,), scale, False)),
)
complex_to_real = primitive(
    "fft_c2r",
    kernels.complex_to_real,
    **INNER,
    node="FftC2RBackward0",
    input=lambda g, dim, size, scale, forward: weighted(real_to_complex(g, dim, scale, not forward), dim, size),
)
resized = primitive(
    "constant_pad_nd",
    kernels.resized,
    **INNER,
    input=lambda g, input_shape, dim: resized(g, dim, input_shape[dim]),
)
weighted = primitive("mul", kernels.weighted, **INNER, input=lambda g, dim, size: weighted(g, dim, size))


# --- arguments --------------------------------------------------------------------------------------------------------


def number(input, complex_wanted, name):
    """`input` as a floating (complex where wanted) tensor; half precision is refused."""
    dtype = input.dtype
    if dtype.category < 2:
        dtype = dtypes.default.dtype
    if dtype.itemsize < 4:
        raise RuntimeError(f"Unsupported dtype {SCALAR_NAMES[dtype]}")
    if complex_wanted and not dtype.is_complex:
        dtype = dtypes.complex64 if dtype is dtypes.float32 else dtypes.complex128
    if complex_wanted is False and dtype.is_complex:
        raise RuntimeError(f"{name} expects a real input tensor, but got {SCALAR_NAMES[dtype]}")
    return input if dtype is input.dtype else input.to(dtype)


def scale_of(norm, count, forward):
    """The factor that `norm` asks for in this direction."""
    if norm not in (None, "forward", "backward", "ortho"):
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    if norm == "ortho":
        return 1 / math.sqrt(count)
    return 1 / count if (norm == "forward") == forward else 1


def extent(input, n, axis):
    n = input.shape[axis] if n is None else n
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")
    return n


def axis_in(input, dim):
    if not input.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return axis_of(dim, input.ndim)


def several(input, s, dim, name):
    """(axes, sizes) of a transform over several dimensions; a size may be None."""
    if dim is not None:
        dims = [dim] if isinstance(dim, int) else list(dim)
        axes = [axis_in(input, d) for d in dims]
        if len(set(axes)) != len(axes):
            raise RuntimeError("FFT dims must be unique")
    if s is not None:
        s = [s] if isinstance(s, int) else list(s)
        if dim is not None and len(s) != len(axes):
            raise RuntimeError("When given, dim and shape arguments must have the same length")
        if len(s) > input.ndim:
            raise RuntimeError(f"Got shape with {len(s)} values but input tensor only has {input.ndim} dimensions.")
    if dim is None:
        axes = list(range(input.ndim - len(s), input.ndim)) if s is not None else list(range(input.ndim))
    sizes = [None] * len(axes) if s is None else [None if n == -1 else n for n in s]
    return axes, sizes


def fitted(input, axes, sizes):
    """`input` with these sizes along these axes; returns it and the sizes."""
    found = []
    for axis, n in zip(axes, sizes, strict=True):
        n = extent(input, n, axis)
        found.append(n)
        if n != input.shape[axis]:
            input = resized(input, axis, n)
    return input, found


# --- complex to complex -----------------------------------------------------------------------------------------------


def complex_transform(input, axes, sizes, norm, forward):
    input, sizes = fitted(number(input, True, "fft"), axes, sizes)
    return complex_to_complex(input, tuple(axes), scale_of(norm, math.prod(sizes), forward), forward)


def real_transform(input, axes, sizes, norm, forward, name):
    if not axes:
        raise RuntimeError(f"{name} must transform at least one axis")
    input, sizes = fitted(number(input, False, name), axes, sizes)
    scale = scale_of(norm, math.prod(sizes), forward)
    half = real_to_complex(input, axes[-1], scale, forward)
    return (
        complex_to_complex(half, tuple(axes[:-1]), 1, forward, tuple(axes) if forward else None)
        if len(axes) > 1
        else half
    )


def signal_transform(input, axes, sizes, norm, forward, name):
    """To a real signal: the last axis is given as half a spectrum, by default that of an even size."""
    if not axes:
        raise RuntimeError(f"{name} must transform at least one axis")
    input = number(input, True, name)
    last = axes[-1]
    size = 2 * (input.shape[last] - 1) if sizes[-1] is None else sizes[-1]
    if size < 1:
        raise RuntimeError(f"Invalid number of data points ({size}) specified")
    input, rest = fitted(input, axes[:-1], sizes[:-1])
    if input.shape[last] != size // 2 + 1:
        input = resized(input, last, size // 2 + 1)
    scale = scale_of(norm, size * math.prod(rest), forward)
    if rest:
        input = complex_to_complex(input, tuple(axes[:-1]), 1, forward)
    return complex_to_real(input, last, size, scale, forward)


KINDS = {  # name: (transform, forward)
    "fft": (complex_transform, True),
    "ifft": (complex_transform, False),
    "rfft": (real_transform, True),
    "ihfft": (real_transform, False),
    "irfft": (signal_transform, False),
    "hfft": (signal_transform, True),
}
SENTENCES = {
    "fft": "The discrete Fourier transform",
    "ifft": "The inverse discrete Fourier transform",
    "rfft": "The half of the Fourier transform of a real signal that determines the other",
    "ihfft": "The half of the inverse Fourier transform of a real signal that determines the other",
    "irfft": "The real signal with this half of a spectrum",
    "hfft": "The real spectrum of the signal with this half",
}


def one_dimensional(name):
    transform, forward = KINDS[name]
    extra = () if transform is complex_transform else (name,)

    def function(input, n=None, dim=-1, norm=None):
        axes = [axis_in(input, dim)]
        if name == "fft" and not input.dtype.is_complex:
            input, sizes = fitted(number(input, None, name), axes, [n])
            return real_to_spectrum(input, axes[0], scale_of(norm, sizes[0], True))
        return transform(input, axes, [n], norm, forward, *extra)

    return function


def many_dimensional(name, dims):
    transform, forward = KINDS[name]

    def run(input, s, dim, norm):
        full = f"{name}{'2' if dims else 'n'}"
        axes, sizes = several(input, s, dim, full)
        extra = () if transform is complex_transform else (full,)
        return transform(input, axes, sizes, norm, forward, *extra)

    def function(input, s=None, dim=dims, norm=None):
        return run(input, s, dim, norm)

    return function


for _name in KINDS:
    for _suffix, _function, _where in (
        ("", one_dimensional(_name), "along `dim`, cut or filled up to `n` elements"),
        ("2", many_dimensional(_name, (-2, -1)), "over two dimensions, cut or filled up to the sizes `s`"),
        (
            "n",
            many_dimensional(_name, None),
            "over the dimensions `dim` (all by default), cut or filled up to the sizes `s`",
        ),
    ):
        _function.__name__ = f"{_name}{_suffix}"
        _function.__doc__ = f'{SENTENCES[_name]}, {_where}; `norm` is "forward", "backward" (default) or "ortho".'
        composite(_function, **FFT)

# --- frequencies ------------------------------------------------------------------------------------------------------


def fftfreq(n, d=1.0, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):
    """The frequencies of the elements of a spectrum of `n`, for samples `d` apart: 0, 1, .., -2, -1 over n d."""
    dtype = dtype or dtypes.default.dtype
    positive = creation.arange(0, (n + 1) // 2, dtype=dtype)
    result = creation.arange(-(n // 2), 0, dtype=dtype)
    values = positive.new_empty((n,))
    values._array[: (n + 1) // 2], values._array[(n + 1) // 2 :] = positive._array, result._array
    return finished(values, n, d, out, device, requires_grad)


def rfftfreq(n, d=1.0, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):
    """The frequencies of the elements of half a spectrum of `n`, for samples `d` apart: 0, 1, .., n // 2 over n d."""
    return finished(creation.arange(n // 2 + 1, dtype=dtype or dtypes.default.dtype), n, d, out, device, requires_grad)


def finished(values, n, d, out, device, requires_grad):
    creation.check_device(device)
    if n == 0:
        values = values[:0]
    else:
        values._array[...] = values._array * (1.0 / (n * d))
    if out is not None:
        out.resize_(values.shape)
        return out.copy_(values)
    return values.requires_grad_(requires_grad)


@composite(**FFT)
def fftshift(input, dim=None):
    """The spectrum with frequency 0 in the middle."""
    axes = axes_to_shift(input, dim)
    return roll(input, tuple(input.shape[a] // 2 for a in axes), axes)


@composite(**FFT)
def ifftshift(input, dim=None):
    """The inverse of `fftshift`."""
    axes = axes_to_shift(input, dim)
    return roll(input, tuple((input.shape[a] + 1) // 2 for a in axes), axes)


def axes_to_shift(input, dim):
    if dim is None:
        return tuple(range(input.ndim))
    return tuple(axis_in(input, d) for d in ([dim] if isinstance(dim, int) else dim))
