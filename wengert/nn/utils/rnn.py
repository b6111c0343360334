"""Batches of sequences of different lengths: packed without padding, padded, and back."""

from collections import namedtuple
from collections.abc import Iterable
from itertools import pairwise

import numpy as np

import wengert
from wengert.tensor import Tensor

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpad_sequence",
    "pack_sequence",
    "unpack_sequence",
]

_Fields = namedtuple("PackedSequence", ["data", "batch_sizes", "sorted_indices", "unsorted_indices"])


class PackedSequence(_Fields):
    """Sequences, longest first, laid down step by step: all first elements, all second elements, ...

    `batch_sizes[t]` is the number of sequences longer than t; `sorted_indices` the order in which they were sorted,
    `unsorted_indices` its inverse (None if they came sorted). Made by `pack_padded_sequence` and `pack_sequence`.
    """

    __slots__ = ()

    def __new__(cls, data, batch_sizes=None, sorted_indices=None, unsorted_indices=None):
        if batch_sizes is None:
            if not isinstance(data, list | tuple) or len(data) != 2:
                raise AssertionError("data must be a list or tuple of length 2 when batch_sizes is None")
            data, batch_sizes = data
        if batch_sizes.device.type != "cpu":
            raise ValueError(
                "batch_sizes should always be on CPU. Instances of PackedSequence should never be created manually. "
                "They should be instantiated by functions like pack_sequence and pack_padded_sequences in nn.utils.rnn."
            )
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def __getnewargs__(self):
        return tuple(self)

    def to(self, *args, **kwargs):
        """With `data` converted as `Tensor.to` does; self if that changes nothing."""
        data = self.data.to(*args, **kwargs)
        return self if data is self.data else type(self)(data, *self[1:])

    def cpu(self, *args, **kwargs):
        """On the CPU."""
        return self.to("cpu")

    def cuda(self, *args, **kwargs):
        """On a GPU."""
        return type(self)(self.data.cuda(*args, **kwargs), *self[1:])

    def double(self):
        """In float64."""
        return self.to(dtype=wengert.float64)

    def float(self):
        """In float32."""
        return self.to(dtype=wengert.float32)

    def half(self):
        """In float16."""
        return self.to(dtype=wengert.float16)

    def long(self):
        """In int64."""
        return self.to(dtype=wengert.int64)

    def int(self):
        """In int32."""
        return self.to(dtype=wengert.int32)

    def short(self):
        """In int16."""
        return self.to(dtype=wengert.int16)

    def char(self):
        """In int8."""
        return self.to(dtype=wengert.int8)

    def byte(self):
        """In uint8."""
        return self.to(dtype=wengert.uint8)

    def pin_memory(self):
        """With its tensors in pinned memory."""
        return type(self)(self.data.pin_memory(), *self[1:])

    def is_pinned(self):
        """Whether `data` is in pinned memory."""
        return self.data.is_pinned()

    @property
    def is_cuda(self):
        """Whether `data` is on a GPU."""
        return self.data.is_cuda


def invert_permutation(permutation):
    """The permutation that undoes `permutation` (None for None)."""
    if permutation is None:
        return None
    return wengert.empty_like(permutation).scatter_(
        0, permutation, wengert.arange(0, permutation.numel(), device=permutation.device)
    )


def pack_padded_sequence(input, lengths, batch_first=False, enforce_sorted=True):
    """Pack padded sequences: (length, batch, *), or (batch, length, *) if `batch_first`.

    `lengths` gives each sequence's; they must fall if `enforce_sorted`, otherwise the sequences are sorted.
    """
    if not isinstance(lengths, Tensor):
        lengths = wengert.as_tensor(lengths, dtype=wengert.int64, device="cpu")
    sorted_indices = None
    if not enforce_sorted:
        lengths, sorted_indices = wengert.sort(lengths, descending=True)
        sorted_indices = sorted_indices.to(input.device)
        input = input.index_select(0 if batch_first else 1, sorted_indices)
    if batch_first:
        input = input.transpose(0, 1)
    sizes = lengths.tolist()
    if not sizes or input.numel() == 0:
        raise RuntimeError("Cannot pack empty tensors.")
    if len(sizes) != input.size(1):
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(sizes)} (batch_size={input.size(1)})"
        )
    if any(a < b for a, b in pairwise(sizes)):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if you "
            "do not need ONNX exportability."
        )
    if sizes[-1] <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    if sizes[0] > input.size(0):
        raise IndexError(f"A sequence of length {sizes[0]} doesn't lie within the input's {input.size(0)} steps")
    present = np.arange(sizes[0])[:, None] < sizes  # (steps, batch)
    times, places = np.nonzero(present)
    index = places * input.size(0) + times if batch_first else times * input.size(1) + places
    rows = (input.transpose(0, 1) if batch_first else input).reshape(-1, *input.shape[2:])
    data = rows.index_select(0, wengert.from_numpy(index))
    return PackedSequence(data, wengert.from_numpy(present.sum(1)), sorted_indices, None)


def pad_packed_sequence(sequence, batch_first=False, padding_value=0.0, total_length=None):
    """Undo `pack_padded_sequence`; returns (padded, lengths), padded to `total_length` if that is given."""
    sizes = sequence.batch_sizes.tolist()
    longest = len(sizes)
    if total_length is not None:
        if total_length < longest:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in input, "
                f"but got total_length={total_length} and max sequence length being {longest}"
            )
        longest = total_length
    width = tuple(sequence.data.shape[1:])
    steps = []
    for part in sequence.data.split(sizes):
        missing = sizes[0] - part.shape[0]
        if missing:
            part = wengert.cat([part, part.new_full((missing, *width), padding_value)])
        steps.append(part)
    padded = wengert.stack(steps)
    if longest > len(sizes):
        padded = wengert.cat([padded, padded.new_full((longest - len(sizes), sizes[0], *width), padding_value)])
    if batch_first:
        padded = padded.transpose(0, 1)
    lengths = wengert.tensor([sum(n > i for n in sizes) for i in range(sizes[0])], dtype=wengert.int64)
    if sequence.unsorted_indices is not None:
        padded = padded.index_select(0 if batch_first else 1, sequence.unsorted_indices)
        lengths = lengths[sequence.unsorted_indices.cpu()]
    return padded, lengths


def pad_sequence(sequences, batch_first=False, padding_value=0.0, padding_side="right"):
    """Stack tensors (length_i, *) into one, padded to the longest: (length, batch, *), or batch first."""
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    if isinstance(sequences, Tensor):
        sequences = sequences.unbind(0)
    sequences = list(sequences)
    if not sequences:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    longest = max(s.size(0) for s in sequences)
    padded = []
    for s in sequences:
        missing = longest - s.size(0)
        if missing:
            fill = s.new_full((missing, *s.shape[1:]), padding_value)
            s = wengert.cat([s, fill] if padding_side == "right" else [fill, s])
        padded.append(s)
    return wengert.stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences, lengths, batch_first=False):
    """Undo `pad_sequence`: the list of sequences, each cut to its length."""
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    return [s[: int(n)] for s, n in zip(padded_sequences, lengths, strict=True)]


def pack_sequence(sequences, enforce_sorted=True):
    """Pack a list of tensors (length_i, *)."""
    lengths = wengert.as_tensor([s.size(0) for s in sequences])
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences):
    """Undo `pack_sequence`."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
