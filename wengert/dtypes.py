"""Element types: PyTorch's names for NumPy's dtypes, and PyTorch's rules for mixing them.

A `dtype` is a name, a NumPy dtype (bfloat16 and the float8 family through ml_dtypes) and a category. Mixing follows
PyTorch: the higher category wins (bool < integer < floating < complex); within a category the wider type wins;
tensors of
no dimensions and Python numbers take part only where their category is higher than that of the others.
"""

import ml_dtypes
import numpy as np

BOOL, INTEGER, FLOATING, COMPLEX = range(4)


class dtype:
    """An element type, such as ``wengert.float32``. Compared by identity; there is one object for each type."""

    __slots__ = (
        "name",
        "numpy",
        "category",
        "itemsize",
        "is_floating_point",
        "is_complex",
        "is_half",
        "plain",
        "is_signed",
        "differentiable",
        "takes_numbers",
        "numbers",
    )

    def __init__(self, name, numpy, category):
        self.name = name
        self.numpy = np.dtype(numpy)
        self.category = category
        self.itemsize = self.numpy.itemsize
        self.is_floating_point = category == FLOATING
        self.is_complex = category == COMPLEX
        self.is_half = name in ("float16", "bfloat16")
        self.plain = not (self.is_complex or self.is_half)  # formulas for real numbers are right as they stand
        self.differentiable = category >= FLOATING
        self.numbers: dict = {}  # Python numbers met as operands, as arrays of this type
        self.takes_numbers = category == FLOATING and self.itemsize >= 4  # as NumPy's own rules for Python numbers
        self.is_signed = category != BOOL and not name.startswith("uint")

    def __repr__(self):
        return f"torch.{self.name}"

    def __reduce__(self):
        return self.name

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def to_real(self):
        """The type of the real part: float32 for complex64; a real type is its own."""
        return TO_REAL.get(self, self)

    def to_complex(self):
        """The complex type whose parts have this type; raises TypeError-like RuntimeError where there is none."""
        if self.is_complex:
            return self
        try:
            return TO_COMPLEX[self]
        except KeyError:
            raise RuntimeError(f"Can't convert {self} to complex: no complex type has such parts") from None


dtype.__module__ = "wengert"

bool_ = dtype("bool", np.bool_, BOOL)
uint8 = dtype("uint8", np.uint8, INTEGER)
int8 = dtype("int8", np.int8, INTEGER)
int16 = dtype("int16", np.int16, INTEGER)
int32 = dtype("int32", np.int32, INTEGER)
int64 = dtype("int64", np.int64, INTEGER)
uint16 = dtype("uint16", np.uint16, INTEGER)
uint32 = dtype("uint32", np.uint32, INTEGER)
uint64 = dtype("uint64", np.uint64, INTEGER)
float16 = dtype("float16", np.float16, FLOATING)
bfloat16 = dtype("bfloat16", ml_dtypes.bfloat16, FLOATING)
float32 = dtype("float32", np.float32, FLOATING)
float64 = dtype("float64", np.float64, FLOATING)
complex64 = dtype("complex64", np.complex64, COMPLEX)
complex128 = dtype("complex128", np.complex128, COMPLEX)
float8_e4m3fn = dtype("float8_e4m3fn", ml_dtypes.float8_e4m3fn, FLOATING)
float8_e5m2 = dtype("float8_e5m2", ml_dtypes.float8_e5m2, FLOATING)


class Named(dtype):
    """A type that programs name (in tables of sizes, in tests of dtype), and of whose elements wengert makes none."""

    __slots__ = ("why",)
    category, plain, differentiable, takes_numbers, is_half = FLOATING, False, False, False, False

    def __init__(self, name, itemsize, is_floating_point, is_complex, is_signed, why):
        self.name, self.itemsize, self.why = name, itemsize, why
        self.is_floating_point, self.is_complex, self.is_signed = is_floating_point, is_complex, is_signed

    @property
    def numpy(self):
        raise NotImplementedError(f"{self}: wengert has {self.why}")


NAMED = (
    Named("complex32", 4, False, True, True, "no complex numbers of half precision"),
    *(Named(name, size, False, False, name.startswith("qi"), "no quantised tensors")
      for name, size in (("qint8", 1), ("quint8", 1), ("qint32", 4), ("quint4x2", 1), ("quint2x4", 1))),
)  # fmt: skip

ALL = (
    bool_, uint8, int8, int16, int32, int64, uint16, uint32, uint64, float16, bfloat16, float32, float64,
    complex64, complex128, float8_e4m3fn, float8_e5m2,
)  # fmt: skip
FROM_NUMPY = {t.numpy: t for t in ALL}
BY_NAME = {t.name: t for t in ALL} | {
    "half": float16, "float": float32, "double": float64, "cfloat": complex64, "cdouble": complex128,
    "short": int16, "int": int32, "long": int64, "chalf": NAMED[0], **{t.name: t for t in NAMED},
}  # fmt: skip
# Python's types stand for dtypes too: `zeros(3, dtype=bool)`.
BY_PYTHON = {bool: bool_, int: int64, float: float64, complex: complex128}
TO_REAL = {complex64: float32, complex128: float64}
TO_COMPLEX = {float32: complex64, float64: complex128, bfloat16: complex64, float16: complex64}
# The names PyTorch's C++ side uses in its sentences ("Promotion ... attempted to promote Int and UInt64").
SCALAR_NAMES = {
    bool_: "Bool", uint8: "Byte", int8: "Char", int16: "Short", int32: "Int", int64: "Long", uint16: "UInt16",
    uint32: "UInt32", uint64: "UInt64", float16: "Half", bfloat16: "BFloat16", float32: "Float", float64: "Double",
    complex64: "ComplexFloat", complex128: "ComplexDouble", float8_e4m3fn: "Float8_e4m3fn", float8_e5m2: "Float8_e5m2",
}  # fmt: skip
TENSOR_TYPE_NAMES = {t: f"torch.{SCALAR_NAMES[t]}Tensor" for t in ALL}


def from_python(value):
    """The dtype that one of Python's types stands for; any other value is itself."""
    return BY_PYTHON.get(value, value) if type(value) is type else value


_UNPROMOTED = (uint16, uint32, uint64)
_FLOAT8 = (float8_e4m3fn, float8_e5m2)
_PROMOTED: dict[tuple[dtype, dtype], dtype] = {}


def promote_types(type1, type2):
    """The smallest type that holds both; raises RuntimeError for the pairs PyTorch leaves undefined (unsigned, float8).
    """
    if type1 is type2:
        return type1
    found = _PROMOTED.get((type1, type2))
    if found is None:
        found = _PROMOTED[type1, type2] = _PROMOTED[type2, type1] = _promote(type1, type2)
    return found


def _promote(a, b):
    if a in _FLOAT8 or b in _FLOAT8:
        raise RuntimeError(f"Promotion for Float8 Types is not supported, attempted to promote {_names(a, b)}")
    if (a in _UNPROMOTED or b in _UNPROMOTED) and FLOATING not in (a.category, b.category):
        raise RuntimeError(
            f"Promotion for uint16, uint32, uint64 types is not supported, attempted to promote {_names(a, b)}"
        )
    low, high = sorted((a, b), key=lambda t: t.category)
    if {a, b} == {float16, bfloat16}:  # neither holds the other
        return float32
    if low.category == high.category:
        return FROM_NUMPY[np.promote_types(a.numpy, b.numpy)]
    if high.is_complex and low.is_floating_point:
        return complex128 if float64 in (low, TO_REAL[high]) else high
    return high


def _names(a, b):
    return f"{SCALAR_NAMES[a]} and {SCALAR_NAMES[b]}"


def can_cast(from_, to):
    """Whether a value of type `from_` may be stored in a result of type `to`: never to a lower category."""
    if from_ is to:
        return True
    return from_.category <= to.category and not (from_ is not bool_ and to is bool_)


class _Default:
    """The type of new floating tensors and of Python floats among integers; `set_default_dtype` changes it."""

    __slots__ = ("dtype", "complex")

    def __init__(self):
        self.dtype = float32
        self.complex = complex64


default = _Default()


def get_default_dtype():
    """The floating dtype that ``tensor(1.0)`` gets: float32 unless `set_default_dtype` changed it."""
    return default.dtype


def set_default_dtype(d):
    """Make `d` (a floating-point dtype) the type of new floating tensors; raises TypeError for other types."""
    if not isinstance(d, dtype) or not d.is_floating_point or d in _FLOAT8:
        raise TypeError(f"only floating-point types are supported as the default type, but got {d!r}")
    default.dtype = d
    default.complex = TO_COMPLEX[d]


def of_scalar(value):
    """The type a Python number stands for when it decides a result alone: bool, int64, default float, default complex.
    """
    if isinstance(value, (bool, np.bool_)):
        return bool_
    if isinstance(value, (int, np.integer)):
        return int64
    if isinstance(value, (float, np.floating)):
        return default.dtype
    return default.complex


def result_type_of(operands):
    """The dtype of an operation on `operands`: (dtype, rank) pairs; rank 2 tensors, 1 tensors of no dimensions, 0
    numbers.

    Lower ranks take part only where their category exceeds that of every higher rank.
    """
    result = None
    for rank in (2, 1, 0):
        among = None
        for type_, its_rank in operands:
            if its_rank == rank:
                among = type_ if among is None else promote_types(among, type_)
        if among is None:
            continue
        if result is None:
            result = among
        elif among.category > result.category:
            result = _raise_category(result, among)
    return result


def _raise_category(result, among):
    # A complex number among floating tensors takes their precision, whatever its own.
    if among.is_complex and result.is_floating_point:
        return complex128 if result is float64 else complex64
    return among


class finfo:
    """Limits of a floating-point type: ``bits, eps, max, min, tiny, smallest_normal, resolution, dtype``."""

    def __init__(self, type=None):
        type = default.dtype if type is None else type
        if not type.differentiable:
            raise TypeError(f"torch.finfo() requires a floating point input type. Use torch.iinfo to handle '{type}'")
        type = type.to_real()
        info = ml_dtypes.finfo(type.numpy)
        self.bits = info.bits
        self.eps = float(info.eps)
        self.max = float(info.max)
        self.min = float(info.min)
        self.tiny = self.smallest_normal = float(info.smallest_normal)
        self.resolution = float(info.resolution)
        self.dtype = type.name

    def __repr__(self):
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo:
    """Limits of an integer type: ``bits, max, min, dtype``."""

    def __init__(self, type):
        if type.category != INTEGER:
            raise TypeError(f"torch.iinfo() requires an integer input type. Use torch.finfo to handle '{type}'")
        info = np.iinfo(type.numpy)
        self.bits = info.bits
        self.max = int(info.max)
        self.min = int(info.min)
        self.dtype = type.name

    def __repr__(self):
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"


class memory_format:
    """How dimensions lie in memory: contiguous, channels-last, or as the input's."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"torch.{self.name}"

    def __reduce__(self):
        return self.name


class layout:
    """How elements are stored: wengert has the strided layout only, and the others' names to refuse them by."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"torch.{self.name}"

    def __reduce__(self):
        return self.name


memory_format.__module__ = layout.__module__ = "wengert"
contiguous_format = memory_format("contiguous_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")
preserve_format = memory_format("preserve_format")
strided = layout("strided")
sparse_coo, sparse_csr, sparse_csc = layout("sparse_coo"), layout("sparse_csr"), layout("sparse_csc")
sparse_bsr, sparse_bsc, jagged = layout("sparse_bsr"), layout("sparse_bsc"), layout("jagged")
