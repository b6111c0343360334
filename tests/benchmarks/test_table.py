"""The benchmark's table: what it says of a bound, and where it lands in a README."""

import pytest

from benchmarks import table
from benchmarks.table import Result
from benchmarks.timing import compare

KEPT = Result("kept", "达到", "1 µs", "2 µs", 0.5, 0.6)
MISSED = Result("missed", "未达到", "1 µs", "1 µs", 1.0, 0.6)
ABSENT = Result("absent", "缺少", "lacks it (LSTM)", "", None, 2.0)
UNBOUND = Result("for information", "仅供参考", "3 µs", "1 µs", 3.0, None)


def test_a_bound_is_kept_missed_or_missing():
    assert [r.passed for r in (KEPT, MISSED, ABSENT, UNBOUND)] == [True, False, False, None]


def test_durations_take_the_unit_that_fits():
    assert [table.duration(s) for s in (2.0, 0.0035, 1.6e-6, 2.5e-8)] == ["2 s", "3.5 ms", "1.6 µs", "25 ns"]


def test_markdown_speaks_the_language_and_leaves_out_absent_rows():
    page = table.markdown([KEPT, ABSENT], "zh", "条件。")
    assert "达到" in page and "上限" in page and "缺少" not in page and page.endswith("条件。\n")


def test_the_readme_keeps_everything_outside_of_the_markers(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    table.update(readme, "new\n")
    assert readme.read_text() == f"before\n{table.BEGIN}\nnew\n{table.END}\nafter\n"


def test_a_readme_without_markers_is_refused(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("no table here\n")
    with pytest.raises(ValueError, match="no place for the table"):
        table.update(readme, "new\n")


def test_both_sides_are_run_and_their_ratio_taken():
    calls = [0, 0]

    def run(side):
        calls[side] += 1
        sum(range(2000 if side else 100))

    timing = compare(lambda: run(0), lambda: run(1), rounds=3, seconds=0.0005)
    assert min(calls) >= 3 and timing.ratio > 0 and timing.subject > 0 and timing.reference > 0
