"""Recurrent layers: what a cell computes in a step, and the loop that takes it through time.

A step multiplies the last output by the recurrent weight and adds the product to what the input gave, gate by gate.
Each gate's sum is bent by its function, and from then on everything is elementwise: so a `Cell` is a table of a few
formulas on elements. They are run here on NumPy's arrays, a step at a time; the compiled loop
(`wengert.kernels.cpu.recurrence`) writes the same formulas into its vectors.

The derivatives are the cell's too, in the form that makes the way back cheap: a step is linear in the gradients that
arrive, and its coefficients depend on the forward pass alone. They are computed for all steps at once beforehand, and
leave a few products per step besides the matrix product.

Sequences lie as in a packed sequence: the rows of all steps one after the other, of `sizes[t]` sequences at time t,
longest first. A padded batch is the case of equal sizes.
"""

from collections.abc import Callable
from functools import cache
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from wengert.kernels.choices import offered
from wengert.kernels.copies import joined
from wengert.kernels.matmul import times
from wengert.kernels.sums import add_rows


class Cell(NamedTuple):
    """One kind of recurrent cell.

    `step` takes the bent gates; then, for each gate that isn't bent, what the input gave and what the product gave;
    then the memory from the step before. It returns the output, the state "c" if there is one, and what else `slopes`
    wants to see.
    `slopes` takes the bent gates, those others, and the memory from the step before. It returns a `Slopes`.
    """

    bends: tuple[str | None, ...]  # each gate's function; None, at the end, where the step wants its summands apart
    memory: str  # what elements hand to their successors: the cell's state "c", the output "h", or nothing: ""
    others: int  # how many values a step keeps for `slopes` besides the bent gates
    step: Callable
    slopes: Callable

    @property
    def bent(self):
        """How many gates have a function; they come first."""
        return sum(bend is not None for bend in self.bends)


class Slopes(NamedTuple):
    """The derivatives of a step, element by element.

    With dh what arrives at the output and dm what arrives at the memory, ``total = dm + dh · through``; a gate's sum
    gets ``total`` or, if it is of `outward`, ``dh`` times its factor; the memory before gets ``total · decay``. Without
    a memory the total is dh.
    """

    gates: tuple  # factors of total
    outward: tuple = ()  # factors of dh, for the gates that follow
    apart: tuple = ()  # factors of total for the products that the step took apart
    through: np.ndarray | None = None  # 1 where there is none
    decay: np.ndarray | None = None


# --- the cells --------------------------------------------------------------------------------------------------------


def elman_step(h):
    return (h,)


def tanh_slopes(h):
    return Slopes((1 - h * h,))


def relu_slopes(h):
    return Slopes(((h != 0).astype(h.dtype),))


def lstm_step(i, f, g, o, c):
    c = f * c + i * g
    u = np.tanh(c)
    return o * u, c, u


def lstm_slopes(i, f, g, o, u, c):
    to_gates = g * (i * (1 - i)), c * (f * (1 - f)), i * (1 - g * g)
    return Slopes(to_gates, outward=(u * (o * (1 - o)),), through=o * (1 - u * u), decay=f)


def gru_step(r, z, n_x, n_h, h):
    n = np.tanh(n_x + r * n_h)
    h = n + z * (h - n)
    return h, n, n_h


def gru_slopes(r, z, n, n_h, h):
    to_n = (1 - z) * (1 - n * n)
    to_r = to_n * n_h * (r * (1 - r))
    return Slopes((to_r, (h - n) * (z * (1 - z)), to_n), apart=(to_n * r,), decay=z)


CELLS = {
    "RNN_TANH": Cell(("tanh",), "", 0, elman_step, tanh_slopes),
    "RNN_RELU": Cell(("relu",), "", 0, elman_step, relu_slopes),
    "LSTM": Cell(("sigmoid", "sigmoid", "tanh", "sigmoid"), "c", 1, lstm_step, lstm_slopes),
    "GRU": Cell(("sigmoid", "sigmoid", None), "h", 2, gru_step, gru_slopes),
}


# --- the way through time ---------------------------------------------------------------------------------------------


class Walk:
    """The steps in the order in which a direction takes them: (first row, number of rows) each."""

    def __init__(self, sizes, reverse=False):
        self.sizes, self.reverse = sizes, reverse
        self.batch, self.even = sizes[0], sizes[-1] == sizes[0]
        self.steps = list(zip(accumulate(sizes, initial=0), sizes, strict=False))
        self.rows = self.steps[-1][0] + sizes[-1]
        if reverse:
            self.steps.reverse()

    def first(self, values):
        """What stands in the first row of each sequence, of `values` (rows, …)."""
        return self.outermost(values, self.steps[::-1])

    def last(self, values):
        """What stands in the last row of each sequence."""
        return self.outermost(values, self.steps)

    def outermost(self, values, steps):
        """What stands in the last of these steps that each sequence has."""
        first, count = steps[-1]
        if count == self.batch:
            return values[first : first + count]
        found = np.empty((self.batch, *values.shape[1:]), values.dtype)
        for first, count in steps:
            found[:count] = values[first : first + count]
        return found

    def before(self, initial, values):
        """What each row started from: `initial` (batch, …), then what `values` (rows, …) held a step before."""
        if self.even:
            n, first, rest = self.batch, initial, values
            return joined([rest[n:], first] if self.reverse else [first, rest[:-n]], 0)
        found, held = np.empty_like(values), initial.copy()
        for first, count in self.steps:
            found[first : first + count] = held[:count]
            held[:count] = values[first : first + count]
        return found


def column(array, k, units):
    """The elements of gate `k` in an array (rows, gates · units)."""
    return array[:, k * units : (k + 1) * units]


@cache
def halving(cell, units, dtype):
    """(scale, shift) that make one tanh of all bent gates: σ(x) = ½ tanh(½ x) + ½, and halving is exact."""
    halves = np.repeat([bend == "sigmoid" for bend in cell.bends[: cell.bent]], units)
    return tuple(np.where(halves, 0.5, usual).astype(dtype) for usual in (1, 0))


def bend(cell, z, scale, shift):
    """The functions of the bent gates, of all at once, in place."""
    if cell.bends[0] == "relu":
        np.maximum(z, 0, out=z)
        return
    np.tanh(z, out=z)
    if cell.memory:  # whose gates are sigmoids
        z *= scale
        z += shift


def forward(cell, walk, gates, w_hh, b_hh, h0, c0=None):
    """Run a cell over gates (rows, G·H) from h0, c0 (batch, H) with the recurrent weight (G·H, H) and bias or None.

    Returns:
        outputs (rows, H), cells (rows, H) if the memory is "c", else None, and what `backward` needs, (rows, K·H): the
        bent gates and whatever else the step says.
    """
    units = h0.shape[1]
    fast = offered("recurrence.forward", gates.size * units, cell, walk, gates, w_hh, b_hh, h0, c0)
    if fast is not None:
        return fast
    bent, rows = cell.bent * units, walk.rows
    scale, shift = halving(cell, units, gates.dtype)
    recurrent = np.concatenate([w_hh[:bent] * scale[:, None], w_hh[bent:]]).T.copy()
    kept = np.empty((rows, bent + cell.others * units), gates.dtype)
    sums = kept[:, :bent]
    np.multiply(gates[:, :bent] if b_hh is None else gates[:, :bent] + b_hh[:bent], scale, out=sums)
    gate_sums = [column(kept, k, units) for k in range(cell.bent)]
    apart = range(cell.bent, len(cell.bends))
    inputs = [column(gates, k, units) for k in apart]
    biases = [0 if b_hh is None else b_hh[k * units : (k + 1) * units] for k in apart]
    product = np.empty((walk.batch, gates.shape[1]), gates.dtype)
    h, memory = h0, c0 if cell.memory == "c" else h0
    if not walk.even:
        h, memory = h.copy(), memory.copy()
    outputs = np.empty((rows, units), gates.dtype) if cell.memory else kept
    cells = np.empty_like(outputs) if cell.memory == "c" else None
    others = [column(kept, cell.bent + k, units) for k in range(cell.others)]
    places = [a for a in (outputs, cells, *others) if a is not None and a is not kept]  # where a step's results go
    for first, count in walk.steps:
        here = slice(first, first + count)
        p, z = product[:count], sums[here]
        np.matmul(h[:count], recurrent, out=p)
        z += p[:, :bent] if apart else p
        bend(cell, z, scale, shift)
        given = [values[here] for values in gate_sums]
        for k, x, bias in zip(apart, inputs, biases, strict=True):
            given += x[here], column(p, k, units) + bias
        if cell.memory:
            given.append(memory[:count])
        results = cell.step(*given)
        for place, value in zip(places, results, strict=False):
            place[here] = value
        if walk.even:
            h, memory = results[0], results[cells is not None]
        else:
            h[:count], memory[:count] = results[0], results[cells is not None]
    return outputs, cells, kept


def backward(cell, walk, arrived, w_hh, h0, c0, outputs, cells, kept):
    """The gradients of a direction.

    Args:
        arrived: the gradients of the outputs (rows, H), of the final h and the final c (batch, H); None where zero.
    Returns:
        those of the gates (rows, G·H), of w_hh, of b_hh (None unless products stand apart), of h0, of c0 (or None).
    """
    units, before = h0.shape[1], walk.before(h0, outputs)
    given = (cell, walk, arrived, w_hh, h0, c0, outputs, cells, kept)
    fast = offered("recurrence.backward", kept.shape[0] * w_hh.size, *given)
    dz, apart, dh, dm = backward_steps(*given, before) if fast is None else fast
    dc = dm if cell.memory == "c" else None
    if apart is None:  # the bias is the input's too, and gets its gradient there
        return dz, times(dz.T, before), None, dh, dc
    parts = dz[:, : cell.bent * units], apart
    d_weight, d_bias = ([f(part) for part in parts] for f in (lambda part: times(part.T, before), add_rows))
    return dz, np.concatenate(d_weight), np.concatenate(d_bias), dh, dc


def side_by_side(factors):
    """Factors (rows, H) as one array (rows, number, H); None if there are none."""
    if not factors:
        return None
    rows, units = factors[0].shape
    found = np.empty((rows, len(factors), units), factors[0].dtype)
    for k, factor in enumerate(factors):
        found[:, k] = factor
    return found


def backward_steps(cell, walk, arrived, w_hh, h0, c0, outputs, cells, kept, before):
    """(gradients of the gates, of the products apart, of h0, of c0), a step at a time."""
    g_outputs, g_h, g_c = arrived
    rows, units = outputs.shape
    memory = {"c": lambda: (walk.before(c0, cells),), "h": lambda: (before,), "": tuple}[cell.memory]()
    slopes = cell.slopes(*(column(kept, k, units) for k in range(kept.shape[1] // units)), *memory)
    to_total, to_dh, to_apart = map(side_by_side, (slopes.gates, slopes.outward, slopes.apart))
    gates, own = len(cell.bends), len(slopes.gates)
    dz = np.empty((rows, gates, units), outputs.dtype)
    products = dz if to_apart is None else np.empty_like(dz)
    dh = np.zeros_like(h0) if g_h is None else g_h.copy()
    dm = np.zeros_like(h0) if g_c is None else g_c.copy()
    for first, count in reversed(walk.steps):
        here = slice(first, first + count)
        d = total = dh[:count]
        if g_outputs is not None:
            d += g_outputs[here]
        if cell.memory:
            total = dm[:count]
            total += d if slopes.through is None else d * slopes.through[here]
        np.multiply(total[:, None], to_total[here], out=dz[here, :own])
        if to_dh is not None:
            np.multiply(d[:, None], to_dh[here], out=dz[here, own:])
        if to_apart is not None:
            products[here, : cell.bent] = dz[here, : cell.bent]
            np.multiply(total[:, None], to_apart[here], out=products[here, cell.bent :])
        if cell.memory:
            total *= slopes.decay[here]
        np.matmul(products[here].reshape(count, -1), w_hh, out=d)
    if cell.memory == "h":
        dh += dm
    apart = None if to_apart is None else products.reshape(rows, -1)[:, cell.bent * units :]
    return dz.reshape(rows, -1), apart, dh, dm
