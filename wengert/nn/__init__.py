"""Neural networks: layers, losses, initial values, and tools around them."""

import importlib

from wengert.outside import missing

from . import functional, grad, init, modules, parallel, parameter, utils
from .modules import *  # noqa: F403
from .parallel import DataParallel
from .parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter

__all__ = [  # noqa: PLE0604
    "Buffer",
    "DataParallel",
    "Parameter",
    "UninitializedBuffer",
    "UninitializedParameter",
    "functional",
    "grad",
    "init",
    "modules",
    "parallel",
    "parameter",
    "utils",
    *modules.__all__,
]


def factory_kwargs(kwargs):
    """Of `kwargs`, those that creation functions take; raises TypeError for one that is given twice or unknown."""
    if kwargs is None:
        return {}
    known = {"device", "dtype", "memory_format"}
    if not set(kwargs) <= known | {"factory_kwargs"}:
        raise TypeError(f"unexpected kwargs {set(kwargs) - known - {'factory_kwargs'}}")
    result = dict(kwargs.get("factory_kwargs", {}))
    for key in known & set(kwargs):
        if key in result:
            raise TypeError(f"{key} specified twice, in **kwargs and in factory_kwargs")
        result[key] = kwargs[key]
    return result


def __getattr__(name):
    if name != "attention":
        raise missing(__name__, name)
    return importlib.import_module("wengert.nn.attention")
