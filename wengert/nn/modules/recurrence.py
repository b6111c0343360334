"""The LSTM's loop over time as one operation on arrays.

Step by step, an LSTM is a dozen small operations, each recorded. Here the loop keeps its activations in arrays, and the
backward loop needs four products per step besides the matrix product: everything that does not depend on the arriving
gradient is computed for all steps at once beforehand. Higher derivatives go through the recorded steps instead.
"""

import numpy as np

import wengert
from wengert.autograd import Function
from wengert.kernels.choices import offered
from wengert.kernels.matmul import times
from wengert.tensor import wrap


def lstm_forward(gates, h, c, w_hh, reverse):
    """Run over gates (T, B, 4H), which include both biases; returns outputs, cells, activations, tanh of the cells.

    A sigmoid is a tanh: σ(x) = ½ tanh(½ x) + ½. Halving the rows of i, f and o beforehand, which is exact, leaves one
    tanh per step for all four gates.
    """
    steps, batch, width = gates.shape
    fast = offered("recurrence.lstm_forward", gates.size * h.shape[1], gates, h, c, w_hh, reverse)
    if fast is not None:
        return fast
    n = width // 4
    half = np.full(width, 0.5, gates.dtype)
    half[2 * n : 3 * n] = 1
    activations = gates * half
    recurrent = np.ascontiguousarray((w_hh * half[:, None]).T)
    outputs, cells = np.empty((steps, batch, n), gates.dtype), np.empty((steps, batch, n), gates.dtype)
    tanhs = np.empty_like(cells)
    product, part = np.empty((batch, width), gates.dtype), np.empty((batch, n), gates.dtype)
    for t in range(steps - 1, -1, -1) if reverse else range(steps):
        z = activations[t]
        np.matmul(h, recurrent, out=product)
        z += product
        np.tanh(z, out=z)
        for sigmoids in (z[:, : 2 * n], z[:, 3 * n :]):
            sigmoids *= 0.5
            sigmoids += 0.5
        np.multiply(z[:, n : 2 * n], c, out=cells[t])
        np.multiply(z[:, :n], z[:, 2 * n : 3 * n], out=part)
        c = cells[t]
        c += part
        np.tanh(c, out=tanhs[t])
        h = np.multiply(z[:, 3 * n :], tanhs[t], out=outputs[t])
    return outputs, cells, activations, tanhs


def shifted(first, rest, reverse):
    """What each step started from: `first`, and then the results of the step before."""
    return np.concatenate([rest[1:], first[None]] if reverse else [first[None], rest[:-1]])


def lstm_backward(g_outputs, g_h, g_c, h0, c0, w_hh, outputs, cells, activations, tanhs, reverse):
    """Gradients of gates, h0, c0 and w_hh."""
    steps, batch, n = outputs.shape
    given = (g_outputs, g_h, g_c, h0, c0, w_hh, outputs, cells, activations, tanhs, reverse)
    fast = offered("recurrence.lstm_backward", activations.size * n, *given)
    if fast is not None:
        dz, dc = fast
        dh = dz[-1 if reverse else 0] @ w_hh
        return dz, dh, dc, recurrent_gradient(dz, h0, outputs, reverse)
    i, f, g, o = (activations[..., k * n : (k + 1) * n] for k in range(4))
    # ∂z per ∂c for i, f, g, and per ∂h for o; and ∂c per ∂h.
    per_cell = np.empty((steps, batch, 3, n), outputs.dtype)
    np.multiply(g, i * (1 - i), out=per_cell[:, :, 0])
    np.multiply(shifted(c0, cells, reverse), f * (1 - f), out=per_cell[:, :, 1])
    np.multiply(i, 1 - g * g, out=per_cell[:, :, 2])
    per_output = tanhs * (o * (1 - o))
    through_tanh = o * (1 - tanhs * tanhs)
    dz = np.empty((steps, batch, 4, n), outputs.dtype)
    dh = np.zeros_like(h0) if g_h is None else g_h.copy()
    dc = np.zeros_like(c0) if g_c is None else g_c.copy()
    part = np.empty_like(dc)
    for t in range(steps) if reverse else range(steps - 1, -1, -1):
        if g_outputs is not None:
            dh += g_outputs[t]
        np.multiply(dh, through_tanh[t], out=part)
        dc += part
        np.multiply(dc[:, None], per_cell[t], out=dz[t, :, :3])
        np.multiply(dh, per_output[t], out=dz[t, :, 3])
        dc *= f[t]
        np.matmul(dz[t].reshape(batch, 4 * n), w_hh, out=dh)
    dz = dz.reshape(steps, batch, 4 * n)
    return dz, dh, dc, recurrent_gradient(dz, h0, outputs, reverse)


def recurrent_gradient(dz, h0, outputs, reverse):
    """The gradient of w_hh (4H, H): the gates' gradients by what each step started from."""
    return times(dz.reshape(-1, dz.shape[2]).T, shifted(h0, outputs, reverse).reshape(-1, outputs.shape[2]))


class LSTMLoop(Function):
    """(outputs, final h, final c) of gates (T, B, 4H) from h0 and c0 (B, H) with recurrent weights (4H, H)."""

    @staticmethod
    def forward(ctx, gates, h0, c0, w_hh, reverse):
        kept = lstm_forward(gates._array, h0._array, c0._array, w_hh._array, reverse)
        last = 0 if reverse else -1
        outputs = wrap(kept[0], gates.dtype)
        ctx.save_for_backward(gates, h0, c0, w_hh, outputs)
        ctx.kept, ctx.reverse = kept[1:], reverse
        ctx.set_materialize_grads(False)
        return outputs, wrap(kept[0][last].copy(), gates.dtype), wrap(kept[1][last].copy(), gates.dtype)

    @staticmethod
    def backward(ctx, g_outputs, g_h, g_c):
        gates, h0, c0, w_hh, outputs = ctx.saved_tensors
        if wengert.is_grad_enabled():
            return (*_recorded_gradients((gates, h0, c0, w_hh), (g_outputs, g_h, g_c), ctx.reverse), None)
        arrived = [None if g is None else g._array for g in (g_outputs, g_h, g_c)]
        own = (h0._array, c0._array, w_hh._array, outputs._array)
        return (*(wrap(a, gates.dtype) for a in lstm_backward(*arrived, *own, *ctx.kept, ctx.reverse)), None)


def _recorded_gradients(inputs, arrived, reverse):
    """The gradients by way of recorded steps, so that they can be differentiated in turn."""
    from .rnn import _lstm_step, _run_direction

    gates, h0, c0, w_hh = inputs
    steps, (h, c) = _run_direction(_lstm_step, list(gates.unbind(0)), (h0, c0), (w_hh, None, None), reverse)
    results = (wengert.stack(steps), h, c)
    given = [(r, g) for r, g in zip(results, arrived, strict=True) if g is not None]
    wanted = [t for t in inputs if t.requires_grad]
    outputs, gradients = [r for r, _ in given], [g for _, g in given]
    found = iter(wengert.autograd.grad(outputs, wanted, gradients, create_graph=True, allow_unused=True))
    return [next(found) if t.requires_grad else None for t in inputs]
