"""Results that come later."""

import pytest

from wengert.futures import Future, collect_all, wait_all


def test_what_waits_for_a_result_gets_it():
    future, seen = Future(), []
    following = future.then(lambda done: done.value() + 1)
    future.add_done_callback(lambda done: seen.append(done.wait()))
    assert not future.done()
    future.set_result(3)
    assert future.wait() == 3 and following.wait() == 4 and seen == [3]
    with pytest.raises(RuntimeError, match="completed already"):
        future.set_result(4)


def test_errors_come_too():
    future = Future()
    future.set_exception(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        future.wait()


def test_several_at_once():
    futures = [Future(), Future()]
    together = collect_all(futures)
    for i, future in enumerate(futures):
        assert not together.done()
        future.set_result(i)
    assert wait_all(futures) == [0, 1] and collect_all([]).wait() == []
