"""Terms that were meant for the loss: a number computed in every step, with its graph, which nothing ever reads.

No gradient is missing where a penalty is forgotten, for its parameters are trained by the rest. What shows it is a
scalar that came from parameters, that no operation took in and that the source gives a name which is never used.
"""

import ast

from wengert.lens import source
from wengert.lens.fate import Flow, Search, name_text, nodes_below, scope_of
from wengert.lens.sites import parsed
from wengert.lens.ways import ancestry


class IdleValues:
    """The scalars of some passes that nothing has read: `found`, by line, (times, their `Fate`)."""

    def __init__(self):
        self.found = {}
        self.waiting = []  # (site, its fate): perhaps something reads it after the pass

    def settle(self, record):
        """The next pass begins: what has not been read by now never will be."""
        used = {parent for site in record.sites for parent in site.parents}
        for site, fate in self.waiting:
            if site not in used and not site.visited:
                times, _ = self.found.get(site.place.shown[:2], (0, None))
                self.found[site.place.shown[:2]] = times + 1, fate
        self.waiting = []

    def look(self, record, root, order, started, place, files):
        """Look among what was computed since `started` for scalars that do not enter the loss at `root`."""
        attached = {node.site_ for node in order}
        sites = record.sites
        used = {parent for site in sites for parent in site.parents}
        behind = None
        for site in sites:
            scalar = site.shape == () and site.seq > started and "Backward" in site.operation
            if not scalar or site in attached or site in used:
                continue
            behind = behind if behind is not None else ancestry(root)
            parts = site.module.split(".") if site.part is not None else ()
            fate = Search(parts, Flow(behind, site, place, files)).at(site.file, site.line)
            if fate is not None and fate.kind == "unread" and fate.name and not is_read(fate):
                self.waiting.append((site, fate))


def is_read(fate):
    """Whether the variable of a fate is read at all, be it to show it."""
    node, above = source.statement_at(fate.file, fate.line)
    body = scope_of(above) or parsed(fate.file)
    if isinstance(node, ast.FunctionDef):
        body = node
    uses = [n for n, _ in nodes_below(body) if name_text(n) == fate.name and isinstance(n.ctx, ast.Load)]
    return bool(uses)
