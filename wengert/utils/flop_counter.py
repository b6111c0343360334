"""``torch.utils.flop_counter``: counting of operations, refused by name."""

from wengert.absent import refuses

refuses(globals(), ("register_flop_formula",), ("FlopCounterMode",), why="counts no floating-point operations")
