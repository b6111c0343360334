"""Checkpointing: keep the arguments of a part of the program instead of what its operations keep, and run it again in
backward.

Two ways. The first (``use_reentrant=False``) replaces each kept tensor by its number: when backward asks for the
first of
them, the function runs once more and what it saves is handed out by number. The other (``use_reentrant=True``) is a
custom
Function whose backward records the function anew and runs a backward pass of its own, inside the one that is running.
"""

import contextlib
import threading
import warnings
from weakref import WeakKeyDictionary

from wengert import random
from wengert.autograd import engine, saved
from wengert.autograd.function import Function
from wengert.autograd.graph import no_recast, rare
from wengert.autograd.modes import enable_grad, no_grad
from wengert.outside import outside
from wengert.tensor import Tensor, detach_plain

__all__ = [
    "CheckpointError",
    "CheckpointFunction",
    "checkpoint",
    "checkpoint_sequential",
    "create_selective_checkpoint_contexts",
    "get_device_states",
    "noop_context_fn",
    "set_device_states",
    "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop",
]


class CheckpointError(RuntimeError):
    """Running the function again did not give what it gave at first."""


class StopRecomputation(Exception):
    """All that backward needs has been computed again."""


class _State(threading.local):
    early_stop = None


state = _State()


@contextlib.contextmanager
def set_checkpoint_early_stop(enable):
    """Inside, say for all checkpoints whether the second run ends as soon as everything needed is there (the
    default).
    """
    previous, state.early_stop = state.early_stop, enable
    try:
        yield
    finally:
        state.early_stop = previous


@contextlib.contextmanager
def set_checkpoint_debug_enabled(enabled):
    """Inside, say for all checkpoints whether they trace what they do; only None and False are supported."""
    if enabled:
        raise NotImplementedError("set_checkpoint_debug_enabled(): debug=True is not supported")
    yield


def create_selective_checkpoint_contexts(policy_fn_or_list, allow_cache_entry_mutation=False):
    """Refused: choosing by operation what is kept needs PyTorch's own dispatcher."""
    raise NotImplementedError("create_selective_checkpoint_contexts(): choosing by operation is not supported")


def autocast_in_force():
    """What opens an `autocast` region like the one that this thread is in."""
    if rare.recast is no_recast:
        return contextlib.nullcontext
    from wengert.amp import autocast_mode as amp

    enabled, dtype, cached = amp.is_autocast_enabled("cpu"), amp.get_autocast_dtype("cpu"), amp.state.cache_enabled
    return lambda: amp.autocast("cpu", dtype=dtype, enabled=enabled, cache_enabled=cached)


def noop_context_fn():
    """Contexts for the two runs that do nothing."""
    return contextlib.nullcontext(), contextlib.nullcontext()


def checkpoint(
    function,
    *args,
    use_reentrant=None,
    context_fn=noop_context_fn,
    determinism_check="default",
    debug=False,
    early_stop=True,
    preserve_rng_state=True,
    **kwargs,
):
    """``function(*args, **kwargs)``, keeping only the arguments for backward, which runs the function again.

    Args:
        use_reentrant: which of the two ways (see the module); pass it explicitly. True takes no keyword arguments.
        context_fn: returns two context managers, for the first run and for the second (only with use_reentrant=False).
        determinism_check: "default" compares shapes and dtypes of the two runs, "none" does not.
        early_stop: end the second run as soon as everything needed is there.
        preserve_rng_state: let the second run draw the same random numbers as the first.
    Raises:
        CheckpointError: the second run kept other tensors than the first.
    """
    if debug:
        raise NotImplementedError("checkpoint(): debug=True is not supported")
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly. Starting in PyTorch "
            "2.9, calling "
            "checkpoint without use_reentrant will raise an exception. use_reentrant=False is recommended, but if you "
            "need to "
            "preserve the current default behavior, you can pass use_reentrant=True.",
            UserWarning,
            stacklevel=2,
        )
        use_reentrant = True
    if not use_reentrant:
        stop = early_stop if state.early_stop is None else state.early_stop
        frame = Frame(function, args, kwargs, context_fn, determinism_check, stop, preserve_rng_state)
        return frame.first_run()
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if context_fn is not noop_context_fn:
        raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
    return CheckpointFunction.apply(function, preserve_rng_state, *args)


# --- numbers in place of tensors --------------------------------------------------------------------------------------

CHECKS = ("default", "none")


class Frame:
    """One checkpointed call: how to run it again, and what the last time gave."""

    def __init__(self, function, args, kwargs, context_fn, determinism_check, early_stop, preserve_rng_state):
        if determinism_check not in CHECKS:
            raise ValueError(f"determinism_check should be one of {list(CHECKS)}, but got {determinism_check}")
        self.function, self.args, self.kwargs = function, args, kwargs
        self.forward_context, self.recompute_context = context_fn()
        self.check, self.early_stop = determinism_check == "default", early_stop
        self.rng_state = random.get_rng_state() if preserve_rng_state else None
        self.autocast = autocast_in_force()
        self.complete = False  # whether the first run is over
        self.metadata = []  # of each kept tensor: shape and dtype
        self.recomputed = WeakKeyDictionary()  # backward pass -> kept tensors by number

    def first_run(self):
        with self.forward_context, saved.saved_tensors_hooks(self.pack, self.unpack):
            result = self.function(*self.args, **self.kwargs)
        self.complete = True
        return result

    def pack(self, tensor):
        self.metadata.append((tensor.shape, tensor.dtype, tensor.device))
        return len(self.metadata) - 1

    def unpack(self, number):
        passes = engine.state.passes
        if passes:
            found = self.recomputed.get(passes[-1])
            if found is None or number not in found:
                found = self.recomputed[passes[-1]] = self.run_again()
        else:
            found = self.run_again()
        return found.pop(number)

    def run_again(self):
        """Run the function again and return what it keeps, by number."""
        kept = {}

        def pack(tensor):
            if len(kept) == len(self.metadata) and not self.complete:
                return detach_plain(tensor)  # a backward pass inside of the function, which has more to do afterwards
            if len(kept) == len(self.metadata):
                raise CheckpointError(
                    "torch.utils.checkpoint: trying to save more tensors during recomputation than during the original "
                    f"forward pass, which saved {len(kept)}."
                )
            again = kept[len(kept)] = detach_plain(tensor)
            if self.early_stop and len(kept) == len(self.metadata):
                raise StopRecomputation
            return again  # for a backward pass inside of the function

        with contextlib.ExitStack() as stack:
            if self.rng_state is not None:
                stack.enter_context(random.fork_rng(devices=[]))
                random.set_rng_state(self.rng_state)
            stack.enter_context(enable_grad())
            stack.enter_context(self.autocast())
            stack.enter_context(self.recompute_context)
            stack.enter_context(saved.saved_tensors_hooks(pack, lambda again: again))
            with contextlib.suppress(StopRecomputation):
                self.function(*self.args, **self.kwargs)
        self.compare(kept)
        return kept

    def compare(self, kept):
        """Raise CheckpointError unless the second run kept tensors like those of the first."""
        if len(kept) != len(self.metadata):
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the original forward and "
                "recomputation.\n"
                f"Number of tensors saved during forward: {len(self.metadata)}\n"
                f"Number of tensors saved during recomputation: {len(kept)}"
            )
        if not self.check:
            return
        lines = []
        for number, (before, tensor) in enumerate(zip(self.metadata, kept.values(), strict=True)):
            now = (tensor.shape, tensor.dtype, tensor.device)
            if now != before:
                lines.append(
                    f"tensor at position {number}:\nsaved metadata: {shown(before)}\nrecomputed metadata: {shown(now)}"
                )
        if lines:
            raise CheckpointError(
                "torch.utils.checkpoint: Recomputed values for the following tensors have different metadata than "
                "during the "
                "forward pass.\n" + "\n".join(lines)
            )


def shown(metadata):
    return dict(zip(("shape", "dtype", "device"), metadata, strict=True))


# --- a pass inside the pass -------------------------------------------------------------------------------------------


class CheckpointFunction(Function):
    """Runs the function unrecorded; in backward, runs it recorded and goes backward through that."""

    @staticmethod
    def forward(ctx, run_function, preserve_rng_state, *args):
        if not is_anything_requiring_grad(args):
            warnings.warn(
                "None of the inputs have requires_grad=True. Gradients will be None", UserWarning, stacklevel=4
            )
        ctx.run_function = run_function
        ctx.rng_state = random.get_rng_state() if preserve_rng_state else None
        ctx.autocast = autocast_in_force()
        ctx.args = [None if isinstance(a, Tensor) else a for a in args]
        ctx.places = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        ctx.save_for_backward(*(a for a in args if isinstance(a, Tensor)))
        with no_grad():
            return run_function(*args)

    @staticmethod
    def backward(ctx, *grads):
        if engine.state.passes[-1].wanted is not None:
            raise RuntimeError(
                "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or passing an `inputs` "
                "parameter to "
                ".backward(). To resolve this error, you can either set use_reentrant=False, or call .backward() "
                "without passing "
                "the `inputs` argument."
            )
        args = list(ctx.args)
        for place, tensor in zip(ctx.places, ctx.saved_tensors, strict=True):
            args[place] = tensor.detach()
            if tensor.requires_grad:
                args[place].requires_grad_()
        with contextlib.ExitStack() as stack:
            if ctx.rng_state is not None:
                stack.enter_context(random.fork_rng(devices=[]))
                random.set_rng_state(ctx.rng_state)
            stack.enter_context(enable_grad())
            stack.enter_context(ctx.autocast())
            outputs = ctx.run_function(*args)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        pairs = [(o, g) for o, g in zip(outputs, grads, strict=True) if isinstance(o, Tensor) and o.requires_grad]
        if not pairs:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        engine.backward([o for o, _ in pairs], [g for _, g in pairs])
        return (None, None, *(a.grad if isinstance(a, Tensor) else None for a in args))


def is_anything_requiring_grad(args):
    """Whether any tensor among `args` requires grad."""
    return any(isinstance(a, Tensor) and a.requires_grad for a in args)


def checkpoint_sequential(functions, segments, input, use_reentrant=None, **kwargs):
    """Run a sequence of functions (or modules, or a Sequential) in `segments` parts, all but the last checkpointed.

    Args:
        functions: a Sequential, or a list of callables.
        segments: into how many parts to cut it.
        input: the argument of the first.
        preserve_rng_state: as for `checkpoint`.
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint.checkpoint_sequential: the use_reentrant parameter should be passed explicitly. "
            "In version "
            "2.9 we will raise an exception if use_reentrant is not passed. use_reentrant=False is recommended, but "
            "if you need "
            "to preserve the current default behavior, you can pass use_reentrant=True.",
            UserWarning,
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    functions = list(functions.children()) if hasattr(functions, "children") else list(functions)

    def part(start, end):
        def run(x):
            for function in functions[start:end]:
                x = function(x)
            return x

        return run

    size = len(functions) // segments
    if not size:
        raise ValueError("range() arg 3 must not be zero")
    end = 0
    for number in range(segments - 1):
        input = checkpoint(
            part(number * size, (number + 1) * size), input, use_reentrant=use_reentrant, preserve_rng_state=preserve
        )
        end = (number + 1) * size
    return part(end, len(functions))(input)


def get_device_states(*args):
    """The accelerators that tensors in `args` live on and the states of their generators: two empty lists."""
    return [], []


def set_device_states(devices, states, *, device_type=None):
    """Give accelerators' generators the states that `get_device_states` found, which are none."""


def detach_variable(inputs):
    """The tensors of a tuple detached, each requiring grad as before."""
    if not isinstance(inputs, tuple):
        raise RuntimeError("Only tuple of tensors is supported. Got Unsupported input type: ", type(inputs).__name__)
    return tuple(x.detach().requires_grad_(x.requires_grad) if isinstance(x, Tensor) else x for x in inputs)


def check_backward_validity(inputs):
    """Warn if no input requires grad."""
    if not is_anything_requiring_grad(inputs):
        warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", UserWarning, stacklevel=2)

__getattr__ = outside(__name__)
