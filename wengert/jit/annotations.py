"""``torch.jit.annotations``: types of TorchScript that libraries write in signatures; Python doesn't look at them."""

from typing import Any, Dict, List, Optional, Tuple, Union  # noqa: UP035  (the names that programs import from here)

__all__ = [
    "Any", "BroadcastingList1", "BroadcastingList2", "BroadcastingList3", "Dict", "List", "Optional", "Tuple", "Union",
]  # fmt: skip


class BroadcastingList:
    """`BroadcastingList2[int]`: two ints, or one that stands for both."""

    def __getitem__(self, types):
        return None


BroadcastingList1, BroadcastingList2, BroadcastingList3 = BroadcastingList(), BroadcastingList(), BroadcastingList()
