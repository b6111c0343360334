"""A graph taken apart: its nodes in partitions, each of them a submodule."""

import operator

from wengert.fx.graph import Graph
from wengert.fx.graph_module import GraphModule, member
from wengert.fx.node import map_arg

__all__ = ["split_module"]


class Part:
    """The nodes of one partition, and what passes in and out of it."""

    def __init__(self, name):
        self.name = name
        self.nodes, self.inputs, self.outputs, self.needs = [], {}, {}, {}
        self.graph, self.values = Graph(), {}


def split_module(m, root_m, split_callback, qualname_map=None, keep_original_order=False):
    """A module that calls one submodule for each partition of the nodes of `m`.

    Args:
        m: the `GraphModule` to take apart.
        root_m: where its submodules and parameters are found.
        split_callback: a function from a node to its partition, any number or name.
        qualname_map: a dictionary that takes, for each submodule's new name, its old one.
        keep_original_order: not supported: partitions run in an order in which each finds its inputs.

    Returns:
        A `GraphModule` with submodules ``submod_0``, ``submod_1``, ...

    Raises:
        RuntimeError: partitions need each other's results in a circle.
    """
    if keep_original_order:
        raise NotImplementedError("split_module(keep_original_order=True) is not supported")
    parts, home = {}, {}
    for node in m.graph.nodes:
        if node.op in ("placeholder", "get_attr", "output"):
            continue
        name = str(split_callback(node))
        home[node] = parts.setdefault(name, Part(f"submod_{name}"))
        home[node].nodes.append(node)
    for node in m.graph.nodes:
        for used in node.all_input_nodes:
            pass_on(used, node, home)
    order = in_order(list(parts.values()))
    whole, values = Graph(), {}
    for node in m.graph.nodes:
        if node.op == "placeholder":
            values[node] = whole.node_copy(node, lambda n: values[n])
    for node in m.graph.nodes:
        if node.op == "get_attr" and any(user not in home for user in node.users):
            values[node] = whole.node_copy(node)
    submodules = {}
    for part in order:
        submodules[part.name] = built(part, root_m, qualname_map)
        called = whole.call_module(part.name, tuple(values[n] for n in part.inputs))
        results = list(part.outputs)
        for place, node in enumerate(results):
            values[node] = called if len(results) == 1 else whole.call_function(operator.getitem, (called, place))
    result = m.graph.output_node()
    whole.output(map_arg(result.args[0], lambda n: values[n]), result.type)
    for node in whole.nodes:
        if node.op == "get_attr":
            submodules[node.target] = member(root_m, node.target)
    return GraphModule(submodules, whole)


def pass_on(used, node, home):
    """Note that `used` goes from its partition (or from outside) to that of `node`."""
    here, there = home.get(used), home.get(node)
    if used.op == "get_attr" or here is there:
        return
    if there is not None:
        there.inputs.setdefault(used)
        if here is not None:
            there.needs.setdefault(here)
    if here is not None:
        here.outputs.setdefault(used)


def in_order(parts):
    """The partitions, each after those whose results it needs."""
    done, order = set(), []
    while len(order) < len(parts):
        ready = [p for p in parts if p.name not in done and all(n.name in done for n in p.needs)]
        if not ready:
            raise RuntimeError("cycle exists between partitions!")
        order.append(ready[0])
        done.add(ready[0].name)
    return order


def built(part, root, names):
    """The submodule of a partition."""
    for node in part.inputs:
        part.values[node] = part.graph.placeholder(node.name, node.type)
    taken = {}

    def value(node):
        if node not in part.values:  # a parameter, fetched where it is used
            part.values[node] = part.graph.get_attr(named(node.target))
        return part.values[node]

    def named(target):
        own = target.replace(".", "_")
        taken[own] = member(root, target)
        if names is not None:
            names[f"{part.name}.{own}"] = target
        return own

    for node in part.nodes:
        args, kwargs = map_arg(node.args, value), map_arg(node.kwargs, value)
        target = named(node.target) if node.op == "call_module" else node.target
        made = part.values[node] = part.graph.create_node(node.op, target, args, dict(kwargs), node.name, node.type)
        made.meta = dict(node.meta)
    results = [part.values[n] for n in part.outputs]
    part.graph.output(results[0] if len(results) == 1 else tuple(results))
    return GraphModule(taken, part.graph)
