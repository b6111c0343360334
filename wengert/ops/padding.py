"""Padding: by a constant, by reflection, by repeating the border, or around in a circle; negative padding crops."""

from functools import lru_cache

import numpy as np

from wengert.kernels import resampling as kernels
from wengert.kernels.convolution import laid_out_like
from wengert.ops.convolution import by
from wengert.ops.declare import composite, primitive

HIDDEN = {"function": False, "method": False}


def _constant(input, pads, value):
    return kernels.pad_constant(input, pads, value)


constant = primitive(
    "constant_pad_nd", _constant, **HIDDEN,
    input=lambda g, pads: constant(g, tuple((-before, -after) for before, after in pads), 0),
)  # fmt: skip


NUMPY_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@lru_cache(maxsize=256)
def sources(mode, size, before, after):
    """Which element of an axis each element of the padded one is."""
    return np.pad(np.arange(size), (before, after), NUMPY_MODES[mode])


def _repeat(input, mode, pads):
    crops = min(min(pad) for pad in pads) < 0
    if not crops and input.size >= 1 << 17:  # by slices, after long preparations
        padded = np.pad(input, ((0, 0), (0, 0), *pads), NUMPY_MODES[mode])
    elif not crops and input.size:
        padded = input
        for axis, pad in enumerate(pads, 2):
            if pad != (0, 0):
                padded = padded.take(sources(mode, input.shape[axis], *pad), axis)
        padded = input.copy() if padded is input else padded
    else:
        taps = [kernels.padding_taps(mode, size, *pad) for size, pad in zip(input.shape[2:], pads, strict=True)]
        padded = kernels.resample(input, taps)
    return padded if mode == "circular" else laid_out_like(padded, input)


def _fold_back(c, mode, pads, space):
    taps = [kernels.padding_taps(mode, size, *pad) for size, pad in zip(space, pads, strict=True)]
    return laid_out_like(kernels.resample_transpose(c, taps, space), c)


fold_back = primitive("pad_backward", _fold_back, **HIDDEN, c=lambda g, mode, pads: repeat(g, mode, pads))
NAMES = {"reflect": "reflection", "replicate": "replication", "circular": "circular"}
REPEAT = {
    (mode, axes): primitive(
        f"{name}_pad{axes}d", _repeat, **HIDDEN, node=f"{name.capitalize()}Pad{axes}DBackward0",
        input=lambda g, mode, pads, input_shape: fold_back(g, mode, pads, input_shape[2:]),
    )
    for mode, name in NAMES.items()
    for axes in (1, 2, 3)
}  # fmt: skip


repeat = REPEAT[
    "replicate", 2
]  # under one name, for `fold_back`: formulas find operations by the names of their module


@composite(method=False)
def constant_pad_nd(input, pad, value=0):
    """Surround `input` with `value`; `pad` holds (before, after) for the last dimension, then the one before it, ..."""
    if len(pad) % 2:
        raise RuntimeError(f"Length of pad must be even but instead it equals {len(pad)}")
    count = len(pad) // 2
    if count > input.ndim:
        raise RuntimeError(
            f"Length of pad should be no more than twice the number of dimensions of the input. Pad length is "
            f"{len(pad)} while "
            f"the input has {input.ndim} dimensions."
        )
    pairs = [(int(pad[2 * i]), int(pad[2 * i + 1])) for i in reversed(range(count))]
    pads = ((0, 0),) * (input.ndim - count) + tuple(pairs)
    for size, (before, after) in zip(input.shape, pads, strict=True):
        if size + min(before, 0) + min(after, 0) < 0:
            raise RuntimeError(
                f"narrow(): length must be non-negative. (The input size {size}, plus negative padding {before} and "
                f"{after}, resulted in a negative output size, which is invalid.)"
            )
    return constant(input, pads, value)


@composite(namespace="nn.functional", method=False)
def pad(input, pad, mode="constant", value=None):
    """Pad the last dimensions.

    Args:
        input: any shape for mode "constant"; (N, C, *space) or (C, *space) with up to three axes of space otherwise.
        pad: (before, after) of the last dimension, then of the one before it, ...; negative numbers crop.
        mode: "constant", "reflect", "replicate" or "circular".
        value: the constant (0 unless given).
    """
    if len(pad) % 2:
        raise RuntimeError(f"Padding length must be divisible by 2. Got padding length {len(pad)}.")
    if len(pad) // 2 > input.ndim:
        raise RuntimeError(
            f"Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(pad)} "
            f"and input of dimension {input.ndim}"
        )
    if mode == "constant":
        return constant_pad_nd(input, pad, 0 if value is None else value)
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}"' + " doesn't take in value argument")
    if mode not in NAMES:
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    axes = len(pad) // 2
    if axes not in (1, 2, 3) or input.ndim not in (axes + 1, axes + 2):
        raise NotImplementedError(f"Padding size {len(pad)} is not supported for {input.ndim}D input tensor.")
    single = input.ndim == axes + 1
    batch = input.unsqueeze(0) if single else input
    pads = tuple((int(pad[2 * i]), int(pad[2 * i + 1])) for i in reversed(range(axes)))
    check(batch, mode, pads)
    out = REPEAT[mode, axes](batch, mode, pads)
    return out.squeeze(0) if single else out


def check(input, mode, pads):
    space = input.shape[2:]
    for axis, (size, (before, after)) in enumerate(zip(space, pads, strict=True), 2):
        if mode == "reflect" and (before >= size or after >= size):
            raise RuntimeError(
                "Argument #4: Padding size should be less than the corresponding input dimension, but got: padding "
                f"({before}, {after}) at dimension {axis} of input {list(input.shape)}"
            )
        if mode == "circular" and (before > size or after > size):
            raise RuntimeError("Padding value causes wrapping around more than once.")
        if mode == "circular" and size + min(before, 0) + min(after, 0) <= 0 < max(before, after):
            raise RuntimeError("Negative padding value is resulting in an empty dimension")
        if size + before + after < 0:
            raise RuntimeError(
                f"input {by(space)} is too small. Calculated output "
                f"{by(s + b + a for s, (b, a) in zip(space, pads, strict=True))}"
            )
    if mode != "circular" and 0 in input.shape[1:]:
        raise RuntimeError(
            f"Expected a tensor with possibly 0 batch size and other non-zero dimensions for input, but got: "
            f"{list(input.shape)}"
        )
