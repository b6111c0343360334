"""All parameters as one vector, and back."""

import wengert
from wengert.tensor import Tensor

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def _check_device(param, device):
    """The device that all parameters must share; TypeError at the first that differs."""
    if device is not None and param.device != device:
        raise TypeError(
            f"Found two parameters on different devices, this is currently not supported: {param.device}, {device}."
        )
    return param.device


def parameters_to_vector(parameters):
    """The parameters, flattened and joined."""
    device, parts = None, []
    for param in parameters:
        device = _check_device(param, device)
        parts.append(param.view(-1))
    return wengert.cat(parts)


def vector_to_parameters(vec, parameters):
    """Let each parameter's data be its slice of `vec`."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {wengert.typename(vec)}")
    device, offset = None, 0
    for param in parameters:
        device = _check_device(param, device)
        n = param.numel()
        param.data = vec[offset : offset + n].view_as(param).data
        offset += n
