"""The backward pass.

Nodes are visited newest first: a node's inputs are older than itself, so when the newest waiting node runs, all its
uses have run. A heap of waiting nodes and a dict of gathered gradients are all the state there is; nothing recurses.
Leaves never enter the heap: what is left in the dict at the end is theirs.

The pass runs on raw arrays, or, under ``create_graph=True``, on Tensors, so that it is itself recorded.
"""

import threading
import warnings
from heapq import heappop, heappush
from itertools import count
from math import prod
from operator import add
from sys import getrefcount

import numpy as np

from wengert.autograd import graph
from wengert.autograd.graph import AccumulateGrad, Output, grad_mode, rare
from wengert.dtypes import TENSOR_TYPE_NAMES
from wengert.kernels import sums
from wengert.kernels.copies import copied, fill
from wengert.kernels.sparse import SparseArray
from wengert.ops.declare import overriding
from wengert.size import Size
from wengert.tensor import Tensor, new, wrap

_leaf_lock = threading.Lock()


class _State(threading.local):
    duals = 0  # how many forward-mode levels are open: then the pass runs on tensors, for these carry tangents

    def __init__(self):
        self.passes = []


state = _State()
anomaly = None  # while anomaly mode is on: runs a node in place of the pass, see `wengert.autograd.anomaly`
recorder = None  # likewise while `wengert.lens` records


next_pass = count().__next__


class Pass:
    """One running backward pass, for whoever asks from inside of it."""

    __slots__ = ("roots", "reach", "wanted", "callbacks", "number", "_reachable", "__weakref__")

    def __init__(self, roots, reach, wanted):
        self.roots, self.reach, self.wanted = roots, reach, wanted
        self.callbacks = None  # what is to be called when the pass is over
        self.number = next_pass()
        self._reachable = None

    def will_run(self, node):
        """Whether this pass computes the gradient that arrives at `node`."""
        if self.reach is not None and node not in self.reach and node not in self.wanted:
            return False
        if self._reachable is None:
            self._reachable = seen = set(self.roots)
            stack = list(seen)
            while stack:
                for edge in stack.pop().edges:
                    if edge is not None and edge not in seen:
                        seen.add(edge)
                        stack.append(edge)
        return node in self._reachable


def run(nodes, grads, keep, create_graph, wanted=None, leaves=None):
    """Propagate `grads` (arrays, or tensors under create_graph or forward mode) from `nodes`.

    Args:
        wanted: nodes whose gathered gradient is asked for; a dict from node to it is returned. None for all leaves'
        `.grad`.
        leaves: with `wanted`, whether the gradients go into `.grad` of those leaves rather than into the result.
    """
    pending = {}
    ready = []
    node = None  # the one node that waits, while there is only one: a chain passes through no heap
    if len(nodes) == 1 and nodes[0].seq:
        (node,), (g,) = nodes, grads
    else:
        for root, g in zip(nodes, grads, strict=True):
            previous = pending.get(root)
            if previous is None:
                pending[root] = g
                if root.seq:
                    heappush(ready, (root.seq, root))
            else:
                pending[root] = previous + g
    grads = None
    captured = {}
    reach = None if wanted is None else reaching(nodes, wanted)
    if leaves:  # a gradient that `.grad` is to keep goes through its node, with the hooks of that
        reach |= {node for node in wanted if node.seq}
    on_tensors = create_graph or state.duals > 0
    plus = add if on_tensors else sums.plus
    watch = anomaly or recorder
    passes = state.passes
    passes.append(Pass(nodes, reach, wanted))
    if rare.active:
        for observe in rare.on_pass:
            observe(nodes, wanted, False)
    recording = grad_mode.enabled
    grad_mode.enabled = create_graph
    try:
        while True:
            if node is None:
                if not ready:
                    break
                node = heappop(ready)[1]
                g = pending.pop(node)
            arrived = g
            hooks = node.hooks
            if hooks is not None:
                g = before_tensor(node, g, on_tensors)
            if reach is not None:
                # As in PyTorch: where the pass goes on below, what is asked for is what arrived before the hooks.
                if node in wanted:
                    captured[node] = arrived if node in reach else g
                if node not in reach:
                    node = None
                    continue
            if hooks is not None and hooks.pre:
                g = before_node(node, g, on_tensors)
            if type(node) is Output:
                parent = node.parent
                slots = pending.get(parent)
                if slots is None:
                    pending[parent] = slots = [None] * parent.outputs
                    heappush(ready, (parent.seq, parent))
                previous, slots[node.nr] = slots[node.nr], None
                slots[node.nr] = g if previous is None else plus(previous, g)
                node = previous = None
                continue
            if watch is not None:
                results = watch(node, g, keep, on_tensors)
            elif on_tensors:
                results = node.apply_graph(g)
                if not keep:
                    node.release()
            else:
                results = node.apply(g, keep)
            if hooks is not None and hooks.post:
                results = after(node, results, g, on_tensors)
            edges = node.edges
            node = g = arrived = None
            for edge, d in zip(edges, results):
                if edge is None or d is None:
                    continue
                if not edge.seq:
                    previous = pending.pop(edge, None)  # taken out and put back, to stand in order of its last use
                    pending[edge] = d if previous is None else plus(previous, d)
                elif edge is node:
                    g = plus(g, d)
                elif reach is not None and edge not in reach and edge not in wanted:
                    continue
                elif node is None and not ready:
                    node, g = edge, d
                else:
                    if node is not None:
                        pending[node] = g
                        heappush(ready, (node.seq, node))
                        node = None
                    previous = pending.pop(edge, None)
                    if previous is None:
                        pending[edge] = d
                        heappush(ready, (edge.seq, edge))
                    else:
                        pending[edge] = plus(previous, d)
            results = d = previous = None
        if wanted is None:
            accumulate_all(pending, on_tensors, create_graph)
        else:
            captured = finish_wanted(pending, captured, wanted, leaves, on_tensors, create_graph)
        if passes[-1].callbacks is not None:
            call_back(passes[-1].callbacks)
        return captured
    finally:
        grad_mode.enabled = recording
        passes.pop()
        if rare.active:
            for observe in rare.on_pass:
                observe(nodes, wanted, True)


def call_back(callbacks):
    """Call what was queued during the pass, and what that queues."""
    for callback in callbacks:
        callback()


def queue_callback(callback):
    """Call ``callback()`` when the pass that is running in this thread is over; raises RuntimeError where none is."""
    if not state.passes:
        raise RuntimeError("Final callbacks can only be installed during backward pass.")
    running = state.passes[-1]
    if running.callbacks is None:
        running.callbacks = []
    running.callbacks.append(callback)


def current_pass():
    """The number of the pass that is running in this thread; -1 where none is."""
    return state.passes[-1].number if state.passes else -1


def will_execute(node):
    """Whether the pass that is running in this thread will run `node`, or has; raises RuntimeError where none is."""
    if not state.passes:
        raise RuntimeError("_will_engine_execute_node should only be called during the backward pass")
    return state.passes[-1].will_run(node)


def reaching(roots, wanted):
    """The nodes on some path from `roots` to a wanted node, whose derivative is therefore needed."""
    needed = {}
    stack = [(node, False) for node in roots]
    while stack:
        node, done = stack.pop()
        if done:
            needed[node] = any(e is not None and (e in wanted or needed.get(e, False)) for e in node.edges)
        elif node not in needed:
            needed[node] = False
            stack.append((node, True))
            stack.extend((e, False) for e in node.edges if e is not None and e not in needed)
    return {node for node, is_needed in needed.items() if is_needed}


def accumulate_all(pending, on_tensors, create_graph):
    """Give each leaf what was gathered for it."""
    for node in pending:
        box = [pending[node]]
        pending[node] = None
        arrive(node, box, on_tensors, create_graph)


def arrive(node, box, on_tensors, create_graph):
    """A gradient comes to a leaf, in a box that alone holds it: hooks, `.grad`, hooks."""
    if node.deaf:
        return
    hooks = node.hooks
    if hooks is None:
        accumulate(node, box, create_graph)
        return
    g = box.pop()
    if not on_tensors and (type(g) is not np.ndarray or g.dtype is not node._dtype.numpy):
        g = fit(g, node)  # NumPy's scalars may have widened it on the way
    g = before_tensor(node, g, on_tensors)
    if hooks.pre:
        g = before_node(node, g, on_tensors)
    accumulate(node, [g], create_graph)
    after_accumulate(node, g)


def accumulate(node, box, create_graph):
    """Add a gradient to a leaf's `.grad`: the first is taken as it is if nobody else holds it, and copied otherwise."""
    g = box.pop()
    with _leaf_lock:
        old = node.grad
        if create_graph:
            g = fit_tensor(g, node)
            node.grad = copy_like_leaf(g, node) if old is None else old + g
            return
        if type(g) is not np.ndarray or g.dtype is not node._dtype.numpy or g.shape != node.shape:
            g = fit(g, node)
            if type(g) is SparseArray:
                node.grad = sum_of_sparse(old, sparse_tensor(g))
                return
        if old is None:
            # References to a gradient that nobody else holds: this function's, and getrefcount's own.
            if g.strides != node._array.strides and g.ndim > 1:
                g = laid_out_like(node._array, g)
            elif getrefcount(g) > 2 or not g.flags.writeable or (g.base is not None and not sums.is_whole(g)):
                g = copied(g)
            node.grad = kept = new(Tensor)
            kept._array = g
            kept.dtype = node._dtype
            kept._node = kept._counter = kept._base = None
        elif old.is_sparse:
            node.grad = sum_of_sparse(old, wrap(g, node._dtype))
        elif not old._array.flags.writeable:  # the user's own, expanded
            node.grad = wrap(old._array + g, node._dtype)
        else:
            sums.add_to(old._array, g)
            counter = old._counter
            if counter is None:
                old._counter = graph.Version(1)
            else:
                counter.bump()


def sum_of_sparse(old, new):
    """The sum of two gradients of which one at least is sparse, in `old` itself unless a dense one must take its place.

    Under `create_graph` nothing is written over: the sum is a new tensor.
    """
    if old is None:
        return new
    if old.is_sparse and not new.is_sparse:
        return new + old
    return old + new if grad_mode.enabled else old.add_(new)


def fit(g, node):
    """A gradient as an array of the leaf's dtype and shape."""
    if type(g) is SparseArray:
        return g if g.dtype == node._dtype.numpy else g.astype(node._dtype.numpy)
    if type(g) is not np.ndarray:
        g = g._array if isinstance(g, Tensor) else np.asarray(g)  # what was only a tensor for its tangent loses it
    dtype = node._dtype.numpy
    if g.dtype is not dtype and g.dtype != dtype:
        g = (g.real if g.dtype.kind == "c" and not node._dtype.is_complex else g).astype(dtype)
    if g.shape != node.shape:
        g = np.broadcast_to(g, node.shape)
    return g


def fit_tensor(g, node):
    if g.dtype is not node._dtype:
        g = (g.real if g.dtype.is_complex and not node._dtype.is_complex else g).to(node._dtype)
    return g


def laid_out_like(leaf, g):
    """A copy of `g` in the leaf's order of dimensions, so that `.grad.view(-1)` is possible where the leaf's is."""
    kept = np.empty(leaf.shape, leaf.dtype) if 0 in leaf.strides else np.empty_like(leaf)
    return fill(kept, g)


def copy_like_leaf(g, node):
    """A recorded gradient in memory of its own, laid out like the leaf: later passes add to it in place."""
    like = node._array
    kept = wrap(np.empty(like.shape, like.dtype) if 0 in like.strides else np.empty_like(like), node._dtype)
    kept._counter = graph.Version()
    return kept.copy_(g)


def finish_wanted(pending, captured, wanted, leaves, on_tensors, create_graph):
    """What was asked for: the gradients by node, those of leaves put into `.grad` if `leaves`."""
    for node in pending:
        if node not in wanted or node.deaf:
            continue
        if leaves and type(node) is AccumulateGrad:
            box = [pending[node]]
            pending[node] = None
            arrive(node, box, on_tensors, create_graph)
        else:
            g = pending[node]
            captured[node] = g if node.hooks is None else before_tensor(node, g, on_tensors)
    return captured


# --- hooks ------------------------------------------------------------------------------------------------------------


def before_tensor(node, g, on_tensors):
    """Run the hooks of the tensor on its gradient, then keep `.grad` if it retains it."""
    hooks = node.hooks
    if hooks.tensor:
        seen = as_tensor(g)  # one object for all of them: a hook may leave an attribute for the next
        for hook in tuple(hooks.tensor.values()):
            result = hook(seen)
            if result is not None:
                g = replaced(result, seen, hook, on_tensors)
                seen = result
    if hooks.retain is not None and type(node) is not AccumulateGrad:
        tensor = hooks.retain()
        if tensor is not None:
            kept = as_tensor(g)
            if not on_tensors:
                kept = wrap(np.array(kept._array, tensor.dtype.numpy, copy=True), tensor.dtype)
            old = tensor._retained
            tensor._retained = kept if old is None else old + kept
    return g


def before_node(node, g, on_tensors):
    """Run the hooks of the node on what arrives at it."""
    many = isinstance(g, list)
    arriving = tuple(None if x is None else as_tensor(x) for x in g) if many else (as_tensor(g),)
    for hook in tuple(node.hooks.pre.values()):
        result = hook(arriving)
        if result is not None:
            result = result if isinstance(result, tuple) else (result,)
            check_count(result, arriving, hook)
            arriving = result
    back = [None if x is None else (x if on_tensors else as_array(x)) for x in arriving]
    return back if many else back[0]


def hook_name(hook):
    return getattr(hook, "__name__", type(hook).__name__)


def check_count(result, expected, hook):
    if len(result) != len(expected):
        raise RuntimeError(
            f"hook '{hook_name(hook)}' has returned an incorrect number of values (got {len(result)}, but expected "
            f"{len(expected)})"
        )


def replaced(result, g, hook, on_tensors):
    """A hook's result in place of the gradient, checked."""
    if not isinstance(result, Tensor):
        raise TypeError(f"expected Variable, but hook returned '{type(result).__name__}'")
    old = as_tensor(g)
    if result._array.shape != old._array.shape:
        raise RuntimeError(f"hook '{hook_name(hook)}' has changed the size of value")
    if result.dtype is not old.dtype:
        raise RuntimeError(
            f"hook '{hook_name(hook)}' has changed the type of value (was {TENSOR_TYPE_NAMES[old.dtype]} got "
            f"{TENSOR_TYPE_NAMES[result.dtype]})"
        )
    return result if on_tensors else as_array(result)


def after(node, results, g, on_tensors):
    """Run the hooks on what leaves a node."""
    leaving = tuple(None if d is None else as_tensor(d) for d in results) + (None,) * node.numbers
    arrived = tuple(None if x is None else as_tensor(x) for x in g) if isinstance(g, list) else (as_tensor(g),)
    for hook in tuple(node.hooks.post.values()):
        result = hook(leaving, arrived)
        if result is not None:
            result = result if isinstance(result, tuple) else (result,)
            check_count(result, leaving, hook)
            if any(old is None and new is not None for old, new in zip(leaving, result, strict=True)):
                raise RuntimeError("can't replace a None gradient with a non-None value")
            leaving = result
    return tuple(None if d is None else (d if on_tensors else as_array(d)) for d in leaving[: len(node.edges)])


def after_accumulate(node, g):
    """Run the hooks of a leaf whose `.grad` has changed."""
    hooks = node.hooks
    for hook in tuple(hooks.post_accumulate.values()):
        if hook(node.variable) is not None:
            raise RuntimeError("Tensor post accumulate grad hooks should return None.")
    for hook in tuple(hooks.post.values()):
        hook((), (as_tensor(g),))


def as_tensor(g):
    if type(g) is SparseArray:
        return sparse_tensor(g)
    return g if isinstance(g, Tensor) else wrap(np.asarray(g))


def as_array(tensor):
    """A tensor as a pass on arrays takes it."""
    if tensor.is_sparse:
        return SparseArray(tensor._indices()._array[0], tensor._values()._array, tensor._array.shape)
    return tensor._array


def sparse_tensor(g):
    from wengert.ops.sparse import of_gradient

    return of_gradient(g)


# --- what users call --------------------------------------------------------------------------------------------------


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, grad_variables=None, inputs=None):
    """Add the gradients of `tensors` with respect to the leaves of their graphs to the leaves' `.grad`.

    Args:
        tensors: a tensor or a sequence of them.
        grad_tensors: for each, the gradient that arrives at it (shape of the tensor); None means 1 for a single
        element.
        retain_graph: keep what the graph saved, for another backward (default: `create_graph`).
        create_graph: record the pass itself, for higher derivatives.
        inputs: only these tensors accumulate (default: all leaves reached).
    Raises:
        RuntimeError: nothing requires grad, shapes disagree, the graph was freed, or a saved value was written in
        place.
    """
    if grad_variables is not None:
        grad_tensors = grad_variables
    tensors = (tensors,) if isinstance(tensors, Tensor) or is_edge(tensors) else tuple(tensors)
    nodes, grads = roots_of(tensors, given_for(tensors, grad_tensors), create_graph or state.duals > 0)
    keep = create_graph if retain_graph is None else retain_graph
    if create_graph:
        warnings.warn(
            "Using backward() with create_graph=True will create a reference cycle between the parameter and its "
            "gradient which "
            "can cause a memory leak. We recommend using autograd.grad when creating the graph to avoid this. If you "
            "have to use "
            "this function, make sure to reset the .grad fields of your parameters to None after use to break the "
            "cycle and "
            "avoid the leak.",
            UserWarning,
            stacklevel=3,
        )
    if inputs is None:
        run(nodes, grads, keep, create_graph)
        return
    inputs = (inputs,) if isinstance(inputs, Tensor) or is_edge(inputs) else tuple(inputs)
    if not inputs:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    wanted = {}
    for tensor in inputs:
        wanted[node_wanted(tensor)] = tensor
        if not is_edge(tensor):
            tensor.retain_grad()
    run(nodes, grads, keep, create_graph, wanted, leaves=True)


def grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, only_inputs=True, allow_unused=None,
         is_grads_batched=False, materialize_grads=False):  # fmt: skip
    """The gradients of `outputs` with respect to `inputs`, as a tuple; nothing is accumulated.

    Args:
        outputs, inputs: tensors or sequences of them.
        grad_outputs: for each output the gradient that arrives at it; None means 1 for a single element.
        allow_unused: return None for an input that the outputs do not depend on, rather than raise.
        materialize_grads: return zeros instead of None for such inputs.
        only_inputs: has no effect; False warns of that, as in PyTorch.
        is_grads_batched: the first dimension of each of `grad_outputs` is a batch; results have it too.
    Raises:
        RuntimeError: an input does not require grad or is not used, or as for `backward`.
    """
    if not only_inputs:
        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True). To accumulate gradient for "
            "other parts of the graph, please use torch.autograd.backward.",
            FutureWarning,
            stacklevel=2,
        )
    outputs = (outputs,) if isinstance(outputs, Tensor) or is_edge(outputs) else tuple(outputs)
    inputs = (inputs,) if isinstance(inputs, Tensor) or is_edge(inputs) else tuple(inputs)
    if not inputs:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    if materialize_grads:
        if allow_unused is False:
            raise ValueError(
                "Expected allow_unused to be True or not passed when materialize_grads=True, but "
                "got: allow_unused=False."
            )
        allow_unused = True
    if is_grads_batched:
        return grad_batched(outputs, inputs, grad_outputs, retain_graph, create_graph, allow_unused, materialize_grads)
    on_tensors = create_graph or state.duals > 0
    nodes, grads = roots_of(outputs, given_for(outputs, grad_outputs), on_tensors)
    keep = create_graph if retain_graph is None else retain_graph
    wanted = {}
    for tensor in inputs:
        wanted[node_wanted(tensor)] = tensor
    found = run(nodes, grads, keep, create_graph, wanted)
    results = []
    for number, tensor in enumerate(inputs):
        g = found.get(node_wanted(tensor))
        if g is None:
            if not allow_unused:
                raise RuntimeError(
                    f"The differentiated Tensor at index {number} appears to not have been used in the graph. Set "
                    "allow_unused=True if this is the desired behavior."
                )
            results.append(zeros_for(tensor, create_graph) if materialize_grads else None)
            continue
        results.append(result_for(g, tensor, on_tensors))
    if rare.active:
        for observe in rare.on_result:
            observe("grad", (outputs,), results, create_graph)
    return tuple(results)


def zeros_for(tensor, create_graph):
    """What `materialize_grads` puts where nothing arrived."""
    if is_edge(tensor):
        raise RuntimeError("materialize_grads cannot be used when the given input is a GradientEdge")
    return tensor.new_zeros(tensor.shape, requires_grad=create_graph)


def result_for(g, tensor, on_tensors):
    if is_edge(tensor):
        return as_tensor(g[tensor.output_nr] if isinstance(g, list) else g)
    if tensor.is_sparse:
        return tensor._like(result_for(g, tensor._kept, on_tensors))
    if type(g) is SparseArray:
        return sparse_tensor(g)
    if on_tensors:
        return g if g.dtype is tensor.dtype else g.to(tensor.dtype)
    array = np.asarray(g)
    if array.dtype != tensor.dtype.numpy:
        array = array.astype(tensor.dtype.numpy)
    if array.shape != tensor._array.shape:
        array = np.broadcast_to(array, tensor._array.shape)
    if array.base is not None or not array.flags.writeable:
        array = copied(array)
    return wrap(array, tensor.dtype)


def grad_batched(outputs, inputs, grad_outputs, retain_graph, create_graph, allow_unused, materialize_grads):
    """`grad` for each row of a batch of gradients, stacked."""
    if grad_outputs is None:
        raise RuntimeError("grad_outputs must be given when is_grads_batched is True")
    given = (grad_outputs,) if isinstance(grad_outputs, Tensor) else tuple(grad_outputs)
    for number, (g, output) in enumerate(zip(given, outputs, strict=True)):
        if not is_edge(output) and g.shape[1:] != output.shape:
            raise RuntimeError(
                "If `is_grads_batched=True`, we interpret the first dimension of each grad_output as the batch "
                "dimension. The sizes of the remaining dimensions are expected to match the shape of corresponding "
                f"output, but a mismatch was detected: grad_output[{number}] has a shape of {g.shape} and "
                f"output[{number}] has a shape of {output.shape}."
            )
    count = given[0].shape[0]
    rows = []
    for i in range(count):
        last = i == count - 1
        rows.append(grad(outputs, inputs, tuple(g[i] for g in given), bool(retain_graph) or create_graph or not last,
                         create_graph, True, allow_unused, False, materialize_grads))  # fmt: skip
    from wengert.ops.shape import stack

    return tuple(None if column[0] is None else stack(column) for column in zip(*rows, strict=True))


def is_edge(value):
    return isinstance(value, tuple) and hasattr(value, "node") and hasattr(value, "output_nr")


def node_wanted(tensor):
    """The node at which the gradient of an asked-for tensor (or GradientEdge) gathers."""
    if is_edge(tensor):
        return tensor.node
    if tensor._node is None:
        raise RuntimeError("One of the differentiated Tensors does not require grad")
    return tensor._node


def given_for(tensors, grads):
    if grads is None:
        return (None,) * len(tensors)
    given = (grads,) if isinstance(grads, Tensor) else tuple(grads)
    if len(given) != len(tensors):
        raise RuntimeError(f"got {len(tensors)} tensors and {len(given)} gradients")
    return given


def roots_of(tensors, given, on_tensors):
    """The nodes and first gradients from which the pass starts."""
    nodes, grads = [], []
    for number, (tensor, g) in enumerate(zip(tensors, given, strict=True)):
        if is_edge(tensor):
            node, shape, dtype = tensor.node, tensor.node.shape, g.dtype if g is not None else None
            if node.outputs > 1:
                shape, dtype = node.results[tensor.output_nr]
                node = Output(node, tensor.output_nr, shape, dtype)
        else:
            node, shape, dtype = tensor._node, tensor._array.shape, tensor.dtype
        if node is None or (type(node) is AccumulateGrad and node.hidden):
            raise RuntimeError(f"element {number} of tensors does not require grad and does not have a grad_fn")
        nodes.append(node)
        grads.append(first_gradient(g, shape, dtype, number, on_tensors))
    return nodes, grads


def first_gradient(g, shape, dtype, number, on_tensors):
    if g is None:
        if prod(shape) != 1:
            raise RuntimeError("grad can be implicitly created only for scalar outputs")
        if dtype.is_complex or not dtype.is_floating_point:
            raise RuntimeError(f"grad can be implicitly created only for real scalar outputs but got {dtype}")
        ones = np.ones(shape, dtype.numpy)
        return wrap(ones, dtype) if on_tensors else ones
    if not isinstance(g, Tensor):
        raise TypeError("gradients can be either Tensors or None, but got " + type(g).__name__)
    if g._array.shape != shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{number}] has a shape of {g.shape} and output[{number}] has a shape of "
            f"{Size(shape)}."
        )
    if dtype is not None and g.dtype.is_complex != dtype.is_complex:
        raise RuntimeError(
            "For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch in dtype: "
            f"grad_output[{number}] has a dtype of {g.dtype} and output[{number}] has a dtype of {dtype}."
        )
    if on_tensors:
        return g if dtype is None or g.dtype is dtype else g.to(dtype)
    return g._array if dtype is None or g.dtype is dtype else g._array.astype(dtype.numpy)


def tensor_backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
    """Add the gradient of this tensor with respect to the leaves of its graph to the leaves' `.grad`.

    Args:
        gradient: what arrives at this tensor (its shape); may be left out for a single element, where it is 1.
        retain_graph: keep what the graph saved, for another backward (default: `create_graph`).
        create_graph: record the pass itself, for higher derivatives.
        inputs: only these tensors accumulate (default: all leaves reached).
    """
    if rare.active or type(self) is not Tensor:
        overridden = overriding((self,), None)
        if overridden:
            from wengert import overrides

            return overrides.handle(
                Tensor.backward, overridden, (self,),
                {"gradient": gradient, "retain_graph": retain_graph, "create_graph": create_graph, "inputs": inputs},
            )  # fmt: skip
    node = self._node
    plain = gradient is None and inputs is None and not create_graph and node is not None and not state.duals
    plain = plain and not node.hidden
    if plain and not self._array.ndim and self.dtype.is_floating_point:  # the usual loss
        run((node,), (self.dtype.numpy.type(1),), bool(retain_graph), False)
        return None
    backward((self,), None if gradient is None else (gradient,), retain_graph, create_graph, None, inputs)
    return None


Tensor.backward = tensor_backward
tensor_backward.__name__ = "backward"


def call_node(node, *grads):
    """``grad_fn(g)``: the derivative of one operation, on tensors."""
    if len(grads) != node.outputs:
        raise TypeError(f"expected {node.outputs} arguments, got {len(grads)} instead")
    arrived = list(grads) if node.outputs > 1 else grads[0]
    if type(node) is AccumulateGrad:
        accumulate(node, [arrived._array.copy()], False)
        return None
    if grad_mode.enabled:
        results = tuple(node.apply_graph(arrived))
    else:
        arrays = [None if g is None else g._array for g in grads]
        results = node.apply(arrays if node.outputs > 1 else arrays[0], True)
        results = tuple(None if d is None else as_tensor(d) for d in results)
    results += (None,) * node.numbers
    return results[0] if len(results) == 1 else tuple(results)


graph.Node.__call__ = call_node


def is_running():
    """Whether this thread is inside a backward pass."""
    return bool(state.passes)
