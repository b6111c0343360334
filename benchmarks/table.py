"""Results as text for a terminal and as Markdown tables for the two READMEs."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"

HEADINGS = {
    "en": ("measured", "wengert", "PyTorch", "ratio", "bound", ""),
    "zh": ("测量内容", "wengert", "PyTorch", "比值", "上限", ""),
}


class Result(NamedTuple):
    """One line of the table: titles, both measured values as text, their ratio, and the bound it must keep.

    `ratio` is None where the subject lacks what the row needs; `subject` then says what it lacks.
    """

    title: str
    title_zh: str
    subject: str
    reference: str
    ratio: float | None
    bound: float | None

    @property
    def passed(self) -> bool | None:
        """Whether the bound is kept; None where there is no bound."""
        if self.bound is None:
            return None
        return self.ratio is not None and self.ratio <= self.bound


MARKS = {True: "✓", False: "✗", None: ""}


def duration(seconds: float) -> str:
    """`0.0000016` as `1.60 µs`."""
    for unit, factor in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= factor:
            return f"{seconds / factor:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def cells(result: Result, language: str) -> tuple[str, ...]:
    """The columns of one line in one language."""
    ratio = "—" if result.ratio is None else f"{result.ratio:.2f}"
    bound = "" if result.bound is None else f"≤ {result.bound:g}"
    title = result.title_zh if language == "zh" else result.title
    return title, result.subject, result.reference, ratio, bound, MARKS[result.passed]


def text(results: list[Result]) -> str:
    """The table for a terminal, columns aligned."""
    lines = [HEADINGS["en"], *(cells(result, "en") for result in results)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]

    def aligned(line: tuple[str, ...]) -> str:
        rest = (cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))
        return "  ".join((line[0].ljust(widths[0]), *rest)).rstrip()

    return "\n".join(map(aligned, lines))


def markdown(results: list[Result], language: str, conditions: str) -> str:
    """The table for a README, rows that the subject lacks left out, and the conditions of the measurement below it."""
    lines = [HEADINGS[language], ("---", "---:", "---:", "---:", "---:", ":---:")]
    lines += [cells(result, language) for result in results if result.ratio is not None]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + f"\n\n{conditions}\n"


def update(readme: Path, table: str) -> None:
    """Put `table` between the markers of `readme`; raises ValueError where the markers are missing."""
    page = readme.read_text(encoding="utf-8")
    if BEGIN not in page or END not in page:
        raise ValueError(f"{readme} has no place for the table: it needs the lines {BEGIN} and {END}")
    before, rest = page.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    readme.write_text(f"{before}{BEGIN}\n{table}{END}{after}", encoding="utf-8")
