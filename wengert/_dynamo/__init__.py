"""``torch._dynamo``: what libraries touch of PyTorch's compiler when they are imported; here nothing is compiled."""

from types import SimpleNamespace

from wengert._dynamo import eval_frame
from wengert._dynamo.eval_frame import OptimizedModule
from wengert.absent import refuses
from wengert.compiler import (
    allow_in_graph,
    assume_constant_result,
    disable,
    is_compiling,
    list_backends,
    reset,
    set_stance,
    substitute_in_graph,
)

__all__ = [
    "OptimizedModule", "allow_in_graph", "assume_constant_result", "config", "disable", "disallow_in_graph",
    "eval_frame", "forbid_in_graph", "graph_break", "is_compiling", "list_backends", "mark_dynamic", "mark_static",
    "mark_static_address", "maybe_mark_dynamic", "reset", "set_stance", "substitute_in_graph",
]  # fmt: skip

config = SimpleNamespace(suppress_errors=False, cache_size_limit=8, recompile_limit=8, verbose=False, disable=False)


def disallow_in_graph(fn):
    """`fn`: there is no graph to keep it out of."""
    return fn


forbid_in_graph = disallow_in_graph


def graph_break(msg=""):
    """End a graph, where none is being compiled."""


def mark_dynamic(t, index, **options):
    """Say that a size may change: all may."""


maybe_mark_dynamic = mark_dynamic


def mark_static(t, index=None):
    """Say that a size stays: nothing is made of it."""


def mark_static_address(t, guard=False):
    """Say that a tensor stays where it is: nothing is made of it."""


refuses(globals(), ("export", "explain", "optimize", "optimize_assert"), why="has no compiler yet")
