"""``torch.compile``, for now the identity: a compiled function is the function, with one warning that says so. A
compiled module is another module, as programs expect, with the module inside (`wengert._dynamo.eval_frame`).

What programs say to a compiler (`disable`, `reset`, `allow_in_graph`, ...) is heard, and changes nothing.
"""

import contextlib
import warnings

from wengert.absent import refuses

_said = False


def compile(model=None, *, fullgraph=False, dynamic=None, backend="inductor", mode=None, options=None, disable=False,
            name=None, recompile_limit=None):  # fmt: skip
    """A function itself, a module inside another (`_orig_mod`), or a decorator: programs run the same, eagerly.

    Warns once.
    """
    global _said
    if mode is not None and options is not None:
        raise RuntimeError("Either mode or options can be specified, but both can't be specified at the same time.")
    if model is None:
        return lambda function: compile(function, disable=disable)
    if not callable(model):
        raise AssertionError(f"A callable function is expected, but {type(model)} is provided.")
    if not _said and not disable:
        _said = True
        message = "torch.compile: wengert has no compiler yet; functions run as they are"
        warnings.warn(message, UserWarning, stacklevel=2)
    return inside_another(model) if hasattr(model, "state_dict") and not disable else model


def inside_another(model):
    """A Module as the submodule of one that calls it; anything else as it is."""
    from wengert._dynamo.eval_frame import Module, OptimizedModule  # loads the networks, which `model` has if it is one

    return OptimizedModule(model) if isinstance(model, Module) else model


def disable(fn=None, recursive=True, *, reason=None):
    """Keep `fn` from being compiled, which nothing is."""
    return (lambda function: function) if fn is None else fn


def is_compiling():
    """False."""
    return False


is_dynamo_compiling = is_exporting = is_compiling


def reset():
    """Forget what was compiled: nothing."""


def cudagraph_mark_step_begin():
    """Begin a step for CUDA graphs, of which there are none."""


def allow_in_graph(fn):
    """`fn`, which needs no permission where no graph is compiled."""
    return fn


def assume_constant_result(fn):
    """`fn`, whose result is computed each time, constant or not."""
    return fn


def substitute_in_graph(original_fn, *, can_constant_fold_through=False, skip_signature_check=False):
    """A decorator that leaves a function as it is: the original runs, since nothing is compiled."""
    return lambda function: function


def list_backends(exclude_tags=("debug", "experimental")):
    """No backends."""
    return []


@contextlib.contextmanager
def set_stance(stance="default", *, skip_guard_eval_unsafe=False, force_backend=None):
    """A context in which functions run as they are, as they do outside."""
    yield


refuses(globals(), ("load_compiled_function", "wrap_numpy"), why="has no compiler yet")
