"""What a tensor looks like as text; attaches `Tensor.__repr__` and `Tensor.__format__`.

A printed tensor is three decisions. *Which* elements: all of them, or only the edges of every axis once the tensor
holds more than ``threshold``. *How* one number is written: as an integer, in fixed or in scientific notation, one
choice for all elements so that columns line up. *Where* lines break: the rows of the last axis are wrapped at
``linewidth``, the other axes nest in brackets. All three work on plain arrays (`format_array`); `tensor_repr` adds
what the array does not know: dtype, size, and the tensor's place in the graph.

The text follows PyTorch to the character, including two habits that look like slips: zeros, infinities and NaNs do not
take part in choosing the notation or the column width, and the ellipsis inside a row carries a space of its own.
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from wengert.dtypes import default
from wengert.tensor import Parameter, Tensor


@dataclasses.dataclass
class PrintOptions:
    """The settings that `set_printoptions` changes, with their defaults."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


OPTIONS = PrintOptions()

PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Change how tensors are printed, for the whole process.

    Args:
        precision: digits after the point of a number that is not whole (4).
        threshold: number of elements beyond which only the edges of each axis are shown (1000).
        edgeitems: elements shown at each end of an axis that is cut short (3).
        linewidth: columns after which the rows of the last axis are wrapped (80).
        profile: "default", "short" or "full": values for the four above, which they may override.
        sci_mode: always (True) or never (False) scientific notation; None lets the numbers decide. Unlike the other
            settings it is reset to None when not given, as in PyTorch.

    Raises:
        ValueError: `profile` is none of the three (PyTorch ignores such a profile silently).
    """
    if profile is not None and profile not in PROFILES:
        raise ValueError(f"set_printoptions(): unknown profile {profile!r}, expected one of {', '.join(PROFILES)}")
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    settings = PROFILES.get(profile, {}) if profile is not None else {}
    settings = settings | {name: value for name, value in given.items() if value is not None}
    for name, value in settings.items():
        setattr(OPTIONS, name, value)
    OPTIONS.sci_mode = sci_mode


def get_printoptions() -> dict[str, Any]:
    """The current settings, as keyword arguments for `set_printoptions`."""
    return dataclasses.asdict(OPTIONS)


@contextlib.contextmanager
def printoptions(**settings: Any) -> Iterator[None]:
    """Apply `set_printoptions(**settings)` within a ``with`` block and restore the former settings after it."""
    before = get_printoptions()
    set_printoptions(**settings)
    try:
        yield
    finally:
        set_printoptions(**before)


# --- one number -----------------------------------------------------------------------------------------------------


def _format_exact(values: np.ndarray) -> tuple[list[str], int]:
    """Integers and booleans: as Python writes them. Returns the texts and the width of their column."""
    texts = [str(value) for value in values.tolist()]
    return texts, max(map(len, texts), default=1)


def _format_real(values: np.ndarray, options: PrintOptions) -> tuple[list[str], int]:
    """Floats of any width: one notation for all. Returns the texts and the width of their column."""
    # Every printed digit is a double's: short floats convert exactly, and float16 would overflow in the tests below.
    with np.errstate(invalid="ignore"):  # a signalling NaN is nothing to warn about here
        numbers = values.astype(np.float64)
    counts = np.isfinite(numbers) & (numbers != 0)
    deciding = numbers[counts]
    whole, scientific = True, False
    if deciding.size:
        whole = bool((deciding == np.ceil(deciding)).all())
        scientific = _needs_exponent(deciding) if options.sci_mode is None else bool(options.sci_mode)

    write: Callable[[float], str]
    if scientific:
        write = f"{{:.{options.precision}e}}".format
    elif whole:
        write = _format_whole
    else:
        write = f"{{:.{options.precision}f}}".format
    texts = [write(number) for number in numbers.tolist()]
    return texts, max((len(text) for text, counted in zip(texts, counts.tolist(), strict=True) if counted), default=1)


def _needs_exponent(deciding: np.ndarray) -> bool:
    """Whether fixed notation would hide digits: numbers too far apart, too large or too small."""
    magnitudes = np.abs(deciding)
    smallest, largest = float(magnitudes.min()), float(magnitudes.max())
    return largest / smallest > 1000.0 or largest > 1.0e8 or smallest < 1.0e-4


def _format_whole(number: float) -> str:
    """A float without fraction keeps its point, which tells it from an integer: ``2.``, but ``inf`` and ``nan``."""
    return f"{number:.0f}." if math.isfinite(number) else f"{number:.0f}"


def _format_elements(values: np.ndarray, options: PrintOptions) -> tuple[list[str], int]:
    """The text of each element of a flat array, and the columns that one element claims when rows are wrapped."""
    if values.dtype.kind in "biu":
        texts, width = _format_exact(values)
        return [text.rjust(width) for text in texts], width
    if values.dtype.kind != "c":
        texts, width = _format_real(values, options)
        return [text.rjust(width) for text in texts], width
    # The two parts of a complex number choose their notations apart. Only the real part is aligned.
    real, real_width = _format_real(values.real, options)
    imag, imag_width = _format_real(values.imag, options)
    texts = [r.rjust(real_width) + (i if i[0] == "-" else "+" + i) + "j" for r, i in zip(real, imag, strict=True)]
    return texts, real_width + imag_width + 1


# --- many numbers ---------------------------------------------------------------------------------------------------


def format_array(array: np.ndarray, indent: int = 0, options: PrintOptions | None = None) -> str:
    """Write the elements of an array in nested brackets.

    Args:
        array: any shape; bool, integer, float (ml_dtypes included) or complex.
        indent: columns already taken on the first line, and left free on those that follow.
        options: the settings to use; those of `set_printoptions` if not given.

    Returns:
        The text, without a trailing newline. An array without elements is ``[]`` whatever its shape.
    """
    options = OPTIONS if options is None else options
    if array.size == 0:
        return "[]"
    cut = [False] * array.ndim
    if array.size > options.threshold and array.ndim:
        if not options.edgeitems:
            return "[...]"
        # Cut before formatting: the cost of printing is that of the elements shown.
        cut = [length > 2 * options.edgeitems for length in array.shape]
        array = array[np.ix_(*(_edges(length, options.edgeitems) for length in array.shape))]
    texts, width = _format_elements(array.reshape(-1), options)
    if array.ndim == 0:
        return texts[0]
    # The innermost axis sits inside all the other brackets.
    columns = options.linewidth - (indent + array.ndim - 1)
    per_line = max(1, math.floor(columns / (width + 2)))
    return _nest(texts, array.shape, cut, indent, per_line, options.edgeitems)


def _edges(length: int, edgeitems: int) -> np.ndarray:
    """The indices along an axis that are shown when an array is cut short."""
    indices = np.arange(min(length, 2 * edgeitems))
    if length > 2 * edgeitems:
        indices[edgeitems:] += length - 2 * edgeitems
    return indices


def _nest(texts: list[str], shape: tuple[int, ...], cut: list[bool], indent: int, per_line: int, edgeitems: int) -> str:
    """Bracket a flat list of texts, laid out row-major in `shape`, with an ellipsis in the axes that were `cut`."""
    if len(shape) == 1:
        items = [*texts[:edgeitems], " ...", *texts[edgeitems:]] if cut[0] else texts
        lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    stride = len(texts) // shape[0]
    blocks = [
        _nest(texts[i * stride : (i + 1) * stride], shape[1:], cut[1:], indent + 1, per_line, edgeitems)
        for i in range(shape[0])
    ]
    if cut[0]:
        blocks.insert(edgeitems, "...")
    return "[" + ("," + "\n" * (len(shape) - 1) + " " * (indent + 1)).join(blocks) + "]"


# --- a tensor -------------------------------------------------------------------------------------------------------

# dtypes that the reader of `tensor([1, 2])` or `tensor([True])` would infer by themselves.
INFERRED_DTYPES = frozenset({"torch.int64", "torch.bool"})


def tensor_repr(tensor: Any, contents: str | None = None) -> str:
    """The text of a tensor: its elements, then whatever a reader could not infer from them.

    Args:
        tensor: of any subclass, whose name stands before the parenthesis.
        contents: the text to show in place of the elements.

    Returns:
        For instance ``tensor([1., 2.], dtype=torch.float64, grad_fn=<MulBackward0>)``.
    """
    plain = type(tensor) is Tensor or type(tensor) is Parameter or hasattr(type(tensor), "_plain_override")
    prefix = "tensor(" if plain else f"{type(tensor).__name__}("
    text = format_array(tensor._array, len(prefix)) if contents is None else contents
    text = append(prefix + text, _suffixes(tensor), len(prefix))
    return f"Parameter({text})" if isinstance(tensor, Parameter) and not plain else text


def _suffixes(tensor: Any) -> Iterator[str]:
    shape, dtype = tensor._array.shape, str(tensor.dtype)
    empty = tensor._array.size == 0
    # `[]` says (0,), and an ellipsis alone says nothing about the shape.
    if (empty and len(shape) != 1) or (not empty and not OPTIONS.edgeitems):
        yield f"size={shape}"
    # Without elements nothing tells an integer tensor from a float one.
    if dtype != str(default.dtype) and (empty or not _inferred(dtype)):
        yield f"dtype={dtype}"
    yield from _place_in_graph(tensor)


def _inferred(dtype: str) -> bool:
    """Whether the elements of a tensor say of which dtype it is."""
    default_complex = "torch.complex128" if str(default.dtype) == "torch.float64" else "torch.complex64"
    return dtype in (str(default.dtype), default_complex) or dtype in INFERRED_DTYPES


def _place_in_graph(tensor: Any) -> Iterator[str]:
    if tensor.grad_fn is not None:
        yield f"grad_fn=<{tensor.grad_fn.name().rpartition(':')[2]}>"
    elif tensor.requires_grad:
        yield "requires_grad=True"
    tangent = tensor._tangent
    if tangent is not None:
        yield f"tangent={tangent.item() if tangent.ndim == 0 else tangent}"


def sparse_repr(tensor: Any) -> str:
    """The text of a sparse tensor: coordinates and values, and what they don't say."""
    indent = len("tensor(")
    parts = []
    for name, part in (("indices", tensor._indices()), ("values", tensor._values())):
        text = f"{name}=tensor({format_array(part._array, indent + len(name) + len('=tensor('))}"
        parts.append(text + (f", size={part._array.shape})" if not part._array.size else ")"))
    text = "tensor(" + (",\n" + " " * indent).join(parts)
    return append(text, _sparse_suffixes(tensor), indent, own_line=True)


def compressed_repr(tensor: Any, names: tuple[str, str]) -> str:
    """The text of a sparse matrix in compressed form: pointers, indices and values."""
    indent = len("tensor(")
    parts = []
    for name, part in ((names[0], tensor.pointers()), (names[1], tensor.plain_indices()), ("values", tensor._kept)):
        text = f"{name}=tensor({format_array(part._array, indent + len(name) + len('=tensor('))}"
        parts.append(text + (f", size={tuple(part._array.shape)})" if not part._array.size else ")"))
    text = "tensor(" + (",\n" + " " * indent).join(parts)
    return append(text, _sparse_suffixes(tensor), indent)


def _sparse_suffixes(tensor: Any) -> Iterator[str]:
    yield f"size={tuple(tensor.shape)}"
    yield f"nnz={tensor._nnz()}"
    if not _inferred(str(tensor.dtype)):
        yield f"dtype={tensor.dtype}"
    yield f"layout={tensor.layout}"
    yield from _place_in_graph(tensor)


def append(text: str, suffixes: Iterator[str], indent: int, own_line: bool = False) -> str:
    """Add `suffixes` and the closing parenthesis, starting a new line where one would pass the line width (or, with
    `own_line`, before the first).
    """
    # PyTorch counts one column too many for text of several lines and two for a single line; so do we.
    column = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if own_line or column + len(suffix) + 2 > OPTIONS.linewidth:
            text += ",\n" + " " * indent + suffix
            column = indent + len(suffix)
            own_line = False
        else:
            text += ", " + suffix
            column += len(suffix) + 2
    return text + ")"


def __repr__(self: Any, *, tensor_contents: str | None = None) -> str:
    text = tensor_repr(self, tensor_contents)
    # The class says it, not the instance: a tensor that is merely marked as a parameter prints as its own class.
    return f"Parameter containing:\n{text}" if issubclass(type(self), Parameter) else text


def __format__(self: Any, spec: str) -> str:
    """A plain tensor without dimensions takes the format of a number; others take none, and print as ever."""
    if self._array.ndim == 0 and type(self) is Tensor:
        return format(self._array.item(), spec)
    return object.__format__(self, spec)


Tensor.__repr__ = __repr__  # type: ignore[method-assign]
Tensor.__format__ = __format__  # type: ignore[method-assign]
