"""Formulas that write in place, as optimisers have them: several arrays, one pass.

An update such as Adam's is NumPy code with `out=` and scratch arrays. Run once on cells (a `Cell` stands for an array
and holds the tree that was written to it last), it becomes one tree for each array that it changes, and the trees one
loop. The numbers in it, which change from step to step, are operands of the loop and not compiled into it.
"""

import ctypes

import numpy as np

from wengert.kernels.cpu import native
from wengert.kernels.cpu.expressions import F32, F64, UFUNCS, Symbol, Unrecordable, as_symbol, cast, in_order, select
from wengert.kernels.cpu.pointwise import Layout, loop_text

MOST_NUMBERS = 48  # a formula with more has functions within that are worth no loop of this kind


class Cell(np.lib.mixins.NDArrayOperatorsMixin):
    """An array in a formula that writes in place: `tree` is what it holds by now."""

    __array_priority__ = 20_000

    def __init__(self, tree, dtype):
        self.tree, self.dtype = tree, dtype

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        if method != "__call__" or options or ufunc.__name__ not in UFUNCS:
            raise Unrecordable(f"{ufunc.__name__}.{method}")
        tree = UFUNCS[ufunc.__name__](*(x.tree if isinstance(x, Cell) else x for x in inputs))
        if out is None:
            return Cell(tree, tree.dtype)
        (target,) = out
        if not isinstance(target, Cell):
            raise Unrecordable("a real array is written")
        target.tree = cast(tree, target.dtype)
        return target

    def __array_function__(self, function, types, args, kwargs):
        if function is np.copyto and not kwargs:
            target, source = args
            target.tree = cast(as_symbol(source.tree if isinstance(source, Cell) else source, target.dtype),
                               target.dtype)  # fmt: skip
            return None
        if function is np.where and not kwargs:
            tree = select(*(x.tree if isinstance(x, Cell) else x for x in args))
            return Cell(tree, tree.dtype)
        raise Unrecordable(function.__name__)

    def scratch(self):
        """A temporary array, which holds nothing yet."""
        return Cell(None, self.dtype)

    def __bool__(self):
        raise Unrecordable("a branch on a value")

    def __getattr__(self, name):
        raise Unrecordable(f"an element has no {name}")


def linear(trees):
    """(structure, numbers): the trees as a tuple that can be compared, and their constants, in the order met."""
    places, rows, numbers = {}, [], []
    for node in in_order(trees):
        if node.op == "constant":
            numbers.append(node)
        places[id(node)] = len(rows)
        value = None if node.op == "constant" else node.value
        rows.append((node.op, node.dtype, value, *[places[id(a)] for a in node.args]))
    return (tuple(rows), tuple(places[id(tree)] for tree in trees)), numbers


class Recording:
    """What an update is for arrays of certain dtypes and certain numbers: which it writes, and the loop."""

    def __init__(self, update, arrays):
        leaves = [Symbol("argument", (), a.dtype, k) for k, a in enumerate(arrays)]
        cells = [Cell(leaf, a.dtype) for leaf, a in zip(leaves, arrays, strict=True)]
        update(*cells)
        self.written = tuple(k for k, cell in enumerate(cells) if cell.tree is not leaves[k])
        trees = [cells[k].tree for k in self.written]
        self.structure, self.constants = linear(trees)
        if not trees or len(self.constants) > MOST_NUMBERS or any(c.dtype.kind != "f" for c in self.constants):
            raise Unrecordable("nothing to write, or too many numbers")
        self.leaves, self.trees, self.loops = leaves, trees, {}
        self.numbers = [np.array(c.value, c.dtype) for c in self.constants]


def recorded(update, arrays):
    """The `Recording`, or False if there can't be one."""
    if any(a.dtype not in (F32, F64) for a in arrays):
        return False
    try:
        return Recording(update, arrays)
    except Exception:  # whatever a formula does with what isn't an array
        return False


_loops: dict[tuple, object] = {}
_layouts: dict[tuple, object] = {}


class Updates:
    """The updates of one step of one group of parameters, which share their numbers."""

    def __init__(self):
        self.recordings = {}

    def run(self, key, update, arrays):
        """Do to `arrays` what ``update(*arrays)`` would; False if it can't be done in one loop.

        Updates of the same `key`, dtypes and numbers of dimensions must be the same formula with the same numbers.
        """
        dtypes = tuple([a.dtype for a in arrays])
        recording = self.recordings.get((key, dtypes))
        if recording is None:
            recording = self.recordings[key, dtypes] = recorded(update, arrays)
        if not recording:
            return False
        place = (*[(a.shape, a.strides) for a in arrays], len(recording.numbers), recording.written, dtypes)
        found = _layouts.get(place)
        if found is None:
            if len(_layouts) > 4096:
                _layouts.clear()
            found = _layouts[place] = walk(recording, arrays)
        if not found:
            return False
        ways, packed = found
        if overlapping(arrays, recording.written):
            return False
        loop = recording.loops.get(ways)
        if loop is None:
            loop = recording.loops[ways] = loop_for(recording, arrays, ways)
        loop(packed, *map(id, arrays), *map(id, recording.numbers), *[id(arrays[k]) for k in recording.written])
        return True


def walk(recording, arrays):
    """(ways, layout) of the loop, or False."""
    shape = arrays[0].shape
    if any(a.shape != shape for a in arrays):
        return False
    outputs = [arrays[k] for k in recording.written]
    zeros = (0,) * len(shape)
    strides = [a.strides for a in arrays] + [zeros] * len(recording.numbers) + [a.strides for a in outputs]
    sizes = [a.dtype.itemsize for a in (*arrays, *recording.numbers, *outputs)]
    layout = Layout(shape, strides, sizes)
    if not layout.possible() or layout.inner < 2 or any(way != "vector" for way in layout.ways[-len(outputs) :]):
        return False
    return layout.ways, layout.packed()


def overlapping(arrays, written):
    """Whether an array that is written shares memory with another."""
    for k in written:
        for other, a in enumerate(arrays):
            if other != k and np.may_share_memory(arrays[k], a):
                return True
    return False


def loop_for(recording, arrays, ways):
    key = (recording.structure, ways)
    loop = _loops.get(key)
    if loop is None:
        outputs = [arrays[k].dtype for k in recording.written]
        leaves = [*recording.leaves, *recording.constants]
        dtypes = [leaf.dtype for leaf in leaves]
        text = loop_text(leaves, dtypes, ways[: len(leaves)], recording.trees, outputs, ["vector"] * len(outputs))
        address = native.compile_text(text, ["loop"])["loop"]
        loop = _loops[key] = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (len(ways) + 1))(address)
    return loop
