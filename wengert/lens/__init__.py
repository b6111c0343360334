"""The lens: look into the graph and question it.

`record()` remembers, while it is on, which line made each operation and where the graph was cut. From what it remembers
follow the answers: `why` a parameter gets no gradient, a `check` of all parameters, what `memory` live graphs keep, and
the `graph` as data and pictures. Nothing of it is loaded, or costs anything, until it is asked for.
"""

import importlib

_HOME = {
    "record": "recorder", "active": "recorder", "Record": "recorder", "Site": "sites", "Cut": "sites",
    "why": "why", "check": "check", "memory": "memory", "graph": "picture.graph", "explain": "explain",
}  # fmt: skip


def __getattr__(name):
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'wengert.lens' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"wengert.lens.{home}"), name)
    globals()[name] = value  # over the submodule of the same name, which the import has just put there
    return value


def __dir__():
    return sorted({*globals(), *_HOME})
