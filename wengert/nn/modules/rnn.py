"""Recurrent layers: Elman RNN, LSTM (Hochreiter & Schmidhuber 1997), GRU (Cho et al. 2014), and their single cells.

A layer multiplies the whole sequence by its input weights at once; only the hidden state's product is done step by
step. A padded batch is a list of steps of equal size, a packed one a list of shrinking ones: both run the same loop,
which is one operation (`recurrence.py`). Projections, dual tensors and whatever else that doesn't know are recorded
step by step.
"""

import math
import warnings
from types import SimpleNamespace

import wengert
from wengert.autograd.graph import rare
from wengert.kernels.recurrence import Walk
from wengert.tensor import Tensor

from .. import functional as F
from .. import init
from ..parameter import Parameter
from ..utils.rnn import PackedSequence
from .module import Module

__all__ = ["RNNBase", "RNN", "LSTM", "GRU", "RNNCellBase", "RNNCell", "LSTMCell", "GRUCell"]


# One step of each kind: gates from the input (bias included), hidden state, hidden weights → new hidden state.


def _tanh_step(gates, hidden, w_hh, b_hh, w_hr):
    return (wengert.tanh(gates + F.linear(hidden[0], w_hh, b_hh)),)


def _relu_step(gates, hidden, w_hh, b_hh, w_hr):
    return (wengert.relu(gates + F.linear(hidden[0], w_hh, b_hh)),)


def _lstm_step(gates, hidden, w_hh, b_hh, w_hr):
    h, c = hidden
    i, f, g, o = (gates + F.linear(h, w_hh, b_hh)).chunk(4, -1)
    c = wengert.sigmoid(f) * c + wengert.sigmoid(i) * wengert.tanh(g)
    h = wengert.sigmoid(o) * wengert.tanh(c)
    return (h if w_hr is None else F.linear(h, w_hr), c)


def _gru_step(gates, hidden, w_hh, b_hh, w_hr):
    (h,) = hidden
    r_x, z_x, n_x = gates.chunk(3, -1)
    r_h, z_h, n_h = F.linear(h, w_hh, b_hh).chunk(3, -1)
    r = wengert.sigmoid(r_x + r_h)
    z = wengert.sigmoid(z_x + z_h)
    n = wengert.tanh(n_x + r * n_h)
    return (n + z * (h - n),)


_STEPS = {"RNN_TANH": _tanh_step, "RNN_RELU": _relu_step, "LSTM": _lstm_step, "GRU": _gru_step}
_GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


def _run_direction(step, gates, hidden, weights, reverse):
    """Run one direction of one layer over `gates`, a list of (batch_t, gates) with batch_t not growing.

    Returns the outputs in order of time and the final hidden state of every sequence.
    """
    w_hh, b_hh, w_hr = weights
    outputs = []
    if reverse:
        # The longest sequences come first: others join as their last step is reached.
        current = tuple(h[:0] for h in hidden)
        for g in reversed(gates):
            have, need = current[0].shape[0], g.shape[0]
            if have == 0:
                current = tuple(h[:need] if need < h.shape[0] else h for h in hidden)
            elif need > have:
                current = tuple(wengert.cat([c, h[have:need]]) for c, h in zip(current, hidden, strict=True))
            current = step(g, current, w_hh, b_hh, w_hr)
            outputs.append(current[0])
        return outputs[::-1], current
    current, finished = hidden, []
    for g in gates:
        have, need = current[0].shape[0], g.shape[0]
        if need < have:
            finished.append(tuple(c[need:] for c in current))
            current = tuple(c[:need] for c in current)
        current = step(g, current, w_hh, b_hh, w_hr)
        outputs.append(current[0])
    if finished:
        parts = [current, *reversed(finished)]
        current = tuple(wengert.cat([part[i] for part in parts]) for i in range(len(current)))
    return outputs, current


def _suits_loop(data, hidden, weights):
    """Whether the loop on arrays computes this: plain tensors of single or double precision, no projection."""
    given = [data, *hidden, *weights.values()]
    plain = all(type(t) in (Tensor, Parameter) and t.dtype is data.dtype for t in given)
    suits = plain and "weight_hr" not in weights and data.dtype in (wengert.float32, wengert.float64)
    return suits and not rare.is_changed()


def _run_loop(mode, data, hidden, weights, walk):
    """A direction of a layer as one operation; returns (outputs, final state)."""
    from .recurrence import LOOPS

    bias, b_hh = weights.get("bias_ih"), weights.get("bias_hh")
    if mode != "GRU" and bias is not None:  # whose new gate takes the product apart, and its bias with it
        bias, b_hh = bias + b_hh, None
    gates = F.linear(data.contiguous(), weights["weight_ih"], bias)
    outputs, *final = LOOPS[mode].apply(mode, walk, gates, weights["weight_hh"], b_hh, *hidden)
    return outputs, tuple(final)


def _run_steps(mode, data, hidden, weights, batch_sizes, reverse):
    """A direction of a layer step by step, each operation recorded; returns (outputs, final state)."""
    gates = F.linear(data, weights["weight_ih"], weights.get("bias_ih"))
    steps = list(gates.unbind(0) if batch_sizes is None else gates.split(batch_sizes))
    hidden_weights = (weights["weight_hh"], weights.get("bias_hh"), weights.get("weight_hr"))
    outputs, final = _run_direction(_STEPS[mode], steps, hidden, hidden_weights, reverse)
    return wengert.stack(outputs) if batch_sizes is None else wengert.cat(outputs), final


class RNNBase(Module):
    """What RNN, LSTM and GRU share: weights per layer and direction, the loop over layers, the checks."""

    __constants__ = [
        "mode",
        "input_size",
        "hidden_size",
        "num_layers",
        "bias",
        "batch_first",
        "dropout",
        "bidirectional",
        "proj_size",
    ]

    def __init__(
        self,
        mode,
        input_size,
        hidden_size,
        num_layers=1,
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        proj_size=0,
        device=None,
        dtype=None,
    ):
        super().__init__()
        self._check_options(input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size)
        if mode not in _GATES:
            raise ValueError("Unrecognized RNN mode: " + mode)
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        directions = 2 if bidirectional else 1
        gate_size = _GATES[mode] * hidden_size
        out_size = proj_size if proj_size > 0 else hidden_size
        self._all_weights = []
        for layer in range(num_layers):
            layer_input = input_size if layer == 0 else out_size * directions
            for suffix in ("", "_reverse")[:directions]:
                shapes = {"weight_ih": (gate_size, layer_input), "weight_hh": (gate_size, out_size)}
                if bias:
                    shapes |= {"bias_ih": (gate_size,), "bias_hh": (gate_size,)}
                if proj_size > 0:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                for name, shape in shapes.items():
                    weight = Parameter(wengert.empty(shape, device=device, dtype=dtype))
                    self.register_parameter(f"{name}_l{layer}{suffix}", weight)
                self._all_weights.append([f"{name}_l{layer}{suffix}" for name in shapes])
        self.reset_parameters()

    @staticmethod
    def _check_options(input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size):
        if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
            )
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                stacklevel=4,
            )
        for name, value, kind in (
            ("bias", bias, bool),
            ("batch_first", batch_first, bool),
            ("input_size", input_size, int),
            ("hidden_size", hidden_size, int),
        ):
            if not isinstance(value, kind):
                raise TypeError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")
            if kind is int and value <= 0:
                raise ValueError(f"{name} must be greater than zero")
        if num_layers <= 0:
            raise ValueError("num_layers must be greater than zero")
        if proj_size < 0:
            raise ValueError("proj_size should be a positive integer or zero to disable projections")
        if proj_size >= hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")

    @property
    def all_weights(self):
        """The parameters, a list per layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights_names(self):
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self):
        return [getattr(self, name) for name in self._flat_weights_names]

    def flatten_parameters(self):
        """Lay the weights out for cuDNN; there is nothing to do on a CPU."""

    def reset_parameters(self):
        """Draw all parameters uniformly from ±1/√hidden_size."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def check_input(self, input, batch_sizes):
        """Raise unless `input` has the dtype, dimensions and width that the weights expect."""
        weight = self._parameters.get("weight_ih_l0", None)
        if weight is not None and input.dtype != weight.dtype:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({weight.dtype}). "
                f"Convert input: input.to({weight.dtype}), or convert model: model.to({input.dtype})"
            )
        expected = 3 if batch_sizes is None else 2
        if input.dim() != expected:
            raise RuntimeError(f"input must have {expected} dimensions, got {input.dim()}")
        if self.input_size != input.size(-1):
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.size(-1)}"
            )

    def get_expected_hidden_size(self, input, batch_sizes):
        """(layers · directions, batch, width of h) for `input`."""
        batch = int(batch_sizes[0]) if batch_sizes is not None else input.size(0 if self.batch_first else 1)
        width = self.proj_size if self.proj_size > 0 else self.hidden_size
        return self.num_layers * (2 if self.bidirectional else 1), batch, width

    def check_hidden_size(self, hx, expected_hidden_size, msg="Expected hidden size {}, got {}"):
        """Raise RuntimeError unless `hx` has the expected size."""
        if tuple(hx.size()) != tuple(expected_hidden_size):
            raise RuntimeError(msg.format(tuple(expected_hidden_size), list(hx.size())))

    def check_forward_args(self, input, hidden, batch_sizes):
        """Raise unless input and hidden state fit."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(hidden[0], self.get_expected_hidden_size(input, batch_sizes))

    def _split_hx(self, hx):
        """The given hidden state as a tuple (h,) or (h, c)."""
        return (hx,)

    def _zero_hidden(self, data, batch):
        rows = self.num_layers * (2 if self.bidirectional else 1)
        width = self.proj_size if self.proj_size > 0 else self.hidden_size
        return (wengert.zeros(rows, batch, width, dtype=data.dtype, device=data.device),)

    def _batched(self, input, hx):
        """Give an unbatched input and hidden state a batch of one; returns input, hx, whether it was batched."""
        name = "LSTM" if self.mode == "LSTM" else "GRU" if self.mode == "GRU" else "RNN"
        if input.dim() not in (2, 3):
            kind = "D tensor instead" if name == "RNN" else "D instead"
            raise ValueError(f"{name}: Expected input to be 2D or 3D, got {input.dim()}{kind}")
        batched = input.dim() == 3
        wanted = 3 if batched else 2
        if hx is not None and any(h.dim() != wanted for h in hx):
            if len(hx) == 1:
                got = f"{hx[0].dim()}-D tensor"
                what = "hx should also be"
            else:
                got = f"({hx[0].dim()}-D, {hx[1].dim()}-D) tensors"
                what = "hx and cx should also be"
            kind = "batched 3-D" if batched else "unbatched 2-D"
            raise RuntimeError(f"For {kind} input, {what} {wanted}-D but got {got}")
        if not batched:
            input = input.unsqueeze(0 if self.batch_first else 1)
            hx = None if hx is None else tuple(h.unsqueeze(1) for h in hx)
        return input, hx, batched

    def forward(self, input, hx=None):
        """Run over `input`: (length, batch, input_size), or (batch, length, input_size) if batch_first, or packed.

        Returns the outputs of the last layer, and the final hidden state of every layer and direction.
        """
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        if not isinstance(input, Tensor):
            raise TypeError(f"input should be a Tensor or a PackedSequence, got {type(input).__name__}")
        hx = None if hx is None else self._split_hx(hx)
        input, hx, batched = self._batched(input, hx)
        batch = input.size(0) if self.batch_first else input.size(1)
        hidden = self._zero_hidden(input, batch) if hx is None else hx
        self.check_forward_args(input, hidden, None)
        data = input.transpose(0, 1) if self.batch_first else input
        output, hidden = self._run_layers(data, hidden, None)
        if self.batch_first:
            output = output.transpose(0, 1)
        if not batched:
            output = output.squeeze(0 if self.batch_first else 1)
            hidden = tuple(h.squeeze(1) for h in hidden)
        return output, self._join_hidden(hidden)

    def _forward_packed(self, packed, hx):
        data, batch_sizes, sorted_indices, unsorted_indices = packed
        sizes = batch_sizes.tolist()
        if hx is None:
            hidden = self._zero_hidden(data, sizes[0])
        else:
            hidden = self._split_hx(hx)
            if sorted_indices is not None:
                hidden = tuple(h.index_select(1, sorted_indices) for h in hidden)
        self.check_forward_args(data, hidden, batch_sizes)
        output, hidden = self._run_layers(data, hidden, sizes)
        if unsorted_indices is not None:
            hidden = tuple(h.index_select(1, unsorted_indices) for h in hidden)
        return PackedSequence(output, batch_sizes, sorted_indices, unsorted_indices), self._join_hidden(hidden)

    def permute_hidden(self, hx, permutation):
        """Reorder the batch of a hidden state."""
        if permutation is None:
            return hx
        return self._join_hidden(tuple(h.index_select(1, permutation) for h in self._split_hx(hx)))

    def _join_hidden(self, hidden):
        return hidden[0]

    def _run_layers(self, data, hidden, batch_sizes):
        """All layers over `data`: (length, batch, width), or (total, width) with `batch_sizes`."""
        if rare.active and self.mode == "LSTM" and batch_sizes is None and not self.proj_size:
            recast = rare.recast("lstm")
            if recast is not None:
                return recast(self._run_rounded, (data, hidden, self.all_weights))
        return self._run_with(self.all_weights, data, hidden, batch_sizes)

    def _run_rounded(self, data, hidden, weights):
        """Run on what autocast has rounded to 16 bits, but sum in 32 bits, as PyTorch's own LSTM does."""
        lower = data.dtype
        single = [[weight.float() for weight in row] for row in weights]
        output, final = self._run_with(single, data.float(), tuple(h.float() for h in hidden), None)
        return output.to(lower), tuple(h.to(lower) for h in final)

    def _run_with(self, all_weights, data, hidden, batch_sizes):
        directions = 2 if self.bidirectional else 1
        sizes = [data.shape[1]] * data.shape[0] if batch_sizes is None else batch_sizes
        walks = [Walk(sizes, direction == 1) for direction in range(directions)]
        finals = []
        for layer in range(self.num_layers):
            per_direction = []
            for direction in range(directions):
                row = layer * directions + direction
                names = (name.rsplit("_l", 1)[0] for name in self._all_weights[row])
                weights = dict(zip(names, all_weights[row], strict=True))
                start = tuple(h[row] for h in hidden)
                if _suits_loop(data, start, weights):
                    outputs, final = _run_loop(self.mode, data, start, weights, walks[direction])
                else:
                    outputs, final = _run_steps(self.mode, data, start, weights, batch_sizes, direction == 1)
                per_direction.append(outputs)
                finals.append(final)
            data = per_direction[0] if directions == 1 else wengert.cat(per_direction, -1)
            if self.dropout and layer < self.num_layers - 1:
                data = F.dropout(data, self.dropout, self.training)
        return data, tuple(wengert.stack([final[i] for final in finals]) for i in range(len(finals[0])))

    def extra_repr(self):
        text = f"{self.input_size}, {self.hidden_size}"
        for name, usual in (
            ("proj_size", 0),
            ("num_layers", 1),
            ("bias", True),
            ("batch_first", False),
            ("dropout", 0),
            ("bidirectional", False),
        ):
            value = getattr(self, name)
            if value != usual:
                text += f", {name}={value}"
        return text

    def __getstate__(self):
        # PyTorch, where it reads the pickle, expects these lists and does not make them anew.
        lists = {"_flat_weights_names": self._flat_weights_names, "_flat_weights": self._flat_weights}
        return {**self.__dict__, **lists}

    def __setstate__(self, state):
        # PyTorch keeps lists of the weights beside the parameters; here they are read when needed.
        derived = ("_flat_weights", "_flat_weights_names", "_flat_weight_refs")
        state = {k: v for k, v in state.items() if k not in derived}
        state.setdefault("proj_size", 0)
        if "all_weights" in state:
            state["_all_weights"] = state.pop("all_weights")
        super().__setstate__(state)


class RNN(RNNBase):
    """h = tanh(x W_ihᵀ + b_ih + h W_hhᵀ + b_hh), or with relu, over sequences; arguments as RNNBase's after mode."""

    def __init__(self, *args, **kwargs):
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            self.nonlinearity = args[3]
            args = args[:3] + args[4:]
        else:
            self.nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if self.nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{self.nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__("RNN_" + self.nonlinearity.upper(), *args, **kwargs)


class LSTM(RNNBase):
    """Long short-term memory over sequences; hidden state (h, c); arguments as RNNBase's after mode."""

    def __init__(self, *args, **kwargs):
        super().__init__("LSTM", *args, **kwargs)

    def _split_hx(self, hx):
        return tuple(hx)

    def _join_hidden(self, hidden):
        return hidden

    def _zero_hidden(self, data, batch):
        rows = self.num_layers * (2 if self.bidirectional else 1)
        cells = wengert.zeros(rows, batch, self.hidden_size, dtype=data.dtype, device=data.device)
        return (*super()._zero_hidden(data, batch), cells)

    def get_expected_cell_size(self, input, batch_sizes):
        """(layers · directions, batch, hidden_size) for `input`."""
        rows, batch, _ = self.get_expected_hidden_size(input, batch_sizes)
        return rows, batch, self.hidden_size

    def check_forward_args(self, input, hidden, batch_sizes):
        """Raise unless input, hidden state and cell state fit."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(
            hidden[0], self.get_expected_hidden_size(input, batch_sizes), "Expected hidden[0] size {}, got {}"
        )
        self.check_hidden_size(
            hidden[1], self.get_expected_cell_size(input, batch_sizes), "Expected hidden[1] size {}, got {}"
        )


class GRU(RNNBase):
    """Gated recurrent unit over sequences; arguments as RNNBase's after mode."""

    def __init__(self, *args, **kwargs):
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)


class RNNCellBase(Module):
    """What the single cells share: weight_ih, weight_hh, bias_ih, bias_hh for `num_chunks` gates."""

    __constants__ = ["input_size", "hidden_size", "bias"]

    def __init__(self, input_size, hidden_size, bias, num_chunks, device=None, dtype=None):
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size

        def empty(*shape):
            return Parameter(wengert.empty(shape, device=device, dtype=dtype))

        self.weight_ih = empty(rows, input_size)
        self.weight_hh = empty(rows, hidden_size)
        self.register_parameter("bias_ih", empty(rows) if bias else None)
        self.register_parameter("bias_hh", empty(rows) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw all parameters uniformly from ±1/√hidden_size."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _step(self, mode, input, hidden):
        """One step of `input` (batch, input_size) or (input_size), hidden state zero if None."""
        name = type(self).__name__
        if input.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        states = 2 if mode == "LSTM" else 1
        for i, h in enumerate(hidden or ()):
            if h.dim() not in (1, 2):
                which = "hidden" if states == 1 else f"hx[{i}]"
                raise ValueError(f"{name}: Expected {which} to be 1D or 2D, got {h.dim()}D instead")
        batched = input.dim() == 2
        input = input if batched else input.unsqueeze(0)
        if input.size(1) != self.input_size:
            raise RuntimeError(f"input has inconsistent input_size: got {input.size(1)} expected {self.input_size}")
        if hidden is None:
            zeros = wengert.zeros(input.size(0), self.hidden_size, dtype=input.dtype, device=input.device)
            hidden = (zeros,) * states
        else:
            hidden = tuple(h if batched else h.unsqueeze(0) for h in hidden)
            for i, h in enumerate(hidden):
                if h.size(0) != input.size(0):
                    raise RuntimeError(
                        f"Input batch size {input.size(0)} doesn't match hidden{i} batch size {h.size(0)}"
                    )
                if h.size(1) != self.hidden_size:
                    raise RuntimeError(
                        f"hidden{i} has inconsistent hidden_size: got {h.size(1)}, expected {self.hidden_size}"
                    )
        gates = F.linear(input, self.weight_ih, self.bias_ih)
        new = _STEPS[mode](gates, hidden, self.weight_hh, self.bias_hh, None)
        return new if batched else tuple(h.squeeze(0) for h in new)

    def extra_repr(self):
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if self.__dict__.get("nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text


class RNNCell(RNNCellBase):
    """One step of an Elman RNN."""

    __constants__ = ["input_size", "hidden_size", "bias", "nonlinearity"]

    def __init__(self, input_size, hidden_size, bias=True, nonlinearity="tanh", device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, num_chunks=1, device=device, dtype=dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input, hx=None):
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._step("RNN_" + self.nonlinearity.upper(), input, None if hx is None else (hx,))[0]


class LSTMCell(RNNCellBase):
    """One step of an LSTM; returns (h, c)."""

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, num_chunks=4, device=device, dtype=dtype)

    def forward(self, input, hx=None):
        return self._step("LSTM", input, hx)


class GRUCell(RNNCellBase):
    """One step of a GRU."""

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, num_chunks=3, device=device, dtype=dtype)

    def forward(self, input, hx=None):
        return self._step("GRU", input, None if hx is None else (hx,))[0]


# --- under `torch` itself: layers and cells whose weights are arguments -----------------------------------------------


def layers_with_weights(mode, name):
    """``torch.lstm`` and its kind: all layers of a recurrent network, the weights given as one list."""

    def function(input, hx, params, *options):
        packed = isinstance(params, Tensor) or (mode == "LSTM" and isinstance(hx, Tensor))
        batch_sizes = None
        if packed:  # the other signature: (data, batch_sizes, hx, params, ...), without `batch_first`
            batch_sizes, hx, params, options = hx.tolist(), params, options[0], (*options[1:], False)
        _, num_layers, dropout, train, bidirectional, batch_first = options
        rows = num_layers * (2 if bidirectional else 1)
        weights = [list(params[i : i + len(params) // rows]) for i in range(0, len(params), len(params) // rows)]
        names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"]
        if len(weights[0]) == 3:
            del names[2:4]
        layers = SimpleNamespace(
            mode=mode, bidirectional=bidirectional, num_layers=num_layers, dropout=dropout, training=train,
            _all_weights=[names[: len(row)] for row in weights],
        )  # fmt: skip
        hidden = tuple(hx) if mode == "LSTM" else (hx,)
        data = input.transpose(0, 1) if batch_first else input
        output, final = RNNBase._run_with(layers, weights, data, hidden, batch_sizes)
        return (output.transpose(0, 1) if batch_first else output), *final

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""All layers of `torch.nn.{name.split("_")[0].upper()}`, the weights given as arguments.

    Args:
        input: (length, batch, width), or (batch, length, width) if `batch_first`.
        hx: the hidden state at the start{" and the cell's" if mode == "LSTM" else ""}, (layers, batch, hidden) each.
        params: the weights and biases of each layer and direction in turn.
        options: has_biases, num_layers, dropout, train, bidirectional, batch_first; or, where batch_sizes stands
            before hx, without the last.
    Returns:
        The output of the last layer, then the final state."""
    return function


def cell_with_weights(mode, name):
    """``torch.lstm_cell`` and its kind: one step, the weights given as arguments."""

    def function(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
        hidden = tuple(hx) if mode == "LSTM" else (hx,)
        new = _STEPS[mode](F.linear(input, w_ih, b_ih), hidden, w_hh, b_hh, None)
        return new if mode == "LSTM" else new[0]

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "One step of a recurrent cell on (batch, width), its weights given as arguments: the new state."
    return function


lstm, gru = layers_with_weights("LSTM", "lstm"), layers_with_weights("GRU", "gru")
rnn_tanh, rnn_relu = layers_with_weights("RNN_TANH", "rnn_tanh"), layers_with_weights("RNN_RELU", "rnn_relu")
lstm_cell, gru_cell = cell_with_weights("LSTM", "lstm_cell"), cell_with_weights("GRU", "gru_cell")
rnn_tanh_cell = cell_with_weights("RNN_TANH", "rnn_tanh_cell")
rnn_relu_cell = cell_with_weights("RNN_RELU", "rnn_relu_cell")
