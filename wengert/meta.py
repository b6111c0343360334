"""Tensors on the device "meta": a shape, a dtype and a place in the graph, and nothing to read.

A large model is built on "meta" to be filled from a file (``with torch.device("meta"): model = Model()``). A meta
tensor here is a Tensor of a class of its own, which is asked about every operation (`__torch_function__`). Its memory
is zeros that nobody has touched, which the system maps only when they are written: operations run on it and so find the
shape, the dtype and the node of their result; what would write into it writes nothing; what would read it is refused.
"""

import numpy as np

from wengert import random
from wengert.devices import device
from wengert.dtypes import bool_, default
from wengert.overrides import DisableTorchFunctionSubclass, TorchFunctionMode, converted, state
from wengert.tensor import Parameter, Tensor, wrap

__all__ = ["Meta"]

META = device("meta")
NO_DATA = NotImplementedError("Cannot copy out of meta tensor; no data!")
NO_NUMBER = RuntimeError("Tensor.item() cannot be called on meta tensors")
NO_ARRAY = TypeError(
    "can't convert meta device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first."
)
NO_SHAPE = NotImplementedError("the shape of the result depends on values, which a meta tensor does not have")
REFUSED = {
    **dict.fromkeys(("item", "__bool__", "__int__", "__float__", "__index__", "__complex__", "allclose"), NO_NUMBER),
    **dict.fromkeys(("tolist", "cpu", "equal"), NO_DATA),
    **dict.fromkeys(("numpy", "__array__", "__dlpack__"), NO_ARRAY),
    **dict.fromkeys(("nonzero", "argwhere", "masked_select", "unique", "unique_consecutive", "bincount"), NO_SHAPE),
}
# What ends in an underscore and is no writing of values.
DONE = frozenset({
    "requires_grad_", "detach_", "unsqueeze_", "squeeze_", "t_", "transpose_", "swapaxes_", "swapdims_", "resize_",
    "resize_as_", "as_strided_", "set_",
})  # fmt: skip
MAKERS = frozenset({
    "arange", "as_tensor", "asarray", "bartlett_window", "blackman_window", "empty", "empty_permuted", "empty_strided",
    "eye", "fftfreq", "full", "hamming_window", "hann_window", "kaiser_window", "linspace", "logspace", "normal",
    "ones", "rand", "randint", "randn", "randperm", "range", "rfftfreq", "scalar_tensor", "tensor", "tril_indices",
    "triu_indices", "vander", "zeros",
})  # fmt: skip



class Meta(Tensor):
    """A tensor on the device "meta"."""

    device = property(lambda self: META)
    is_meta, is_cpu = True, False

    def __new__(cls, *args, **kwargs):
        """What PyTorch's classes of meta tensors make: `type(parameter)(data, requires_grad=...)` is a Parameter."""
        return Parameter(*args, **kwargs) if "requires_grad" in kwargs else Tensor(*args, **kwargs)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        kwargs, name = dict(kwargs or {}), getattr(func, "__name__", "")
        if name in REFUSED:
            raise REFUSED[name]
        if name.endswith("_") and not name.endswith("__") and name not in DONE:
            return written(args)
        if name == "__setitem__":
            return None
        if name == "__getitem__" and any(isinstance(i, Meta) and i.dtype is bool_ for i in indices(args[1])):
            raise NO_SHAPE
        place = device_asked(name, args, kwargs)
        if place is not None and place != META:
            if name == "to":
                raise NO_DATA
            return run(func, args, kwargs)
        if "device" in kwargs:
            del kwargs["device"]
        args = tuple(value for value in args if not names_meta(value))
        if any(type(value) in (Tensor, Parameter) and value.ndim and name != "__get__" for value in args):
            raise RuntimeError("Tensor on device cpu is not on the expected device meta!")
        return converted(run(func, args, kwargs), cls)

    def cpu(self, memory_format=None):
        """Refused: there is no data to copy."""
        raise NO_DATA

    def data_ptr(self):
        """0: there is no memory to point at."""
        return 0

    def __repr__(self, *, tensor_contents=None):
        said = ["...", "device='meta'", f"size={tuple(self._array.shape)}"]
        if self.dtype is not default.dtype:
            said.append(f"dtype={self.dtype}")
        if self.grad_fn is not None:
            said.append(f"grad_fn=<{self.grad_fn.name().rpartition(':')[2]}>")
        elif self.requires_grad:
            said.append("requires_grad=True")
        text = f"tensor({', '.join(said)})"
        return f"Parameter containing:\n{text}" if isinstance(self, Parameter) else text

    def __deepcopy__(self, memo):
        return self.__reduce_ex__(4)[0](*self.__reduce_ex__(4)[1])

    def __reduce_ex__(self, protocol):
        return rebuilt, (self._array.shape, self.dtype, self.requires_grad, isinstance(self, Parameter))


def rebuilt(shape, dtype, requires_grad, is_parameter):
    tensor = bare(shape, dtype)
    return Parameter(tensor, requires_grad) if is_parameter else tensor.requires_grad_(requires_grad)


def bare(shape, dtype):
    """A meta tensor."""
    tensor = wrap(np.zeros(shape, dtype.numpy), dtype)
    tensor.__class__ = Meta
    return tensor


def like(tensor, dtype=None):
    """A meta tensor of the shape, and unless told otherwise the dtype, of `tensor`."""
    return bare(tensor._array.shape, dtype or tensor.dtype)


def run(func, args, kwargs):
    with DisableTorchFunctionSubclass(), np.errstate(all="ignore"):
        return func(*args, **kwargs)


def written(args):
    """The result of an operation that would have written into its first argument."""
    if not isinstance(args[0], Meta):
        raise NO_DATA
    return args[0]


def names_meta(value):
    return isinstance(value, (str, device)) and str(value) == "meta"


def indices(index):
    return index if isinstance(index, tuple) else (index,)


def device_asked(name, args, kwargs):
    """The device that a call names, or None."""
    named = kwargs.get("device")
    if named is None and name == "to":
        named = next((value for value in args[1:] if isinstance(value, (str, device))), None)
        other = next((value for value in args[1:] if isinstance(value, Tensor)), None)
        named = other.device if named is None and other is not None else named
    return None if named is None else device(named)


def make(function, args, kwargs):
    """What `function`, which makes tensors, would make on "meta"; no random number is drawn."""
    kept = random.get_rng_state() if function.__name__ in ("normal", "rand", "randint", "randn", "randperm") else None
    try:
        result = function(*args, **{name: value for name, value in kwargs.items() if name != "device"})
    finally:
        if kept is not None:
            random.set_rng_state(kept)
    return like(result).requires_grad_(result.requires_grad)


class Making(TorchFunctionMode):
    """While it is on, what makes tensors and names no device makes them there: on "meta", or on the CPU in spite of a
    "meta" around it."""

    def __init__(self, place):
        super().__init__()
        self.device = place

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in MAKERS and kwargs.get("device") is None and kwargs.get("out") is None:
            return make(func, args, kwargs) if self.device == META else func(*args, **{**kwargs, "device": self.device})
        return func(*args, **kwargs)


def enter(place):
    """Make tensors at `place` from now on."""
    Making(place).__enter__()


def leave(place):
    """End the innermost `enter` of that place, if there is one."""
    for mode in reversed(state.modes):
        if isinstance(mode, Making) and mode.device == place:
            mode.__exit__()
            return
