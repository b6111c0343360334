"""``torch.fft``: the functions are declared in `wengert.ops.fourier`; here they get their public names."""

from wengert.ops.declare import FUNCTIONS
from wengert.ops.fourier import fftfreq, rfftfreq

_DECLARED = FUNCTIONS["fft"]
__all__ = ["fftfreq", "rfftfreq"]
__all__ += list(_DECLARED)


def __getattr__(name):
    if name not in _DECLARED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    function = globals()[name] = _DECLARED[name].function
    return function


def __dir__():
    return sorted(__all__)
