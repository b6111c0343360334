"""``torch.futures``: results that come later, on Python's own futures."""

import concurrent.futures
from typing import Generic, TypeVar

__all__ = ["Future", "collect_all", "wait_all"]

T = TypeVar("T")


class Future(Generic[T]):
    """A result that is there or will be.

    Args:
        devices: for results on devices, of which there are none.
    """

    def __init__(self, *, devices=None):
        self._future = concurrent.futures.Future()

    def done(self):
        """Whether there is a result or an exception."""
        return self._future.done()

    def wait(self):
        """The result; waits for it, and raises its exception."""
        return self._future.result()

    def value(self):
        """The result, which must be there: RuntimeError otherwise."""
        if not self.done():
            raise RuntimeError("Future: value() was called before it was completed")
        return self._future.result()

    def set_result(self, result):
        """Give the result; RuntimeError if there is one."""
        if self.done():
            raise RuntimeError("Future: it was completed already")
        self._future.set_result(result)

    def set_exception(self, result):
        """Give an exception instead."""
        if not isinstance(result, Exception):
            raise AssertionError(f"{result} is of type {type(result)}, not an Exception.")
        self._future.set_exception(result)

    def then(self, callback):
        """A future of ``callback(this future)``, called when this one is done."""
        following = Future()

        def call(_):
            try:
                following.set_result(callback(self))
            except Exception as error:
                following.set_exception(error)

        self._future.add_done_callback(call)
        return following

    def add_done_callback(self, callback):
        """Call ``callback(this future)`` when it is done."""
        self._future.add_done_callback(lambda _: callback(self))


def collect_all(futures):
    """A future of the list of `futures`, done when all are; with the first exception, if there is one."""
    everything, left = Future(), len(futures)
    if not futures:
        everything.set_result([])

    def one_is_done(future):
        nonlocal left
        left -= 1
        error = future._future.exception()
        if everything.done():
            return
        if error is not None:
            everything.set_exception(error)
        elif left == 0:
            everything.set_result(list(futures))

    for future in futures:
        future.add_done_callback(one_is_done)
    return everything


def wait_all(futures):
    """The results of all, waiting for each."""
    return [future.wait() for future in collect_all(futures).wait()]
