"""Finding one graph inside another, and putting a third in its place."""

from collections import namedtuple

from wengert.fx._symbolic_trace import symbolic_trace
from wengert.fx.graph import Graph
from wengert.fx.graph_module import GraphModule, _copy_attr, member
from wengert.fx.node import Node
from wengert.nn.modules.module import Module

__all__ = ["Match", "ReplacedPatterns", "replace_pattern", "replace_pattern_with_filters"]

Match = namedtuple("Match", ["anchor", "nodes_map"])
Match.__doc__ = "An occurrence: the node at which it was found (its last), and the pattern's nodes with theirs."
ReplacedPatterns = namedtuple("ReplacedPatterns", ["anchor", "nodes_map", "replacements"])


def replace_pattern(gm, pattern, replacement):
    """Replace every occurrence of a pattern in the graph of `gm` by another graph; returns the matches.

    Args:
        gm: the `GraphModule` to change.
        pattern, replacement: functions or modules with the same parameters, which are traced, or graphs.
    """
    return [Match(m.anchor, m.nodes_map) for m in rewrite(gm, pattern, replacement)]


def replace_pattern_with_filters(gm, pattern, replacement=None, match_filters=None, ignore_literals=False,
                                 replacement_callback=None):  # fmt: skip
    """The same, only where every filter says yes.

    Args:
        match_filters: functions of (match, the graph, the pattern's graph).
        ignore_literals: numbers and strings of the pattern stand for any others.
        replacement_callback: makes the replacement of each match, instead of `replacement`.
    """
    return rewrite(gm, pattern, replacement, match_filters or [], ignore_literals, replacement_callback)


def graph_of(program):
    if isinstance(program, Graph):
        return program
    return program.graph if isinstance(program, GraphModule) else symbolic_trace(program).graph


def rewrite(gm, pattern, replacement, filters=(), ignore_literals=False, make=None):
    sought = graph_of(pattern)
    found, taken = [], set()
    for node in list(gm.graph.nodes):
        match = matched(node, sought, ignore_literals)
        inner = match and [n for p, n in match.items() if p.op != "placeholder" and isinstance(n, Node)]
        if not match or taken & set(inner) or not contained(match, sought, inner):
            continue
        if all(f(Match(node, match), gm.graph, sought) for f in filters):
            taken |= set(inner)
            found.append((node, match))
    replaced = {}
    results = []
    for anchor, match in found:
        match = {p: replaced.get(n, n) if isinstance(n, Node) else n for p, n in match.items()}
        new = graph_of(make(Match(anchor, match), gm.graph, sought) if make else replacement)
        results.append(ReplacedPatterns(anchor, match, put_in_place(gm, sought, new, anchor, match, replaced)))
    gm.recompile()
    if isinstance(replacement, Module):
        take_over(gm, replacement)
    return results


def matched(node, pattern, ignore_literals):
    """The pattern's nodes with those that correspond to them, if the pattern ends at `node`; else None."""
    result = pattern.output_node().args[0]
    last = result[-1] if isinstance(result, (tuple, list)) else result
    match = {}
    return match if isinstance(last, Node) and agrees(last, node, match, ignore_literals) else None


def agrees(p, n, match, ignore_literals):
    if isinstance(p, Node):
        if p in match:
            return match[p] is n or (not isinstance(n, Node) and match[p] == n)
        if p.op == "placeholder":
            match[p] = n
            return True
        if not isinstance(n, Node) or n in match.values() or not same_call(p, n):
            return False
        match[p] = n
        return agrees(p.args, n.args, match, ignore_literals) and agrees(p.kwargs, n.kwargs, match, ignore_literals)
    if isinstance(n, Node):
        return False
    if isinstance(p, (tuple, list)):
        return isinstance(n, (tuple, list)) and len(p) == len(n) and all(
            agrees(a, b, match, ignore_literals) for a, b in zip(p, n, strict=True)
        )  # fmt: skip
    if isinstance(p, dict):
        return isinstance(n, dict) and list(p) == list(n) and all(
            agrees(p[k], n[k], match, ignore_literals) for k in p
        )  # fmt: skip
    return ignore_literals or (type(p) is type(n) and p == n)


def same_call(p, n):
    if p.op != n.op:
        return False
    if p.op == "call_module":
        mine, other = (member(x.graph.owning_module, x.target) if x.graph.owning_module else None for x in (p, n))
        return p.target == n.target or (mine is not None and other is not None and type(mine) is type(other))
    return p.target == n.target


def contained(match, pattern, inner):
    """Whether nothing outside uses what the replacement will not compute."""
    result = pattern.output_node().args[0]
    returned = {match[p] for p in (result if isinstance(result, (tuple, list)) else [result]) if isinstance(p, Node)}
    return all(n in returned or set(n.users) <= set(inner) for n in inner)


def put_in_place(gm, pattern, new, anchor, match, replaced):
    """Copy the replacement before the anchor and let its results take over; returns the new nodes."""
    values = {}
    parameters = [n for n in pattern.nodes if n.op == "placeholder"]
    for parameter, theirs in zip(parameters, (n for n in new.nodes if n.op == "placeholder"), strict=True):
        values[theirs] = match[parameter]
    given = set(values)
    with gm.graph.inserting_before(anchor):
        result = gm.graph.graph_copy(new, values)
    old = pattern.output_node().args[0]
    olds, results = ((x if isinstance(x, (tuple, list)) else [x]) for x in (old, result))
    for p, value in zip(olds, results, strict=True):
        match[p].replace_all_uses_with(value)
        replaced[match[p]] = value
    for p in reversed(list(pattern.nodes)):
        node = match.get(p)
        if p.op not in ("placeholder", "output") and isinstance(node, Node) and not node.users and not node._erased:
            gm.graph.erase_node(node)
    return [node for theirs, node in values.items() if theirs not in given]


def take_over(gm, replacement):
    """Give `gm` the submodules and tensors of a replacement that its nodes name."""
    for node in gm.graph.nodes:
        if node.op in ("get_attr", "call_module"):
            try:
                member(gm, node.target)
            except AttributeError:
                _copy_attr(replacement, gm, node.target)
