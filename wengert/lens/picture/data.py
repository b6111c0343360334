"""A graph as plain data, and the ways to write it down.

Nothing here keeps a tensor, a node or an array alive.
"""

import contextlib
import gc
import json
import os
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from wengert.autograd.graph import AccumulateGrad
from wengert.lens.picture.values import Kept, summary


class Line(NamedTuple):
    """A place in a program."""

    file: str
    line: int
    function: str
    text: str

    def __str__(self):
        return f"{os.path.basename(self.file)}:{self.line}"


@dataclass(slots=True)
class Vertex:
    """An operation ("operation"), a leaf ("leaf", or "parameter" if a module named it), or an operation behind a cut
    whose node is gone ("gone").
    """

    id: int
    kind: str
    name: str  # as grad_fn shows it: "MulBackward0"
    title: str  # as people say it: "Mul", or the name of a parameter
    shape: tuple | None = None
    dtype: str | None = None
    module: str = ""
    line: Line | None = None
    saved: list[Kept] | None = field(default_factory=list)  # None: freed
    saved_bytes: int = 0
    shared_bytes: int = 0  # of these, what an earlier node keeps too
    formulas: str | None = None  # a key of Graph.formulas
    reached: bool = True  # whether backward from the roots comes here
    gradient: dict | None = None  # statistics of the gradient, as `summary` gives them
    root: str = ""  # the name of a root that this node made
    group: int | None = None  # the innermost group that it lies in

    def as_dict(self):
        shown: dict[str, Any] = {"id": self.id, "kind": self.kind, "name": self.name, "title": self.title}
        if self.shape is not None:
            shown["shape"] = list(self.shape)
        if self.line is not None:
            shown["line"] = self.line._asdict()
        if self.saved is None:
            shown["freed"] = True
        elif self.saved:
            shown["saved"] = [kept.as_dict() for kept in self.saved]
        for name in ("dtype", "module", "saved_bytes", "shared_bytes", "formulas", "gradient", "root"):
            value = getattr(self, name)
            if value:
                shown[name] = value
        if self.group is not None:
            shown["group"] = self.group
        if not self.reached:
            shown["reached"] = False
        return shown


class Edge(NamedTuple):
    """A value on its way: which result of `source` is which input of `target`."""

    source: int
    target: int
    output: int = 0
    input: str = ""
    shape: tuple | None = None

    def as_dict(self):
        shown = {"from": self.source, "to": self.target}
        if self.output:
            shown["output"] = self.output
        if self.input:
            shown["input"] = self.input
        if self.shape is not None:
            shown["shape"] = list(self.shape)
        return shown


class CutEdge(NamedTuple):
    """A value that went on without its history."""

    kind: str  # "detach()", "no_grad", ".data", ...
    source: int
    target: int | None  # None: nothing in this graph used the value
    line: Line | None = None

    def as_dict(self):
        shown = {"kind": self.kind, "from": self.source}
        if self.target is not None:
            shown["to"] = self.target
        if self.line is not None:
            shown["line"] = self.line._asdict()
        return shown


class Graph:
    """The graph behind some tensors, as data.

    Attributes:
        nodes: `Vertex` objects in the order in which they ran, last those that are gone; `nodes[i].id == i`.
        edges, cuts: `Edge` and `CutEdge` objects; both point the way the data went.
        roots: the ids of the nodes that made the roots.
        groups: modules and repeated stretches, which may be folded; see `wengert.lens.picture.folding`.
        formulas: for each kind of node its derivative formulas, (input, text).
        unreached: names of parameters that backward from the roots does not come to.
        classes: the class of each module path in which something ran.
        recorded: whether lines, modules and cuts were being recorded.
    """

    def __init__(self):
        self.nodes: list[Vertex] = []
        self.edges: list[Edge] = []
        self.cuts: list[CutEdge] = []
        self.groups: list = []
        self.top: list = []  # ("node" or "group", id) of what lies in no group
        self.roots: list[int] = []
        self.formulas: dict[str, list] = {}
        self.unreached: list[str] = []
        self.classes: dict[str, str] = {}
        self.recorded = False
        self.saved_bytes = 0
        self.name = ""
        self._alive: list = []  # weak references to the nodes, for `gradients_of_backward`

    # --- what it is, in short ----------------------------------------------------------------------------------------

    def count(self, *kinds):
        return sum(node.kind in kinds for node in self.nodes)

    def __len__(self):
        return len(self.nodes)

    def summary(self):
        """One line: how many of what."""
        operations, leaves = self.count("operation"), self.count("parameter", "leaf")
        parts = [counted(operations, "operation"), counted(leaves, "leaf", "leaves")]
        if self.saved_bytes:
            parts.append(f"{human_bytes(self.saved_bytes)} kept for backward")
        if self.cuts:
            parts.append(counted(len(self.cuts), "cut"))
        return ", ".join(parts)

    def __repr__(self):
        return f"<graph of {self.name or 'a tensor'}: {self.summary()}>"

    def __str__(self):
        return self.tree()

    # --- what the program does with it -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def gradients_of_backward(self):
        """While open, a backward pass through this graph leaves statistics of its gradients in `nodes`."""
        handles = []
        for vertex, ref in zip(self.nodes, self._alive, strict=False):
            node = ref() if ref is not None else None
            if node is not None and vertex.kind == "operation":
                handles.append(node.register_prehook(noting(vertex)))
        try:
            yield self
        finally:
            for handle in handles:
                handle.remove()
            for vertex, ref in zip(self.nodes, self._alive, strict=False):
                leaf = ref() if ref is not None else None
                if type(leaf) is AccumulateGrad and leaf.grad is not None:
                    vertex.gradient = summary(array_of(leaf.grad))

    # --- exports -----------------------------------------------------------------------------------------------------

    def to_dict(self):
        """Everything, as lists and dicts that JSON can say."""
        return {
            "format": "wengert graph 1",
            "name": self.name,
            "summary": self.summary(),
            "recorded": self.recorded,
            "roots": self.roots,
            "saved_bytes": self.saved_bytes,
            "unreached": self.unreached,
            "formulas": self.formulas,
            "classes": self.classes,
            "groups": [group.as_dict() for group in self.groups],
            "nodes": [node.as_dict() for node in self.nodes],
            "edges": [edge.as_dict() for edge in self.edges],
            "cuts": [cut.as_dict() for cut in self.cuts],
        }

    def to_json(self, indent=None):
        """The graph as JSON text."""
        separators = (",", ":") if indent is None else None
        with collector_at_rest():
            return json.dumps(self.to_dict(), ensure_ascii=False, indent=indent, separators=separators)

    def to_dot(self, fold=False):
        """The graph in Graphviz's language; folded as the page first shows it if `fold`."""
        from wengert.lens.picture.dot import dot

        with collector_at_rest():
            return dot(self, fold)

    def to_mermaid(self, fold=True):
        """The graph as a Mermaid flowchart; every node of it unless `fold`."""
        from wengert.lens.picture.mermaid import mermaid

        return mermaid(self, fold)

    def tree(self, width=None):
        """The graph as indented text, from the roots back to the leaves, as wide as the terminal."""
        from wengert.lens.picture.tree import tree

        return tree(self, width)

    def __rich__(self):
        from wengert.lens.picture.tree import rich_tree

        return rich_tree(self)

    def to_html(self):
        """A page that shows the graph and needs nothing else: no network, no other file."""
        from wengert.lens.picture.page import page

        return page(self)

    def to_svg(self, theme="light"):
        """A drawing, as the page shows it at first; `theme` is "light" or "dark".

        Raises ImportError naming what to install where Graphviz or a JavaScript engine is missing.
        """
        from wengert.lens.picture.drawing import svg

        return svg(self, theme)

    def to_png(self, theme="light", scale=2.0):
        """The drawing as PNG bytes, `scale` pixels for each of its units; raises as `to_svg` does."""
        from wengert.lens.picture.drawing import png

        return png(self, theme, scale)

    def _repr_html_(self):
        from wengert.lens.picture.page import frame

        return frame(self)

    def save(self, path):
        """Write to `path` in the format that its ending names: html, svg, png, dot (gv), mmd (mermaid), json, txt.

        Returns the path. Raises ValueError for another ending.
        """
        ending = os.path.splitext(os.fspath(path))[1].lower().lstrip(".")
        if ending not in WRITERS:
            raise ValueError(f"can't tell from {os.fspath(path)!r} what to write; endings: {', '.join(WRITERS)}")
        content = WRITERS[ending](self)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path


WRITERS = {
    "html": Graph.to_html,
    "svg": Graph.to_svg,
    "png": Graph.to_png,
    "dot": Graph.to_dot,
    "gv": Graph.to_dot,
    "mmd": Graph.to_mermaid,
    "mermaid": Graph.to_mermaid,
    "json": Graph.to_json,
    "txt": Graph.tree,
}


@contextlib.contextmanager
def collector_at_rest():
    """What is built for a picture holds no cycles; looking for them again and again would double the time of a large
    graph.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def counted(n, one, many=None):
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def human_bytes(n):
    """Bytes in the largest unit that leaves at least 1: `1.2 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024 or unit == "GiB":
            return f"{n:.0f} {unit}" if unit == "B" or n >= 100 else f"{n:.1f} {unit}"
        n /= 1024
    raise AssertionError


def array_of(g):
    return np.asarray(getattr(g, "_array", g))


def noting(vertex):
    """A hook that notes what arrives at a node; of several results, the first that has a gradient."""

    def note(arriving):
        for g in arriving:
            if g is not None:
                vertex.gradient = summary(array_of(g))
                return

    return note
