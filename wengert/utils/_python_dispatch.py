"""``torch.utils._python_dispatch``: tensors and modes that intercept below autograd, of which wengert has none."""

from wengert.absent import answers, refuses

answers(globals(), {"is_traceable_wrapper_subclass": False, "is_in_torch_dispatch_mode": False})
refuses(
    globals(),
    ("return_and_correct_aliasing", "transform_subclass"),
    ("TorchDispatchMode",),
    why="intercepts operations by __torch_function__ alone",
)
