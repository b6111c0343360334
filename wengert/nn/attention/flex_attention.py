"""``torch.nn.attention.flex_attention``: attention compiled from a function of scores, which needs a compiler."""

from wengert.absent import refuses

_DEFAULT_SPARSE_BLOCK_SIZE = 128

refuses(
    globals(),
    ("and_masks", "create_block_mask", "create_mask", "create_nested_block_mask", "flex_attention", "noop_mask",
     "or_masks"),
    ("AuxOutput", "AuxRequest", "BlockMask"),
    why="has no compiled attention; scaled_dot_product_attention takes masks",
)  # fmt: skip
