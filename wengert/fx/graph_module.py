"""A module whose `forward` is compiled from a graph."""

import copy
import itertools
import linecache
import os
import sys

from wengert.fx.graph import Graph
from wengert.nn.modules.module import Module
from wengert.tensor import Parameter, Tensor

__all__ = ["GraphModule"]

_sources = itertools.count()


def compiled(source, namespace):
    """The function `forward` of a source, whose lines tracebacks and debuggers can show."""
    name = f"<eval_with_key>.{next(_sources)}"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    namespace = dict(namespace)
    exec(compile(source, name, "exec"), namespace)
    return namespace["forward"]


def member(root, path):
    """What a dotted path leads to."""
    for part in path.split("."):
        root = getattr(root, part)
    return root


class _CodeOnlyModule(Module):
    """A module that has the attributes in `body` and nothing besides: what subclasses copy themselves by."""

    def __init__(self, body):
        super().__init__()
        self.__dict__ = body


_USER_PRESERVED_ATTRIBUTES_KEY = "_user_preserved_attributes"  # in `meta`: attributes that copies keep


def _copy_attr(from_module, to_module, target):
    """Give `to_module` what `from_module` has under a dotted path, making the modules on the way."""
    *way, last = target.split(".")
    for part in way:
        there, here = getattr(from_module, part), getattr(to_module, part, None)
        if here is there:
            return  # a module that was taken over whole
        if here is None:
            here = Module()
            setattr(to_module, part, here)
        from_module, to_module = there, here
    _assign_attr(to_module, last, getattr(from_module, last))


def _assign_attr(module, path, value):
    """File `value` under a dotted path below `module`, making the modules on the way; plain tensors are buffers."""
    *way, last = path.split(".")
    for part in way:
        if getattr(module, part, None) is None:
            setattr(module, part, Module())
        module = getattr(module, part)
    if isinstance(value, Tensor) and not isinstance(value, Parameter):
        module.register_buffer(last, value)
    else:
        setattr(module, last, value)


class GraphModule(Module):
    """A module made of a graph and of what its nodes fetch and call.

    Args:
        root: the Module (or the dictionary from dotted names) whose submodules, parameters and tensors the graph
            names; those that it names are taken over, no others.
        graph: the `Graph`; a copy is made if another module owns it.
        class_name: the name to show.

    Attributes:
        graph: may be assigned; after changes to its nodes call `recompile`.
        code: the source of `forward`.
    """

    def __new__(cls, *args, **kwargs):
        for kind in cls.__mro__:  # each instance has a class of its own, to have a `forward` of its own
            if "<locals>" not in kind.__qualname__ and kind.__name__ != "GraphModuleImpl":
                base = kind
                break

        class GraphModuleImpl(base):
            pass

        return super().__new__(GraphModuleImpl)

    def __init__(self, root, graph, class_name="GraphModule"):
        super().__init__()
        type(self).__name__ = class_name
        if isinstance(root, Module):
            if hasattr(root, "training"):
                self.training = root.training
            for node in graph.nodes:
                if node.op in ("get_attr", "call_module"):
                    _copy_attr(root, self, node.target)
        elif isinstance(root, dict):
            for node in graph.nodes:
                if node.op in ("get_attr", "call_module") and node.target not in root:
                    raise RuntimeError(
                        f"Node {node} referenced target {node.target} but that target was not provided in ``root``!"
                    )
            named = dict.fromkeys(node.target for node in graph.nodes if node.op in ("get_attr", "call_module"))
            for target in sorted(named, key=lambda t: t.count(".")):
                _assign_attr(self, target, root[target])
        else:
            raise RuntimeError("Unsupported type " + str(root) + " passed for root!")
        self.meta = dict(getattr(root, "meta", None) or {}) if isinstance(root, Module) else {}
        self._tracer_cls = graph._tracer_cls
        self.graph = graph

    __jit_unused_properties__ = ["graph"]

    # --- the graph and its source -------------------------------------------------------------------------------------

    @property
    def graph(self):
        """The graph that `forward` was compiled from."""
        return self._graph

    @graph.setter
    def graph(self, graph):
        if not isinstance(graph, Graph):
            raise AssertionError(f"Expected a Graph instance, but got {type(graph)}")
        if graph.owning_module is not None and graph.owning_module is not self:
            graph = copy.deepcopy(graph)
        self.__dict__["_graph"] = graph
        graph.owning_module = self
        self.recompile()

    def recompile(self):
        """Compile `forward` again, after the graph was changed; returns the source with its globals."""
        python = self._graph.python_code("self")
        source = python.src
        for transform in self._graph._transformers[-1:]:
            source = "".join(transform(source.splitlines(True)))
            python = python._replace(src=source)
        self.__dict__["_code"] = source
        kind = type(self)
        kind.forward = compiled(source, python.globals)
        return python

    @property
    def code(self):
        """The Python source of `forward`."""
        if "_code" not in self.__dict__:
            raise RuntimeError("Code has not been generated! Please report a bug to PyTorch")
        return self._code

    def print_readable(self, print_output=True, include_stride=False, include_device=False, colored=False, **unused):
        """Print the source of this module and of the graph modules below it; returns it."""
        body = self._graph.python_code("self", verbose=True).src
        code = body.lstrip("\n")
        text = f"class {self._get_name()}(torch.nn.Module):\n" + indented(code)
        parts = [
            indented(child.print_readable(print_output=False))
            for child in self.children()
            if isinstance(child, GraphModule)
        ]
        output = "\n".join([text, *parts])
        if print_output:
            print(output)
        return output

    def __str__(self):
        return "\n".join(
            [super().__str__(), self._code, "# To see more debug info, please use `graph_module.print_readable()`"]
        )

    def to_folder(self, folder, module_name="FxModule"):
        """Write the module to a folder as a package: its source, and its state in ``state_dict.pt``."""
        import wengert

        os.makedirs(folder, exist_ok=True)
        wengert.save(self, os.path.join(folder, "module.pt"))
        with open(os.path.join(folder, "__init__.py"), "w", encoding="utf-8") as file:
            file.write("from .module import *\n")
        with open(os.path.join(folder, "module.py"), "w", encoding="utf-8") as file:
            file.write(
                f"import os\n\nimport torch\n\n\ndef {module_name}():\n"
                '    """The traced module, with its state."""\n'
                '    file = os.path.join(os.path.dirname(__file__), "module.pt")\n'
                "    return torch.load(file, weights_only=False)\n\n\n"
                + "".join(f"# {line}\n" for line in self._code.strip().splitlines())
            )

    # --- submodules ---------------------------------------------------------------------------------------------------

    def add_submodule(self, target, m):
        """File `m` under a dotted path, making empty modules on the way; False if something else stands there."""
        *way, last = target.split(".")
        here = self
        for part in way:
            below = getattr(here, part, None)
            if below is None:
                below = Module()
                setattr(here, part, below)
            if not isinstance(below, Module):
                return False
            here = below
        here.add_module(last, m)
        return True

    def delete_submodule(self, target):
        """Remove the submodule at a dotted path; False if there is none."""
        *way, last = target.split(".")
        here = self
        for part in way:
            here = getattr(here, part, None)
            if not isinstance(here, Module):
                return False
        if not isinstance(getattr(here, last, None), Module):
            return False
        delattr(here, last)
        return True

    def delete_all_unused_submodules(self):
        """Remove the submodules that no node calls or fetches from."""
        used = set()
        for node in self._graph.nodes:
            if node.op in ("call_module", "get_attr"):
                parts = node.target.split(".")
                used |= {".".join(parts[: i + 1]) for i in range(len(parts))}
                if node.op == "call_module":
                    used |= {f"{node.target}.{name}" for name, _ in member(self, node.target).named_modules() if name}
        for name in [name for name, _ in self.named_modules() if name and name not in used]:
            self.delete_submodule(name)

    # --- copies -------------------------------------------------------------------------------------------------------

    def __deepcopy__(self, memo):
        copied = object.__new__(type(GraphModule.__new__(type(self).__mro__[1])))
        memo[id(self)] = copied
        own = {k: v for k, v in self.__dict__.items() if k not in ("_graph", "_code")}
        copied.__dict__.update(copy.deepcopy(own, memo))
        type(copied).__name__ = "GraphModule"
        copied.graph = copy.deepcopy(self._graph, memo)
        return copied

    def __copy__(self):
        copied = GraphModule(self, copy.deepcopy(self._graph), type(self).__name__)
        copied.meta = dict(self.meta)
        return copied

    def __reduce__(self):
        state = {k: v for k, v in self.__dict__.items() if k not in ("_graph", "_code")}
        base = type(self).__mro__[1]
        return restored, (base, type(self).__name__, state, steps_of(self._graph))

    def __call__(self, *args, **kwargs):
        try:
            return super().__call__(*args, **kwargs)
        except Exception as error:
            show_line(error)
            raise


def show_line(error):
    """Say on stderr at which line of generated code an error arose."""
    frame, line = error.__traceback__, None
    while frame is not None:
        if frame.tb_frame.f_code.co_filename.startswith("<eval_with_key>"):
            line = (frame.tb_frame.f_code.co_filename, frame.tb_lineno)
        frame = frame.tb_next
    if line is not None:
        text = linecache.getline(*line).strip()
        print(f"Call using an FX-traced Module, line {line[1]} of the traced Module's generated forward function:\n"
              f"    {text}", file=sys.stderr)  # fmt: skip


def indented(text):
    return "\n".join(f"    {line}" if line.strip() else "" for line in text.splitlines())


class Ref:
    """A node among the arguments of another, by its number, as it is pickled."""

    def __init__(self, number):
        self.number = number


def steps_of(graph):
    """A graph as a list of plain tuples."""
    from wengert.fx.node import map_arg

    numbers = {node: i for i, node in enumerate(graph.nodes)}
    refer = lambda node: Ref(numbers[node])
    return [
        (n.op, n.target, map_arg(n.args, refer), map_arg(n.kwargs, refer), n.name, n.type) for n in graph.nodes
    ]


def restored(base, name, state, steps):
    """The module that was pickled."""
    from wengert.fx.node import map_aggregate

    graph, nodes = Graph(tracer_cls=state.get("_tracer_cls")), []
    resolve = lambda x: nodes[x.number] if isinstance(x, Ref) else x
    for op, target, args, kwargs, node_name, kind in steps:
        args, kwargs = map_aggregate(args, resolve), map_aggregate(kwargs, resolve)
        nodes.append(graph.create_node(op, target, args, dict(kwargs), node_name, kind))
    module = base.__new__(base)
    module.__dict__.update(state)
    type(module).__name__ = name
    module.graph = graph
    return module


def reduce_graph_module(body, import_block):
    """PyTorch's pickles of graph modules hold source code, which wengert doesn't run."""
    raise NotImplementedError(
        "torch.fx.graph_module.reduce_graph_module: wengert does not run code from a file; load the state dict"
    )


