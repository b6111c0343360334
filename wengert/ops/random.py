"""Random operations: fills, factories, samples and dropout, in PyTorch's order of drawing.

Everything comes down to *fills*: a tensor's elements are drawn in the order of its memory and written in place.  A
factory fills an empty tensor, a sample fills one shaped like its parameters, dropout multiplies by a filled mask.  What
is drawn depends on no input, so the gradient that passes through a fill or a sample is zero (`NoGradient`).

The draws are `wengert.kernels.random.Stream`'s, under the lock of the generator that is given or of the default one.
"""

import math
import numbers
import warnings

import numpy as np
from numpy.lib.stride_tricks import as_strided

from wengert import devices, dtypes
from wengert.autograd import views
from wengert.autograd.graph import Node, grad_mode, next_seq, rare
from wengert.dtypes import SCALAR_NAMES
from wengert.errors import broadcast_message
from wengert.kernels import implicit
from wengert.kernels import random as kernels
from wengert.kernels.overlap import repeats
from wengert.kernels.random import SIGNIFICAND_BITS
from wengert.ops import destinations
from wengert.ops.declare import composite, mark_inference, primitive
from wengert.random import Generator, default_generator
from wengert.tensor import Tensor, wrap

# --- arguments --------------------------------------------------------------------------------------------------------


def generator_of(operation, generator):
    """The generator to draw from: the default one for None."""
    if generator is None:
        return default_generator
    if not isinstance(generator, Generator):
        raise TypeError(f"{operation}(): argument 'generator' must be torch.Generator, not {type(generator).__name__}")
    return generator


def number(operation, name, value):
    """A float argument: a Python number or a tensor of no dimensions."""
    if type(value) is float:
        return value
    if isinstance(value, numbers.Real) or (isinstance(value, Tensor) and value._array.ndim == 0):
        return float(value)
    raise TypeError(f"{operation}(): argument '{name}' must be float, not {type(value).__name__}")


def integer(operation, name, value):
    """An int argument of 64 bits: a Python int or an integer tensor of one element."""
    if type(value) is not int:
        if isinstance(value, bool) or not hasattr(type(value), "__index__"):
            raise TypeError(f"{operation}(): argument '{name}' must be int, not {type(value).__name__}")
        value = value.__index__()
    if not -(2**63) <= value < 2**63:
        raise ValueError("Overflow when unpacking long long")
    return value


def loose(operation, given, named, names):
    """Arguments by name: those given by position take the names that are left, in order.

    For signatures that Python cannot declare, ``from=`` among the names or leading arguments that may be absent.
    """
    free = [name for name in names if name not in named]
    unknown = [name for name in named if name not in names]
    if unknown:
        raise TypeError(f"{operation}() got an unexpected keyword argument '{unknown[0]}'")
    if len(given) > len(free):
        raise TypeError(f"{operation}() received an invalid combination of arguments: too many are given by position")
    return {**dict(zip(free, given, strict=False)), **named}


def shape_of(operation, size):
    """A shape: `size` is an iterable of ints."""
    if not hasattr(size, "__iter__") or isinstance(size, str | Tensor):
        raise TypeError(f"{operation}(): argument 'size' must be tuple of ints, not {type(size).__name__}")
    shape = []
    for extent in size:
        if type(extent) is not int:
            if isinstance(extent, bool) or not hasattr(type(extent), "__index__"):
                raise TypeError(f"{operation}(): argument 'size' must be tuple of ints, not {type(extent).__name__}")
            extent = extent.__index__()
        shape.append(extent)
        if extent < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {extent}: {list(size)}")
    return tuple(shape)


def loose_shape(operation, args, size):
    """A shape given as ``f(2, 3)``, ``f((2, 3))`` or ``f(size=(2, 3))``."""
    if size is None:
        if not args:
            raise TypeError(f"{operation}() received an invalid combination of arguments: missing 'size'")
        return shape_of(operation, args[0] if len(args) == 1 and isinstance(args[0], tuple | list) else args)
    if args:
        raise TypeError(f"{operation}() got multiple values for argument 'size'")
    return shape_of(operation, size)


def must_be_tensor(operation, name, value):
    if not isinstance(value, Tensor):
        raise TypeError(f"{operation}(): argument '{name}' (position 1) must be Tensor, not {type(value).__name__}")


def check_options(layout, device, pin_memory):
    """Raise for a place or a layout where wengert has no tensors."""
    if device is not None:
        devices.check(device)
    if layout is not None and layout is not dtypes.strided:
        raise NotImplementedError(f"layout={layout}: wengert has strided tensors only")
    if pin_memory:
        raise RuntimeError(
            "pin_memory=True requires a CUDA or other accelerator backend; no pinned memory allocator is available on "
            "this system."
        )


# --- tensors to be filled ---------------------------------------------------------------------------------------------


def new_tensor(array, dtype):
    """A tensor around a new array, marked if it is made in inference mode."""
    tensor = wrap(array, dtype)
    if rare.active and grad_mode.inference:
        mark_inference(tensor)
    return tensor


def empty_or_out(operation, shape, dtype, default, out, layout, device, pin_memory):
    """A new tensor to be filled, or the one given as ``out=``, resized."""
    check_options(layout, device, pin_memory)
    if out is None:
        dtype = default if dtype is None else dtype
        return new_tensor(np.empty(shape, dtype.numpy), dtype)
    if not isinstance(out, Tensor):
        raise TypeError(f"{operation}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if dtype is not None and dtype is not out.dtype:
        raise RuntimeError(
            f"dtype {SCALAR_NAMES[dtype]} does not match dtype of out parameter ({SCALAR_NAMES[out.dtype]})"
        )
    destinations.check_memory(operation, out, ())
    if out._array.shape != shape:
        destinations.fit(out, shape)
    return out


CHANNELS_LAST = {dtypes.channels_last: (4, (0, 2, 3, 1)), dtypes.channels_last_3d: (5, (0, 2, 3, 4, 1))}


def empty_like(tensor, dtype=None, memory_format=None):
    """A new tensor of the shape and, unless `memory_format` says otherwise, the layout of `tensor`."""
    array = tensor._array
    dtype = tensor.dtype if dtype is None else dtype
    if memory_format in CHANNELS_LAST:
        ndim, order = CHANNELS_LAST[memory_format]
        if array.ndim != ndim:
            raise RuntimeError(f"required rank {ndim} tensor to use {memory_format.name} format")
        memory = np.empty([array.shape[axis] for axis in order], dtype.numpy)
        return new_tensor(memory.transpose(np.argsort(order)), dtype)
    expanded = any(stride == 0 and extent > 1 for stride, extent in zip(array.strides, array.shape, strict=True))
    kept = memory_format in (None, dtypes.preserve_format) and not expanded
    return new_tensor(np.empty_like(array, dtype.numpy, order="K" if kept else "C", subok=False), dtype)


def leaf(tensor, requires_grad):
    if requires_grad and not tensor.dtype.differentiable:
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    return tensor.requires_grad_(True) if requires_grad else tensor


# --- the gradient of what is drawn ------------------------------------------------------------------------------------


class NoGradient(Node):
    """The history of a tensor whose values were drawn: zeros for each tensor that led to it."""

    __slots__ = ("kinds",)

    def __init__(self, *tensors):
        self.edges = tuple(tensor._node for tensor in tensors)
        self.kinds = tuple((tensor._array.shape, tensor.dtype) for tensor in tensors)
        self.shape = np.broadcast_shapes(*(shape for shape, _ in self.kinds))
        self.seq = next_seq()
        self.versions = None
        self.hooks = None

    def apply(self, g, keep):
        return tuple(np.zeros(shape, dtype.numpy) for shape, dtype in self.kinds)

    def apply_graph(self, g):
        return tuple(wrap(np.zeros(shape, dtype.numpy), dtype) for shape, dtype in self.kinds)


def no_gradient(name):
    """The class of nodes of one operation, named as PyTorch names its node."""
    return type(name, (NoGradient,), {"__slots__": ()})


def drawn_from(result, node, *parameters):
    """Record that `result` was drawn with these tensors as parameters."""
    if grad_mode.enabled and any(tensor._node is not None for tensor in parameters):
        result._node = node(*parameters)
    return result


# --- fills ------------------------------------------------------------------------------------------------------------


def writable(tensor):
    """The array of a tensor that is about to be filled; raises RuntimeError if it must not be."""
    if grad_mode.enabled and (tensor._node is not None or tensor._base is not None):
        views.check_inplace(tensor)
    array = tensor._array
    if 0 in array.strides and repeats(array):
        raise RuntimeError(views.REPEATED)
    return array


def write(tensor, node, values):
    """Write `values` into `tensor` in the order of its memory, and record that the old ones are gone."""
    kernels.fill(tensor._array, values)
    return written(tensor, node)


def written(tensor, node):
    views.bump(tensor)
    if grad_mode.enabled and (
        tensor._node is not None or (tensor._base is not None and tensor._base._node is not None)
    ):
        views.set_history(tensor, node(tensor))
    return tensor


def real_parts(tensor):
    """The parts of a complex tensor as a real one with one more dimension, on the same memory."""
    real = tensor._array.real
    return wrap(as_strided(real, (*real.shape, 2), (*real.strides, real.itemsize)), tensor.dtype.to_real())


C_NAMES = {
    dtypes.bool_: "bool", dtypes.uint8: "unsigned char", dtypes.int8: "signed char", dtypes.int16: "short",
    dtypes.int32: "int", dtypes.int64: "long", dtypes.uint16: "unsigned short", dtypes.uint32: "unsigned int",
    dtypes.uint64: "unsigned long", dtypes.float16: "c10::Half", dtypes.bfloat16: "c10::BFloat16",
    dtypes.float32: "float", dtypes.float64: "double",
}  # fmt: skip
CONTINUOUS = (dtypes.float32, dtypes.float64, dtypes.float16, dtypes.bfloat16)
COUNTED = (*CONTINUOUS, dtypes.int64, dtypes.int32, dtypes.int16, dtypes.int8, dtypes.uint8)
DECIDED = (*COUNTED, dtypes.bool_)

LARGEST = {dtype: dtypes.finfo(dtype).max for dtype in CONTINUOUS}
INTEGERS = {
    dtype: (dtypes.iinfo(dtype).min, min(dtypes.iinfo(dtype).max, 2**63 - 1))
    for dtype in C_NAMES
    if dtype.category == dtypes.INTEGER
} | {dtypes.bool_: (0, 1)}


def require(tensor, allowed, kernel):
    """Raise NotImplementedError unless PyTorch's kernel of this name takes the dtype."""
    if tensor.dtype not in allowed:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{SCALAR_NAMES[tensor.dtype]}'")


def fill_method(function):
    """Declare a method of Tensor that fills it in place; what is returned is the plain function."""
    composite(function, torch=False)
    return function


UniformBackward0 = no_gradient("UniformBackward0")
NormalBackward0, NormalBackward1, NormalBackward2, NormalBackward3 = (
    no_gradient(f"NormalBackward{i}") for i in range(4)
)
BernoulliBackward0, BernoulliBackward1, BernoulliBackward2 = (no_gradient(f"BernoulliBackward{i}") for i in range(3))
RandomBackward0, RandomBackward1, RandomBackward2 = (no_gradient(f"RandomBackward{i}") for i in range(3))
ExponentialBackward0 = no_gradient("ExponentialBackward0")
CauchyBackward0 = no_gradient("CauchyBackward0")
LogNormalBackward0 = no_gradient("LogNormalBackward0")
GeometricBackward0 = no_gradient("GeometricBackward0")
PoissonBackward0 = no_gradient("PoissonBackward0")


@fill_method
def uniform_(self, *bounds, generator=None, **named):
    """Fill with numbers drawn uniformly from [from, to), in place.

    Args:
        bounds (or ``from=``, ``to=``): floats (default 0 and 1).
        generator: where to draw from (default: the default generator).

    Returns this tensor, of a floating or complex dtype; the parts of a complex number are drawn one after the other.
    Raises RuntimeError for bounds that are reversed or exceed the dtype.
    """
    low, high = 0.0, 1.0
    if bounds or named:
        given = loose("uniform_", bounds, named, ("from", "to"))
        low, high = number("uniform_", "from", given.get("from", low)), number("uniform_", "to", given.get("to", high))
    return fill_uniform(self, low, high, generator)


def fill_uniform(tensor, low=0.0, high=1.0, generator=None):
    array = writable(tensor)
    if tensor.dtype.is_complex:
        fill_uniform(real_parts(tensor), low, high, generator)
        return written(tensor, UniformBackward0)
    require(tensor, CONTINUOUS, "check_uniform_bounds")
    if low != 0.0 or high != 1.0:
        check_uniform_bounds(tensor.dtype, low, high)
    generator = generator_of("uniform_", generator)
    with generator._lock:
        values = generator._stream.uniform(array.size, array.dtype, low, high)
    return write(tensor, UniformBackward0, values)


def check_uniform_bounds(dtype, low, high):
    """Raise RuntimeError unless [low, high) is a range of numbers of `dtype`."""
    largest = LARGEST[dtype]
    for name, bound in (("from", low), ("to", high)):
        if not -largest <= bound <= largest:
            raise RuntimeError(f"{name} is out of bounds for {C_NAMES[dtype]}")
    if low > high:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}")
    if high - low > largest:
        raise RuntimeError(
            f"uniform_ expects to-from <= std::numeric_limits<{SCALAR_NAMES[dtype]}>::max(), but found to={high:g} and "
            f"from={low:g} which result in to-from to exceed the limit"
        )


@fill_method
def normal_(self, mean=0.0, std=1.0, *, generator=None):
    """Fill with normally distributed numbers, in place.

    Args:
        mean, std: floats; the parts of complex numbers have the deviation ``std / sqrt(2)`` each.
        generator: where to draw from (default: the default generator).

    Returns this tensor, of a floating or complex dtype. Raises RuntimeError for a negative `std`.
    """
    mean, std = number("normal_", "mean", mean), number("normal_", "std", std)
    if not std >= 0.0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    array = writable(self)
    if array.size == 0:
        return self
    if self.dtype.is_complex:
        normal_(real_parts(self), mean, std / math.sqrt(2.0), generator=generator)
        return written(self, NormalBackward0)
    require(self, CONTINUOUS, "normal_kernel_cpu")
    generator = generator_of("normal_", generator)
    with generator._lock:
        values = generator._stream.normal(array.size, array.dtype, mean, std, adjacent=array.flags.c_contiguous)
    return write(self, NormalBackward0, values)


@fill_method
def exponential_(self, lambd=1.0, *, generator=None):
    """Fill with exponentially distributed numbers of rate `lambd`, in place; returns this floating tensor."""
    rate = number("exponential_", "lambd", lambd)
    if not rate > 0.0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={rate:g}")
    array = writable(self)
    require_continuous(self, "Exponential")
    generator = generator_of("exponential_", generator)
    with generator._lock:
        values = generator._stream.exponential(array.size, array.dtype, rate)
    return write(self, ExponentialBackward0, values)


@fill_method
def cauchy_(self, median=0.0, sigma=1.0, *, generator=None):
    """Fill with numbers of Cauchy's distribution, in place; returns this floating tensor."""
    median, sigma = number("cauchy_", "median", median), number("cauchy_", "sigma", sigma)
    if not sigma > 0.0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma:g}")
    array = writable(self)
    require_continuous(self, "Cauchy")
    generator = generator_of("cauchy_", generator)
    with generator._lock:
        values = generator._stream.cauchy(array.size, array.dtype, median, sigma)
    return write(self, CauchyBackward0, values)


def require_continuous(tensor, distribution):
    if tensor.dtype not in CONTINUOUS:
        raise RuntimeError(
            f"{distribution} distribution is a continuous probability distribution. dtype must be a floating point but "
            f"you specified {SCALAR_NAMES[tensor.dtype]}"
        )


@fill_method
def log_normal_(self, mean=1.0, std=2.0, *, generator=None):
    """Fill with exponentials of normals of this `mean` and `std`, in place; returns this floating tensor."""
    mean, std = number("log_normal_", "mean", mean), number("log_normal_", "std", std)
    if not std > 0.0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std:g}")
    array = writable(self)
    require(self, CONTINUOUS, "log_normal_cpu")
    generator = generator_of("log_normal_", generator)
    with generator._lock:
        values = generator._stream.log_normal(array.size, array.dtype, mean, std)
    return write(self, LogNormalBackward0, values)


@fill_method
def geometric_(self, p, *, generator=None):
    """Fill with the number of trials up to the first success of probability `p`, in place; returns this tensor."""
    p = number("geometric_", "p", p)
    if not 0.0 < p < 1.0:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p:g}")
    array = writable(self)
    require(self, COUNTED, "geometric_cpu")
    generator = generator_of("geometric_", generator)
    with generator._lock:
        values = generator._stream.geometric(array.size, p, array.dtype)
    return write(self, GeometricBackward0, values)


@fill_method
def bernoulli_(self, p=0.5, *, generator=None):
    """Fill with ones of probability `p` and zeros, in place.

    Args:
        p: a float, or a floating tensor that broadcasts to this one.
        generator: where to draw from (default: the default generator).

    Returns this tensor, of any real dtype. Raises RuntimeError for a probability outside [0, 1].
    """
    array = writable(self)
    if isinstance(p, Tensor):
        return fill_bernoulli_each(self, p, generator)
    p = number("bernoulli_", "p", p)
    if not 0.0 <= p <= 1.0:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")
    require(self, DECIDED, "bernoulli_scalar_cpu_")
    generator = generator_of("bernoulli_", generator)
    with generator._lock:
        values = generator._stream.bernoulli(array.size, p, array.dtype)
    return write(self, BernoulliBackward2, values)


def fill_bernoulli_each(tensor, p, generator):
    """`bernoulli_` with a probability for each element."""
    array, given = tensor._array, p._array
    require(tensor, DECIDED, "bernoulli_tensor_cpu_self_")
    require(p, CONTINUOUS, "bernoulli_tensor_cpu_p_")
    try:
        each = given if given.shape == array.shape else np.broadcast_to(given, array.shape)
    except ValueError:
        raise RuntimeError(
            f"The expanded size of the tensor must match the existing size at each non-singleton dimension.  Target "
            f"sizes: {list(array.shape)}.  Tensor sizes: {list(given.shape)}"
        ) from None
    if not ((given >= 0) & (given <= 1)).all():
        raise RuntimeError("Expected p_in >= 0 && p_in <= 1 to be true, but got false.")
    generator = generator_of("bernoulli_", generator)
    with generator._lock:
        each = each if array.flags.c_contiguous else each.transpose(kernels.memory_order(array))
        values = generator._stream.bernoulli_each(each, array.dtype)
    return write(tensor, BernoulliBackward1, values)


@fill_method
def random_(self, *bounds, generator=None, **named):
    """Fill with integers, in place: ``random_()``, ``random_(to)`` or ``random_(from, to)``.

    Args:
        bounds (or ``from=``, ``to=``): the smallest, and one more than the largest; ``to=None`` stands for the largest
            of the dtype, or ``2**digits`` for a float. Without bounds the smallest is 0.
        generator: where to draw from (default: the default generator).

    Returns this tensor, of any real dtype. Raises RuntimeError for an empty range and one that exceeds the dtype.
    """
    if bounds or named:
        names = ("to",) if len(bounds) == 1 and not named else ("from", "to")
        given = loose("random_", bounds, named, names)
        low, high = integer("random_", "from", given.get("from", 0)), given.get("to")
        high = None if high is None else integer("random_", "to", high)
        return fill_integers(self, low, high, generator, RandomBackward0 if "from" in given else RandomBackward1)
    array = writable(self)
    require(self, DECIDED, "random_kernel_cpu")
    generator = generator_of("random_", generator)
    with generator._lock:
        values = generator._stream.random_bits(array.size, array.dtype)
    return write(self, RandomBackward2, values)


FULL_RANGE = (dtypes.int64, dtypes.float64, dtypes.float32, dtypes.bfloat16)


def fill_integers(tensor, low, high, generator, node):
    """Fill with integers in [low, high), or up to the dtype's largest for ``high=None``."""
    array = writable(tensor)
    if tensor.dtype.is_complex:
        raise RuntimeError("check_random_bounds handles only integral, floating-point and boolean types")
    if high is not None and low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    if high is not None or low != -(2**63):
        low, high = representable_range(tensor.dtype, low, high)
    elif tensor.dtype not in FULL_RANGE:
        raise RuntimeError("random_full_64_bits_range_kernel_cpu handles only int64, double, float and bfloat16")
    generator = generator_of("random_", generator)
    with generator._lock:
        values = generator._stream.integers(array.size, low, high, array.dtype)
    return write(tensor, node, values)


def representable_range(dtype, low, high):
    """The range [low, high) in the integers of `dtype`; warns where a float skips some, raises for what it lacks."""
    if dtype.is_floating_point:
        digits = SIGNIFICAND_BITS[dtype.numpy]
        smallest, largest = -(2**digits), 2**digits
        low = rounded_up(low, dtype.numpy, digits)
        high = largest + 1 if high is None else rounded_down(high, dtype.numpy, digits)
        if low >= high:
            raise RuntimeError(
                "random_ expects 'from' casted to dtype to be less than 'to' casted to dtype, but got "
                f"from={low} >= to={high}"
            )
    else:
        smallest, largest = INTEGERS[dtype]
        high = largest + 1 if high is None else high
    if smallest <= low and high - 1 <= largest:
        return low, high
    for name, bound in (("from", low), ("to - 1", high - 1)):
        if smallest <= bound <= largest:
            continue
        if not dtype.is_floating_point:
            raise RuntimeError(f"{name} is out of bounds for {C_NAMES[dtype]}")
        warnings.warn(
            f"{name} is out of bounds [-(2^{digits}), 2^{digits}]. Due to precision limitations {C_NAMES[dtype]} can "
            "support discrete uniform distribution only within this range. This warning will become an error in "
            "version 1.7 release, please fix the code in advance",
            UserWarning,
            stacklevel=5,
        )
    return low, high


def to_float(value, dtype):
    """An integer rounded to a float dtype, and back."""
    return int(kernels.cast(np.array(float(value)), dtype))


def rounded_up(low, dtype, digits):
    """`low`, or a number above it if the next integer is not told apart from those below: PyTorch's reckoning."""
    above = to_float(low + 1, dtype)
    return above + (1 << (abs(low + 1).bit_length() - digits)) if above < low else low


def rounded_down(high, dtype, digits):
    """`high`, or a number below it if the largest integer would be rounded up to it: PyTorch's reckoning."""
    last = to_float(high - 1, dtype)
    return last - (1 << (abs(high - 1).bit_length() - digits)) if high <= last < 2**63 else high


# --- factories --------------------------------------------------------------------------------------------------------


@composite(method=False)
def rand(
    *args, size=None, generator=None, out=None, dtype=None, layout=None, device=None, pin_memory=False,
    requires_grad=False,
):  # fmt: skip
    """A tensor of numbers drawn uniformly from [0, 1).

    Args:
        args (or `size`): the shape, as several ints or as one sequence.
        generator: where to draw from (default: the default generator).
        out: a tensor to resize and fill instead of a new one.
        dtype: a floating or complex type (default: the default dtype).
        layout, device, pin_memory: strided, CPU and unpinned memory is what there is.
        requires_grad: whether operations on the result are recorded.
    """
    shape = loose_shape("rand", args, size)
    check_options(layout, device, pin_memory)
    if out is None and (drawn := dtypes.default.dtype if dtype is None else dtype) in CONTINUOUS:
        generator = generator_of("rand", generator)
        with generator._lock:  # the array that is drawn becomes the tensor
            return leaf(new_tensor(generator._stream.uniform(shape, drawn.numpy), drawn), requires_grad)
    target = empty_or_out("rand", shape, dtype, dtypes.default.dtype, out, layout, device, pin_memory)
    return leaf(fill_uniform(target, generator=generator), requires_grad)


@composite(method=False)
def randn(
    *args, size=None, generator=None, out=None, dtype=None, layout=None, device=None, pin_memory=False,
    requires_grad=False,
):  # fmt: skip
    """A tensor of standard normals; the arguments are those of `rand`."""
    shape = loose_shape("randn", args, size)
    check_options(layout, device, pin_memory)
    if out is None and (drawn := dtypes.default.dtype if dtype is None else dtype) in CONTINUOUS:
        generator = generator_of("randn", generator)
        with generator._lock:
            return leaf(new_tensor(generator._stream.normal(shape, drawn.numpy), drawn), requires_grad)
    target = empty_or_out("randn", shape, dtype, dtypes.default.dtype, out, layout, device, pin_memory)
    return leaf(normal_(target, generator=generator), requires_grad)


@composite(method=False)
def randint(
    *args, generator=None, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False,
    **named,
):  # fmt: skip
    """A tensor of integers: ``randint(high, size)`` or ``randint(low, high, size)``.

    Args:
        args (or ``low=``, ``high=``, ``size=``): the smallest (default 0), one more than the largest, the shape.
        dtype: any real type (default: int64).

    The others are those of `rand`. Raises RuntimeError for an empty range or one that exceeds the dtype.
    """
    bounded = len(args) + len(named) > 2 or "low" in named
    given = loose("randint", args, named, ("low", "high", "size") if bounded else ("high", "size"))
    for name in ("high", "size"):
        if name not in given:
            raise TypeError(f'randint() missing required argument: "{name}"')
    low = integer("randint", "low", given.get("low", 0))
    high = integer("randint", "high", given["high"])
    shape = shape_of("randint", given["size"])
    target = empty_or_out("randint", shape, dtype, dtypes.int64, out, layout, device, pin_memory)
    return leaf(fill_integers(target, low, high, generator, RandomBackward0), requires_grad)


@composite(method=False)
def randperm(
    n, *, generator=None, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False
):
    """The numbers 0 … n-1 in random order, int64 unless `dtype` says otherwise; the arguments are those of `rand`.

    Raises RuntimeError if the dtype cannot hold them.
    """
    n = integer("randperm", "n", n)
    if n < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
    target = empty_or_out("randperm", (n,), dtype, dtypes.int64, out, layout, device, pin_memory)
    require(target, COUNTED, "randperm")
    if target.dtype.is_floating_point:
        most = 2 ** SIGNIFICAND_BITS[target._array.dtype] + 1
        if n > most:
            raise RuntimeError(f"n cannot be greater than {most} for {SCALAR_NAMES[target.dtype]} type.")
    elif n - 1 > dtypes.iinfo(target.dtype).max:
        raise RuntimeError(f"value cannot be converted to type {target.dtype.name}_t without overflow")
    array = writable(target)
    generator = generator_of("randperm", generator)
    with generator._lock:
        values = generator._stream.permutation(n, array.dtype)
    return leaf(write(target, RandomBackward2, values), requires_grad)


def like(operation, input, dtype, layout, device, pin_memory, memory_format):
    must_be_tensor(operation, "input", input)
    check_options(layout, device, pin_memory)
    return empty_like(input, dtype, memory_format)


@composite(method=False)
def rand_like(
    input, *, generator=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False,
    memory_format=None,
):  # fmt: skip
    """Numbers drawn uniformly from [0, 1) in a tensor of the shape, dtype and layout of `input`."""
    target = like("rand_like", input, dtype, layout, device, pin_memory, memory_format)
    return leaf(fill_uniform(target, generator=generator), requires_grad)


@composite(method=False)
def randn_like(
    input, *, generator=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False,
    memory_format=None,
):  # fmt: skip
    """Standard normals in a tensor of the shape, dtype and layout of `input`."""
    target = like("randn_like", input, dtype, layout, device, pin_memory, memory_format)
    return leaf(normal_(target, generator=generator), requires_grad)


@composite(method=False)
def randint_like(
    input, *args, generator=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False,
    memory_format=None, **named,
):  # fmt: skip
    """Integers, ``randint_like(input, high)`` or ``randint_like(input, low, high)``, in a tensor like `input`."""
    given = loose("randint_like", args, named, ("low", "high") if len(args) + len(named) > 1 else ("high",))
    if "high" not in given:
        raise TypeError('randint_like() missing 1 required positional argument: "high"')
    low, high = integer("randint_like", "low", given.get("low", 0)), integer("randint_like", "high", given["high"])
    target = like("randint_like", input, dtype, layout, device, pin_memory, memory_format)
    return leaf(fill_integers(target, low, high, generator, RandomBackward0), requires_grad)


# --- samples ----------------------------------------------------------------------------------------------------------


@composite(method=False)
def normal(
    mean, std=1.0, size=None, *, generator=None, out=None, dtype=None, layout=None, device=None, pin_memory=False,
    requires_grad=False,
):  # fmt: skip
    """Normally distributed numbers, with a mean and a deviation for each or for all.

    Args:
        mean, std: floating tensors that broadcast together, or floats; `std` is not negative.
        size: the shape, where neither is a tensor; the further arguments, those of `rand`, belong to this form.
        generator: where to draw from (default: the default generator).
        out: a tensor to resize and fill instead of a new one.
    """
    if size is not None:
        mean, std = number("normal", "mean", mean), number("normal", "std", std)
        shape = shape_of("normal", size)
        target = empty_or_out("normal", shape, dtype, dtypes.default.dtype, out, layout, device, pin_memory)
        return leaf(normal_(target, mean, std, generator=generator), requires_grad)
    tensors = [value for value in (mean, std) if isinstance(value, Tensor)]
    if not tensors or (dtype, layout, device) != (None, None, None) or pin_memory or requires_grad:
        raise TypeError(
            "normal() received an invalid combination of arguments: it takes a tensor for mean or std and no further "
            "options, or two numbers and a size"
        )
    check_deviations(std)
    try:
        shape = np.broadcast_shapes(*(tensor._array.shape for tensor in tensors))
    except ValueError:
        shapes = " and ".join(str(list(tensor._array.shape)) for tensor in tensors)
        raise RuntimeError(f"normal: mean and std cannot be broadcast together: {shapes}") from None
    if out is not None and out._array.shape != shape and len(tensors) == 1:
        refuse_misfit(out._array.shape, tensors)
    dtype = None if out is not None else tensors[0].dtype
    target = empty_or_out("normal", shape, dtype, None, out, None, None, False)
    array = target._array
    if isinstance(std, Tensor):
        normal_(target, generator=generator)
        array[...] = array * std._array
    else:
        normal_(target, 0.0, std, generator=generator)
    array[...] = array + (mean._array if isinstance(mean, Tensor) else array.dtype.type(mean))
    if out is not None:
        return target
    node = NormalBackward1 if tensors[0] is not std else NormalBackward2
    return drawn_from(target, NormalBackward3 if len(tensors) == 2 else node, *tensors)


def refuse_misfit(shape, tensors):
    """`normal` alone doesn't let its destination grow to what the mean and the deviations are together."""
    for tensor in tensors:
        try:
            np.broadcast_shapes(shape, tensor._array.shape)
        except ValueError:
            raise RuntimeError(broadcast_message([tensor._array.shape, shape])) from None


def check_deviations(std):
    """Raise RuntimeError unless every deviation is a number that is not negative."""
    if not isinstance(std, Tensor):
        if not number("normal", "std", std) >= 0.0:
            raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    elif std.dtype.is_complex:
        raise RuntimeError("normal expects standard deviation to be non-complex")
    elif std._array.size and not std._array.min() >= 0:
        raise RuntimeError("normal expects all elements of std >= 0.0")


@composite
def bernoulli(input, p=None, *, generator=None, out=None):
    """Ones and zeros in the shape and dtype of `input`: with the probabilities in it, or all with probability `p`.

    Raises RuntimeError for a probability outside [0, 1].
    """
    must_be_tensor("bernoulli", "input", input)
    if p is not None and out is not None:
        raise TypeError("bernoulli() received an invalid combination of arguments: p and out= exclude each other")
    shape = input._array.shape
    target = empty_or_out("bernoulli", shape, input.dtype if out is None else None, None, out, None, None, False)
    if p is None:
        fill_bernoulli_each(target, input, generator)
    else:
        bernoulli_(target, p, generator=generator)
    return target if out is not None else drawn_from(target, BernoulliBackward0, input)


@composite
def multinomial(input, num_samples, replacement=False, *, generator=None, out=None):
    """Draw `num_samples` categories for each row of weights.

    Args:
        input: weights that are not negative, floating, of shape (categories,) or (rows, categories).
        num_samples: how many to draw; without replacement at most the number of categories.
        replacement: whether a category may be drawn again.
        generator: where to draw from (default: the default generator).
        out: an int64 tensor to resize and fill instead of a new one.

    Returns int64 numbers of categories, of shape (num_samples,) or (rows, num_samples).
    """
    must_be_tensor("multinomial", "input", input)
    count = integer("multinomial", "num_samples", num_samples)
    weights = input._array
    if weights.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if input.dtype not in CONTINUOUS:
        raise RuntimeError(
            f"multinomial only supports floating-point dtypes for input, got: {SCALAR_NAMES[input.dtype]}"
        )
    if out is not None and out.dtype is not dtypes.int64:
        raise RuntimeError(f"multinomial expects Long tensor out, got: {SCALAR_NAMES[out.dtype]}")
    if count <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and count > weights.shape[-1]:
        raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    shape = (*weights.shape[:-1], count)
    target = empty_or_out("multinomial", shape, dtypes.int64, None, out, None, None, False)
    if weights.size:
        if not (np.isfinite(weights) & (weights >= 0)).all():
            raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
        if not (weights.sum(-1, dtype=np.float64) > 0).all():
            raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
        generator = generator_of("multinomial", generator)
        with generator._lock:
            target._array[...] = generator._stream.multinomial(weights, count, bool(replacement))
    views.bump(target)
    return target


@composite(method=False)
def poisson(input, generator=None):
    """Poisson variates with the rates in the floating tensor `input`; raises RuntimeError for a negative rate."""
    must_be_tensor("poisson", "input", input)
    require(input, CONTINUOUS, "poisson_cpu")
    generator = generator_of("poisson", generator)
    with generator._lock:
        values = generator._stream.poisson(input._array)
    return drawn_from(new_tensor(values, input.dtype), PoissonBackward0, input)


@composite(method=False)
def binomial(count, prob, generator=None):
    """Binomial variates: `count` trials of probability `prob`, floats of one dtype that broadcast together."""
    must_be_tensor("binomial", "count", count)
    for name, value in (("count", count), ("prob", prob)):
        if value.dtype not in CONTINUOUS:
            raise ValueError(
                f"binomial only supports floating-point dtypes for {name}, got: {SCALAR_NAMES[value.dtype]}"
            )
    if count.dtype is not prob.dtype:
        raise RuntimeError(f"Found dtype {SCALAR_NAMES[prob.dtype]} but expected {SCALAR_NAMES[count.dtype]}")
    require(count, (dtypes.float32, dtypes.float64), "binomial_cpu")
    trials, p = np.broadcast_arrays(count._array, prob._array)
    generator = generator_of("binomial", generator)
    with generator._lock:
        values = generator._stream.binomial(trials, p)
    return new_tensor(values, count.dtype)


def drawn(operation, input, generator, method):
    """The variates that the method `method` of a stream draws with the parameters in the array `input`."""
    if input.dtype not in (np.float32, np.float64):
        raise NotImplementedError(f"\"{operation}_cpu\" not implemented for '{input.dtype}'")
    generator = generator_of(operation, generator)
    with generator._lock:
        return getattr(generator._stream, method)(input)


def refuse(g, operation):
    """Second derivatives of samples are refused, as PyTorch does, rather than left out."""
    raise RuntimeError(f"the derivative for '{operation}' is not implemented.")


standard_gamma_grad = primitive(
    "_standard_gamma_grad", lambda self, output: implicit.standard_gamma_grad(self, output), tensors=("self", "output"),
    method=False, out=False, self=lambda g: refuse(g, "_standard_gamma_grad"),
    output=lambda g: refuse(g, "_standard_gamma_grad"),
)  # fmt: skip
dirichlet_grad = primitive(
    "_dirichlet_grad", lambda x, alpha, total: implicit.dirichlet_grad(x, alpha, total),
    tensors=("x", "alpha", "total"), method=False, out=False,
    x=lambda g: refuse(g, "_dirichlet_grad"), alpha=lambda g: refuse(g, "_dirichlet_grad"),
    total=lambda g: refuse(g, "_dirichlet_grad"),
)  # fmt: skip
standard_gamma = primitive(
    "_standard_gamma", lambda input, generator=None: drawn("_standard_gamma", input, generator, "standard_gamma"),
    method=False, out=False, input=lambda g, input, out: g * standard_gamma_grad(input, out),
    doc="Gamma variates of scale 1 with the shapes in `input`, differentiable by them.",
)  # fmt: skip
sample_dirichlet = primitive(
    "_sample_dirichlet", lambda input, generator=None: drawn("_sample_dirichlet", input, generator, "dirichlet"),
    method=False, out=False, input=lambda g, input, out: dirichlet_slope(g, input, out),
    doc="Points of the simplex with the concentrations in the rows of `input`, differentiable by them.",
)  # fmt: skip


def dirichlet_slope(g, input, out):
    total = input.sum(-1, keepdims=True) + input * 0
    return dirichlet_grad(out, input, total) * (g - (out * g).sum(-1, keepdims=True))


# --- dropout ----------------------------------------------------------------------------------------------------------


def dropped(operation, input, p, train, feature=False, alpha=False, inplace=False):
    """Dropout in all its forms: `feature` drops whole channels, `alpha` keeps SELU's mean and variance."""
    must_be_tensor(operation, "input", input)
    p = number(operation, "p", p)
    if not 0.0 <= p <= 1.0:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p:g}")
    if p == 0.0 or not train or input._array.size == 0:
        return input
    multiply = Tensor.mul_ if inplace else Tensor.mul
    if p == 1.0:
        return multiply(input, wrap(np.zeros((), input.dtype.numpy), input.dtype))
    if feature:
        if input._array.ndim < 2:
            raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
        shape = input._array.shape
        noise = wrap(np.empty(shape[:2] + (1,) * (len(shape) - 2), input.dtype.numpy), input.dtype)
    else:
        noise = empty_like(input)
    if input.dtype is not dtypes.bool_ and not input.dtype.differentiable:
        raise RuntimeError(f"result type Float can't be cast to the desired output type {SCALAR_NAMES[input.dtype]}")
    bernoulli_(noise, 1.0 - p)
    kept, dtype = noise._array, noise._array.dtype
    wide = np.float64 if dtype == np.float64 else np.float32  # PyTorch computes with 16-bit floats in float32
    if not alpha:
        kept *= kernels.cast(np.array(wide(1.0) / wide(1.0 - p)), dtype)
        return multiply(input, noise)
    scale = 1.0 / math.sqrt((SELU_LIMIT * SELU_LIMIT * p + 1.0) * (1.0 - p))
    shift = kernels.cast((kept.astype(wide) - wide(1.0)) * wide(SELU_LIMIT * scale), dtype).astype(wide)
    shift = wrap(kernels.cast(shift + wide(SELU_LIMIT * scale * p), dtype), input.dtype)
    kept *= kernels.cast(np.array(wide(scale)), dtype)
    return input.mul_(noise).add_(shift) if inplace else input.mul(noise).add(shift)


SELU_LIMIT = 1.7580993408473766
"""What SELU tends to for very negative inputs, its sign left out (Klambauer and others, 2017)."""


@composite(method=False)
def dropout(input, p, train):
    """Zero each element with probability `p` and scale the others by ``1 / (1 - p)``, if `train`.

    Returns `input` itself if nothing is to be dropped. Raises RuntimeError for a `p` outside [0, 1].
    Srivastava and others, "Dropout", 2014.
    """
    return dropped("dropout", input, p, train)


@composite(method=False)
def dropout_(input, p, train):
    """`dropout` in place."""
    return dropped("dropout_", input, p, train, inplace=True)


@composite(method=False)
def feature_dropout(input, p, train):
    """`dropout` of whole channels: of the slices ``input[n, c]``."""
    return dropped("feature_dropout", input, p, train, feature=True)


@composite(method=False)
def feature_dropout_(input, p, train):
    """`feature_dropout` in place."""
    return dropped("feature_dropout_", input, p, train, feature=True, inplace=True)


@composite(method=False)
def alpha_dropout(input, p, train):
    """Dropout to SELU's negative limit, keeping mean 0 and variance 1 (Klambauer and others, 2017)."""
    return dropped("alpha_dropout", input, p, train, alpha=True)


@composite(method=False)
def alpha_dropout_(input, p, train):
    """`alpha_dropout` in place."""
    return dropped("alpha_dropout_", input, p, train, alpha=True, inplace=True)


@composite(method=False)
def feature_alpha_dropout(input, p, train):
    """`alpha_dropout` of whole channels."""
    return dropped("feature_alpha_dropout", input, p, train, feature=True, alpha=True)


@composite(method=False)
def feature_alpha_dropout_(input, p, train):
    """`feature_alpha_dropout` in place."""
    return dropped("feature_alpha_dropout_", input, p, train, feature=True, alpha=True, inplace=True)


@composite(method=False)
def native_dropout(input, p, train):
    """`dropout` and the mask (bool) of the elements that it kept; ``train=None`` stands for True."""
    must_be_tensor("native_dropout", "input", input)
    p = number("native_dropout", "p", p)
    mask = empty_like(input, dtypes.bool_)
    if train is not None and not train:
        mask._array[...] = True
        return input.clone(), mask
    if not input.dtype.differentiable:
        raise RuntimeError(f"result type Float can't be cast to the desired output type {SCALAR_NAMES[input.dtype]}")
    bernoulli_(mask, 1.0 - p)
    noise = mask._array.astype(input.dtype.numpy)
    noise *= noise.dtype.type(0.0 if p == 1.0 else 1.0 / (1.0 - p))
    return input.mul(wrap(noise, input.dtype)), mask
