"""oneDNN through ctypes: the library in which PyTorch, too, convolves on a CPU. Optional; absent, NumPy computes.

oneDNN compiles a *primitive* for one shape, layout and processor, then runs it on any memory. A primitive is made once
and kept (`Plan`); a call hands it three or four pointers. The layout in which an operand is fastest is the library's to
choose, and where ours differs (rows of pixels where it wants blocks of channels) a *reorder* goes before or after.

`absent()` says in words why the library is not in use, or None. Everything here is called with float32 or bfloat16
arrays that are not empty; `wengert.kernels.convolution` and `wengert.kernels.matmul` decide who computes.
"""

from __future__ import annotations

import ctypes
import os
import threading
from ctypes import byref, c_int, c_int64, c_size_t, c_void_p
from functools import cache
from importlib import metadata
from math import prod

import numpy as np

from wengert.kernels.cpu import threads

WHEEL = "onednn-cpu-gomp"
DTYPES = {"float32": 3, "bfloat16": 2}

# Numbers of oneDNN's C interface, version 3.
CPU, IN_ORDER, FORWARD, DIRECT, ANY_LAYOUT = 1, 1, 64, 1, 1
SOURCE, WEIGHTS, BIAS, DESTINATION = 1, 33, 41, 17
GRADIENT = 128  # added to an argument's number, and to half its query's, it names the argument's gradient
LAYOUT_OF = {SOURCE: 129, SOURCE + GRADIENT: 130, WEIGHTS: 131, WEIGHTS + GRADIENT: 132, DESTINATION: 133,
             DESTINATION + GRADIENT: 134}  # fmt: skip


class Argument(ctypes.Structure):
    """What a primitive runs on: which argument, and the memory that holds it."""

    _fields_ = (("number", c_int), ("memory", c_void_p))


# --- the library ------------------------------------------------------------------------------------------------------


def path():
    """Where the wheel put the library; None if it isn't installed."""
    try:
        files = metadata.files(WHEEL) or ()
    except metadata.PackageNotFoundError:
        return None
    found = (file.locate() for file in files if file.name == "libdnnl.so.3")
    return next((file.resolve() for file in found if file.exists()), None)


def load():
    """The library and None, or None and the reason in words why it can't be used."""
    return _loaded() if _in_this_process else (None, FORKED)


@cache
def _loaded():
    place = path()
    if place is None:
        return None, f"{WHEEL} is not installed (pip install 'wengert[onednn]')"
    # A worker of OpenMP that spins after its part is done takes the core from whoever is next (BLAS, Python).
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        library = ctypes.CDLL(str(place))
    except OSError as error:
        return None, f"{place.name} doesn't load: {error}"
    library.dnnl_primitive_desc_query_md.restype = c_void_p
    library.dnnl_memory_desc_get_size.restype = c_size_t
    library.dnnl_memory_set_data_handle.argtypes = (c_void_p, c_void_p)
    library.dnnl_primitive_execute.argtypes = (c_void_p, c_void_p, c_int, c_void_p)
    os.register_at_fork(after_in_child=_give_up_after_fork)
    return library, None


def absent():
    """Why oneDNN is not in use, in words; None if it is."""
    return load()[1]


class Threads:
    """How many threads the library takes: OpenMP's setting is each thread's own, so each is told when it changes."""

    told = threading.local()

    @classmethod
    def tell(cls):
        wanted = threads.number()
        if getattr(cls.told, "count", None) != wanted:
            omp().omp_set_num_threads(wanted)
            cls.told.count = wanted


@cache
def omp():
    return ctypes.CDLL("libgomp.so.1")


FORKED = "this process was forked from one that had started OpenMP's threads"
_in_this_process = True


def _give_up_after_fork():
    """A forked process has none of its parent's OpenMP threads, and libgomp would wait for them for ever."""
    global _in_this_process
    _in_this_process = False


# --- memory and primitives --------------------------------------------------------------------------------------------


class Mine(threading.local):
    """Each thread's own engine, stream and plans: what a plan points at while it runs is nobody else's."""

    def __init__(self):
        self.plans = {}
        self.engine, self.stream = c_void_p(), c_void_p()
        library = load()[0]
        check(library.dnnl_engine_create(byref(self.engine), CPU, c_size_t(0)))
        check(library.dnnl_stream_create(byref(self.stream), self.engine, IN_ORDER))


class _Lazily(threading.local):
    """The thread's `Mine`, made on first use: importing this module loads nothing."""

    @property
    def own(self):
        found = self.__dict__.get("it")
        if found is None:
            found = self.__dict__["it"] = Mine()
        return found


_mine = _Lazily()


def check(status):
    if status:
        raise RuntimeError(f"oneDNN: status {status}")


def extents(values):
    return (c_int64 * 12)(*values)


def layout(shape, dtype, strides=None):
    """A descriptor of memory; with `strides` (in elements) None, the layout is the library's to choose."""
    found, library = c_void_p(), load()[0]
    if strides is None:
        check(library.dnnl_memory_desc_create_with_tag(byref(found), len(shape), extents(shape), dtype, ANY_LAYOUT))
    else:
        check(
            library.dnnl_memory_desc_create_with_strides(
                byref(found), len(shape), extents(shape), dtype, extents(strides)
            )
        )
    return found


def memory(description, engine):
    """A memory object without memory: it is given a pointer for each run."""
    found = c_void_p()
    check(load()[0].dnnl_memory_create(byref(found), description, engine, c_void_p(0)))
    return found


def primitive(description):
    found = c_void_p()
    check(load()[0].dnnl_primitive_create(byref(found), description))
    return found


class Port:
    """One operand of a primitive: our layout, the primitive's, and the reorder between them where they differ."""

    __slots__ = ("memory", "ours", "reorder", "scratch")

    def __init__(self, engine, ours, wanted, outward):
        library = load()[0]
        self.memory = memory(wanted, engine)
        self.reorder = self.ours = None
        self.scratch = 0
        if not library.dnnl_memory_desc_equal(ours, wanted):
            description = c_void_p()
            between = (wanted, ours) if outward else (ours, wanted)
            check(
                library.dnnl_reorder_primitive_desc_create(
                    byref(description), between[0], engine, between[1], engine, None
                )
            )
            self.ours = memory(ours, engine)
            ends = (self.memory, self.ours) if outward else (self.ours, self.memory)
            self.reorder = primitive(description), (Argument * 2)(
                Argument(SOURCE, ends[0]), Argument(DESTINATION, ends[1])
            )
            self.scratch = library.dnnl_memory_desc_get_size(wanted)


class Plan:
    """A primitive, ready to run on arrays of one shape and layout. Its last operand is the result."""

    def __init__(self, description, operands):
        """`operands`: (argument's number, our layout, shape) in the order in which `run` takes arrays."""
        library, own = load()[0], _mine.own
        self.primitive, self.stream = primitive(description), own.stream
        self.ports = []
        for number, ours in operands:
            query = LAYOUT_OF.get(number)
            wanted = ours if query is None else c_void_p(library.dnnl_primitive_desc_query_md(description, query, 0))
            self.ports.append(Port(own.engine, ours, wanted, outward=number == operands[-1][0]))
        self.arguments = (Argument * len(operands))(
            *(Argument(number, port.memory) for (number, _), port in zip(operands, self.ports))
        )

    def run(self, *arrays):
        """Compute from all arrays but the last into the last, which is returned."""
        library, stream = load()[0], self.stream
        Threads.tell()
        threads.rest()
        held = []  # what reorders write lives until the primitive has run
        *inputs, result = self.ports
        for port, array in zip(self.ports, arrays):
            if port.reorder is None:
                check(library.dnnl_memory_set_data_handle(port.memory, array.ctypes.data))
                continue
            scratch = np.empty(port.scratch, np.uint8)
            held.append(scratch)
            check(library.dnnl_memory_set_data_handle(port.memory, scratch.ctypes.data))
            check(library.dnnl_memory_set_data_handle(port.ours, array.ctypes.data))
        for port in inputs:
            if port.reorder is not None:
                check(library.dnnl_primitive_execute(port.reorder[0], stream, 2, port.reorder[1]))
        check(library.dnnl_primitive_execute(self.primitive, stream, len(self.ports), self.arguments))
        if result.reorder is not None:
            check(library.dnnl_primitive_execute(result.reorder[0], stream, 2, result.reorder[1]))
        return arrays[-1]


# --- convolution ------------------------------------------------------------------------------------------------------

FORWARD_MAP, DATA_MAP, WEIGHT_MAP = "forward", "data", "weight"


class Convolution:
    """The three maps of one convolution, of one shape and layout (see `wengert.kernels.convolution`).

    Args:
        x, w, out: the shapes of data (N, C, *space), weight (O, C/groups, *kernel) and result (N, O, *out).
        dtype: "float32" or "bfloat16".
        last: whether data and result lie channels-last in memory.
    """

    def __init__(self, x, w, out, dtype, last, stride, padding, dilation, groups):
        self.dtype = DTYPES[dtype]
        self.shapes = x, w, out
        grouped = w if groups == 1 else (groups, w[0] // groups, *w[1:])
        image_strides = channels_last_strides if last else contiguous_strides
        self.x, self.out = (layout(s, self.dtype, image_strides(s)) for s in (x, out))
        self.w = layout(grouped, self.dtype, contiguous_strides(grouped))
        self.bias = layout(w[:1], self.dtype, (1,))
        self.free = [layout(s, self.dtype) for s in (x, grouped, out)]
        self.options = [extents(v) for v in (stride, [d - 1 for d in dilation], padding, padding)]

    def describe(self, map, *, bias=False):
        library, engine = load()[0], _mine.own.engine
        found = c_void_p()
        x, w, out = self.free
        if map is FORWARD_MAP:
            check(
                library.dnnl_convolution_forward_primitive_desc_create(
                    byref(found), engine, FORWARD, DIRECT, x, w, self.bias if bias else None, out, *self.options, None
                )
            )
            return found
        forward = self.describe(FORWARD_MAP)
        if map is DATA_MAP:
            check(
                library.dnnl_convolution_backward_data_primitive_desc_create(
                    byref(found), engine, DIRECT, x, w, out, *self.options, forward, None
                )
            )
        else:
            check(
                library.dnnl_convolution_backward_weights_primitive_desc_create(
                    byref(found), engine, DIRECT, x, w, None, out, *self.options, forward, None
                )
            )
        library.dnnl_primitive_desc_destroy(forward)
        return found

    def plan(self, map, bias=False):
        operands = {
            FORWARD_MAP: [(SOURCE, self.x), (WEIGHTS, self.w), *([(BIAS, self.bias)] * bias), (DESTINATION, self.out)],
            DATA_MAP: [(DESTINATION + GRADIENT, self.out), (WEIGHTS, self.w), (SOURCE + GRADIENT, self.x)],
            WEIGHT_MAP: [(DESTINATION + GRADIENT, self.out), (SOURCE, self.x), (WEIGHTS + GRADIENT, self.w)],
        }[map]
        return Plan(self.describe(map, bias=bias), operands)


def contiguous_strides(shape):
    return [prod(shape[k + 1 :]) for k in range(len(shape))]


def channels_last_strides(shape):
    channels, pixels = shape[1], prod(shape[2:])
    return [channels * pixels, 1, *(channels * s for s in contiguous_strides(shape[2:]))]


def convolve(map, x, w, out, dtype, last, stride, padding, dilation, groups, arrays):
    """Run one of the three maps on `arrays`: its operands, the bias if there is one, and the result last.

    `x`, `w`, `out` are shapes; data and result are contiguous, or channels-last in memory if `last`; the weight is
    contiguous.
    """
    key = (map, len(arrays), x, w, out, dtype, last, stride, padding, dilation, groups)
    plans = _mine.own.plans
    plan = plans.get(key)
    if plan is None:
        made = Convolution(x, w, out, dtype, last, stride, padding, dilation, groups)
        plan = plans[key] = made.plan(map, bias=map is FORWARD_MAP and len(arrays) == 4)
    return plan.run(*arrays)


# --- products of matrices ---------------------------------------------------------------------------------------------


def multiply(a, b, dtype):
    """a @ b for bfloat16 matrices, or batches of as many, as bfloat16 or float32; sums are of float32 throughout.

    None where the library has no primitive for operands that lie like these.
    """
    out = np.empty((*a.shape[:-1], b.shape[-1]), dtype)
    key = (multiply, a.shape, a.strides, b.shape, b.strides, out.dtype)
    plans = _mine.own.plans
    plan = plans.get(key)
    if plan is None:
        plan = plans[key] = product_plan(a, b, out)
    return plan and plan.run(a, b, out)


def product_plan(a, b, out):
    library, engine, found = load()[0], _mine.own.engine, c_void_p()
    ours = [layout(x.shape, DTYPES[x.dtype.name], [s // x.itemsize for s in x.strides]) for x in (a, b, out)]
    free = layout(b.shape, DTYPES[b.dtype.name])
    if library.dnnl_matmul_primitive_desc_create(byref(found), engine, ours[0], free, None, ours[2], None):
        return None
    return Plan(found, list(zip((SOURCE, WEIGHTS, DESTINATION), ours, strict=True)))


def times(a, b, dtype):
    """`multiply` for operands of any dimensions, broadcast as `numpy.matmul` does; None for what it can't take."""
    if a.dtype.name != "bfloat16" or absent() is not None or 0 in a.shape or 0 in b.shape or min(a.ndim, b.ndim) < 2:
        return None
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    if b.ndim == 2:
        a = a.reshape(-1, a.shape[-1])
    elif a.shape[:-2] == b.shape[:-2]:
        a, b = (x.reshape(-1, *x.shape[-2:]) for x in (a, b))
    else:
        return None
    if any(s < 0 for x in (a, b) for s in x.strides):
        return None
    found = multiply(a, b, dtype)
    return None if found is None else found.reshape(shape)
