"""What live graphs keep, by the line that made them; and who keeps the graphs.

A graph lives as long as some tensor made from it. So the way to a leak is short: of the nodes that outlive their step,
find the variable that leads to them, and in the source the statement by which it grew.
"""

import gc
import re

from wengert.autograd.graph import AccumulateGrad, Node
from wengert.kernels.shape import root_of
from wengert.lens import source
from wengert.lens.names import reachable
from wengert.lens.sites import kept_by, short, source_line, user_frames
from wengert.tensor import Tensor

_is_node = {}  # type -> whether it is a class of nodes


def live_nodes():
    """Every node of a graph that is alive, but for the ends at leaves."""
    known, found = _is_node, []
    for thing in gc.get_objects():
        kind = type(thing)
        answer = known.get(kind)
        if answer is None:
            answer = known[kind] = issubclass(kind, Node) and not issubclass(kind, AccumulateGrad)
        if answer:
            found.append(thing)
    return found


class Entry:
    """What the nodes made at one line by one operation keep: `nodes` of them, `bytes`, in `graphs` separate steps."""

    def __init__(self, operation, file, line):
        self.operation, self.file, self.line = operation, file, line
        self.nodes = self.bytes = 0
        self.steps = set()

    @property
    def graphs(self):
        return len(self.steps)

    @property
    def where(self):
        return f"{short(self.file)}:{self.line}" if self.file else "not recorded"


class Memory:
    """What live graphs keep at one moment: `entries` by line, the most bytes first; `nodes` and `bytes` in all.

    Printed it is a table. ``lens.memory() - earlier`` is what has come on top since.
    """

    def __init__(self, entries, leak=None):
        self.entries = sorted(entries, key=lambda e: (-e.bytes, -e.nodes))
        self.leak = leak

    nodes = property(lambda self: sum(e.nodes for e in self.entries))
    bytes = property(lambda self: sum(e.bytes for e in self.entries))

    def __sub__(self, earlier):
        before = {(e.operation, e.file, e.line): e for e in earlier.entries}
        grown = []
        for entry in self.entries:
            old = before.get((entry.operation, entry.file, entry.line))
            more = Entry(entry.operation, entry.file, entry.line)
            more.nodes = entry.nodes - (old.nodes if old else 0)
            more.bytes = entry.bytes - (old.bytes if old else 0)
            more.steps = entry.steps - (old.steps if old else set())
            if more.nodes > 0 or more.bytes > 0:
                grown.append(more)
        return Memory(grown, self.leak)

    def __str__(self):
        lines = [f"{plural(self.nodes, 'node')} of live graphs, {amount(self.bytes)} kept"]
        width = max([len(e.where) for e in self.entries[:20]], default=0)
        for e in self.entries[:20]:
            text = source_line(e.file, e.line) if e.file else ""
            lines.append(f"  {e.where:{width}}  {e.operation:24} {e.nodes:6} × {amount(e.bytes):>10}  {text}".rstrip())
        if self.leak is not None:
            lines.append(str(self.leak))
        return "\n".join(lines)

    __repr__ = __str__


class Leak:
    """What keeps graphs of past steps: its `name` in the program, the statement that grew it, how much it keeps."""

    several = False  # whether it is a container that keeps them, not one value that carries them along

    def __init__(self, name, file, line, graphs, nodes, size, how):
        self.name, self.file, self.line, self.how = name, file, line, how
        self.graphs, self.nodes, self.bytes = graphs, nodes, size

    def __str__(self):
        kept = f"{plural(self.graphs, 'graph')} ({plural(self.nodes, 'node')}, {amount(self.bytes)})"
        if self.line is None:
            return f"{f'`{self.name}`' if self.name else 'something'} keeps {kept}; {self.how}"
        return f"`{source_line(self.file, self.line)}` at {short(self.file)}:{self.line} keeps {kept}; {self.how}"


def memory():
    """What all live graphs keep, as a `Memory`: by source line and operation, and who holds the graphs of past steps.

    Nodes made while `lens.record()` was on are shown with their lines, others without.
    """
    entries = {}
    counted = set()
    nodes = live_nodes()
    for node in nodes:
        site = node.site_
        known = site is not None and site.place.frames
        key = (node.name(), site.file if known else None, site.line if known else None)
        entry = entries.get(key)
        if entry is None:
            entry = entries[key] = Entry(*key)
        entry.nodes += 1
        if site is not None:
            entry.steps.add(site.pass_number)
        entry.bytes += size_kept([node], counted)
    newest = max((node.site_.pass_number for node in nodes if node.site_ is not None), default=0)
    old = [node for node in nodes if node.site_ is not None and node.site_.pass_number < newest]
    steps = {node.site_.pass_number for node in old}
    return Memory(entries.values(), leak_of(old, user_frames(2)) if len(steps) >= 2 else None)


def size_kept(nodes, counted=None):
    """Bytes that nodes keep for their derivatives; memory in `counted` (ids of its owners) is not counted again."""
    counted = set() if counted is None else counted
    total = 0
    for node in nodes:
        for array in kept_by(node):
            root = root_of(array)
            if id(root) not in counted:
                counted.add(id(root))
                total += root.nbytes
    return total


def leak_of(old, frames, of=lambda node: node.site_.pass_number):
    """Who holds the nodes `old`, as a `Leak`; the statement that grew it is looked up in the source of the frames.

    `of` says to which graph a node belongs.
    """
    name, kept, several = holder_of(set(old), frames)
    kept = kept or old
    graphs = len({of(node) for node in kept})
    nodes, size = len(kept), size_kept(kept)
    if name is None:
        newest = max(kept, key=lambda n: n.site_.seq).site_
        return Leak(None, newest.file, newest.line, graphs, nodes, size, "a tensor made there is still held")
    base = re.sub(r"(\[\d+\])+$", "", name)
    files = list(dict.fromkeys(frame.f_code.co_filename for frame in frames))
    place = source.growth_of(files, base)
    if several or "[" in name:
        how = "append `.item()` or `.detach()` of it instead"
    else:
        how = (
            f"`{base}` carries the graph of every step along: add `.item()` to it, or `.detach()` what is carried over"
        )
    if place is None:
        newest = max(kept, key=lambda n: n.site_.seq).site_
        place = (newest.file, newest.line)
    place = source.giver_of(files, place, base)
    leak = Leak(base, *place, graphs, nodes, size, how)
    leak.several = several or "[" in name
    return leak


def holder_of(old, frames):
    """(name, nodes, whether it is a container) of the variable that leads to most of the nodes `old`."""
    groups = {}
    for name, tensor in reachable(frames, (Tensor,)):
        node = tensor._node
        if node is not None and type(node) is not AccumulateGrad:
            groups.setdefault(re.sub(r"\[\d+\]", "", name), []).append((name, node))
    best = (None, [], False)
    for members in groups.values():
        seen = set()
        stack = [node for _, node in members]
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            stack.extend(e for e in node.edges if e is not None and type(e) is not AccumulateGrad)
        held = seen & old
        if len(held) > len(best[1]):
            best = (members[0][0], list(held), len(members) > 1 or "[" in members[0][0])
    return best


def amount(size):
    """Bytes as people say them."""
    for unit, scale in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} B"


def plural(count, word):
    return f"{count:,} {word}{'s' * (count != 1)}"
