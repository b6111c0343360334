"""``torch.jit``, answering as PyTorch does under ``PYTORCH_JIT=0``: everything runs as the Python that it is.

There is no TorchScript here. A function or module given to `script` or `trace` comes back as it went in, with one
warning that says so; the marks for the compiler (`ignore`, `unused`, `export`, ...) change nothing, and a
`ScriptModule` is a `Module`. The numbers are the same. What only compiled code can do (`save`, `load`, `freeze`,
`model.save`, `model.graph`) is refused by name.
"""

import contextlib
import types
import typing
import warnings

from wengert.futures import Future
from wengert.nn.modules.module import Module
from wengert.outside import outside

__all__ = [
    "Attribute", "Error", "Final", "Future", "RecursiveScriptModule", "ScriptFunction", "ScriptModule", "annotate",
    "enable_onednn_fusion", "export", "fork", "freeze", "fuser", "ignore", "interface", "is_scripting", "is_tracing",
    "isinstance", "load", "onednn_fusion_enabled", "optimize_for_inference", "optimized_execution", "save", "script",
    "script_if_tracing", "script_method", "set_fusion_strategy", "strict_fusion", "trace", "trace_module", "unused",
    "wait",
]  # fmt: skip

Final = typing.Final


class Error(RuntimeError):
    """What compiled code raises; nothing here does."""


class ScriptModule(Module):
    """A Module. What `script` and `trace` return is never one."""


class RecursiveScriptModule(ScriptModule):
    """A module that `script` made: there are none, so `isinstance` answers False."""


class ScriptFunction:
    """A function that `script` made: there are none, so `isinstance` answers False."""


def script(obj, optimize=None, _frames_up=0, _rcb=None, example_inputs=None):
    """`obj` itself: a function, a module or a class. Warns once."""
    return as_it_is(obj, "torch.jit.script")


def trace(func, example_inputs=None, *args, **kwargs):
    """`func` itself, a function or a module; it is not run on the example inputs. Warns once."""
    return as_it_is(func, "torch.jit.trace")


def trace_module(mod, inputs, *args, **kwargs):
    """`mod` itself. Warns once."""
    return as_it_is(mod, "torch.jit.trace_module")


def as_it_is(obj, asked):
    """`obj`, after the warning; a module remembers what returned it, for the error when it is taken for compiled."""
    if ORDINARY not in warned:
        warned.add(ORDINARY)
        warnings.warn(f"{asked}: {ORDINARY}", UserWarning, stacklevel=3)
    if isinstance(obj, Module):
        obj.__dict__["_not_scripted_by"] = asked
    return obj


ORDINARY = (
    "wengert has no TorchScript. Functions and modules come back as they are and run as Python, with the same numbers "
    "(as PyTorch's do under PYTORCH_JIT=0); they can't be saved as TorchScript and have no graph"
)
warned: set[str] = set()


def same(function):
    """`function` itself: a mark for a compiler."""
    return function


script_method = script_if_tracing = _script_if_tracing = export = interface = _overload = _overload_method = same


def ignore(drop=False, **kwargs):
    """Leave a function to Python, where all of them are; used as `@ignore` and as `@ignore(...)`."""
    return drop if callable(drop) else same


def unused(fn):
    """`fn` itself; in TorchScript it would raise."""
    return fn


def annotate(the_type, the_value):
    """`the_value`, of which a compiler would have learned that it is a `the_type`."""
    return the_value


def Attribute(value, type):
    """`value`, of which a compiler would have learned that it is a `type`."""
    return value


def is_scripting():
    """False: the program runs as Python."""
    return False


is_tracing = is_scripting
onednn_fusion_enabled = is_scripting


def isinstance(obj, target_type):
    """Whether `obj` is a `target_type`, which may be a parameterised container such as `List[int]`, looked into."""
    options = target_type if type(target_type) is tuple else (target_type,)
    return any(matches(obj, option) for option in options)


def matches(obj, kind):
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is None:
        return type(obj) is kind or issubclass(type(obj), kind)
    if origin in (typing.Union, types.UnionType):
        return any(matches(obj, option) for option in inner)
    if type(obj) is not origin:
        return False
    if origin is dict:
        return all(matches(key, inner[0]) and matches(value, inner[1]) for key, value in obj.items())
    if origin is tuple:
        return len(obj) == len(inner) and all(map(matches, obj, inner))
    return all(matches(item, inner[0]) for item in obj)


def fork(func, *args, **kwargs):
    """A Future that already holds `func(*args, **kwargs)`: uncompiled code runs at once."""
    future = Future()
    future.set_result(func(*args, **kwargs))
    return future


def wait(future):
    """What `fork` computed."""
    return future.wait()


@contextlib.contextmanager
def optimized_execution(should_optimize):
    """Switch the compiler's optimisations, of which there are none."""
    yield


@contextlib.contextmanager
def fuser(name):
    """Choose a fuser of compiled code; there is no compiled code."""
    yield


class strict_fusion(contextlib.nullcontext):
    """Insist that compiled code is fused; there is no compiled code."""


def set_fusion_strategy(strategy):
    """Set how compiled code specialises; returns the strategy before, PyTorch's default."""
    return [("STATIC", 2), ("DYNAMIC", 10)]


def enable_onednn_fusion(enabled):
    """Switch a fusion of compiled code, of which there is none."""


def needs_compiled_code(name):
    def refused(*args, **kwargs):
        raise NotImplementedError(
            f"torch.jit.{name} needs TorchScript, which wengert doesn't have: torch.jit.script and torch.jit.trace "
            "return what they are given (as PyTorch does under PYTORCH_JIT=0). torch.save(model.state_dict(), ...) "
            "keeps a model"
        )

    refused.__name__ = refused.__qualname__ = name
    refused.__doc__ = "Refused: there is no compiled code."
    return refused


save = needs_compiled_code("save")
load = needs_compiled_code("load")
freeze = needs_compiled_code("freeze")
optimize_for_inference = needs_compiled_code("optimize_for_inference")

__getattr__ = outside(__name__)
