"""Why a parameter gets no gradient, an empty one, or one that is no number: the answer in words.

The graph itself can say whether a gradient's way exists. What it cannot say, because it is not there any more, the
sites can (see `recorder`): from the loss one walks back over everything that its value was computed from, cuts
included. What the parameter flows into up to the first cuts is its side; the cuts that the loss's value came through
are the answer.
"""

import inspect
from collections import deque

from wengert.autograd.graph import AccumulateGrad, Output
from wengert.lens import fate, recorder, source
from wengert.lens.names import name_of, name_parameters, shape_of
from wengert.lens.sites import Leaf, leaf_site, short, user_frames
from wengert.tensor import Parameter


class Reason:
    """One answer: what kind of thing happened, at which line, and the sentence's end that follows "`w` …".

    Attributes:
        kind: "cut", "unused", "frozen", "not a leaf", "no backward", "reset", "zero", "not finite", "arrives", ...
        file, line: the line that did it; None where no line is to blame.
        tail: what follows the parameter's name.
        rank: how much it explains; of several reasons the one with the highest rank is told.
    """

    def __init__(self, kind, tail, place=None, at=None, rank=0):
        self.kind, self.tail, self.rank = kind, tail, rank
        self.part = None  # the module in which ended what was computed from the parameter
        self.behind = frozenset()  # for a zero that follows from others: the lines of what it was computed from
        known = place is not None and place.frames
        self.file, self.line = at if at is not None else (place.file, place.line) if known else (None, None)

    def said_of(self, names, loss):
        """The whole sentence about the parameters of these names (with their shapes)."""
        many = len(names) > 1
        words = PLURAL if many else SINGULAR
        tail = self.tail
        for word in WORDS:
            tail = tail.replace(f"{{{word}}}", words[word])
        shown_names = names if len(names) <= 4 else [*names[:3], f"{len(names) - 3} more"]
        subject = ", ".join(shown_names[:-1]) + (" and " if many else "") + shown_names[-1]
        return f"{subject} {tail.replace('{loss}', loss)}."

    def __repr__(self):
        return f"<{self.kind} at {self.file and short(self.file)}:{self.line}>"


WORDS = ("gets", "its", "it", "them", "is", "moves", "computes")


PLURAL = {
    "gets": "get",
    "its": "their",
    "it": "they",
    "them": "them",
    "is": "are",
    "moves": "move",
    "computes": "compute",
}
SINGULAR = {**{word: word for word in WORDS}, "them": "it"}


def shown(file, line, text=None):
    """``train.py:42 (`h = h.detach()`)``"""
    from wengert.lens.sites import source_line

    text = source_line(file, line) if text is None else text
    return f"{short(file)}:{line}" + (f" (`{text}`)" if text else "")


def at(place):
    return shown(place.file, place.line, place.text) if place.frames else "an unrecorded line"


def near(site):
    """``MulBackward0 (train.py:43)``"""
    return f"{site.operation} ({site.place})" if site.place.frames else site.operation


# How a cut is said: what it is called, in the middle of a sentence.
CUTS = {
    "detach": "detach()",
    "detach_": "detach_()",
    "data": ".data",
    "item": "turning it into a Python number",
    "tolist": "tolist()",
    "numpy": "numpy()",
    "no_grad": "no_grad",
    "inference_mode": "inference_mode",
    "integer cast": "a cast to integers",
    "requires_grad_(False)": "requires_grad_(False)",
    "torch.tensor(x)": "torch.tensor(x), which copies the numbers only",
    "Parameter(x)": "Parameter(x), which takes the numbers only",
    "autograd.grad": "autograd.grad without create_graph=True, whose results are numbers only,",
}


# --- walking back ---------------------------------------------------------------------------------------------------


def ancestry(root):
    """Every site that the value at `root` was computed from, across cuts, and `root` itself."""
    seen = {root}
    stack = [root]
    while stack:
        for parent in stack.pop().parents:
            if parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return seen


def frontier(leaf, sites):
    """Where the way of `leaf` through `sites` ends: its own side of them, and the cuts that bound it.

    Returns (the attached sites, {cutting site: the attached site that it cut off}).
    """
    attached, cuts = {leaf}, {}
    for site in sorted(sites, key=lambda s: s.seq):
        if site is leaf:
            continue
        source_ = next((p for p in reversed(site.parents) if p in attached), None)
        if source_ is None:
            continue
        if site.cut is not None or isinstance(site, Leaf):
            cuts[site] = source_
        else:
            attached.add(site)
    return attached, cuts


def consumer(site, sites):
    """The first recorded operation among `sites` that the value made at `site` went into."""
    seen = {site}
    for other in sorted((s for s in sites if s.seq > site.seq), key=lambda s: s.seq):
        if any(p in seen for p in other.parents):
            if other.operation.rstrip("0123456789").endswith("Backward") or "Backward" in other.operation:
                return other
            seen.add(other)
    return None


# --- no way for a gradient ------------------------------------------------------------------------------------------


def missing(leaf, root, record):
    """The `Reason` why no gradient can come from the site `root` to the site `leaf`."""
    if root is None:
        return Reason(
            "unrelated", "{gets} no gradient from {loss}: that value does not come from any recorded operation"
        )
    sites = ancestry(root)
    if leaf in sites:
        _, cuts = frontier(leaf, sites)
        if cuts:
            return other_loss(leaf, sites, record) or of_cuts(cuts, sites, root)
    return unused(leaf, root, sites, record)


def other_loss(leaf, sites, record):
    """The reason where a number that nothing uses was computed from the parameter, uncut: backward is missing on it."""
    later = record.sites if record is not None else ()
    attached, _ = frontier(leaf, [site for site in later if site.seq > leaf.seq])
    used = {parent for site in later for parent in site.parents}
    ends = [s for s in attached if s.shape == () and s not in used and s not in sites and not s.visited]
    if not ends or not all(cut.kind == "detach" for cut in record.cuts if cut.site in sites):
        return None
    end = max(ends, key=lambda site: site.seq)
    tail = (
        f"{{gets}} no gradient: what {{loss}} is computed from is cut off from {{them}}, and on the result of "
        f"{near(end)}, which is not, backward is never called"
    )
    return Reason("unused", tail, end.place, rank=6)


def of_cuts(cuts, sites, root):
    """The reason where the loss was computed from the parameter, but only across cuts."""
    ordered = sorted(cuts, key=lambda s: s.seq)
    first = max(ordered, key=lambda site: (weight(site), site.seq))
    further = explicit_beyond(first, sites)
    if further is not None:
        cuts = {**cuts, further: cuts[first]}
        ordered.append(first := further)
    text, place = of_cut(first, cuts[first], sites)
    others = dict.fromkeys(
        at(other.place) for other in ordered if other.place is not first.place and other.cut is not None
    )
    way = "{its} only path is cut" if len(ordered) == 1 else "every path is cut"
    tail = f"{{gets}} no gradient from {{loss}}: {way} by {text}"
    if others and not (first.cut and first.cut.kind in ("no_grad", "inference_mode")):
        tail += f"; and also at {', '.join(list(others)[:3])}"
    return Reason("cut", tail, at=place, rank=5)


def weight(site):
    """How likely a cut is to be the one that matters: a choice (an index, a comparison) often accompanies another.

    A value that only serves as the target of a loss is cut off on purpose, as is an average kept in other parameters.
    """
    if site.cut is None:
        return 0
    if site.cut.took and all(is_target(site, user) for user in site.cut.took):
        return 0.5
    if isinstance(site.cut.result, Parameter):
        return 0.5
    if site.cut.kind == "non-differentiable":
        return 1 if site.dtype is None or not site.dtype.is_floating_point else 2
    return {"no_grad": 2, "inference_mode": 2}.get(site.cut.kind, 3)


def is_target(site, user):
    """Whether an operation is a loss that takes the value made at `site` for its target."""
    return "Loss" in user.operation and len(user.parents) > 1 and user.parents[0] is not site


def explicit_beyond(site, sites):
    """Behind a choice, which cuts by its nature: a cut that the program asked for, on the way to the loss."""
    if weight(site) != 1:
        return None
    behind = {site}
    for other in sorted(sites, key=lambda s: s.seq):
        if any(parent in behind for parent in other.parents):
            behind.add(other)
            if other.cut is not None and weight(other) > 2:
                return other
    return None


def of_cut(site, before, sites):
    """(words, (file, line)) for one cut."""
    place = (site.place.file, site.place.line)
    after = consumer(site, sites)
    side = f"{near(after)}" if after is not None else "the rest"
    origin = "the parameter itself" if isinstance(before, Leaf) else near(before)
    between = f", between {origin} and {side}"
    if isinstance(site, Leaf):
        return f"becoming a leaf of its own at {at(site.place)}{between}", place
    kind = site.cut.kind
    if kind in ("no_grad", "inference_mode"):
        region = source.quiet_region(site.place)
        if region is not None:
            return f"{kind} at {shown(*region)}: {site.operation} runs inside it ({site.place}){between}", region
    if kind == "non-differentiable":
        return f"{site.operation}, which has no derivative, at {at(site.place)}{between}", place
    if kind == "Function returned None":
        return f"a backward that returned None, at {at(site.place)}", place
    return f"{CUTS.get(kind, kind)} at {at(site.place)}{between}", place


def unused(leaf, root, sites, record):
    """The reason where nothing recorded leads from the parameter to the loss."""
    down = downstream(leaf, record.sites if record is not None else ())
    entered = [s for s in sites if s.operation == "entered" and not s.parents]
    exports = [s for s in down if s.operation in ("item", "tolist", "numpy")]
    for back in sorted(entered, key=lambda s: -s.seq):
        before = [s for s in exports if s.seq < back.seq]
        if before:
            behind = source.lines_behind(back.file, back.line)
            linked = [s for s in before if s.file == back.file and s.line in behind] or before
            out = linked[-1]
            came = next((p for p in out.parents), leaf)
            first = earliest_cut(out)
            tail = (
                f"{{gets}} no gradient from {{loss}}: {{its}} value leaves the graph by {CUTS.get(out.operation)} at "
                f"{at(first.place)}"
                + (f", goes on as plain numbers ({out.place})" if out.place is not first.place else "")
                + f" and comes back as a new tensor at {at(back.place)}, which knows nothing of {near(came)}"
            )
            return Reason("cut", tail, first.place, rank=4)
    used = downstream(leaf, record.sites if record is not None else (), beyond=False)
    if used:
        last = max(used, key=lambda s: (not is_detached(s) and not fate.is_look_at(s.file, s.line), s.seq))
        return of_lost(last, min(used, key=lambda s: s.seq), root, sites, record)
    return Reason("never used", "{gets} no gradient: no recorded operation used {them}", birth_of(leaf), rank=1)


def of_lost(last, first, root, sites, record):
    """The reason where what was computed from the parameter, `first` to `last`, never enters the loss."""
    began = record.pass_place if record is not None else None
    parts = last.module.split(".") if last.part is not None else ()
    files = [file for file, *_ in ((began.file,), *began.callers)] if began is not None and began.frames else ()
    lost = fate.Search(parts, fate.Flow(sites, last, began, files)).at(last.file, last.line)
    ends = f"what is computed from {{them}} ends with {near(last)} and never enters {{loss}}"
    tail = f"{{gets}} no gradient from {{loss}}: {{it}} {{is}} used at {at(first.place)}, but {ends}"
    if lost is None:
        tail += f", computed at {at(root.place)}" if root.place.frames else ""
        reason = Reason("unused", tail, last.place, rank=2)
    else:
        reason = Reason("unused", f"{tail}: {words_of_fate(lost)}", at=lost.culprit, rank=2)
    reason.part = last.part
    return reason


def words_of_fate(lost):
    made, line = shown(lost.file, lost.line), shown(*lost.culprit)
    if lost.kind == "thrown away":
        return f"the result is thrown away at {made}"
    if lost.kind == "overwritten":
        return f"`{lost.name}`, made at {made}, is written over at {line} before anything reads it"
    if lost.kind == "overwritten in turn":
        return f"`{lost.name}`, made at {made}, is written over by the next turn of the loop before anything reads it"
    if lost.culprit == (lost.file, lost.line):
        return f"nothing reads `{lost.name}`, made at {made}"
    return f"nothing reads `{lost.name}`, made at {made}, and {line} goes on without it"


def earliest_cut(site):
    """The cut by which a value that was taken out had left the graph, if it had before."""
    while site.cut is None and site.parents:
        site = site.parents[0]
    return site


def birth_of(leaf):
    return leaf.place if leaf is not None and leaf.place.frames else None


def is_detached(site):
    """Whether the program itself ended the way here, and what follows is no longer the leaf's business."""
    return site.cut is not None and site.cut.kind == "detach"


def downstream(leaf, sites, beyond=True):
    """The sites among `sites` that something of `leaf` flowed into, in order of time; `beyond` a detach(), too."""
    found, known = [], {leaf}
    for site in sites:
        if site is not leaf and any(p in known and (beyond or not is_detached(p)) for p in site.parents):
            known.add(site)
            found.append(site)
    return found


def idle_term(root, attached):
    """A term that is added to the loss, was computed from leaves, and has lost its way back to all of them.

    Args:
        attached: the sites that the backward pass runs through.

    Returns (the site where it is added, the cut, the site that it cut off), or None. A value that is added beside what
    it was cut off from, as in a surrogate, is no such term.
    """
    seen, stack = {root}, [root]
    while stack:
        site = stack.pop()
        if not site.operation.startswith(LINEAR):
            continue
        for parent in site.parents:
            if parent.shape not in ((), (1,)) and not parent.operation.startswith("Stack"):
                continue
            if parent in attached and parent not in seen:
                seen.add(parent)
                stack.append(parent)
            elif parent not in attached and site.operation.startswith(ADDING) and not isinstance(parent, Leaf):
                behind = ancestry(parent)
                cuts = [s for s in behind if s.cut is not None and s.parents and s.cut.kind != "requires_grad_(False)"]
                leaves = [s for s in behind if isinstance(s, Leaf) and s.is_parameter]
                if leaves and cuts and not any(s.parents[0] in attached for s in cuts):
                    last = max(cuts, key=lambda s: (weight(s), s.seq))
                    return site, last, last.parents[0]
    return None


ADDING = ("Add", "Sub", "Rsub", "Stack", "Cat")
LINEAR = (*ADDING, "Mul", "Div", "Neg", "Mean", "Sum")


# --- a way, and what came of it -------------------------------------------------------------------------------------


def walk(roots):
    """The nodes of the graph below `roots`, newest first where it matters not, and for each leaf its (node, edge)s."""
    seen, leaves, order = set(roots), {}, []
    stack = list(seen)
    while stack:
        node = stack.pop()
        order.append(node)
        for i, edge in enumerate(node.edges):
            if edge is None:
                continue
            if type(edge) is AccumulateGrad and not edge.hidden:
                leaves.setdefault(edge, []).append((node, i))
            if edge not in seen:
                seen.add(edge)
                stack.append(edge)
    for root in roots:
        if type(root) is AccumulateGrad:
            leaves.setdefault(root, [])
    return order, leaves


def real(edge):
    """The node behind an edge, which may lead to one of its several results."""
    return edge.parent if type(edge) is Output else edge


def parents_of(order):
    """node -> the (node, edge number)s that hand it gradients."""
    above = {}
    for node in order:
        for i, edge in enumerate(node.edges):
            if edge is not None:
                above.setdefault(edge, []).append((node, i))
    return above


def sent(node, i):
    """The size of the gradient that `node` sent along its edge `i` in the last pass; None if that is not known."""
    if type(node) is Output or node.hidden:
        return None
    left = None if node.site_ is None else node.site_.left
    return left[i] if left is not None and i < len(left) else None


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
            if size and hooks is not None and hooks.tensor:
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


MULTIPLIED = "it was multiplied by zeros"

# Why the derivative of an operation is zero, by the beginning of its node's name.
ZERO = {
    "Relu": "all its inputs were negative there (a dead ReLU)",
    "Threshold": "all its inputs were below the threshold there",
    "Hardtanh": "all its inputs were outside of the limits",
    "Clamp": "all its inputs were outside of the limits",
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
    "Sigmoid": "it is saturated there",
    "Tanh": "it is saturated there",
    "Softmax": "the softmax does not depend on it (one class only, or saturated)",
    "LogSoftmax": "the softmax does not depend on it (one class only, or saturated)",
    "MaskedFill": "the mask covered all of it",
    "Where": "the condition chose the other side everywhere",
    "Div": "it was divided by infinity",
    "Normal": "drawing a sample has derivative 0: use rsample()",
    "Bernoulli": "drawing a sample has derivative 0",
    "Poisson": "drawing a sample has derivative 0",
    "Dropout": "dropout removed all of it",
    "Pow": "the power is flat there",
    "Gelu": "it is saturated there",
    "Elu": "it is saturated there",
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
        code = getattr(how, "__code__", None)
        place = (code.co_filename, code.co_firstlineno) if code is not None else None
        where = shown(*place) if place else "a hook"
        return Reason(
            "zero", f"{{gets}} a gradient of exactly zero: the hook at {where} makes it zero", at=place, rank=3
        )
    place = node.site_.place
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
        return Reason(kind, tail, at=line, rank=4)
    if how == "returned None":
        return Reason("cut", f"{{gets}} no gradient: {node.name()} at {at(place)} sends none", place, rank=3)
    why_zero = next((words for name, words in ZERO.items() if node.name().startswith(name)), None)
    others = len({n.site_.place for n, h in found if h == "derivative"}) - 1
    tail = f"{{gets}} a gradient of exactly zero: it becomes zero in {node.name()} at {at(place)}"
    if why_zero:
        tail += f", for {why_zero}"
    if others:
        tail += f" (and on {others} other path{'s' * (others > 1)})"
    reason = Reason("zero", tail, place, rank=3)
    if why_zero == MULTIPLIED:
        reason.behind = frozenset((s.file, s.line) for s in ancestry(node.site_) if s is not node.site_)
    return reason


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
        return faults_from(root, lambda site: site.fault is not None and site.fault[1]) or found
    return found


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
    if site.fault[0] == "data":
        return Reason("not finite", f"the data that enter {made} already hold infinity or NaN", site.place, rank=4)
    tail = f"the first operation that produced infinity or NaN is {made}{fault_words(site.operation)}"
    return Reason("not finite", tail, site.place, rank=4)


def bad_gradient_reason(site):
    """The `Reason` for a gradient that became infinite or NaN on its way, at `site`."""
    tail = f"the gradient becomes infinite or NaN in {site.operation} at {at(site.place)}{fault_words(site.operation)}"
    return Reason("not finite", tail, site.place, rank=4)


# --- the question -----------------------------------------------------------------------------------------------------


class Answer(str):
    """A sentence, with `kind`, and `file` and `line` of what it blames (or None)."""

    kind: str
    file: str | None
    line: int | None

    def __repr__(self):
        return str(self)


def why(parameter, loss, optimizer=None):
    """Why `parameter` gets no gradient from `loss`, in words.

    Ask where the program has them at hand, inside or after `lens.record()`: without a record the lines are not known.

    Args:
        parameter: the tensor whose `.grad` is None, zero or not finite.
        loss: the tensor on which backward is (or was) called.
        optimizer: also say so if this optimizer does not hold the parameter.

    Returns an `Answer`: a sentence, with `kind`, `file` and `line`.
    """
    frames = user_frames(2)
    names = name_parameters(frames)
    name = names[id(parameter)][0] if id(parameter) in names else name_of(parameter, frames) or "this parameter"
    loss_name = name_of(loss, frames)
    reason = reason_for(parameter, loss, recorder.current or recorder.last, optimizer)
    said = reason.said_of([f"`{name}` (shape {shape_of(parameter)})"], f"`{loss_name}`" if loss_name else "the loss")
    answer = Answer(said)
    answer.kind, answer.file, answer.line = reason.kind, reason.file, reason.line
    return answer


def reason_for(parameter, loss, record, optimizer=None):
    """The `Reason` for what `parameter.grad` is after (or before) the backward pass of `loss`."""
    node = parameter._node
    if node is None:
        return no_grad_asked(parameter)
    if type(node) is not AccumulateGrad:
        site = parameter._origin
        made = f"{site.operation} at {at(site.place)}" if site is not None else node.name()
        tail = f"is not a leaf but the result of {made}: backward gives gradients to leaves; keep the leaf, or call "
        return Reason("not a leaf", f"{tail}retain_grad()", None if site is None else site.place, rank=3)
    root = loss._node
    order, leaves = walk([root]) if root is not None else ([], {})
    if node not in leaves:
        leaf = leaf_site(parameter)
        if leaf is None:
            return Reason("never used", "{gets} no gradient: no recorded operation used {them}", rank=1)
        return missing(leaf, loss._origin, record)
    fault = fault_reason(loss._origin)
    grad = node.grad
    if grad is None:
        return none_after(node, order, record)
    size = recorder.size_of(grad._array)
    if not size < recorder.INFINITY:
        bad = record.bad_gradient if record is not None else None
        if fault is None and bad is not None:
            fault = bad_gradient_reason(bad[0])
        if fault is None:
            return Reason("not finite", "{gets} a gradient that is infinite or NaN", rank=2)
        return Reason(
            "not finite", f"{{gets}} a gradient that is infinite or NaN: {fault.tail}", at=(fault.file, fault.line)
        )
    if size == 0:
        return zero_reason(node, order)
    held = record.holders_of(parameter) if record is not None else None
    if optimizer is not None:
        held = [optimizer] if any(p is parameter for g in optimizer.param_groups for p in g["params"]) else []
    norm = f"{{gets}} a gradient of norm {size**0.5:.3g}"
    if held == []:
        return Reason(
            "not held",
            f"{norm}, but no optimizer holds {{them}}, so {{it}} {{is}} never updated",
            birth_of(leaf_site(parameter)),
        )
    return Reason("arrives", norm, rank=0)


NEVER_ASKED = "{gets} no gradient: without requires_grad, nothing that uses {them} is recorded"


def no_grad_asked(parameter):
    """The reason of a tensor that does not require grad."""
    site = parameter._origin
    if site is not None and site.cut is not None and site.cut.kind == "requires_grad_(False)":
        return Reason(
            "frozen", f"{{gets}} no gradient: requires_grad was turned off at {at(site.place)}", site.place, rank=3
        )
    return Reason("frozen", NEVER_ASKED, None if site is None else site.place, rank=2)


def none_after(node, order, record):
    """The reason why a leaf that `order` leads to has no `.grad`."""
    ran = [n for n in order if n.site_ is not None and n.site_.visited]
    if not ran:
        return Reason("no backward", "has no gradient yet: backward was not called on {loss}", rank=1)
    stopped = zero_reason(node, order)
    if stopped.kind == "cut":
        return stopped
    last = max(n.site_.visited for n in ran)
    resets = [place for place, passes, _ in (record.resets if record is not None else ()) if passes >= last]
    if resets:
        return Reason(
            "reset", f"got a gradient, and zero_grad at {at(resets[-1])} dropped it afterwards", resets[-1], rank=3
        )
    return Reason(
        "reset", "got a gradient, and it was dropped afterwards (`.grad = None`, or autograd.grad was asked)", rank=2
    )
