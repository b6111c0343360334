"""Where `out=` writes: which element types a destination may have, which memory, and how it grows to fit.

PyTorch's operations differ in what they demand of a destination: most cast the result to it as long as that loses no
category (no float into an integer), others want the result's own type, and each family says so in a sentence of its
own. The
sentences are the keys of one table, the operations that say them its values. `accept` checks and `store` writes;
neither is
on the way of a call without `out=`.
"""

import warnings

import numpy as np

from wengert import dtypes
from wengert.autograd import views
from wengert.dtypes import SCALAR_NAMES
from wengert.kernels.overlap import dense, repeats
from wengert.tensor import Tensor

# The names that PyTorch's sentences sometimes use: those of the C++ types.
COMPILED_NAMES = {
    dtypes.bool_: "bool", dtypes.uint8: "unsigned char", dtypes.int8: "signed char", dtypes.int16: "short",
    dtypes.int32: "int",
    dtypes.int64: "long int", dtypes.float16: "c10::Half", dtypes.bfloat16: "c10::BFloat16", dtypes.float32: "float",
    dtypes.float64: "double", dtypes.complex64: "c10::complex<float>", dtypes.complex128: "c10::complex<double>",
}  # fmt: skip

CAST = "result type {result} can't be cast to the desired output type {out}"
SAFELY = "{name}: Expected {field} to be safely castable from {result} dtype, but got {field} with dtype {out}"

# What is said of a destination that cannot hold the result after a cast -> by which operations. All others say CAST.
CASTING = {
    "torch.cat(): input types can't be cast to the desired output type {out}": (
        "cat concat concatenate stack hstack vstack dstack column_stack row_stack"
    ),
    "mvlgamma: result type {result} can't be cast to the desired output type {out}": "mvlgamma",
    "Expected canCast(self.dtype, out.dtype) to be true, but got false: {result} and {out}.": "max_all min_all",
    "mean.dtype_out(): input types can't be cast to the desired output type {out}": "mean",
    "{name} can't be cast to the desired output type {out}": "ldexp",
    "logsumexp(): Expected floating point type for result tensor, but got: {out}": "logsumexp",
    "diag: result type {result} can't be cast to the desired out= type {out}": "diag",
    SAFELY: "cholesky cholesky_inverse cholesky_solve matrix_power geqrf linalg.matrix_rank linalg.pinv linalg.cond "
            "linalg.eig linalg.eigvals linalg.householder_product linalg.lstsq linalg.matrix_power linalg.tensorinv "
            "linalg.tensorsolve",
    "\"nansum_cpu\" not implemented for '{out}'": "nansum nanmean",
}  # fmt: skip

# What is said of a destination whose type is not the result's -> by which operations.
SAME = {
    "Expected out tensor to have dtype {result_type}, but got {out_type} instead":
        "addmm addmv baddbmm bmm mm cross gather index_add index_copy index_reduce log_softmax softmax msort renorm "
        "scatter scatter_add "
        "scatter_reduce take_along_dim tril triu aminmax max_dim min_dim sort topk argmax argmin isin diag norm "
        "lu_unpack lu_solve "
        "svd qr triangular_solve avg_pool2d avg_pool3d linear "
        "linalg.cholesky linalg.cholesky_ex linalg.cross linalg.det linalg.eigh linalg.eigvalsh linalg.inv "
        "linalg.inv_ex linalg.ldl_factor linalg.ldl_factor_ex "
        "linalg.ldl_solve linalg.lu linalg.lu_factor linalg.lu_factor_ex linalg.lu_solve linalg.qr linalg.slogdet "
        "linalg.solve linalg.solve_ex linalg.svd "
        "linalg.svdvals linalg.vector_norm "
        "alias_copy as_strided_copy diagonal_copy expand_copy permute_copy slice_scatter split_copy "
        "split_with_sizes_copy squeeze_copy "
        "t_copy transpose_copy unbind_copy unfold_copy unsqueeze_copy view_copy slice_copy select_copy detach_copy",
    "Found dtype {out} but expected {result}":
        "abs bitwise_not ceil conj_physical floor frac neg positive gelu hardshrink lerp_to softplus softshrink round "
        "sgn sign trunc",
    "result dtype {out} does not match input dtype {result}": "dot matmul vdot",
    "expected scalar_type {result} but found {out}": "cummax cummin diff logcumsumexp",
    "expected scalar type {result} but found {out}": "linalg.solve_triangular logsigmoid log_sigmoid",
    "torch.searchsorted(): output tensor's dtype is wrong, it can only be Int(int32) or Long(int64) depending on "
    "whether out_int32 flag is "
    "True, but we got output tensor's dtype {out} where {result} is due": "searchsorted bucketize",
    "tensordot: Expected the output tensor to have dtype {result}, but got an output tensor with dtype {out}": (
        "inner tensordot"
    ),
    "{name} expected out tensor dtype {result} but got: {out}": "linalg.matrix_norm linalg.norm nuclear_norm",
    "Expected the dtype for input and out to match, but got {result} for input's dtype and {out} for out's dtype.": (
        "amax amin"
    ),
    "self and mat2 must have the same dtype, but got {out} and {result}": "addbmm",
    "addmv input tensors must have the same dtype, but got {out}, {result}, and {result}": "mv",
    "Expected object of scalar type {result} but got scalar type {out} for argument 'out'": "complex polar",
    "quantile() out tensor must be same dtype as the input tensor": "quantile nanquantile",
    "torch.frexp() expects {field} to have dtype {result_type} but got {out_type}": "frexp",
    "output {field} must be of scalar type {result}": "kthvalue",
    "expected scalar type '{result}' but got '{out}' for {field} output": "mode",
    "{name}(): self and result must have the same scalar type": "masked_select index_select",
    "heaviside is not yet implemented for tensors with different dtypes.": "heaviside",
    "Expected self.dtype() == output.dtype() to be true, but got false: {result} and {out}.": "narrow_copy",
    "torch.ormqr: Expected input and result to have the same dtype, but input has dtype {result} and "
    "result has dtype {out}": (
        "ormqr"
    ),
    "the output given to float_power has dtype {out} but the operation's result requires dtype {result}": "float_power",
    "{name} does not support non-boolean outputs.": "signbit isposinf isneginf",
    "nan_to_num: dtype of out: {out} should be same as input: {result}": "nan_to_num",
    "take(): self and out expected to have the same dtype, but got self.dtype = {result} and out.dtype = {out}": "take",
    "multinomial expects {result} tensor out, got: {out}": "multinomial",
    "torch.histogram: input tensor and {field} tensor should have the same dtype, but got input "
    "{result_type} and {field} {out_type}":
        "histogram histc",
    "Expected out type to be {result} but got {out}": "where",
    "nonzero: Expected out tensor to have scalar type {result} but got scalar type {out}": "nonzero",
    "{name} only supports bool tensor for result, got: {out}": "all any",
    "linalg.vecdot: Expected out of dtype {result} but found {out}": "linalg.vecdot",
    "multi_dot(): expected out tensor to have dtype {result_type} but got {out_type}": "linalg.multi_dot",
    "{function} expects a complex output tensor, but got {out}":
        "fft.fft fft.ifft fft.rfft fft.ihfft fft.fft2 fft.fftn fft.ifft2 fft.ifftn fft.rfft2 fft.rfftn fft.ihfft2 "
        "fft.ihfftn",
}  # fmt: skip

# Sentences about a category rather than a type: a real transform may be stored in another real floating type.
REAL = "{function} expects a floating point output tensor, but got {out}"
REAL_TRANSFORMS = frozenset(["fft.irfft", "fft.hfft", "fft.irfft2", "fft.irfftn", "fft.hfft2", "fft.hfftn"])
ANYTHING = frozenset(["cumsum", "cumprod", "lu", "bernoulli", "normal", "rand", "randn", "randint", "randperm"])

NO_BOOL = "\"{function}_out_cpu\" not implemented for 'Bool'"
CLASSES = {
    NO_BOOL: NotImplementedError,
    "torch.cat(): input types can't be cast to the desired output type {out}": TypeError,
    "\"nansum_cpu\" not implemented for '{out}'": NotImplementedError,
}
CASTING_OF = {name: sentence for sentence, names in CASTING.items() for name in names.split()}
SAME_OF = {name: sentence for sentence, names in SAME.items() for name in names.split()}

# Which write into memory that refers to itself (`expand`), and which into memory that an input has too, unasked.
SELF_OVERLAP_UNCHECKED = frozenset(
    [
        "all", "any", "argmax", "argmin", "cummax", "cummin", "empty", "full", "ones", "zeros", "linalg.matrix_rank",
        "linalg.multi_dot", "amax", "amin", "bmm", "histc", "linalg.vecdot", "matmul", "mv", "nansum", "linear",
        "norm", "std", "var",
    ]
)
INPUT_OVERLAP_UNCHECKED = SELF_OVERLAP_UNCHECKED | frozenset(
    [
        "as_strided_copy", "diag", "diagonal_copy", "expand_copy", "linalg.cond", "linalg.det", "linalg.eigvalsh",
        "linalg.lu_solve", "linalg.matrix_norm", "linalg.solve", "linalg.solve_triangular", "linalg.svdvals",
        "linalg.tensorinv", "linalg.tensorsolve", "logsumexp", "mean", "mm", "nanmean", "nanquantile", "permute_copy",
        "quantile", "squeeze_copy", "t_copy", "tensordot", "transpose_copy", "unfold_copy", "unsqueeze_copy",
        "view_copy", "alias_copy", "cholesky", "cholesky_inverse", "cholesky_solve", "linalg.cholesky",
        "linalg.householder_product", "linalg.inv", "linalg.ldl_solve", "linalg.matrix_power", "linalg.pinv",
        "log_softmax", "lu_solve", "mvlgamma", "avg_pool2d", "logsigmoid", "log_sigmoid", "ormqr", "slice_scatter",
        "softmax", "narrow_copy", "avg_pool3d",
    ]
)
# A result written over one of its inputs would be read half-written: refused even where the two are the same memory.
FULL_OVERLAP_REFUSED = frozenset(
    [
        "cross", "index_select", "linalg.cross", "take_along_dim", "gather", "take", "outer", "masked_select", "kron",
        "cat",
    ]
)

# Destinations that grow become contiguous here; elsewhere they take the layout that the result has on its own.
CONTIGUOUS = frozenset(
    [
        "mm", "bmm", "addmm", "baddbmm", "matmul", "cholesky", "cholesky_solve", "lu", "linalg.tensorinv", "quantile",
        "nanquantile", "fft.fft", "fft.rfft", "fft.hfft", "fft.irfft", "fft.fft2", "fft.fftn", "fft.ifft2",
        "fft.ifftn", "fft.rfft2", "fft.rfftn", "fft.hfft2", "fft.hfftn", "fft.irfft2", "fft.irfftn", "fft.ihfft2",
        "fft.ihfftn",
    ]
)

# And here they become matrices that lie column by column, as LAPACK writes them.
COLUMN_MAJOR = frozenset([
    "linalg.lu_solve", "linalg.solve", "linalg.solve_ex", "lu_solve", "ormqr", "triangular_solve",
])

# Operations whose rule is another's for some arguments, because PyTorch comes by another way there.
ANOTHER = {
    "inner": lambda input, other: "mul" if 0 in (input.ndim, other.ndim) else "inner",
    "diff": lambda n, **_: "diff" if n == 0 else "sub",
    "max": lambda input, dim=None, **_: "max_all" if dim is None else "max_dim",
    "min": lambda input, dim=None, **_: "min_all" if dim is None else "min_dim",
    "lerp": lambda weight, **_: "lerp_to" if isinstance(weight, Tensor) else "lerp",
}
# Those that compute in the destination's type rather than convert at the end.
COMPUTED_IN_OUT = frozenset(["cumsum", "cumprod"])


def key_of(operation, values):
    """Under which name the tables speak of `operation` with these arguments."""
    name = operation.name
    if operation.namespace in ("linalg", "fft"):
        return f"{operation.namespace}.{name}"
    return ANOTHER[name](**values) if name in ANOTHER else name


def accept(key, targets, results, fields, inputs):
    """Check the destinations `targets` against the `results` (whose names are `fields`) and the tensors that were read.
    """
    for target, result, field in zip(targets, results, fields, strict=True):
        check_type(key, field, result.dtype, target.dtype)
    for target in targets:
        check_memory(key, target, inputs)


def check_type(key, field, result, out):
    if result is out:
        return
    sentence = None
    if key in ANYTHING:
        sentence = NO_BOOL if out is dtypes.bool_ else None
    elif not dtypes.can_cast(result, out) and (
        key in CASTING_OF or (key not in SAME_OF and key not in REAL_TRANSFORMS)
    ):
        sentence = CASTING_OF.get(key, CAST)
    elif key in REAL_TRANSFORMS:
        sentence = None if out.is_floating_point else REAL
    elif key in ("nansum", "nanmean"):
        sentence = CASTING_OF[key] if out.is_complex else None
    else:
        sentence = SAME_OF.get(key)
    if sentence is not None:
        raise CLASSES.get(sentence, RuntimeError)(
            sentence.format(
                name=key, function=key.rpartition(".")[2], field=field, result=SCALAR_NAMES[result],
                out=SCALAR_NAMES[out],
                result_type=COMPILED_NAMES.get(result, result), out_type=COMPILED_NAMES.get(out, out),
            )
        )  # fmt: skip


def check_memory(key, target, inputs):
    """Refuse a destination whose elements share places, with each other or with an input's."""
    array = target._array
    if key not in SELF_OVERLAP_UNCHECKED and repeats(array):
        raise RuntimeError(views.REPEATED)
    if key in INPUT_OVERLAP_UNCHECKED:
        return
    if key == "cat" and any(tensor is target for tensor in inputs):
        raise RuntimeError(views.SHARED)  # even one without elements, which would have some by the time it is read
    refuse = views.refuse_sharing if key in FULL_OVERLAP_REFUSED else views.refuse_crossing
    refuse(target, *inputs)


def store(target, result, key):
    """Write `result` into `target`, which grows to its shape first (with a warning, if it had elements)."""
    value = result._array
    array = target._array
    if array.shape != value.shape:
        fit(target, result.shape)
        array = target._array
        order = growth(key, value)
        if order is not None:
            target._array = array = array.reshape([value.shape[d] for d in order]).transpose(np.argsort(order))
    with np.errstate(all="ignore"):
        if value.dtype.kind == "c" and array.dtype.kind != "c":
            value = value.real
        array[...] = value
    views.bump(target)


def growth(key, value):
    """The order of dimensions, slowest first, in which a destination that grows for `value` is laid out; None for row
    by row.
    """
    if value.ndim < 2 or not value.size or key in CONTIGUOUS:
        return None
    if key in COLUMN_MAJOR and value.dtype.kind in "fc":
        return [*range(value.ndim - 2), value.ndim - 1, value.ndim - 2]
    if value.flags.c_contiguous or not dense(value):
        return None
    return sorted(range(value.ndim), key=lambda d: -value.strides[d])


def fit(target, shape):
    """Resize a destination, with PyTorch's warning if it has elements."""
    if target._array.size:
        warnings.warn(
            f"An output with one or more elements was resized since it had shape {list(target.shape)}, which does not "
            "match the "
            f"required output shape {list(shape)}. This behavior is deprecated, and in a future PyTorch release "
            "outputs will not "
            "be resized unless they have zero elements. You can explicitly reuse an out tensor t by resizing it, "
            "inplace, to "
            "zero elements with t.resize_(0).",
            UserWarning,
            stacklevel=7,
        )
    target.resize_(shape)


def tensors_of(out, name):
    """`out` as a tuple of tensors; raises TypeError for anything else."""
    targets = out if isinstance(out, (tuple, list)) else (out,)
    for target in targets:
        if not isinstance(target, Tensor):
            raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(target).__name__}")
    return targets
