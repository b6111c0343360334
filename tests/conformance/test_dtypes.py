"""Which dtypes go together, what comes of them, and which an operation refuses: every pair, beside PyTorch."""

import itertools

import pytest

from tests.conformance.expressions import assert_same

DTYPES = """
    bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64 complex128
    """.split()  # noqa: SIM905
# There is no complex dtype of half precision: what PyTorch promotes to one is complex64 here.
NO_COMPLEX_HALF = {("float16", "complex64"), ("float16", "complex128")}

PAIRED = """
    add sub mul div floor_divide remainder fmod pow eq lt bitwise_and maximum fmin atan2 hypot logaddexp gcd lcm
    copysign nextafter xlogy heaviside float_power logical_xor bitwise_left_shift dot outer cross isclose allclose
    equal isin rsub
    """.split()  # noqa: SIM905
ARRANGED = (
    "torch.ones(2, dtype={0}).{name}_(torch.ones(2, dtype={1}))",
    "torch.{name}(torch.ones(2, dtype={0}), torch.ones((), dtype={1}))",
)
OTHER_PAIRS = (
    "torch.result_type(torch.ones(2, dtype={0}), torch.ones((), dtype={1}))",
    "torch.promote_types({0}, {1})",
    "torch.can_cast({0}, {1})",
    "torch.where(torch.tensor([True, False]), torch.ones(2, dtype={0}), torch.ones((), dtype={1}))",
    "torch.cat([torch.ones(2, dtype={0}), torch.ones(2, dtype={1})])",
    "torch.lerp(torch.ones(2, dtype={0}), torch.ones(2, dtype={1}), 0.5)",
    "torch.add(torch.ones(2, dtype={0}), torch.ones(2, dtype={1}), alpha=2)",
    "torch.addcmul(torch.ones(2, dtype={0}), torch.ones(2, dtype={1}), torch.ones(2, dtype={1}), value=2)",
    "torch.addcdiv(torch.ones(2, dtype={0}), torch.ones(2, dtype={1}), torch.ones(2, dtype={1}))",
    "torch.clamp(torch.ones(2, dtype={0}), torch.ones(2, dtype={1}))",
    "torch.div(torch.ones(2, dtype={0}), torch.ones(2, dtype={1}), rounding_mode='trunc')",
    "torch.div(torch.ones(2, dtype={0}), torch.ones(2, dtype={1}), rounding_mode='floor')",
    "torch.ones(2, dtype={0}).sum(dtype={1})",
    "torch.ones(2, dtype={0}).mean(dtype={1})",
    "torch.ones(2, dtype={0}).prod(0, dtype={1})",
    "torch.ones(2, dtype={0}).cumsum(0, dtype={1})",
    "torch.ones(2, dtype={0}).cumprod(0, dtype={1})",
    "torch.ones(2, dtype={0}).softmax(0, dtype={1})",
    "torch.ones(2, 2, dtype={0}) @ torch.ones(2, 2, dtype={1})",
    "torch.ones(2, dtype={0}).copy_(torch.ones(2, dtype={1}))",
    "torch.ones(2, dtype={0}).index_add(0, torch.tensor([0]), torch.ones(1, dtype={1}))",
    "torch.ones(2, dtype={0}).scatter(0, torch.tensor([0]), torch.ones(1, dtype={1}))",
    "torch.ones(2, dtype={0}).masked_fill(torch.tensor([True, False]), torch.ones((), dtype={1}))",
    "torch.bincount(torch.ones(2, dtype={0}), torch.ones(2, dtype={1}))",
)
NUMBERS = ("True", "3", "2.5", "1 + 2j")
WITH_NUMBERS = "add sub mul div floor_divide remainder pow eq ge bitwise_xor fmod xlogy float_power copysign".split()  # noqa: SIM905

SINGLE = """
    abs acos acosh angle asin asinh atan atanh bitwise_not ceil cos cosh deg2rad digamma erf erfc erfinv exp exp2
    expm1 floor frac i0 isfinite isinf isnan isneginf isposinf isreal lgamma log log10 log1p log2 logical_not logit
    nan_to_num neg positive rad2deg real imag reciprocal relu round rsqrt sgn sigmoid sign signbit sin sinc sinh sqrt
    square tan tanh trunc conj_physical
    """.split()  # noqa: SIM905
ACTIVATIONS = """
    relu6 elu selu celu leaky_relu gelu silu mish softplus hardtanh hardsigmoid hardswish softsign tanhshrink
    softshrink hardshrink logsigmoid glu
    """.split()  # noqa: SIM905
REDUCTIONS = """
    sum prod mean std var amax amin max min argmax argmin any all median nanmedian norm nansum nanmean aminmax
    count_nonzero
    """.split()  # noqa: SIM905
REDUCED = (
    "torch.{name}(torch.tensor([[1, 2], [1, 0]]).to({0}))",
    "torch.{name}(torch.tensor([[1, 2], [1, 0]]).to({0}), dim=1)",
    "torch.{name}(torch.tensor([[1, 2], [1, 0]]).to({0}), dim=())",
    "torch.{name}(torch.ones((), dtype={0}), dim=0)",
    "torch.{name}(torch.ones((), dtype={0}), dim=1)",
    "torch.{name}(torch.ones(2, 3, dtype={0}), dim=-1, keepdim=True)",
)
# Of two things that are wrong with them PyTorch names another first.
TWICE_WRONG = ("amax", "amin", "aminmax", "max", "min", "argmax", "argmin", "mode", "nansum")


def pairs():
    return [pair for pair in itertools.product(DTYPES, repeat=2) if pair not in NO_COMPLEX_HALF]


def filled(pattern, *dtypes, **others):
    return pattern.format(*(f"torch.{d}" for d in dtypes), **others)


@pytest.mark.parametrize("name", PAIRED)
def test_operations_of_two_tensors(oracle, subject, name):
    assert_same(oracle, subject, *(
        filled("torch.{name}(torch.ones(3, dtype={0}), torch.ones(3, dtype={1}))", *pair, name=name)
        for pair in pairs()
        if name != "cross" or pair[0] != "bool"
    ))  # fmt: skip


@pytest.mark.parametrize("name", ["add", "mul", "div", "pow", "remainder", "maximum"])
@pytest.mark.parametrize("pattern", ARRANGED)
def test_in_place_and_without_dimensions(oracle, subject, name, pattern):
    assert_same(oracle, subject, *(filled(pattern, *pair, name=name) for pair in pairs()))


@pytest.mark.parametrize("pattern", OTHER_PAIRS)
def test_other_pairs(oracle, subject, pattern):
    assert_same(oracle, subject, *(filled(pattern, *pair) for pair in pairs()))


@pytest.mark.parametrize("name", WITH_NUMBERS)
def test_numbers(oracle, subject, name):
    kinds = [(d, n) for d in DTYPES for n in NUMBERS if (d, n) != ("float16", "1 + 2j")]
    if name in ("pow", "xlogy"):  # what PyTorch makes of a bool to the power of a bool, and of in-place xlogy
        kinds = [(d, n) for d, n in kinds if d != "bool" and n != "1 + 2j"]
    assert_same(oracle, subject, *(f"torch.{name}(torch.ones(2, dtype=torch.{d}), {n})" for d, n in kinds))
    assert_same(oracle, subject, *(f"torch.ones(2, dtype=torch.{d}).{name}_({n})" for d, n in kinds))


@pytest.mark.parametrize("name", SINGLE)
def test_functions_of_one_tensor(oracle, subject, name):
    patterns = ["torch.{name}(torch.ones(2, dtype={0}))"]
    if hasattr(oracle.Tensor, f"{name}_"):
        patterns.append("torch.ones(2, dtype={0}).{name}_()")
    assert_same(oracle, subject, *(filled(p, d, name=name) for p in patterns for d in DTYPES))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(oracle, subject, name):
    assert_same(oracle, subject, *(filled("F.{name}(torch.ones(2, dtype={0}))", d, name=name) for d in DTYPES))


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(oracle, subject, name):
    known = [d for d in DTYPES if not (d.startswith("complex") or d == "bool") or name not in TWICE_WRONG]
    assert_same(oracle, subject, *(filled(p, d, name=name) for p in REDUCED for d in known))
