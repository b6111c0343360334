"""``torch.nn.attention.bias``: masks of attention that are known by name, not by their elements."""

import enum

import wengert
from wengert.nn import functional as F
from wengert.tensor import Tensor

__all__ = ["CausalBias", "CausalVariant", "causal_lower_right", "causal_upper_left"]


class CausalVariant(enum.IntEnum):
    """Which corner the diagonal of a mask that isn't square starts from: the first elements, or the last."""

    UPPER_LEFT = 1
    LOWER_RIGHT = 2


class CausalBias(Tensor):
    """A mask that lets each query see only the keys up to its own place; for `scaled_dot_product_attention` alone.

    Args:
        variant: a `CausalVariant`.
        seq_len_q, seq_len_kv: the number of queries and of keys.

    Raises:
        AssertionError: `variant` is something else.
    """

    def __init__(self, variant, seq_len_q, seq_len_kv):
        if not isinstance(variant, CausalVariant):
            raise AssertionError(f"variant must be a CausalVariant, got {type(variant).__name__}")
        self.variant, self.seq_len_q, self.seq_len_kv = variant, seq_len_q, seq_len_kv

    def _materialize(self, device=None):
        """The mask as bools (queries, keys): True where a query sees a key."""
        diagonal = self.seq_len_kv - self.seq_len_q if self.variant is CausalVariant.LOWER_RIGHT else 0
        seen = wengert.ones(self.seq_len_q, self.seq_len_kv, dtype=wengert.bool, device=device)
        return seen.tril(diagonal)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func is not F.scaled_dot_product_attention:
            raise NotImplementedError(
                "CausalBias only supports scaled_dot_product_attention, not " + getattr(func, "__name__", str(func))
            )
        return attend(*args, **(kwargs or {}))

    def __repr__(self):
        return self._materialize().__repr__()


def attend(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    if is_causal:
        raise ValueError("CausalBias should not be used with causal=True")
    mask = attn_mask._materialize(query.device)
    return F.scaled_dot_product_attention(
        query, key, value, mask, dropout_p, False, scale=scale, enable_gqa=enable_gqa
    )


def causal_upper_left(*size):
    """The mask of this size whose diagonal starts at the first query and the first key."""
    return of_size(CausalVariant.UPPER_LEFT, size)


def causal_lower_right(*size):
    """The mask of this size whose diagonal ends at the last query and the last key."""
    return of_size(CausalVariant.LOWER_RIGHT, size)


def of_size(variant, size):
    if len(size) != 2:
        raise AssertionError(f"causal_{variant.name.lower()} only supports 2D tensors, got {len(size)} sizes")
    return CausalBias(variant, *size)
