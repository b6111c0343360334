"""The derivative formulas of a node, as they stand in the declaration of its operation.

A declaration holds lambdas: ``mul = pointwise("mul", np.multiply, input=lambda g, other: g * other, ...)``. Their
bodies are read back from the source file, so what the picture shows is what runs.
"""

import ast
import inspect
import linecache
import textwrap
from functools import cache

LONGEST = 12  # lines of a formula that is a function rather than a lambda; beyond this its name says it


@cache
def bodies_in(path):
    """Where each lambda of a source file stands, and the text of its body: {(line, column of the body): text}."""
    source = "".join(linecache.getlines(path))
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return {}
    return {
        (node.body.lineno, node.body.col_offset): ast.get_source_segment(source, node.body)
        for node in ast.walk(tree)
        if isinstance(node, ast.Lambda)
    }


def text_of(formula):
    """The text of a formula: the body of a lambda, the source of a short function, or just the call."""
    code = getattr(formula, "__code__", None)
    if code is None:
        return getattr(formula, "__name__", repr(formula))
    if code.co_name == "<lambda>":
        starts = {(line, column) for line, _, column, _ in code.co_positions() if line and column is not None}
        bodies = bodies_in(code.co_filename)
        found = [(place, bodies[place]) for place in starts if place in bodies]
        if found:
            return " ".join(min(found)[1].split())
    try:
        source = textwrap.dedent(inspect.getsource(formula))
    except (OSError, TypeError):
        source = ""
    if source and source.count("\n") < LONGEST and code.co_name != "<lambda>":
        return source.strip()
    return f"{formula.__name__}({', '.join(code.co_varnames[: code.co_argcount])})"


@cache
def formulas_of(node_class):
    """(input, text of its derivative) for each differentiable input of a class of nodes; () where none is declared."""
    operation = getattr(node_class, "operation", None)
    if operation is None:
        return ()
    formula = getattr(operation, "formula", None)
    if formula is not None:  # on a sequence of tensors
        return (("tensors", text_of(formula)),)
    derivatives = getattr(operation, "derivatives", None) or {}
    if "joint" in derivatives:
        return ((", ".join(derivatives["joint_of"]), text_of(derivatives["joint"])),)
    return tuple((name, text_of(f)) for name, f in derivatives.items() if callable(f))


@cache
def inputs_of(node_class, count):
    """The names of a node's `count` edges, as far as the declaration tells them."""
    operation = getattr(node_class, "operation", None)
    derivatives = getattr(operation, "derivatives", None)
    if not derivatives:
        return ("",) * count
    among = derivatives.get("joint_of", derivatives)
    names = [name for name in operation.tensors if name in among]
    return tuple(names) if len(names) == count else ("",) * count
