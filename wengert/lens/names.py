"""What a program calls its tensors: names of variables, of attributes, and of parameters below a module's name.

Names are looked for in the variables of the frames that asked. Looking leaves no trace: see `locals_of`.
"""

import inspect
import sys
import types
from collections import deque

from wengert.autograd.graph import AccumulateGrad
from wengert.nn.modules.module import Module
from wengert.optim.optimizer import Optimizer
from wengert.tensor import Tensor

MOST = 20_000  # things looked at in one search
PLAIN = (
    str, bytes, int, float, complex, bool, type, type(None), types.ModuleType, types.FunctionType, types.MethodType,
    types.BuiltinFunctionType,
)  # fmt: skip
CONTAINERS = (list, tuple, dict, set, deque)


def locals_of(frame):
    """A frame's local variables.

    Before Python 3.13, `f_locals` of a function is a copy that the frame holds on to until it returns, and with it
    every tensor that a variable named when it was made, deleted since or not. So it is emptied, unless the program
    itself holds it: it is what `locals()` gives, too.
    """
    found = frame.f_locals
    if isinstance(found, dict) and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        copy = dict(found)
        if sys.getrefcount(found) <= HELD_BY_FRAME:
            found.clear()
        return copy
    return found


HELD_BY_FRAME = 3  # references to `f_locals`: the frame's, the variable's, and that of the argument of `getrefcount`


def namespaces(frames):
    """The variables that frames see, nearest first: local before global, and each module's globals once."""
    found, seen = [], set()
    for frame in frames:
        local = locals_of(frame)
        if local is not frame.f_globals:
            found.append(local)
        if id(frame.f_globals) not in seen:
            seen.add(id(frame.f_globals))
            found.append(frame.f_globals)
    return found


def variables(frames):
    """(name, value) of the variables that the frames see, the nearest first; modules' own `self` comes last."""
    last = []
    for scope in namespaces(frames):
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
        shared = {k: v for k, v in vars(type(value)).items() if isinstance(v, CONTAINERS) and not k.startswith("_")}
        items = [(f"{name}.{key}", item) for key, item in {**shared, **attributes}.items() if not key.startswith("__")]
        if isinstance(value, Module):
            items = [(n, v) for n, v in items if not n.endswith(("._parameters", "._buffers", "._modules"))]
            items += [(f"{name}.{child}", part) for child, part in value._modules.items() if part is not None]
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


def name_of_module(module, frames):
    """The path by which the frames know a module, alone or below another; "" if they don't."""
    for name, value in variables(frames):  # in most cases that is all
        if value is module:
            return name
    known = list(reachable(frames, (Module,)))
    for name, other in known:
        if other is module:
            return name
    for name, other in known:
        for path, below in other.named_modules():
            if below is module:
                return f"{name}.{path}"
    return ""


def shape_of(tensor):
    """A shape as it is said: ``64×32``, or ``()``."""
    return "×".join(map(str, tensor.shape)) or "()"


# --- for the picture: names by node -----------------------------------------------------------------------------------


def named_leaves(params, spaces):
    """Names of leaves by their node, {node: (name, whether a module's)}; of modules, {path: module}.

    Args:
        params: a module, or a mapping of names to tensors; None: the variables in `spaces` (see `namespaces`) tell.
    """
    names, modules = {}, {}

    def enter(name, tensor, of_module):
        node = getattr(tensor, "_node", None)
        if type(node) is AccumulateGrad:
            names.setdefault(node, (name, of_module))

    def enter_module(module, prefix=""):
        for path, part in module.named_modules(prefix=prefix):
            modules.setdefault(path, part)
        for name, tensor in module.named_parameters(prefix=prefix, remove_duplicate=False):
            enter(name, tensor, True)

    if isinstance(params, Module):
        enter_module(params)
    elif params is not None:
        for name, tensor in dict(params).items():
            enter(name, tensor, True)
    variables = {}
    for space in spaces:
        for name, value in space.items():
            variables.setdefault(name, value)
    if params is None:
        outermost = outermost_modules(variables)
        several = sum(any(True for _ in module.parameters()) for _, module in outermost) > 1
        for name, module in outermost:
            enter_module(module, name if several else "")
    for name, value in variables.items():
        if isinstance(value, Tensor) and not name.startswith("_"):
            enter(name, value, False)
    return names, modules


def outermost_modules(variables):
    """(name, module) for each module that a variable, or an attribute of `self`, holds and that lies in no other."""
    known = dict(getattr(variables.get("self"), "__dict__", None) or {})
    known.update(variables)
    found = {id(value): (name, value) for name, value in reversed(known.items()) if isinstance(value, Module)}
    inside = {id(part) for _, module in found.values() for part in module.modules() if part is not module}
    return [(name, module) for key, (name, module) in reversed(found.items()) if key not in inside]


def name_in(spaces, tensor):
    """The variable that holds `tensor`, in the nearest of some namespaces; "" if none does."""
    for space in spaces:
        for name, value in space.items():
            if value is tensor and not name.startswith("_"):
                return name
    return ""
