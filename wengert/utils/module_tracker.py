"""Which modules are running: a block that knows the names of those whose `forward` is under way."""

import weakref

from wengert.nn.modules.module import (
    Module,
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

__all__ = ["ModuleTracker"]


class ModuleTracker:
    """A context manager; `parents` is the set of the names of the modules that are running, and "Global".

    A module that isn't below another one that runs is known by its class, those below by their dotted names.

    Attributes:
        parents: the names.
        is_bw: False; backward passes are not followed.
    """

    is_bw = False

    def __init__(self):
        self.parents = {"Global"}
        self.names = weakref.WeakKeyDictionary()
        self.handles = []

    def __enter__(self):
        self.handles = [
            register_module_forward_pre_hook(self.entered),
            register_module_forward_hook(self.left, always_call=True),
        ]
        return self

    def __exit__(self, *error):
        for handle in self.handles:
            handle.remove()

    def name_of(self, module: Module) -> str:
        """The dotted name of a module, by the outermost one that was seen running above it."""
        if module not in self.names:
            root = type(module).__name__
            for name, below in module.named_modules():
                self.names.setdefault(below, f"{root}.{name}" if name else root)
        return self.names[module]

    def entered(self, module, args):
        self.parents.add(self.name_of(module))

    def left(self, module, args, output):
        self.parents.discard(self.name_of(module))
