"""The class of compiled modules, by which libraries know one, and reach the module inside."""

from wengert.compiler import disable
from wengert.nn.modules.module import Module

__all__ = ["OptimizedModule", "disable"]

OWN = frozenset({"_modules", "_parameters", "_buffers", "_orig_mod", "training", "__dict__", "__class__"})


class OptimizedModule(Module):
    """What `torch.compile` makes of a module: it calls the module, which is its only submodule, `_orig_mod`.

    Its attributes are the module's, but names of parameters have ``_orig_mod.`` before them.
    """

    def __init__(self, mod, dynamo_ctx=None):
        super().__init__()
        self._modules["_orig_mod"] = mod
        del self.__dict__["training"]

    def forward(self, *args, **kwargs):
        return self._modules["_orig_mod"](*args, **kwargs)

    @property
    def training(self):
        """Whether the module is in training mode."""
        return self._modules["_orig_mod"].training

    @training.setter
    def training(self, mode):
        if "_orig_mod" in self._modules:
            self._modules["_orig_mod"].training = mode

    def __getattr__(self, name):
        modules = self.__dict__.get("_modules", {})
        if name == "_orig_mod" or "_orig_mod" not in modules:
            return super().__getattr__(name)
        return getattr(modules["_orig_mod"], name)

    def __setattr__(self, name, value):
        if name in OWN or name in type(self).__dict__ or name in self.__dict__:
            super().__setattr__(name, value)
        else:
            setattr(self._modules["_orig_mod"], name, value)

    def __delattr__(self, name):
        if name in self.__dict__:
            super().__delattr__(name)
        else:
            delattr(self._modules["_orig_mod"], name)

    def __getitem__(self, index):
        return self._modules["_orig_mod"][index]

    def __len__(self):
        return len(self._modules["_orig_mod"])

    def __iter__(self):
        return iter(self._modules["_orig_mod"])

    def __bool__(self):
        return True

    def __dir__(self):
        return sorted({*super().__dir__(), *dir(self._modules["_orig_mod"])})
