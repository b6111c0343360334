"""``torch.testing``: comparing results, and tensors to try things on."""

import math
import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from wengert import dtypes
from wengert.ops.creation import as_tensor, empty
from wengert.ops.random import randint
from wengert.ops.shape import view_as_real
from wengert.outside import outside
from wengert.tensor import Tensor

__all__ = ["assert_allclose", "assert_close", "make_tensor"]

TOLERANCES = {  # dtype: (rtol, atol); of any other dtype values must be equal
    dtypes.float16: (1e-3, 1e-5),
    dtypes.bfloat16: (1.6e-2, 1e-5),
    dtypes.float32: (1.3e-6, 1e-5),
    dtypes.float64: (1e-7, 1e-7),
    dtypes.complex64: (1.3e-6, 1e-5),
    dtypes.complex128: (1e-7, 1e-7),
}
OF_NUMBERS = {bool: dtypes.bool_, int: dtypes.int64, float: dtypes.float64, complex: dtypes.complex128}


class Options:
    """What `assert_close` was asked for."""

    def __init__(self, **options):
        self.__dict__.update(options)

    def tolerances(self, *kinds):
        """(rtol, atol), by default the wider of those of the dtypes."""
        if self.rtol is not None:
            return self.rtol, self.atol
        both = [TOLERANCES.get(dtype, (0.0, 0.0)) for dtype in kinds]
        return max(r for r, _ in both), max(a for _, a in both)


def assert_close(
    actual,
    expected,
    *,
    allow_subclasses=True,
    rtol=None,
    atol=None,
    equal_nan=False,
    check_device=True,
    check_dtype=True,
    check_layout=True,
    check_stride=False,
    msg=None,
):
    """Raise AssertionError unless ``|actual - expected| <= atol + rtol |expected|`` everywhere.

    Args:
        actual, expected: tensors, what becomes a tensor, numbers, None, or sequences and mappings of these.
        rtol, atol: tolerances, both or neither; by default they follow the dtypes.
        equal_nan: whether NaN equals NaN.
        check_device, check_dtype, check_layout, check_stride: whether these must be equal too.
        msg: the error's text, or a function that makes it of the text as it would be.
    """
    if (rtol is None) != (atol is None):
        missing = "atol" if atol is None else "rtol"
        raise ValueError(f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {missing}.")
    options = Options(
        allow_subclasses=allow_subclasses,
        rtol=rtol,
        atol=atol,
        equal_nan=equal_nan,
        check_device=check_device,
        check_dtype=check_dtype,
        check_layout=check_layout,
        check_stride=check_stride,
    )
    complaint = compared(actual, expected, options, ())
    if complaint is not None:
        text, place = complaint
        if place:
            text += f"\n\nThe failure occurred for item {''.join(f'[{key!r}]' for key in place)}"
        raise AssertionError(text if msg is None else msg(text) if callable(msg) else msg)


def assert_allclose(actual, expected, rtol=None, atol=None, equal_nan=True, msg=""):
    """`assert_close` without a look at dtypes, under the name that it had once."""
    warnings.warn(
        "`torch.testing.assert_allclose()` is deprecated; use `torch.testing.assert_close()`.",
        FutureWarning,
        stacklevel=2,
    )
    if rtol is None and atol is None:
        rtol, atol = (
            1e-3 if _dtype_of(actual) is dtypes.float16 else 1e-4 if _dtype_of(actual) is dtypes.float32 else 1e-5,
            1e-5,
        )
    assert_close(actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=False, msg=msg or None)


def _dtype_of(value):
    return value.dtype if isinstance(value, Tensor) else None


def compared(actual, expected, options, place):
    """None, or (what differs, keys of the item where)."""
    if is_sequence(actual) and is_sequence(expected):
        if len(actual) != len(expected):
            return f"The length of the sequences mismatch: {len(actual)} != {len(expected)}", place
        items = [(i, a, e) for i, (a, e) in enumerate(zip(actual, expected, strict=True))]
    elif isinstance(actual, Mapping) and isinstance(expected, Mapping):
        missing, additional = set(expected) - set(actual), set(actual) - set(expected)
        if missing or additional:
            return (
                "The keys of the mappings do not match:\n"
                f"Missing keys in the actual mapping: {sorted(missing)}\nAdditional keys in the actual mapping: "
                f"{sorted(additional)}"
            ), place
        items = [(key, actual[key], expected[key]) for key in actual]
    else:
        text = compared_pair(actual, expected, options)
        return None if text is None else (text, place)
    for key, a, e in items:
        found = compared(a, e, options, (*place, key))
        if found is not None:
            return found
    return None


def is_sequence(value):
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def compared_pair(actual, expected, options):
    if actual is None or expected is None:
        return None if actual is expected else f"None mismatch: {actual} is not {expected}"
    if isinstance(actual, (bool, np.bool_)) and isinstance(expected, (bool, np.bool_)):
        return None if actual == expected else f"Booleans mismatch: {actual} is not {expected}"
    numbers = (int, float, complex, np.number)
    if isinstance(actual, numbers) and isinstance(expected, numbers):
        return compared_numbers(actual, expected, options)
    related = isinstance(actual, type(expected)) or isinstance(expected, type(actual))
    tensors = all(isinstance(x, (Tensor, np.ndarray)) for x in (actual, expected))
    if not related or not tensors or (not options.allow_subclasses and type(actual) is not type(expected)):
        raise TypeError(f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}.")
    return compared_tensors(as_tensor(actual), as_tensor(expected), options)


def compared_numbers(actual, expected, options):
    kinds = [
        next(
            kind
            for kind in (bool, int, float, complex)
            if isinstance(x if not isinstance(x, np.number) else x.item(), kind)
        )
        for x in (actual, expected)
    ]
    if options.check_dtype and type(actual) is not type(expected):
        return f"The (d)types do not match: {type(actual)} != {type(expected)}."
    rtol, atol = options.tolerances(*(OF_NUMBERS[kind] for kind in kinds))
    if near(actual, expected, rtol, atol, options.equal_nan):
        return None
    return difference_of_scalars(actual, expected, rtol, atol)


def near(actual, expected, rtol, atol, equal_nan):
    if actual == expected or (equal_nan and actual != actual and expected != expected):
        return True
    apart = abs(actual - expected)
    return math.isfinite(apart) and apart <= atol + rtol * abs(expected)


def difference_of_scalars(actual, expected, rtol, atol):
    equality = rtol == 0 and atol == 0
    apart = abs(actual - expected) if not isinstance(actual, bool) else abs(int(actual) - int(expected))
    relative = math.inf if not expected else apart / abs(expected)
    return (
        f"Scalars are not {'equal' if equality else 'close'}!\n\nExpected {expected} but got {actual}.\n"
        f"Absolute difference: {apart}{'' if equality else f' (up to {atol} allowed)'}\n"
        f"Relative difference: {relative}{'' if equality else f' (up to {rtol} allowed)'}"
    )


def compared_tensors(actual, expected, options):
    attributes = [
        ("shape", True),
        ("layout", options.check_layout),
        ("device", options.check_device),
        ("dtype", options.check_dtype),
    ]
    for name, wanted in attributes:
        ours, theirs = getattr(actual, name), getattr(expected, name)
        if wanted and ours != theirs:
            return f"The values for attribute '{name}' do not match: {ours} != {theirs}."
    if options.check_stride and actual.stride() != expected.stride():
        return f"The values for attribute 'stride()' do not match: {actual.stride()} != {expected.stride()}."
    rtol, atol = options.tolerances(actual.dtype, expected.dtype)
    common = dtypes.promote_types(actual.dtype, expected.dtype)
    actual, expected = actual.detach().to(common), expected.detach().to(common)
    matches = actual.isclose(expected, rtol=rtol, atol=atol, equal_nan=options.equal_nan)._array
    if matches.all():
        return None
    if not matches.ndim:
        return difference_of_scalars(actual.item(), expected.item(), rtol, atol)
    return differences(actual._array, expected._array, matches, rtol, atol)


def differences(actual, expected, matches, rtol, atol):
    """How many elements differ, and where most."""
    equality = rtol == 0 and atol == 0
    if actual.dtype.kind in "biu":
        actual, expected = actual.astype(np.int64), expected.astype(np.int64)
    elif actual.dtype.itemsize < 4:
        actual, expected = actual.astype(np.float32), expected.astype(np.float32)
    apart = np.abs(actual - expected)
    with np.errstate(all="ignore"):
        relative = (
            apart / np.abs(expected) if apart.dtype.kind != "i" else (apart / np.abs(expected)).astype(np.float32)
        )
    lines = [
        f"Tensor-likes are not {'equal' if equality else 'close'}!\n",
        f"Mismatched elements: {(~matches).sum()} / {matches.size} ({(~matches).sum() / matches.size:.1%})",
    ]
    for kind, values, allowed in (("absolute", apart, atol), ("relative", relative, rtol)):
        hidden = np.where(matches, 0, values)
        where = np.unravel_index(np.argmax(hidden), hidden.shape)
        index = tuple(int(i) for i in where)
        limit = "" if equality else f" (up to {allowed} allowed)"
        lines.append(f"Greatest {kind} difference: {values[where].item()} at index {index}{limit}")
    return "\n".join(lines)


# --- tensors to try things on -----------------------------------------------------------------------------------------


def make_tensor(
    *shape,
    dtype,
    device=None,
    low=None,
    high=None,
    requires_grad=False,
    noncontiguous=False,
    exclude_zero=False,
    memory_format=None,
):
    """A tensor of random values, uniform in [low, high).

    Args:
        low, high: by default -9 and 9 (10 for integers; 0 and 10 for unsigned ones; 0 and 2 for bool).
        noncontiguous: give it strides that skip every other element.
        exclude_zero: put 1 (the smallest number of a floating dtype) in place of 0.
    """
    if noncontiguous and memory_format is not None:
        raise ValueError(
            "The parameters `noncontiguous` and `memory_format` are mutually exclusive, but got "
            f"noncontiguous={noncontiguous} and memory_format={memory_format}"
        )
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    low, high = bounds(dtype, low, high)
    if dtype.category < 2:
        result = randint(low, high, shape, dtype=dtype, device=device)
    else:
        result = empty(shape, dtype=dtype, device=device)
        (view_as_real(result) if dtype.is_complex else result).uniform_(low, high)
    if noncontiguous and result.numel() > 1:
        result = result.repeat_interleave(2, dim=-1)[..., ::2]
    elif memory_format is not None:
        result = result.clone(memory_format=memory_format)
    if exclude_zero:
        result[result == 0] = 1 if dtype.category < 2 else dtypes.finfo(dtype).tiny
    return result.requires_grad_() if requires_grad else result


def bounds(dtype, low, high):
    """The limits asked for, or those by default; whole numbers for integers; raises ValueError if none lies between."""
    if dtype is dtypes.bool_:
        defaults = (0, 2)
    elif dtype.category < 2:
        defaults = (0 if not dtype.is_signed else -9, 10)
    else:
        defaults = (-9, 9)
    low, high = (d if given is None else given for d, given in zip(defaults, (low, high), strict=True))
    if any(isinstance(x, float) and math.isnan(x) for x in (low, high)):
        raise ValueError(f"`low` and `high` cannot be NaN, but got {low=} and {high=}")
    if low >= high and not (low == high and dtype.category >= 2):
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    if dtype.category >= 2:
        return low, high
    least, most = (0, 1) if dtype is dtypes.bool_ else (dtypes.iinfo(dtype).min, dtypes.iinfo(dtype).max)
    return max(math.ceil(low), least), min(math.ceil(high), most + 1)

__getattr__ = outside(__name__)
