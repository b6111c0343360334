"""No way for a gradient: where the path from a loss to a parameter is cut, or what became of a result that was lost.

The graph itself can say whether a gradient's way exists. What it cannot say, because it is not there any more, the
sites can (see `recorder`): from the loss one walks back over everything that its value was computed from, cuts
included. What the parameter flows into up to the first cuts is its side; the cuts that the loss's value came through
are the answer.
"""

import re

from wengert.autograd.graph import AccumulateGrad, Output
from wengert.lens import fate, idioms, source
from wengert.lens.reasons import CUTS, Reason, at, near, shown
from wengert.lens.sites import Leaf
from wengert.tensor import Parameter

# --- the graph as it is ---


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
        used = downstream(leaf, record.sites if record is not None else (), beyond=False)
        if used:
            return of_lost(used, root, set(), record)
        return Reason(
            "unrelated", "{gets} no gradient from {loss}: that value does not come from any recorded operation"
        )
    sites = ancestry(root)
    if leaf in sites:
        _, cuts = frontier(leaf, sites)
        if cuts:
            quiet = all(weight(cut) <= 2 for cut in cuts)
            beside = lost_beside(leaf, sites, root, record) if quiet and record is not None else None
            return beside or other_loss(leaf, sites, record) or of_cuts(cuts, sites, root, record)
    return unused(leaf, root, sites, record)


def lost_beside(leaf, sites, root, record):
    """The reason where a result was computed from the parameter, uncut, which nothing reads: that was meant."""
    later = record.sites
    attached, _ = frontier(leaf, [site for site in later if site.seq > leaf.seq])
    used = {parent for site in later for parent in site.parents}
    ends = sorted((s for s in attached - sites if s not in used and not s.visited), key=lambda s: -s.seq)
    for end in ends[:3]:
        reason = of_lost([end], root, sites, record)
        if reason.lost is not None and reason.lost.kind in ("unread", "overwritten"):
            return reason
    return None


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


def of_cuts(cuts, sites, root, record=None):
    """The reason where the loss was computed from the parameter, but only across cuts."""
    ordered = sorted(cuts, key=lambda s: s.seq)
    first = max(ordered, key=lambda site: (weight(site), site.seq))
    further = explicit_beyond(first, sites)
    if further is not None:
        cuts = {**cuts, further: cuts[first]}
        ordered.append(first := further)
    text, place = of_cut(first, cuts[first], sites)
    caller = misused(first, record)
    if caller is not None:
        text, place = f"{text}, called at {shown(*caller)}", caller
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


# Names of functions that act on the world or show a result: what they return is rightly cut off.
ACTING = re.compile(r"^_*(select|choose|act|sample|get_action|predict|infer|generate|rollout|explore|play|step)", re.I)


def misused(site, record):
    """(file, line) of the call of such a function whose result went into a loss, if others call it, too."""
    callers = site.place.callers
    if not callers or not ACTING.match(site.place.function):
        return None
    places = [cut.site.place for _, cut in getattr(record, "cut_places", {}).values()]
    others = {place.callers[:1] for place in places if place.line == site.line}
    return callers[0][:2] if any(other and other != callers[:1] for other in others) else None


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
    if kind == "requires_grad_(False)":
        reason = frozen_at(site.place)
        return f"requires_grad_(False) at {shown(reason.file, reason.line)}{between}", (reason.file, reason.line)
    if idioms.rebinding_from_grad(*place) is not None:
        return f"{kind} at {at(site.place)}, which gives a new tensor the name of the leaf: write in place", place
    if kind in ("no_grad", "inference_mode"):
        region = source.quiet_region(site.place)
        if region is not None:
            return f"{kind} at {shown(*region)}: {site.operation} runs inside it ({site.place}){between}", region
    if kind == "non-differentiable":
        marked = idioms.marked_non_differentiable([site.file], site.operation)
        if marked is not None:
            return f"{site.operation}, which marks its result so at {shown(*marked)}{between}", marked
        return f"{site.operation}, which has no derivative, at {at(site.place)}{between}", place
    if kind == "Function returned None":
        return f"a backward that returned None, at {at(site.place)}", place
    return f"{CUTS.get(kind, kind)} at {at(site.place)}{between}", place


EXPORTS = ("item", "tolist", "numpy")


def unused(leaf, root, sites, record):
    """The reason where nothing recorded leads from the parameter to the loss."""
    down = downstream(leaf, record.sites if record is not None else ())
    entered = [s for s in sites if s.operation == "entered" and not s.parents]
    exports = [s for s in down if s.operation in EXPORTS]
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
    used = [s for s in used if not (s.cut is not None and isinstance(s.cut.result, Parameter))]  # its own beginning
    if used and all(s.cut is not None and s.operation in EXPORTS for s in used):
        kept = [s for s in used if not fate.is_look_at(s.file, s.line)]
        if kept:
            text, place = of_cut(kept[-1], leaf, ())
            return Reason(
                "cut", f"{{gets}} no gradient from {{loss}}: {{its}} only use ends by {text}", at=place, rank=4
            )
    if used:
        return of_lost(used, root, sites, record)
    return Reason("never used", "{gets} no gradient: no recorded operation used {them}", birth_of(leaf), rank=1)


def of_lost(used, root, sites, record):
    """The reason where what was computed from the parameter, the sites `used`, never enters the loss."""
    last = max(used, key=lambda s: (not is_detached(s) and not fate.is_look_at(s.file, s.line), s.seq))
    first = min(used, key=lambda s: s.seq)
    began = record.pass_place if record is not None else None
    parts = last.module.split(".") if last.part is not None else ()
    files = [file for file, *_ in ((began.file,), *began.callers)] if began is not None and began.frames else ()
    lost = fate.Search(parts, fate.Flow(sites, last, began, files)).at(last.file, last.line)
    ends = f"what is computed from {{them}} ends with {near(last)} and never enters {{loss}}"
    tail = f"{{gets}} no gradient from {{loss}}: {{it}} {{is}} used at {at(first.place)}, but {ends}"
    if lost is None:
        tail += f", computed at {at(root.place)}" if root is not None and root.place.frames else ""
        reason = Reason("unused", tail, last.place, rank=2)
    else:
        reason = Reason("unused", f"{tail}: {words_of_fate(lost)}", at=lost.culprit, rank=2)
    reason.part, reason.lost = last.part, lost
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


def frozen_at(place, also=""):
    """The reason of a leaf that was told at a place not to require grad: to blame is who asked for that."""
    line = (place.file, place.line)
    tail = f"{{gets}} no gradient: requires_grad was turned off at {at(place)}"
    alias = idioms.alias_before(*line)
    if alias is not None:
        tail += f", and what is frozen there is the same object, by {shown(*alias)}"
        return Reason("frozen", tail, at=alias, rank=3)
    if place.callers and idioms.only_freezes(*line):
        line = place.callers[0][:2]
        tail += f", by the call at {shown(*line)}"
    return Reason("frozen", tail + also, at=line, rank=3)


NEVER_ASKED = "{gets} no gradient: without requires_grad, nothing that uses {them} is recorded"


def no_grad_asked(parameter):
    """The reason of a tensor that does not require grad."""
    site = parameter._origin
    if site is not None and site.cut is not None and site.cut.kind == "requires_grad_(False)":
        return frozen_at(site.place)
    return Reason("frozen", NEVER_ASKED, None if site is None else site.place, rank=2)
