"""`python -m benchmarks`: time wengert beside PyTorch, print the table, optionally write it into the READMEs."""

from __future__ import annotations

import os

# One thread on both sides. BLAS libraries read this once, when NumPy loads them.
for _variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[_variable] = "1"

import argparse  # noqa: E402
import importlib  # noqa: E402
import platform  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from benchmarks import expressions, footprint, table  # noqa: E402
from benchmarks.rows import ROWS, Row, small_mlp_step  # noqa: E402
from benchmarks.table import Result, duration  # noqa: E402
from benchmarks.timing import compare  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
READMES = {"en": ROOT / "README.md", "zh": ROOT / "README.zh-CN.md"}


def timed(row: Row, subject: Any, reference: Any, rounds: int) -> Result:
    """One row under both modules; a row that needs what the subject lacks says what that is."""
    try:
        run = row.make(subject)
        run()
    except (AttributeError, ImportError, NotImplementedError) as lack:
        return Result(row.title, row.title_zh, f"lacks it ({lack})", "", None, row.bound)
    timing = compare(run, row.make(reference), rounds)
    return Result(
        row.title, row.title_zh, duration(timing.subject), duration(timing.reference), timing.ratio, row.bound
    )


def chains(subject: str) -> list[Result]:
    """The million-node chain: its cost against PyTorch's, its evenness, its memory."""
    own, other = footprint.chain(subject), footprint.chain("torch")
    return [
        Result(
            "chain of 1,000,000 nodes: record, backward, free; per node",
            "1,000,000 个节点的链：记录、反向、释放；每个节点",
            duration(own.long),
            duration(other.long),
            own.long / other.long,
            None,
        ),
        Result(
            "cost per node at 10⁶ nodes against 10³ (ratio: wengert's own)",
            "每个节点的代价，10⁶ 个节点比 10³ 个节点（比值为 wengert 自身）",
            f"{own.long / own.short:.2f}",
            f"{other.long / other.short:.2f}",
            own.long / own.short,
            1.3,
        ),
        Result(
            "bytes per node of the chain",
            "链上每个节点占用的字节数",
            f"{own.bytes_per_node:.0f} B",
            f"{other.bytes_per_node:.0f} B",
            own.bytes_per_node / other.bytes_per_node,
            None,
        ),
    ]


def recording(subject: Any, rounds: int) -> list[Result]:
    """What the lens costs while it records, against the same steps without it."""
    step, steps = small_mlp_step(subject), 40

    def plain() -> None:
        for _ in range(steps):
            step()

    def recorded() -> None:
        with subject.lens.record():
            plain()

    timing = compare(recorded, plain, rounds)
    return [
        Result(
            "training step, MLP 4-128-2, recorded by the lens (ratio: wengert's own)",
            "训练一步：MLP 4-128-2，由透镜记录（比值为 wengert 自身）",
            duration(timing.subject / steps),
            "—",
            timing.ratio,
            2.0,
        )
    ]


def carrying(subject: str) -> list[Result]:
    """Import time and installed size."""
    own_import, other_import = footprint.import_seconds(subject, "torch")
    own_size, other_size = footprint.installed_bytes(subject)
    return [
        Result(
            "`import`",
            "`import`",
            duration(own_import),
            duration(other_import),
            own_import / other_import,
            0.15,
        ),
        Result(
            "installed size, with what it needs (PyTorch's alone)",
            "安装后的大小，含所需依赖（PyTorch 仅算自身）",
            f"{own_size / 1e6:.0f} MB",
            f"{other_size / 1e6:.0f} MB",
            own_size / other_size,
            0.15,
        ),
    ]


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def conditions(torch: Any, language: str) -> str:
    """Under what the numbers were taken, as a sentence for the README."""
    import numpy

    versions = f"Python {platform.python_version()}, NumPy {numpy.__version__}, PyTorch {torch.__version__}"
    if language == "zh":
        return f"由 `make bench` 测得：{processor()}，双方各一个线程；{versions}。"
    return f"Measured by `make bench` on {processor()}, one thread each; {versions}."


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", help="only the rows whose title contains one of these")
    parser.add_argument("--subject", default="wengert", help="the module to time beside PyTorch")
    parser.add_argument("--rounds", type=int, default=41, help="pairs of blocks for each row")
    parser.add_argument("--fast", action="store_true", help="leave out what needs processes of its own")
    parser.add_argument(
        "--update-readme", action="store_true", help="write the table between the markers of the READMEs"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a bound is missed")
    options = parser.parse_args()
    if options.update_readme and (options.rows or options.fast):
        parser.error("--update-readme needs the whole table")

    torch, subject = importlib.import_module("torch"), importlib.import_module(options.subject)
    torch.set_num_threads(1)
    wanted = [row for row in ROWS if not options.rows or any(word in row.title for word in options.rows)]
    results = [timed(row, subject, torch, options.rounds) for row in wanted]
    if not options.rows and not options.fast:
        results += recording(subject, options.rounds) + chains(options.subject) + carrying(options.subject)
    print(table.text(results))
    print(f"\n{conditions(torch, 'en')}")
    if options.update_readme:
        for language, readme in READMES.items():
            table.update(readme, table.markdown(results, language, conditions(torch, language)))
    slow = []
    if not options.rows and not options.fast:
        found = list(expressions.measured(subject, []))
        print(f"\n{expressions.report(found)}")
        slow = [one.expression for one in expressions.slow(found)]
    missed = [result.title for result in results if result.passed is False]
    bounded = sum(result.bound is not None for result in results)
    print(f"\n{bounded - len(missed)} of {bounded} bounds kept", *(f"missed: {title}" for title in missed), sep="\n  ")
    return 1 if (missed or slow) and options.strict else 0


if __name__ == "__main__":
    sys.exit(main())
