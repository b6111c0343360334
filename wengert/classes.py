"""``torch.classes``: classes written in C++ for PyTorch. There are none, and asking for one says so."""

from wengert.ops import load_library

__all__ = ["load_library"]


class Namespace:
    """`torch.classes.<name>`."""

    def __init__(self, name):
        self._name = name

    def __getattr__(self, name):
        raise RuntimeError(
            f"Tried to instantiate class '{self._name}.{name}', but it does not exist! (wengert runs no classes "
            "compiled for PyTorch)"
        )


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(f"module 'torch.classes' has no attribute '{name}'")
    return Namespace(name)
