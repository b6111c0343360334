"""Groups: what may be folded away so that a graph of any size can be looked at.

Every node lies in at most one innermost group, and groups lie in groups, so the graph is a tree of boxes. Modules come
first: `encoder.fc1` lies in `encoder`. Where a box still holds more than a picture can show, stretches that repeat (the
steps of a recurrent network, the links of a chain) become one box with a box for each repetition, and what does not
repeat is parted into equal stretches. Two operations count as the same if they have one name and one source line. No
box holds more than `CROWD` things, so whatever a user unfolds can be drawn at once.

`open` marks the boxes that are unfolded at first: the outer ones, as far as `AT_FIRST` things in all allow.
"""

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import isqrt

CROWD = 40  # things in one box
AT_FIRST = 36  # things in sight at first
LONGEST_PERIOD = 400  # nodes in one repetition
REPETITIONS = 3  # fewer are no pattern
SHORTEST = 9  # nodes in a pattern with all its repetitions
TRIES = 8  # periods tried at a place, the shortest first


@dataclass(slots=True)
class Group:
    """A box: a module ("module"), a stretch that repeats ("repeat"), one repetition or another stretch ("stretch")."""

    id: int
    parent: int | None
    kind: str
    name: str
    detail: str = ""  # the module's class, or what repeats
    path: str = ""  # of a module
    size: int = 0  # operations inside, at any depth
    open: bool = False
    children: list = field(default_factory=list)  # ("node" or "group", id), in order of execution

    def as_dict(self):
        shown = {"id": self.id, "kind": self.kind, "name": self.name, "size": self.size}
        if self.parent is not None:
            shown["parent"] = self.parent
        if self.detail:
            shown["detail"] = self.detail
        if self.path:
            shown["path"] = self.path
        if self.open:
            shown["open"] = True
        return shown


def arrange(graph, classes):
    """Give `graph` its groups; `classes` names the class of each module path."""
    top = by_module(graph, classes)
    bundle_all(graph, top)
    number(graph, top)
    open_outermost(graph)


# --- modules --------------------------------------------------------------------------------------------------------


def by_module(graph, classes):
    """The root of a tree of boxes, one for each module path in which more than one operation ran."""
    placement = [node.module for node in graph.nodes]
    inside = Counter()
    for node, path in zip(graph.nodes, placement, strict=True):
        if node.kind != "parameter":
            for prefix in prefixes(path):
                inside[prefix] += 1
    top = Group(-1, None, "top", "")
    boxes = {"": top}

    def box(path):
        found = boxes.get(path)
        if found is None:
            above, _, last = path.rpartition(".")
            parent = box(above)
            found = parent
            if inside[path] > 1:
                name = ".".join(path.rsplit(".", 2)[-2:]) if last.isdigit() else last  # "h.0": a number says little
                found = Group(0, None, "module", name, classes.get(path, ""), path)
                parent.children.append(found)
            boxes[path] = found
        return found

    for node, path in zip(graph.nodes, placement, strict=True):
        box(path).children.append(node)
    return top


def prefixes(path):
    """ "a.b.c" → "a", "a.b", "a.b.c"."""
    at = path.find(".")
    while at >= 0:
        yield path[:at]
        at = path.find(".", at + 1)
    if path:
        yield path


# --- stretches ------------------------------------------------------------------------------------------------------


def bundle_all(graph, top):
    waiting = [top]
    while waiting:
        group = waiting.pop()
        if len(group.children) > CROWD:
            group.children = bundled(group.children)
        waiting += [child for child in group.children if isinstance(child, Group)]


def bundled(things):
    """`things` in at most about `CROWD` boxes and nodes."""
    numbers = {}  # of the kinds of things, which are quicker to compare
    keys = [numbers.setdefault(key_of(thing), len(numbers)) for thing in things]
    found, start = [], 0
    for begin, period, times in repeats(keys):
        found += things[start:begin]
        start = begin + period * times
        found.append(repeat(things[begin:start], period, times))
    found += things[start:]
    return found if len(found) <= CROWD else stretches(found)


def key_of(thing):
    return thing.name if isinstance(thing, Group) else (thing.name, id(thing.line))  # a line is one object


def repeats(keys):
    """Stretches (begin, period, times) in which the same keys come again and again, from the first on."""
    places = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    found, at = [], 0
    while at < len(keys):
        again = places[keys[at]]
        after = bisect_right(again, at)
        period, times = pattern_at(keys, at, again[after : after + TRIES])
        if times:
            found.append((at, period, times))
        at += period * times or 1
    return found


def pattern_at(keys, at, ends):
    """(period, times) of the shortest pattern that begins at `at` and first ends at one of `ends`; (0, 0) if none."""
    for end in ends:
        period = end - at
        if period > LONGEST_PERIOD or len(keys) - at < period * REPETITIONS:
            break
        if keys[at:end] != keys[end : end + period]:
            continue
        while end < len(keys) and keys[end] == keys[end - period]:
            end += 1
        times = (end - at) // period
        if times >= REPETITIONS and times * period >= SHORTEST:
            return period, times
    return 0, 0


def repeat(things, period, times):
    """One box for a pattern that comes again and again, with a box for each time it comes (or bundles of them)."""
    if period == 1:
        members = things
        name = f"{times:,} × {title(things[0])}"
    else:
        members = [
            Group(0, None, "stretch", f"step {i + 1:,}", children=things[i * period : (i + 1) * period])
            for i in range(times)
        ]
        name = f"{times:,} × {period} operations"
    detail = ", ".join(dict.fromkeys(title(thing) for thing in things[:period]))
    group = Group(0, None, "repeat", name, detail if len(detail) <= 60 else detail[:59] + "…")
    group.children = members if len(members) <= CROWD else stretches(members)
    return group


def stretches(things):
    """Equal stretches of things, in boxes of boxes where one layer is not enough."""
    layer = things
    while len(layer) > CROWD:
        boxes = []
        size = min(CROWD, isqrt(len(layer)) + 1)  # about as many boxes as there are things in each
        for i in range(0, len(layer), size):
            part = layer[i : i + size]
            boxes.append(part[0] if len(part) == 1 else Group(0, None, "stretch", "", children=part))
        layer = boxes
    name_stretches(layer)
    return layer


def name_stretches(layer):
    """Name boxes without a name after their first and last operations."""
    waiting = list(layer)
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, Group):
            if not thing.name:
                first, last = end_of(thing, 0), end_of(thing, -1)
                thing.name = f"{first} … {last}"
            waiting += thing.children


def end_of(group, at):
    """What stands first (0) or last (-1) in a box, as its name shows it."""
    thing = group
    while isinstance(thing, Group) and not (thing.name and thing.kind != "top"):
        thing = thing.children[at]
    return thing.name if isinstance(thing, Group) else f"{thing.title} {thing.id}"


def title(thing):
    return thing.name if isinstance(thing, Group) else thing.title


# --- numbers, and what is open at first -----------------------------------------------------------------------------


def number(graph, top):
    """Give groups their ids, outer before inner, and nodes the group that they lie in; count what lies inside."""
    order, waiting = [], [(top, None)]
    while waiting:
        group, parent = waiting.pop()
        if group is not top:
            group.id, group.parent = len(order), parent
            order.append(group)
        own = None if group is top else group.id
        for child in group.children:
            if not isinstance(child, Group):
                child.group = own
        waiting += [(child, own) for child in reversed(group.children) if isinstance(child, Group)]
    for group in reversed(order):
        for child in group.children:
            group.size += child.size if isinstance(child, Group) else child.kind != "parameter"
        group.children = [
            ("group", child.id) if isinstance(child, Group) else ("node", child.id) for child in group.children
        ]
    graph.groups = order
    graph.top = [("group", child.id) if isinstance(child, Group) else ("node", child.id) for child in top.children]


def open_outermost(graph):
    """Unfold boxes, the outer first, while what is in sight stays a picture that can be read.

    Boxes of one kind that lie side by side (the blocks of a network) are unfolded all or none; what repeats stays
    folded.
    """
    groups = graph.groups
    seen = len(graph.top)
    waiting = []

    def offer(children, depth):
        alike = {}
        for kind, child in children:
            if kind == "group" and groups[child].kind != "repeat":
                alike.setdefault((groups[child].kind, groups[child].detail), []).append(child)
        for together in alike.values():
            heappush(waiting, (depth, sum(len(groups[g].children) for g in together), together))

    offer(graph.top, 0)
    while waiting:
        depth, count, together = heappop(waiting)
        modules = groups[together[0]].kind == "module"
        if seen + count <= (AT_FIRST if modules else AT_FIRST // 3):
            seen += count
            for which in together:
                groups[which].open = True
                offer(groups[which].children, depth + 1)


def folded(graph, opened=None):
    """The graph as it looks when only some groups are unfolded.

    Args:
        opened: ids of the groups that are unfolded (default: those unfolded at first).
    Returns:
        (shown, edges, place): `shown` maps each visible thing, ("node" or "group", id), to its innermost open group (or
        None); `edges` counts the edges between visible things, {(source thing, target thing): count}; `place` says for
        each node which visible thing stands for it.
    """
    groups = graph.groups
    if opened is None:
        opened = {group.id for group in groups if group.open}
    closed_above = []  # for each group, the outermost closed one at or above it
    for group in groups:  # outer before inner
        above = None if group.parent is None else closed_above[group.parent]
        closed_above.append(above if above is not None else None if group.id in opened else group.id)
    shown, place = {}, []
    for node in graph.nodes:
        closed = None if node.group is None else closed_above[node.group]
        thing = ("node", node.id) if closed is None else ("group", closed)
        place.append(thing)
        if thing not in shown:
            shown[thing] = node.group if closed is None else groups[closed].parent
    edges = Counter()
    for edge in graph.edges:
        ends = place[edge.source], place[edge.target]
        if ends[0] != ends[1]:
            edges[ends] += 1
    return shown, edges, place
