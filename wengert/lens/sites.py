"""Where an operation was called, and where the graph was cut: what the recorder keeps of a program.

A `Place` is a point of the program: the call stack outside of this library, innermost first. There are as many as the
program has places, however long it runs. A `Site` is one operation at a place: names, shapes, and the sites that its
inputs came from. It holds no tensor and no node. A `Cut` marks a site whose result has lost its way back to the leaves.
"""

import ast
import functools
import itertools
import linecache
import os
import sys
import sysconfig
import weakref

import numpy as np

from wengert.kernels.shape import root_of
from wengert.tensor import Tensor

# Code that is nobody's program: the standard library and installed packages. A place is named by the innermost frame
# outside of them.
_INSTALLED = tuple(
    os.path.realpath(path) + os.sep
    for path in {sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
)


@functools.cache
def is_installed(filename):
    """Whether a file belongs to Python or to an installed package rather than to the program."""
    return filename.startswith("<frozen") or os.path.realpath(filename).startswith(_INSTALLED)


class Place:
    """A point of the program: (code, instruction) of each of its own frames, innermost first."""

    __slots__ = ("frames", "_shown")

    def __init__(self, frames):
        self.frames = frames
        self._shown = None

    @property
    def shown(self):
        """The innermost frame, by which the place is named, with its line: (code, line)."""
        if self._shown is None:
            self._shown = (self.frames[0][0], line_of(*self.frames[0])) if self.frames else (None, 0)
        return self._shown

    @property
    def file(self):
        code = self.shown[0]
        return code.co_filename if code is not None else "<unknown>"

    @property
    def line(self):
        return self.shown[1]

    @property
    def function(self):
        code = self.shown[0]
        return code.co_name if code is not None else "<unknown>"

    @property
    def text(self):
        """The line of source, without its indentation."""
        code = self.shown[0]
        return source_line(code.co_filename, self.line) if code is not None else ""

    @property
    def callers(self):
        """The places from which this one was reached, the nearest first, as (file, line, function)."""
        return tuple((code.co_filename, line_of(code, at), code.co_name) for code, at in self.frames[1:])

    def at_line(self, line):
        """A place on another line of the same file."""
        place = Place(self.frames[:1])
        place._shown = (self.frames[0][0], line)
        return place

    def __str__(self):
        return f"{short(self.file)}:{self.line}"

    def __repr__(self):
        return f"<place {self}>"


NOWHERE = Place(())


def line_of(code, instruction):
    """The line of the instruction at this offset of the code."""
    position = next(itertools.islice(code.co_positions(), instruction // 2, None), None)
    return (position and position[0]) or code.co_firstlineno


def source_line(filename, line):
    return linecache.getline(filename, line).strip()


def short(filename):
    """A file's name as it is shown: below the program's directory or the working one with its path, else without."""
    if filename.startswith("<"):
        return filename
    program = getattr(sys.modules.get("__main__"), "__file__", None) or os.getcwd()
    below = [d + os.sep for d in (os.path.dirname(os.path.abspath(program)), os.getcwd())]
    return min(
        (filename[len(d) :] for d in below if filename.startswith(d)), key=len, default=os.path.basename(filename)
    )


@functools.lru_cache(maxsize=256)
def parsed(filename):
    """The syntax tree of a source file; None where it can't be had."""
    source = "".join(linecache.getlines(filename))
    try:
        return ast.parse(source) if source else None
    except SyntaxError:
        return None


class Whole:
    """A module that the program calls on its own, not from inside of another: with its parts, itself among them.

    `name` is what the program calls it, "" where that is not known; `parts` finds a `Part` by its module's id.
    """

    __slots__ = ("name", "parts", "_module")

    def __init__(self, module, name):
        self.name = name
        self.parts = {}
        self._module = weakref.ref(module)

    module = property(lambda self: self._module())

    def part(self, module):
        """The part that a module is, looked up anew because it was not known: it may have come in later."""
        for path, below in self._module().named_modules():
            if id(below) not in self.parts or self.parts[id(below)].module is not below:
                self.parts[id(below)] = Part(self, path, below)
        found = self.parts.get(id(module))
        if found is None:  # made in a forward, or kept from `named_modules` in a list
            found = self.parts[id(module)] = Part(self, type(module).__name__, module)
        return found


class Part:
    """A module where it stands in its `Whole`: `below` is its path there, `path` begins with the whole's name.

    It is `sealed` if only this library's code runs in its forward, but for that of modules.
    """

    __slots__ = ("whole", "below", "sealed", "_module")

    def __init__(self, whole, below, module):
        from wengert.lens.places import is_sealed

        self.whole, self.below, self._module = whole, below, weakref.ref(module)
        self.sealed = "forward" not in module.__dict__ and is_sealed(type(module))

    module = property(lambda self: self._module())

    @property
    def path(self):
        return ".".join(filter(None, (self.whole.name, self.below)))


class Site:
    """One operation where it was called.

    Attributes:
        file, line, function, text: the place in the program, and its line of source.
        operation: the name of the node (``MulBackward0``), or of the operation where nothing was recorded.
        inputs: shapes of the inputs; shape, dtype: of the result.
        module: the dotted path of the module in whose forward it ran, as the program names it (``net.encoder.fc1``);
            "" outside of any. part: the same as a `Part`, or None.
        seq: the number of the operation in order of time; pass_number: how many backward passes had run before.
        parents: the sites of the inputs, for as long as it is remembered.
        cut: the `Cut` made here, or None.
        arrived, left: sizes (sums of squares) of the gradient that last arrived at the node, and of those for each
            input; None before backward.
        fault: None if the result was finite; else (how, NaN or not): whether it "came in" with an input, was in the
            "data", or was "made here", by an operation that was "told" to or not.
        zero: whether every number of the result was 0.
        visited: the number of the last backward pass that ran through it.
    """

    __slots__ = (
        "place", "operation", "inputs", "shape", "dtype", "part", "seq", "pass_number", "parents", "cut",
        "arrived", "left", "fault", "zero", "visited", "__weakref__",
    )  # fmt: skip

    file = property(lambda self: self.place.file)
    line = property(lambda self: self.place.line)
    function = property(lambda self: self.place.function)
    text = property(lambda self: self.place.text)
    module = property(lambda self: "" if self.part is None else self.part.path)

    def __repr__(self):
        return f"<{self.operation} at {self.place}>"


class Leaf(Site):
    """Where a path begins: a tensor that asks for gradients, with the place where it first did so.

    `made` is the place where the program itself last gave it its numbers: its making, or a write in place.
    """

    __slots__ = ("_tensor", "is_parameter", "made")

    @property
    def tensor(self):
        """The leaf, or None if it is gone."""
        return self._tensor()


def leaf_behind(site):
    """The leaf of which a site is an alias or a part, made by `.data`, detach() or an index; None if it is of none."""
    while site is not None and not isinstance(site, Leaf):
        site = site.parents[0] if site.operation in ALIASES and site.parents else None
    return site


WINDOWS = frozenset(
    {"select", "slice", "view", "as_strided", "transpose", "t", "unsqueeze", "squeeze", "expand", "permute"}
)
ALIASES = WINDOWS | {"data", "detach", "requires_grad_(False)"}


def leaf_site(tensor):
    """The site of a leaf, also where it has been told since not to require grad."""
    origin = tensor._origin
    while origin is not None and origin.cut is not None and origin.cut.kind == "requires_grad_(False)":
        origin = origin.parents[0] if origin.parents else None
    return origin


class Cut:
    """A value that lost its way back: what cut it, where, and where the cut value goes on.

    Attributes:
        kind: "detach", "detach_", "data", "item", "tolist", "numpy", "no_grad", "inference_mode", "non-differentiable",
            "integer cast", "requires_grad_(False)", "torch.tensor(x)" or "Function returned None".
        site: the operation that cut.
        node: the node cut from, or None if it is gone (it is held weakly).
        result: the tensor that came out, or None.
        consumers: the nodes, still alive, of the operations that took the cut value in.
    """

    __slots__ = ("kind", "site", "_node", "_result", "_consumers", "took")

    def __init__(self, kind, site, node, result):
        self.kind, self.site = kind, site
        self._node = None if node is None else weakref.ref(node)
        self._result = None if result is None else weakref.ref(result)
        self._consumers = []
        self.took = []  # the sites that took it in

    node = property(lambda self: self._node and self._node())
    result = property(lambda self: self._result and self._result())

    @property
    def source(self):
        """The site of the value that was cut off, or None."""
        return self.site.parents[0] if self.site.parents else None

    @property
    def consumers(self):
        return [node for node in (reference() for reference in self._consumers) if node is not None]

    def take(self, site, node):
        """Note an operation that the cut value enters."""
        if len(self.took) < 64:
            self.took.append(site)
            if node is not None:
                self._consumers.append(weakref.ref(node))

    def __repr__(self):
        return f"<cut by {self.kind} at {self.site.place}>"


def user_frames(skip=1):
    """The program's own Python frames, innermost first."""
    from wengert.lens.places import is_ours

    frame = sys._getframe(skip)
    found = []
    while frame is not None:
        code = frame.f_code
        if not is_ours(code) and not is_installed(code.co_filename):
            found.append(frame)
        frame = frame.f_back
    return found


def kept_by(node):
    """The arrays that a node keeps for its derivative; none once they were freed."""
    found = []
    kind = type(node)
    names = {"s_saved", "s_tensors", "s_indices"}
    for slots in (kind.saved_tensors, kind.__dict__.get("kept")):
        names |= set(slots) if isinstance(slots, tuple) else set()
    stack = [getattr(node, name, None) for name in names]
    while stack:
        value = stack.pop()
        if isinstance(value, np.ndarray):
            found.append(value)
        elif isinstance(value, Tensor):
            found.append(value._array)
        elif isinstance(value, (tuple, list)):
            stack.extend(value)
    return found


def bytes_kept_by(node):
    """How many bytes a node keeps for its derivative, each piece of memory counted once."""
    return sum({id(root): root.nbytes for root in map(root_of, kept_by(node))}.values())
