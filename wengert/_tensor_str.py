"""``torch._tensor_str``: where libraries that print tensors of their own look for PyTorch's printing."""

from wengert.printing import OPTIONS as PRINT_OPTS
from wengert.printing import append, format_array, tensor_repr

__all__ = ["PRINT_OPTS", "_add_suffixes", "_str_intern", "_tensor_str"]


def _tensor_str(self, indent):
    """The elements of a tensor in nested brackets, `indent` columns from the left."""
    return format_array(self.detach()._array, indent)


def _add_suffixes(tensor_str, suffixes, indent, force_newline):
    """`tensor_str` with `suffixes` and the closing parenthesis."""
    return append(tensor_str, iter(suffixes), indent, force_newline)


def _str_intern(inp, *, tensor_contents=None):
    """The text of a tensor, with `tensor_contents` in place of its elements."""
    return tensor_repr(inp, tensor_contents)
