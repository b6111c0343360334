"""Where a program is: the call stack outside of this library, and the calls of modules that are running.

A place is asked for at every operation, so it is found in one walk over the frames: codes are judged once, and what
lies outside of a module's call is found by the first operation in it.
"""

import functools
import sys
import threading

import wengert
from wengert.lens.sites import NOWHERE, Place, is_installed
from wengert.nn.modules.module import _global_call_hooks
from wengert.tensor import new

_PACKAGE = wengert.__file__.rpartition("__init__")[0]

MOST_FRAMES = 12  # of the call stack, from the innermost


def is_ours(code):
    """Whether a piece of code belongs to this library (its examples and tests are programs like any other)."""
    return code.co_filename.startswith(_PACKAGE) or code.co_filename.startswith("<wengert")


def is_nobodys(code):
    """Whether a piece of code belongs to this library, to Python or to an installed package, not to the program."""
    return is_ours(code) or is_installed(code.co_filename)


PLACES = {}  # what was looked at of the call stack -> the `Place`; as many as programs have, and shared by all records
_judged = {}  # id of a code object -> the code (which keeps the id its own)
_skipped = set()  # ids of those that places pass over


def passed_over(code):
    """Whether places pass over a piece of code; quicker asked first: is its id in `_skipped`?"""
    if id(code) not in _judged:
        _judged[id(code)] = code
        if is_nobodys(code):
            _skipped.add(id(code))
    return id(code) in _skipped


def place_here(places, depth=1):
    """The place from which this library was called."""
    frame = sys._getframe(depth)
    key, codes = [], []
    skipped = _skipped
    level = len(calls.running)
    while frame is not None:
        code = frame.f_code
        if code is calling_code:  # the call of a module: what lies outside of it was looked at by its first operation
            level -= 1
            outer = outside_of_call(frame, level)
            key += outer[0]
            codes += outer[1]
            break
        if id(code) not in skipped and not passed_over(code):
            key += (id(code), frame.f_lasti)
            codes.append(code)
        frame = frame.f_back
    key = tuple(key[: 2 * MOST_FRAMES])
    place = places.get(key)
    if place is None:
        place = places[key] = Place(tuple(zip(codes, key[1::2], strict=False)))
    return place


def nearest_place(places, depth):
    """Like `place_here`, but for the innermost frame alone: all that most operations need, and quicker."""
    frame = sys._getframe(depth)
    skipped = _skipped
    entered = 0
    while frame is not None:
        code = frame.f_code
        if id(code) in skipped:
            if code is calling_code:
                entered += 1
                place = calls.running[-entered].nearest
                if place is not None:
                    break
        elif not passed_over(code):
            key = id(code), frame.f_lasti
            place = places.get(key)
            if place is None:
                place = places[key] = Place(((code, key[1]),))
            break
        else:
            continue
        frame = frame.f_back
    else:
        place = NOWHERE
    while entered:
        calls.running[-entered].nearest = place
        entered -= 1
    return place


def outside_of_call(frame, level):
    """(key, codes) of the program's frames outside of the call of a module, found once for each call.

    `level` says which of the calls that are running it is.
    """
    call = calls.running[level]
    if call.outside is not None:
        return call.outside
    key, codes = [], []
    outer = frame.f_back
    while outer is not None and len(codes) < MOST_FRAMES:
        code = outer.f_code
        if code is calling_code:
            more = outside_of_call(outer, level - 1)
            key += more[0]
            codes += more[1]
            break
        if not passed_over(code):
            key += (id(code), outer.f_lasti)
            codes.append(code)
        outer = outer.f_back
    call.outside = (key, codes)
    return call.outside


class Call:
    """A module's call that is running: which module it is, and what was found out of the frames outside of it.

    In a `sealed` call only this library's own code runs, so all that happens inside has the same `nearest` place.
    """

    __slots__ = ("part", "nearest", "outside", "sealed")


@functools.cache
def is_sealed(kind):
    """Whether the forward of a class of modules is this library's, and calls nothing of the program but modules."""
    code = getattr(kind.forward, "__code__", None)
    return code is not None and is_ours(code) and kind.__name__ not in CALLING_BACK


CALLING_BACK = {"TransformerEncoderLayer", "TransformerDecoderLayer", "TripletMarginWithDistanceLoss"}


class _Calls(threading.local):
    """The calls of modules, and the backward passes, that are running in this thread, one inside the other."""

    def __init__(self):
        self.running = []
        self.passes = 0


calls = _Calls()
calling_code = None  # the code of the function that runs each call of a module while a record is made


def watcher_of(record):
    """What runs each call of a module while a record is made: it knows which module is at work."""
    global calling_code
    wholes, here = record.wholes, calls

    def watch_call(module, args, kwargs):
        running = here.running
        call = new(Call)
        call.nearest = call.outside = None
        if running:
            outer = running[-1]
            whole = outer.part.whole
            if outer.sealed:
                call.nearest = outer.nearest
        else:
            if record.note_call is not None:
                record.note_call()
            whole = wholes.get(id(module))
            if whole is None or whole._module() is not module:
                whole = record.enter_whole(module)
        call.part = part = whole.parts.get(id(module)) or whole.part(module)
        running.append(call)
        try:
            if (
                module._forward_hooks
                or module._forward_pre_hooks
                or module._backward_hooks
                or module._backward_pre_hooks
                or len(_global_call_hooks) > 1
            ):
                call.sealed = False
                return module._call_with_hooks(args, kwargs)
            call.sealed = part.sealed
            return module.forward(*args, **kwargs)
        finally:
            running.pop()

    calling_code = watch_call.__code__
    return watch_call
