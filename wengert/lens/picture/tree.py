"""The graph as a tree of text: roots first, what each was made from below it.

Modules and repeated stretches that the page would show folded are one line here too. What was already shown is named,
not repeated.
"""

import shutil

from wengert.lens.picture.dot import shape_text
from wengert.lens.picture.folding import folded

DEEPEST = 24  # levels of indentation; beyond it the tree goes on at the margin


def described(graph, thing):
    """(name, what, where) of a visible thing."""
    kind, number = thing
    if kind == "group":
        group = graph.groups[number]
        return group.name, f"{group.size:,} operations" + (f" ({group.detail})" if group.detail else ""), ""
    node = graph.nodes[number]
    what = " ".join(filter(None, (shape_text(node.shape), node.dtype)))
    name = f"{node.title} #{node.id}" if node.kind == "operation" else node.title
    return name, what, f"{node.line}  {node.line.text}" if node.line else ""


def walk(graph):
    """(which levels end here, thing, cut on the way, whether it follows in a chain, seen before) for each line."""
    _, edges, place = folded(graph)
    made_from = {}
    for source, target in edges:
        made_from.setdefault(target, []).append((source, None))
    for cut in graph.cuts:
        if cut.target is not None and place[cut.source] != place[cut.target]:
            made_from.setdefault(place[cut.target], []).append((place[cut.source], cut))
    seen = set()
    roots = list(dict.fromkeys(place[root] for root in graph.roots))
    waiting = [((), root, None, False) for root in reversed(roots)]
    while waiting:
        lasts, thing, cut, follows = waiting.pop()
        again = thing in seen and bool(made_from.get(thing))
        yield lasts, thing, cut, follows, again
        if thing in seen:
            continue
        seen.add(thing)
        below = made_from.get(thing, ())
        if len(below) == 1:  # a chain is no deeper for being long
            waiting.append((lasts, *below[0], True))
            continue
        for i, (source, via) in enumerate(reversed(below)):
            waiting.append(((*lasts, i == 0), source, via, False))


def lines_of(graph):
    """(prefix, name, what, where, cut) for each line."""
    for lasts, thing, cut, follows, again in walk(graph):
        shown = lasts[-DEEPEST:]
        prefix = "".join("   " if last else "│  " for last in (shown if follows else shown[:-1]))
        if follows:
            prefix += "← "
        elif shown:
            prefix += "└─ " if shown[-1] else "├─ "
        name, what, where = described(graph, thing)
        yield prefix, name, "(above)" if again else what, "" if again else where, cut


def cut_text(cut):
    return f"✂ {cut.kind}" + (f" at {cut.line}" if cut.line else "")


def tree(graph, width=None):
    """Plain text, one line for each thing in sight, cut to `width` columns (default: the terminal's)."""
    width = width or shutil.get_terminal_size().columns
    lines = [repr(graph)[1:-1]]
    for prefix, name, what, where, cut in lines_of(graph):
        text = prefix + (cut_text(cut) + "  " if cut else "") + "  ".join(filter(None, (name, what, where)))
        lines.append(text if len(text) <= width else text[: width - 1] + "…")
    if graph.unreached:
        lines.append("not reached: " + ", ".join(graph.unreached))
    return "\n".join(lines)


def rich_tree(graph):
    """The same as rich text: names bold, cuts red, places dim."""
    from rich.text import Text

    made = Text(repr(graph)[1:-1] + "\n", no_wrap=True, overflow="ellipsis")
    for prefix, name, what, where, cut in lines_of(graph):
        made.append(prefix, "dim")
        if cut:
            made.append(cut_text(cut) + "  ", "bold red")
        made.append(name, "bold").append(f"  {what}" if what else "").append(f"  {where}" if where else "", "dim")
        made.append("\n")
    if graph.unreached:
        made.append("not reached: " + ", ".join(graph.unreached), "red")
    return made
