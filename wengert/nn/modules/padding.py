"""Padding layers: constant, reflected, replicated, circular."""

from .. import functional as F
from .module import Module
from .utils import _ntuple, _pair, _quadruple

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]

# Two amounts per spatial dimension, the last dimension first.
_SPREAD = {1: _pair, 2: _quadruple, 3: _ntuple(6, "_sextuple")}


class _ConstantPadNd(Module):
    __constants__ = ["padding", "value"]
    _spatial = None

    def __init__(self, padding, value):
        super().__init__()
        self.padding = _SPREAD[self._spatial](padding)
        self.value = value

    def forward(self, input):
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self):
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPadNd):
    """Pad the last dimension with a value."""

    _spatial = 1


class ConstantPad2d(_ConstantPadNd):
    """Pad the last two dimensions with a value."""

    _spatial = 2


class ConstantPad3d(_ConstantPadNd):
    """Pad the last three dimensions with a value."""

    _spatial = 3


class _ZeroPad:
    def __init__(self, padding):
        super().__init__(padding, 0.0)

    def extra_repr(self):
        return f"{self.padding}"


class ZeroPad1d(_ZeroPad, ConstantPad1d):
    """Pad the last dimension with zeros."""


class ZeroPad2d(_ZeroPad, ConstantPad2d):
    """Pad the last two dimensions with zeros."""


class ZeroPad3d(_ZeroPad, ConstantPad3d):
    """Pad the last three dimensions with zeros."""


class _ModePadNd(Module):
    __constants__ = ["padding"]
    _spatial = None
    _mode = None

    def __init__(self, padding):
        super().__init__()
        self.padding = _SPREAD[self._spatial](padding)

    def forward(self, input):
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self):
        return f"{self.padding}"


class _CircularPadNd(_ModePadNd):
    _mode = "circular"

    def forward(self, input):
        if input.dim() not in (self._spatial + 1, self._spatial + 2):
            raise ValueError(f"expected {self._spatial + 1}D or {self._spatial + 2}D input (got {input.dim()}D input)")
        return super().forward(input)


class CircularPad1d(_CircularPadNd):
    """Pad the last dimension as if the signal were periodic."""

    _spatial = 1


class CircularPad2d(_CircularPadNd):
    """Pad the last two dimensions as if the signal were periodic."""

    _spatial = 2


class CircularPad3d(_CircularPadNd):
    """Pad the last three dimensions as if the signal were periodic."""

    _spatial = 3


class _ReflectionPadNd(_ModePadNd):
    _mode = "reflect"


class ReflectionPad1d(_ReflectionPadNd):
    """Pad the last dimension with the signal mirrored at its ends."""

    _spatial = 1


class ReflectionPad2d(_ReflectionPadNd):
    """Pad the last two dimensions with the signal mirrored at its ends."""

    _spatial = 2


class ReflectionPad3d(_ReflectionPadNd):
    """Pad the last three dimensions with the signal mirrored at its ends."""

    _spatial = 3


class _ReplicationPadNd(_ModePadNd):
    _mode = "replicate"


class ReplicationPad1d(_ReplicationPadNd):
    """Pad the last dimension with its end values."""

    _spatial = 1


class ReplicationPad2d(_ReplicationPadNd):
    """Pad the last two dimensions with their end values."""

    _spatial = 2


class ReplicationPad3d(_ReplicationPadNd):
    """Pad the last three dimensions with their end values."""

    _spatial = 3
