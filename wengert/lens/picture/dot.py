"""The graph in Graphviz's language."""

from wengert.lens.picture.folding import folded


def quoted(text):
    """A DOT string: quotes and backslashes escaped, so that no name can end it or be taken for markup."""
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "") + '"'


def shape_text(shape):
    return "scalar" if shape == () else " × ".join(map(str, shape)) if shape is not None else ""


def label_of(node):
    """What stands in a box: the operation, what it made, and where."""
    made = " ".join(filter(None, (shape_text(node.shape), node.dtype)))
    return [line for line in (node.title, made, str(node.line) if node.line else "") if line]


STYLES = {
    "operation": 'fillcolor="#ffffff", color="#8a8f98"',
    "parameter": 'fillcolor="#e3eef7", color="#4f86b0", style="filled,rounded"',
    "leaf": 'fillcolor="#e3eef7", color="#4f86b0", style="filled,rounded"',
    "gone": 'fillcolor="#f4f4f4", color="#8a8f98", style="filled,dashed"',
    "group": 'fillcolor="#f3f1ec", color="#8a8f98", style="filled", peripheries=2',
}
HEADER = """digraph wengert {
  graph [rankdir=TB, fontname="Helvetica", fontsize=11, color="#c9c6bf", style="rounded"]
  node [shape=box, style="filled", fontname="Helvetica", fontsize=11, height=0.3, margin="0.12,0.05"]
  edge [color="#8a8f98", fontname="Helvetica", fontsize=9, arrowsize=0.6]"""


def dot(graph, fold=False):
    """A digraph whose edges point the way the data went; open groups are clusters, cuts are dashed and red."""
    groups = graph.groups
    opened = None if fold else {group.id for group in groups}
    shown, edges, place = folded(graph, opened)
    lines = [HEADER, *clusters(graph, shown)]
    for (source, target), count in edges.items():
        thick = f' [penwidth={min(1 + count / 4, 4):.3g}, tooltip="{count} values"]' if count > 1 else ""
        lines.append(f"  {key(source)} -> {key(target)}{thick}")
    for cut in graph.cuts:
        if cut.target is not None:
            text = quoted(f"✂ {cut.kind}" + (f"\n{cut.line}" if cut.line else ""))
            style = f'style=dashed, color="#c8102e", fontcolor="#c8102e", penwidth=1.6, label={text}'
            lines.append(f"  {key(place[cut.source])} -> {key(place[cut.target])} [{style}]")
    return "\n".join([*lines, "}"]) + "\n"


def key(thing):
    return ("n" if thing[0] == "node" else "g") + str(thing[1])


def clusters(graph, shown):
    """The lines that declare what is in sight, each inside the clusters of its groups."""
    inside = {}
    for thing, group in shown.items():
        inside.setdefault(group, []).append(thing)
    needed = set()
    for group in inside:
        while group is not None and group not in needed:
            needed.add(group)
            group = graph.groups[group].parent
    below = {}
    for group in sorted(needed):
        below.setdefault(graph.groups[group].parent, []).append(group)
    lines = []
    waiting = [("things", None), *(("open", g) for g in reversed(below.get(None, ())))]
    while waiting:
        what, group = waiting.pop()
        if what == "close":
            lines.append("  }")
        elif what == "things":
            lines += [declared(graph, thing) for thing in inside.get(group, ())]
        else:
            found = graph.groups[group]
            title = f"{found.name} · {found.detail}" if found.detail else found.name
            lines.append(f"  subgraph cluster_{group} {{ label={quoted(title)}")
            waiting.append(("close", group))
            waiting += [("open", g) for g in reversed(below.get(group, ()))]
            waiting.append(("things", group))
    return lines


def declared(graph, thing):
    kind, number = thing
    if kind == "group":
        group = graph.groups[number]
        text = "\n".join(filter(None, (group.name, group.detail, f"{group.size:,} operations")))
        return f"  {key(thing)} [label={quoted(text)}, {STYLES['group']}]"
    node = graph.nodes[number]
    tooltip = f", tooltip={quoted(node.line.text)}" if node.line and node.line.text else ""
    return f"  {key(thing)} [label={quoted(chr(10).join(label_of(node)))}, {STYLES[node.kind]}{tooltip}]"
