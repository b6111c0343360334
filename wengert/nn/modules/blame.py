"""Which layer an exception came out of: a note under PyTorch's sentence.

    RuntimeError: mat1 and mat2 shapes cannot be multiplied (3x8 and 9x2)
    in encoder.2 (Linear) of Net, given [3, 8], with weight [9, 2] and bias [2]
    called at model.py:6 in forward: return self.encoder(x)

`Module.__call__` hands over an exception as it passes, from the layer outward, so the name grows at its front until the
outermost module has been left. A call that succeeds pays nothing for it.
"""

import linecache
import os
import sys

from wengert.tensor import Tensor

PACKAGE = __name__.partition(".")[0]
# The library's own classes and Python's. Exceptions that a program made for itself are its own messages.
NAMED = {RuntimeError, ValueError, TypeError, IndexError, NotImplementedError, AssertionError}


def name_layer(error, module, args, kwargs):
    """Add the note to `error`, which leaves `module`; or lengthen the name in the note that is there."""
    if type(error) not in NAMED:
        return
    found = getattr(error, "_layer", None)
    if found is None:
        path, details, place = "", describe(module, args, kwargs), calling_line()
    else:
        inner, path, details, place = found
        step = next((name for name, child in module.named_modules() if id(child) == inner and name), None)
        if step is None:  # called by a module that it doesn't belong to
            return
        path = f"{step}.{path}" if path else step
        error.__notes__.remove(note_of(*found[1:], error._outermost))
    # Ids and words, no objects: an exception may be sent to another process.
    error._layer, error._outermost = (id(module), path, details, place), type(module).__name__
    error.add_note(note_of(path, details, place, error._outermost))


def note_of(path, details, place, outermost):
    kind, given = details
    named = f"in {path} ({kind}) of {outermost}" if path else f"in {outermost}"
    return f"{named}{given}" + (f"\n{place}" if place else "")


def describe(module, args, kwargs):
    """The class of a layer, and the shapes of what it was given and of its own parameters."""
    given = [shown(value) for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
    own = [
        f"{name} {list(parameter.shape)}"
        for name, parameter in module._parameters.items()
        if parameter is not None and not hasattr(parameter, "materialize")
    ]
    words = (f", given {listed(given)}" if given else "") + (f", with {listed(own)}" if own else "")
    return type(module).__name__, words


def shown(tensor):
    shape = list(tensor.shape)
    return f"{shape}" if tensor.dtype.is_floating_point else f"{shape} of {str(tensor.dtype).rpartition('.')[2]}"


def listed(words):
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def calling_line():
    """Where the program itself called, through whatever containers, the layer whose `__call__` is being left."""
    frame = sys._getframe(3)  # past this function, name_layer and Module.__call__
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == PACKAGE:
        frame = frame.f_back
    if frame is None:
        return ""
    code, line = frame.f_code, frame.f_lineno
    text = linecache.getline(code.co_filename, line).strip()
    return f"called at {os.path.basename(code.co_filename)}:{line} in {code.co_name}" + (f": {text}" if text else "")
