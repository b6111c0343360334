"""`wengert graph`: run a program until its first backward pass (or that of a named tensor), and keep the graph.

The program runs as it is, under a recording. When the pass begins, the graph is written down; while it runs, it leaves
statistics of its gradients; when it is over, the program has served its purpose and is ended.
"""

import os

from wengert import lens
from wengert.autograd.graph import GradientEdge, public_edge, rare
from wengert.lens.names import namespaces
from wengert.lens.picture.graph import build
from wengert.lens.sites import user_frames
from wengert.tensor import Tensor


class Finished(SystemExit):
    """Ends the program whose graph has been kept."""


class NotFound(Exception):
    """The program ended without the backward pass that was asked for."""


class FirstBackward:
    """A context manager around a program: in `graph`, afterwards, what its first backward pass went through.

    Args:
        name: wait for the pass that begins at the tensor in a variable of this name.
    """

    def __init__(self, name=None):
        self.name = name
        self.graph = None
        self.passed_by = []  # names of the tensors at which other passes began
        self.watching = None
        self.record = lens.record()

    def __enter__(self):
        self.record.__enter__()
        rare.enter()
        rare.on_pass.append(self.observe)
        return self

    def __exit__(self, kind, error, traceback):
        rare.on_pass.remove(self.observe)
        rare.leave()
        self.record.__exit__(kind, error, traceback)
        self.stop_watching()
        return kind is Finished

    def observe(self, nodes, wanted, over):
        if over:
            if self.watching is not None and nodes is self.nodes:
                self.stop_watching()
                raise Finished(0)
            return
        if self.graph is not None:
            return
        spaces = namespaces(user_frames())
        names, roots = zip(*(root_of(node, spaces) for node in nodes), strict=True)
        if self.name is not None and self.name not in names:
            self.passed_by += [name for name in names if name and name not in self.passed_by]
            return
        self.nodes = nodes
        self.graph = build(roots, None, spaces)
        self.watching = self.graph.gradients_of_backward()
        self.watching.__enter__()

    def stop_watching(self):
        if self.watching is not None:
            self.watching.__exit__(None, None, None)
            self.watching = None


def root_of(node, spaces):
    """(name, tensor or edge) of a node at which a pass begins."""
    for space in spaces:
        for name, value in space.items():
            if isinstance(value, Tensor) and value._node is node:
                return name, value
    return "", GradientEdge(*public_edge(node))


def split_name(target):
    """("train.py", "loss") for "train.py:loss"; the name is None where there is none."""
    path, colon, name = target.rpartition(":")
    if colon and name.isidentifier() and not os.path.exists(target):
        return path, name
    return target, None


def graph_of_program(run, target, arguments):
    """The graph of the first (or named) backward pass of a program.

    Args:
        run: runs a program, given its path and its arguments.
        target: the path, with ``:name`` behind it for the pass that begins at a variable of this name.
    Raises:
        NotFound: the program ended without such a pass; and whatever the program raises before it.
    """
    path, name = split_name(target)
    backward = FirstBackward(name)
    with backward:
        run(path, arguments)
    if backward.graph is None:
        seen = f"; others began at {', '.join(backward.passed_by)}" if backward.passed_by else ""
        what = f"no backward pass began at a tensor named {name}" if name else "it ran no backward pass"
        raise NotFound(f"{path} has ended, and {what}{seen}")
    return backward.graph
