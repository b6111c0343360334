"""`__torch_function__`: classes, and modes, that take part in how operations run.

An operation that meets an argument whose class defines `__torch_function__` asks that class (subclasses before their
bases, else left to right) to do the work. A subclass of Tensor inherits the default, which runs the operation as usual
and gives its results the subclass's type. A `TorchFunctionMode` in force is asked before all of them.
"""

import functools
import importlib
import inspect
import threading
from types import FunctionType

from wengert.autograd.graph import rare
from wengert.outside import outside
from wengert.tensor import Parameter, Tensor


class _State(threading.local):
    disabled = 0  # depth of DisableTorchFunctionSubclass
    all_disabled = 0  # depth of DisableTorchFunction

    def __init__(self):
        self.modes = []


state = _State()


class DisableTorchFunctionSubclass:
    """Inside, classes are not asked (modes still are); results are plain tensors."""

    def __enter__(self):
        state.disabled += 1
        return self

    def __exit__(self, *exc):
        state.disabled -= 1


class DisableTorchFunction:
    """Inside, neither classes nor modes are asked."""

    def __enter__(self):
        state.disabled += 1
        state.all_disabled += 1
        return self

    def __exit__(self, *exc):
        state.disabled -= 1
        state.all_disabled -= 1


class TorchFunctionMode:
    """A context manager whose ``__torch_function__(func, types, args, kwargs)`` sees every operation inside it."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        raise NotImplementedError

    def __enter__(self):
        state.modes.append(self)
        rare.enter()
        return self

    def __exit__(self, *exc):
        state.modes.remove(self)
        rare.leave()


class BaseTorchFunctionMode(TorchFunctionMode):
    """The mode that changes nothing."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


_DEFAULT = Tensor.__torch_function__.__func__
_disabled_torch_function_impl = Parameter.__torch_function__.__func__


def has_override(value):
    """Whether the class of `value` wants to be asked."""
    if state.disabled:
        return False
    kind = type(value)
    if kind is Tensor or kind is Parameter:
        return False
    method = getattr(kind, "__torch_function__", None)
    return method is not None and getattr(method, "__func__", method) is not _disabled_torch_function_impl


def relevant(candidates):
    """Those of the arguments whose classes are to be asked, subclasses first; a mode alone makes the list non-empty."""
    found = []
    for value in candidates:
        if has_override(value) and not any(type(value) is type(other) for other in found):
            place = len(found)
            for i, other in enumerate(found):
                if issubclass(type(value), type(other)):
                    place = i
                    break
            found.insert(place, value)
    if state.modes and not state.all_disabled and not found:
        return MODES_ONLY
    return found


class _ModesOnly(list):
    def __bool__(self):
        return True


MODES_ONLY = _ModesOnly()


def handle(function, arguments, args, kwargs):
    """Ask the innermost mode, then the classes of `arguments`; raises TypeError if all return NotImplemented."""
    types = tuple(dict.fromkeys(type(a) for a in arguments))
    if state.modes and not state.all_disabled:
        mode = state.modes.pop()
        rare.leave()
        try:
            result = mode.__torch_function__(function, types, args, kwargs)
        finally:
            state.modes.append(mode)
            rare.enter()
        if result is not NotImplemented:
            return result
    for argument in arguments:
        method = argument.__torch_function__
        result = method(function, types, args, kwargs)
        if result is not NotImplemented:
            return result
    names = ", ".join(f"{t.__module__}.{t.__qualname__}" for t in types)
    raise TypeError(
        f"Multiple dispatch failed for '{getattr(function, '__name__', function)}'; all __torch_function__ handlers "
        "returned "
        f"NotImplemented:\n\n  tried with types: {names}"
    )


def default_torch_function(cls, func, types, args, kwargs):
    """Run `func` on the tensors as they are and give its results the class `cls`."""
    if not all(issubclass(cls, t) or not issubclass(t, Tensor) for t in types):
        return NotImplemented
    with DisableTorchFunctionSubclass():
        result = func(*args, **kwargs)
    if func in get_default_nowrap_functions():
        return result
    return converted(result, cls)


def converted(result, cls):
    """The tensors of a result as instances of `cls`."""
    if cls is Tensor:
        return result
    if isinstance(result, Tensor):
        if not isinstance(result, cls):
            result.__class__ = cls
        return result
    if isinstance(result, tuple):
        items = [converted(x, cls) for x in result]
        return type(result)(items) if type(result) is not tuple else tuple(items)
    if isinstance(result, list):
        return [converted(x, cls) for x in result]
    return result


def forward_attributes(cls):
    """Have a class with a `__torch_function__` of its own asked for plain attributes and methods too, such as `shape`.

    Operations ask by themselves. Everything else that Tensor defines is entered in `cls` anew, asking first, so that
    tensors of other classes pay nothing for it. A property is named to the class as ``Tensor.shape.__get__``.
    """
    method = cls.__torch_function__
    inherited = (_DEFAULT, _disabled_torch_function_impl)
    if "__torch_function__" not in vars(cls) or getattr(method, "__func__", method) in inherited:
        return
    below = cls.__mro__[: cls.__mro__.index(Tensor)]
    for name, value in vars(Tensor).items():
        private = name.startswith("__") and name not in SPECIAL_METHODS_FORWARDED
        if private or name in NEVER_FORWARDED or any(name in vars(base) for base in below):
            continue
        if isinstance(value, property):
            setattr(cls, name, forwarded_property(value))
        elif type(value) is FunctionType and not hasattr(value, "operation") and not hasattr(value, "__wrapped__"):
            setattr(cls, name, forwarded_method(value))


NEVER_FORWARDED = frozenset({"as_subclass", "_version", "_backward_hooks"})
SPECIAL_METHODS_FORWARDED = frozenset(
    {"__len__", "__bool__", "__int__", "__float__", "__complex__", "__index__", "__contains__", "__iter__",
     "__reversed__",
     "__format__", "__rtruediv__"}
)  # fmt: skip


def forwarded_property(value):
    getter = value.__get__

    def get(self):
        if has_override(self):
            return handle(getter, (self,), (self,), {})
        return value.fget(self)

    return property(get, value.fset, value.fdel, value.__doc__)


def forwarded_method(method):
    @functools.wraps(method)
    def run(self, *args, **kwargs):
        if has_override(self):
            return handle(method, (self,), (self, *args), kwargs)
        return method(self, *args, **kwargs)

    return run


def of_new_class(cls, **kwargs):
    super(Tensor, cls).__init_subclass__(**kwargs)
    forward_attributes(cls)


Tensor.__init_subclass__ = classmethod(of_new_class)


def get_default_nowrap_functions():
    """Functions whose results a subclass's default leaves as they are."""
    return {Tensor.grad.__get__, Tensor.grad_fn.__get__}


def has_torch_function(arguments):
    """Whether any of `arguments` has a class (or there is a mode) that wants to be asked."""
    return bool(relevant([a for a in arguments if has_override(a)]))


def has_torch_function_unary(argument):
    """`has_torch_function` for one argument."""
    return has_torch_function((argument,))


def has_torch_function_variadic(*arguments):
    """`has_torch_function` for arguments given one by one."""
    return has_torch_function(arguments)


def handle_torch_function(public_api, relevant_args, *args, **kwargs):
    """Let the classes of `relevant_args` run `public_api` on these arguments."""
    return handle(public_api, relevant(list(relevant_args)), args, kwargs)


def is_tensor_like(value):
    """Whether `value` is a tensor or of a class that takes part in operations."""
    return type(value) is Tensor or hasattr(type(value), "__torch_function__")


def is_tensor_method_or_property(function):
    """Whether `function` is a method or property getter of Tensor."""
    return any(value is function or getattr(value, "fget", None) is function for value in vars(Tensor).values())


def wrap_torch_function(dispatcher):
    """Decorate a function so that overrides among the arguments that `dispatcher` returns are asked first."""

    def decorate(function):
        import functools

        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            among = dispatcher(*args, **kwargs)
            if has_torch_function(among):
                return handle_torch_function(wrapped, among, *args, **kwargs)
            return function(*args, **kwargs)

        return wrapped

    return decorate


def resolve_name(function):
    """The public name of an operation or method, such as ``torch.add``; None for a function that is not overridable."""
    return _names().get(function)


def get_overridable_functions():
    """The functions that can be overridden, as a dict from their namespace to a list of them."""
    by_namespace = {}
    for namespace, _, function in _public_functions():
        functions = by_namespace.setdefault(namespace, [])
        if function not in functions:
            functions.append(function)
    return by_namespace


def get_ignored_functions():
    """The public functions that never ask: those that make tensors from no tensor, and settings."""
    import wengert

    settings = (getattr(wengert, name) for name in dir(wengert) if not name.startswith("_"))
    overridable = set(_names())
    return {f for f in settings if isinstance(f, FunctionType) and f not in overridable}


def get_testing_overrides():
    """For each overridable function another of the same signature that returns -1."""
    overrides = {}
    for function in _names():
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):
            continue
        stand_in = functools.partial(_minus_one)
        stand_in.__signature__ = signature
        overrides[function] = stand_in
    return overrides


def _minus_one(*args, **kwargs):
    return -1


@functools.cache
def _names():
    names = {}
    for _, name, function in _public_functions():
        names.setdefault(function, name)
    return names


def _public_functions():
    """(namespace, public name, function) of every operation, and of every method of Tensor that is no function as well.
    """
    declared = importlib.import_module("wengert.ops.declare")  # the floor above: loaded long before anyone asks
    importlib.import_module("wengert.nn.functional")  # declares its operations
    for path, operations in tuple(declared.FUNCTIONS.items()):
        home = importlib.import_module(f"wengert.{path}".rstrip("."))
        for name in tuple(operations):
            yield home, f"{home.__name__.replace('wengert', 'torch', 1)}.{name}", getattr(home, name)
    for name in tuple(declared.METHODS):
        yield Tensor, f"torch.Tensor.{name}", getattr(Tensor, name)

__getattr__ = outside(__name__)
