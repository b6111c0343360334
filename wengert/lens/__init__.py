"""The lens: look into the graph and question it.

`record()` remembers, while it is on, which line made each operation and where the graph was cut. From what it remembers
follow the answers: `why` a parameter gets no gradient, a `check` of all parameters, what `memory` live graphs keep, and
the `graph` as data and pictures. Nothing of it is loaded, or costs anything, until it is asked for.
"""

import importlib
import sys
import types

_HOME = {
    "record": "recorder", "active": "recorder", "Record": "recorder", "Site": "sites", "Cut": "sites",
    "why": "why", "check": "check", "memory": "memory", "graph": "picture.graph", "explain": "explain",
}  # fmt: skip


def __getattr__(name):
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'wengert.lens' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"wengert.lens.{home}"), name)
    globals()[name] = value
    return value


class _Package(types.ModuleType):
    """Keeps the import system from putting the module `memory` where the function `memory` is to be found."""

    def __setattr__(self, name, value):
        if name not in _HOME or not isinstance(value, types.ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__():
    return sorted({*globals(), *_HOME})
