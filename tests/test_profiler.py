"""The profilers: calls are counted and timed, steps follow the schedule."""

import json

import pytest

import wengert as torch
from wengert.autograd import profiler as autograd_profiler
from wengert.profiler import ProfilerAction, ProfilerActivity, profile, record_function, schedule

pytestmark = pytest.mark.filterwarnings("ignore:wengert's profiler takes the time")


def test_calls_and_blocks_are_counted(tmp_path):
    with profile(activities=[ProfilerActivity.CPU]) as prof, record_function("block"):
        for _ in range(3):
            torch.ones(2).add(1)
    found = {event.key: event for event in prof.key_averages()}
    assert found["aten::add"].count == found["aten::ones"].count == 3 and found["block"].count == 1
    assert found["block"].cpu_time_total >= found["aten::add"].cpu_time_total > 0
    assert found["block"].self_cpu_time_total < found["block"].cpu_time_total
    assert "aten::add" in prof.key_averages().table(sort_by="cpu_time_total", row_limit=5)
    prof.export_chrome_trace(tmp_path / "trace.json")
    names = [event["name"] for event in json.loads((tmp_path / "trace.json").read_text())["traceEvents"]]
    assert names.count("aten::add") == 3


def test_nothing_is_recorded_outside():
    with autograd_profiler.profile() as prof:
        torch.ones(1)
    torch.zeros(1)
    with autograd_profiler.profile(enabled=False) as idle:
        torch.ones(1)
    assert [event.name for event in prof.function_events] == ["aten::ones"] and idle.function_events == []


def test_a_schedule_says_what_to_do_in_each_step():
    action = schedule(wait=1, warmup=1, active=2, repeat=1, skip_first=1)
    expected = "NONE NONE WARMUP RECORD RECORD_AND_SAVE NONE NONE"
    assert [action(step) for step in range(7)] == [ProfilerAction[name] for name in expected.split()]
    with pytest.raises(AssertionError):
        schedule(wait=0, warmup=0, active=0)


def test_traces_are_ready_when_their_steps_are_over(tmp_path):
    ready = []
    handler = torch.profiler.tensorboard_trace_handler(tmp_path, worker_name="me")

    def on_ready(prof):
        ready.append((prof.step_num, sum(event.name == "aten::ones" for event in prof.events())))
        handler(prof)

    with profile(schedule=schedule(wait=1, warmup=1, active=2), on_trace_ready=on_ready) as prof:
        for _ in range(9):
            torch.ones(1)
            prof.step()
    assert ready == [(4, 2), (8, 2)] and len(list(tmp_path.glob("me.*.pt.trace.json"))) == 2


def test_a_decorated_function_is_a_block():
    @record_function("named")
    def function(x):
        return x + 1

    with profile() as prof:
        assert function(torch.ones(1)) == 2
    assert "named" in [event.name for event in prof.events()]


def test_what_is_not_recorded_is_said_once():
    autograd_profiler._said = False
    with pytest.warns(UserWarning, match="takes the time of calls from Python"), profile(record_shapes=True):
        pass
    with pytest.raises(NotImplementedError, match="no stacks"):
        profile().export_stacks("x")
    with pytest.warns(UserWarning, match="CUDA is not available"):
        profile(activities=[ProfilerActivity.CUDA])
