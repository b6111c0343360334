"""``torch.utils.hooks``: a registered hook's handle, which lives with the graph, and what pickling says about hooks."""

import warnings

from wengert.autograd.graph import RemovableHandle

__all__ = ["RemovableHandle", "unserializable_hook", "warn_if_has_hooks"]


def unserializable_hook(hook):
    """Mark a tensor's hook as one that is knowingly left behind when the tensor is pickled, and return it."""
    hook.__torch_unserializable__ = True
    return hook


def warn_if_has_hooks(tensor):
    """Warn about each hook of `tensor` that pickling would leave behind, unless it is marked."""
    for hook in (tensor._backward_hooks or {}).values():
        if not getattr(hook, "__torch_unserializable__", False):
            warnings.warn(
                f"backward hook {hook!r} on tensor will not be serialized.  If this is expected, you can decorate the "
                "function with @torch.utils.hooks.unserializable_hook to suppress this warning",
                stacklevel=2,
            )
