"""What went wrong, in PyTorch's words: NumPy's exceptions turned into the class and sense that PyTorch users know."""

import re
import sys
import warnings

import numpy as np

from wengert.dtypes import FROM_NUMPY, SCALAR_NAMES


class OutOfMemoryError(RuntimeError):
    """An accelerator's memory is full. The CPU's is Python's MemoryError, so this is never raised."""


class AcceleratorError(RuntimeError):
    """An accelerator failed; there is none, so this is never raised."""


def explain(operation, error, arguments):
    """The exception to raise for `error`, which the kernel of `operation` raised when called with `arguments`.

    Kernels raise PyTorch's classes themselves where they check; those pass through. What NumPy raised is translated:
    shapes that do not broadcast, dtypes that a ufunc lacks, read-only memory.
    """
    if isinstance(error, (MemoryError, KeyboardInterrupt, RecursionError, NotImplementedError)):
        return error
    if type(error) in (RuntimeError, IndexError, AssertionError):
        return error
    arrays = [a for a in arguments if isinstance(a, np.ndarray)]
    if isinstance(error, np.exceptions.AxisError):
        limit = error.ndim or 1
        return IndexError(
            f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but got {error.axis})"
        )
    text = str(error)
    if "read-only" in text:
        return RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            "Please clone() the tensor before performing the operation."
        )
    if isinstance(error, ValueError) and "broadcast" in text and len(arrays) >= 2:
        return RuntimeError(broadcast_message([a.shape for a in arrays], text))
    if isinstance(error, TypeError) and arrays and ("ufunc" in text or "loop" in text or "numpy boolean" in text):
        return unsupported(operation.name, arrays[0].dtype, text)
    if isinstance(error, OverflowError):
        return RuntimeError(
            f"value cannot be converted to type {type_name(arrays[0].dtype)} without overflow" if arrays else text
        )
    return reworded(operation.name, error)


NUMPYS_WORDS = re.compile(r"ufunc|operands could not be broadcast|\baxis\b|\bndarray\b|\bnumpy\b|reshape array")


def reworded(name, error):
    """`error` as it is if PyTorch could have said it, else in other words: what no check foresaw is reworded."""
    if isinstance(error, AttributeError):
        value = error.obj
        if getattr(type(value), "__module__", "") not in ("builtins", "numpy", "numpy.dtypes"):
            return error
        kind = type(value).__name__
        return TypeError(f"{name}() received an invalid combination of arguments: nothing can be done with a {kind}")
    if isinstance(error, KeyError):
        return TypeError(f"{name}() received an invalid combination of arguments")
    text = str(error)
    if isinstance(error, TypeError) and ".<locals>." in text:  # Python's own words about a function that chooses
        return TypeError(re.sub(r"^\S+\(\)", f"{name}()", text))
    if "(): argument '" in text:  # our own sentence, which may well name NumPy's class
        return error
    if isinstance(error, ZeroDivisionError):
        return RuntimeError(f"ZeroDivisionError in {name}(): {text}")
    if not isinstance(error, (ValueError, TypeError, IndexError)) or not NUMPYS_WORDS.search(text):
        return error
    if "broadcast" in text or "reshape" in text:
        shapes = [f"[{', '.join(s.strip('(),').split(','))}]" for s in re.findall(r"\([\d,]*\)", text)]
        return RuntimeError(f"{name}(): the sizes of tensors must match, but got {' and '.join(shapes)}")
    if isinstance(error, np.exceptions.AxisError):
        return IndexError(f"{name}(): Dimension out of range (got {error.axis})")
    kind = type(error) if type(error) in (TypeError, ValueError, IndexError) else TypeError
    return kind(f"{name}() received an invalid combination of arguments")


def unsupported(name, dtype, text=""):
    """The error for an operation that does not exist for a dtype."""
    if "boolean subtract" in text:
        return RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` "
            "operator "
            "instead."
        )
    if "boolean negative" in text:
        return RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use "
            "the `~` "
            "or `logical_not()` operator instead."
        )
    return NotImplementedError(f"\"{name}_cpu\" not implemented for '{type_name(dtype)}'")


def type_name(dtype):
    """PyTorch's name for an element type in its error sentences ("Float")."""
    known = FROM_NUMPY.get(dtype)
    return SCALAR_NAMES[known] if known is not None else str(dtype)


def broadcast_message(shapes, text=""):
    """Which two sizes at which dimension prevent these shapes from being broadcast together."""
    if "non-broadcastable output" in text:
        target, *others = shapes
        try:
            full = np.broadcast_shapes(target, *others)
        except ValueError:
            pass
        else:
            return f"output with shape {list(target)} doesn't match the broadcast shape {list(full)}"
    result = shapes[0]
    for shape in shapes[1:]:
        ndim = max(len(result), len(shape))
        a = (1,) * (ndim - len(result)) + tuple(result)
        b = (1,) * (ndim - len(shape)) + tuple(shape)
        for dim in reversed(range(ndim)):
            if a[dim] != b[dim] and 1 not in (a[dim], b[dim]):
                return (
                    f"The size of tensor a ({a[dim]}) must match the size of tensor b ({b[dim]}) at non-singleton "
                    "dimension "
                    f"{dim}"
                )
        result = tuple(y if x == 1 else x for x, y in zip(a, b, strict=True))
    return f"shapes {', '.join(str(list(s)) for s in shapes)} cannot be broadcast together"


class Complaints:
    """Where NumPy writes that a result is not finite: passed on as the warning it would have been, but for results of
    our own.
    """

    def write(self, message):
        if not sys._getframe(1).f_globals.get("__name__", "").startswith("wengert"):
            warnings.warn(message.removeprefix("Warning: ").rstrip(), RuntimeWarning, stacklevel=2)


def hush():
    """Have NumPy's warnings about non-finite results pass through `Complaints`, where it would have warned."""
    warned = {kind: "log" for kind, mode in np.geterr().items() if mode == "warn"}
    if np.geterrcall() is None and warned:
        np.seterrcall(Complaints())
        np.seterr(**warned)
