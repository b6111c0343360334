"""``torch.utils._contextlib``: context managers that also decorate, for libraries to derive theirs from."""

from wengert.autograd.modes import ContextDecorator as _DecoratorContextManager

__all__ = ["_DecoratorContextManager"]
