"""NumPy, DLPack, Python numbers, copies and pickles: the same expression on both libraries, with the same outcome."""

import array
import copy
import math
import operator
import pickle
import warnings

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the oracle (PyTorch) is not installed")

import wengert  # noqa: E402

NUMPY_NAMES = ["float64", "float32", "float16", "complex64", "complex128"]
NUMPY_NAMES += ["int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool"]
ALL_NAMES = [*NUMPY_NAMES, "bfloat16", "float8_e5m2", "float8_e4m3fn"]


def seen(value):
    """What can be compared of a value from either library."""
    if type(value).__name__ in ("Tensor", "Parameter"):
        strides = value.stride() if value.numel() else None  # NumPy does not keep those of empty arrays
        place = (str(value.dtype), tuple(value.shape), strides, value.storage_offset())
        graph = (value.requires_grad, value.is_leaf, value.grad_fn.name() if value.grad_fn is not None else None)
        return type(value).__name__, place, graph, repr(value)
    if isinstance(value, np.ndarray):
        strides = value.strides if value.size else None
        return "ndarray", value.dtype, value.shape, strides, value.flags.writeable, value.tobytes()
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [seen(item) for item in value]
    return type(value).__name__, repr(value)


def outcome(program, module):
    """What `program` gives on `module`: the value, or the class and the start of the sentence of its exception."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return seen(program(module))
        except Exception as error:
            return type(error).__name__, str(error)[:30]


def leaf(T):
    return T.arange(3.0).requires_grad_()


def readonly():
    ours = np.arange(3.0)
    ours.flags.writeable = False
    return ours


def by_pickle(obj):
    return pickle.loads(pickle.dumps(obj))


PROGRAMS = {
    # out to NumPy
    "numpy": lambda T: T.arange(6.0).reshape(2, 3).t().numpy(),
    "numpy of a leaf": lambda T: leaf(T).numpy(),
    "numpy of a result": lambda T: (leaf(T) * 2).numpy(),
    "numpy by force": lambda T: (leaf(T) * 2).numpy(force=True),
    "numpy of expanded": lambda T: T.ones(1).expand(3).numpy(),
    "numpy of bfloat16": lambda T: T.ones(2, dtype=T.bfloat16).numpy(),
    "numpy under no_grad": lambda T: T.no_grad()(lambda: leaf(T).numpy(force=True))(),
    "asarray with dtype": lambda T: np.asarray(T.ones(2), dtype=np.float64),
    "asarray of leaf": lambda T: np.asarray(leaf(T)),
    "array of tensors": lambda T: np.array([T.tensor(1.0), T.tensor(2.0)]),
    "array of rows": lambda T: np.array([T.ones(2), T.zeros(2)]),
    # NumPy functions and operators
    "np.sin": lambda T: np.sin(T.ones(3)),
    "np.sin of leaf": lambda T: np.sin(leaf(T)),
    "np.sin of bfloat16": lambda T: np.sin(T.ones(3, dtype=T.bfloat16)),
    "np.add": lambda T: np.add(np.arange(3.0), T.ones(3)),
    "np.isnan": lambda T: np.isnan(T.ones(3)),
    "np.modf": lambda T: np.modf(T.full((2,), 2.5)),
    "np.add.reduce": lambda T: np.add.reduce(T.ones(3)),
    "np.add into array": lambda T: np.add(T.ones(3), T.ones(3), out=np.zeros(3, np.float32)),
    "np.add into tensor": lambda T: np.add(np.ones(3), np.ones(3), out=T.zeros(3)),
    "np.concatenate": lambda T: np.concatenate([T.ones(2), T.zeros(1)]),
    "np.where": lambda T: np.where(T.arange(3) > 1, T.ones(3), T.zeros(3)),
    "np.sqrt of int": lambda T: np.sqrt(T.arange(4)),
    "np.exp of scalar": lambda T: np.exp(T.tensor(0.0)),
    "np.reshape": lambda T: np.reshape(T.ones(4), (2, 2)),
    "np.cumsum": lambda T: np.cumsum(T.ones(3)),
    "np.linalg.norm": lambda T: np.linalg.norm(T.full((1,), 2.0)),
    "tensor == array": lambda T: T.ones(3) == np.arange(3.0),
    "array == tensor": lambda T: np.arange(3.0) == T.ones(3),
    "tensor != array": lambda T: T.ones(3) != np.arange(3.0),
    "tensor == list": lambda T: T.ones(3) == [1, 2, 3],
    "tensor.add(array)": lambda T: T.ones(3).add(np.ones(3)),
    "scalar array times": lambda T: np.array(2.0) * T.ones(3),
    "times scalar array": lambda T: T.ones(3) * np.array(2.0),
    "leaf times array": lambda T: leaf(T) * np.ones(3),
    "array times leaf": lambda T: np.ones(3) * leaf(T),
    "float64 minus leaf": lambda T: np.float64(2) - leaf(T),
    "float64 over leaf": lambda T: np.float64(2) / (leaf(T) + 1),
    "float64 power": lambda T: np.float64(2) ** T.arange(3.0),
    "float64 less": lambda T: np.float64(1) < T.arange(3.0),
    "float32 times double": lambda T: np.float32(2) * T.ones(2, dtype=T.float64),
    "float64 times half": lambda T: np.float64(2) * T.ones(2, dtype=T.float16),
    "int64 floor division": lambda T: np.int64(7) // T.tensor([2, 3]),
    "int64 modulo": lambda T: np.int64(7) % T.tensor([2, 3]),
    "int32 times int64": lambda T: T.ones(2, dtype=T.int32) * np.int64(2),
    "array indexed": lambda T: np.arange(3.0)[T.tensor([0, 2])],
    "array masked": lambda T: np.arange(3.0)[T.tensor([True, False, True])],
    # in from NumPy
    "from_numpy": lambda T: T.from_numpy(np.arange(6.0).reshape(2, 3).T),
    "from_numpy broadcast": lambda T: T.from_numpy(np.broadcast_to(np.ones(1), (3,))),
    "from_numpy read-only": lambda T: T.from_numpy(readonly()).add_(1),
    "from_numpy negative": lambda T: T.from_numpy(np.arange(3.0)[::-1]),
    "from_numpy negative of one": lambda T: T.from_numpy(np.zeros((1, 3))[::-1]),
    "from_numpy negative of none": lambda T: T.from_numpy(np.zeros((0, 3))[::-1]),
    "from_numpy packed": lambda T: T.from_numpy(np.zeros(4, [("a", "i1"), ("b", "f8")])["b"]),
    "from_numpy bfloat16": lambda T: T.from_numpy(np.zeros(2, ml_dtypes.bfloat16)),
    "from_numpy list": lambda T: T.from_numpy([1]),
    "from_numpy number": lambda T: T.from_numpy(np.float32(1)),
    "from_numpy scalar array": lambda T: T.from_numpy(np.array(1.0)),
    "from_numpy masked": lambda T: T.from_numpy(np.ma.array([1.0, 2.0], mask=[True, False])),
    "tensor negative": lambda T: T.tensor(np.arange(3.0)[::-1]),
    "tensor objects": lambda T: T.tensor(np.zeros(2, "O")),
    "tensor big-endian": lambda T: T.tensor(np.zeros(2, ">f4")),
    "tensor number": lambda T: T.tensor(np.float64(2)),
    "tensor list of float32": lambda T: T.tensor([np.float32(2)]),
    "tensor list of float64": lambda T: T.tensor([np.float64(2)]),
    "tensor list of int32": lambda T: T.tensor([np.int32(2)]),
    "tensor list of arrays": lambda T: T.tensor([np.array([1, 2], np.int32)]),
    "as_tensor": lambda T: T.as_tensor(np.arange(3)),
    "as_tensor with dtype": lambda T: T.as_tensor(np.arange(3), dtype=T.float32),
    "as_tensor of leaf": lambda T: T.as_tensor(leaf(T), dtype=T.float64),
    "as_tensor negative": lambda T: T.as_tensor(np.arange(3)[::-1]),
    "as_tensor read-only": lambda T: T.as_tensor(readonly()),
    "asarray list": lambda T: T.asarray([1, 2]),
    "asarray number": lambda T: T.asarray(2.5),
    "asarray numpy number": lambda T: T.asarray(np.float64(2)),
    "asarray list without copy": lambda T: T.asarray([1, 2], copy=False),
    "asarray dtype without copy": lambda T: T.asarray(np.arange(3.0), dtype=T.float32, copy=False),
    "asarray to leaf": lambda T: T.asarray(np.arange(3.0), requires_grad=True),
    "asarray of a kept leaf": lambda T: T.asarray(leaf(T), requires_grad=True),
    "asarray of result": lambda T: T.asarray(leaf(T) * 2, requires_grad=True),
    "asarray detached": lambda T: T.asarray(leaf(T) * 2, requires_grad=False),
    "asarray copy of leaf": lambda T: T.asarray(leaf(T), copy=True),
    "asarray int to leaf": lambda T: T.asarray([1], requires_grad=True),
    "asarray bytearray": lambda T: T.asarray(bytearray(8), dtype=T.int32),
    "asarray buffer default": lambda T: T.asarray(memoryview(bytearray(8))),
    "asarray None": lambda T: T.asarray(None),
    "asarray objects": lambda T: T.asarray(np.zeros(2, "O")),
    # buffers
    "frombuffer": lambda T: T.frombuffer(array.array("f", [1, 2]), dtype=T.float32),
    "frombuffer bytes": lambda T: T.frombuffer(bytes(8), dtype=T.int32),
    "frombuffer offset": lambda T: T.frombuffer(bytearray(range(9)), dtype=T.int32, offset=1),
    "frombuffer count": lambda T: T.frombuffer(bytearray(8), dtype=T.int32, count=1),
    "frombuffer bfloat16": lambda T: T.frombuffer(bytearray(8), dtype=T.bfloat16),
    "frombuffer two dimensions": lambda T: T.frombuffer(np.zeros((2, 2)), dtype=T.float64),
    "frombuffer leaf": lambda T: T.frombuffer(bytearray(8), dtype=T.float32, requires_grad=True),
    "frombuffer int leaf": lambda T: T.frombuffer(bytearray(8), dtype=T.int32, requires_grad=True),
    "frombuffer negative count": lambda T: T.frombuffer(bytearray(8), dtype=T.int32, count=-2),
    "frombuffer empty": lambda T: T.frombuffer(bytearray(0), dtype=T.int32),
    "frombuffer none": lambda T: T.frombuffer(bytearray(8), dtype=T.int32, count=0),
    "frombuffer too many": lambda T: T.frombuffer(bytearray(8), dtype=T.int32, count=3),
    "frombuffer odd": lambda T: T.frombuffer(bytearray(7), dtype=T.int32),
    "frombuffer bad offset": lambda T: T.frombuffer(bytearray(8), dtype=T.int32, offset=2),
    "frombuffer negative offset": lambda T: T.frombuffer(bytearray(8), dtype=T.int32, offset=-1),
    "frombuffer offset at the end": lambda T: T.frombuffer(bytearray(8), dtype=T.int32, offset=8),
    "frombuffer text": lambda T: T.frombuffer("abc", dtype=T.int8),
    "frombuffer strided": lambda T: T.frombuffer(np.zeros(8)[::2], dtype=T.float64),
    # DLPack
    "np.from_dlpack": lambda T: np.from_dlpack(T.arange(6.0).reshape(2, 3).t()),
    "from_dlpack of array": lambda T: T.from_dlpack(np.arange(6.0).reshape(2, 3).T),
    "from_dlpack of itself": lambda T: T.from_dlpack(T.ones(2)),
    "from_dlpack of leaf": lambda T: T.from_dlpack(leaf(T)),
    "from_dlpack of capsule": lambda T: T.from_dlpack(T.ones(2).__dlpack__()),
    "from_dlpack of number": lambda T: T.from_dlpack(3),
    "from_dlpack read-only": lambda T: T.from_dlpack(readonly()),
    "from_dlpack copy": lambda T: T.from_dlpack(T.ones(2), copy=True, device="cpu"),
    "from_dlpack foreign array": lambda T: T.from_dlpack(np.zeros(3, ml_dtypes.bfloat16)),
    "dlpack stream": lambda T: T.ones(2).__dlpack__(stream=1),
    "dlpack device": lambda T: T.ones(2).__dlpack_device__(),
    "dlpack bfloat16": lambda T: T.from_dlpack(T.ones(2, dtype=T.bfloat16).__dlpack__(max_version=(1, 0))),
    # copies and pickles
    "copy": lambda T: copy.copy(leaf(T)),
    "copy of result": lambda T: copy.copy(leaf(T) * 2),
    "deepcopy": lambda T: copy.deepcopy(leaf(T)),
    "deepcopy of result": lambda T: copy.deepcopy(leaf(T) * 2),
    "deepcopy of view": lambda T: copy.deepcopy(T.arange(12.0).reshape(3, 4).t()[1:, ::2]),
    "deepcopy of expanded": lambda T: copy.deepcopy(T.ones(1).expand(3)),
    "deepcopy of parameter": lambda T: copy.deepcopy(T.nn.Parameter(T.ones(2, 3).t())),
    "deepcopy of strided parameter": lambda T: copy.deepcopy(T.nn.Parameter(T.arange(6.0)[::2])),
    "pickle": lambda T: by_pickle(leaf(T)),
    "pickle of result": lambda T: by_pickle(leaf(T) * 2),
    "pickle of view": lambda T: by_pickle(T.arange(12.0).reshape(3, 4).t()[1:, ::2]),
    "pickle of parameter": lambda T: by_pickle(T.nn.Parameter(T.ones(2, 3).t(), requires_grad=False)),
    "pickle of empty": lambda T: by_pickle(T.zeros(0, 3)),
    "setstate too short": lambda T: T.ones(2).__setstate__((1,)),
    "setstate of result": lambda T: (leaf(T) * 2).__setstate__((True, None, {})),
    # Python
    "reversed": lambda T: list(reversed(T.arange(4.0).reshape(2, 2))),
    "contains": lambda T: (2 in T.arange(3), 5 in T.arange(3), T.tensor(1) in T.arange(3)),
    "contains text": lambda T: "a" in T.arange(3),
    "contains None": lambda T: None in T.arange(3),
    "range": lambda T: list(range(T.tensor(3))),
    "format": lambda T: (f"{T.tensor(1.5):.2f}", f"{T.tensor(3):5d}", f"{T.tensor([1.5])}"),
    "format of row": lambda T: f"{T.tensor([1.5]):.2f}",
    "format of parameter": lambda T: f"{T.nn.Parameter(T.tensor(1.5)):.2f}",
    "format of leaf": lambda T: f"{T.tensor(1.5, requires_grad=True):.1f}",
}


@pytest.mark.parametrize("program", [pytest.param(program, id=name) for name, program in PROGRAMS.items()])
def test_same_outcome(program):
    assert outcome(program, wengert) == outcome(program, torch)


@pytest.mark.parametrize(
    "name", ["add", "sub", "mul", "truediv", "floordiv", "pow", "mod", "matmul", "and_", "or_", "xor"]
)
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64, np.int32])
def test_operators_between_tensors_and_arrays(name, kind):
    operate, ours = getattr(operator, name), np.arange(1, 4).astype(kind)
    for program in (
        lambda T: operate(T.from_numpy(ours.copy()), ours),
        lambda T: operate(ours, T.from_numpy(ours.copy())),
    ):
        assert outcome(program, wengert) == outcome(program, torch)


CONVERSIONS = {
    "item": lambda t: t.item(),
    "tolist": lambda t: t.tolist(),
    "float": float,
    "int": int,
    "complex": complex,
    "bool": bool,
    "index": operator.index,
    "len": len,
    "list": list,
    "floor": math.floor,
    "trunc": math.trunc,
    "round": round,
    "divmod": lambda t: divmod(t, 2),
}
VALUES = [
    2.5,
    [2.5],
    [[2]],
    True,
    1 + 2j,
    1 + 0j,
    [0.0, 0.0],
    [],
    float("nan"),
    float("inf"),
    3,
    [3],
    1e20,
    [0.0],
    -0.0,
]


@pytest.mark.parametrize("name", CONVERSIONS)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_conversions_to_python(name, value):
    def program(T):
        return CONVERSIONS[name](T.tensor(value))

    assert outcome(program, wengert) == outcome(program, torch)


@pytest.mark.parametrize(
    "name", ["U3", "S3", "O", "M8[s]", "m8[s]", "V4", ">f8", "longdouble", "longlong", *NUMPY_NAMES]
)
def test_the_same_dtypes_come_in(name):
    assert outcome(lambda T: T.from_numpy(np.zeros(2, name)), wengert) == outcome(
        lambda T: T.from_numpy(np.zeros(2, name)), torch
    )


@pytest.mark.parametrize("name", ALL_NAMES)
def test_dlpack_between_the_two_libraries_shares_memory(name):
    ours = wengert.ones(2, 3).to(getattr(wengert, name)).t()
    theirs = torch.from_dlpack(ours)
    back = wengert.from_dlpack(theirs)
    assert str(theirs.dtype) == str(back.dtype) == f"torch.{name}"
    assert ours.data_ptr() == theirs.data_ptr() == back.data_ptr()
    assert tuple(theirs.stride()) == back.stride() == ours.stride()


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=0, max_size=3).map(tuple),
    st.sampled_from(NUMPY_NAMES),
    st.data(),
)
def test_any_view_crosses_every_border_alike(shape, name, data):
    """A random view of a random array: in, out, through DLPack, copied and pickled."""
    whole = np.arange(math.prod(shape)).reshape(shape).astype(name)
    steps = tuple(slice(data.draw(st.integers(0, 2)), None, data.draw(st.integers(1, 2))) for _ in shape)
    view = np.asarray(whole[steps]).transpose(data.draw(st.permutations(range(len(shape)))))
    programs = (
        lambda T: T.from_numpy(view),
        lambda T: T.from_numpy(view).numpy(),
        lambda T: T.from_dlpack(view),
        lambda T: T.from_numpy(view).tolist(),
        lambda T: copy.copy(T.from_numpy(view)),
    )
    # PyTorch fails to copy the wide unsigned types, which have no storage class of their own.
    for program in programs[:-1] if name in ("uint16", "uint32", "uint64") else programs:
        assert outcome(program, wengert) == outcome(program, torch)
    for duplicate in (copy.deepcopy, by_pickle):
        twin = duplicate(wengert.from_numpy(view))
        assert (twin.tolist(), str(twin.dtype), tuple(twin.shape)) == (view.tolist(), f"torch.{name}", view.shape)
