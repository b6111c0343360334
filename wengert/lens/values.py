"""A gradient that arrived and was zero, or no number: which operation made it so, and what lies behind that.

Of zeros and of NaN the first operation is easily found, from the sizes of gradients and results that the recorder has
kept. To blame is often not that one, but the line that gave it what it could only make a zero of: a parameter that was
filled with zeros, a mask in which nothing is left.
"""

import inspect
from collections import deque

import numpy as np

from wengert.lens import idioms, source
from wengert.lens.reasons import Reason, at, near, shown
from wengert.lens.sites import Leaf
from wengert.lens.ways import ancestry, parents_of, sent, walk
from wengert.tensor import Tensor


def turned_zero(target, order):
    """The nodes at which the gradient on its way to `target` became zero: [(node, "derivative" | hook | None)]."""
    above = parents_of(order)
    found, seen, queue = [], {target}, deque([target])
    while queue:
        node = queue.popleft()
        hooks = node.hooks
        for upper, i in above.get(node, ()):
            size = sent(upper, i)
            if size is None:
                if upper.site_ is not None and upper.site_.arrived and upper.site_.left is not None:
                    found.append((upper, "returned None"))
                elif upper not in seen:
                    seen.add(upper)
                    queue.append(upper)
                continue
            several = len(above[node]) > 1 and node is not target and node.site_ is not None
            if size and several and node.site_.arrived == 0:
                found.append((upper, "cancelled"))
            elif size and hooks is not None and hooks.tensor:
                found.append((node, next(iter(hooks.tensor.values()))))
            elif not size and upper.site_.arrived:
                found.append((upper, "derivative"))
            elif not size and upper not in seen:
                seen.add(upper)
                queue.append(upper)
    return found


def hook_of_module(order):
    """A backward hook of a module that some of these nodes were made in; None if no module has one."""
    for node in order:
        module = node.site_.part.module if node.site_ is not None and node.site_.part is not None else None
        if module is not None and module._backward_hooks:
            return next(iter(module._backward_hooks.values()))
    return None


def constant_below(node):
    """A softmax over a single element before `node`: 1, whatever comes in, which is why its user was flat there."""
    for below in walk([node])[0]:
        if below.name() in ("SoftmaxBackward0", "LogSoftmaxBackward0") and below.site_ is not None:
            shape, dim = below.shape, getattr(below, "s_dim", -1)
            if shape and isinstance(dim, int) and shape[dim] == 1:
                return below
    return None


# --- what lies behind -------------------------------------------------------------------------------------------------


def zeros_behind(site):
    """(words, place) of what gave an operation nothing but zeros to multiply by, or to choose with; None if not known.

    A parameter that was filled with zeros; an operation whose result is all zeros though its inputs are not.
    """
    found = first_zero(site)
    if found is site or not is_zero(found):
        return None
    if isinstance(found, Leaf):
        return (f"the zeros that a parameter was given at {at(found.made)}", found.made) if found.made.frames else None
    if found.operation.startswith(("Relu", "Threshold")) and (constant := constant_behind(found)) is not None:
        return constant
    return (f"the zeros that {found.operation} makes at {at(found.place)}", found.place) if found.place.frames else None


def first_zero(site):
    """Where the zeros that came to a site begin: a leaf, or the operation that made them."""
    found = site
    while not isinstance(found, Leaf):
        before = next((parent for parent in found.parents if is_zero(parent)), None)
        if before is None:
            break
        found = before
    return found


def is_zero(site):
    if isinstance(site, Leaf):
        return site.tensor is not None and bool(site.tensor._array.size) and not site.tensor._array.any()
    return site.zero


def constant_behind(site):
    """(words, place) of the constant in a parameter that drives an activation out of its range."""
    for parent in [*site.parents, *(p for before in site.parents for p in before.parents)]:
        if isinstance(parent, Leaf) and parent.tensor is not None and parent.made.frames and parent.is_parameter:
            values = parent.tensor._array
            if values.size and values.min() == values.max() and abs(float(values.flat[0])) >= 2:
                words = f"the {values.flat[0]:g} that a parameter was filled with at {at(parent.made)}"
                return words, parent.made
    return None


def setting_behind(node):
    """(words, (file, line)) of the making of a module that can't let a gradient through, such as a Dropout(1.0)."""
    part = node.site_.part
    module = part.module if part is not None else None
    if module is None or type(module).__module__.partition(".")[0] != "wengert":
        return None
    kind = type(module).__name__
    alone = kind in NORMS and any(size == 1 for size in np.atleast_1d(getattr(module, "normalized_shape", 0)))
    if not (alone or (kind in DROPOUTS and module.p == 1) or (kind in LIMITS and stands_in_row(part))):
        return None
    places = [
        (file, call.lineno) for file, _, call in source.calls_in([node.site_.file]) if source.name_called(call) == kind
    ]
    return (f"the {kind} made at {shown(*places[0])}", places[0]) if len(set(places)) == 1 else None


NORMS = {"LayerNorm", "RMSNorm"}
DROPOUTS = {"Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"}
LIMITS = {"Threshold", "Hardtanh", "Softmax", "LogSoftmax"}  # where they stand in a row of modules, unseen


def stands_in_row(part):
    """Whether a module is called by one of this library's own, such as a Sequential, and not by the program."""
    owner = part.whole.module
    for name in part.below.split(".")[:-1] if owner is not None else ():
        owner = owner._modules.get(name) if owner is not None else None
    return owner is not None and type(owner).__module__.partition(".")[0] == "wengert"


def tensors_of(function):
    """The tensors that a function carries with it: in its closure, its defaults, or bound to it."""
    cells = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    values = [*cells, *(getattr(function, "__defaults__", None) or ()), *getattr(function, "args", ())]
    return [value for value in values if isinstance(value, Tensor)]


def hook_reason(hook):
    """The `Reason` for a hook that makes a gradient zero: the hook, or what made the mask in it empty."""
    code = getattr(hook, "__code__", None)
    place = source.return_line(hook) if code is not None else None
    where = shown(*place) if place else "a hook"
    tail = f"{{gets}} a gradient of exactly zero: the hook at {where} makes it zero"
    for tensor in tensors_of(hook):
        site = None if tensor._origin is None or not is_zero(tensor._origin) else first_zero(tensor._origin)
        if site is not None and site.place.frames:
            tail += f", for it multiplies by the zeros that {site.operation} makes at {at(site.place)}"
            return Reason("zero", tail, site.place, rank=3)
    return Reason("zero", tail, at=place, rank=3)


# --- zero ------------------------------------------------------------------------------------------------------------


MULTIPLIED = "it was multiplied by zeros"
CHOSEN = "the condition chose the other side everywhere"
SATURATED = "it is saturated there"
NEGATIVE = "all its inputs were negative there (a dead ReLU)"
OUTSIDE = "all its inputs were outside of the limits"
OUT_OF_RANGE = (SATURATED, NEGATIVE)

# Why the derivative of an operation is zero, by the beginning of its node's name.
ZERO = {
    "Relu": NEGATIVE,
    "Threshold": "all its inputs were below the threshold there",
    "Hardtanh": OUTSIDE,
    "Clamp": OUTSIDE,
    "Mul": MULTIPLIED,
    "Mm": MULTIPLIED,
    "Addmm": MULTIPLIED,
    "Bmm": MULTIPLIED,
    "Linear": MULTIPLIED,
    "Round": "rounding is flat almost everywhere: its derivative is 0",
    "Floor": "rounding is flat almost everywhere: its derivative is 0",
    "Ceil": "rounding is flat almost everywhere: its derivative is 0",
    "Trunc": "rounding is flat almost everywhere: its derivative is 0",
    "Sign": "a sign is flat almost everywhere: its derivative is 0",
    "Sgn": "a sign is flat almost everywhere: its derivative is 0",
    "Heaviside": "a step is flat: its derivative is 0",
    "Sigmoid": SATURATED,
    "Tanh": SATURATED,
    "Softmax": "the softmax does not depend on it (one class only, or saturated)",
    "LogSoftmax": "the softmax does not depend on it (one class only, or saturated)",
    "MaskedFill": "the mask covered all of it",
    "Where": CHOSEN,
    "Div": "it was divided by infinity",
    "Normal": "drawing a sample has derivative 0: use rsample()",
    "Bernoulli": "drawing a sample has derivative 0",
    "Poisson": "drawing a sample has derivative 0",
    "Dropout": "dropout removed all of it",
    "Pow": "the power is flat there",
    "Gelu": SATURATED,
    "Elu": SATURATED,
    "Leaky": "its slope is 0 there",
}


def zero_reason(target, order):
    """The `Reason` for a gradient that arrived and was zero."""
    found = turned_zero(target, order)
    if not found:
        hook = hook_of_module(order)
        if hook is None:
            return Reason("zero", "{gets} a gradient that is exactly zero", rank=1)
        found = [(None, hook)]
    node, how = found[0]
    if how == "derivative":
        node = constant_below(node) or node
    if callable(how):
        return hook_reason(how)
    place = node.site_.place
    if how == "cancelled":
        place = max((n.site_ for n, h in found if h == how), key=lambda s: s.seq).place
        tail = f"{{gets}} a gradient of exactly zero: what comes back by several ways cancels out, see {at(place)}"
        return Reason("zero", tail, place, rank=3)
    function = getattr(node, "function", None)
    if function is not None and inspect.isclass(function):
        line = source.return_line(function.backward)
        verb = "returns None for it" if how == "returned None" else "returns zeros for it"
        kind = "cut" if how == "returned None" else "zero"
        tail = (
            f"{{gets}} no gradient: {function.__name__}.backward {verb} at {shown(*line)}, for the call at {at(place)}"
            if kind == "cut"
            else f"{{gets}} a gradient of exactly zero: {function.__name__}.backward {verb} at {shown(*line)}"
        )
        reason = Reason(kind, tail, at=line, rank=4)
        reason.by_number = kind == "zero"
        return reason
    if how == "returned None":
        return Reason("cut", f"{{gets}} no gradient: {node.name()} at {at(place)} sends none", place, rank=3)
    why_zero = next((words for name, words in ZERO.items() if node.name().startswith(name)), None)
    others = len({n.site_.place for n, h in found if h == "derivative"}) - 1
    tail = f"{{gets}} a gradient of exactly zero: it becomes zero in {node.name()} at {at(place)}"
    if why_zero:
        tail += f", for {why_zero}"
    if others:
        tail += f" (and on {others} other path{'s' * (others > 1)})"
    behind = cause_of_zero(node, why_zero)
    if behind is not None:
        words, cause = behind
        cause = cause if isinstance(cause, tuple) else (cause.file, cause.line)
        return Reason("zero", f"{tail}: to blame is {words}", at=cause, rank=3)
    reason = Reason("zero", tail, place, rank=3)
    reason.by_number = why_zero == MULTIPLIED and len(node.site_.parents) == 1
    if why_zero == MULTIPLIED:
        reason.behind = frozenset((s.file, s.line) for s in ancestry(node.site_) if s is not node.site_)
    return reason


def cause_of_zero(node, why_zero):
    """(words, place) of what lies behind a derivative of zero, where that is known."""
    found = setting_behind(node)
    if found is None and why_zero in (MULTIPLIED, CHOSEN):
        return zeros_behind(node.site_)
    return found or (constant_behind(node.site_) if why_zero in OUT_OF_RANGE else None)


# --- not finite -------------------------------------------------------------------------------------------------------


# What makes a result infinite or NaN, by the name of the operation.
FAULTS = {
    "Log": "the logarithm of 0 or of a negative number",
    "Log2": "the logarithm of 0 or of a negative number",
    "Log10": "the logarithm of 0 or of a negative number",
    "Log1P": "the logarithm of 0 or of a negative number",
    "Sqrt": "the square root of 0 has an infinite slope, that of a negative number is NaN",
    "Rsqrt": "one over the square root of 0",
    "Div": "a division by 0",
    "Reciprocal": "a division by 0",
    "Exp": "the exponential of a large number overflows",
    "Pow": "the power overflows, or is that of 0 or a negative number",
    "Norm": "the norm of zeros has no slope",
    "LinalgVectorNorm": "the norm of zeros has no slope",
    "Softmax": "a softmax over -inf alone is 0/0",
    "LogSoftmax": "a softmax over -inf alone is 0/0",
    "Acos": "its argument is outside of [-1, 1], or on the border, where the slope is infinite",
    "Asin": "its argument is outside of [-1, 1], or on the border, where the slope is infinite",
    "Std": "the standard deviation of equal numbers has no slope, that of one number is NaN",
    "Var": "the variance of one number is NaN",
    "Mean": "the mean of nothing is NaN",
    "Mul": "the product overflows, or is infinity times 0",
    "Sub": "the difference overflows, or is infinity minus infinity",
    "Add": "the sum overflows",
    "MseLoss": "the square overflows",
    "Atan2": "both arguments are 0",
}


def fault_words(operation):
    name = operation.partition("Backward")[0]
    words = FAULTS.get(name) or FAULTS.get("".join(part.capitalize() for part in name.split("_")))
    return f": {words}" if words else ""


def first_faults(root):
    """The sites where the value at `root` first became infinite or NaN, the earliest first.

    Infinity that an operation was told to write, as by masked_fill, is no fault: then it is where NaN begins.
    """
    found = faults_from(root, lambda site: site.fault is not None)
    if all(site.fault[0] in ("told", "data") and not site.fault[1] for site in found):
        found = faults_from(root, lambda site: site.fault is not None and site.fault[1]) or found
    return [told for site in found for told in told_before(site)] or found


def told_before(site):
    """Where a softmax found nothing but -inf: the operations that were told to write it there."""
    if not site.fault[1] or "oftmax" not in site.operation:
        return []
    return [p for p in site.parents if p.fault is not None and p.fault[0] == "told"]


def faults_from(root, is_bad):
    found, seen, stack = [], {root}, [root]
    while stack:
        site = stack.pop()
        bad = [p for p in site.parents if is_bad(p)]
        if is_bad(site) and not bad:
            found.append(site)
        for parent in bad:
            if parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(found, key=lambda s: (s.fault[0] != "made here", s.seq))


def fault_reason(root, loss="{loss}"):
    """The `Reason` for a loss that is not finite; None if it is, or nothing is known of it."""
    if root is None or root.fault is None:
        return None
    found = first_faults(root)
    if not found:
        return None
    site = found[0]
    made = f"{near(site)}" if not site.place.frames else f"{site.operation} at {at(site.place)}"
    leaf = next((p for p in site.parents if isinstance(p, Leaf) and is_bad_from_the_start(p)), None)
    if leaf is not None:
        tail = f"a parameter is given infinity or NaN at {at(leaf.made)}, and brings it to {made}"
        return Reason("not finite", tail, leaf.made, rank=4)
    if site.fault[0] == "data" and idioms.looks_for_nan([site.file]):
        user = next((s for s in sorted(ancestry(root), key=lambda s: s.seq) if site in s.parents), site)
        tail = f"infinity or NaN in the data enters the loss in {near(user)}, which no factor of 0 can take out again"
        return Reason("not finite", tail, user.place, rank=4)
    if site.fault[0] == "data" and site.parents:
        return Reason("not finite", f"the data that enter {made} already hold infinity or NaN", site.place, rank=4)
    if site.fault[0] == "told":
        tail = f"{made} leaves nothing but infinity to the softmax that follows, which makes NaN of it"
        return Reason("not finite", tail, site.place, rank=4)
    tail = f"the first operation that produced infinity or NaN is {made}{fault_words(site.operation)}"
    return Reason("not finite", tail, site.place, rank=4)


def is_bad_from_the_start(leaf):
    """Whether a leaf that never was trained holds infinity or NaN."""
    tensor = leaf.tensor
    trained = tensor is not None and tensor._node is not None and tensor._node.grad is not None
    return tensor is not None and leaf.made.frames and not trained and not np.isfinite(tensor._array).all()


def bad_gradient_reason(site):
    """The `Reason` for a gradient that became infinite or NaN on its way, at `site`."""
    if site.fault is not None or any(parent.fault is not None for parent in site.parents):
        root = site if site.fault is not None else next(p for p in site.parents if p.fault is not None)
        reason = fault_reason(root)  # the loss only left out what was no number before
        if reason is not None:
            return reason
    tail = f"the gradient becomes infinite or NaN in {site.operation} at {at(site.place)}{fault_words(site.operation)}"
    return Reason("not finite", tail, site.place, rank=4)
