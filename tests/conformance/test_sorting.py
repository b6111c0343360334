"""Order beside PyTorch's: generated values with ties, NaN and infinities, any strides and dimension.

Of equal elements PyTorch's topk, kthvalue and unstable sort may pick any; there only values are compared.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conformance.compare import check_layout, check_structure, check_values, must
from tests.conformance.test_indexing import attempt, same_errors

DTYPES = ["float32", "float64", "int64", "int32", "uint8", "bool", "float16", "bfloat16"]
FLOATS = {"float32", "float64", "float16", "bfloat16"}


@st.composite
def tables(draw, nan=True, dtypes=DTYPES):
    shape = draw(st.lists(st.integers(0, 4) if draw(st.integers(0, 9)) == 9 else st.integers(1, 5), max_size=3))
    dtype = draw(st.sampled_from(dtypes))
    numbers = [0, 1, 2, 3, 4]
    if dtype in FLOATS and nan:
        numbers += [float("nan"), float("inf"), -float("inf")]
    count = int(np.prod(shape))
    values = draw(st.lists(st.sampled_from(numbers), min_size=count, max_size=count))
    array = np.array(values, np.float64).reshape(shape)
    return array, dtype, draw(st.permutations(range(len(shape))))


def make(module, table, requires_grad=False):
    array, dtype, order = table
    with np.errstate(invalid="ignore"):
        leaf = module.from_numpy(array).to(getattr(module, dtype))
    if requires_grad:
        leaf.requires_grad_()
    return leaf, leaf.permute(order)


def compare(ours, theirs, where, picks=True):
    for number, (a, e, place) in enumerate(check_structure(ours, theirs, where)):
        check_layout(a, e, place, strides=1 not in e.shape)
        if picks or number == 0:
            check_values(a, e, place)


def both(oracle, subject, table, function, picks=True):
    expected, their_error = attempt(lambda: function(make(oracle, table)[1], oracle))
    actual, our_error = attempt(lambda: function(make(subject, table)[1], subject))
    if not same_errors(our_error, their_error, "it"):
        compare(actual, expected, "result", picks)


FUNCTIONS = {
    "sort": (lambda x, m, dim, flag, k: m.sort(x, dim=dim, descending=flag, stable=True), True),
    "argsort": (lambda x, m, dim, flag, k: m.argsort(x, dim=dim, descending=flag, stable=True), True),
    "msort": (lambda x, m, dim, flag, k: m.msort(x), True),
    "topk": (lambda x, m, dim, flag, k: x.topk(k, dim, largest=flag), False),
    "kthvalue": (lambda x, m, dim, flag, k: x.kthvalue(k, dim, keepdim=flag), False),
    "median": (lambda x, m, dim, flag, k: x.median(dim, keepdim=flag), True),
    "nanmedian": (lambda x, m, dim, flag, k: x.nanmedian(dim, keepdim=flag), True),
    "median of all": (lambda x, m, dim, flag, k: x.nanmedian() if flag else x.median(), True),
    "cummax": (lambda x, m, dim, flag, k: x.cummax(dim), True),
    "cummin": (lambda x, m, dim, flag, k: x.cummin(dim), True),
    "bucketize": (lambda x, m, dim, flag, k: m.bucketize(x, m.tensor([0.5, 1.0, 3.0]), right=flag), True),
}
WITHOUT_NAN = {
    "mode": (lambda x, m, dim, flag, k: x.mode(dim, keepdim=flag), True),
    "unique": (lambda x, m, dim, flag, k: x.unique(return_inverse=True, return_counts=flag), True),
    "unique dim": (lambda x, m, dim, flag, k: x.unique(return_inverse=flag, return_counts=True, dim=dim), True),
    "unique_consecutive": (lambda x, m, dim, flag, k: x.unique_consecutive(return_inverse=True), True),
    "unique_consecutive dim": (lambda x, m, dim, flag, k: x.unique_consecutive(return_counts=True, dim=dim), True),
    "isin": (lambda x, m, dim, flag, k: m.isin(x, m.tensor([1, 3]), invert=flag), True),
    "histc": (lambda x, m, dim, flag, k: m.histc(x.contiguous(), 4, 0, 3 * flag), True),
}


@pytest.mark.parametrize("name", [*FUNCTIONS, *WITHOUT_NAN])
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_order(oracle, subject, name, data):
    function, picks = (FUNCTIONS | WITHOUT_NAN)[name]
    dtypes = ["float32", "float64"] if name == "histc" else DTYPES
    table = data.draw(tables(nan=name in FUNCTIONS, dtypes=dtypes))
    ndim = table[0].ndim
    dims = st.integers(-max(ndim, 1), max(ndim, 1) - 1)
    # PyTorch's running extremes of nothing take any dimension.
    dim = data.draw(dims if table[0].size == 0 else dims | st.just(ndim + 1))
    flag, k = data.draw(st.booleans()), data.draw(st.integers(0, 3))
    both(oracle, subject, table, lambda x, m: function(x, m, dim, flag, k), picks)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_searchsorted(oracle, subject, data):
    rows, columns = data.draw(st.integers(1, 3)), data.draw(st.integers(0, 6))
    numbers = st.sampled_from([0.0, 1.0, 2.0, 2.0, 5.0])
    count = rows * columns
    keys = np.array(data.draw(st.lists(numbers, min_size=count, max_size=count))).reshape(rows, columns)
    keys.sort(axis=1)
    wanted = np.array(data.draw(st.lists(numbers | st.just(float("nan")), min_size=rows * 2, max_size=rows * 2)))
    vector = data.draw(st.booleans())
    options = {"right": data.draw(st.booleans()), "out_int32": data.draw(st.booleans())}
    results = [
        module.searchsorted(
            module.from_numpy(keys[0] if vector else keys), module.from_numpy(wanted.reshape(rows, 2)), **options
        )
        for module in (subject, oracle)
    ]
    compare(*results, "places")


DIFFERENTIABLE = ["sort", "topk", "kthvalue", "median", "nanmedian", "median of all", "cummax", "cummin", "mode"]


@pytest.mark.parametrize("name", DIFFERENTIABLE)
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_gradients(oracle, subject, name, data):
    function, _ = (FUNCTIONS | WITHOUT_NAN)[name]
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    count = int(np.prod(shape))
    array = np.array(data.draw(st.permutations(range(count))), np.float64).reshape(shape)  # no ties: one right answer
    table = array, "float64", data.draw(st.permutations(range(len(shape))))
    dim, flag = data.draw(st.integers(-len(shape), len(shape) - 1)), data.draw(st.booleans())
    results = []
    for module in (subject, oracle):
        leaf, x = make(module, table, requires_grad=True)
        out = function(x, module, dim, flag, 1)
        out = out[0] if isinstance(out, tuple) else out
        (first,) = module.autograd.grad((out * out * out).sum(), leaf, create_graph=True)
        (second,) = module.autograd.grad(first.sum(), leaf)
        results.append((out.grad_fn.name(), first, second))
    (our_name, *ours), (their_name, *theirs) = results
    must(our_name == their_name, "node", our_name, their_name)
    for a, e in zip(ours, theirs, strict=True):
        check_values(a, e, "gradient")
