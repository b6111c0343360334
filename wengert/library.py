"""``torch.library`` and ``torch.ops``: operators that a program adds by name, in Python.

`custom_op` (or `Library`, with a schema in words) makes `torch.ops.namespace.name`; `register_autograd` gives it a
derivative. Kernels for devices that aren't here are kept and never called; fake kernels, which a compiler would ask for
shapes, are kept too. `torch.ops.aten` finds wengert's own operations under their names.
"""

import functools
import importlib
import inspect

from wengert.autograd.function import Function
from wengert.autograd.modes import no_grad
from wengert.tensor import Tensor

__all__ = [
    "CustomOpDef", "Library", "custom_op", "define", "impl", "impl_abstract", "register_autograd", "register_fake",
    "register_kernel",
]  # fmt: skip

_operators = {}  # "namespace::name": CustomOpDef
_fakes = {}  # also of operators that don't exist: libraries compiled for PyTorch describe theirs
HERE = ("cpu", "compositeexplicitautograd", "compositeimplicitautograd", "default", "cpu,cuda")


def serves_here(device_types):
    """Whether a kernel for these devices (a name, several, or None for all) is one for the CPU."""
    if device_types is None:
        return True
    names = (device_types,) if isinstance(device_types, str) else device_types
    return any(name.lower() in HERE for name in names)


class CustomOpDef:
    """An operator that a program defined: called as a function, and found as `torch.ops.namespace.name`."""

    def __init__(self, namespace, name, signature=None, function=None):
        self._namespace, self._name = namespace, name
        self._qualname = f"{namespace}::{name}"
        self._signature, self._function = signature, function
        self._backward = self._setup_context = None
        self.default = self  # the overload, which is the only one
        _operators[self._qualname] = self

    def __repr__(self):
        return f"<CustomOpDef({self._qualname})>"

    def register_kernel(self, device_types, fn=None, /):
        """Compute with `fn` on these devices; the CPU is the one that is here."""

        def register(function):
            if serves_here(device_types):
                self._function = function
            return function

        return register if fn is None else register(fn)

    def register_fake(self, fn, /):
        """Keep `fn`, which says what the result looks like without computing it."""
        _fakes[self._qualname] = fn
        return fn

    def register_autograd(self, backward, /, *, setup_context=None):
        """Derive by `backward(ctx, *gradients)`, for which `setup_context(ctx, inputs, output)` keeps what it needs."""
        self._backward, self._setup_context = backward, setup_context

    def __call__(self, *args, **kwargs):
        if self._function is None:
            raise NotImplementedError(
                f"Could not run '{self._qualname}' with arguments from the 'CPU' backend: "
                "no kernel was registered for it"
            )
        if self._signature is not None:
            bound = self._signature.bind(*args, **kwargs)
            bound.apply_defaults()
            args, kwargs = bound.args, bound.kwargs
            self._check(bound.arguments)
        if self._signature is None and self._backward is None:
            return self._function(*args, **kwargs)  # made of differentiable operations, or of none
        return _Recorded.apply(self, kwargs, *args)

    def _check(self, arguments):
        for position, (name, value) in enumerate(arguments.items()):
            if self._signature.parameters[name].annotation is Tensor and not isinstance(value, Tensor):
                raise RuntimeError(
                    f"{self._qualname}() Expected a value of type 'Tensor' for argument '{name}' but instead found "
                    f"type '{type(value).__name__}'.\nPosition: {position}\nValue: {value}"
                )


class _Recorded(Function):
    """The node of a custom operator: it computes on what is cut from the graph, and derives as it was told."""

    @staticmethod
    def forward(ctx, operator, keywords, *args):
        with no_grad():
            output = operator._function(*(a.detach() if isinstance(a, Tensor) else a for a in args), **keywords)
        ctx.operator = operator
        if operator._setup_context is not None:
            given = {"keyword_only_inputs": keywords} if keywords else {}
            operator._setup_context(ctx, inputs=args, output=output, **given)
        return output

    @staticmethod
    def backward(ctx, *gradients):
        operator = ctx.operator
        if operator._backward is None:
            name = operator._qualname.replace("::", ".")
            raise RuntimeError(
                f"Trying to backward through {name}.default but no autograd formula was registered. "
                "Please use register_autograd to add one."
            )
        found = operator._backward(ctx, *gradients)
        return None, None, *(found if isinstance(found, tuple) else (found,))


def split_name(qualname):
    namespace, colons, name = qualname.partition("::")
    if not colons or not namespace or not name:
        raise ValueError(
            f"Expected opname to be of the form 'namespace::name' (with exactly one ::), but got {qualname}"
        )
    return namespace, name


def operator_named(op):
    """The CustomOpDef of `op`, which is one, or its name."""
    if isinstance(op, CustomOpDef):
        return op
    if op not in _operators:
        raise RuntimeError(f"operator {op} does not exist")
    return _operators[op]


def custom_op(name, fn=None, /, *, mutates_args, device_types=None, schema=None, tags=None):
    """Make `torch.ops.namespace.name` of a function whose parameters are annotated; used as a decorator.

    Args:
        name: "namespace::name".
        mutates_args: the names of the arguments that the function writes into.
        device_types: the devices that the function computes on; all if None.

    Raises:
        ValueError: the name is of another form, or a parameter has no annotation.
    """
    if tags is not None:
        raise NotImplementedError("torch.library.custom_op: tags are not supported")

    def define_operator(function):
        signature = inspect.signature(function, eval_str=True)
        for parameter in signature.parameters.values():
            if parameter.annotation is parameter.empty and schema is None:
                raise ValueError(
                    f"infer_schema(func): Parameter {parameter.name} must have a type annotation. "
                    f"Got func with signature {signature})"
                )
        operator = CustomOpDef(*split_name(name), signature)
        operator.register_kernel(device_types, function)
        return operator

    return define_operator if fn is None else define_operator(fn)


def define(qualname, schema, *, lib=None, tags=()):
    """Make an operator that `impl` will give a kernel; `schema` ("(Tensor x) -> Tensor") says what it takes."""
    CustomOpDef(*split_name(qualname))


def impl(qualname, types, func=None, *, lib=None):
    """Compute the operator `qualname` with `func` on the devices `types`; used as a decorator without `func`."""
    return register_kernel(qualname, types, func, lib=lib)


def register_kernel(op, device_types, func=None, /, *, lib=None):
    """Compute the operator `op` with `func` on these devices."""
    operator = operator_named(op)
    return operator.register_kernel(device_types) if func is None else operator.register_kernel(device_types, func)


def register_fake(op, func=None, /, *, lib=None, _stacklevel=1, allow_override=False):
    """Keep what says how the result of `op` looks; no operator of that name need exist."""

    def register(function):
        _fakes[op if isinstance(op, str) else op._qualname] = function
        return function

    return register if func is None else register(func)


impl_abstract = register_fake


def register_autograd(op, backward, /, *, setup_context=None, lib=None):
    """Derive the operator `op` by `backward`; see `CustomOpDef.register_autograd`."""
    operator_named(op).register_autograd(backward, setup_context=setup_context)


class Library:
    """A namespace to define operators in ("DEF", "FRAGMENT") or to give kernels to ("IMPL")."""

    def __init__(self, ns, kind, dispatch_key=""):
        if kind not in ("IMPL", "DEF", "FRAGMENT"):
            raise ValueError(f"Unsupported library type {kind}")
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key

    def define(self, schema, alias_analysis="", *, tags=()):
        """Make the operator that `schema` names: "name(Tensor x) -> Tensor"; returns the name."""
        name = schema.partition("(")[0].strip()
        CustomOpDef(self.ns, name)
        return name

    def impl(self, op_name, fn, dispatch_key="", *, with_keyset=False, allow_override=False):
        """Compute the operator `op_name` with `fn` on the device `dispatch_key`."""
        qualname = op_name if "::" in op_name else f"{self.ns}::{op_name}"
        operator_named(qualname).register_kernel(dispatch_key or self.dispatch_key or None, fn)


class _Namespace:
    """`torch.ops.<name>`: the operators of one namespace."""

    def __init__(self, name):
        self._name = name

    def __getattr__(self, name):
        operator = _operators.get(f"{self._name}::{name}")
        if operator is None and self._name == "aten" and not name.startswith("__"):
            operator = operation_of_wengert(name)
        if operator is None:
            raise AttributeError(f"'_OpNamespace' '{self._name}' object has no attribute '{name}'")
        return operator


class _Packet:
    """An operation of wengert's under `torch.ops.aten`; every overload (`.Tensor`, `.default`, ...) is the function."""

    def __init__(self, function):
        self.function = function
        self.__name__, self.__doc__ = function.__name__, function.__doc__

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)

    def __getattr__(self, overload):
        if overload.startswith("__"):
            raise AttributeError(overload)
        return self.function


@functools.cache
def operation_of_wengert(name):
    """The function or method of that name. PyTorch's tables of overrides name many that are its own affair: calling
    one of those is an error, naming it isn't.
    """
    wengert = importlib.import_module("wengert")
    for namespace in (wengert, wengert.nn.functional, wengert.Tensor):
        function = getattr(namespace, name, None)
        if callable(function) and not isinstance(function, type):
            return _Packet(function)

    def missing(*args, **kwargs):
        raise NotImplementedError(f"wengert has no operator torch.ops.aten.{name}")

    missing.__name__ = name
    return _Packet(missing)


namespace = functools.cache(_Namespace)


def namespaces():
    """The names of all namespaces that have operators."""
    return {"aten", *(qualname.partition("::")[0] for qualname in _operators)}
