"""``torch.utils.dlpack``: memory shared with other array libraries."""

from wengert.dlpack import from_dlpack, to_dlpack

__all__ = ["from_dlpack", "to_dlpack"]
