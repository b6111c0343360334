"""``torch.fx``: tracing of modules into graphs of calls, refused by name."""

from wengert.absent import refuses
from wengert.outside import outside

__path__: list[str] = []  # a package: see absent.Finder
refuses(
    globals(),
    ("symbolic_trace", "replace_pattern", "map_arg", "has_side_effect"),
    ("Graph", "GraphModule", "Interpreter", "Node", "Proxy", "Tracer", "Transformer"),
    why="runs programs as Python does and traces no graph of calls",
)


def wrap(fn_or_name):
    """`fn_or_name`, a function that a tracer would leave whole, or its name; RuntimeError for anything else."""
    if not callable(fn_or_name) and not isinstance(fn_or_name, str):
        raise RuntimeError(
            "Unsupported type for global function! Must be either a callable or string name of a function"
        )
    return fn_or_name

__getattr__ = outside(__name__)
