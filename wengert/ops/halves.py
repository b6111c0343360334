"""Which operations compute 16-bit floats in float32, rounding once at the end, as PyTorch does.

A float16 or bfloat16 is for storing, not for computing with: each operation takes its operands to float32, and what it
returns back to 16 bits. So do derivatives in the backward pass on arrays. NumPy's own functions of one step do so by
themselves; those of several steps would round after each. `wengert.ops.emit` asks here when it writes an operation's
source, and spends on other dtypes no more than the look at the dtype that it takes for complex numbers anyway.
"""

import functools

import ml_dtypes
import numpy as np

HALVES = frozenset({np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)})

# Operations on elements that return an operand's bits, count in steps of their own dtype, or round twice in PyTorch.
EXACT = frozenset(
    """
    clone copy fill zero zeros_like where select nextafter copysign conj conj_physical heaviside frexp
    isneginf isposinf nan_to_num bitwise_not add sub rsub xlogy xlog1py logit soft_margin_loss
    binary_cross_entropy_with_logits
    """.split()  # noqa: SIM905
)
# Operations with a number (or a tensor of no dimensions) that PyTorch doesn't round to 16 bits first.
WITH_NUMBERS = frozenset({"mul", "div", "lerp"})
# Other operations: products, sums, averages.
OTHERS = frozenset(
    """
    addmm addmv baddbmm linear matmul mm mv bmm dot convolve correlate correlate_data correlate_weight
    adaptive_avg_pool avg_pool spread_average spread_adaptive_average upsample upsample_backward col2im
    grid_sampler grid_sampler_backward grid_sampler_slope
    softmax logsumexp logcumsumexp cumprod cdist glu std var linalg_vector_norm prod mean sum_to_size
    """.split()  # noqa: SIM905
)


# Of these those whose kernels see to it themselves.
SEEN_TO = frozenset({"mm", "bmm", "matmul", "linear", "mean", "prod", "cumprod"})
# And those that refuse operands of different dtypes, and must see what they were given.
OF_ONE_DTYPE = frozenset("addmm addmv baddbmm linear matmul mm mv bmm dot".split())  # noqa: SIM905


def widens_kernel(operation):
    """Whether the kernel is to be given 16-bit floats as float32."""
    if operation.promote:
        name, is_ufunc = operation.name, isinstance(operation.kernel, np.ufunc)
        if name == "div" and not is_ufunc:  # with a rounding mode: that of a quotient already rounded to 16 bits
            return False
        several_steps = not is_ufunc or name in WITH_NUMBERS
        return several_steps and operation.promote != "bool" and name not in EXACT
    return operation.name in OTHERS - SEEN_TO


def widens_formulas(operation):
    """Whether the derivatives are to be evaluated on float32 where the gradient has 16 bits."""
    return operation.name not in EXACT if operation.promote else operation.name in OTHERS


def widened(value):
    """16-bit floats as float32; anything else as it is."""
    if isinstance(value, list):
        return [widened(item) for item in value]
    return value.astype(np.float32) if getattr(value, "dtype", None) in HALVES else value


def narrowed(value, dtype):
    """A gradient (or none) in the 16-bit dtype in which it is wanted."""
    return value if value is None or value.dtype == dtype else value.astype(dtype)


def half_among(gradients):
    """The dtype of the first gradient that has 16 bits."""
    return next((g.dtype for g in gradients if getattr(g, "dtype", None) in HALVES), None)


def in_float32(kernel, results, several, of_one_dtype=False):
    """`kernel` on float32 copies of 16-bit operands, its first `results` results taken back to the first one's dtype.
    """

    @functools.wraps(kernel) if not isinstance(kernel, np.ufunc) else lambda f: f
    def run(*operands, **options):
        dtype = half_among(operands)
        if of_one_dtype and any(getattr(operand, "dtype", dtype) != dtype for operand in operands):
            return kernel(*operands, **options)
        found = kernel(*map(widened, operands), **{name: widened(value) for name, value in options.items()})
        if not several:
            return narrow(found, dtype)
        return (*(narrow(value, dtype) for value in found[:results]), *found[results:])

    return run


def narrow(result, dtype):
    return result.astype(dtype) if getattr(result, "dtype", None) == np.float32 else result
