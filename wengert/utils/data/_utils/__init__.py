"""The parts of the loader: making batches, and what a dataset may ask about who reads it."""

from wengert.utils.data._utils import channel, collate, crew, fetch, pin_memory, worker

__all__ = ["channel", "collate", "crew", "fetch", "pin_memory", "worker"]
