"""A recurrent layer's loop over time as one operation.

Step by step, a cell is a dozen small operations, each recorded. `Loop` runs all steps on arrays
(`wengert.kernels.recurrence`) and has one node. Higher derivatives go through the recorded steps instead.
"""

import wengert
from wengert.autograd import Function
from wengert.kernels import recurrence as kernels
from wengert.tensor import wrap


class Loop(Function):
    """(outputs, final h[, final c]) of gates from the state at the start, in one direction of one layer.

    Args:
        gates: what the input gives, (T, B, G·H), or (total, G·H) as in a packed sequence; outputs have its form.
        w_hh, b_hh: (G·H, H) and (G·H) or None.
        state: h, or h and c, (batch, H) each.
    """

    @staticmethod
    def forward(ctx, mode, walk, gates, w_hh, b_hh, *state):
        given = gates._array
        rows = given.reshape(walk.rows, -1)
        bias = None if b_hh is None else b_hh._array
        arrays = kernels.forward(kernels.CELLS[mode], walk, rows, w_hh._array, bias, *(s._array for s in state))
        outputs = wrap(arrays[0].reshape(*given.shape[:-1], -1), gates.dtype)
        ctx.save_for_backward(gates, w_hh, b_hh, *state, outputs)
        ctx.mode, ctx.walk, ctx.kept = mode, walk, arrays[1:]
        ctx.set_materialize_grads(False)
        finals = (walk.last(a).copy() for a in arrays[: len(state)])
        return outputs, *(wrap(a, gates.dtype) for a in finals)

    @staticmethod
    def backward(ctx, *arrived):
        gates, w_hh, b_hh, *state, outputs = ctx.saved_tensors
        if wengert.is_grad_enabled():
            return (None, None, *recorded_gradients(ctx, (gates, w_hh, b_hh, *state), arrived))
        g_outputs, g_h, g_c = (None if g is None else g._array for g in (*arrived, None)[:3])
        h0, c0 = (None if s is None else s._array for s in (*state, None)[:2])
        rows, walk = outputs._array.reshape(-1, h0.shape[1]), ctx.walk
        g_outputs = None if g_outputs is None else g_outputs.reshape(rows.shape)
        dz, d_weight, d_bias, *d_state = kernels.backward(
            kernels.CELLS[ctx.mode], walk, (g_outputs, g_h, g_c), w_hh._array, h0, c0, rows, *ctx.kept
        )
        found = (dz.reshape(gates.shape), d_weight, None if b_hh is None else d_bias, *d_state[: len(state)])
        return (None, None, *(None if a is None else wrap(a, gates.dtype) for a in found))


# Under the names that the graph shows: LSTMLoopBackward and so on.
LOOPS = {mode: type(f"{mode.partition('_')[0]}Loop", (Loop,), {"__doc__": Loop.__doc__}) for mode in kernels.CELLS}


def recorded_gradients(ctx, inputs, arrived):
    """The gradients by way of recorded steps, so that they can be differentiated in turn."""
    from .rnn import _STEPS, _run_direction

    gates, w_hh, b_hh, *state = inputs
    walk, packed = ctx.walk, gates.dim() == 2
    steps = list(gates.split(walk.sizes) if packed else gates.unbind(0))
    outputs, final = _run_direction(_STEPS[ctx.mode], steps, tuple(state), (w_hh, b_hh, None), walk.reverse)
    results = (wengert.cat(outputs) if packed else wengert.stack(outputs), *final)
    given = [(r, g) for r, g in zip(results, arrived, strict=True) if g is not None]
    wanted = [t for t in inputs if t is not None and t.requires_grad]
    results, gradients = [r for r, _ in given], [g for _, g in given]
    found = iter(wengert.autograd.grad(results, wanted, gradients, create_graph=True, allow_unused=True))
    return [next(found) if t is not None and t.requires_grad else None for t in inputs]
