"""Images of another size or arrangement: resizing, windows as columns and back, pixels moved between channels and
space, sampling at given places."""

import math
import warnings

import numpy as np

from wengert.dtypes import SCALAR_NAMES
from wengert.kernels import convolution as columns
from wengert.kernels import resampling as kernels
from wengert.kernels import sampling
from wengert.kernels.convolution import laid_out_like
from wengert.ops import pooling  # noqa: F401 (declares adaptive_avg_pool, which is what "area" means)
from wengert.ops.convolution import per_axis
from wengert.ops.declare import FUNCTIONS, composite, primitive
from wengert.ops.shape import narrow_to, reshape_to
from wengert.tensor import wrap

HIDDEN = {"function": False, "method": False}

# --- resizing: one linear map per axis -------------------------------------------------------------------------------

NODES = {
    "nearest": "UpsampleNearest{}DBackward0", "nearest-exact": "UpsampleNearestExact{}DBackward0",
    "linear": "UpsampleLinear1DBackward0", "bilinear": "UpsampleBilinear2DBackward0",
    "bicubic": "UpsampleBicubic2DBackward0", "trilinear": "UpsampleTrilinear3DBackward0",
}  # fmt: skip
FILTERS = {"linear": "linear", "bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}
AXES = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}


def taps_of(mode, space, size, align_corners, scales, antialias, dtype):
    kind = np.float64 if dtype.itemsize == 8 else np.float32
    mode = FILTERS.get(mode, mode)
    scales = scales or (None,) * len(space)
    return [
        kernels.resize_taps(mode, old, new, align_corners, scale, antialias, kind)
        for old, new, scale in zip(space, size, scales, strict=True)
    ]


def wide(x):
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x


def rounded(out, input):
    """`out` in the dtype of `input`, rows one after the other; a copy of it if nothing was computed."""
    return out.astype(input.dtype, order="C", copy=out is input)


def _resize(input, mode, size, align_corners, scales, antialias):
    taps = taps_of(mode, input.shape[2:], size, align_corners, scales, antialias, input.dtype)
    if input.dtype.kind == "u":
        out = kernels.resample(input.astype(np.float32) if FILTERS.get(mode) else input, taps)
        return np.clip(np.rint(out), 0, 255).astype(input.dtype) if FILTERS.get(mode) else np.array(out)
    return laid_out_like(rounded(kernels.resample(wide(input), taps), input), input)


def _resize_back(c, mode, space, align_corners, scales, antialias):
    taps = taps_of(mode, space, c.shape[2:], align_corners, scales, antialias, c.dtype)
    return laid_out_like(rounded(kernels.resample_transpose(wide(c), taps, space), c), c)


resize_back = primitive(
    "upsample_backward", _resize_back, **HIDDEN,
    c=lambda g, c_shape, mode, align_corners, scales, antialias: (
        resize(g, mode, c_shape[2:], align_corners, scales, antialias)
    ),
)  # fmt: skip
RESIZE = {
    (mode, n): primitive(
        "upsample", _resize, **HIDDEN, node=node.format(n),
        input=lambda g, input_shape, mode, align_corners, scales, antialias: resize_back(
            g, mode, input_shape[2:], align_corners, scales, antialias
        ),
    )
    for mode, node in NODES.items()
    for n in (1, 2, 3)
    if AXES.get(mode, n) == n
}  # fmt: skip

resize = RESIZE[
    "nearest", 2
]  # under one name, for `resize_back`: formulas find operations by the names of their module


@composite(namespace="nn.functional", method=False)
def interpolate(
    input,
    size=None,
    scale_factor=None,
    mode="nearest",
    align_corners=None,
    recompute_scale_factor=None,
    antialias=False,
):
    """Resize images.

    Args:
        input: (N, C, *space), one to three axes of space.
        size, scale_factor: what the extent of the result is, or how many times that of the input; one of them is given.
        mode: "nearest", "nearest-exact", "linear" (3-D input), "bilinear", "bicubic" (4-D), "trilinear" (5-D), "area".
        align_corners: whether the corner elements, rather than the corners of the corner elements, keep their places.
        recompute_scale_factor: whether positions follow the sizes instead of `scale_factor`.
        antialias: whether shrinking averages over all that falls on an element ("bilinear" and "bicubic").
    """
    if mode in ("nearest", "area", "nearest-exact"):
        if align_corners is not None:
            raise ValueError(
                "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | "
                "trilinear"
            )
    elif align_corners is None:
        align_corners = False
    n = input.ndim - 2
    size, scales = resized(input, size, scale_factor, n)
    if antialias and not (mode in ("bilinear", "bicubic") and input.ndim == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear and bicubic modes and requires a 4-D tensor as input"
        )
    if recompute_scale_factor:
        if scales is None:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        scales = None
    if mode == "area":
        if n not in (1, 2, 3):
            raise NotImplementedError(f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {input.ndim}D)")
        return FUNCTIONS["nn.functional"][f"adaptive_avg_pool{n}d"](input, size)
    if mode not in NODES:
        raise NotImplementedError(
            "Input Error: Only 3D, 4D and 5D input Tensors supported "
            f"(got {input.ndim}D) for the modes: nearest | linear | bilinear | bicubic | trilinear | area | "
            f"nearest-exact "
            f"(got {mode})"
        )
    if n not in (1, 2, 3):
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {input.ndim}D) for the modes: nearest | "
            f"linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact (got {mode})"
        )
    if AXES.get(mode, n) != n:
        raise NotImplementedError(f"Got {input.ndim}D input, but {mode} mode needs {AXES.get(mode, n) + 2}D input")
    if 0 in input.shape[1:]:
        raise RuntimeError(
            f"Non-empty {input.ndim}D data tensor expected but got a tensor with sizes {list(input.shape)}"
        )
    if min(size) <= 0 or min(input.shape[2:]) <= 0:
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input (sizes: {list(input.shape[2:])}) output "
            f"(sizes: "
            f"{list(size)})"
        )
    if not (input.dtype.is_floating_point or (input.dtype.name == "uint8" and n < 3)):
        raise NotImplementedError(f"\"compute_indices_weights_{mode}\" not implemented for '{input.dtype}'")
    return RESIZE[mode, n](input, mode, size, bool(align_corners), scales, antialias)


def resized(input, size, scale_factor, n):
    """The extent of the result, and the factors if those were given."""
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    given = size if size is not None else scale_factor
    name = "size" if size is not None else "scale_factor"
    if isinstance(given, (list, tuple)):
        if len(given) != n:
            if name == "size":
                raise ValueError(
                    "Input and output must have the same number of spatial dimensions, but got input with spatial "
                    "dimensions of "
                    f"{list(input.shape[2:])} and output size of {size}. Please provide input tensor in (N, C, d1, "
                    f"d2, ...,dK) "
                    "format and output size in (o1, o2, ...,oK) format."
                )
            raise ValueError(
                "Input and scale_factor must have the same number of spatial dimensions, but got input with spatial "
                "dimensions "
                f"of {list(input.shape[2:])} and scale_factor of shape {scale_factor}. Please provide input tensor in "
                "(N, C, d1, d2, ...,dK) format and scale_factor in (s1, s2, ...,sK) format."
            )
        if name == "size" and not all(hasattr(v, "__index__") for v in given):
            raise TypeError(f"expected size to be one of int or Tuple[int] or Tuple[int, int], but got size with types "
                            f"{[type(v) for v in given]}")  # fmt: skip
        given = tuple(given)
    else:
        given = (given,) * n
    if name == "size":
        return tuple(int(v) for v in given), None
    scales = tuple(float(v) for v in given)
    return tuple(math.floor(length * s) for length, s in zip(input.shape[2:], scales, strict=True)), scales


@composite(namespace="nn.functional", method=False)
def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """The old name of `interpolate`."""
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=4)
    return interpolate(input, size, scale_factor, mode, align_corners)


@composite(namespace="nn.functional", method=False)
def upsample_nearest(input, size=None, scale_factor=None):
    """The old name of `interpolate` by the nearest element."""
    warnings.warn(
        "`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=4
    )
    return interpolate(input, size, scale_factor, mode="nearest")


@composite(namespace="nn.functional", method=False)
def upsample_bilinear(input, size=None, scale_factor=None):
    """The old name of bilinear `interpolate` with aligned corners."""
    warnings.warn(
        "`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=4
    )
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


# --- windows as columns ----------------------------------------------------------------------------------------------


def _im2col(input, window, dilation, padding, stride):
    return columns.image_to_columns(input, window, stride=stride, padding=padding, dilation=dilation)


def _col2im(input, space, window, dilation, padding, stride):
    return columns.columns_to_image(input, space, window, stride=stride, padding=padding, dilation=dilation)


im2col = primitive(
    "im2col", _im2col, **HIDDEN, node="Im2ColBackward0",
    input=lambda g, input_shape, window, dilation, padding, stride: (
        col2im(g, input_shape[2:], window, dilation, padding, stride)
    ),
)  # fmt: skip
col2im = primitive(
    "col2im", _col2im, **HIDDEN, node="Col2ImBackward0",
    input=lambda g, window, dilation, padding, stride: im2col(g, window, dilation, padding, stride),
)  # fmt: skip


def window_options(kernel_size, dilation, padding, stride):
    options = [
        per_axis(name, value, 2)
        for name, value in (
            ("kernel_size", kernel_size), ("dilation", dilation), ("padding", padding), ("stride", stride),
        )
    ]  # fmt: skip
    for name, value in zip(("kernel size", "dilation", "padding", "stride"), options, strict=True):
        least = 0 if name == "padding" else 1
        if min(value) < least:
            raise RuntimeError(
                f"{name} should be {'non-negative' if not least else 'greater than zero'}, but got "
                f"{name.replace(' ', '_')} "
                f"height: {value[0]} width: {value[1]}"
            )
    return options


def window_counts(space, options):
    kernel, dilation, padding, stride = options
    return [columns.output_size(*along) for along in zip(space, kernel, stride, padding, dilation, strict=True)]


@composite(namespace="nn.functional", method=False)
def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """All windows of images as columns: (N, C, H, W) → (N, C × kernel, windows)."""
    if input.ndim not in (3, 4) or 0 in input.shape[1 if input.ndim == 4 else 0 :]:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for "
            "input, but "
            f"got: {list(input.shape)}"
        )
    options = window_options(kernel_size, dilation, padding, stride)
    counts = window_counts(input.shape[-2:], options)
    if min(counts) < 1:
        raise RuntimeError(
            f"Given input with spatial size {tuple(input.shape[-2:])}, kernel_size={options[0]}, "
            f"dilation={options[1]}, "
            f"padding={options[2]}, calculated shape of the array of sliding blocks as {tuple(counts)}, but its "
            f"components must "
            "be at least one."
        )
    single = input.ndim == 3
    out = im2col(input.unsqueeze(0) if single else input, *options)
    return out.squeeze(0) if single else out


@composite(namespace="nn.functional", method=False)
def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Put columns back as windows of an image, overlaps added: (N, C × kernel, windows) → (N, C, *output_size)."""
    if input.ndim not in (2, 3) or 0 in input.shape[-2:]:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for "
            "input, but "
            f"got: {list(input.shape)}"
        )
    space = per_axis("output_size", output_size, 2)
    options = window_options(kernel_size, dilation, padding, stride)
    taps = math.prod(options[0])
    if input.shape[-2] % taps:
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got input.size(1)="
            f"{input.shape[-2]} and kernel_size={options[0]}."
        )
    counts = window_counts(space, options)
    if min(counts) < 1 or math.prod(counts) != input.shape[-1]:
        raise RuntimeError(
            f"Given output_size={space}, kernel_size={options[0]}, dilation={options[1]}, padding={options[2]}, "
            f"stride={options[3]}, expected size of input's dimension 2 to match the calculated number of sliding "
            f"blocks "
            f"{counts[0]} * {counts[1]} = {math.prod(counts)}, but got input.size(2)={input.shape[-1]}."
        )
    single = input.ndim == 2
    out = col2im(input.unsqueeze(0) if single else input, space, *options)
    return out.squeeze(0) if single else out


# --- pixels between channels and space -------------------------------------------------------------------------------


@composite(namespace="nn.functional", method=False)
def pixel_shuffle(input, upscale_factor):
    """(*, C r², H, W) → (*, C, H r, W r) (Shi et al., 2016)."""
    r = upscale_factor
    if input.ndim < 3:
        raise RuntimeError(
            f"pixel_shuffle expects input to have at least 3 dimensions, but got input with {input.ndim} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_shuffle expects a positive upscale_factor, but got {r}")
    c = input.shape[-3]
    if c % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, "
            "but "
            f"input.size(-3)={c} is not divisible by {r * r}"
        )
    return shuffle_op(input, r)


def _shuffle(input, factor):
    r = factor
    *outer, c, h, w = input.shape
    split = input.reshape(*outer, c // (r * r), r, r, h, w)
    moved = np.moveaxis(split, (-2, -4, -1, -3), (-4, -3, -2, -1))
    return kept_layout(np.array(moved, order="C").reshape(*outer, c // (r * r), h * r, w * r), input)


def _unshuffle(input, factor):
    r = factor
    *outer, c, h, w = input.shape
    split = input.reshape(*outer, c, h // r, r, w // r, r)
    moved = np.moveaxis(split, (-3, -1), (-4, -3))
    return kept_layout(np.array(moved, order="C").reshape(*outer, c * r * r, h // r, w // r), input)


def kept_layout(out, input):
    return laid_out_like(out, input) if out.ndim == 4 else out


shuffle_op = primitive(
    "pixel_shuffle", _shuffle, function=False, method=False, input=lambda g, factor: unshuffle_op(g, factor)
)
unshuffle_op = primitive(
    "pixel_unshuffle", _unshuffle, function=False, method=False, input=lambda g, factor: shuffle_op(g, factor)
)


@composite(namespace="nn.functional", method=False)
def pixel_unshuffle(input, downscale_factor):
    """The inverse of `pixel_shuffle`: (*, C, H r, W r) → (*, C r², H, W)."""
    r = downscale_factor
    if input.ndim < 3:
        raise RuntimeError(
            f"pixel_unshuffle expects input to have at least 3 dimensions, but got input with {input.ndim} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {r}")
    for name, at in (("height", -2), ("width", -1)):
        extent = input.shape[at]
        if extent % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but input.size({at})={extent} "
                f"is not "
                f"divisible by {r}"
            )
    return unshuffle_op(input, r)


@composite(namespace="nn.functional", method=False)
def channel_shuffle(input, groups):
    """Interleave the channels of `groups` groups (Zhang et al., 2018)."""
    if input.ndim < 3:
        raise RuntimeError(f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(input.shape)}")
    if groups <= 0:
        raise RuntimeError(f"Number of groups to divide channels in must be positive. Value of groups:{groups}")
    n, c, *space = input.shape
    if c % groups:
        raise RuntimeError(f"Number of channels must be divisible by groups. Got {c} channels and {groups} groups.")
    return input.reshape(n, groups, c // groups, *space).transpose(1, 2).reshape(n, c, *space)


channel_shuffle.export(namespace="nn.functional", method=False, alias=("native_channel_shuffle",))

# --- sampling at given places ----------------------------------------------------------------------------------------


@composite(namespace="nn.functional", method=False)
def affine_grid(theta, size, align_corners=None):
    """The places (N, *space, axes) that affine maps `theta` (N, axes, axes + 1) send the points of a regular grid
    to."""
    if not theta.dtype.is_floating_point:
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    n = len(size) - 2
    if n not in (2, 3):
        raise NotImplementedError(
            f"affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size "
            f"{size}."
        )
    if theta.ndim != 3 or tuple(theta.shape[-2:]) != (n, n + 1):
        raise ValueError(
            f"Expected a batch of {n}D affine matrices of shape Nx{n}x{n + 1} for size {size}. Got {theta.shape}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    points = wrap(sampling.base_grid(tuple(size[2:]), bool(align_corners), theta._array.dtype))
    placed = points.reshape(1, -1, n + 1).expand(theta.shape[0], -1, -1).bmm(theta.transpose(1, 2))
    return placed.reshape(theta.shape[0], *size[2:], n)


@composite(namespace="nn.functional", method=False)
def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """Read images at given places.

    Args:
        input: (N, C, *space), two or three axes of space.
        grid: (N, *out, axes), coordinates from -1 to 1, the last axis of space first.
        mode: "bilinear", "nearest" or "bicubic" (two axes).
        padding_mode: what lies outside: "zeros", "border" or "reflection".
        align_corners: whether -1 and 1 mean the centres of the corner elements rather than their outer edges.
    """
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'"
        )
    if align_corners is None:
        warnings.warn("Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0.",
                      stacklevel=4)  # fmt: skip
        align_corners = False
    n = input.ndim - 2
    if input.dtype is not grid.dtype:
        raise RuntimeError(f"expected scalar type {SCALAR_NAMES[input.dtype]} but found {SCALAR_NAMES[grid.dtype]}")
    if grid.ndim != 1 and grid.shape[0] != input.shape[0]:
        raise RuntimeError(
            f"grid_sampler(): expected grid and input to have same batch size, but got input with sizes "
            f"{list(input.shape)} and grid with sizes {list(grid.shape)}"
        )
    if grid.ndim and grid.shape[-1] != n:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {n} in last dimension, but got grid with sizes "
            f"{list(grid.shape)}"
        )
    if n not in (2, 3) or grid.ndim != n + 2 or grid.shape[-1] != n or grid.shape[0] != input.shape[0]:
        raise RuntimeError(
            f"grid_sampler(): expected 4D or 5D input and grid with matching batch size and dimensions, but got "
            f"input with "
            f"sizes {list(input.shape)} and grid with sizes {list(grid.shape)}"
        )
    if min(input.shape[2:]) < 1:
        raise RuntimeError(
            f"grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes "
            f"{list(input.shape)}"
        )
    if n == 3 and mode == "bicubic":
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    return READ[n](input, grid, (mode, padding_mode, bool(align_corners)), (0,) * n)


# The derivatives of a reading are readings with derived weights, at every order: see `wengert.kernels.sampling`.
READ = {
    n: primitive(
        "grid_sampler", sampling.read, **HIDDEN, node=f"GridSampler{n}DBackward0",
        input=lambda g, grid, input_shape, how, order: spread(g, grid, input_shape[2:], how, order),
        grid=lambda g, input, grid, how, order: slope(g, input, grid, how, order),
    )
    for n in (2, 3)
}  # fmt: skip
read = READ[2]  # under one name, for the formulas
spread = primitive(
    "grid_sampler_backward", sampling.spread, **HIDDEN,
    c=lambda g, grid, how, order: read(g, grid, how, order),
    grid=lambda g, c, grid, how, order: slope(c, g, grid, how, order),
)  # fmt: skip
slope = primitive(
    "grid_sampler_slope", sampling.slope, **HIDDEN,
    c=lambda g, input, grid, how, order: total(
        component(g, k) * read(input, grid, how, further) for k, further in components(order)
    ),
    input=lambda g, c, grid, input_shape, how, order: total(
        spread(c * component(g, k), grid, input_shape[2:], how, further) for k, further in components(order)
    ),
    grid=lambda g, c, input, grid, how, order: total(
        slope(c * component(g, k), input, grid, how, further) for k, further in components(order)
    ),
)  # fmt: skip


def component(g, k):
    """One coordinate (N, *out, axes) of places, beside all channels: (N, 1, *out)."""
    return reshape_to(narrow_to(g, -1, k, 1), (g.shape[0], 1, *g.shape[1:-1]))


def components(order):
    """(coordinate of a grid, the order of weights that are derived once more by it)."""
    n = len(order)
    return [(k, sampling.raised(order, n - 1 - k)) for k in range(n)]


def total(terms):
    first, *rest = terms
    for term in rest:
        first = first + term
    return first


# PyTorch offers these under `torch` as well.
for _operation in (
    pixel_shuffle,
    pixel_unshuffle,
    channel_shuffle,
):
    _operation.export(method=False)
channel_shuffle.export(method=False, alias=("native_channel_shuffle",))
