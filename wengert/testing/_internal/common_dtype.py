"""Groups of dtypes, as tests are made for them."""

from wengert import dtypes as element_types

FLOATING = (element_types.float32, element_types.float64)
HALVES = (element_types.float16, element_types.bfloat16)
COMPLEX = (element_types.complex64, element_types.complex128)
INTEGRAL = (element_types.uint8, element_types.int8, element_types.int16, element_types.int32, element_types.int64)
UNSIGNED = (element_types.uint16, element_types.uint32, element_types.uint64)


def group(members, name):
    """A function that returns `members`, and one that returns them with those given to it."""

    def all_of():
        return members

    def and_more(*others):
        return members + others

    all_of.__name__, all_of.__doc__ = name, f"{', '.join(map(str, members))}."
    and_more.__name__, and_more.__doc__ = f"{name}_and", f"{name}, and the dtypes given."
    return all_of, and_more


floating_types, floating_types_and = group(FLOATING, "floating_types")
floating_types_and_half, _ = group((*FLOATING, element_types.float16), "floating_types_and_half")
integral_types, integral_types_and = group(INTEGRAL, "integral_types")
complex_types, complex_types_and = group(COMPLEX, "complex_types")
all_types, all_types_and = group(FLOATING + INTEGRAL, "all_types")
all_types_and_half, _ = group((*FLOATING, *INTEGRAL, element_types.float16), "all_types_and_half")
floating_and_complex_types, floating_and_complex_types_and = group(FLOATING + COMPLEX, "floating_and_complex_types")
all_types_and_complex, all_types_and_complex_and = group(FLOATING + INTEGRAL + COMPLEX, "all_types_and_complex")
double_types, _ = group((element_types.float64, element_types.complex128), "double_types")
all_mps_types, _ = group((element_types.float32, *HALVES, *INTEGRAL), "all_mps_types")


def get_all_math_dtypes(device):
    return [*INTEGRAL, *get_all_fp_dtypes(False, False), *COMPLEX]


def get_all_int_dtypes():
    return [element_types.uint8, element_types.int8, element_types.int16, element_types.int32, element_types.int64]


def get_all_complex_dtypes(include_complex32=False):
    if include_complex32:
        raise NotImplementedError("torch.complex32")
    return list(COMPLEX)


def get_all_fp_dtypes(include_half=True, include_bfloat16=True):
    return [*FLOATING, *[element_types.float16] * include_half, *[element_types.bfloat16] * include_bfloat16]


def get_all_dtypes(
    include_half=True, include_bfloat16=True, include_bool=True, include_complex=True, include_complex32=False,
    include_qint=False,
):  # fmt: skip
    """All dtypes with the kinds asked for."""
    if include_qint or include_complex32:
        raise NotImplementedError("include_qint, include_complex32: wengert has no such dtypes")
    kinds = get_all_int_dtypes() + get_all_fp_dtypes(include_half, include_bfloat16)
    return kinds + [element_types.bool_] * include_bool + list(COMPLEX) * include_complex


float_to_corresponding_complex_type_map = dict(zip(FLOATING, COMPLEX, strict=True))
