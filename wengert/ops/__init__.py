"""What can be computed: tables of declarations, by family.

As `torch.ops` this package also finds the operators that a program defines, `torch.ops.namespace.name`: see
`wengert.library`.
"""

import importlib
import sys

from wengert.outside import missing


def load_library(path):
    """Load compiled operators: those for PyTorch can't run here. Raises OSError."""
    raise OSError(f"Could not load this library: {path} (wengert runs no operators compiled for PyTorch)")


def __getattr__(name):
    # Asked also for families that are about to be imported, which are files here and no namespaces.
    library = sys.modules.get("wengert.library")
    if name == "aten":
        library = importlib.import_module("wengert.library")
    if library is None or name not in library.namespaces():
        raise missing(__name__, name)
    return library.namespace(name)
