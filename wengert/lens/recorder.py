"""The recorder: while it is on, every operation leaves a note of where it was called.

Operations tell whoever listens (`rare.on_record`, `rare.on_result`) what they did; the recorder is such a listener. For
each result that came from a tensor with a gradient it makes a `Site`: the place in the program, names, shapes, and the
sites of the inputs. A node carries its site, and so does a tensor: through the sites one can walk back where the graph
itself has been cut, and say what was cut off.

Nothing is kept alive by it: sites hold no tensor and no node, and forget their inputs' sites after a few backward
passes, so what is remembered does not grow with the number of steps.
"""

import sys
import threading
import weakref

import wengert
from wengert.autograd.graph import AccumulateGrad, Output, grad_mode, rare
from wengert.lens.sites import NOWHERE, Cut, Leaf, Place, Site
from wengert.nn.modules.module import Module
from wengert.tensor import Tensor, new

_PACKAGE = wengert.__file__.rpartition("__init__")[0]

KEPT_PASSES = 8  # how many backward passes back a site still knows where its inputs came from
MOST_SITES = 1 << 15  # in one stretch between two passes; then the oldest forget as if a pass had gone by
MOST_FRAMES = 12  # of the call stack, from the innermost

current = None


def active():
    """The `Record` that is being made, or None."""
    return current


def is_ours(code):
    """Whether a piece of code belongs to this library (its examples and tests are programs like any other)."""
    return code.co_filename.startswith(_PACKAGE) or code.co_filename.startswith("<wengert")


_ours = {}  # id of a code object -> (the code, whether it is ours); holding the code keeps the id its own


def place_here(places):
    """The place from which this library was called."""
    frame = sys._getframe(2)
    key = []
    codes = []
    known = _ours
    while frame is not None:
        code = frame.f_code
        found = known.get(id(code))
        if found is None:
            found = known[id(code)] = (code, is_ours(code))
        if not found[1]:
            at = frame.f_lasti
            key.append(id(code))
            key.append(at)
            codes.append(code)
            if len(codes) == MOST_FRAMES:
                break
        frame = frame.f_back
    key = tuple(key)
    place = places.get(key)
    if place is None:
        place = places[key] = Place(tuple(zip(codes, key[1::2], strict=True)))
    return place


class _Calls(threading.local):
    """The modules whose forward is running in this thread, by their dotted paths below the outermost."""

    def __init__(self):
        self.paths = []
        self.table = None


CUT_BY = {"tensor": "torch.tensor(x)", "to": "integer cast"}


class Record:
    """What was remembered of a program while it ran.

    A context manager: remembering begins where its block is entered and ends with it; what was remembered stays to be
    asked. `site(node)` and `cuts` are the two questions from which all others are built.
    """

    def __init__(self):
        self.places = {}
        self.windows = [[]]  # the sites made before each of the last passes, oldest stretch first
        self.count = 0
        self.passes = 0
        self.calls = _Calls()
        self.tables = weakref.WeakKeyDictionary()  # outermost module -> paths of all below, by id
        self.not_finite = None  # the first site whose result was not finite though its inputs were
        self.previous = None

    # --- on and off -------------------------------------------------------------------------------------------------

    def __enter__(self):
        global current
        if current is not None:
            raise RuntimeError("lens.record() is on already: one record at a time")
        current = self
        rare.on_record.append(self.note_operation)
        rare.on_result.append(self.note_result)
        rare.enter()
        self.plain_call = Module.__call__
        Module.__call__ = calling(self, self.plain_call)
        return self

    def __exit__(self, *exc):
        global current
        Module.__call__ = self.plain_call
        rare.leave()
        rare.on_record.remove(self.note_operation)
        rare.on_result.remove(self.note_result)
        current = None

    # --- what can be asked ------------------------------------------------------------------------------------------

    def site(self, node):
        """The `Site` of a node of the graph; None if it was made while nothing was recorded."""
        if type(node) is Output:
            node = node.parent
        return None if node is None else node.site_

    @property
    def cuts(self):
        """The cuts made since a few backward passes ago, in order of time."""
        return [site.cut for window in self.windows for site in window if site.cut is not None]

    # --- operations -------------------------------------------------------------------------------------------------

    def note_operation(self, operation, values, result):
        """Observe a computed operation: `values` maps its parameters to its arguments."""
        parents, inputs, cut_from = (), [], None
        for value in values.values():
            kind = type(value)
            if kind is list or kind is tuple:
                inputs += [item for item in value if isinstance(item, Tensor)]
            elif isinstance(value, Tensor):
                inputs.append(value)
        for tensor in inputs:
            origin = tensor._origin
            node = tensor._node
            if node is not None:
                cut_from = node
                if origin is None:
                    origin = self.origin_of(tensor, node)
            if origin is not None:
                parents += (origin,)
        if not parents:
            if operation.__class__ is not None and inputs and result is inputs[0]:
                self.note_write(result, None)
            return
        results = result if type(result) is not Tensor and isinstance(result, (tuple, list)) else (result,)
        self.enter(operation, inputs, parents, results, cut_from)

    def enter(self, operation, inputs, parents, results, cut_from):
        """Make the site of an operation, and hang it on what it made."""
        site = new(Site)
        site.place = place_here(self.places)
        site.parents = parents
        site.inputs = [t._array.shape for t in inputs]
        site.module = self.calls.paths[-1] if self.calls.paths else ""
        self.count = site.seq = self.count + 1
        site.pass_number = self.passes
        site.cut = site.arrived = site.left = site.visited = None
        site.saved = None
        site.finite = True
        site.shape = site.dtype = node = None
        for tensor in results:
            if not isinstance(tensor, Tensor):
                continue
            if site.shape is None:
                site.shape, site.dtype = tensor._array.shape, tensor.dtype
            made = tensor._node
            if type(made) is AccumulateGrad:  # a leaf written in place stays what it is
                continue
            tensor._origin = site
            if made is not None:
                if type(made) is Output:
                    made = made.parent
                node = made
                made.site_ = site
        site.operation = node.name() if node is not None else getattr(operation, "name", str(operation))
        if results[0] is inputs[0]:
            self.note_write(results[0], site)
        if node is None and cut_from is not None and type(results[0]._node) is not AccumulateGrad:
            self.cut(self.kind_of(site, results[0]), site, cut_from, results[0])
        for parent in parents:
            if parent.cut is not None:
                parent.cut.take(site, node)
        self.keep(site)
        return site

    def kind_of(self, site, result):
        if grad_mode.inference:
            return "inference_mode"
        if not grad_mode.enabled:
            return "no_grad"
        return "integer cast" if site.operation == "to_copy" else "non-differentiable"

    def keep(self, site):
        window = self.windows[-1]
        window.append(site)
        if len(window) >= MOST_SITES:
            self.turn()

    def turn(self):
        """A stretch ends: what is older than a few stretches forgets where it came from."""
        self.windows.append([])
        if len(self.windows) > KEPT_PASSES:
            for site in self.windows.pop(0):
                site.parents = ()

    def origin_of(self, tensor, node):
        """The site of a tensor that has a place in the graph but none here: a leaf, or made before recording began."""
        if type(node) is AccumulateGrad:
            return self.leaf(tensor)
        if type(node) is Output:
            node = node.parent
        site = node.site_
        if site is None:
            site = self.blank(Site, NOWHERE, node.name(), tensor)
            node.site_ = site
        tensor._origin = site
        return site

    def blank(self, kind, place, operation, tensor, parents=()):
        site = new(kind)
        site.place, site.operation, site.parents = place, operation, parents
        site.inputs, site.module, site.saved = [], "", None
        site.shape, site.dtype = tensor._array.shape, tensor.dtype
        self.count = site.seq = self.count + 1
        site.pass_number, site.finite = self.passes, True
        site.cut = site.arrived = site.left = site.visited = None
        return site

    def leaf(self, tensor, place=NOWHERE, parents=()):
        """The site of a leaf, made when it is first met."""
        site = self.blank(Leaf, place, "leaf", tensor, parents)
        site._tensor = weakref.ref(tensor)
        site.name = None
        tensor._origin = site
        return site

    def cut(self, kind, site, node, result):
        site.cut = Cut(kind, site, node, result)

    def note_write(self, tensor, site):
        """A tensor was written in place: its memory remembers the place, for the error that backward may raise."""
        counter = tensor._counter
        if counter is not None:
            counter.written = place_here(self.places) if site is None else site.place

    # --- what the program takes out of the graph --------------------------------------------------------------------

    def note_result(self, kind, inputs, result, node):
        """Observe a tensor that leaves the graph: detached, made a number, rebuilt."""
        tensor = inputs[0]
        origin = tensor._origin
        if node is not None and origin is None:
            origin = self.leaf(tensor) if type(node) is AccumulateGrad else self.origin_of_node(node, tensor)
        if origin is None:
            return
        site = self.blank(Site, place_here(self.places), kind, tensor, (origin,))
        site.inputs = [tensor._array.shape]
        site.module = self.calls.paths[-1] if self.calls.paths else ""
        if node is not None:
            self.cut(CUT_BY.get(kind, kind), site, node, result)
        if result is not None:
            result._origin = site
        self.keep(site)

    def origin_of_node(self, node, tensor):
        if type(node) is Output:
            node = node.parent
        site = node.site_
        return site if site is not None else self.blank(Site, NOWHERE, node.name(), tensor)


def calling(record, plain):
    """`Module.__call__` while a record is made: it knows which module is at work."""
    calls = record.calls

    def __call__(self, *args, **kwargs):
        paths = calls.paths
        if not paths:
            calls.table = record.tables.get(self)
            if calls.table is None:
                calls.table = record.tables[self] = {}
            calls.root = weakref.ref(self)
        path = calls.table.get(id(self))
        if path is None:
            path = path_below(calls, self)
        paths.append(path)
        try:
            return plain(self, *args, **kwargs)
        finally:
            paths.pop()

    return __call__


def path_below(calls, module):
    """The dotted path of a module below the outermost, looked up anew because it was not known."""
    table = calls.table
    for name, below in calls.root().named_modules():
        table[id(below)] = name
    return table.setdefault(id(module), type(module).__name__)


def record():
    """A context manager that remembers, while its block runs, each operation's place and each cut of the graph.

    Returns the `Record`. Raises RuntimeError if a record is being made already.
    """
    return Record()
