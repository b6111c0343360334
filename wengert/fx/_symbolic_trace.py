"""Symbolic tracing: a module's `forward` run on proxies, so that what it does becomes a graph.

While it runs, three things are in the place of their usual selves (`Patches`): `Module.__call__`, which makes a node of
a leaf module; `Module.__getattr__`, which makes one of a parameter; and functions of which Python would want a value
(those of `math`, those named to `wrap`, those that make tensors), which make one where they are given a proxy.
"""

import builtins
import functools
import inspect
import math
import types

import wengert
from wengert.fx.graph import Graph
from wengert.fx.graph_module import GraphModule
from wengert.fx.node import is_ours
from wengert.fx.proxy import ParameterProxy, Proxy, TracerBase
from wengert.nn.modules.container import Sequential
from wengert.nn.modules.module import Module
from wengert.tensor import Parameter, Tensor
from wengert.utils import _pytree as pytree

__all__ = ["PH", "PHBase", "PHWithMeta", "Tracer", "is_fx_tracing", "symbolic_trace", "wrap"]

# Functions that make tensors of sizes, and so may be given a proxy where they want a number.
CREATORS = """
    arange as_tensor empty empty_strided eye full linspace logspace ones rand randint randn randperm scalar_tensor
    tensor tril_indices triu_indices zeros
    """.split()  # noqa: SIM905

_wrapped = {}  # what programs named to `wrap`: (the namespace's id, name) → namespace
_tracing = 0


class PHBase:
    """A place in `concrete_args` that is to stay a parameter of the traced function."""

    def __repr__(self):
        return "PH"


class PHWithMeta(PHBase):
    """The same, named like another node."""

    def __init__(self, ph_key=None):
        super().__init__()
        self.ph_key = ph_key


PH = PHBase()


def is_fx_tracing():
    """Whether a symbolic trace is under way."""
    return _tracing > 0


def wrap(fn_or_name):
    """Have tracers leave a function of this module whole: calls of it become nodes.

    Args:
        fn_or_name: a function defined at the top of the calling module, or its name (``"len"``).

    Returns:
        What was given, so that it can be used as a decorator.

    Raises:
        RuntimeError: it is neither a function nor a name.
        NotImplementedError: the call does not stand at the top of a module.
    """
    if not callable(fn_or_name) and not isinstance(fn_or_name, str):
        raise RuntimeError(
            "Unsupported type for global function! Must be either a callable or string name of a function"
        )
    name = fn_or_name if isinstance(fn_or_name, str) else fn_or_name.__name__
    frame = inspect.currentframe().f_back
    if frame.f_code.co_name != "<module>":
        raise NotImplementedError("wrap must be called at the top level of a module")
    _wrapped[id(frame.f_globals), name] = frame.f_globals
    return fn_or_name


class Patches:
    """Replacements that are undone, last first, at the end of a `with` block."""

    def __init__(self):
        self.undo = []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        while self.undo:
            self.undo.pop()()

    def attribute(self, owner, name, value):
        former = vars(owner).get(name)
        self.undo.append(
            (lambda: delattr(owner, name)) if former is None else (lambda: setattr(owner, name, former))
        )
        setattr(owner, name, value)

    def item(self, namespace, name, value):
        missing = name not in namespace
        former = namespace.get(name)
        self.undo.append(
            (lambda: namespace.pop(name)) if missing else (lambda: namespace.__setitem__(name, former))
        )
        namespace[name] = value


def leaving_whole(function, creator=False):
    """`function`, making a node of itself where it is given a proxy."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        proxy = next((x for x in pytree.tree_leaves((args, kwargs)) if isinstance(x, Proxy)), None)
        if proxy is None:
            return function(*args, **kwargs)
        result = proxy.tracer.create_proxy("call_function", function, args, kwargs)
        if not creator:  # generated code says so, in case it is traced again
            result.node.meta["is_wrapped"] = True
        return result

    call.__wrapped_by_fx__ = function
    return call


class Tracer(TracerBase):
    """Makes graphs of modules and functions; a subclass says otherwise what is a leaf, and what becomes of calls.

    Args:
        autowrap_modules: modules whose functions are left whole.
        autowrap_functions: further functions that are.
        param_shapes_constant: shapes of parameters are numbers, not nodes.
    """

    def __init__(self, autowrap_modules=(math,), autowrap_functions=(), param_shapes_constant=False):
        super().__init__()
        self._autowrap_functions = [
            f for module in autowrap_modules for name, f in vars(module).items()
            if not name.startswith("_") and callable(f) and not isinstance(f, type)
        ]  # fmt: skip
        self._autowrap_functions += autowrap_functions
        self._autowrap_modules = list(autowrap_modules)
        self.param_shapes_constant = param_shapes_constant
        self.submodule_paths = None
        self.root = Module()
        self.tensor_attrs = {}
        self.module_stack = {}

    # --- what a subclass may say otherwise ----------------------------------------------------------------------------

    def is_leaf_module(self, m, module_qualified_name):
        """Whether calls of `m` become nodes, instead of being traced through: those of torch.nn but Sequential."""
        place = m.__module__
        ours = is_ours(place) and place.split(".", 1)[-1].startswith(("nn", "ao.nn"))
        return ours and not isinstance(m, Sequential)

    def path_of_module(self, mod):
        """The dotted name of a submodule; NameError if it isn't one."""
        if self.submodule_paths:
            path = self.submodule_paths.get(mod)
            if path is None:
                raise NameError("module is not installed as a submodule")
            return path
        for name, module in self.root.named_modules():
            if module is mod:
                return name
        raise NameError("module is not installed as a submodule")

    def call_module(self, m, forward, args, kwargs):
        """What becomes of the call of a module: a node if it is a leaf, else whatever `forward` gives."""
        path = self.path_of_module(m)
        if self.is_leaf_module(m, path):
            return self.create_proxy("call_module", path, args, kwargs)
        return forward(*args, **kwargs)

    def getattr(self, attr, attr_val, parameter_proxy_cache):
        """What becomes of the fetching of an attribute that is a parameter (or a buffer, if those are to be nodes)."""
        if isinstance(attr_val, Parameter):
            return self.fetched(attr_val, self.root.named_parameters(), parameter_proxy_cache)
        if self.proxy_buffer_attributes and isinstance(attr_val, Tensor):
            return self.fetched(attr_val, self.root.named_buffers(), parameter_proxy_cache)
        return attr_val

    def fetched(self, value, named, cache):
        for name, tensor in named:
            if tensor is value:
                if name not in cache:
                    shaped = lambda node: ParameterProxy(self, node, name, value)  # noqa: B023, used at once
                    known = {"proxy_factory_fn": shaped} if self.param_shapes_constant else {}
                    cache[name] = self.create_proxy("get_attr", name, (), {}, **known)
                return cache[name]
        return value

    def create_arg(self, a):
        """A value as it may stand among the arguments of a node: tensors become attributes of the root."""
        if isinstance(a, Parameter):
            for name, parameter in self.root.named_parameters():
                if parameter is a:
                    return self.create_node("get_attr", name, (), {})
            raise NameError("parameter is not a member of this module")
        if isinstance(a, Tensor):
            for name, buffer in self.root.named_buffers():
                if buffer is a:
                    return self.create_node("get_attr", name, (), {})
            name = self.tensor_attrs.get(a)
            if name is None:
                name = self.tensor_attrs[a] = self.free_name("_tensor_constant")
                setattr(self.root, name, a)
            return self.create_node("get_attr", name, (), {})
        if isinstance(a, Module):
            return self.create_node("get_attr", self.path_of_module(a), (), {})
        return super().create_arg(getattr(a, "__wrapped_by_fx__", a) if isinstance(a, types.FunctionType) else a)

    def free_name(self, base):
        number = 0
        while hasattr(self.root, f"{base}{number}"):
            number += 1
        return f"{base}{number}"

    # --- tracing ------------------------------------------------------------------------------------------------------

    def create_args_for_root(self, root_fn, is_module, concrete_args=None):
        """(the function to run, what to run it on): a placeholder for each parameter that isn't given concretely."""
        function = inspect.unwrap(root_fn)
        code = function.__code__
        names = list(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
        values = []
        if is_module:
            if not names:
                raise RuntimeError("``self`` argument cannot be part of *args expansion!")
            values.append(self.root)
            names.pop(0)
        signature = inspect.signature(function)
        concrete = dict(concrete_args or {}) if not isinstance(concrete_args, tuple) else dict(
            zip(names, concrete_args, strict=False)
        )  # fmt: skip
        given = {name: self.parameter(name, signature, concrete, function) for name in names}
        positional = names[: code.co_argcount - is_module]
        keywords = {name: given[name] for name in names[len(positional) :]}
        values += [given[name] for name in positional]
        rest = len(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
        starred = bool(code.co_flags & inspect.CO_VARARGS)
        if starred:
            values.append(self.star("*" + code.co_varnames[rest], function))
        if code.co_flags & inspect.CO_VARKEYWORDS:
            keywords["**"] = self.star("**" + code.co_varnames[rest + starred], function)
        if not starred and not keywords:
            return root_fn, values
        return self.with_rest(function, starred, keywords), values

    def with_rest(self, function, starred, keywords):
        """`function` of positional arguments, taking proxies for what it gathers."""
        code = function.__code__
        flags = code.co_flags & ~(inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        extra = starred + ("**" in keywords)
        plain = types.FunctionType(
            code.replace(co_argcount=len(names) + extra, co_kwonlyargcount=0, co_flags=flags),
            function.__globals__, function.__name__, function.__defaults__, function.__closure__,
        )  # fmt: skip

        def run(*values):
            values = list(values)
            star = [values.pop()] if starred else []
            last = [keywords["**"]] if "**" in keywords else []
            return plain(*values, *(v for k, v in keywords.items() if k != "**"), *star, *last)

        run.__annotations__ = getattr(function, "__annotations__", {})
        return run

    def parameter(self, name, signature, concrete, function):
        """A placeholder, or the concrete value of a parameter (a placeholder besides, which is checked against it)."""
        if name in concrete and not isinstance(concrete[name], PHBase):
            value = concrete[name]
            if any(isinstance(leaf, PHBase) for leaf in pytree.tree_leaves(value)):
                raise NotImplementedError("concrete_args with PH inside of a structure: wengert traces whole arguments")
            node = self.create_proxy("placeholder", name, (), {})
            if isinstance(value, (bool, int, float)) or value is None:
                self.check_specialised(node, name, value)
            return value
        default = signature.parameters[name].default
        args = () if default is inspect.Parameter.empty else (default,)
        kind = function.__annotations__.get(name) if hasattr(function, "__annotations__") else None
        return self.create_proxy("placeholder", name, args, {}, type_expr=kind)

    def check_specialised(self, proxy, name, value):
        message = f"{name} has been specialized to have value {value} but got another value"
        if value is None:
            self.create_proxy("call_function", _assert_is_none, (proxy, message), {})
        else:
            self.create_proxy("call_function", wengert._assert, (proxy == value, message), {})

    def star(self, name, function):
        return self.create_proxy("placeholder", name, (), {})

    def trace(self, root, concrete_args=None):
        """The graph of a module's `forward`, or of a function.

        Args:
            concrete_args: values of parameters to trace with, by name; the graph is then right for these alone.
        """
        global _tracing
        if isinstance(root, Module):
            self.root = root
            function = getattr(type(root), getattr(self, "traced_func_name", "forward"))
            self.submodule_paths = {module: name for name, module in root.named_modules()}
        else:
            self.root, function, self.submodule_paths = Module(), root, None
        self.graph = Graph(tracer_cls=type(self))
        self.tensor_attrs = dict(tensors_of(self.root))
        if not isinstance(function, types.FunctionType) and not hasattr(function, "__code__"):
            function = function.__call__.__func__.__get__(function) if callable(function) else function
        _tracing += 1
        try:
            function, args = self.create_args_for_root(function, isinstance(root, Module), concrete_args)
            with Patches() as patches:
                self.patch(patches, function)
                result = self.create_arg(function(*args))
            kind = getattr(function, "__annotations__", {}).get("return")
            self.create_node("output", "output", (result,), {}, type_expr=kind)
        finally:
            _tracing -= 1
            self.submodule_paths = None
        return self.graph

    def patch(self, patches, function):
        fetch, call, cache = Module.__getattr__, Module.__call__, {}

        @functools.wraps(fetch)
        def getattr_or_node(module, name):
            return self.getattr(name, fetch(module, name), cache)

        @functools.wraps(call)
        def call_or_node(module, *args, **kwargs):
            return self.call_module(module, lambda *a, **k: call(module, *a, **k), args, kwargs)

        patches.attribute(Module, "__getattr__", getattr_or_node)
        patches.attribute(Module, "__call__", call_or_node)
        for name in CREATORS:
            patches.item(vars(wengert), name, leaving_whole(getattr(wengert, name), creator=True))
        for module in self._autowrap_modules:
            for name, f in list(vars(module).items()):
                if f in self._autowrap_functions and not name.startswith("_"):
                    patches.item(vars(module), name, leaving_whole(f))
        namespace = getattr(inspect.unwrap(function), "__globals__", {})
        whole = {id(f) for f in self._autowrap_functions}
        for name, f in list(namespace.items()):
            if id(f) in whole and not hasattr(f, "__wrapped_by_fx__"):
                patches.item(namespace, name, leaving_whole(f))
        for (_, name), home in _wrapped.items():
            f = home.get(name, getattr(builtins, name, None))
            if f is not None:
                patches.item(home, name, leaving_whole(f))


def tensors_of(module, prefix=""):
    """(tensor, dotted name) of the attributes of a module and of those below it that are plain tensors."""
    for name, value in vars(module).items():
        if isinstance(value, Tensor):
            yield value, prefix + name
    for name, child in module.named_children():
        yield from tensors_of(child, f"{prefix}{name}.")


def _assert_is_none(value, msg):
    """Raise AssertionError with `msg` unless `value` is None."""
    assert value is None, msg


def symbolic_trace(root, concrete_args=None):
    """A `GraphModule` that does what `root` does, found by running it on proxies.

    Args:
        root: a Module or a function.
        concrete_args: values of parameters to trace with, by name.

    Raises:
        TraceError: the program needs a value that a proxy has not: in a condition, a loop, a length.
    """
    tracer = Tracer()
    graph = tracer.trace(root, concrete_args)
    return GraphModule(tracer.root, graph, type(root).__name__ if isinstance(root, Module) else root.__name__)


