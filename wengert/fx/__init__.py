"""``torch.fx``: a program as a graph of calls, which can be read, changed, and written out as Python again.

`symbolic_trace` runs a module's `forward` on proxies, which have no values: whatever is done with one becomes a node
(`Graph`, `Node`). A `GraphModule` is a graph together with the parameters it speaks of; its `forward` is compiled from
the source that the graph writes (`GraphModule.code`). An `Interpreter` runs a graph node by node, a `Transformer`
makes another of it, `replace_pattern` finds one graph in another.
"""

from wengert.fx._symbolic_trace import PH, Tracer, symbolic_trace, wrap
from wengert.fx.graph import CodeGen, Graph
from wengert.fx.graph_module import GraphModule
from wengert.fx.interpreter import Interpreter, Transformer
from wengert.fx.node import Node, has_side_effect, map_arg
from wengert.fx.proxy import Proxy
from wengert.fx.subgraph_rewriter import replace_pattern
from wengert.outside import outside

__all__ = [
    "PH",
    "CodeGen",
    "Graph",
    "GraphModule",
    "Interpreter",
    "Node",
    "Proxy",
    "Tracer",
    "Transformer",
    "has_side_effect",
    "map_arg",
    "replace_pattern",
    "symbolic_trace",
    "wrap",
]

__getattr__ = outside(__name__)
