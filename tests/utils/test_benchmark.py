"""Timing statements and comparing them."""

import pytest

import wengert as torch
from wengert.utils import benchmark
from wengert.utils.benchmark import Compare, Measurement, Timer
from wengert.utils.benchmark.measurement import Task


def measured(label="sum", sub_label="small", description="wengert", times=(1e-4, 1e-4, 1e-4, 1e-4)):
    return Measurement(100, times, Task("x", "pass", label, sub_label, description, None, 1))


def test_a_statement_runs_as_often_as_asked():
    runs = []
    found = Timer("runs.append(1)", globals={"runs": runs}, num_threads=torch.get_num_threads()).timeit(200)
    assert len(runs) >= 200 and found.number_per_run == 200 and len(found.times) == 1 and found.median > 0


def test_blocks_are_run_until_there_is_time_enough():
    seen = []
    timer = Timer("torch.ones(2)", num_threads=torch.get_num_threads())
    found = timer.blocked_autorange(min_run_time=0.01, callback=lambda number, time: seen.append(time))
    assert sum(found.raw_times) >= 0.01 and seen == found.raw_times
    assert len(timer.adaptive_autorange(threshold=100, max_run_time=1).times) > 3


def test_figures_of_a_measurement():
    found = measured(times=(1e-4, 2e-4, 3e-4))
    assert found.median == pytest.approx(2e-6) and found.mean == pytest.approx(2e-6)
    assert found.iqr == pytest.approx(1e-6) and found.has_warnings
    assert "sum: small" in repr(found) and "Median: 2.00 us" in repr(found)
    assert benchmark.select_unit(0.002) == ("ms", 1e-3) and benchmark.trim_sigfig(1234.0, 2) == 1200.0


def test_a_table_has_a_row_and_a_column_for_each_kind():
    table = str(Compare([measured(), measured(description="other"), measured(sub_label="large")]))
    assert "[sum]" in table and "wengert" in table and "other" in table and "large" in table
    assert "Times are in microseconds (us)." in table
    with pytest.raises(ValueError, match="Expected an instance of `Measurement`"):
        Compare([1])


def test_what_is_not_there_is_refused():
    with pytest.raises(NotImplementedError, match="Python only"):
        Timer("x", language="cpp")
    with pytest.raises(NotImplementedError, match="counts no instructions"):
        Timer("x").collect_callgrind()
