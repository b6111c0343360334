"""Starting values for parameters: fills that keep the variance of signals and gradients steady across layers.

Every function fills its argument in place, without recording, and returns it. Random ones take `generator=` and draw
in the same order as PyTorch, so the same seed gives the same weights.

Sources: Glorot & Bengio 2010 (xavier), He et al. 2015 (kaiming), Saxe et al. 2013 (orthogonal), Martens 2010 (sparse).
"""

import math
import warnings

import wengert
from wengert.absent import named

__all__ = [
    "calculate_gain",
    "uniform_",
    "normal_",
    "trunc_normal_",
    "constant_",
    "ones_",
    "zeros_",
    "eye_",
    "dirac_",
    "xavier_uniform_",
    "xavier_normal_",
    "kaiming_uniform_",
    "kaiming_normal_",
    "orthogonal_",
    "sparse_",
    "uniform",
    "normal",
    "constant",
    "eye",
    "dirac",
    "xavier_uniform",
    "xavier_normal",
    "kaiming_uniform",
    "kaiming_normal",
    "orthogonal",
    "sparse",
]

_GAIN_ONE = frozenset(
    ["linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "sigmoid"]
)


def calculate_gain(nonlinearity, param=None):
    """The factor by which weights make up for what `nonlinearity` does to the variance.

    `param` is the negative slope of "leaky_relu" (default 0.01). Raises ValueError for an unknown name.
    """
    if nonlinearity in _GAIN_ONE:
        return 1
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        if param is None:
            slope = 0.01
        elif isinstance(param, bool) or not isinstance(param, int | float):
            raise ValueError(f"negative_slope {param} not a valid number")
        else:
            slope = param
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity == "selu":
        return 3.0 / 4
    raise ValueError(f"Unsupported nonlinearity {nonlinearity}")


def _fill(tensor, method, *args, **kwargs):
    with wengert.no_grad():
        return getattr(tensor, method)(*args, **kwargs)


def uniform_(tensor, a=0.0, b=1.0, generator=None):
    """Fill from the uniform distribution on [a, b)."""
    return _fill(tensor, "uniform_", a, b, generator=generator)


def normal_(tensor, mean=0.0, std=1.0, generator=None):
    """Fill from the normal distribution."""
    return _fill(tensor, "normal_", mean, std, generator=generator)


def trunc_normal_(tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None):
    """Fill from the normal distribution cut off outside [a, b], by rejection.

    Where most of the distribution lies inside, what is proposed are normal numbers, and those outside are refused; else
    uniform ones, each refused with a probability that makes what is left normal.
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=2,
        )

    def cdf(x):
        return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0

    def normal():
        proposed = wengert.empty_like(tensor).normal_(mean, std, generator=generator)
        return proposed, (proposed < a) | (proposed > b)

    peak = -0.5 * ((max(a, min(mean, b)) - mean) / std) ** 2  # the density's logarithm where it is highest in [a, b]

    def uniform():
        proposed = wengert.empty_like(tensor).uniform_(a, b, generator=generator)
        height = ((proposed - mean) / std).pow_(2).mul_(-0.5).sub_(peak)
        return proposed, wengert.empty_like(tensor).uniform_(generator=generator).log_() > height

    propose = normal if cdf((b - mean) / std) - cdf((a - mean) / std) > 0.3 else uniform
    with wengert.no_grad():
        proposed, refused = propose()
        tensor.copy_(proposed)
        while refused.any():
            # for all elements, so that the random stream does not depend on which are refused
            proposed, again = propose()
            tensor.copy_(wengert.where(refused, proposed, tensor))
            refused &= again
    return tensor


def constant_(tensor, val):
    """Fill with `val`."""
    return _fill(tensor, "fill_", val)


def ones_(tensor):
    """Fill with one."""
    return _fill(tensor, "fill_", 1.0)


def zeros_(tensor):
    """Fill with zero."""
    return _fill(tensor, "zero_")


def eye_(tensor):
    """Fill a matrix with the identity."""
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    with wengert.no_grad():
        tensor.copy_(wengert.eye(*tensor.shape, dtype=tensor.dtype))
    return tensor


def dirac_(tensor, groups=1):
    """Fill a convolution's weight (3 to 5 dimensions) so that it passes its channels through, within each group."""
    dims = tensor.dim()
    if dims not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    if tensor.shape[0] % groups != 0:
        raise ValueError("dim 0 must be divisible by groups")
    per_group = tensor.shape[0] // groups
    centre = tuple(size // 2 for size in tensor.shape[2:])
    with wengert.no_grad():
        tensor.zero_()
        for g in range(groups):
            for d in range(min(per_group, tensor.shape[1])):
                tensor[(g * per_group + d, d, *centre)] = 1
    return tensor


def _calculate_fan_in_and_fan_out(tensor):
    """How many inputs feed one output, and how many outputs one input feeds."""
    if tensor.dim() < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    receptive = math.prod(tensor.shape[2:])
    return tensor.shape[1] * receptive, tensor.shape[0] * receptive


def _calculate_correct_fan(tensor, mode):
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return fan_in if mode == "fan_in" else fan_out


def xavier_uniform_(tensor, gain=1.0, generator=None):
    """Fill uniformly with variance gain² · 2 / (fan_in + fan_out)."""
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    bound = math.sqrt(3.0) * (gain * math.sqrt(2.0 / float(fan_in + fan_out)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor, gain=1.0, generator=None):
    """Fill normally with variance gain² · 2 / (fan_in + fan_out)."""
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / float(fan_in + fan_out)), generator)


def _kaiming_std(tensor, a, mode, nonlinearity):
    return calculate_gain(nonlinearity, a) / math.sqrt(_calculate_correct_fan(tensor, mode))


def _is_empty(tensor):
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return True
    return False


def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Fill uniformly with variance gain² / fan; `a` is the slope of a leaky ReLU."""
    if _is_empty(tensor):
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Fill normally with variance gain² / fan; `a` is the slope of a leaky ReLU."""
    if _is_empty(tensor):
        return tensor
    return normal_(tensor, 0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor, gain=1, generator=None):
    """Fill with gain times a (semi-)orthogonal matrix; dimensions after the first are taken as one."""
    if tensor.dim() < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0:
        return tensor
    rows = tensor.size(0)
    cols = tensor.numel() // rows
    with wengert.no_grad():
        flat = tensor.new_empty((rows, cols)).normal_(0, 1, generator=generator)
        q, r = wengert.linalg.qr(flat.t() if rows < cols else flat)
        # QR leaves the signs open; a positive diagonal of r makes the distribution uniform (Haar).
        q *= wengert.diag(r, 0).sign()
        tensor.view_as(q.t() if rows < cols else q).copy_(q.t() if rows < cols else q)
        tensor.mul_(gain)
    return tensor


def sparse_(tensor, sparsity, std=0.01, generator=None):
    """Fill a matrix normally, then set a fraction `sparsity` of each column to zero."""
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    rows, cols = tensor.shape
    zeros = math.ceil(sparsity * rows)
    with wengert.no_grad():
        tensor.normal_(0, std, generator=generator)
        for col in range(cols):
            tensor[wengert.randperm(rows)[:zeros], col] = 0
    return tensor


def _without_underscore(function):
    name = function.__name__

    def deprecated(*args, **kwargs):
        warnings.warn(
            f"`nn.init.{name[:-1]}` is now deprecated in favor of `nn.init.{name}`.", FutureWarning, stacklevel=2
        )
        return function(*args, **kwargs)

    return named(deprecated, __name__, name[:-1], f"Old name of `{name}`.")


uniform = _without_underscore(uniform_)
normal = _without_underscore(normal_)
constant = _without_underscore(constant_)
eye = _without_underscore(eye_)
dirac = _without_underscore(dirac_)
xavier_uniform = _without_underscore(xavier_uniform_)
xavier_normal = _without_underscore(xavier_normal_)
kaiming_uniform = _without_underscore(kaiming_uniform_)
kaiming_normal = _without_underscore(kaiming_normal_)
orthogonal = _without_underscore(orthogonal_)
sparse = _without_underscore(sparse_)


def _no_grad_uniform_(tensor, a, b, generator=None):
    return uniform_(tensor, a, b, generator)


def _no_grad_normal_(tensor, mean, std, generator=None):
    return normal_(tensor, mean, std, generator)


def _no_grad_trunc_normal_(tensor, mean, std, a, b, generator=None):
    return trunc_normal_(tensor, mean, std, a, b, generator)


def _no_grad_fill_(tensor, val):
    return constant_(tensor, val)


def _no_grad_zero_(tensor):
    return zeros_(tensor)
