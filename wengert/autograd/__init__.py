"""How gradients flow: the graph, the backward pass, and everything a user may do about either.

The lower floor (`graph`, `views`) is loaded with the tensors; the rest on first use.
"""

import importlib
import sys
import types

from wengert.outside import missing

_HOMES = {
    "backward": "engine",
    "grad": "engine",
    "no_grad": "modes",
    "enable_grad": "modes",
    "set_grad_enabled": "modes",
    "inference_mode": "modes",
    "set_multithreading_enabled": "modes",
    "is_multithreading_enabled": "modes",
    "Function": "function",
    "gradcheck": "gradcheck",
    "gradgradcheck": "gradcheck",
    "detect_anomaly": "anomaly",
    "set_detect_anomaly": "anomaly",
    "Variable": "variable",
    "_profiler_enabled": "profiler",
}
_MODULES = (
    "graph",
    "function",
    "functional",
    "forward_ad",
    "grad_mode",
    "profiler",
    "variable",
    "engine",
    "anomaly_mode",
)


def __getattr__(name):
    if name in _HOMES:
        module = importlib.import_module(f"wengert.autograd.{_HOMES[name]}")
        value = getattr(module, name)
        globals()[name] = value
        return value
    if name in _MODULES:
        try:
            return importlib.import_module(f"wengert.autograd.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"wengert.autograd.{name}":
                raise
    raise missing(__name__, name)


class _Package(types.ModuleType):
    """Keeps the import system from putting the module `gradcheck` where the function `gradcheck` is to be found."""

    def __setattr__(self, name, value):
        if name not in _HOMES or not isinstance(value, types.ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__():
    return sorted([*_HOMES, *_MODULES])
