"""Values and gradients where functions have kinks, poles, ties and limits: PyTorch's choice, for every function of one
or two tensors, every activation and every reduction.
"""

import numpy as np
import pytest

from tests.conformance.compare import to_numpy

INF, NAN = float("inf"), float("nan")
POINTS = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 6.0, 20.0, -20.0, 100.0, -100.0]
POINTS += [1e-30, -1e-30, INF, -INF, NAN]


def names(text):
    return text.split()


ONE = names("""
    abs acos acosh asin asinh atan atanh ceil cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 floor frac i0
    lgamma log log10 log1p log2 logit neg positive rad2deg reciprocal relu round rsqrt sgn sigmoid sign signbit sin sinc
    sinh sqrt square tan tanh trunc nan_to_num isnan isinf isfinite isposinf isneginf
    special.entr special.erfcx special.i0e special.i1 special.i1e special.log_ndtr special.ndtr special.ndtri
    nn.functional.celu nn.functional.elu nn.functional.gelu nn.functional.hardshrink nn.functional.hardsigmoid
    nn.functional.hardswish nn.functional.hardtanh nn.functional.leaky_relu nn.functional.logsigmoid nn.functional.mish
    nn.functional.relu6 nn.functional.selu nn.functional.silu nn.functional.softplus nn.functional.softshrink
    nn.functional.softsign nn.functional.tanhshrink
""")
TWO = names("""
    add sub mul div pow atan2 fmod remainder maximum minimum fmax fmin hypot logaddexp logaddexp2 xlogy copysign
    nextafter floor_divide heaviside eq ne lt le gt ge true_divide special.xlog1py float_power
    nn.functional.mse_loss nn.functional.l1_loss nn.functional.smooth_l1_loss nn.functional.huber_loss
""")
TIES = [
    [[1.0, 3.0, 3.0, 2.0], [0.0, 0.0, 0.0, 0.0], [-1.0, -1.0, 5.0, 5.0]],
    [[INF, 1.0, INF, 0.0], [-INF, -INF, -INF, -INF], [0.0, -0.0, 0.0, 1.0]],
    [[NAN, 1.0, NAN, 2.0], [0.0, NAN, INF, -INF], [2.0, 2.0, 0.0, 0.0]],
]
OVER_A_DIMENSION = names("""
    sum mean prod amax amin logsumexp softmax log_softmax cumsum cumprod cummax cummin logcumsumexp std var nansum
    nanmean median nanmedian max min argmax argmin any all count_nonzero
""")
# Where PyTorch's gradient among infinities, NaN and poles is an accident of its formula, values alone are compared.
VALUES_ONLY = {
    "digamma": "at a pole it is what sin(pi x) rounds to",
    "special.i1": "a half at NaN",
    "special.i1e": "a half at NaN",
    "special.log_ndtr": "NaN at minus infinity, where the slope is infinite",
    "cumprod": "which of infinity and NaN comes of infinities",
    "logcumsumexp": "zero beside an infinity",
    "prod": "zero beside two zeros, whatever the others are",
    "norm inf": "zero in a row with NaN",
    "norm -inf": "zero in a row with NaN",
}
NORMS = [0, 0.5, 1, 2, 3, INF, -INF, -1]


def find(module, path):
    for name in path.split("."):
        module = getattr(module, name)
    return module


def outcome(module, call, values):
    """The results of `call` on tensors of `values`, and the gradients of their weighted sum."""
    tensors = [module.tensor(v, dtype=module.float64, requires_grad=True) for v in values]
    result = call(module, *tensors)
    results = list(result) if isinstance(result, tuple) else [result]
    found = [r.detach().numpy() for r in results]
    recorded = [r for r in results if r.requires_grad]
    if not recorded or recorded[0].grad_fn is None:
        return found, [None] * len(tensors)
    weights = [module.linspace(0.5, 1.5, r.numel(), dtype=r.dtype).reshape(r.shape) for r in recorded]
    grads = module.autograd.grad(recorded, tensors, weights, allow_unused=True)
    return found, [None if g is None else to_numpy(g) for g in grads]


def agree(oracle, subject, call, *values, name=""):
    try:
        expected = outcome(oracle, call, values)
    except RuntimeError as error:
        with pytest.raises(type(error)):
            outcome(subject, call, values)
        return
    actual = outcome(subject, call, values)
    compared = 1 if name in VALUES_ONLY else 2
    for kind, own, other in list(zip(("value", "gradient"), actual, expected, strict=True))[:compared]:
        for number, (a, e) in enumerate(zip(own, other, strict=True)):
            assert (a is None) == (e is None), f"{kind} {number}: {a}, PyTorch has {e}"
            if e is not None:
                np.testing.assert_allclose(a, e, rtol=1e-6, atol=1e-12, equal_nan=True, err_msg=f"{kind} {number}")


@pytest.mark.parametrize("name", ONE)
def test_functions_of_one_tensor(oracle, subject, name):
    agree(oracle, subject, lambda module, x: find(module, name)(x), POINTS, name=name)


@pytest.mark.parametrize("name", TWO)
def test_functions_of_two_tensors(oracle, subject, name):
    x, y = (list(v) for v in zip(*((a, b) for a in POINTS for b in POINTS), strict=True))
    reduction = {"reduction": "none"} if "loss" in name else {}
    agree(oracle, subject, lambda module, x, y: find(module, name)(x, y, **reduction), x, y)


@pytest.mark.parametrize("ties", range(len(TIES)))
@pytest.mark.parametrize("name", OVER_A_DIMENSION)
def test_reductions_and_scans(oracle, subject, name, ties):
    agree(oracle, subject, lambda module, x: find(module, name)(x, 1), TIES[ties], name=name)


@pytest.mark.parametrize("ties", range(len(TIES)))
@pytest.mark.parametrize("name", ["sum", "mean", "prod", "max", "min", "amax", "amin", "std", "var", "median", "norm"])
def test_reductions_of_all_elements(oracle, subject, name, ties):
    agree(oracle, subject, lambda module, x: find(module, name)(x), TIES[ties], name=name)


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("ties", range(len(TIES)))
def test_norms(oracle, subject, p, ties):
    agree(oracle, subject, lambda module, x: module.linalg.vector_norm(x, p, 1), TIES[ties], name=f"norm {p}")


@pytest.mark.parametrize(
    "call",
    [
        lambda m, x: x.clamp(-1, 2),
        lambda m, x: x.clamp(min=0.5),
        lambda m, x: x.clamp(m.zeros_like(x), m.ones_like(x)),
        lambda m, x: m.where(x > 0, x, x * 2),
        lambda m, x: m.nn.functional.threshold(x, 1.0, 3.0),
        lambda m, x: m.nn.functional.max_pool1d(x[None, None], 2)[0],
        lambda m, x: m.nn.functional.normalize(x, dim=0),
        lambda m, x: x.pow(0),
        lambda m, x: x.pow(-1),
        lambda m, x: x.pow(3),
        lambda m, x: 0.0**x,
        lambda m, x: m.nn.functional.relu(x).sqrt(),
        lambda m, x: m.cdist(x[:4].view(2, 2), x[:4].view(2, 2)),
    ],
    ids=str,
)  # fmt: skip
def test_choices(oracle, subject, call):
    agree(oracle, subject, call, POINTS)
