"""What the walk found, as text; which gaps are known, and whether the list of them is true.

`python -m tests.conformance.report` walks and prints. `--ops add,nn.functional.gelu` walks those alone, `--all-samples`
takes every sample of the database, `--seed 3` other numbers and other samples, `--write-gaps` rewrites the list of
known gaps from what was found (keeping the reasons of those that remain).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.conformance import opdb
from tests.conformance.opdb import Verdict

GAPS = Path(__file__).with_name("known_gaps.toml")
ASPECTS = [*(f"forward {d}" for d in opdb.FORWARD_DTYPES), "aliasing", "backward", "backward complex", "second",
           "forward mode", "in-place", "out", "errors", "walk"]  # fmt: skip

# Where the walk leaves its report for the end of pytest's output.
REPORT = pytest.StashKey[str]()

Gaps = dict[str, dict[str, str]]
# A gap of this kind, {wavers = "why"}, is there on some processors and not on others: it may pass, and need not.
Wavering = dict[str, str]


def known_gaps() -> dict[str, dict[str, str | Wavering]]:
    """Operation → aspect → reason."""
    listed = tomllib.loads(GAPS.read_text(encoding="utf-8")) if GAPS.exists() else {}
    return {name: aspects for name, aspects in listed.items() if name != "programs"}


def known_differences() -> str:
    """The part of the list that speaks of random programs, as it stands."""
    page = GAPS.read_text(encoding="utf-8") if GAPS.exists() else ""
    return page[page.index("[programs]") :].split("\n\n[")[0] if "[programs]" in page else ""


def found_gaps(verdicts: Iterable[Verdict]) -> Gaps:
    """Operation → aspect → first failure."""
    failing = {v.name: {a: s.first_failure for a, s in v.scores.items() if not s.whole} for v in verdicts}
    return {name: aspects for name, aspects in failing.items() if aspects}


def summary(verdicts: list[Verdict]) -> str:
    """Per aspect: operations that pass whole of those it applies to, samples passed of all."""
    lines = [f"{'aspect':20} {'operations':>14} {'':>7} {'samples':>16} {'':>7}"]
    for aspect in ASPECTS:
        scores = [v.scores[aspect] for v in verdicts if aspect in v.scores]
        if scores:
            whole, passed, total = (
                sum(s.whole for s in scores),
                sum(s.passed for s in scores),
                sum(s.total for s in scores),
            )
            lines.append(
                f"{aspect:20} {whole:>6} / {len(scores):<5} {whole / len(scores):>7.1%} "
                f"{passed:>7} / {total:<6} {passed / total:>7.1%}"
            )
    absent = [v for v in verdicts if v.absent]
    lines.append(f"{len(verdicts) - len(absent)} of {len(verdicts)} entries present, {len(absent)} absent")
    return "\n".join(lines)


def details(verdicts: list[Verdict]) -> str:
    """The first failure of each failing aspect, and the names of what is absent."""
    lines = []
    for name, aspects in sorted(found_gaps(verdicts).items()):
        lines.append(name)
        lines += [f"    {aspect}: {failure}" for aspect, failure in aspects.items()]
    absent = sorted(v.name for v in verdicts if v.absent)
    if absent:
        lines.append("absent: " + ", ".join(absent))
    return "\n".join(lines)


def judged(verdicts: list[Verdict]) -> list[str]:
    """Where the list of known gaps is untrue: failures it doesn't list, and listed gaps that pass."""
    known, found = known_gaps(), found_gaps(verdicts)
    walked = {v.name: v for v in verdicts}
    unlisted = [
        f"unlisted gap: {name}, {aspect}: {failure}"
        for name, aspects in found.items()
        for aspect, failure in aspects.items()
        if aspect not in known.get(name, {})
    ]
    passing = [
        f"listed gap passes: {name}, {aspect}; take it from {GAPS.name}"
        for name, aspects in known.items()
        for aspect, reason in aspects.items()
        if name in walked
        and aspect in walked[name].scores
        and aspect not in found.get(name, {})
        and isinstance(reason, str)
    ]
    return unlisted + passing


def written(reason: str | Wavering) -> str:
    """A reason as TOML."""
    if isinstance(reason, dict):
        return f"{{ wavers = {written(reason['wavers'])} }}"
    return json.dumps(reason[:300], ensure_ascii=False)


def write_gaps(verdicts: list[Verdict]) -> None:
    """Rewrite the list: what fails now (and what wavers), with the reason it had, or its first failure."""
    known, found = known_gaps(), found_gaps(verdicts)
    wavering = {name: {a for a, r in aspects.items() if isinstance(r, dict)} for name, aspects in known.items()}
    lines = [
        "# Where wengert differs from PyTorch: operation, aspect, reason.",
        "# The suite fails when one of these passes and when another fails, so that the list can only get shorter.",
        "# What is marked as wavering differs on some processors only, as PyTorch itself does between them.",
        "",
        known_differences(),
    ]
    for name in sorted(found.keys() | {name for name, aspects in wavering.items() if aspects}):
        lines.append(f"\n[{json.dumps(name)}]")
        for aspect in sorted(found.get(name, {}).keys() | wavering.get(name, set()), key=ASPECTS.index):
            reason = known.get(name, {}).get(aspect) or found[name][aspect]
            lines.append(f"{json.dumps(aspect)} = {written(reason)}")
    GAPS.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.report", description=__doc__)
    parser.add_argument("--ops", help="names of entries, separated by commas; a name ending in * is a beginning")
    parser.add_argument("--all-samples", action="store_true", help="take every sample of the database")
    parser.add_argument("--seed", type=int, default=0, help="draw other numbers, and take others of the samples")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--write-gaps", action="store_true", help=f"rewrite {GAPS.name} from what was found")
    parser.add_argument("--slow", type=int, default=0, help="name the N entries that took longest")
    options = parser.parse_args()
    names = list(opdb.entries())
    if options.ops:
        wanted = options.ops.split(",")
        names = [n for n in names if any(n == w or (w.endswith("*") and n.startswith(w[:-1])) for w in wanted)]
    if options.write_gaps and options.ops:
        parser.error("--write-gaps needs the whole walk")
    start = time.monotonic()
    verdicts = []
    patience = 600 if options.all_samples else 60
    for verdict in opdb.walk(names, options.processes, options.all_samples, patience, options.seed):
        verdicts.append(verdict)
        if sys.stderr.isatty():
            print(f"\r{len(verdicts)}/{len(names)} {verdict.name[:60]:60}", end="", file=sys.stderr, flush=True)
    print(details(verdicts), summary(verdicts), f"{time.monotonic() - start:.0f} s", sep="\n\n")
    for verdict in sorted(verdicts, key=lambda v: -v.seconds)[: options.slow]:
        print(f"{verdict.seconds:6.1f} s  {verdict.name}")
    if options.write_gaps:
        write_gaps(verdicts)
        return 0
    complaints = judged(verdicts)
    print(*complaints, sep="\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
