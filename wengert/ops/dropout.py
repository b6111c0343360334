"""Dropout under the names and checks of `torch.nn.functional`; the drawing is in `wengert.ops.random`."""

import warnings

from wengert.ops import random
from wengert.ops.declare import composite


def probability(p):
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


@composite(namespace="nn.functional", method=False)
def dropout(input, p=0.5, training=True, inplace=False):
    """Zero each element with probability `p`, scale the others to keep the mean (Srivastava et al., 2014)."""
    probability(p)
    return random.dropped("dropout", input, p, training, inplace=inplace)


@composite(namespace="nn.functional", method=False)
def alpha_dropout(input, p=0.5, training=False, inplace=False):
    """Dropout that keeps mean 0 and variance 1 of SELU activations (Klambauer et al., 2017)."""
    probability(p)
    return random.dropped("alpha_dropout", input, p, training, alpha=True, inplace=inplace)


@composite(namespace="nn.functional", method=False)
def feature_alpha_dropout(input, p=0.5, training=False, inplace=False):
    """`alpha_dropout` of whole channels."""
    probability(p)
    return random.dropped("feature_alpha_dropout", input, p, training, feature=True, alpha=True, inplace=inplace)


@composite(namespace="nn.functional", method=False)
def dropout1d(input, p=0.5, training=True, inplace=False):
    """Zero whole channels of (N, C, L) or (C, L) (Tompson et al., 2015)."""
    probability(p)
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input. Note that dropout1d exists to "
            f"provide "
            "channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional batch "
            "dimension "
            "(i.e. 2D or 3D inputs)."
        )
    return channels(input, p, training, inplace, single=input.ndim == 2)


@composite(namespace="nn.functional", method=False)
def dropout2d(input, p=0.5, training=True, inplace=False):
    """Zero whole channels of (N, C, H, W) (Tompson et al., 2015)."""
    probability(p)
    if input.ndim not in (3, 4):
        warnings.warn(
            f"dropout2d: Received a {input.ndim}-D input to dropout2d, which is deprecated and will result in an "
            f"error in a "
            "future release. To retain the behavior and silence this warning, please use dropout instead. Note that "
            "dropout2d exists to provide channel-wise dropout on inputs with 2 spatial dimensions, a channel "
            "dimension, and "
            "an optional batch dimension (i.e. 3D or 4D inputs).",
            stacklevel=4,
        )
    if input.ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is "
            "desired - "
            "input is interpreted as shape (N, C, L), where C is the channel dim. This behavior will change in a "
            "future "
            "release to interpret the input as one without a batch dimension, i.e. shape (C, H, W). To maintain the 1D "
            "channel-wise dropout behavior, please switch to using dropout1d instead.",
            stacklevel=4,
        )
    return channels(input, p, training, inplace, single=False)


@composite(namespace="nn.functional", method=False)
def dropout3d(input, p=0.5, training=True, inplace=False):
    """Zero whole channels of (N, C, D, H, W) or (C, D, H, W) (Tompson et al., 2015)."""
    probability(p)
    if input.ndim not in (4, 5):
        warnings.warn(
            f"dropout3d: Received a {input.ndim}-D input to dropout3d, which is deprecated and will result in an "
            f"error in a "
            "future release. To retain the behavior and silence this warning, please use dropout instead. Note that "
            "dropout3d exists to provide channel-wise dropout on inputs with 3 spatial dimensions, a channel "
            "dimension, and "
            "an optional batch dimension (i.e. 4D or 5D inputs).",
            stacklevel=4,
        )
    return channels(input, p, training, inplace, single=input.ndim == 4)


def channels(input, p, training, inplace, single):
    batch = input
    if single:  # in place PyTorch gives the input itself the dimension of a batch, for a while
        batch = input.unsqueeze_(0) if inplace else input.unsqueeze(0)
    out = random.dropped("feature_dropout", batch, p, training, feature=True, inplace=inplace)
    if single:
        return out.squeeze_(0) if inplace else out.squeeze(0)
    return out
