"""Attention on arrays: scores, softmax and the weighted sum in one pass over memory that is used again."""

import functools

import numpy as np

from wengert.kernels.matmul import times


@functools.lru_cache(maxsize=8)
def causal_bias(rows, columns, dtype):
    """Minus infinity where a position would see a later one, zero elsewhere."""
    return np.triu(np.full((rows, columns), -np.inf, dtype), 1)


def attend(query, key, value, mask, is_causal, scale):
    """(softmax(query @ key.T · scale + mask) @ value, the weights); a position that sees nothing gets zeros.

    `mask` is None, or broadcasts with the scores: True where to look, or a number to add.
    """
    weights = times(query * query.dtype.type(scale), key.swapaxes(-1, -2))
    if is_causal:
        weights += causal_bias(*weights.shape[-2:], weights.dtype)
    elif mask is not None and mask.dtype == bool:
        np.copyto(weights, -np.inf, where=~mask)
    elif mask is not None:
        weights += mask
    highest = np.maximum.reduce(weights, axis=-1, keepdims=True)
    if mask is not None:
        highest[np.isneginf(highest)] = 0
    weights -= highest
    np.exp(weights, out=weights)
    total = np.add.reduce(weights, axis=-1, keepdims=True)
    if mask is not None:
        total[total == 0] = 1
    weights /= total
    return times(weights, value), weights


def attend_gradients(g, query, key, value, weights, scale):
    """Gradients of `attend` for query, key and value."""
    to_weights = times(g, value.swapaxes(-1, -2))
    to_weights -= np.einsum("...ij,...ij->...i", to_weights, weights)[..., None]
    to_weights *= weights
    to_weights *= query.dtype.type(scale)
    transposed = to_weights.swapaxes(-1, -2)
    return times(to_weights, key), times(transposed, query), times(weights.swapaxes(-1, -2), g)
