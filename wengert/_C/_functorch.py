"""``torch._C._functorch``: the wrappers of PyTorch's transforms. wengert's hand plain tensors to the function."""

from wengert.absent import answers, refuses

answers(
    globals(),
    {
        "is_batchedtensor": False, "is_legacy_batchedtensor": False, "is_gradtrackingtensor": False,
        "is_functionaltensor": False, "is_functorch_wrapped_tensor": False, "maybe_get_bdim": -1, "maybe_get_level": -1,
        "peek_interpreter_stack": None,
    },
)  # fmt: skip
refuses(
    globals(),
    (
        "_add_batch_dim", "_remove_batch_dim", "_vmap_decrement_nesting", "_vmap_increment_nesting", "get_unwrapped",
        "_wrap_for_grad", "_unwrap_for_grad", "current_level",
    ),
    why="runs a function of a batch once for each example (torch.func.vmap), and wraps no tensors for it",
)  # fmt: skip
