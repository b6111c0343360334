"""``torch.nested``: tensors of tensors of different lengths, refused by name."""

from wengert.absent import refuses
from wengert.outside import outside

__path__: list[str] = []  # a package: see absent.Finder
refuses(
    globals(),
    ("as_nested_tensor", "narrow", "nested_tensor", "nested_tensor_from_jagged", "to_padded_tensor"),
    why="has no nested tensors; torch.nn.utils.rnn pads and packs",
)

__getattr__ = outside(__name__)
