"""``torch.nn.attention.flex_attention``: refused by name, as it is a compiler's work."""

__all__ = ["BlockMask", "create_block_mask", "create_mask", "flex_attention"]


def _refused(name):
    def function(*args, **kwargs):
        raise NotImplementedError(
            f"torch.nn.attention.flex_attention.{name}(): not supported; scaled_dot_product_attention takes an "
            "attn_mask of numbers or truth values"
        )

    function.__name__ = name
    function.__doc__ = "Refused by name."
    return function


BlockMask, create_block_mask, create_mask, flex_attention = map(_refused, __all__)
