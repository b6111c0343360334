"""Pools: maxima, averages and power means over windows, over windows of given number, and over random ones.

A pool of maxima reads its input at the positions of the maxima; its derivative writes there.  Reading
(`gather_windows`) and writing (`scatter_windows`) are linear and each other's transposes, so second derivatives
follow.  Averages are linear themselves, with a transpose that spreads (`spread_average`).
"""

from functools import lru_cache
from math import prod

import numpy as np

from wengert import dtypes
from wengert.autograd.graph import grad_mode
from wengert.kernels import pooling as kernels
from wengert.kernels.pooling import pooled_size
from wengert.ops.convolution import by
from wengert.ops.declare import Primitive, composite, primitive

# --- reading at positions and writing to them ------------------------------------------------------------------------

gather_windows = Primitive(
    "gather_windows",
    lambda x, indices: kernels.gather_windows(x, indices),
    {"x": lambda g, indices, x_shape: scatter_windows(g, indices, x_shape[2:])},
    node="GatherBackward0",
)
scatter_windows = Primitive(
    "scatter_windows",
    lambda c, indices, space: kernels.max_pool_backward(c, indices, space),
    {"c": lambda g, indices: gather_windows(g, indices)},
    node="MaxPoolBackwardBackward0",
)


def array_of(indices):
    """The positions as an array, whether they come as a result kept by a node or straight from a kernel."""
    return getattr(indices, "_array", indices)


def to_maxima(g, indices, input_shape):
    return scatter_windows(g, array_of(indices), input_shape[2:])


def declare_maximum(node, kernel):
    """A pool of maxima in two forms: values alone, positions kept for the derivative; and values with positions."""
    values = Primitive("max_pool", kernel, {"input": to_maxima}, residuals=("indices",), node=node)
    both = primitive(
        "max_pool_with_indices", kernel, function=False, method=False, outputs=("values", "indices"), node=node,
        nodiff_outputs=("indices",),
        input=lambda g_values, indices, input_shape: to_maxima(g_values, indices, input_shape),
    )  # fmt: skip
    return values, both


def _max_pool(input, window, stride, padding, dilation, out_space):
    return kernels.max_pool_with_indices(input, window, stride, padding, dilation, out_space)


def _adaptive_max_pool(input, out_space):
    return kernels.adaptive_max_with_indices(input, out_space)


def _fractional_max_pool(input, starts, window):
    return kernels.fractional_max_with_indices(input, starts, window)


MAX = {n: declare_maximum(f"MaxPool{max(n, 2)}DWithIndicesBackward0", _max_pool) for n in (1, 2, 3)}
ADAPTIVE_MAX = {n: declare_maximum(f"AdaptiveMaxPool{max(n, 2)}DBackward0", _adaptive_max_pool) for n in (1, 2, 3)}
FRACTIONAL_MAX = {n: declare_maximum(f"FractionalMaxPool{n}DBackward0", _fractional_max_pool) for n in (2, 3)}


def _max_values(input, window, stride, padding, dilation, out_space):
    return kernels.max_pool(input, window, stride, padding, dilation, out_space)


max_values = Primitive("max_pool", _max_values, {}, tensors=("input",))

# --- averages --------------------------------------------------------------------------------------------------------


def divided(total, divisor):
    if total.dtype.kind in "iu":
        return (total / divisor).astype(total.dtype)  # integers are divided towards zero
    if type(divisor) is int:
        total /= divisor
        return total
    return np.divide(total, divisor, out=total, casting="unsafe")


def _average(input, window, stride, padding, out_space, divisor):
    wide = input.astype(np.float32) if is_half(input) else input
    return divided(kernels.sum_pool(wide, window, stride, padding, out_space), divisor).astype(input.dtype, copy=False)


def _spread_average(c, space, window, stride, padding, divisor):
    wide = c.astype(np.float32) if is_half(c) else c.copy()
    spread = kernels.sum_pool_backward(divided(wide, divisor), space, window, stride, padding)
    return kernels.laid_out_like(spread.astype(c.dtype, copy=False), c)


def _adaptive_average(input, out_space):
    wide = input.astype(np.float32) if is_half(input) else input
    total = kernels.adaptive_sum(wide, out_space)
    return divided(np.array(total), kernels.adaptive_counts(input.shape[2:], out_space)).astype(input.dtype, copy=False)


def _spread_adaptive_average(c, space):
    wide = c.astype(np.float32) if is_half(c) else c.copy()
    share = divided(wide, kernels.adaptive_counts(space, c.shape[2:]))
    return kernels.laid_out_like(kernels.adaptive_sum_backward(share, space).astype(c.dtype, copy=False), c)


def is_half(array):
    return array.dtype.itemsize == 2 and array.dtype.kind in "fV"


spread_average = Primitive(
    "spread_average",
    _spread_average,
    {
        "c": lambda g, c_shape, window, stride, padding, divisor: average(
            g, window, stride, padding, c_shape[2:], divisor
        )
    },
    node="AvgPool2DBackwardBackward0",
)
spread_adaptive_average = Primitive(
    "spread_adaptive_average",
    _spread_adaptive_average,
    {"c": lambda g, c_shape: adaptive_average(g, c_shape[2:])},
    node="AdaptiveAvgPool2DBackwardBackward0",
)
AVERAGE = {
    n: Primitive(
        "avg_pool",
        _average,
        {
            "input": lambda g, input_shape, window, stride, padding, divisor: spread_average(
                g, input_shape[2:], window, stride, padding, divisor
            )
        },
        node=f"AvgPool{max(n, 2)}DBackward0",
    )
    for n in (1, 2, 3)
}
average = AVERAGE[2]
ADAPTIVE_AVERAGE = {
    n: Primitive(
        "adaptive_avg_pool",
        _adaptive_average,
        {"input": lambda g, input_shape: spread_adaptive_average(g, input_shape[2:])},
        node=f"AdaptiveAvgPool{max(n, 2)}DBackward0",
    )
    for n in (1, 2, 3)
}

adaptive_average = ADAPTIVE_AVERAGE[2]

# --- arguments -------------------------------------------------------------------------------------------------------

EXTENTS = ("time", "height", "width")
COUNTS = {1: "one int", 2: "two ints", 3: "three ints"}


def extents(function, name, value, axes):
    """One int per axis from an int or a sequence of one or `axes` ints."""
    if type(value) is int:
        return (value,) * axes
    if isinstance(value, str) or value is None:
        raise TypeError(f"{function}(): argument '{name}' must be tuple of ints, not {type(value).__name__}")
    if not hasattr(value, "__len__"):
        return (value.__index__(),) * axes
    if len(value) not in (1, axes):
        if axes == 1:
            raise RuntimeError(
                f"{function}() {name} must be an int, list of ints or tuple of ints of size 1 but got size {len(value)}"
            )
        omitted = "be omitted, " if name == "stride" else "be "
        raise RuntimeError(f"{function}: {name} must either {omitted}a single int, or a tuple of {COUNTS[axes]}")
    return tuple(value) if len(value) == axes else tuple(value) * axes


def batched(function, input, axes):
    """`input` as (N, C, *space), and whether N was missing."""
    shape = input._array.shape
    if len(shape) == axes + 2:
        single = False
    elif len(shape) == axes + 1:
        input, single = input.unsqueeze(0), True
    else:
        raise RuntimeError(
            f"{function}: Expected {axes + 1}D or {axes + 2}D (batch mode) tensor with optional 0 dim batch size for "
            f"input, "
            f"but got:{list(shape)}"
        )
    if not input._array.size:
        refuse_empty(function, input._array.shape, shape, axes)
    return input, single


def adaptively_batched(function, input, axes, output_size):
    """`batched`, refusing as the adaptive pools do."""
    found, least = list(input._array.shape), axes + 1
    if len(found) not in (least, least + 1):
        if axes == 1:
            raise RuntimeError(
                f"Expected 2 to 3 dimensions, but got {len(found)}-dimensional tensor for argument #1 'self' (while "
                f"checking arguments for {function})"
            )
        if len(found) < least and isinstance(output_size, (tuple, list)):
            raise ValueError(f"Input dimension should be at least {least}")
        got = "got:" if "max" in function else "got"
        raise RuntimeError(f"{function}(): Expected {least}D or {least + 1}D tensor, but {got} {found}")
    return batched(function, input, axes)


def refuse_empty(function, shape, given, axes):
    """Raise RuntimeError for an image without elements; averages of given number may be of no channels at all."""
    if not function.startswith("adaptive"):
        if 0 in shape[1:]:
            speaker = "max_pool1d: " if function == "max_pool1d" else ""
            raise RuntimeError(
                f"{speaker}Expected {axes + 1}D or {axes + 2}D (batch mode) tensor with optional 0 dim batch size "
                f"for input, but got:{list(given)}"
            )
        return
    checked = axes if "avg" in function or len(given) == axes + 1 else axes + 1
    if 0 in shape[-checked:]:
        dim = len(given) - checked + shape[-checked:].index(0)
        raise RuntimeError(
            f"{function}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes "
            f"{list(given)} with dimension {dim} being empty"
        )


def windows(function, input, kernel, stride, padding, dilation, ceil_mode, axes):
    """The options of a pool with windows of given extent, one int per axis each, and the extent of its result."""
    given = (kernel, stride, padding, dilation)
    find = windows_found if WRITTEN.issuperset(map(type, given)) else windows_found.__wrapped__
    return find(function, input._array.shape, *given, ceil_mode, axes)


WRITTEN = frozenset({int, tuple, type(None)})  # options that say the same whenever they are given


@lru_cache(maxsize=256)
def windows_found(function, shape, kernel, stride, padding, dilation, ceil_mode, axes):
    kernel = extents(function, "kernel_size", kernel, axes)
    no_stride = stride is None or (isinstance(stride, (tuple, list)) and not stride)
    stride = kernel if no_stride else extents(function, "stride", stride, axes)
    padding = extents(function, "padding", padding, axes)
    dilation = extents(function, "dilation", dilation, axes)
    if function == "max_pool1d":
        return along_a_line(shape[2], kernel, stride, padding, dilation, ceil_mode)
    if min(stride) <= 0:
        raise RuntimeError("stride should not be zero" if min(stride) == 0 else "stride must be greater than zero")
    if min(kernel) <= 0:
        raise RuntimeError(f"{function}: kernel size should be greater than zero, but got {list(kernel)}")
    if min(dilation) <= 0:
        raise RuntimeError(f"dilation should be greater than zero, but got {list(dilation)}")
    if min(padding) < 0:
        raise RuntimeError(f"pad must be non-negative, but got pad: {min(padding)}")
    for k, p, d in zip(kernel, padding, dilation, strict=True):
        if p > (d * (k - 1) + 1) // 2:
            raise RuntimeError(
                "pad should be at most half of effective kernel size, but got "
                f"pad={p}, kernel_size={k} and dilation={d}"
            )
    out = tuple(
        pooled_size(*along, ceil_mode) for along in zip(shape[2:], kernel, stride, padding, dilation, strict=True)
    )
    if min(out) < 1:
        raise RuntimeError(
            f"Given input size: {by(shape[1:]).replace(' ', '')}. Calculated output size: "
            f"{by((shape[1], *(max(o, 0) for o in out))).replace(' ', '')}. Output size is too small"
        )
    return kernel, stride, padding, dilation, out


def along_a_line(length, kernel, stride, padding, dilation, ceil_mode):
    """The same for `max_pool1d`, which has its own words for what is wrong."""
    (k,), (s,), (p,), (d,) = kernel, stride, padding, dilation
    for name, value in (("kernel_size", k), ("stride", s)):
        if value <= 0:
            raise RuntimeError(f"max_pool1d() {name} must be greater than zero, but got {value}")
    if p < 0:
        raise RuntimeError(f"max_pool1d() padding must be non-negative, but got {p}")
    if p > k // 2:
        raise RuntimeError(
            f"max_pool1d() padding should be at most half of kernel size, but got padding={p} and kernel_size={k}"
        )
    if d <= 0:
        raise RuntimeError(f"max_pool1d() dilation must be greater than zero, but got {d}")
    out = pooled_size(length, k, s, p, d, ceil_mode)
    if out <= 0:
        raise RuntimeError(f"max_pool1d() Invalid computed output size: {out}")
    return kernel, stride, padding, dilation, (out,)


def adaptive_extent(function, output_size, input, axes):
    """The extent asked for, None keeping that of the input."""
    if isinstance(output_size, (tuple, list)):
        if len(output_size) != axes:
            what = "" if "avg" in function else "(): internal error: output_size.size() must be"
            raise RuntimeError(f"{function}{what or ': output_size must be'} {axes}")
        sizes = tuple(n if size is None else size for size, n in zip(output_size, input.shape[2:], strict=True))
    else:
        sizes = extents(function, "output_size", output_size, axes)
    if min(sizes) < 0:
        raise RuntimeError(
            f"{function}: elements of output_size must be greater than or equal to 0 but received {list(sizes)}"
        )
    return sizes


def recorded(input):
    return (input._node is not None and grad_mode.enabled) or input._tangent is not None


def run_maximum(pair, input, single, options, return_indices):
    values, both = pair
    if return_indices:
        out, indices = both(input, *options)
        return (out.squeeze(0), indices.squeeze(0)) if single else (out, indices)
    out = values.function(input, *options)
    return out.squeeze(0) if single else out


INTEGERS = (dtypes.uint8, dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64)


def refuse_other(input, kernel, *besides):
    """Raise NotImplementedError unless the elements are real floating-point numbers, or of a dtype in `besides`."""
    if not input.dtype.is_floating_point and input.dtype not in besides:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{dtypes.SCALAR_NAMES[input.dtype]}'")


# --- the functions, for one, two and three axes ----------------------------------------------------------------------


def declare_pools(n):
    """The pools over `n` axes, as (name, function) pairs."""

    def max_pool(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
        input, single = batched(f"max_pool{n}d", input, n)
        indexed = return_indices or recorded(input) or n > 1
        refuse_other(input, f"max_pool{n}d" if indexed else "max_pool1d_impl", *(INTEGERS if indexed else ()))
        options = windows(f"max_pool{n}d", input, kernel_size, stride, padding, dilation, ceil_mode, n)
        if not return_indices and not recorded(input):
            out = max_values.function(input, *options)
            return out.squeeze(0) if single else out
        return run_maximum(MAX[n], input, single, options, return_indices)

    def max_pool_with_indices(
        input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
    ):
        return max_pool(input, kernel_size, stride, padding, dilation, ceil_mode, True)

    def avg_pool(
        input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
    ):
        input, single = batched(f"avg_pool{n}d", input, n)
        refuse_other(input, "avg_pool3d_out_frame" if n == 3 else "avg_pool2d", dtypes.int64)
        if divisor_override == 0:
            raise RuntimeError("divisor must be not zero")
        kernel, stride, padding, _, out_space = windows(
            f"avg_pool{n}d", input, kernel_size, stride, padding, 1, ceil_mode, n
        )
        if n == 3 and any(size < k for size, k in zip(input.shape[2:], kernel, strict=True)):
            raise RuntimeError(f"input image {by(input.shape[2:])} smaller than kernel size {by(kernel)}")
        divisor = divisor_override
        if divisor is None:
            divisor = prod(kernel)
            if any(padding) or ceil_mode:
                space = input._array.shape[2:]
                divisor = kernels.window_counts(space, kernel, stride, padding, out_space, count_include_pad)
        out = AVERAGE[n].function(input, kernel, stride, padding, out_space, divisor)
        return out.squeeze(0) if single else out

    def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
        return avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad)

    def adaptive_avg_pool(input, output_size):
        input, single = adaptively_batched(f"adaptive_avg_pool{n}d", input, n, output_size)
        out_space = adaptive_extent(f"adaptive_avg_pool{n}d", output_size, input, n)
        if n > 1 and max(out_space) == 1 == min(out_space):
            out = input.mean(tuple(range(2, n + 2)), True)
        else:
            refuse_other(input, "adaptive_avg_pool3d_cpu" if n == 3 else "adaptive_avg_pool2d")
            out = ADAPTIVE_AVERAGE[n].function(input, out_space)
        return out.squeeze(0) if single else out

    def adaptive_max_pool(input, output_size, return_indices=False):
        input, single = adaptively_batched(f"adaptive_max_pool{n}d", input, n, output_size)
        out_space = adaptive_extent(f"adaptive_max_pool{n}d", output_size, input, n)
        refuse_other(input, "adaptive_max_pool3d_cpu" if n == 3 else "adaptive_max_pool2d")
        return run_maximum(ADAPTIVE_MAX[n], input, single, (out_space,), return_indices)

    def adaptive_max_pool_with_indices(input, output_size, return_indices=False):
        return adaptive_max_pool(input, output_size, True)

    def max_unpool(input, indices, kernel_size, stride=None, padding=0, output_size=None):
        kernel = extents(f"max_unpool{n}d", "kernel_size", kernel_size, n)
        stride = kernel if stride is None else extents(f"max_unpool{n}d", "stride", stride, n)
        padding = extents(f"max_unpool{n}d", "padding", padding, n)
        check_indices(n, input, indices)
        if any(s <= 0 for s in stride):
            raise RuntimeError(f"strides should be greater than zero, but got stride: {list(stride)}")
        space = unpooled_extent(input.shape[-n:], kernel, stride, padding, output_size)
        single = input.ndim == n + 1
        if single:
            input, indices = input.unsqueeze(0), indices.unsqueeze(0)
        check_positions(indices._array, space, n)
        out = unpool(input, indices._array, space)
        return out.squeeze(0) if single else out

    def lp_pool(input, norm_type, kernel_size, stride=None, ceil_mode=False):
        kernel = extents(f"lp_pool{n}d", "kernel_size", kernel_size, n)
        out = avg_pool(input.pow(norm_type), kernel, stride, 0, ceil_mode)
        return (out.sign() * out.abs().relu() * prod(kernel)).pow(1.0 / norm_type)

    max_pool.__doc__ = f"""The greatest element of each window, over {n} dimension(s).

    Args:
        input: (N, C, *space) or (C, *space).
        kernel_size, stride, padding, dilation: an int or one per axis; `stride` is that of the kernel unless given.
        ceil_mode: whether a window that reaches beyond the padded image still counts.
        return_indices: also return where in its plane each maximum lies (int64).
    """
    avg_pool.__doc__ = avg_pool1d.__doc__ = f"""The mean of each window, over {n} dimension(s).

    Args:
        input: (N, C, *space) or (C, *space).
        kernel_size, stride, padding: an int or one per axis; `stride` is that of the kernel unless given.
        ceil_mode: whether a window that reaches beyond the padded image still counts.
        count_include_pad: whether padding counts, as zero, in the mean.
        divisor_override: divide by this instead of the number of elements.
    """
    adaptive_avg_pool.__doc__ = f"The mean of each of `output_size` windows that cover {n} dimension(s) evenly."
    adaptive_max_pool.__doc__ = f"The maximum of each of `output_size` windows that cover {n} dimension(s) evenly."
    max_unpool.__doc__ = f"Put maxima over {n} dimension(s) back to where `indices` says, zero elsewhere."
    lp_pool.__doc__ = f"The sum of powers of each window, brought back by the root, over {n} dimension(s)."
    return {
        f"max_pool{n}d": max_pool,
        f"max_pool{n}d_with_indices": max_pool_with_indices,
        f"avg_pool{n}d": avg_pool1d if n == 1 else avg_pool,
        f"adaptive_avg_pool{n}d": adaptive_avg_pool,
        f"adaptive_max_pool{n}d": adaptive_max_pool,
        f"adaptive_max_pool{n}d_with_indices": adaptive_max_pool_with_indices,
        f"max_unpool{n}d": max_unpool,
        f"lp_pool{n}d": lp_pool,
    }


# --- unpooling -------------------------------------------------------------------------------------------------------

unpool = Primitive(
    "max_unpool",
    lambda input, indices, space: kernels.max_unpool(input, indices, space),
    {"input": lambda g, indices: gather_windows(g, indices)},
    node="MaxUnpool2DBackward0",
)
unpool.linear = True  # of several maxima put in one place the last is seen; each is given the gradient


def check_indices(n, input, indices):
    if indices.dtype is not dtypes.int64:
        raise RuntimeError(f"elements in indices should be type int64 but got: {dtypes.SCALAR_NAMES[indices.dtype]}")
    if input.ndim not in (n + 1, n + 2):
        raise RuntimeError(
            f"Input to max_unpooling{n}d should be a {n + 1}d or {n + 2}d Tensor, but got a tensor with {input.ndim} "
            "dimensions."
        )
    if input.shape != indices.shape:
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor ({list(input.shape)}) but got indices "
            f"tensor with shape: {list(indices.shape)}"
        )


def check_positions(indices, space, n):
    size = prod(space)
    if indices.size and not (indices.min() >= 0 and indices.max() < size):
        wrong = indices.min() if indices.min() < 0 else indices.max()
        raise RuntimeError(
            f"Found an invalid max index: {wrong} (output volumes are of size {'x'.join(map(str, space))})"
        )


def unpooled_extent(space, kernel, stride, padding, output_size):
    natural = [(m - 1) * s + k - 2 * p for m, s, k, p in zip(space, stride, kernel, padding, strict=True)]
    if output_size is None:
        return tuple(natural)
    n = len(space)
    size = tuple(output_size[-n:]) if len(output_size) == n + 2 else tuple(output_size)
    if len(size) != n:
        raise ValueError(
            f"output_size should be a sequence containing {n} or {n + 2} elements, but it has a length of "
            f"'{len(output_size)}'"
        )
    for dim, (asked, usual, s) in enumerate(zip(size, natural, stride, strict=True)):
        if not usual - s < asked < usual + s:
            raise ValueError(f'invalid output_size "{size}" (dim {dim} must be between {usual - s} and {usual + s})')
    return size


# --- fractional pools ------------------------------------------------------------------------------------------------


def extents_or_refusal(name, argument, value, axes):
    """`extents`, of which these pools want all `axes`, in their own words."""
    if isinstance(value, (tuple, list)) and len(value) != axes:
        several = "Ints" if axes == 2 else f"{COUNTS[axes].split()[0]} Ints"
        raise RuntimeError(f"{name}: {argument} must either be a single Int or tuple of {several}")
    return extents(name, argument, value, axes)


def fractional(n):
    name = f"fractional_max_pool{n}d"

    def fractional_max_pool(
        input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
    ):
        if output_size is None and output_ratio is None:
            raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
        if 0 in input.shape[-n - 1 :]:
            dim = input.ndim - n - 1 + input.shape[-n - 1 :].index(0)
            raise RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but got{list(input.shape)} "
                f"with dimension {dim} being empty."
            )
        batch, single = batched(name, input, n)
        space = batch.shape[2:]
        if output_size is None:
            ratio = output_ratio if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * n
            if len(ratio) != n:
                raise ValueError(f"{name} requires output_ratio to either be a single Int or tuple of Ints.")
            output_size = [int(size * r) for size, r in zip(space, ratio, strict=True)]
        kernel, out = (
            extents_or_refusal(name, argument, given, n)
            for argument, given in (("kernel_size", kernel_size), ("output_size", output_size))
        )
        for axis, (size, k, m) in enumerate(zip(space, kernel, out, strict=True)):
            if m + k - 1 > size or (n == 3 and m + k - 1 >= size):
                axis = EXTENTS[axis - n]
                raise RuntimeError(f"{name}(): pool {axis} {k} too large relative to input {axis} {size}")
        samples = _random_samples
        if samples is None:
            from wengert import rand

            samples = rand(*batch.shape[:2], n, dtype=input.dtype)
        if samples.ndim != 3:
            raise RuntimeError(f"Expect _random_samples to have 3 dimensions, got {samples.ndim}")
        if samples.shape[0] < batch.shape[0]:
            raise RuntimeError("Expect _random_samples.size(0) no less then input batch size.")
        if samples.shape[1] != batch.shape[1]:
            raise RuntimeError("Expect _random_samples.size(1) equals to input channel size.")
        if samples.shape[2] != n:
            raise RuntimeError(f"Expect _random_samples.size(2) equals to {n}; got {samples.shape[2]}.")
        draws = samples._array[: batch.shape[0]]
        # In two dimensions the samples are (for width, for height); in three they follow the axes.
        order = (1, 0) if n == 2 else range(n)
        starts = [
            kernels.fractional_starts(draws[..., s], *sizes)
            for s, sizes in zip(order, zip(space, out, kernel, strict=True), strict=True)
        ]
        return run_maximum(FRACTIONAL_MAX[n], batch, single, (starts, kernel), return_indices)

    def with_indices(
        input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
    ):
        return fractional_max_pool(input, kernel_size, output_size, output_ratio, True, _random_samples)

    fractional_max_pool.__doc__ = """The maximum of windows in random places (Graham, "Fractional max-pooling", 2014).

    Args:
        input: (N, C, *space) or (C, *space).
        output_size, output_ratio: the extent of the result, or its ratio to that of the input.
        return_indices: also return where in its plane each maximum lies (int64).
    """
    return {name: fractional_max_pool, f"{name}_with_indices": with_indices}


# PyTorch offers some of these under `torch` as well.
IN_TORCH = {
    "max_pool1d", "max_pool2d", "max_pool3d", "max_pool1d_with_indices", "avg_pool1d", "adaptive_avg_pool1d",
    "adaptive_max_pool1d",
}  # fmt: skip

for _n in (1, 2, 3):
    for _name, _function in (declare_pools(_n) | (fractional(_n) if _n > 1 else {})).items():
        _operation = composite(_function, name=_name, method=False, torch=_name in IN_TORCH)
        _operation.export(namespace="nn.functional", method=False)
