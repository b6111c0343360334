"""Sharing values out among devices and bringing them together again: refused, for there is one device."""

from wengert.absent import refuses

refuses(globals(), ("gather", "scatter", "scatter_kwargs"), why="has one device, so there is nowhere to scatter to")
