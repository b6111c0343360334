"""What a program calls its tensors: names of variables, of attributes, and of parameters below a module's name."""

import types
from collections import deque

from wengert.nn.modules.module import Module
from wengert.optim.optimizer import Optimizer
from wengert.tensor import Tensor

MOST = 20_000  # things looked at in one search
PLAIN = (
    str, bytes, int, float, complex, bool, type, type(None), types.ModuleType, types.FunctionType, types.MethodType,
    types.BuiltinFunctionType,
)  # fmt: skip
CONTAINERS = (list, tuple, dict, set, deque)


def variables(frames):
    """(name, value) of the variables that the frames see, the nearest first; modules' own `self` comes last."""
    seen, last = set(), []
    for frame in frames:
        for scope in (frame.f_locals, frame.f_globals):
            if id(scope) in seen:
                continue
            seen.add(id(scope))
            for name, value in list(scope.items()):
                if name.startswith("__") or isinstance(value, PLAIN):
                    continue
                if name == "self" and isinstance(value, Module):
                    last.append((name, value))
                else:
                    yield name, value
    yield from last


def reachable(frames, kinds=(Tensor,)):
    """(name, value) of all values of these kinds that the variables lead to, near ones first.

    The way goes through containers and the attributes of plain objects, and stops at modules, tensors and optimizers.
    """
    queue = deque(variables(frames))
    seen = set()
    count = 0
    while queue and count < MOST:
        name, value = queue.popleft()
        if id(value) in seen:
            continue
        seen.add(id(value))
        count += 1
        if isinstance(value, kinds):
            yield name, value
        if isinstance(value, (Tensor, Optimizer)):
            continue
        queue.extend(below(name, value))


def below(name, value):
    """(name, value) one step further: elements and attributes."""
    if isinstance(value, dict):
        items = [(f"{name}[{key!r}]", item) for key, item in list(value.items())[:MOST]]
    elif isinstance(value, CONTAINERS):
        items = [(f"{name}[{i}]", item) for i, item in zip(range(MOST), list(value), strict=False)]
    else:
        attributes = getattr(value, "__dict__", None)
        if not isinstance(attributes, dict) or type(value).__module__.partition(".")[0] in ("wengert", "numpy"):
            return []
        items = [(f"{name}.{key}", item) for key, item in attributes.items() if not key.startswith("__")]
        if isinstance(value, Module):
            items = [(n, v) for n, v in items if not n.endswith(("._parameters", "._buffers", "._modules"))]
    return [(n, v) for n, v in items if not isinstance(v, PLAIN)]


def name_parameters(frames):
    """id of each leaf that the frames see -> its name: below a module's variable, or of a variable of its own."""
    found = {}
    modules, tensors = [], []
    for name, value in reachable(frames, (Module, Tensor)):
        (modules if isinstance(value, Module) else tensors).append((name, value))
    inner = {id(child) for _, module in modules for child in module.modules() if child is not module}
    for outermost in (True, False):
        for name, module in modules:
            if (id(module) not in inner) == outermost:
                for path, parameter in module.named_parameters():
                    found.setdefault(id(parameter), (f"{name}.{path}", parameter))
    for name, tensor in tensors:
        found.setdefault(id(tensor), (name, tensor))
    return found


def name_of(value, frames):
    """The name by which the frames know a value; None if they don't."""
    for name, other in reachable(frames, (type(value),)):
        if other is value:
            return name
    return None


def shape_of(tensor):
    """A shape as it is said: ``64×32``, or ``()``."""
    return "×".join(map(str, tensor.shape)) or "()"
