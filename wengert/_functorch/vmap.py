"""``torch._functorch.vmap``: what libraries take from beside PyTorch's `vmap`."""

from wengert.absent import refuses
from wengert.func import vmap
from wengert.tensor import Tensor
from wengert.utils._pytree import tree_flatten, tree_map, tree_unflatten

__all__ = ["Tensor", "tree_flatten", "tree_map", "tree_unflatten", "vmap"]

refuses(
    globals(),
    (
        "_add_batch_dim", "_broadcast_to_and_flatten", "_create_batched_inputs", "_maybe_remove_batch_dim",
        "_process_batched_inputs", "_remove_batch_dim", "_unwrap_batched", "_validate_and_get_batch_size",
    ),
    why="runs a function of a batch once for each example (torch.func.vmap), and wraps no tensors for it",
)  # fmt: skip


def _get_name(func):
    """What to call `func` in an error."""
    return getattr(func, "__name__", repr(func))
