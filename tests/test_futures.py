"""Futures are set once, by whichever thread, and tell those who wait."""

import threading

import pytest

from wengert.futures import Future, collect_all, wait_all


def test_waiting_lasts_until_another_thread_sets_the_value():
    future = Future()
    threading.Timer(0.01, future.set_result, ["here"]).start()
    assert future.wait() == "here"
    assert future.done()
    assert future.value() == "here"


def test_what_follows_is_called_when_complete_or_at_once():
    future = Future()
    before = future.then(lambda f: f.value() + 1)
    assert not before.done()
    future.set_result(1)
    assert before.wait() == future.then(lambda f: f.value() + 1).wait() == 2


def test_exceptions_are_raised_where_the_value_is_asked_for():
    future = Future()
    future.set_exception(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        future.wait()
    with pytest.raises(ValueError, match="no"):
        future.then(lambda f: f.value()).wait()


def test_a_value_is_set_once_and_not_read_before():
    future = Future()
    with pytest.raises(RuntimeError, match="not completed"):
        future.value()
    future.set_result(1)
    with pytest.raises(RuntimeError, match="already completed"):
        future.set_result(2)


def test_many_at_once():
    futures = [Future() for _ in range(3)]
    together = collect_all(futures)
    for number, future in enumerate(futures):
        assert not together.done()
        future.set_result(number)
    assert [future.value() for future in together.wait()] == wait_all(futures) == [0, 1, 2]
    assert collect_all([]).wait() == []
