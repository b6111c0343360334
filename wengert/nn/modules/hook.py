"""Hooks of modules: handles that take a hook back, and the two graph nodes behind a full backward hook.

A forward hook is a call before or after `forward`. A backward hook needs a place in the graph: an identity node around
the module's inputs and another around its outputs. The gradient that reaches the output node is the module's
`grad_output`; the one that leaves the input node is its `grad_input`.
"""

import warnings

import wengert
from wengert.autograd import Function
from wengert.tensor import Tensor


class BackwardHookFunction(Function):
    """Pass tensors through unchanged, as views of themselves, so that one node stands around all of them."""

    @staticmethod
    def forward(ctx, *tensors):
        ctx.mark_non_differentiable(*[t for t in tensors if not t.requires_grad])
        return tensors

    @staticmethod
    def backward(ctx, *grads):
        return grads


def _as_tuple(values):
    return values if isinstance(values, tuple) else (values,)


class BackwardHook:
    """The backward hooks of one call of one module."""

    def __init__(self, module, user_hooks, user_pre_hooks):
        self.module, self.user_hooks, self.user_pre_hooks = module, user_hooks, user_pre_hooks
        self.grad_outputs = None
        self.output_positions = self.input_positions = None
        self.n_outputs = self.n_inputs = -1

    @staticmethod
    def _scatter(positions, values, n, default=None):
        full = [default] * n
        for i, value in zip(positions, values, strict=False):
            full[i] = value
        return tuple(full)

    @staticmethod
    def _wrap(node_hook_of, args):
        """Run the tensors among `args` through one identity node; returns the new args and the tensors' positions."""
        positions = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        tensors = [args[i] for i in positions]
        if not (wengert.is_grad_enabled() and any(t.requires_grad for t in tensors)):
            return args, None
        new = _as_tuple(BackwardHookFunction.apply(*tensors))
        node = next(t.grad_fn for t in new if t.grad_fn is not None)
        node_hook_of(node)
        kind, args = type(args), list(args)
        for i, t in zip(positions, new, strict=True):
            args[i] = t
        return (kind(*args) if hasattr(kind, "_fields") else tuple(args)), positions

    def setup_input_hook(self, args):
        self.n_inputs = len(args)

        def attach(node):
            def hook(grad_inputs, _):
                if self.grad_outputs is None:  # the outputs were not on the path of this backward pass
                    return None
                grad_inputs = self._scatter(self.input_positions, grad_inputs, self.n_inputs)
                given = grad_inputs
                for user_hook in self.user_hooks:
                    replaced = user_hook(self.module, given, self.grad_outputs)
                    if replaced is None:
                        continue
                    replaced = _as_tuple(replaced)
                    if len(replaced) != len(given):
                        raise RuntimeError(
                            "Backward hook returned an invalid number of grad_input, "
                            f"got {len(replaced)}, but expected {len(given)}"
                        )
                    given = replaced
                self.grad_outputs = None
                return tuple(given[i] for i in self.input_positions)

            node.register_hook(hook)

        new, self.input_positions = self._wrap(attach, args)
        return new

    def setup_output_hook(self, result):
        args = _as_tuple(result)
        self.n_outputs = len(args)

        def attach(node):
            def prehook(grad_outputs):
                grads = self._scatter(self.output_positions, grad_outputs, self.n_outputs)
                for user_pre_hook in self.user_pre_hooks:
                    replaced = user_pre_hook(self.module, grads)
                    if replaced is None:
                        continue
                    replaced = _as_tuple(replaced)
                    if len(replaced) != len(grads):
                        raise RuntimeError(
                            "Backward pre hook returned an invalid number of grad_output, "
                            f"got {len(replaced)}, but expected {len(grads)}"
                        )
                    grads = replaced
                self.grad_outputs = grads
                if self.input_positions is None:  # no input requires grad: there is no later moment to run the hooks
                    warnings.warn(
                        "Full backward hook is firing when gradients are computed with respect to module outputs since "
                        "no inputs require gradients. See "
                        "https://docs.pytorch.org/docs/main/generated/torch.nn.Module.html#torch.nn.Module."
                        "register_full_backward_hook for more details.",
                        stacklevel=5,
                    )
                    blank = self._scatter([], [], self.n_inputs)
                    for user_hook in self.user_hooks:
                        replaced = user_hook(self.module, blank, self.grad_outputs)
                        if replaced is not None and any(g is not None for g in _as_tuple(replaced)):
                            raise RuntimeError(
                                "Backward hook for Modules where no input requires gradient should always return None "
                                "or None for all gradients."
                            )
                    self.grad_outputs = None
                return tuple(grads[i] for i in self.output_positions)

            node.register_prehook(prehook)

        new, self.output_positions = self._wrap(attach, args)
        return new if isinstance(result, tuple) else new[0]


def register_legacy_backward_hooks(module, hooks, args, result):
    """Attach pre-1.8 ("non-full") backward hooks to the node of the last operation of `forward`."""
    var = result
    while not isinstance(var, Tensor):
        var = next(v for v in var.values() if isinstance(v, Tensor)) if isinstance(var, dict) else var[0]
    node = var.grad_fn
    if node is None:
        return
    for hook in hooks:

        def call(grad_inputs, grad_outputs, hook=hook):
            return hook(module, grad_inputs, grad_outputs)

        node.register_hook(call)
    found = what_legacy_hooks_miss(args, result, node)
    if found is not None:
        circumstance, missing = found
        warnings.warn(
            f"Using {circumstance} is deprecated and will be removed in future versions. This hook will be missing "
            f"some {missing}. Please use register_full_backward_hook to get the documented behavior.",
            FutureWarning,
            stacklevel=4,
        )


def what_legacy_hooks_miss(args, result, node):
    """(circumstance, what is missing) where one node's gradients aren't those of the module; None where they are."""
    results = (result,) if isinstance(result, Tensor) else result
    if not _are_tensors(results):
        return (
            "non-full backward hooks on a Module that does not return a single Tensor or a tuple of Tensors",
            "of the grad_output",
        )
    if not _are_tensors(args):
        return (
            "non-full backward hooks on a Module that does not take as input a single Tensor or a tuple of Tensors",
            "of the grad_input",
        )
    ends = {r.grad_fn for r in results} - {None}
    if len(ends) > 1:
        return "a non-full backward hook when outputs are generated by different autograd Nodes", "grad_output"
    if node not in ends:
        return "a non-full backward hook when outputs are nested in python data structure", "grad_output"
    if {a.grad_fn for a in args} - {None} != {following for following, _ in node.next_functions}:
        return "a non-full backward hook when the forward contains multiple autograd Nodes", "grad_input"
    return None


def _are_tensors(values):
    return isinstance(values, tuple) and all(isinstance(value, Tensor) for value in values)
