"""Keep gradients within bounds, in place (Pascanu et al. 2013)."""

import warnings
from types import GeneratorType

import numpy as np

import wengert
from wengert.autograd.graph import rare
from wengert.autograd.views import bump
from wengert.kernels.reductions import squares_of
from wengert.tensor import Tensor

__all__ = ["clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]


def _gradients(parameters):
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p.grad for p in parameters if p.grad is not None]


def _norm(array, order):
    """The norm of all elements of an array, as a NumPy number; of half precision in single."""
    flat = array.ravel("K")
    if flat.dtype.itemsize == 2:
        flat = flat.astype(np.float32)
    if order == 2 and flat.dtype.kind == "f":
        return np.sqrt(squares_of(flat[None])[0])
    return np.linalg.norm(flat, order) if flat.size else flat.dtype.type(0)


def get_total_norm(tensors, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """The norm of all tensors together, as if they were one vector: a 0-d tensor.

    Raises RuntimeError for a norm that is not finite, if `error_if_nonfinite`. `foreach` chooses among equal ways to
    compute it in PyTorch; here there is one.
    """
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    norm_type = float(norm_type)
    if not tensors:
        return wengert.tensor(0.0)
    total = _norm(np.stack([_norm(t._array, norm_type) for t in tensors]), norm_type)
    if error_if_nonfinite and not np.isfinite(total):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be "
            "clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )
    dtype = tensors[0].dtype.to_real() if tensors[0].dtype.is_complex else tensors[0].dtype
    return wengert.tensor(float(total), dtype=dtype)


def clip_grads_with_norm_(parameters, max_norm, total_norm, foreach=None):
    """Scale the gradients by max_norm / (total_norm + 1e-6) if that is less than one."""
    coefficient = float(max_norm) / (float(total_norm) + 1e-6)
    if coefficient >= 1.0:
        return
    for grad in _gradients(parameters):  # by NaN too, if that is what the norm is
        array = grad._array
        if array.dtype.itemsize == 2:
            array[...] = array.astype(np.float32) * np.float32(coefficient)
        else:
            array *= coefficient
        bump(grad)
        if rare.active:
            for observe in rare.on_result:
                observe("written", (grad,), None, None)


def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """Scale the gradients so that their norm, taken together, is at most `max_norm`; returns the norm before."""
    generator = isinstance(parameters, GeneratorType)
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    if generator and not parameters:
        warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=2)
    total = get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(parameters, max_norm, total, foreach)
    return total


def clip_grad_norm(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """Old name of `clip_grad_norm_`."""
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated in favor of `torch.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


def clip_grad_value_(parameters, clip_value, foreach=None):
    """Clamp every element of the gradients to [-clip_value, clip_value]."""
    bound = float(clip_value)
    with wengert.no_grad():
        for grad in _gradients(parameters):
            grad.clamp_(min=-bound, max=bound)
