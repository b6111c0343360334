"""Reductions, scans and the softmax family, each beside its derivative.

The gradient of a reduction is its result's gradient, spread back over the dimensions that were reduced (`spread`).
"""

from functools import partial

from wengert.dtypes import SCALAR_NAMES
from wengert.kernels import reductions as kernels
from wengert.ops.declare import choice, composite, primitive
from wengert.ops.pointwise import exp, is_complex, log, pow, select, sgn, zeros_of
from wengert.ops.shape import concatenate, expand_to, flip, narrow_to, put_along, reshape_to
from wengert.tensor import Tensor

reduction = partial(primitive, dense=True)


def reduced_shape(shape, dim):
    """`shape` with the reduced dimensions kept as ones."""
    axes = kernels.axes_of(dim, len(shape))
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def spread(g, shape, dim, keepdim=False):
    """What was reduced over `dim` (a gradient or a result), over the whole `shape` again."""
    if dim is None and not keepdim:
        return expand_to(g, shape)
    return expand_to(kept(g, shape, dim, keepdim), shape)


def kept(x, shape, dim, keepdim):
    """A reduced value with the reduced dimensions as ones, so that it broadcasts against the input."""
    return x if keepdim or not shape else reshape_to(x, reduced_shape(shape, dim))


sum = reduction(
    "sum",
    kernels.sum,
    node="SumBackward1",
    full_node="SumBackward0",
    input=lambda g, input_shape, dim, keepdim: spread(g, input_shape, dim, keepdim),
)
nansum = reduction(
    "nansum", kernels.nansum, node="NansumBackward0",
    input=lambda g, input, dim, keepdim: select(input == input, spread(g, input.shape, dim, keepdim), 0),
)  # fmt: skip
mean = reduction(
    "mean", kernels.mean, node="MeanBackward1", full_node="MeanBackward0",
    input=lambda g, input_shape, dim, keepdim: spread(g / count(input_shape, dim), input_shape, dim, keepdim),
)  # fmt: skip


def count(shape, dim):
    """How many elements were reduced into one."""
    total = 1
    for axis in kernels.axes_of(dim, len(shape)):
        total *= shape[axis]
    return total


prod = reduction(
    "prod", kernels.prod, node="ProdBackward1", full_node="ProdBackward0",
    input=lambda g, input, out, dim, keepdim: prod_gradient(g, input, out, dim, keepdim),
)  # fmt: skip
amax = reduction(
    "amax", kernels.amax, input=lambda g, input, out, dim, keepdim: equal_shares(g, input, out, dim, keepdim),
)  # fmt: skip
amin = reduction(
    "amin", kernels.amin, input=lambda g, input, out, dim, keepdim: equal_shares(g, input, out, dim, keepdim),
)  # fmt: skip
max_all = reduction(
    "max", kernels.max_all, node="MaxBackward1", function=False, method=False,
    input=lambda g, input, out: extreme_gradient(g, input, out, None, False),
)  # fmt: skip
min_all = reduction(
    "min", kernels.min_all, node="MinBackward1", function=False, method=False,
    input=lambda g, input, out: extreme_gradient(g, input, out, None, False),
)  # fmt: skip


def equal_shares(g, input, out, dim, keepdim):
    """Shared equally among the elements that equal the extreme: NaN where that is NaN, which equals nothing."""
    shape = input.shape
    attained = input == kept(out, shape, dim, keepdim)
    return kept(g, shape, dim, keepdim) * attained / sum(attained, dim, True)


def extreme_gradient(g, input, out, dim, keepdim):
    """Shared equally among the elements that attain the extreme (NaN attains NaN)."""
    shape = input.shape
    out = kept(out, shape, dim, keepdim)
    attained = (input == out) | ((input != input) & (out != out))
    g = kept(g, shape, dim, keepdim) / sum(attained, dim, True)
    return select(attained, expand_to(g, shape), 0)


def prod_gradient(g, input, out, dim, keepdim):
    """The product of all the others: out / input where nothing is 0, and by products from both sides where something
    is.
    """
    shape = input.shape
    if not has_zero(input):
        return kept(g * out, shape, dim, keepdim) / input
    if dim is None:
        flat = reshape_to(input, (-1,))
        others = products_of_others(flat, 0)
        return g * reshape_to(others, shape)
    return kept(g, shape, dim, keepdim) * (products_of_others(input, dim) if shape else 1)


def has_zero(input):
    array = input._array if isinstance(input, Tensor) else input
    return array.size > 0 and not (array != 0).all()


def products_of_others(x, dim):
    from_left = shifted_product(x, dim)
    from_right = flip(shifted_product(flip(x, (dim,)), dim), (dim,))
    return from_left * from_right


def shifted_product(x, dim):
    """The product of the elements before each one."""
    n = x.shape[dim]
    ones = zeros_of(narrow_to(x, dim, 0, 1)) + 1
    return cumprod(concatenate([ones, narrow_to(x, dim, 0, n - 1)], dim), dim)


max_dim = reduction(
    "max", kernels.max_dim, outputs=("values", "indices"), function=False, method=False, tensors=("input",),
    nodiff_outputs=("indices",),
    input=lambda g, indices, input_shape, dim, keepdim: picked_gradient(g, indices, input_shape, dim, keepdim),
)  # fmt: skip
min_dim = reduction(
    "min", kernels.min_dim, outputs=("values", "indices"), function=False, method=False, tensors=("input",),
    nodiff_outputs=("indices",),
    input=lambda g, indices, input_shape, dim, keepdim: picked_gradient(g, indices, input_shape, dim, keepdim),
)  # fmt: skip


def picked_gradient(g, indices, shape, dim, keepdim):
    """The gradient goes to the one element along `dim` that was picked."""
    if not shape:
        return g
    if not keepdim:
        g, indices = kept(g, shape, dim, False), kept(indices, shape, dim, False)
    return put_along(g, indices, shape, dim)


def _extreme(all_of, along, pairwise, name):
    def choose(input, dim=None, keepdim=False, *, other=None, axis=None, keepdims=None):
        dim = axis if dim is None else dim
        keepdim = keepdim if keepdims is None else keepdims
        if other is not None or isinstance(dim, Tensor):
            from wengert.ops import pointwise

            return getattr(pointwise, pairwise), (input, dim if other is None else other)
        if dim is None:
            return all_of, (input,)
        return along, (input, dim, keepdim)

    choose.__doc__ = (
        f"The {name} of all elements, or along `dim` with its indices, or of two tensors element by element."
    )
    return choose


max = choice("max", _extreme(max_all, max_dim, "maximum", "maximum"), inplace=False)
min = choice("min", _extreme(min_all, min_dim, "minimum", "minimum"), inplace=False)
argmax = reduction("argmax", kernels.argmax, tensors=("input",))
argmin = reduction("argmin", kernels.argmin, tensors=("input",))
all = reduction("all", kernels.all, tensors=("input",))
any = reduction("any", kernels.any, tensors=("input",))
count_nonzero = reduction("count_nonzero", kernels.count_nonzero, tensors=("input",))
_var = reduction(
    "var", kernels.var, function=False, method=False, holomorphic=False,
    input=lambda g, input, dim, correction, keepdim: var_gradient(g, input, dim, correction, keepdim),
)  # fmt: skip
_std = reduction(
    "std", kernels.std, function=False, method=False, holomorphic=False,
    input=lambda g, input, out, dim, correction, keepdim: var_gradient(
        select(out == 0, 0, g / (2 * out)), input, dim, correction, keepdim
    ),
)  # fmt: skip


def var_gradient(g, input, dim, correction, keepdim):
    n = count(input.shape, dim) - correction
    factor = 2 / n if n > 0 else float("nan")
    return kept(g, input.shape, dim, keepdim) * factor * (input - mean(input, dim, True))


def _spread_of(operation):
    def choose(input, dim=None, unbiased=None, keepdim=False, *, correction=None, axis=None, keepdims=None):
        if isinstance(dim, bool):  # x.var(False): the first flag is `unbiased`
            dim, unbiased = None, dim
        dim = axis if dim is None else dim
        keepdim = keepdim if keepdims is None else keepdims
        if correction is None:
            correction = 1 if unbiased is None or unbiased else 0
        return operation, (input, dim, correction, keepdim)

    return choose


var = choice("var", _spread_of(_var), inplace=False)
std = choice("std", _spread_of(_std), inplace=False)


def mean_gradient(g, input, dim, keepdim):
    return kept(g, input.shape, dim, keepdim) * (1 / count(input.shape, dim)) + zeros_of(input)


_var_mean = reduction(
    "var_mean", kernels.var_mean, function=False, method=False, holomorphic=False, outputs=("var", "mean"), named=False,
    input=lambda g, g_mean, input, dim, correction, keepdim: (
        var_gradient(g, input, dim, correction, keepdim) + mean_gradient(g_mean, input, dim, keepdim)
    ),
)  # fmt: skip
_std_mean = reduction(
    "std_mean", kernels.std_mean, function=False, method=False, holomorphic=False, outputs=("std", "mean"), named=False,
    input=lambda g, g_mean, input, std, dim, correction, keepdim: (
        var_gradient(select(std == 0, 0, g / (2 * std)), input, dim, correction, keepdim)
        + mean_gradient(g_mean, input, dim, keepdim)
    ),
)  # fmt: skip


@composite(method=False)
def var_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The variance and the mean of `input` over `dim`."""
    operation, arguments = _spread_of(_var_mean)(input, dim, unbiased, keepdim, correction=correction)
    return operation(*arguments)


@composite(method=False)
def std_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The standard deviation and the mean of `input` over `dim`."""
    operation, arguments = _spread_of(_std_mean)(input, dim, unbiased, keepdim, correction=correction)
    return operation(*arguments)


@composite
def nanmean(input, dim=None, keepdim=False, *, dtype=None):
    """The mean of the elements that are not NaN."""
    if not input.dtype.differentiable:
        raise RuntimeError(
            "nanmean(): expected input to have floating point or complex dtype but got "
            f"{SCALAR_NAMES[input.dtype]}"
        )
    numbers = sum(input == input, dim, keepdim)
    return nansum(input, dim, keepdim, dtype=dtype) / numbers


logsumexp = reduction(
    "logsumexp", kernels.logsumexp, alias=(),
    input=lambda g, input, out, dim, keepdim: kept(g, input.shape, dim, keepdim)
    * exp(input - kept(out, input.shape, dim, keepdim)),
)  # fmt: skip


def finite(x):
    """`x` with infinities replaced by 0, for differences in which they would give NaN."""
    return select(abs_of(x) == float("inf"), 0, x)


def abs_of(x):
    return abs(x)


softmax_op = reduction(
    "softmax", kernels.softmax, function=False, method=False,
    input=lambda g, out, dim: out * (g - sum(g * out, dim, True)),
)  # fmt: skip
log_softmax_op = reduction(
    "log_softmax", kernels.log_softmax, function=False, method=False,
    input=lambda g, out, dim: g - exp(out) * sum(g, dim, True),
)  # fmt: skip


def _converted(operation):
    def choose(input, dim=None, dtype=None, *, axis=None):
        dim = axis if dim is None else dim
        if dtype is not None and isinstance(input, Tensor):
            input = input.to(dtype)
        return operation, (input, dim)

    return choose


softmax = choice("softmax", _converted(softmax_op), inplace=False, alias=("special_softmax",), usual=softmax_op)
log_softmax = choice("log_softmax", _converted(log_softmax_op), inplace=False, usual=log_softmax_op)
cumsum = reduction(
    "cumsum", kernels.cumsum, inplace=True, input=lambda g, dim: cumsum_back(g, dim),
)  # fmt: skip
cumprod = reduction(
    "cumprod", kernels.cumprod, inplace=True, input=lambda g, input, out, dim: cumprod_gradient(g, input, out, dim),
)  # fmt: skip
logcumsumexp = reduction(
    "logcumsumexp", kernels.logcumsumexp,
    input=lambda g, input, out, dim: logcumsumexp_gradient(g, input, out, dim),
)  # fmt: skip


def logcumsumexp_gradient(g, input, out, dim):
    """The sum over later elements of g exp(input - out), in logarithms so that nothing overflows."""
    if not input.shape:
        return g
    if is_complex(input):
        return exp(logcumsumexp_back(log(g) - out, dim) + input)
    shifted = finite(out)
    return exp(logcumsumexp_back(log_of_positive(g) - shifted, dim) + input) - exp(
        logcumsumexp_back(log_of_positive(-g) - shifted, dim) + input
    )


def logcumsumexp_back(x, dim):
    return flip(logcumsumexp(flip(x, (dim,)), dim), (dim,))


def log_of_positive(x):
    return select(x > 0, log(select(x > 0, x, 1)), -float("inf"))


def cumsum_back(g, dim):
    """Each element counts in every later sum."""
    return flip(cumsum(flip(g, (dim,)), dim), (dim,)) if g.shape else g


def cumprod_gradient(g, input, out, dim):
    if not input.shape:
        return g
    if not has_zero(input):
        return cumsum_back(g * out, dim) / input
    # With zeros: element k of the result depends on element i <= k through the product of the others before k.
    n = input.shape[dim]
    parts = []
    for i in range(n):
        before = cumprod_total(narrow_to(input, dim, 0, i), dim)
        after = narrow_to(input, dim, i + 1, n - i - 1)
        ones = zeros_of(narrow_to(input, dim, i, 1)) + 1
        factors = cumprod(concatenate([ones, after], dim), dim)
        parts.append(sum(narrow_to(g, dim, i, n - i) * factors, dim, True) * before)
    return concatenate(parts, dim)


def cumprod_total(x, dim):
    return prod(x, dim, True)


norm_op = reduction(
    "linalg_vector_norm", kernels.vector_norm, function=False, method=False, node="LinalgVectorNormBackward0",
    holomorphic=False,
    input=lambda g, input, out, p, dim, keepdim: norm_gradient(g, input, out, p, dim, keepdim),
)  # fmt: skip


def norm_gradient(g, input, out, p, dim, keepdim):
    """The derivative of (sum |x|^p)^(1/p), 0 at 0; none for p = 0, which counts."""
    if p == 0:
        return None
    g, out = kept(g, input.shape, dim, keepdim), kept(out, input.shape, dim, keepdim)
    if p == 1:
        return g * sgn(input)
    if p == 2:
        return g * select(out == 0, 0, input / out)
    if p in (float("inf"), float("-inf")):
        attained = abs_of(input) == out
        return g * (sgn(input) * attained) / sum(attained, dim, True)
    if p < 1:
        slope = sgn(input) * select(input == 0, 0, pow(abs_of(input), p - 1))
    elif p < 2:
        slope = sgn(input) * pow(abs_of(input), p - 1)
    else:
        slope = input * pow(abs_of(input), p - 2)
    safe = select(out == 0, 1, out)  # what is not chosen must stay finite: its own derivative is taken too
    return slope * select(out == 0, 0, g / pow(safe, p - 1))


@composite
def norm(input, p="fro", dim=None, keepdim=False, dtype=None):
    """The vector norm of all elements or over `dim`; "nuc" the nuclear norm of a matrix."""
    if p == "nuc":
        from wengert import linalg

        return linalg.matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim)
    order = 2 if p in ("fro", None) else p
    if isinstance(order, str):
        raise RuntimeError(f"norm(): unknown order '{p}'")
    if dtype is not None:
        input = input.to(dtype)
    return norm_op(input, order, dim, keepdim)


@composite
def dist(input, other, p=2):
    """The p-norm of the difference of two tensors."""
    return norm_op(input - other, p)
