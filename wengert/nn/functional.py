"""The functions of `torch.nn.functional`.

They are declared in `wengert.ops`, by family.  Here they get their public names: a function is generated from its
declaration when it is first looked up, and stays.
"""

from wengert.ops import (  # noqa: F401  (declare the functions)
    activation,
    attention,
    convolution,
    distance,
    dropout,
    embedding,
    linear,
    losses,
    normalization,
    padding,
    pooling,
    resampling,
)
from wengert.ops.declare import FUNCTIONS
from wengert.outside import missing
from wengert.overrides import (
    handle_torch_function,
    has_torch_function,  # noqa: F401
    has_torch_function_unary,
    has_torch_function_variadic,  # noqa: F401
)
from wengert.tensor import Tensor

_DECLARED = FUNCTIONS["nn.functional"]
GRID_SAMPLE_INTERPOLATION_MODES = {"bilinear": 0, "nearest": 1, "bicubic": 2}
GRID_SAMPLE_PADDING_MODES = {"zeros": 0, "border": 1, "reflection": 2}
_FROM_TORCH = ("sigmoid", "tanh", "prelu", "hardshrink")

for _module in (
    "activation", "attention", "convolution", "distance", "dropout", "embedding", "linear", "losses",
    "normalization", "padding", "pooling", "resampling",
):  # fmt: skip
    del globals()[_module]  # some functions have the names of the modules that declare them


def __getattr__(name):
    operation = _DECLARED.get(name)
    if operation is None and name in _FROM_TORCH:
        operation = FUNCTIONS[""][name]
    if operation is None:
        raise missing(__name__, name)
    function = globals()[name] = operation.function
    return function


def __dir__():
    return sorted({*(n for n in globals() if not n.startswith("_")), *_DECLARED, *_FROM_TORCH} - {"FUNCTIONS"})


def softmax(input, dim=None, _stacklevel=3, dtype=None):
    """exp(input) over its sum along `dim`."""
    if type(input) is not Tensor and has_torch_function_unary(input):
        return handle_torch_function(softmax, (input,), input, dim=dim, _stacklevel=_stacklevel, dtype=dtype)
    dim = _dim_or_default("softmax", input) if dim is None else dim
    return input.softmax(dim) if dtype is None else input.softmax(dim, dtype=dtype)


def log_softmax(input, dim=None, _stacklevel=3, dtype=None):
    """The logarithm of softmax, computed so that it does not overflow."""
    if type(input) is not Tensor and has_torch_function_unary(input):
        return handle_torch_function(log_softmax, (input,), input, dim=dim, _stacklevel=_stacklevel, dtype=dtype)
    dim = _dim_or_default("log_softmax", input) if dim is None else dim
    return input.log_softmax(dim) if dtype is None else input.log_softmax(dim, dtype=dtype)


def _dim_or_default(name, input):
    import warnings

    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=4,
    )
    return 0 if input.ndim in (0, 1, 3) else 1
