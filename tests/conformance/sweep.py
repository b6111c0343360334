"""`python -m tests.conformance.sweep --count 2000`: run many random programs and show each kind of difference once.

The suite stops at its first difference; while repairing one wants them all, by kind, the most frequent first.
"""

from __future__ import annotations

import argparse
import random
import re
from collections import Counter

from tests.conformance import programs
from tests.conformance.compare import Mismatch, subject_module
from tests.conformance.programs import Step


def kind(found: Mismatch) -> str:
    """A difference without its names and numbers: two programs with the same kind likely share a cause."""
    text = re.sub(r"\bt\d+\b", "t", str(found))
    return re.sub(r"\[.*?\]|-?\d+(\.\d+)?", "#", text)[:110]


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(prog="python -m tests.conformance.sweep", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="programs to run")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first one")
    parser.add_argument("--length", type=int, default=14, help="lines of each")
    parser.add_argument("--show", type=int, default=25, help="kinds to show")
    parser.add_argument("--known", action="store_true", help="show the differences that known_gaps.toml excuses, too")
    options = parser.parse_args()
    if options.known:
        programs.KNOWN.clear()
    torch.set_num_threads(1)
    subject = subject_module()
    counts: Counter[str] = Counter()
    examples: dict[str, list[Step]] = {}
    for seed in range(options.seed, options.seed + options.count):
        program = programs.write(torch, random.Random(seed).choice, options.length)
        found = programs.difference(program, subject, torch)
        if found is not None:
            counts[kind(found)] += 1
            examples.setdefault(kind(found), program)
    print(f"{sum(counts.values())} of {options.count} programs differ, in {len(counts)} kinds")
    for name, count in counts.most_common(options.show):
        print(f"\n--- {count} times\n{programs.report(examples[name], subject, torch)}")


if __name__ == "__main__":
    main()
