"""Attention (Vaswani et al., 2017): scaled dot products, and many heads of them."""

import math

from wengert import dtypes
from wengert.kernels import attention as kernels
from wengert.ops.declare import composite, primitive
from wengert.ops.dropout import dropout
from wengert.ops.linear import linear
from wengert.ops.padding import pad
from wengert.ops.shape import cat
from wengert.tensor import wrap


def gradients(g, query, key, value, weights, mask, is_causal, scale):
    """Gradients of `attend` for query, key and value, written so that they can be differentiated in turn."""
    scores = (query * scale).matmul(key.mT)
    if is_causal:
        scores = scores + wrap(kernels.causal_bias(*scores.shape[-2:], scores.dtype.numpy))
    elif mask is not None:
        scores = scores.masked_fill(wrap(~mask), -math.inf) if mask.dtype == bool else scores + wrap(mask)
    weights = scores.softmax(-1)
    if mask is not None and mask.dtype == bool:
        weights = weights.masked_fill(wrap(~mask.any(-1, keepdims=True)), 0.0)
    to_weights = g.matmul(value.mT)
    to_scores = (to_weights - (to_weights * weights).sum(-1, True)) * weights * scale
    return to_scores.matmul(key), to_scores.mT.matmul(query), weights.mT.matmul(g)


gradients._on_tensors = True
gradients._on_arrays = lambda g, query, key, value, weights, mask, is_causal, scale: kernels.attend_gradients(
    g, query, key, value, weights, scale
)
attend = primitive(
    "scaled_dot_product_attention", kernels.attend, function=False, method=False, out=False,
    node="ScaledDotProductFlashAttentionForCpuBackward0", residuals=("weights",), joint_of=("query", "key", "value"),
    joint=lambda g, query, key, value, weights, mask, is_causal, scale: gradients(
        g, query, key, value, weights, mask, is_causal, scale
    ),
)  # fmt: skip


def in_one(query, key, value, attn_mask, dropout_p):
    """Whether the one operation computes this: batches of heads, and nothing but them to differentiate."""
    return (
        query.ndim == key.ndim == value.ndim == 4
        and query.shape[:2] == key.shape[:2] == value.shape[:2]
        and dropout_p == 0
        and query.dtype in (dtypes.float32, dtypes.float64)
        and (attn_mask is None or not attn_mask.requires_grad)
        and 0 not in query.shape + key.shape
    )


@composite(namespace="nn.functional", method=False)
def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    """softmax(query @ key.T * scale + mask) @ value.

    Args:
        query: (*, L, E); key: (*, S, E); value: (*, S, V).
        attn_mask: broadcasts with (*, L, S); True where to look, or a number to add.
        dropout_p: the probability with which attention weights are dropped.
        is_causal: whether position i sees positions up to i only.
        scale: 1 / sqrt(E) unless given.
        enable_gqa: whether several heads of `query` share one of `key` and `value`.
    """
    check(query, key, value, attn_mask, is_causal)
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
    dtype = query.dtype
    if dtype.itemsize == 2:  # 16-bit floats: computed in 32 bits
        query, key, value = query.float(), key.float(), value.float()
        if attn_mask is not None and attn_mask.dtype is dtype:
            attn_mask = attn_mask.float()
    if in_one(query, key, value, attn_mask, dropout_p):
        mask = None if attn_mask is None else attn_mask._array
        scale = 1 / math.sqrt(query.shape[-1]) if scale is None else float(scale)
        return attend(query, key, value, mask, is_causal, scale).to(dtype)
    root = math.sqrt(1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    scores = (query * root).matmul(key.transpose(-2, -1) * root)
    if is_causal:
        attn_mask = query.new_ones((query.shape[-2], key.shape[-2]), dtype=dtypes.bool_).tril()
    if attn_mask is None:
        weights = scores.softmax(-1)
    elif attn_mask.dtype is dtypes.bool_:
        hidden = attn_mask.logical_not()
        weights = scores.masked_fill(hidden, -math.inf).softmax(-1)
        # a position that sees nothing gets zeros, not NaN
        weights = weights.masked_fill(hidden.all(-1, True), 0.0)
    else:
        weights = (scores + attn_mask).softmax(-1)
    if dropout_p > 0:
        weights = dropout(weights, dropout_p)
    return weights.matmul(value).to(dtype)


def check(query, key, value, attn_mask, is_causal):
    if not query.dtype is key.dtype is value.dtype:
        raise RuntimeError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: "
            f"{query.dtype} key.dtype: {key.dtype} and value.dtype: {value.dtype} instead."
        )
    if query.ndim < 2 or key.ndim < 2 or value.ndim < 2:
        raise RuntimeError(
            "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: "
            f"{query.ndim} key.dim: {key.ndim} and value.dim: {value.ndim} instead."
        )
    if attn_mask is not None:
        if is_causal:
            raise RuntimeError(
                "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True"
            )
        if attn_mask.dtype is not dtypes.bool_ and attn_mask.dtype is not query.dtype:
            raise RuntimeError(
                "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
                f"{attn_mask.dtype} and  query.dtype: {query.dtype} instead."
            )


@composite(namespace="nn.functional", method=False)
def multi_head_attention_forward(
    query, key, value, embed_dim_to_check, num_heads, in_proj_weight, in_proj_bias, bias_k, bias_v, add_zero_attn,
    dropout_p, out_proj_weight, out_proj_bias, training=True, key_padding_mask=None, need_weights=True, attn_mask=None,
    use_separate_proj_weight=False, q_proj_weight=None, k_proj_weight=None, v_proj_weight=None, static_k=None,
    static_v=None, average_attn_weights=True, is_causal=False,
):  # fmt: skip
    """What `nn.MultiheadAttention` computes; (L, N, E) queries, (S, N, E) keys and values, or without N.

    Returns:
        The result, and the attention weights, averaged over heads unless asked otherwise, or None.
    """
    single = query.ndim == 2
    check_heads(query, key, value, key_padding_mask, attn_mask, num_heads)
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask."
        )
    if single:
        query, key, value = query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    length, batch, width = query.shape
    if width != embed_dim_to_check:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim_to_check}, but got {width}")
    head = width // num_heads
    if head * num_heads != width:
        raise AssertionError(f"embed_dim {width} not divisible by num_heads {num_heads}")
    if use_separate_proj_weight:
        weights = (q_proj_weight, k_proj_weight, v_proj_weight)
    else:
        if key.shape != value.shape:
            raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")
        weights = in_proj_weight.chunk(3)
    biases = (None, None, None) if in_proj_bias is None else in_proj_bias.chunk(3)
    q, k, v = (linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True))
    mask = added(attn_mask, q.dtype, "attn_mask")
    key_mask = added(key_padding_mask, q.dtype, "key_padding_mask")
    if mask is not None:
        shape = (length, k.shape[0]) if mask.ndim == 2 else (batch * num_heads, length, k.shape[0])
        if mask.shape != shape:
            raise RuntimeError(f"The shape of the {mask.ndim}D attn_mask is {mask.shape}, but should be {shape}.")
        mask = mask.unsqueeze(0) if mask.ndim == 2 else mask
    if key_mask is not None:
        for axis, extent in enumerate((batch, k.shape[0])):
            if key_mask.shape[axis] != extent:
                raise AssertionError(
                    f"Expected key_padded_mask.shape[{axis}] to be {extent}, but got {key_mask.shape[axis]}"
                )
    check_fixed(bias_k, bias_v, static_k, static_v, batch * num_heads, head)
    if bias_k is not None:
        k, v = joined(k, bias_k.expand(1, batch, -1)), joined(v, bias_v.expand(1, batch, -1))
        mask, key_mask = one_more(mask), one_more(key_mask)
    q = q.reshape(length, batch * num_heads, head).transpose(0, 1)
    k = k.reshape(k.shape[0], batch * num_heads, head).transpose(0, 1) if static_k is None else static_k
    v = v.reshape(v.shape[0], batch * num_heads, head).transpose(0, 1) if static_v is None else static_v
    if add_zero_attn:
        k = joined(k, k.new_zeros((batch * num_heads, 1, head)), 1)
        v = joined(v, v.new_zeros((batch * num_heads, 1, head)), 1)
        mask, key_mask = one_more(mask), one_more(key_mask)
    source = k.shape[1]
    if key_mask is not None:
        each = key_mask.reshape(batch, 1, 1, source).expand(-1, num_heads, -1, -1).reshape(batch * num_heads, 1, source)
        mask = each if mask is None else mask + each
    scores = (q * math.sqrt(1 / head)).bmm(k.transpose(1, 2))
    attention = (scores if mask is None else scores + mask).softmax(-1)
    if training and dropout_p > 0:
        attention = dropout(attention, dropout_p)
    out = attention.bmm(v).transpose(0, 1).reshape(length * batch, width)
    out = linear(out, out_proj_weight, out_proj_bias).reshape(length, batch, -1)
    out = out.squeeze(1) if single else out
    if not need_weights:
        return out, None
    shown = attention.reshape(batch, num_heads, length, source)
    shown = shown.mean(1) if average_attn_weights else shown
    return out, shown.squeeze(0) if single else shown


def check_heads(query, key, value, key_padding_mask, attn_mask, num_heads):
    if query.ndim not in (2, 3):
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {query.ndim}-D query tensor"
        )
    if not query.ndim == key.ndim == value.ndim:
        raise AssertionError(
            f"For {'batched (3-D)' if query.ndim == 3 else 'unbatched (2-D)'} `query`, expected `key` and `value` to "
            f"be "
            f"{query.ndim}-D but found {key.ndim}-D and {value.ndim}-D tensors respectively"
        )
    if key_padding_mask is not None and key_padding_mask.ndim != query.ndim - 1:
        raise AssertionError(
            f"For {'batched (3-D)' if query.ndim == 3 else 'unbatched (2-D)'} `query`, expected `key_padding_mask` "
            f"to be `None` "
            f"or {query.ndim - 1}-D but found {key_padding_mask.ndim}-D tensor instead"
        )
    if attn_mask is not None and attn_mask.ndim not in (2, 3):
        raise AssertionError(
            f"For {'batched (3-D)' if query.ndim == 3 else 'unbatched (2-D)'} `query`, expected `attn_mask` to be "
            f"`None`, 2-D or 3-D but found {attn_mask.ndim}-D tensor instead"
        )
    if query.ndim == 2 and attn_mask is not None and attn_mask.ndim == 3:
        expected = (num_heads, query.shape[0], key.shape[0])
        if attn_mask.shape != expected:
            raise AssertionError(f"Expected `attn_mask` shape to be {expected} but got {attn_mask.shape}")


def check_fixed(bias_k, bias_v, static_k, static_v, rows, head):
    """Raise AssertionError unless the further key and value come together, and none beside keys given as they are."""
    if (bias_k is None) != (bias_v is None):
        there, absent = ("bias_v", "bias_k") if bias_k is None else ("bias_k", "bias_v")
        raise AssertionError(f"{there} is set but {absent} is None")
    for name, kind, given in (("static_k", "key", static_k), ("static_v", "value", static_v)):
        if given is None:
            continue
        if bias_k is not None:
            raise AssertionError(f"bias cannot be added to static {kind}.")
        for axis, extent in ((0, rows), (2, head)):
            if given.shape[axis] != extent:
                raise AssertionError(f"expecting {name}.size({axis}) of {extent}, but got {given.shape[axis]}")


def added(mask, dtype, name):
    """A mask as numbers to add to scores: -inf where a bool mask says not to look."""
    if mask is None or mask.dtype is not dtypes.bool_:
        if mask is not None and not mask.dtype.is_floating_point:
            raise AssertionError(f"only bool and floating types of {name} are supported")
        return mask
    return mask.new_zeros(mask.shape, dtype=dtype).masked_fill(mask, -math.inf)


def joined(x, more, dim=0):
    return cat([x, more], dim)


def one_more(mask):
    """A mask with one further source position, which is seen."""
    return None if mask is None else pad(mask, (0, 1))
