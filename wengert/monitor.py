"""``torch.monitor``: events that a program logs, handed to whoever registered for them."""

from dataclasses import dataclass, field
from datetime import datetime

__all__ = ["Event", "log_event", "register_event_handler", "unregister_event_handler"]

_handlers: dict = {}


@dataclass
class Event:
    """Something that happened: a name, a time, and numbers or texts by name."""

    name: str
    timestamp: datetime
    data: dict = field(default_factory=dict)


def register_event_handler(callback):
    """Call ``callback(event)`` for every event from now on; returns what `unregister_event_handler` takes."""
    handle = object()
    _handlers[handle] = callback
    return handle


def unregister_event_handler(handler):
    """Call it no more."""
    _handlers.pop(handler, None)


def log_event(event):
    """Hand an event to all who registered."""
    for callback in list(_handlers.values()):
        callback(event)
