"""Running a graph node by node, and making another graph of it on the way."""

from wengert.fx.graph import Graph
from wengert.fx.graph_module import GraphModule, member
from wengert.fx.node import map_aggregate, map_arg
from wengert.fx.proxy import Proxy, TracerBase

__all__ = ["Interpreter", "Transformer"]


class Interpreter:
    """Runs a `GraphModule`; a subclass may do otherwise for a kind of node, by overriding the method of its name.

    Args:
        module: what to run.
        garbage_collect_values: forget values that nothing needs any more.
        graph: another graph to run with the module's parameters.
    """

    def __init__(self, module, garbage_collect_values=True, graph=None):
        self.module = module
        self.submodules = dict(module.named_modules())
        self.graph = module.graph if graph is None else graph
        self.env = {}
        self.name = "Interpreter"
        self.garbage_collect_values = garbage_collect_values
        self.extra_traceback = True
        self.user_to_last_uses = {}
        if garbage_collect_values:
            last = {}
            for node in reversed(self.graph.nodes):
                map_arg((node.args, node.kwargs), lambda used, user=node: last.setdefault(used, user))
            for used, user in last.items():
                self.user_to_last_uses.setdefault(user, []).append(used)

    def run(self, *args, initial_env=None, enable_io_processing=True):
        """Run the graph on these arguments and return its result.

        Args:
            initial_env: values of nodes that are not to be computed.
            enable_io_processing: let the graph's code generator arrange arguments and results.
        """
        self.env = dict(initial_env or {})
        if enable_io_processing:
            args = self.graph.process_inputs(*args)
        self.args_iter = iter(args)
        for node in self.graph.nodes:
            if node in self.env:
                continue
            try:
                self.env[node] = self.run_node(node)
            except Exception as error:
                if self.extra_traceback:
                    error.add_note(f"While executing {node.format_node()}")
                raise
            for used in self.user_to_last_uses.get(node, ()):
                del self.env[used]
            if node.op == "output":
                result = self.env[node]
                return self.graph.process_outputs(result) if enable_io_processing else result
        return None

    def boxed_run(self, args_list):
        """Run on the arguments in a list, which is emptied."""
        args = list(args_list)
        args_list.clear()
        return self.run(*args)

    def run_node(self, n):
        """The value of one node, by the method of its kind."""
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        return getattr(self, n.op)(n.target, args, kwargs)

    def placeholder(self, target, args, kwargs):
        """The next argument (for ``*args`` all that are left), or the default."""
        if target.startswith("*"):
            return list(self.args_iter)
        try:
            return next(self.args_iter)
        except StopIteration:
            if args:
                return args[0]
            raise RuntimeError(f"Expected positional argument for parameter {target}, but one was not passed in!") \
                from None  # fmt: skip

    def get_attr(self, target, args, kwargs):
        """What is fetched from the module."""
        return self.fetch_attr(target)

    def call_function(self, target, args, kwargs):
        return target(*args, **kwargs)

    def call_method(self, target, args, kwargs):
        on, *rest = args
        return getattr(on, target)(*rest, **kwargs)

    def call_module(self, target, args, kwargs):
        return self.fetch_attr(target)(*args, **kwargs)

    def output(self, target, args, kwargs):
        return args[0]

    def fetch_attr(self, target):
        """What a dotted path below the module leads to; RuntimeError if it leads nowhere."""
        try:
            return member(self.module, target)
        except AttributeError:
            raise RuntimeError(f"Node referenced nonexistent target {target}") from None

    def fetch_args_kwargs_from_env(self, n):
        """The arguments of a node, with values for nodes."""
        return self.map_nodes_to_values(n.args, n), self.map_nodes_to_values(n.kwargs, n)

    def map_nodes_to_values(self, args, n):
        """`args` with values for nodes."""

        def value(node):
            if node not in self.env:
                raise RuntimeError(f"Node {n} referenced nonexistent value {node}! Run Graph.lint() to diagnose")
            return self.env[node]

        return map_arg(args, value)


class TransformerTracer(TracerBase):
    """Adds to the graph that a `Transformer` makes."""

    def __init__(self, graph):
        super().__init__()
        self.graph = graph
        self.tensor_attrs = {}
        self.submodule_paths = None

    def is_leaf_module(self, m, module_qualified_name):
        return True


class Transformer(Interpreter):
    """Makes another graph of a module's: run on proxies, each node becomes what its method makes of it."""

    def __init__(self, module):
        super().__init__(module)
        self.new_graph = Graph()
        self.new_graph.set_codegen(module.graph._codegen)
        self.tracer = TransformerTracer(self.new_graph)
        self.tracer.root = module

    def placeholder(self, target, args, kwargs):
        return self.tracer.proxy(self.new_graph.placeholder(target, default_value=args[0] if args else ...))

    def get_attr(self, target, args, kwargs):
        return self.tracer.create_proxy("get_attr", target, args, kwargs)

    def call_module(self, target, args, kwargs):
        return self.tracer.create_proxy("call_module", target, args, kwargs)

    def call_function(self, target, args, kwargs):
        return self.tracer.create_proxy("call_function", target, args, kwargs)

    def transform(self):
        """The module with the new graph."""
        result = super().run(enable_io_processing=False)
        if result is not None:
            strip = lambda x: x.node if isinstance(x, Proxy) else x
            output = self.new_graph.output(map_aggregate(result, strip))
            old = self.graph.output_node()
            output.meta.update(old.meta)
        return GraphModule(self.module, self.new_graph)


