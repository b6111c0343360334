"""The walk behind some tensors: what was computed from what, in the order in which it happened.

`graph` goes backward from its roots, iteratively, and writes down what it meets: a `Vertex` for each operation and each
leaf, an `Edge` from producer to consumer for each value that gradients flow through. What the recorder noted joins in:
the source line of each operation, the module that it ran in, and the cuts, which are edges from where the history was
left behind to whoever used the value afterwards. What lies behind a cut is shown too, marked as not reached by
backward, and where it is gone from memory, as far as the notes go.
"""

import os
import re
import sys
import weakref
from functools import cache

from wengert.autograd import engine
from wengert.autograd.graph import AccumulateGrad, Output, public_edge
from wengert.dtypes import bool_
from wengert.lens.names import name_in, named_leaves, namespaces
from wengert.lens.picture.data import CutEdge, Edge, Graph, Line, Vertex, array_of, collector_at_rest
from wengert.lens.picture.folding import arrange
from wengert.lens.picture.formulas import formulas_of, inputs_of
from wengert.lens.picture.values import dtype_name, kept_by, summary
from wengert.lens.sites import Leaf
from wengert.tensor import Tensor

STATISTICS_UP_TO = 5000  # nodes: in larger graphs the contents of what is kept are not read


def visible_edges(node):
    """(producer, number of its result, position) for each edge that leads somewhere."""
    found = []
    for position, edge in enumerate(node.edges):
        if edge is not None:
            if edge.hidden or type(edge) is Output:
                edge, number = public_edge(edge)
                if edge is not None:
                    found.append((edge, number, position))
            else:
                found.append((edge, 0, position))
    return found


def reachable(starts, seen):
    """All nodes behind `starts` that are not in `seen`, with their edges: {node: visible_edges}; adds to `seen`."""
    found, stack = {}, [node for node in starts if node not in seen]
    seen.update(stack)
    while stack:
        node = stack.pop()
        edges = found[node] = visible_edges(node)
        for target, _, _ in edges:
            if target not in seen:
                seen.add(target)
                stack.append(target)
    return found


def in_order(found):
    """Operations in the order in which they ran; each leaf just before its first use."""
    ordered, placed = [], set()
    for node in sorted((n for n in found if type(n) is not AccumulateGrad), key=lambda n: -n.seq):
        for target, _, _ in found[node]:
            if type(target) is AccumulateGrad and target not in placed:
                placed.add(target)
                ordered.append(target)
        ordered.append(node)
    ordered += [n for n in found if type(n) is AccumulateGrad and n not in placed]
    return ordered


def root_nodes(roots):
    """The node of each root, as `grad_fn` shows it; raises where there is none."""
    nodes = []
    for position, root in enumerate(roots):
        if engine.is_edge(root):
            nodes.append(root.node)
            continue
        if not isinstance(root, Tensor):
            raise TypeError(f"graph(): root {position} must be a Tensor, not {type(root).__name__}")
        if root._node is None:
            raise RuntimeError(
                f"graph(): root {position} does not require grad and has no grad_fn, so there is no graph behind it"
            )
        nodes.append(public_edge(root._node)[0])
    return nodes


def graph(*roots, params=None, gradients=False):
    """The graph behind tensors, as data that can be looked at, saved and drawn.

    Args:
        roots: tensors of any shape that require grad (usually one loss).
        params: names for the leaves: a Module, or a mapping of names to tensors such as
            ``dict(model.named_parameters())``. Without it the caller's variables give the names.
        gradients: run a backward pass from the roots (each a single element) that accumulates nothing and keeps the
            graph, for the statistics of the gradients.
    Returns:
        a `Graph`.
    Raises:
        TypeError, RuntimeError: a root is no tensor, or has no graph.
    """
    spaces = namespaces([sys._getframe(1)])
    if not roots:
        raise TypeError("graph(): at least one root is needed")
    made = build(roots, params, spaces)
    if gradients:
        measure(made, roots)
    return made


@collector_at_rest()
def build(roots, params, spaces):
    """`graph`, with the namespaces in which to look for names given."""
    names, modules = named_leaves(params, spaces)
    classes = {path: type(module).__name__ for path, module in modules.items()}
    starts = root_nodes(roots)
    result = Graph()
    result.name = ", ".join(filter(None, (name_in(spaces, root) for root in roots)))
    builder = Builder(result, names, modules)
    builder.run(starts)
    for start, root in zip(starts, roots, strict=True):
        number = builder.ids[start]
        if number not in result.roots:
            result.roots.append(number)
        vertex = result.nodes[number]
        vertex.root = vertex.root or name_in(spaces, root) or "root"
        if isinstance(root, Tensor):
            vertex.dtype = vertex.dtype or dtype_name(root.dtype)
    result.unreached = builder.unreached()
    used = {node.module for node in result.nodes}
    result.classes = {path: name for path, name in classes.items() if path in used}
    arrange(result, classes)
    return result


class Builder:
    """Fills a `Graph` from the nodes that hang together, cuts included."""

    def __init__(self, result, names, modules):
        self.graph = result
        self.names = names
        self.modules = modules
        self.paths = {}  # of modules, by their ids
        for path, module in modules.items():
            self.paths.setdefault(id(module), path)
        self.ids = {}  # of the vertex of each node
        self.sites = {}  # of the vertex of each site
        self.gone = {}  # the same, for sites behind a cut from which the graph has gone
        self.memories = {}  # bytes of each piece of memory that is kept
        self.lines = {}  # by place, and by file and line

    def run(self, starts):
        seen = set()
        found = reachable(starts, seen)
        reached = set(seen)
        cuts = self.behind_cuts(found, seen)
        ordered = in_order(found)
        self.statistics = len(ordered) <= STATISTICS_UP_TO
        for node in ordered:
            self.enter(node, node in reached)
        for node in ordered:
            self.connect(node, found[node])
        for cut, consumer in cuts:
            self.enter_cut(cut, consumer)
        self.infer_modules()
        self.graph.saved_bytes = sum(self.memories.values())

    # --- nodes -------------------------------------------------------------------------------------------------------

    def new(self, node, *attributes):
        """A vertex with the first of its attributes (see `Vertex`), for a node or for what has none."""
        number = len(self.graph.nodes)
        vertex = Vertex(number, *attributes)
        self.graph.nodes.append(vertex)
        if node is None:
            self.graph._alive.append(None)
        else:
            self.graph._alive.append(weakref.ref(node))
            self.ids[node] = number
        return vertex

    def enter(self, node, reached):
        if type(node) is AccumulateGrad:
            self.enter_leaf(node, reached)
            return
        name = node.name()
        shape = node.shape
        if shape is None:
            results = getattr(node, "results", None)
            shape = results[0][0] if results and results[0] else None
        shape = None if shape is None else tuple(shape)
        vertex = self.new(node, "operation", name, plain_title(name), shape)
        vertex.reached = reached
        self.add_formulas(node, name, vertex)
        vertex.saved = saved = kept_by(node, self.statistics)
        if saved:
            memories = self.memories
            for kept in saved:
                if kept.memory:
                    vertex.saved_bytes += kept.nbytes
                    vertex.shared_bytes += kept.nbytes if kept.memory in memories else 0
                    memories[kept.memory] = max(kept.nbytes, memories.get(kept.memory, 0))
        if node.site_ is not None:
            self.add_site(vertex, node.site_)

    def enter_leaf(self, node, reached):
        name, of_module = self.names.get(node, ("", False))
        kind = "parameter" if of_module else "leaf"
        vertex = self.new(node, kind, "AccumulateGrad", name or "leaf", tuple(node.shape), dtype_name(node._dtype))
        vertex.reached = reached
        vertex.module = name.rpartition(".")[0] if of_module else ""
        if node.grad is not None:
            vertex.gradient = summary(array_of(node.grad)) if self.statistics else None

    def add_site(self, vertex, site):
        """What the recorder noted of an operation."""
        self.sites[site] = vertex.id
        place = site.place
        vertex.line = self.lines[place] if place in self.lines else self.line_of(place)
        if site.part is not None:
            vertex.module = self.path_of(site.part)
        vertex.dtype = dtype_name(site.dtype)
        if vertex.shape is None and site.shape is not None:
            vertex.shape = tuple(site.shape)
        self.graph.recorded = True

    def path_of(self, part):
        """The path here of a module in whose forward an operation ran."""
        module = part.module
        known = None if module is None else self.paths.get(id(module))
        if known is not None:
            return known
        return part.below if self.names else part.path

    def add_formulas(self, node, name, vertex):
        """Formulas are listed once for each kind of node; one name may stand for variants."""
        texts = formulas_of(type(node))
        if texts:
            vertex.formulas = name
            if name not in self.graph.formulas:
                self.graph.formulas[name] = [list(pair) for pair in texts]

    def line_of(self, place):
        """The line of a place, one object for all places on it; None if the place is not known."""
        if not place.frames:
            return None
        where = place.file, place.line
        line = self.lines.get(where)
        if line is None:
            line = self.lines[where] = Line(shown_path(place.file), place.line, place.function, place.text)
        self.lines[place] = line
        return line

    # --- edges -------------------------------------------------------------------------------------------------------

    def connect(self, node, edges):
        if not edges:
            return
        ids, nodes, found = self.ids, self.graph.nodes, self.graph.edges
        target, ways = ids[node], node.edges
        names = inputs_of(type(node), len(ways))
        for source_node, number, position in edges:
            source, way = ids[source_node], ways[position]
            shape = way.shape if type(way) is Output else nodes[source].shape
            found.append(Edge(source, target, number, names[position], None if shape is None else tuple(shape)))

    # --- cuts --------------------------------------------------------------------------------------------------------

    def behind_cuts(self, found, seen):
        """The cuts whose values went into the nodes of `found`, as (cut, node); what lies behind them is added."""
        chosen, new = [], list(found)
        while new:
            here = [(cut, node) for node in new if node.site_ is not None for cut in cuts_into(node.site_)]
            chosen += here
            more = reachable(filter(None, (source_of(cut) for cut, _ in here)), seen)
            found.update(more)
            new = list(more)
        return chosen

    def enter_cut(self, cut, consumer):
        node = source_of(cut)
        source = self.ids[node] if node is not None else self.vanished(cut)
        self.graph.cuts.append(CutEdge(cut_name(cut), source, self.ids[consumer], self.line_of(cut.site.place)))

    def vanished(self, cut):
        """The vertex for a node that is gone; what its site remembers of the way to it is entered too."""
        first = cut.source or cut.site
        order, waiting = {}, [first]
        while waiting and len(order) < FARTHEST:
            site = waiting.pop()
            if site not in order and site not in self.gone:
                order[site] = self.origins(site)
                waiting += order[site]
        for site in sorted(order, key=lambda site: site.seq):
            self.gone[site] = self.enter_gone(site)
        for site, origins in order.items():
            for origin in origins:
                if origin in self.gone:
                    shape = None if origin.shape is None else tuple(origin.shape)
                    self.graph.edges.append(Edge(self.gone[origin], self.gone[site], shape=shape))
        return self.gone[first]

    def origins(self, site):
        """The sites that an operation's inputs came from along the graph, while there was one."""
        return [parent for parent in dict.fromkeys(site.parents) if is_of_graph(parent)]

    def enter_gone(self, site):
        """The vertex of a site: that of its node or leaf where these are in the graph, else one for what is gone."""
        leaf = site.tensor if isinstance(site, Leaf) else None
        node = None if leaf is None else leaf._node
        if node in self.ids:
            return self.ids[node]
        if type(node) is AccumulateGrad:
            self.enter_leaf(node, False)
            return self.ids[node]
        alive = self.sites.get(site)
        if alive is not None:
            return alive
        vertex = self.new(None, "gone", site.operation, plain_title(site.operation))
        vertex.reached = False
        self.add_site(vertex, site)
        return vertex.id

    # --- modules and parameters --------------------------------------------------------------------------------------

    def infer_modules(self):
        """Complete the modules, which the recorder knows by their paths below the outermost one, if at all.

        An operation belongs to the module whose parameters it uses; one without parameters to the module of its path
        that lies beside where its input came from; one of which nothing was noted to the innermost module around both
        what it came from and what used it.
        """
        nodes = self.graph.nodes
        before, after = {}, {}
        for edge in self.graph.edges:
            source, target = nodes[edge.source], nodes[edge.target]
            named = source.module if source.kind == "parameter" or source.name in TRANSPOSITIONS else ""
            if named and target.kind != "parameter" and named.endswith(target.module):
                target.module = named
            if source.kind != "parameter" and target.kind != "parameter":
                before.setdefault(edge.target, edge.source)
                after.setdefault(edge.source, edge.target)
        homes = {}  # the full paths that end in a path
        for path in self.modules:
            for start in range(len(path)):
                if start == 0 or path[start - 1] == ".":
                    homes.setdefault(path[start:], []).append(path)
        for node in nodes:
            origin = nodes[before[node.id]].module if node.id in before else ""
            user = nodes[after[node.id]].module if node.id in after else ""
            if node.line is not None and node.module and node.module not in self.modules:
                found = homes.get(node.module, ())
                near = [path for path in found if path.split(".")[0] == origin.split(".")[0]]
                node.module = (near or found or [node.module])[0]
            elif node.kind == "operation" and node.line is None and not node.module and origin and user:
                node.module = common_path(origin, user)

    def unreached(self):
        reached = {node for node in self.ids if self.graph.nodes[self.ids[node]].reached}
        return [name for node, (name, of_module) in self.names.items() if of_module and node not in reached]


TRANSPOSITIONS = frozenset({"TBackward0", "TransposeBackward0", "PermuteBackward0"})


def shown_path(file):
    """A path as others may see it: relative where it lies below the working directory."""
    below = os.getcwd() + os.sep
    return file.removeprefix(below)


def common_path(a, b):
    """The innermost module around both: "h.0" for "h.0.qkv" and "h.0"."""
    parts = []
    for one, other in zip(a.split("."), b.split("."), strict=False):
        if one != other:
            break
        parts.append(one)
    return ".".join(parts)


@cache
def plain_title(name):
    """An operation in one word: "Mul" for MulBackward0, the class's name for a user's Function."""
    return re.sub(r"Backward\d*$", "", name.rpartition(":")[2]) or name


FARTHEST = 1000  # sites between a cut and the operation that the cut value reached through others without a graph

KINDS = {
    "detach": "detach()", "detach_": "detach_()", "data": ".data", "item": "item()", "tolist": "tolist()",
    "numpy": "numpy()", "no_grad": "no_grad()", "inference_mode": "inference_mode()",
}  # fmt: skip


def cut_name(cut):
    """A cut as people say it: "detach()", "argmax has no derivative"."""
    if cut.kind == "non-differentiable":
        return f"{cut.site.operation} has no derivative"
    return KINDS.get(cut.kind, cut.kind)


def cuts_into(site):
    """The cuts whose values entered an operation, directly or through operations that were not recorded in a graph."""
    for parent in site.parents:
        if parent.cut is not None or not is_of_graph(parent):
            break
    else:  # as for nearly all
        return []
    found, seen, waiting = [], set(), list(site.parents)
    while waiting and len(seen) < FARTHEST:
        parent = waiting.pop()
        if parent in seen:
            continue
        seen.add(parent)
        if parent.cut is not None:
            if not is_condition(parent.cut):
                found.append(parent.cut)
        elif not is_of_graph(parent):
            waiting += parent.parents
    return found


def is_condition(cut):
    """Whether what was cut off is a question with the answer yes or no, as `where` and masks ask it: no way to miss."""
    return cut.kind == "non-differentiable" and cut.site.dtype is bool_


def is_of_graph(site):
    return type(site) is Leaf or is_of_node(site.operation)


@cache
def is_of_node(operation):
    return operation.rstrip("0123456789").endswith("Backward")


def source_of(cut):
    """The node whose history a cut left behind; None if it is gone."""
    node = cut.node
    return None if node is None else public_edge(node)[0]


def measure(made, roots):
    """A backward pass that leaves `.grad` alone and keeps the graph."""
    leaves = {}
    for vertex, ref in zip(made.nodes, made._alive, strict=True):
        node = ref() if ref is not None else None
        if type(node) is AccumulateGrad and vertex.reached:
            leaves[vertex.id] = node.variable
    before = {number: made.nodes[number].gradient for number in leaves}
    with made.gradients_of_backward():
        found = engine.grad(list(roots), list(leaves.values()), retain_graph=True, allow_unused=True) if leaves else ()
    for number, g in zip(leaves, found, strict=True):
        made.nodes[number].gradient = before[number] if g is None else summary(array_of(g))
