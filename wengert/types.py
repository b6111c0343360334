"""``torch.types``: names for annotations."""

import os
from collections.abc import Sequence
from typing import IO, TypeAlias, Union

from wengert.devices import device
from wengert.dtypes import dtype, layout
from wengert.size import Size
from wengert.storage import UntypedStorage as Storage
from wengert.tensor import Tensor

__all__ = ["Device", "FileLike", "Number", "Storage"]


class SymInt:
    """A size that a compiler doesn't know yet. There are none: `isinstance` answers False."""


class SymFloat:
    """A number that a compiler doesn't know yet. There are none: `isinstance` answers False."""


class SymBool:
    """A truth that a compiler doesn't know yet. There are none: `isinstance` answers False."""


Number: TypeAlias = Union[int, float, bool]  # noqa: UP007
Device: TypeAlias = Union[device, str, int, None]  # noqa: UP007
FileLike: TypeAlias = Union[str, os.PathLike[str], IO[bytes]]  # noqa: UP007
IntLikeType: TypeAlias = Union[int, SymInt]  # noqa: UP007
FloatLikeType: TypeAlias = Union[float, SymFloat]  # noqa: UP007
BoolLikeType: TypeAlias = Union[bool, SymBool]  # noqa: UP007
_int, _float, _bool, _complex = int, float, bool, complex
_size: TypeAlias = Union[Size, list[int], tuple[int, ...]]  # noqa: UP007
_TensorOrTensors: TypeAlias = Union[Tensor, Sequence[Tensor]]  # noqa: UP007
_device, _dtype, _layout = device, dtype, layout
