"""`wengert explain`: a whole program under the eyes of a witness, and afterwards what it did, in plain words."""

import sys
import textwrap

from wengert.lens.errors import told_of
from wengert.lens.memory import amount, plural
from wengert.lens.sites import Leaf, is_installed, short, source_line
from wengert.lens.verdict import Judge
from wengert.lens.witness import Witness

KINDS = ("no-grad", "leak", "nan", "in-place")  # what `--fail-on` may name


def report(witness, program, error=None, width=100):
    """The text that `wengert explain` prints, and the findings in it."""
    findings = [] if error is None else told_of(witness, error)
    blamed = {(f.file, f.line) for f in findings}
    judge = Judge(witness)
    findings += [f for f in judge.findings(error is not None) if (f.file, f.line) not in blamed]
    lines = [f"wengert explain: {program}", ""]
    lines += trained(witness)
    for finding in findings:
        lines.append("")
        head = f"✗ {TITLES[finding.kind]}  "
        text = source_line(finding.file, finding.line) if finding.file and finding.line else ""
        if text:
            lines.append(f"{head}{finding.where} │ {text}")
            head = "    "
        lines += paragraph(head, finding.sentence, width)
    if error is not None and not findings:
        lines += [
            "",
            f"✗ the program ended with {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
        ]
    for reason, stories in judge.notes:
        lines.append("")
        lines += paragraph("· note  ", reason.said_of([s.said for s in stories], "the loss"), width)
    lines += listed_cuts(witness, findings)
    lines += remembered(witness)
    lines.append("")
    if not findings and error is None:
        lines.append("✓ nothing wrong was found")
    else:
        lines.append(f"{len(findings) or 1} finding{'s' * ((len(findings) or 1) != 1)}")
    return "\n".join(lines), findings


TITLES = {"no-grad": "no gradient", "leak": "leak", "nan": "not finite", "in-place": "in place", "error": "error"}


def paragraph(head, text, width):
    """Wrapped text under a hanging head."""
    return textwrap.wrap(
        text, width, initial_indent=head, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )


def trained(witness):
    """What was trained, by which optimizer, how often."""
    lines = []
    rows = {}
    for holder in witness.holders:
        stories = [s for s in witness.stories.values() if holder in s.holders]
        row = rows.setdefault((names_of(stories), holder.kind, str(holder.place)), [0, 0])
        row[0] += 1
        row[1] += holder.steps
    for (names, kind, place), (times, steps) in list(rows.items())[:20]:
        made = f", made {times} times" if times > 1 else ""
        lines.append(f"trained     {names} by {kind} ({place}){made}, {plural(steps, 'step')}")
    if not lines:
        moved = [s for s in witness.stories.values() if s.reached]
        lines.append(f"trained     {names_of(moved)}, without an optimizer" if moved else "trained     nothing")
    passes = f"backward    {plural(witness.passes, 'pass').replace('passs', 'passes')}"
    where = [
        f"{short(code.co_filename)}:{line} ({calls.count})"
        for (code, line, *_), calls in list(witness.callers.items())[:4]
    ]
    lines.append(passes + (f": {', '.join(where)}" if where else ""))
    return lines


def names_of(stories):
    """``model (4 parameters, 1,234 numbers)``"""
    roots = list(dict.fromkeys((s.name or "?").removeprefix("self.").partition(".")[0] for s in stories))
    total = sum(s.size for s in stories)
    shown_roots = ", ".join(roots[:3]) + (", …" if len(roots) > 3 else "")
    return f"{shown_roots} ({plural(len(stories), 'tensor')}, {plural(total, 'number')})"


def listed_cuts(witness, findings):
    """Each cut of the program, with what it separates; those that a finding blames are marked."""
    blamed = {(f.file, f.line) for f in findings}
    rows = []
    seen = {}
    for (place, kind), (times, cut) in witness.cut_places.items():
        if is_bookkeeping(cut):
            continue
        key = (place.file, place.line, kind)
        if key in seen:
            seen[key][0] += times
            continue
        seen[key] = [times, cut]
    for (file, line, kind), (times, cut) in seen.items():
        before = cut.source
        origin = "a leaf" if isinstance(before, Leaf) else before.operation if before is not None else "a value"
        after = next((s for s in cut.took), None)
        to = f" → {after.operation} ({after.place})" if after is not None else ""
        mark = "✗" if (file, line) in blamed else " "
        rows.append((file, line, mark, kind, f"{origin}{to}", times))
    if not rows:
        return []
    rows.sort(key=lambda r: (r[0], r[1]))
    lines = ["", f"cuts        {plural(len(rows), 'place')} where values leave the graph"]
    for file, line, mark, kind, what, times in rows[:30]:
        lines.append(f"  {mark} {short(file)}:{line}  {kind:18} {what}  ×{times}")
    if len(rows) > 30:
        lines.append(f"    and {len(rows) - 30} more")
    return lines


def is_bookkeeping(cut):
    """Whether a cut is of no interest: inside of the library or of an installed package, or a leaf looked at."""
    return is_installed(cut.site.file) or (
        isinstance(cut.source, Leaf) and cut.kind in ("data", "no_grad") and not cut.took
    )


def remembered(witness):
    """The size of one step's graph, and whether graphs of past steps stay."""
    if not witness.graph_size:
        return []
    sizes = witness.graph_size
    _, nodes, size = max(sizes, key=lambda s: s[2])
    first, last = sizes[0], sizes[-1]
    line = f"memory      a step's graph: up to {plural(nodes, 'node')}, {amount(size)} kept for backward"
    if len(sizes) > 2:
        line += f"; {first[1]} nodes at first, {last[1]} at last"
    return ["", line]


def watch(run, name):
    """Run a program under the lens.

    Args:
        run: starts the program, in this process.
        name: what the report calls it.

    Returns the report, the findings, and the status with which the program ended.
    """
    witness = Witness()
    error, status = None, 0
    with witness:
        try:
            run()
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
            if isinstance(ended.code, str):
                print(ended.code, file=sys.stderr)
        except BaseException as caught:
            error, status = caught, 1
    if error is not None:
        sys.excepthook(type(error), error, error.__traceback__.tb_next)
    text, findings = report(witness, name, error)
    return text, findings, status


def explain(run, name, fail_on=()):
    """Run a program under the lens and print what it did; the exit status for the command line is returned.

    Args:
        run, name: as for `watch`.
        fail_on: kinds of findings (of "no-grad", "leak", "nan", "in-place") that make the exit status 3.
    """
    text, findings, status = watch(run, name)
    sys.stdout.flush()
    sys.stderr.flush()
    print(f"\n{text}")
    return 3 if status == 0 and any(finding.kind in fail_on for finding in findings) else status
