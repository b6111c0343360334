"""``torch.utils.hooks``: a registered hook's handle; it lives with the graph, whose hooks are the first to need it."""

from wengert.autograd.graph import RemovableHandle

__all__ = ["RemovableHandle"]
