"""``torch.linalg``: the functions are declared in `wengert.ops`; here they get their public names."""

from wengert.kernels.decompositions import LinAlgError
from wengert.ops import lazy
from wengert.ops.declare import FUNCTIONS
from wengert.outside import missing

for _family in ("products", "arrangement", "decompositions"):
    lazy.load(_family)

_DECLARED = FUNCTIONS["linalg"]
__all__ = ["LinAlgError"]
__all__ += list(_DECLARED)


def __getattr__(name):
    if name not in _DECLARED:
        raise missing(__name__, name)
    function = globals()[name] = _DECLARED[name].function
    return function


def __dir__():
    return sorted(__all__)
