"""The recorder: while it is on, every operation leaves a note of where it was called.

Operations tell whoever listens (`rare.on_record`, `rare.on_result`) what they did; the recorder is such a listener. For
each result that came from a tensor with a gradient it makes a `Site`: the place in the program, names, shapes, and the
sites of the inputs. A node carries its site, and so does a tensor: through the sites one can walk back where the graph
itself has been cut, and say what was cut off.

Nothing is kept alive by it: sites hold no tensor and no node, and forget their inputs' sites after a few backward
passes, so what is remembered does not grow with the number of steps.
"""

import traceback
import warnings
import weakref
from collections import deque
from contextlib import nullcontext

import numpy as np
from numpy import ndarray

from wengert.autograd import engine
from wengert.autograd.graph import AccumulateGrad, Node, Output, grad_mode, rare
from wengert.kernels.shape import root_of
from wengert.lens.names import name_of_module
from wengert.lens.places import PLACES, calls, nearest_place, place_here, watcher_of
from wengert.lens.sites import NOWHERE, Cut, Leaf, Site, Whole, leaf_behind, leaf_site, user_frames
from wengert.lens.sizes import FLOAT32, INFINITY, exact_size, size_of
from wengert.nn.modules.module import watch_calls
from wengert.optim import optimizer as optimizers
from wengert.tensor import Parameter, Tensor, new

KEPT_PASSES = 8  # how many backward passes back a site still knows where its inputs came from
MOST_SITES = 1 << 15  # in one stretch between two passes; then the oldest forget as if a pass had gone by
MOST_WHOLES = 256  # modules called on their own, before those that are gone are forgotten
MOST_INSIDE = 4096  # parameters remembered as used inside of Functions
MOST_NUMBERS = 256  # Python numbers taken out of tensors that are recognised when they come back

current = None
last = None


def active():
    """The `Record` that is being made, or None."""
    return current


CUT_BY = {"tensor": "torch.tensor(x)", "to": "integer cast", "Parameter": "Parameter(x)"}


class Record:
    """What was remembered of a program while it ran.

    A context manager: remembering begins where its block is entered and ends with it; what was remembered stays to be
    asked. `site(node)` and `cuts` are the two questions from which all others are built.
    """

    def __init__(self):
        self.places = PLACES
        self.windows = [[]]  # the sites made before each of the last passes, oldest stretch first
        self.count = 0
        self.passes = 0
        self.calls = calls
        self.wholes = {}  # id of an outermost module -> its `Whole`
        self.names = {}  # class of nodes that has its name to itself -> the name
        self.numbers = {}  # id of a number taken out of a tensor -> (the number, the site)
        self.arrays = deque(maxlen=64)  # arrays that share memory with a tensor: (weak reference, site)
        self.inside = {}  # id of a parameter used in the forward of a Function -> (weak reference, place)
        self.freezes = {}  # line that turned requires_grad off -> how many passes had run, the last time
        self.exported = None  # the site where a value last left for plain Python or NumPy
        self.optimizers = weakref.WeakKeyDictionary()  # optimizer -> the places where it was given parameters
        self.resets = deque(maxlen=64)  # where gradients were dropped: (place, passes run before, weak owner)
        self.steps = deque(maxlen=64)  # where optimizers stepped: (place, passes run before, weak optimizer)
        self.sent = None, None  # a gradient just measured, and its size
        self.bad_gradient = None  # the first site whose derivative was not finite though what arrived was: (site, pass)

    note_call = None  # told of each call of a module that the program makes itself
    pass_place = None  # where the last backward pass was called, if that is known

    # --- on and off -------------------------------------------------------------------------------------------------

    def __enter__(self):
        global current, last
        if current is not None:
            raise RuntimeError("lens.record() is on already: one record at a time")
        current = last = self
        calls.passes = 0
        self.listeners = [
            (rare.on_record, self.note_operation),
            (rare.on_composite, guarded(self.note_composite)),
            (rare.on_result, guarded(self.note_result)),
            (rare.on_pass, guarded(self.note_pass)),
        ]
        for listeners, listener in self.listeners:
            listeners.append(listener)
        rare.enter()
        rare.lookers += 1
        engine.recorder = self.watch
        watch_calls(watcher_of(self))
        self.handles = [
            optimizers.register_optimizer_step_pre_hook(guarded(self.before_step)),
            optimizers.register_optimizer_step_post_hook(guarded(self.after_step)),
        ]
        return self

    def __exit__(self, *exc):
        global current
        for handle in self.handles:
            handle.remove()
        watch_calls(None)
        engine.recorder = None
        rare.lookers -= 1
        rare.leave()
        for listeners, listener in self.listeners:
            listeners.remove(listener)
        current = None

    # --- what can be asked ------------------------------------------------------------------------------------------

    def site(self, node):
        """The `Site` of a node of the graph; None if it was made while nothing was recorded."""
        if type(node) is Output:
            node = node.parent
        return None if node is None else node.site_

    @property
    def sites(self):
        """The sites of the last few stretches between backward passes, in order of time."""
        return [site for window in self.windows for site in window]

    @property
    def cuts(self):
        """The cuts made since a few backward passes ago, in order of time."""
        return [site.cut for window in self.windows for site in window if site.cut is not None]

    def enter_whole(self, module):
        """The `Whole` of a module that is called on its own, named as the program that calls it names it."""
        if len(self.wholes) >= MOST_WHOLES:
            for key in [key for key, whole in self.wholes.items() if whole.module is None]:
                del self.wholes[key]
        whole = self.wholes[id(module)] = Whole(module, name_of_module(module, user_frames(2)))
        return whole

    @property
    def modules(self):
        """The modules, still alive, that the program called on their own."""
        return [module for module in (whole.module for whole in self.wholes.values()) if module is not None]

    # --- operations -------------------------------------------------------------------------------------------------

    def note_operation(self, operation, values, result):
        """Observe a computed operation: `values` maps its parameters to its arguments."""
        if rare.inside.functions:
            if not (grad_mode.enabled or len(self.inside) >= MOST_INSIDE):
                self.note_inside(values)
            return
        try:  # as `guarded` does, without a frame of its own
            parents, shapes, first, cut_from = (), [], None, None
            for value in values.values():
                if isinstance(value, Tensor):
                    if first is None:
                        first = value
                    shapes.append(value._array.shape)
                    origin = value._origin
                    node = value._node
                    if node is not None:
                        cut_from = node
                        if origin is None:
                            origin = self.origin_of(value, node)
                    if origin is not None:
                        parents += (origin,)
                elif value.__class__ is list or value.__class__ is tuple:
                    for item in value:
                        if isinstance(item, Tensor):
                            if first is None:
                                first = item
                            shapes.append(item._array.shape)
                            origin = item._origin
                            if item._node is not None:
                                cut_from = item._node
                                if origin is None:
                                    origin = self.origin_of(item, item._node)
                            if origin is not None:
                                parents += (origin,)
                elif value.__class__ is float and id(value) in self.numbers:
                    parents += (self.numbers[id(value)][1],)
            if not parents:
                if first is not None:
                    if result is first:
                        self.note_write(result, None)
                    if result.__class__ is Tensor:
                        self.note_data(operation, values, result)
                return
            site = new(Site)
            # The frames between are the recorder's and the operation's. All who called are asked for only where nothing
            # is recorded: it is they who may have said so.
            running = calls.running
            call = running[-1] if running else None
            site.part = None if call is None else call.part
            if not grad_mode.enabled:
                site.place = place_here(self.places, 3)
            elif call is not None and call.sealed and call.nearest is not None:
                site.place = call.nearest
            else:
                site.place = nearest_place(self.places, 3)
            site.parents = parents
            site.inputs = shapes
            self.count = site.seq = self.count + 1
            site.pass_number = self.passes
            site.cut = site.arrived = site.left = site.fault = None
            site.visited = 0
            site.zero = False
            node = result._node if result.__class__ is Tensor else None
            site.operation = self.names.get(node.__class__)
            if site.operation is not None:  # the usual case of `hang`
                site.shape, site.dtype = result._array.shape, result.dtype
                node.site_ = result._origin = site
            else:
                result, node = self.hang(site, operation, result, cut_from)
                if result is None:
                    return
            if result is first:
                self.note_write(result, site)
            for parent in parents:
                if parent.cut is not None:
                    parent.cut.take(site, node)
            size = size_of(result._array)
            if size == 0.0:
                site.zero = True
            elif not size < INFINITY and result.dtype.differentiable:
                site.fault = self.fault_of(site, values, result)
            window = self.windows[-1]
            window.append(site)
            if len(window) >= MOST_SITES:
                self.turn()
        except Exception:
            tell_failure()

    def note_data(self, operation, values, result):
        """An operation on data alone is of interest only where it makes zeros, or no numbers, of what was neither."""
        array = result._array
        size = size_of(array) if array.size else 1.0
        if 0.0 < size < INFINITY:
            return
        given = [value._array for value in flat(list(values.values())) if isinstance(value, Tensor)]
        if size == 0.0:
            fresh = array.dtype.kind in "bfc" and any(a.any() for a in given)
        else:
            fresh = result.dtype.differentiable and all(np.isfinite(a).all() for a in given if a.dtype.kind in "fc")
        if fresh and result._origin is None:
            site = self.blank(Site, place_here(self.places, 3), getattr(operation, "name", str(operation)), result)
            site.zero = size == 0.0
            site.fault = None if site.zero else ("data", bool(np.isnan(array).any()))
            result._origin = site

    def note_inside(self, values):
        """An operation in the forward of a user's Function, which counts as one operation: it may use leaves."""
        for value in values.values():
            if isinstance(value, Parameter) and value._node is not None:
                self.inside.setdefault(id(value), (weakref.ref(value), place_here(self.places, 3)))

    def note_composite(self, operation, args, kwargs, result):
        """Observe an operation written with others, where these said nothing of the result."""
        one = result[0] if isinstance(result, (tuple, list)) and result else result
        if not isinstance(one, Tensor):
            return
        values = (*args, *kwargs.values())
        if one._origin is not None:
            self.note_choices(one._origin, values)
        elif (one._node is None or one._node.site_ is None) and not any(one is value for value in values):
            self.note_operation(operation, dict(enumerate(values)), result)

    def note_choices(self, site, values):
        """Indices and masks that an operation took in as plain arrays: what it made comes from them, too."""
        for value in values:
            origin = value._origin if isinstance(value, Tensor) and not value.dtype.differentiable else None
            if origin is not None and origin.seq < site.seq and origin not in site.parents:
                site.parents += (origin,)
                if origin.cut is not None:
                    origin.cut.take(site, None)

    def hang(self, site, operation, result, cut_from):
        """Hang a site on what its operation made: results of any kind, cut off or not.

        Returns (the first tensor among the results, or None; its node).
        """
        if getattr(operation, "name", "").endswith("_like"):  # takes a shape, no value
            return None, None
        first = node = None
        bare = []
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if not isinstance(tensor, Tensor):
                continue
            if first is None:
                first = tensor
                site.shape, site.dtype = tensor._array.shape, tensor.dtype
            made = tensor._node
            if made is not None:
                if made.__class__ is not AccumulateGrad:
                    node = made.parent if made.__class__ is Output else made
                    node.site_ = site
                elif not made.hidden:  # a leaf written in place stays what it is; a hidden one is a view cut off
                    continue
            elif first is not result:
                bare.append(tensor)
            tensor._origin = site
        if first is not None:
            site.operation = node.name() if node is not None else getattr(operation, "name", str(operation))
            if node is not None and node is first._node and node.__class__.name is Node.name:
                self.names[node.__class__] = site.operation
            if node is None and cut_from is not None and (first._node is None or first._node.hidden):
                self.cut(self.kind_of(site), site, cut_from, first)
            elif bare and node is not None:
                self.note_bare(site, bare, node)
        return first, node

    def note_bare(self, site, results, node):
        """Some of an operation's results have no derivative, as the indices of a maximum: they are cut off from it."""
        for tensor in results:
            name = site.operation.partition("Backward")[0].lower()
            cut = self.blank(Site, site.place, f"{name} (indices)", tensor, (site,))
            self.cut("non-differentiable", cut, node, tensor)
            self.windows[-1].append(cut)
            tensor._origin = cut

    def kind_of(self, site):
        if not grad_mode.enabled:
            return "inference_mode" if grad_mode.inference else "no_grad"
        return "integer cast" if site.operation == "to_copy" else "non-differentiable"

    def fault_of(self, site, values, result):
        """Where infinity or NaN in a result came from, and whether it is NaN: see `Site`."""
        is_nan = bool(np.isnan(result._array).any())
        if any(parent.fault is not None and parent.fault[1] >= is_nan for parent in site.parents):
            return "came in", is_nan
        inputs = [value for value in flat(list(values.values())) if isinstance(value, Tensor)]
        data = [t for t in inputs if t.dtype.differentiable and t._origin is None]
        for t in data:
            if np.isnan(t._array).any() if is_nan else not np.isfinite(t._array).all():
                written = getattr(t._counter, "written", None)
                if written is None or not written.frames:
                    return "data", is_nan
                t._origin = self.blank(Site, written, "write", t)
                t._origin.fault = "data", is_nan
                site.parents += (t._origin,)
                return "came in", is_nan
        return "told" if site.operation.startswith(
            ("MaskedFill", "masked_fill", "Where", "where")
        ) else "made here", is_nan

    def turn(self):
        """A stretch ends: what is older than a few stretches forgets where it came from."""
        self.windows.append([])
        if len(self.windows) > KEPT_PASSES:
            for site in self.windows.pop(0):
                if site.operation != "requires_grad_(False)":  # its parent is a leaf, and says which
                    site.parents = ()
                if site.cut is not None:
                    site.cut.took.clear()

    def origin_of(self, tensor, node):
        """The site of a tensor that has a place in the graph but none here: a leaf, or made before recording began."""
        if type(node) is AccumulateGrad:
            return self.leaf(tensor)
        if type(node) is Output:
            node = node.parent
        site = node.site_
        if site is None:
            site = self.blank(Site, self.place_of_source(node), node.name(), tensor)
            node.site_ = site
        tensor._origin = site
        return site

    def place_of_source(self, node):
        """The place of a node that nobody announced: that of the write that made it, if it follows one."""
        for edge in node.edges:
            site = None if edge is None else self.site(edge)
            if site is not None and type(edge).__name__ == "CopySlices":
                return site.place
        return NOWHERE

    def blank(self, kind, place, operation, tensor, parents=()):
        site = new(kind)
        site.place, site.operation, site.parents = place, operation, parents
        site.inputs = []
        running = calls.running
        site.part = running[-1].part if running else None
        site.shape, site.dtype = tensor._array.shape, tensor.dtype
        self.count = site.seq = self.count + 1
        site.pass_number, site.visited = self.passes, 0
        site.fault = site.cut = site.arrived = site.left = None
        site.zero = False
        return site

    def leaf(self, tensor, place=NOWHERE, parents=()):
        """The site of a leaf, made when it is first met."""
        site = self.blank(Leaf, place, "leaf", tensor, parents)
        site._tensor = weakref.ref(tensor)
        site.is_parameter = isinstance(tensor, Parameter)
        site.made = place
        tensor._origin = site
        if tensor._node is not None:
            tensor._node.site_ = site
        return site

    def cut(self, kind, site, node, result):
        site.cut = Cut(kind, site, node, result if isinstance(result, Tensor) else None)

    def note_write(self, tensor, site):
        """A tensor was written in place: its memory remembers the place, for the error that backward may raise."""
        place = place_here(self.places) if site is None else site.place
        if tensor._counter is not None:
            tensor._counter.written = place
        leaf = leaf_behind(tensor._origin if site is None else site.parents[0])
        if leaf is not None and place.frames:
            leaf.made = place

    # --- what leaves the graph, and what comes back -----------------------------------------------------------------

    def note_result(self, kind, inputs, result, node):
        """Observe what is no operation: a tensor detached, made a number, rebuilt; gradients dropped."""
        handler = HANDLERS.get(kind)
        if handler is not None:
            handler(self, inputs[0] if inputs else None, result, node)
            return
        if rare.inside.functions:
            return
        tensor = inputs[0]
        origin = self.origin_or_none(tensor, node)
        if origin is None:
            return
        site = self.site_of_result(kind, tensor, origin)
        if node is not None:
            self.cut(CUT_BY.get(kind, kind), site, node, result)
        if isinstance(result, Tensor):
            result._origin = site
            return
        self.exported = site
        if type(result) is float:
            if len(self.numbers) >= MOST_NUMBERS:
                del self.numbers[next(iter(self.numbers))]
            self.numbers[id(result)] = (result, site)
        elif isinstance(result, np.ndarray):
            self.arrays.append((weakref.ref(root_of(result)), site))

    def origin_or_none(self, tensor, node):
        origin = tensor._origin
        if origin is not None or node is None:
            return origin
        if type(node) is AccumulateGrad:
            return self.leaf(tensor)
        if type(node) is Output:
            node = node.parent
        return node.site_ if node.site_ is not None else self.blank(Site, NOWHERE, node.name(), tensor)

    def site_of_result(self, kind, tensor, *parents):
        site = self.blank(Site, place_here(self.places, 2), kind, tensor, parents)
        site.inputs = [tensor._array.shape]
        self.windows[-1].append(site)
        return site

    def note_requires_grad(self, tensor, asked, node):
        """A tensor was told to require grad, or not to; `node` is what it had before."""
        if asked and node is None:
            origin = tensor._origin
            before = leaf_site(tensor)
            if isinstance(before, Leaf) and before.tensor is tensor:  # off for a while, and on again
                tensor._origin = tensor._node.site_ = before
                return
            parents = () if origin is None else (origin,)
            self.leaf(tensor, place_here(self.places, 1), parents)
        elif not asked and type(node) is AccumulateGrad:
            site = self.site_of_result("requires_grad_(False)", tensor, self.origin_or_none(tensor, node))
            self.cut("requires_grad_(False)", site, node, tensor)
            self.freezes[site.place.shown[:2]] = self.passes
            tensor._origin = site

    def note_entered(self, data, tensor, node):
        """A tensor is made of Python or NumPy data: perhaps of what was taken out of a tensor before."""
        given = [t for t in flat(data) if isinstance(t, Tensor)] if isinstance(data, (list, tuple)) else []
        origins = [self.origin_or_none(t, t._node) for t in given]
        if any(origins):
            site = self.site_of_result("tensor", tensor, *[o for o in origins if o is not None])
            node = next((t._node for t in given if t._node is not None), None)
            if node is not None:
                self.cut("torch.tensor(x)", site, node, tensor)
            tensor._origin = site
            return
        if self.exported is None:
            return
        if type(data) is float:
            known = [self.numbers[id(data)][1]] if id(data) in self.numbers else []
        elif isinstance(data, np.ndarray):
            root = root_of(data)
            known = [site for reference, site in self.arrays if reference() is root]
        else:
            known = [self.numbers[id(x)][1] for x in flat(data) if id(x) in self.numbers]
        site = self.blank(Site, place_here(self.places, 1), "entered", tensor, tuple(dict.fromkeys(known)))
        for parent in site.parents:
            if parent.cut is not None:
                parent.cut.take(site, None)
        self.windows[-1].append(site)
        tensor._origin = site

    def note_grad(self, outputs, results, create_graph):
        """`autograd.grad` gave these gradients; without create_graph they are numbers only."""
        for output in () if create_graph else outputs:
            node = output._node if isinstance(output, Tensor) else None
            origin = None if node is None else self.origin_or_none(output, node)
            for result in results if origin is not None else ():
                if isinstance(result, Tensor) and result._origin is None:
                    site = self.site_of_result("grad", output, origin)
                    self.cut("autograd.grad", site, node, result)
                    result._origin = site

    def note_reset(self, owner):
        """`zero_grad` of an optimizer or a module."""
        self.resets.append((nearest_place(self.places, 4), self.passes, weakref.ref(owner)))

    # --- optimizers and the backward pass ---------------------------------------------------------------------------

    def note_optimizer(self, optimizer):
        self.optimizers.setdefault(optimizer, place_here(self.places))

    def holders_of(self, parameter):
        """The optimizers, met while recording, that hold a parameter; None if none was met at all."""
        known = list(self.optimizers)
        held = [o for o in known if any(p is parameter for group in o.param_groups for p in group["params"])]
        return held if known else None

    def before_step(self, optimizer, args, kwargs):
        self.steps.append((nearest_place(self.places, 3), self.passes, weakref.ref(optimizer)))

    def after_step(self, optimizer, args, kwargs):
        place = self.steps[-1][0] if self.steps else NOWHERE
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p._counter is not None:
                    p._counter.written = place

    def note_pass(self, nodes, wanted, over):
        """A backward pass begins or is over."""
        if not over:
            self.calls.passes += 1
            if self.calls.passes == 1:
                self.passes += 1
            return
        self.calls.passes -= 1
        self.sent = None, None
        if not self.calls.passes:
            self.turn()

    def watch(self, node, g, keep, on_tensors):
        """Run `node` in the backward pass's stead, and remember how large the gradients were (squared)."""
        if on_tensors:
            results = node.apply_graph(g)
            if not keep:
                node.release()
        else:
            results = node.apply(g, keep)
        site = node.site_
        if site is not None:
            site.visited = self.passes
            sent, size = self.sent
            site.arrived = arrived = size if g is sent else size_of(g)
            site.left = left = []
            for d in results:
                size = None
                if d is not None:
                    if d.__class__ is ndarray and d.dtype is FLOAT32:  # as `size_of` begins, without a call
                        flat_d = d if d.ndim == 1 else d.ravel("K")
                        size = float(flat_d.dot(flat_d))
                        if not 0.0 < size < INFINITY:
                            size = exact_size(d)
                    else:
                        size = size_of(d)
                    if not size < INFINITY and arrived < INFINITY and self.bad_gradient is None:
                        self.bad_gradient = (site, self.passes)
                left.append(size)
            edge = node.edges[0]
            if edge is not None and edge.__class__ is not AccumulateGrad:
                self.sent = results[0], left[0]  # what comes to the next node, in most cases
        return results


HANDLERS = {
    "requires_grad_": Record.note_requires_grad,
    "entered": Record.note_entered,
    "zero_grad": lambda record, _, owner, node: record.note_reset(owner),
    "written": lambda record, tensor, *_: record.note_write(tensor, None),
    "grad": Record.note_grad,
    "optimizer": lambda record, optimizer, *_: record.note_optimizer(optimizer),
}


def flat(data, most=256):
    """The first numbers in nested sequences."""
    found, stack = [], [data]
    while stack and len(found) < most:
        value = stack.pop()
        if isinstance(value, (list, tuple)):
            stack.extend(value[:most])
        else:
            found.append(value)
    return found


def guarded(listener):
    """`listener` (of three or four arguments), whose own faults are told and never reach the program it watches."""

    def told(a, b, c, *d):
        try:
            listener(a, b, c, *d)
        except Exception:
            tell_failure()

    return told


def tell_failure():
    warnings.warn(f"wengert.lens failed and missed something:\n{traceback.format_exc()}", stacklevel=2)


def record():
    """A context manager that remembers, while its block runs, each operation's place and each cut of the graph.

    Returns the `Record`. Where one is being made already (as by `wengert explain`), that one goes on.
    """
    return Record() if current is None else nullcontext(current)
