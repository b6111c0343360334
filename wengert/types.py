"""``torch.types``: names for what functions accept, to annotate with."""

import builtins
import os
from collections.abc import Sequence
from typing import IO, TypeAlias

from wengert.devices import device
from wengert.dtypes import dtype, layout
from wengert.size import Size
from wengert.storage import UntypedStorage
from wengert.tensor import Tensor

__all__ = ["Device", "FileLike", "Number", "Storage"]

_bool, _int, _float, _complex = builtins.bool, builtins.int, builtins.float, builtins.complex
_dtype, _device, _layout, _size = dtype, device, layout, Size | list[int] | tuple[int, ...]
_TensorOrTensors: TypeAlias = Tensor | Sequence[Tensor]
Number: TypeAlias = int | float | bool
_Number = (int, float, bool)
Device: TypeAlias = device | str | int | None
FileLike: TypeAlias = str | os.PathLike[str] | IO[bytes]
IntLikeType = int
FloatLikeType = float
BoolLikeType = bool
Storage = UntypedStorage
