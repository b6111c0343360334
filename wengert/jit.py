"""``torch.jit``: TorchScript is refused by name; marks that programs set for it mean nothing here."""

import contextlib
from typing import Final as Final

from wengert.absent import refuses
from wengert.futures import Future

WHY = "runs programs as Python does and has no TorchScript"
refuses(
    globals(),
    ("script", "trace", "trace_module", "save", "load", "freeze", "optimize_for_inference", "export_opnames"),
    ("ScriptFunction", "CompilationUnit"),
    why=WHY,
)


class Error(RuntimeError):
    """What a TorchScript program would raise."""


class ScriptModule:
    """The class of scripted modules: no module belongs to it, and none can be made."""

    def __init__(self, *args, **kwargs):
        raise NotImplementedError(f"torch.jit.{type(self).__name__}: wengert {WHY}")


class RecursiveScriptModule(ScriptModule):
    """The class of modules that were scripted whole: no module belongs to it."""


class TracedModule(ScriptModule):
    """The class of traced modules: no module belongs to it."""


TopLevelTracedModule = TracedModule


class Attribute:
    """A value with its type, for scripted modules."""

    def __init__(self, value, type):
        self.value, self.type = value, type


def is_scripting():
    """False."""
    return False


is_tracing = is_scripting


def annotate(the_type, the_value):
    """`the_value`, whatever its type is said to be."""
    return the_value


def isinstance(obj, target_type):
    """Whether `obj` is of a class, or a container of such objects as in ``list[int]``."""
    import builtins
    from typing import get_args, get_origin

    if builtins.isinstance(target_type, tuple):
        return any(isinstance(obj, each) for each in target_type)
    origin, inner = get_origin(target_type), get_args(target_type)
    if origin is None:
        return builtins.isinstance(obj, target_type)
    if not builtins.isinstance(origin, type):  # a union
        return any(isinstance(obj, each) for each in inner)
    if not builtins.isinstance(obj, origin):
        return False
    if origin is dict:
        return all(isinstance(k, inner[0]) and isinstance(v, inner[1]) for k, v in obj.items())
    if origin is tuple:
        return len(obj) == len(inner) and all(isinstance(value, kind) for value, kind in zip(obj, inner))
    return all(isinstance(each, inner[0]) for each in obj)


def export(fn):
    """`fn`, marked for TorchScript."""
    fn._torchscript_modifier = "export"
    return fn


def unused(fn):
    """`fn`, marked as not for TorchScript."""
    if not callable(fn):
        return fn
    fn._torchscript_modifier = "unused"
    return fn


def ignore(drop=False, **kwargs):
    """A function, or a decorator for one, marked as left to Python."""
    if callable(drop):
        return unused(drop)
    return unused


def interface(cls):
    """`cls`, marked as an interface."""
    return cls


def script_method(fn):
    """`fn`, which runs as it is."""
    return fn


def script_if_tracing(fn):
    """`fn`: nothing is traced, so it needs no script."""
    return fn


def _overload(fn):
    return fn


_overload_method = _overload


def fork(func, *args, **kwargs):
    """Call ``func`` now; the result is in a `Future`, as if another thread had computed it."""
    future = Future()
    try:
        future.set_result(func(*args, **kwargs))
    except Exception as error:
        future.set_exception(error)
    return future


def wait(future):
    """The result of what `fork` began."""
    return future.wait()


_fork, _wait = fork, wait


@contextlib.contextmanager
def optimized_execution(should_optimize):
    """A context that changes nothing: Python runs, not TorchScript."""
    yield


fuser = strict_fusion = optimized_execution


def set_fusion_strategy(strategy):
    """Say how TorchScript may fuse, and hear how it might so far: not at all."""
    return []


def enable_onednn_fusion(enabled):
    """Switch a fusion of TorchScript's, which is not there."""


def onednn_fusion_enabled():
    """False."""
    return False
