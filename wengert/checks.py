"""Assertions that libraries write with PyTorch's own functions, `torch._assert` and `torch._check`.

PyTorch has them because a tracer can follow them; run as Python they are an `if` and a `raise`.
"""

from wengert import dtypes
from wengert.tensor import Tensor

__all__ = [
    "_assert", "_assert_async", "_check", "_check_index", "_check_is_size", "_check_not_implemented",
    "_check_tensor_all", "_check_tensor_all_with", "_check_type", "_check_value", "_check_with",
]  # fmt: skip

UNEXPLAINED = (
    "Expected cond to be True, but got False. (Could this error message be improved? If so, please report an "
    "enhancement request to PyTorch.)"
)


def _assert(condition, message):
    """Raise AssertionError with `message` unless `condition` (a tensor of one element, or anything) is true."""
    if type(condition) not in (bool, Tensor) and hasattr(type(condition), "__torch_function__"):
        from wengert import overrides  # a tracer's proxy, perhaps

        return overrides.handle_torch_function(_assert, (condition,), condition, message)
    if not condition:
        raise AssertionError(message)
    return None


def _assert_async(input, assert_msg=None):
    """Raise RuntimeError unless the one element of `input` is not zero; there is nothing to be asynchronous with."""
    if not input:
        raise RuntimeError(assert_msg or "Expected Tensor with single nonzero value, but got zero")


def _check_with(error_type, cond, message=None):
    """Raise `error_type` with the text that `message()` returns unless the bool `cond` is true.

    Raises:
        TypeError: `cond` is no bool, or a message is given that can't be called.
    """
    if isinstance(cond, Tensor):
        raise TypeError(
            "cond must be a bool, but got a Tensor. For tensor conditions, use torch._check_tensor_all() to assert "
            "that all elements are true."
        )
    if not isinstance(cond, bool):
        raise TypeError(f"cond must be a bool, but got {type(cond)}")
    if cond:
        return
    if message is None:
        raise error_type(UNEXPLAINED)
    if not callable(message):
        raise TypeError("message must be a callable")
    raise error_type(str(message()))


def checking(name, error_type):
    def check(cond, message=None):
        _check_with(error_type, cond, message)

    check.__name__ = check.__qualname__ = name
    check.__doc__ = f"Raise {error_type.__name__} with the text that `message()` returns unless `cond` is true."
    return check


_check = checking("_check", RuntimeError)
_check_index = checking("_check_index", IndexError)
_check_value = checking("_check_value", ValueError)
_check_type = checking("_check_type", TypeError)
_check_not_implemented = checking("_check_not_implemented", NotImplementedError)


def _check_is_size(i, message=None, *, max=None):
    """Raise RuntimeError unless 0 <= i, and i <= max if that is given."""
    _check(i >= 0, message)
    _check(max is None or i <= max, message)


def _check_tensor_all_with(error_type, cond, message=None):
    """Raise `error_type` unless all elements of the bool tensor `cond` are true; TypeError for other tensors."""
    if not isinstance(cond, Tensor):
        raise TypeError(f"cond must be a tensor, but got {type(cond)}")
    if cond.dtype is not dtypes.bool_:
        raise TypeError(f"cond tensor must have dtype torch.bool, but got {cond.dtype}")
    _check_with(error_type, bool(cond.all().item()), message)


def _check_tensor_all(cond, message=None):
    """Raise RuntimeError unless all elements of the bool tensor `cond` are true."""
    _check_tensor_all_with(RuntimeError, cond, message)
