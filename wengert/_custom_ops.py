"""``torch._custom_ops``: the older names of what `torch.library` does."""

from wengert.absent import refuses
from wengert.library import custom_op, impl, impl_abstract

__all__ = ["custom_op", "impl", "impl_abstract"]

refuses(globals(), ("get_ctx", "impl_backward", "impl_save_for_backward"), why="derives operators by torch.library")
