"""``torch.compile``, for now the identity: a compiled function is the function, with one warning that says so."""

import warnings

_said = False


def compile(model=None, *, fullgraph=False, dynamic=None, backend="inductor", mode=None, options=None, disable=False):
    """`model` itself (or a decorator that changes nothing): programs run the same, eagerly. Warns once."""
    global _said
    if model is None:
        return lambda function: compile(function, disable=disable)
    if not _said and not disable:
        _said = True
        message = "torch.compile: wengert has no compiler yet; functions run as they are"
        warnings.warn(message, UserWarning, stacklevel=2)
    return model


def disable(fn=None, recursive=True, *, reason=None):
    """Keep `fn` from being compiled, which nothing is."""
    return (lambda function: function) if fn is None else fn


def is_compiling():
    """False."""
    return False


def reset():
    """Forget what was compiled: nothing."""


is_dynamo_compiling = is_exporting = is_compiling


def allow_in_graph(fn):
    """`fn`: there is no graph to keep it out of."""
    return fn


assume_constant_result = allow_in_graph


def list_backends(exclude_tags=()):
    """None."""
    return []


def cudagraph_mark_step_begin():
    """Mark a step for CUDA graphs, of which there are none."""
