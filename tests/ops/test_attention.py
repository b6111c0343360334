"""Attention of several heads: what is refused. Its values are compared with PyTorch's."""

import pytest

import wengert


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"static_k": wengert.ones(4, 3, 2)}, r"expecting static_k.size\(2\) of 4, but got 2"),
        ({"static_v": wengert.ones(3, 3, 4)}, r"expecting static_v.size\(0\) of 4, but got 3"),
        ({"bias_k": wengert.ones(1, 1, 8)}, "bias_k is set but bias_v is None"),
        ({"bias_k": wengert.ones(1, 1, 8), "bias_v": wengert.ones(1, 1, 8), "static_k": wengert.ones(4, 3, 4)},
         "bias cannot be added to static key"),
    ],
)  # fmt: skip
def test_keys_given_as_they_are_stand_alone(given, text):
    x, w = wengert.ones(3, 2, 8), wengert.ones(24, 8)
    rest = {"bias_k": None, "bias_v": None, **given}
    with pytest.raises(AssertionError, match=text):
        wengert.nn.functional.multi_head_attention_forward(
            x, x, x, 8, 2, in_proj_weight=w, in_proj_bias=None, add_zero_attn=False, dropout_p=0.0,
            out_proj_weight=w[:8], out_proj_bias=None, **rest,
        )  # fmt: skip


def test_a_mask_for_each_head_is_of_all_heads():
    attend = wengert.nn.MultiheadAttention(4, 2)
    x = wengert.ones(3, 4)
    with pytest.raises(AssertionError, match=r"Expected `attn_mask` shape to be \(2, 3, 3\)"):
        attend(x, x, x, attn_mask=wengert.zeros(5, 3, 3))
