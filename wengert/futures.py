"""``torch.futures``: a value that another thread will set, and what is to be done with it then."""

import threading
from typing import Generic, TypeVar

__all__ = ["Future", "collect_all", "wait_all"]


T = TypeVar("T")


class Future(Generic[T]):
    """A value that is set once, by `set_result` or `set_exception`; `devices` must be None or empty."""

    def __init__(self, *, devices=None):
        if devices:
            raise ValueError(f"Expected devices to be a list of accelerators, of which there are none; got {devices}")
        self._finished = threading.Condition()
        self._done = False
        self._value = self._error = None
        self._callbacks = []

    def done(self):
        """Whether the value or an exception is there."""
        return self._done

    def wait(self):
        """The value, once it is there; raises the exception if that was set instead."""
        with self._finished:
            self._finished.wait_for(lambda: self._done)
        return self.value()

    def value(self):
        """The value; RuntimeError before it is there."""
        if not self._done:
            raise RuntimeError("Future is not completed; call wait() or check done() before value()")
        if self._error is not None:
            raise self._error
        return self._value

    def then(self, callback):
        """A Future of `callback(self)`, called when this one is complete."""
        following = Future()

        def run(future):
            try:
                following.set_result(callback(future))
            except Exception as error:
                following.set_exception(error)

        self.add_done_callback(run)
        return following

    def add_done_callback(self, callback):
        """Call `callback(self)` when complete, at once if it is."""
        with self._finished:
            if not self._done:
                self._callbacks.append(callback)
                return
        callback(self)

    def set_result(self, result):
        """Complete with a value; RuntimeError if it was completed before."""
        self._complete(result, None)

    def set_exception(self, result):
        """Complete with an exception, which `wait` and `value` raise."""
        if not isinstance(result, Exception):
            raise AssertionError(f"{result} is of type {type(result)}, not an Exception.")
        self._complete(None, result)

    def _complete(self, value, error):
        with self._finished:
            if self._done:
                raise RuntimeError("Future already completed; a Future's value can be set once only")
            self._value, self._error, self._done = value, error, True
            self._finished.notify_all()
        for callback in self._callbacks:
            callback(self)


def wait_all(futures):
    """The values of all `futures`, in order; raises the first exception."""
    return [future.wait() for future in futures]


def collect_all(futures):
    """A Future of the list of `futures`, complete when all of them are."""
    together, remaining, lock = Future(), len(futures), threading.Lock()
    if not futures:
        together.set_result([])

    def one_more(_):
        nonlocal remaining
        with lock:
            remaining -= 1
            last = remaining == 0
        if last:
            together.set_result(list(futures))

    for future in futures:
        future.add_done_callback(one_more)
    return together
