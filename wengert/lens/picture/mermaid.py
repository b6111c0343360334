"""The graph as a Mermaid flowchart, for Markdown pages."""

import re

from wengert.lens.picture.dot import key, label_of
from wengert.lens.picture.folding import folded

SPECIAL = re.compile(r"[^\w .,:;×·…\-+/=()]")


def quoted(text):
    """A Mermaid string: whatever could be markup is written as its number, ``#60;``."""
    return '"' + SPECIAL.sub(lambda match: f"#{ord(match[0])};", text) + '"'


def text_of(lines):
    return "<br/>".join(quoted(line)[1:-1] for line in lines).join('""')


def mermaid(graph, fold=True):
    """A flowchart from leaves to roots; cuts are dashed lines with their kind and place."""
    opened = None if fold else {group.id for group in graph.groups}
    shown, edges, place = folded(graph, opened)
    lines = ["flowchart TD"]
    for thing in shown:
        kind, number = thing
        if kind == "group":
            group = graph.groups[number]
            parts = [group.name, group.detail, f"{group.size:,} operations"]
            lines.append(f"  {key(thing)}[[{text_of(filter(None, parts))}]]")
        else:
            node = graph.nodes[number]
            text = text_of(label_of(node))
            lines.append(f"  {key(thing)}({text})" if node.kind in ("parameter", "leaf") else f"  {key(thing)}[{text}]")
    lines += [f"  {key(source)} --> {key(target)}" for source, target in edges]
    cuts = [cut for cut in graph.cuts if cut.target is not None]
    for cut in cuts:
        label = quoted(f"✂ {cut.kind}" + (f" {cut.line}" if cut.line else ""))
        lines.append(f"  {key(place[cut.source])} -. {label} .-> {key(place[cut.target])}")
    if cuts:
        numbers = ",".join(str(len(edges) + i) for i in range(len(cuts)))
        lines.append(f"  linkStyle {numbers} stroke:#c8102e,color:#c8102e,stroke-dasharray:5 4")
    return "\n".join(lines) + "\n"
