"""Devices: wengert computes on the CPU; other names are understood and refused where memory would be needed."""

import importlib
import re
import sys

TYPES = (
    "cpu", "cuda", "ipu", "xpu", "mkldnn", "opengl", "opencl", "ideep", "hip", "ve", "fpga", "maia", "xla", "lazy",
    "vulkan", "mps", "meta", "hpu", "mtia", "privateuseone",
)  # fmt: skip


class device:
    """A place for tensors: ``device("cpu")``, ``device("cuda", 0)``. Also a context manager for new tensors' place.

    Raises RuntimeError for a name that is no device. Only "cpu" can hold tensors: see `check`.
    """

    __slots__ = ("type", "index")

    def __new__(cls, type="cpu", index=None):
        if isinstance(type, device):
            return type
        self = object.__new__(cls)
        if isinstance(type, int):
            type, index = "cuda", type
        match = re.fullmatch(r"([a-z]+)(?::(\d+))?", type)
        if match is None:
            raise RuntimeError(f"Invalid device string: '{type}'")
        name, number = match.groups()
        if name not in TYPES:
            raise RuntimeError(f"Expected one of {', '.join(TYPES)} device type at start of device string: {name}")
        if number is not None and index is not None:
            raise RuntimeError(f"type (string) must not include an index because index was passed explicitly: {type}")
        self.type = name
        self.index = int(number) if number is not None else index
        return self

    def __repr__(self):
        return (
            f"device(type='{self.type}')" if self.index is None else f"device(type='{self.type}', index={self.index})"
        )

    def __str__(self):
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other):
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self):
        return hash((self.type, self.index))

    def __reduce__(self):
        return (device, (self.type,) if self.index is None else (self.type, self.index))

    def __enter__(self):
        if self.type != "meta":
            check(self)
        if self.type == "meta" or "wengert.meta" in sys.modules:
            importlib.import_module("wengert.meta").enter(self)
        return self

    def __exit__(self, *exc):
        if "wengert.meta" in sys.modules:
            sys.modules["wengert.meta"].leave(self)
        return False


device.__module__ = "wengert"
cpu = device("cpu")


class MetaAsked(NotImplementedError):
    """Memory is wanted on the device "meta", which has none: whoever makes tensors turns to `wengert.meta`."""


def check(place):
    """Raise unless tensors can live at `place` (None, a device, a string or an index)."""
    if place is None or place is cpu or place == "cpu" or (type(place) is device and place.type == "cpu"):
        return
    place = device(place)
    if place.type == "cuda":
        raise AssertionError("Torch not compiled with CUDA enabled: wengert computes on the CPU only")
    if place.type == "meta":
        raise MetaAsked("there are no tensors on the 'meta' device for this: it computes nothing")
    if place.type != "cpu":
        raise NotImplementedError(f"wengert has no tensors on the '{place.type}' device; it computes on the CPU only")


def get_device_module(device=None):
    """The module of a device's functions, `torch.cpu` unless `device` says another."""
    kind = "cpu" if device is None else globals()["device"](device).type
    try:
        return importlib.import_module(f"wengert.{kind}")
    except ModuleNotFoundError:
        message = f"Device '{kind}' does not have a corresponding module registered as 'torch.{kind}'."
        raise RuntimeError(message) from None
