"""``torch.special``: the functions are declared in `wengert.ops.special`; here they get their public names.

Most of them are computed by SciPy, which is imported when one is first called.
"""

import wengert.ops.special  # noqa: F401 (declares the functions)
from wengert.ops.declare import FUNCTIONS

_DECLARED = FUNCTIONS["special"]
__all__ = list(_DECLARED)


def __getattr__(name):
    if name not in _DECLARED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    function = globals()[name] = _DECLARED[name].function
    return function


def __dir__():
    return sorted(__all__)
