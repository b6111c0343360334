"""A graph: nodes in the order of execution, and the Python source that runs them.

`Graph.python_code("self")` writes the function; `CodeGen` is what writes it, and may be replaced to have other
arguments or another return (`Graph.set_codegen`).
"""

import builtins
import copy
import enum
import keyword
import math
import re
import warnings
from collections import namedtuple
from contextlib import contextmanager

import wengert
from wengert.fx.node import Node, is_ours, map_arg, qualified_name, type_name

__all__ = ["CodeGen", "Graph", "PythonCode"]

# Source, and the names that it takes from outside.
PythonCode = namedtuple("PythonCode", ["src", "globals"])

# What generated code may always name.
ALWAYS_THERE = {"inf": math.inf, "nan": math.nan, "NoneType": type(None), "torch": wengert, "device": wengert.device}
OPERATORS = {
    "add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}", "truediv": "{} / {}", "div": "{} / {}",
    "floordiv": "{} // {}", "mod": "{} % {}", "pow": "{} ** {}", "matmul": "{} @ {}", "lshift": "{} << {}",
    "rshift": "{} >> {}", "and_": "{} & {}", "or_": "{} | {}", "xor": "{} ^ {}", "eq": "{} == {}", "ne": "{} != {}",
    "lt": "{} < {}", "le": "{} <= {}", "gt": "{} > {}", "ge": "{} >= {}", "getitem": "{}[{}]", "neg": "-{}",
    "pos": "+{}", "invert": "~{}",
}  # fmt: skip
INPLACE = {
    "iadd": "{} += {}", "isub": "{} -= {}", "imul": "{} *= {}", "itruediv": "{} /= {}", "ifloordiv": "{} //= {}",
    "imod": "{} %= {}", "ipow": "{} **= {}", "imatmul": "{} @= {}", "ilshift": "{} <<= {}", "irshift": "{} >>= {}",
    "iand": "{} &= {}", "ior": "{} |= {}", "ixor": "{} ^= {}", "setitem": "{}[{}] = {}",
}  # fmt: skip


class Names:
    """Names that are taken, so that every node and every global of a graph has one of its own."""

    def __init__(self):
        self.owners = {}

    def create(self, candidate, owner):
        """A name like `candidate` that is free (or belongs to `owner` already): ``relu``, ``relu_1``, ..."""
        candidate = re.sub(r"[^0-9a-zA-Z_]+", "_", candidate) or "_unnamed"
        if candidate[0].isdigit():
            candidate = f"_{candidate}"
        numbered = re.fullmatch(r"(.*)_(\d+)", candidate)
        base, number = (numbered[1], int(numbered[2])) if numbered else (candidate, None)
        while self.taken(candidate, owner):
            number = 1 if number is None else number + 1
            candidate = f"{base}_{number}"
        self.owners[candidate] = owner
        return candidate

    def taken(self, name, owner):
        if name in self.owners:
            return owner is None or self.owners[name] is not owner
        if keyword.iskeyword(name) or hasattr(builtins, name):
            return owner is None or getattr(builtins, name, None) is not owner
        return name in ALWAYS_THERE and (owner is None or ALWAYS_THERE[name] is not owner)


def snake_case(name):
    """``BatchNorm`` as ``batch_norm``."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def in_module(base, target):
    """The expression for a dotted path below `base`, whose parts need not be identifiers."""
    for part in target.split("."):
        base = f"{base}.{part}" if part.isidentifier() else f'getattr({base}, "{part}")'
    return base


class CodeGen:
    """Writes the source of a graph."""

    def gen_fn_def(self, free_vars, maybe_return_annotation):
        """The line that begins the function."""
        if not free_vars or free_vars[0] != "self":
            free_vars.insert(0, "self")
        return f"def forward({', '.join(free_vars)}){maybe_return_annotation}:"

    def generate_output(self, output_args):
        """The line that ends it."""
        return f"return {written(output_args, self.name_of)}"

    def process_inputs(self, *args):
        """What the placeholders get of the arguments of a call."""
        return args

    def process_outputs(self, outputs):
        """What the caller gets of what the graph returns."""
        return outputs

    def additional_globals(self):
        """(name, value) pairs that the source needs besides."""
        return []

    def name_of(self, value):
        """The expression for an argument that is neither node nor container."""
        return repr(value)

    def _gen_python_code(self, nodes, root_module, names, verbose=False):
        return Writer(self, nodes, root_module, names, verbose).code()


def written(value, name_of):
    """Arguments as source."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return f"{name_of(type(value))}({', '.join(written(x, name_of) for x in value)})"
    if isinstance(value, tuple) and type(value) is not wengert.Size:
        return "(" + ", ".join(written(x, name_of) for x in value) + (",)" if len(value) == 1 else ")")
    if isinstance(value, list):
        return "[" + ", ".join(written(x, name_of) for x in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {written(v, name_of)}" for k, v in value.items()) + "}"
    if isinstance(value, slice):
        parts = (value.start, value.stop, value.step)
        return f"slice({', '.join(written(p, name_of) for p in parts)})"
    return name_of(value)


class Writer:
    """One pass over the nodes, writing a line for each."""

    def __init__(self, codegen, nodes, root_module, names, verbose=False):
        self.codegen, self.nodes, self.root, self.verbose = codegen, list(nodes), root_module, verbose
        self.names = names
        self.globals = {}
        self.wrapped = {}
        self.parameters = []
        self.body = []
        self.returns = ""
        self.last_uses = self.uses_ending_at()
        self.traceback = ""

    def code(self):
        for name, value in [*ALWAYS_THERE.items(), *self.codegen.additional_globals()]:
            self.add_global(name, value)
        self.codegen.name_of = self.name_of
        for node in self.nodes:
            self.line(node)
        del self.codegen.name_of
        if not self.body:
            self.body.append("pass\n")
        prologue = self.codegen.gen_fn_def(list(self.parameters), self.returns)
        wraps = "\n".join(f'torch.fx._symbolic_trace.wrap("{name}")' for name in self.wrapped)
        indented = "\n".join("    " + line for line in "".join(self.body).split("\n"))
        return PythonCode(f"\n{wraps}\n\n{prologue}\n{indented}", self.globals)

    def add_global(self, hint, value):
        """The name under which the source finds `value`."""
        if value is not wengert.device and is_ours(getattr(value, "__module__", None) or "") and callable(value):
            return qualified_name(value)
        name = self.names.create(hint.replace(".", "_"), value)
        self.globals[name] = value
        return name

    def name_of(self, value):
        if isinstance(value, Node):
            return repr(value)
        if isinstance(value, enum.Enum):
            return f"{self.add_global(type_name(type(value)), type(value))}.{value.name}"
        if isinstance(value, wengert.Size):
            return repr(value)
        if isinstance(value, type) or (callable(value) and hasattr(value, "__name__")):
            return self.add_global(type_name(value) if isinstance(value, type) else qualified_name(value), value)
        return repr(value)

    def uses_ending_at(self):
        """For each node those that nothing later uses."""
        last = {}
        ending = {}
        for node in reversed(self.nodes):
            map_arg((node.args, node.kwargs), lambda n, user=node: last.setdefault(n, user))
        for used, user in last.items():
            ending.setdefault(user, []).append(used)
        return ending

    def line(self, node):
        if self.verbose and node.op not in ("placeholder", "output"):
            self.comment(node)
        write = getattr(self, f"write_{node.op}")
        text = write(node)
        if text is None:
            return
        if node.op == "output":
            self.body.append(f"{text}\n")
            return
        self.body.append(text + self.forgetting(node) + "\n")

    def comment(self, node):
        trace = node.stack_trace or "No stacktrace found for following nodes"
        last = trace.strip().splitlines()[-1].strip()
        if last != self.traceback:
            self.traceback = last
            self.body.append(f"\n# {last}\n")

    def forgetting(self, node):
        """The end of a line that drops what nobody needs any more."""
        done = list(self.last_uses.get(node, []))
        if not node.users:
            done.append(node)
        return f";  {' = '.join([*map(repr, done), 'None'])}" if done else ""

    def annotation(self, node):
        return "" if node.type is None else f" : {self.type_of(node.type)}"

    def type_of(self, kind):
        if isinstance(kind, type) and kind.__module__ == "builtins":
            return self.add_global(kind.__qualname__, kind)
        if isinstance(kind, type) and is_ours(kind.__module__):
            return type_name(kind)
        return self.add_global(type_name(kind), kind)

    def arguments(self, args, kwargs):
        parts = [written(a, self.name_of) for a in args]
        parts += [f"{k} = {written(v, self.name_of)}" for k, v in kwargs.items()]
        return ", ".join(parts)

    def write_placeholder(self, node):
        default = f" = {written(node.args[0], self.name_of)}" if node.args else ""
        self.parameters.append(f"{node.target}{self.annotation(node)}{default}")
        given = node.target.replace("*", "")
        if given != repr(node):
            self.body.append(f"{node!r} = {given}\n")

    def write_get_attr(self, node):
        return f"{node!r}{self.annotation(node)} = {in_module(self.root, node.target)}"

    def write_call_method(self, node):
        on = written(node.args[0], self.name_of)
        return (
            f"{node!r}{self.annotation(node)} = {in_module(on, node.target)}"
            f"({self.arguments(node.args[1:], node.kwargs)})"
        )

    def write_call_module(self, node):
        return (
            f"{node!r}{self.annotation(node)} = {in_module(self.root, node.target)}"
            f"({self.arguments(node.args, node.kwargs)})"
        )

    def write_call_function(self, node):
        target = node.target
        start = f"{node!r}{self.annotation(node)} = "
        place, name = getattr(target, "__module__", None), getattr(target, "__name__", "")
        if place == "_operator":
            operands = [written(a, self.name_of) for a in node.args]
            if name in OPERATORS:
                return start + OPERATORS[name].format(*operands)
            if name in INPLACE:
                return f"{INPLACE[name].format(*operands)};  {start}{operands[0]}"
        qualified = qualified_name(target)
        found = self.add_global(qualified, target)
        if found == "getattr" and isinstance(node.args[1], str) and node.args[1].isidentifier() and len(node.args) == 2:
            return f"{start}{written(node.args[0], self.name_of)}.{node.args[1]}"
        if node.meta.get("is_wrapped"):
            self.wrapped.setdefault(found)
        return f"{start}{found}({self.arguments(node.args, node.kwargs)})"

    def write_output(self, node):
        if node.type is not None:
            self.returns = f" -> {self.type_of(node.type)}"
        return self.codegen.generate_output(node.args[0])


class NodeList:
    """The nodes of a graph as an iterable of known length."""

    def __init__(self, graph, direction="_next"):
        self.graph, self.direction = graph, direction

    def __len__(self):
        return self.graph._len

    def __iter__(self):
        root = self.graph._root
        node = getattr(root, self.direction)
        while node is not root:
            if not node._erased:
                yield node
            node = getattr(node, self.direction)

    def __reversed__(self):
        return NodeList(self.graph, "_prev" if self.direction == "_next" else "_next")


class Graph:
    """Nodes in the order of execution.

    Args:
        owning_module: the `GraphModule` that it belongs to.
        tracer_cls: the class of the tracer that made it.
    """

    def __init__(self, owning_module=None, tracer_cls=None, tracer_extras=None):
        self._root = Node(self, "", "root", "", (), {})
        self._len = 0
        self._names = Names()
        self._insert = self._root.prepend
        self.owning_module, self._tracer_cls, self._tracer_extras = owning_module, tracer_cls, tracer_extras
        self._codegen = CodeGen()
        self._transformers = []

    @property
    def nodes(self):
        """The nodes in order; `reversed` gives them from the end."""
        return NodeList(self)

    def output_node(self):
        """The node that returns the result."""
        return next(iter(reversed(self.nodes)))

    def find_nodes(self, *, op, target=None, sort=True):
        """The nodes of one kind, and of one target if that is given."""
        return [n for n in self.nodes if n.op == op and (target is None or n.target == target)]

    # --- adding and removing ------------------------------------------------------------------------------------------

    def create_node(self, op, target, args=None, kwargs=None, name=None, type_expr=None):
        """Add a node where nodes are being inserted (at the end, unless told otherwise) and return it."""
        args, kwargs = () if args is None else args, {} if kwargs is None else kwargs
        if not isinstance(args, tuple):
            raise AssertionError("args must be a tuple")
        if not isinstance(kwargs, dict):
            raise AssertionError("kwargs must be a dict")
        node = Node(self, "", op, target, args, kwargs, type_expr)
        node.name = self._names.create(name or self._target_to_str(target), node)
        self._insert(node)
        self._len += 1
        return node

    def placeholder(self, name, type_expr=None, default_value=...):
        """Add a parameter of the function, before it `*` or `**` where it takes what is left."""
        args = () if default_value is ... else (default_value,)
        return self.create_node("placeholder", name, args=args, type_expr=type_expr)

    def get_attr(self, qualified_name, type_expr=None):
        """Add the fetching of a parameter, buffer or other attribute of the module."""
        if self.owning_module is not None and not reachable(self.owning_module, qualified_name):
            warnings.warn(
                "Attempted to insert a get_attr Node with no underlying reference in the owning GraphModule! Call "
                "GraphModule.add_submodule to add the necessary submodule, GraphModule.add_parameter to add the "
                "necessary Parameter, or nn.Module.register_buffer to add the necessary buffer",
                stacklevel=2,
            )
        return self.create_node("get_attr", qualified_name, type_expr=type_expr)

    def call_module(self, module_name, args=None, kwargs=None, type_expr=None):
        """Add a call of a submodule."""
        if self.owning_module is not None and not reachable(self.owning_module, module_name):
            warnings.warn(
                "Attempted to insert a call_module Node with no underlying reference in the owning GraphModule! Call "
                "GraphModule.add_submodule to add the necessary submodule",
                stacklevel=2,
            )
        return self.create_node("call_module", module_name, args, kwargs, type_expr=type_expr)

    def call_method(self, method_name, args=None, kwargs=None, type_expr=None):
        """Add a call of a method of the first argument."""
        return self.create_node("call_method", method_name, args, kwargs, type_expr=type_expr)

    def call_function(self, the_function, args=None, kwargs=None, type_expr=None, name=None):
        """Add a call of a function."""
        return self.create_node("call_function", the_function, args, kwargs, name=name, type_expr=type_expr)

    def output(self, result, type_expr=None):
        """Add the return of the function."""
        return self.create_node("output", "output", args=(result,), type_expr=type_expr)

    def erase_node(self, to_erase):
        """Remove a node that nobody uses; RuntimeError if somebody does."""
        if to_erase.users:
            raise RuntimeError(
                f"Tried to erase Node {to_erase} but it still had {len(to_erase.users)} users in the graph: "
                f"{to_erase.users}!"
            )
        if to_erase.graph is not self:
            raise RuntimeError(f"Attempting to remove {to_erase} from wrong graph!")
        if to_erase._erased:
            warnings.warn(f"erase_node({to_erase}) on an already erased node", stacklevel=2)
            return
        to_erase._remove_from_list()
        to_erase._erased = True
        self._len -= 1
        to_erase._use((), {})

    def inserting_before(self, n=None):
        """Nodes are added before `n` from now on; as a context manager, until its end."""
        if n is None:
            return self.inserting_after(self._root)
        if n.graph is not self:
            raise AssertionError("Node to insert before is not in graph.")
        return Inserting(self, n.prepend)

    def inserting_after(self, n=None):
        """Nodes are added after `n` from now on, in the order of their making; as a context manager, until its end."""
        if n is None:
            return self.inserting_before(self._root)
        if n.graph is not self:
            raise AssertionError("Node to insert after is not in graph.")
        last = [n]

        def insert(node):
            last[0].append(node)
            last[0] = node

        return Inserting(self, insert if n is not self._root else n.append)

    def node_copy(self, node, arg_transform=lambda x: x):
        """Add a copy of a node (of any graph), its arguments turned into nodes of this one by `arg_transform`."""
        args, kwargs = map_arg(node.args, arg_transform), map_arg(node.kwargs, arg_transform)
        if not isinstance(args, tuple) or not isinstance(kwargs, dict):
            raise AssertionError("arg_transform must keep the structure of the arguments")
        copied = self.create_node(node.op, node.target, args, dict(kwargs), node.name, node.type)
        copied.meta = copy.copy(node.meta)
        return copied

    def graph_copy(self, g, val_map, return_output_node=False):
        """Add copies of all nodes of `g` but its output.

        Args:
            val_map: from nodes of `g` to nodes here; those that are in it already are not copied.

        Returns:
            What `g` returned, as nodes of this graph (with `return_output_node`, and that node).
        """
        for node in g.nodes:
            if node in val_map:
                continue
            if node.op == "output":
                result = map_arg(node.args[0], lambda n: val_map[n])
                return result if not return_output_node else (result, node)
            val_map[node] = self.node_copy(node, lambda n: val_map[n])
        return None

    def __deepcopy__(self, memo=None):
        memo = {} if memo is None else memo
        new = Graph(tracer_cls=self._tracer_cls)
        memo[id(self)] = new
        values = {}
        copied = new.graph_copy(self, values, return_output_node=True)
        new._codegen = copy.deepcopy(self._codegen)
        if copied is not None:
            result, old = copied
            output = new.output(result, old.type)
            output.meta = copy.copy(old.meta)
        return new

    # --- improving ----------------------------------------------------------------------------------------------------

    def eliminate_dead_code(self, is_impure_node=None):
        """Remove the nodes that nobody uses and that do nothing besides; returns whether there were any."""
        impure = is_impure_node or (lambda node: node.is_impure())
        self.lint()
        before = self._len
        for node in reversed(list(self.nodes)):
            if not node.users and not impure(node):
                self.erase_node(node)
        return self._len < before

    def lint(self):
        """Check that the graph is well formed: RuntimeError or ValueError otherwise."""
        defined, names = set(), set()

        def check(arg, node):
            if arg.graph is not self:
                raise RuntimeError(f"Argument '{arg}' of Node '{node}' does not belong to this Graph!")
            if arg not in defined:
                raise RuntimeError(
                    f"Argument '{arg}' of Node '{node}' was used before it has been defined! Please check that Nodes "
                    f"in the graph are topologically ordered\n{self}"
                )

        for node in self.nodes:
            if node.graph is not self:
                raise RuntimeError(f"Node '{node}' does not belong to this Graph!")
            map_arg((node.args, node.kwargs), lambda arg, node=node: check(arg, node))
            defined.add(node)
            if node.name in names:
                raise RuntimeError(f"Node redefined name {node.name}!")
            names.add(node.name)
        if self.owning_module is not None:
            for node in self.nodes:
                if node.op in ("get_attr", "call_module") and not reachable(self.owning_module, node.target):
                    missing = node.target.split(".")[0]
                    raise RuntimeError(
                        f"Node {node} target {node.target} references nonexistent attribute {missing} of "
                        f"{self.owning_module._get_name()}"
                    )

    # --- writing ------------------------------------------------------------------------------------------------------

    def set_codegen(self, codegen):
        """Have `codegen` write the source."""
        self._codegen = codegen

    def on_generate_code(self, make_transformer):
        """Have lines of source pass through a function before they are compiled.

        Args:
            make_transformer: given the transformer in force (or None), returns the one to use, a function from a list
                of lines to a list of lines.

        Returns:
            A context manager, at whose end the former is in force again.
        """
        former = self._transformers[-1] if self._transformers else None
        self._transformers.append(make_transformer(former))
        return Undoing(self._transformers)

    def python_code(self, root_module, *, verbose=False, **unused):
        """The source of the graph, in which the module is called `root_module`."""
        names = Names()
        names.owners.update({node.name: node for node in self.nodes})
        names.create("self", None) if "self" not in names.owners else None
        return self._codegen._gen_python_code(self.nodes, root_module, names, verbose)

    def process_inputs(self, *args):
        return self._codegen.process_inputs(*args)

    def process_outputs(self, out):
        return self._codegen.process_outputs(out)

    def _target_to_str(self, target):
        """The name that a node for `target` would like."""
        name = target if isinstance(target, str) else target.__name__
        if len(name) > 4 and name.startswith("__") and name.endswith("__"):
            name = name[2:-2]
        return snake_case(name)

    def __str__(self):
        return "graph():" + "".join(f"\n    {node.format_node()}" for node in self.nodes)

    def print_tabular(self):
        """Print the nodes as a table; needs the package `tabulate`."""
        try:
            from tabulate import tabulate
        except ImportError:
            print(
                "`print_tabular` relies on the library `tabulate`, which could not be found on this machine. Run `pip "
                "install tabulate` to install the library."
            )
            raise
        rows = [[n.op, n.name, n.target, n.args, n.kwargs] for n in self.nodes]
        print(tabulate(rows, headers=["opcode", "name", "target", "args", "kwargs"]))


class Inserting:
    """Where nodes are added; what was before holds again at the end of a `with` block."""

    def __init__(self, graph, insert):
        self.graph, self.former = graph, graph._insert
        graph._insert = insert

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.graph._insert = self.former


@contextmanager
def Undoing(stack):
    try:
        yield
    finally:
        stack.pop()


def reachable(module, path):
    """Whether a dotted path leads to something below `module`."""
    for part in path.split("."):
        if not hasattr(module, part):
            return False
        module = getattr(module, part)
    return True


