"""The one place that says when a result of wengert equals a result of PyTorch.

Everything here is duck-typed: `actual` comes from the judged module, `expected` from PyTorch, and both are looked at
through the same attributes. A difference raises `Mismatch`, whose first argument says where, and what was found.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

SUBJECT = os.environ.get("CONFORMANCE_SUBJECT", "wengert")

# (relative, absolute) by dtype: the figures of torch.testing.assert_close.
TOLERANCES = {
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
    "complex32": (1e-3, 1e-5),
    "complex64": (1.3e-6, 1e-5),
    "complex128": (1e-7, 1e-7),
    "float8_e4m3fn": (1.3e-1, 1e-2),
    "float8_e5m2": (2.6e-1, 1e-2),
}
# Two computations that are each off by the noise are apart by twice that; and what a few points show is not the most.
NOISE_ALLOWED = 4.0
NUMPY_LACKS = {"bfloat16", "complex32", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"}

# Sentences by gist: where PyTorch's message matches one of these, wengert's must match the same one.
GISTS = {
    "second backward": r"second time",
    "nothing to differentiate": r"does not require grad",
    "implicit gradient": r"implicitly created only for",
    "saved value modified": r"modified by an inplace operation",
    "in-place on a leaf": r"leaf Variable that requires grad",
    "view of a leaf in-place": r"a view of a leaf Variable that requires grad",
    "unused input": r"not have been used in the graph",
    "broadcast": r"must match the (existing )?size|doesn't match the broadcast shape",
    "multiplier": r"argument alpha must not be",
    "shapes of a matrix product": r"cannot be multiplied|size mismatch|[Ee]xpected .*size",
    "view size": r"is invalid for input of size",
    "view stride": r"view size is not compatible",
    "dimension": r"[Dd]imension out of range|[Dd]imension specified as",
    "index": r"out of (bounds|range)|invalid index|indexing axis dim",
    "division": "ZeroDivisionError",
    "truth values": r"Subtraction, the `-` operator",
    "result type": r"can't be cast to",
    "only floats require grad": r"[Oo]nly Tensors of floating point",
    "requires_grad of a non-leaf": r"can only change requires_grad flags of leaf",
    "scalar wanted": r"cannot be converted to Scalar",
    "truth of many": r"Boolean value of Tensor with",
    "expand": r"expanded size",
    "no kernel": r"not implemented for|not support",
    "no derivative": r"derivative for .* is not implemented",
    "dtypes of a product": r"to have the same dtype",
    "number does not fit": r"without overflow",
    "boolean masks": r"only supports boolean masks",
    "numpy of a graph tensor": r"Can't call numpy\(\) on Tensor that requires grad",
}


class Mismatch(AssertionError):
    """A difference between the judged module and PyTorch."""


def subject_module() -> Any:
    """The judged module."""
    return importlib.import_module(SUBJECT)


def dtype_name(dtype: object) -> str:
    """`float32` for `torch.float32` and `wengert.float32` alike."""
    return str(dtype).rpartition(".")[2]


def is_tensor(value: object) -> bool:
    """Whether `value` is a tensor of either module."""
    return hasattr(value, "requires_grad") and hasattr(value, "stride")


def is_unallocated(tensor: Any) -> bool:
    """Whether this is one of PyTorch's zeros without memory, as it makes for gradients that are zero by formula."""
    return getattr(tensor, "_is_zerotensor", bool)()


def to_numpy(tensor: Any) -> np.ndarray:
    """The values of a tensor of either module; dtypes that NumPy lacks widened to float32, exactly."""
    plain = tensor.detach()
    if dtype_name(plain.dtype) in NUMPY_LACKS:
        plain = plain.cfloat() if plain.is_complex() else plain.float()
    if plain.is_conj():
        plain = plain.resolve_conj()
    if plain.is_neg():
        plain = plain.resolve_neg()
    return plain.numpy(force=True) if is_unallocated(plain) else plain.numpy()


def must(equal: bool, where: str, actual: object, expected: object) -> None:
    """Raise Mismatch unless `equal`."""
    if not equal:
        raise Mismatch(f"{where}: {shortened(actual)}, PyTorch has {shortened(expected)}")


def shortened(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 200 else text[:200] + " …"


def distance(tensor: Any, other: Any) -> float:
    """The largest distance between finite values of two tensors; 0 where one is missing."""
    if tensor is None or other is None:
        return 0.0
    a, b = to_numpy(tensor).astype(complex), to_numpy(other).astype(complex)
    apart = np.abs(a - b)[np.isfinite(a) & np.isfinite(b)]
    return float(apart.max()) if apart.size else 0.0


def check_values(
    actual: Any, expected: Any, where: str, scale: float = 0.0, normwise: bool = False, computed_in: str = "",
    noise: Callable[[], float] | None = None,
) -> None:  # fmt: skip
    """Values within the dtype's tolerance, NaN and infinities in the same places.

    `scale` is the size of the values from which these were computed, when cancellation may have made them small;
    `normwise` takes the largest value of the result itself for it (matrix factorisations, long sums); `computed_in` is
    the dtype whose precision to expect, where it isn't that of the result. `noise` measures by how much PyTorch's own
    values are off, for those of single precision that agree no better than that: which way rounding falls differs
    between processors. It is asked only then, and excuses no more than a thousandth.
    """
    name = dtype_name(expected.dtype)
    a, e = to_numpy(actual), to_numpy(expected)
    if name not in TOLERANCES:
        must(np.array_equal(a, e), f"{where} values", a, e)
        return
    if np.array_equal(a, e, equal_nan=True):
        return
    relative, absolute = TOLERANCES[computed_in or name]
    if normwise and e.size:
        finite = np.abs(e[np.isfinite(e)])
        scale = max(scale, float(finite.max())) if finite.size else scale
    close = np.isclose(a, e, rtol=relative, atol=absolute * max(1.0, scale), equal_nan=True)
    if noise is not None and not close.all() and (computed_in or name) in ("float32", "complex64"):
        size = float(np.abs(e[np.isfinite(e)]).max(initial=0.0))
        wider = min(NOISE_ALLOWED * noise(), 1e-3 * max(1.0, size))
        close = np.isclose(a, e, rtol=relative, atol=absolute * max(1.0, scale) + wider, equal_nan=True)
    if not close.all():
        at = tuple(int(i) for i in np.argwhere(~close)[0])
        count = f"{(~close).sum()} of {close.size} values"
        raise Mismatch(f"{where} {count}, first at {at}: {a[at]!r}, PyTorch has {e[at]!r}")


def check_layout(actual: Any, expected: Any, where: str, strides: bool = True) -> None:
    """Dtype and shape, and strides where PyTorch's are observable (a stride of a dimension of size 1 is not)."""
    must(is_tensor(actual), f"{where} is a tensor", actual, expected)
    must(dtype_name(actual.dtype) == dtype_name(expected.dtype), f"{where} dtype", actual.dtype, expected.dtype)
    must(tuple(actual.shape) == tuple(expected.shape), f"{where} shape", tuple(actual.shape), tuple(expected.shape))
    if strides and expected.numel():
        own = [s for s, n in zip(actual.stride(), actual.shape, strict=True) if n > 1]
        other = [s for s, n in zip(expected.stride(), expected.shape, strict=True) if n > 1]
        must(own == other, f"{where} strides", tuple(actual.stride()), tuple(expected.stride()))


def check_tensor(actual: Any, expected: Any, where: str, **tolerance: Any) -> None:
    """Everything that a plain result shows: layout, `requires_grad`, values."""
    check_layout(actual, expected, where)
    must(
        actual.requires_grad == expected.requires_grad,
        f"{where} requires_grad",
        actual.requires_grad,
        not actual.requires_grad,
    )
    check_values(actual, expected, where, **tolerance)


def check_structure(actual: Any, expected: Any, where: str = "result") -> Iterator[tuple[Any, Any, str]]:
    """Walk two results in step and yield the pairs of tensors; containers must have the same lengths, keys and field
    names, anything else must be equal."""
    if is_tensor(expected):
        must(is_tensor(actual), f"{where} is a tensor", actual, expected)
        yield actual, expected, where
    elif isinstance(expected, Mapping):
        must(isinstance(actual, Mapping) and list(actual) == list(expected), f"{where} keys", actual, expected)
        for key in expected:
            yield from check_structure(actual[key], expected[key], f"{where}[{key!r}]")
    elif isinstance(expected, Sequence) and not isinstance(expected, str | bytes):
        kind = isinstance(actual, Sequence) and isinstance(actual, list) == isinstance(expected, list)
        must(kind and len(actual) == len(expected), f"{where} structure", actual, expected)
        # A named result (torch.return_types.max) is read by field name too.
        for index, name in enumerate(n for n in dir(expected) if n in RESULT_FIELDS):
            must(hasattr(actual, name), f"{where}.{name} (field {index})", actual, expected)
        for index, (a, e) in enumerate(zip(actual, expected, strict=True)):
            yield from check_structure(a, e, f"{where}[{index}]")
    elif type(expected).__name__ == "dtype":
        must(dtype_name(actual) == dtype_name(expected), where, actual, expected)
    elif isinstance(expected, bool | int | str | type(None)):
        must(type(actual) is type(expected) and actual == expected, where, actual, expected)
    elif isinstance(expected, float | complex):
        same = type(actual) is type(expected) and np.isclose(actual, expected, rtol=1e-5, atol=1e-6, equal_nan=True)
        must(bool(same), where, actual, expected)
    else:
        must(str(actual) == str(expected), where, actual, expected)


RESULT_FIELDS = frozenset(
    """
    values indices mode sign logabsdet solution residuals rank singular_values eigenvalues eigenvectors U S Vh V Q R
    L LU LD P pivots info LU_data LU_pivots output counts min max hist bin_edges mantissa exponent inverse tau
    """.split()  # noqa: SIM905
)


def storage_key(tensor: Any) -> int | None:
    """What tensors over one storage have in common; None for tensors without elements, which share nothing visible."""
    return tensor.untyped_storage().data_ptr() if tensor.numel() and not is_unallocated(tensor) else None


def write_reaches(written: Any, read: Any) -> bool | None:
    """Whether a write through `written` changes `read`; None where that can't be filled. Leaves it filled."""
    before = to_numpy(read).copy()
    try:
        written.detach().fill_(not bool(to_numpy(written).flat[0]) if dtype_name(written.dtype) == "bool" else 113)
    except (RuntimeError, IndexError):
        return None
    return not np.array_equal(before, to_numpy(read), equal_nan=before.dtype.kind in "fc")


def check_aliasing(
    actual: Any, actual_input: Any, expected: Any, expected_input: Any, where: str, identity: bool = True
) -> None:
    """The result shares memory with the input on both sides or on neither: by storage, and by writing through each.

    The tensors are spoiled."""
    if identity:
        must(
            (actual is actual_input) == (expected is expected_input),
            f"{where} is the input itself",
            actual is actual_input,
            expected is expected_input,
        )
    own, other = storage_key(actual) == storage_key(actual_input), storage_key(expected) == storage_key(expected_input)
    must(own == other, f"{where} shares its input's storage", own, other)
    if not expected.numel() or not expected_input.numel():
        return
    for direction, pair in (
        ("a write into the input reaches", ((actual_input, actual), (expected_input, expected))),
        ("a write reaches the input through", ((actual, actual_input), (expected, expected_input))),
    ):
        own_reach, other_reach = (write_reaches(*tensors) for tensors in pair)
        must(own_reach == other_reach, f"{direction} {where}", own_reach, other_reach)


def error_class_matches(actual: BaseException, expected: BaseException) -> bool:
    """Whether `actual` would be caught where a program catches PyTorch's `expected`."""
    return any(base.__name__ == type(expected).__name__ for base in type(actual).__mro__)


def check_error(actual: BaseException | None, expected: BaseException | None, where: str) -> None:
    """Both raised or neither, the same class, and a sentence of the same gist where PyTorch's is a known one."""
    if expected is None or actual is None:
        must(actual is expected, f"{where} raises", actual, expected)
        return
    known = [{gist for gist, pattern in GISTS.items() if re.search(pattern, str(e))} for e in (actual, expected)]
    if known[0] and known[1] and not known[0] & known[1]:
        return  # of several things that are wrong, each side may name another first
    must(error_class_matches(actual, expected), f"{where} raises", actual, expected)
    if known[0]:
        return
    for gist, pattern in GISTS.items():
        must(not re.search(pattern, str(expected)), f"{where} says '{gist}'", str(actual), str(expected))
