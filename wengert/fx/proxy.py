"""Proxies: values that are not there yet. Whatever is done with one becomes a node of the graph being traced."""

import dis
import enum
import inspect
import operator
import traceback

import wengert
from wengert import overrides
from wengert.fx.graph import OPERATORS
from wengert.fx.node import Node, map_aggregate
from wengert.tensor import Parameter, Tensor

__all__ = ["Attribute", "GraphAppendingTracer", "ParameterProxy", "Proxy", "TraceError", "TracerBase"]

BASE_TYPES = (
    str, int, float, bool, complex, wengert.dtype, Tensor, wengert.device, wengert.memory_format, wengert.layout,
    range, type(None), type(...),
)  # fmt: skip
ITERATED = (
    "Proxy object cannot be iterated. This can be attempted when the Proxy is used in a loop or as a *args or **kwargs "
    "function argument. See the torch.fx docs on pytorch.org for a more detailed explanation of what types of control "
    "flow can be traced, and check out the Proxy docstring for help troubleshooting Proxy iteration errors"
)


class TraceError(ValueError):
    """A program does something with a proxy that a graph can't express."""


class TracerBase:
    """What makes nodes of calls; a `Tracer` also knows modules."""

    record_stack_traces = False
    trace_asserts = False
    check_mutable_operations = False
    proxy_buffer_attributes = False
    graph = None

    def create_node(self, kind, target, args, kwargs, name=None, type_expr=None):
        """A new node of the graph."""
        return self.graph.create_node(kind, target, args, kwargs, name, type_expr)

    def proxy(self, node):
        """What stands for a node's value."""
        return Proxy(node, self)

    def create_proxy(self, kind, target, args, kwargs, name=None, type_expr=None, proxy_factory_fn=None):
        """A new node, and what stands for its value."""
        args, kwargs = self.create_arg(args), self.create_arg(kwargs)
        node = self.create_node(kind, target, args, dict(kwargs), name, type_expr)
        if self.record_stack_traces:
            node.stack_trace = program_frames()
        return (proxy_factory_fn or self.proxy)(node)

    def create_arg(self, a):
        """A value as it may stand among the arguments of a node; NotImplementedError for what may not."""
        if isinstance(a, Proxy):
            return a.node
        if hasattr(a, "__fx_create_arg__"):
            return a.__fx_create_arg__(self)
        if isinstance(a, tuple) and hasattr(a, "_fields"):
            return self.create_node("call_function", type(a), tuple(self.create_arg(x) for x in a), {})
        if isinstance(a, (tuple, list)):
            return type(a)(self.create_arg(x) for x in a)
        if isinstance(a, dict):
            return {self.plain_key(k): self.create_arg(v) for k, v in a.items()}
        if isinstance(a, slice):
            return slice(self.create_arg(a.start), self.create_arg(a.stop), self.create_arg(a.step))
        if isinstance(a, range):
            return range(a.start, a.stop, a.step)
        if isinstance(a, (*BASE_TYPES, enum.Enum)) or callable(a):
            return a
        raise NotImplementedError(f"argument of type: {type(a)}")

    def plain_key(self, key):
        found = self.create_arg(key)

        def refuse(node):
            raise RuntimeError(
                f"Keys for dictionaries used as an argument cannot contain a Node. Got key: {node}"
            )

        map_aggregate(found, lambda x: refuse(x) if isinstance(x, Node) else x)
        return found

    def to_bool(self, obj):
        """Called when a program asks whether a proxy is true."""
        raise TraceError("symbolically traced variables cannot be used as inputs to control flow")

    def iter(self, obj):
        """Called when a program iterates over a proxy: an unpacking of a known number of values is possible."""
        frame = inspect.currentframe().f_back.f_back
        for instruction in dis.get_instructions(frame.f_code):
            if instruction.offset >= frame.f_lasti and instruction.opname == "UNPACK_SEQUENCE":
                if instruction.offset - frame.f_lasti > 2:
                    break
                return (obj[i] for i in range(instruction.argval))
        raise TraceError(ITERATED)

    def keys(self, obj):
        """Called for ``**proxy``."""
        return Attribute(obj, "keys")()


class GraphAppendingTracer(TracerBase):
    """A tracer that adds to a graph that is there already."""

    def __init__(self, graph):
        super().__init__()
        self.graph = graph


def program_frames():
    """Where the program is, without the frames of this package."""
    frames = [f for f in traceback.extract_stack() if "/wengert/" not in f.filename]
    return "".join(traceback.format_list(frames[-3:]))


class Proxy:
    """The value of a node, while there is none yet.

    Operators, methods, attributes and functions of tensors applied to it give proxies of new nodes. What needs a value
    (a truth value, a length, a loop) raises TraceError.
    """

    def __init__(self, node, tracer=None):
        self.tracer = GraphAppendingTracer(node.graph) if tracer is None else tracer
        self.node = node

    def __repr__(self):
        return f"Proxy({self.node.name})"

    def __getattr__(self, name):
        return Attribute(self, name)

    def __getstate__(self):
        return self.__dict__

    def __setstate__(self, state):
        self.__dict__ = state

    def __deepcopy__(self, memo):
        import copy

        copied = {key: copy.deepcopy(value, memo) for key, value in self.__dict__.items() if key != "tracer"}
        return type(self)(copied["node"], self.tracer)

    def __call__(self, *args, **kwargs):
        return self.tracer.create_proxy("call_method", "__call__", (self, *args), kwargs)

    def __iter__(self):
        return self.tracer.iter(self)

    def __bool__(self):
        return self.tracer.to_bool(self)

    def keys(self):
        return self.tracer.keys(self)

    def __len__(self):
        raise RuntimeError(
            "'len' is not supported in symbolic tracing by default. If you want this call to be recorded, please call "
            "torch.fx.wrap('len') at module scope"
        )

    @classmethod
    def __torch_function__(cls, orig_method, types, args=None, kwargs=None):
        args, kwargs = args or (), kwargs or {}
        tracer = tracer_of((args, kwargs))
        name = orig_method.__name__
        if is_method(orig_method):
            name = name[2:-2] if name.startswith("__") and name.endswith("__") else name
            return tracer.create_proxy("call_method", name, args, kwargs)
        return tracer.create_proxy(
            "call_function", orig_method, args, kwargs, name=tracer.graph._target_to_str(name)
        )


def is_method(function):
    """Whether a function is a method of Tensor and not at the same time one of torch's functions."""
    name = getattr(function, "__name__", "")
    return getattr(wengert, name, None) is not function and overrides.is_tensor_method_or_property(function)


def tracer_of(arguments):
    """The tracer of the first proxy among the arguments."""
    found = []
    map_aggregate(arguments, lambda x: found.append(x.tracer) if isinstance(x, Proxy) else None)
    return found[0]


class Attribute(Proxy):
    """An attribute of a proxy: a node only if it isn't called, for then it is a method."""

    def __init__(self, root, attr):
        self.root, self.attr, self.tracer = root, attr, root.tracer
        self._node = None

    @property
    def node(self):
        if self._node is None:
            self._node = self.tracer.create_proxy("call_function", getattr, (self.root, self.attr), {}).node
        return self._node

    def __call__(self, *args, **kwargs):
        return self.tracer.create_proxy("call_method", self.attr, (self.root, *args), kwargs)


class ParameterProxy(Proxy):
    """A parameter whose shape and number of dimensions are known while tracing."""

    def __init__(self, tracer, node, name, param):
        super().__init__(node, tracer)
        if not isinstance(param, Parameter):
            raise AssertionError("param must be a Parameter")
        self.param, self.name = param, name

    def __repr__(self):
        return f"ParameterProxy({self.name})"

    shape = property(lambda self: self.param.shape)
    ndim = property(lambda self: self.param.ndim)

    def size(self, dim=None):
        return self.param.size() if dim is None else self.param.size(dim)

    def dim(self):
        return self.param.dim()

    def numel(self):
        return self.param.numel()

    def nelement(self):
        return self.param.nelement()


def operating(target):
    def method(self, *args):
        return self.tracer.create_proxy("call_function", target, (self, *args), {})

    return method


def reflected(target):
    def method(self, other):
        return self.tracer.create_proxy("call_function", target, (other, self), {})

    return method


REFLECTED = (
    "add", "sub", "mul", "floordiv", "truediv", "matmul", "mod", "pow", "lshift", "rshift", "and_", "or_", "xor",
)  # fmt: skip
for _name in OPERATORS:
    if _name != "div":
        setattr(Proxy, f"__{_name.strip('_')}__", operating(getattr(operator, _name)))
for _name in REFLECTED:
    setattr(Proxy, f"__r{_name.strip('_')}__", reflected(getattr(operator, _name)))
Proxy.__hash__ = object.__hash__
