"""A number that an element cannot hold is refused, as in PyTorch; some wrap around or become infinite as there."""

import pytest

import wengert as torch


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("uint8", -2.0), ("uint8", 300), ("int8", 300), ("int32", 1e10), ("float16", 1e6), ("bfloat16", 1e39)],
)
def test_what_does_not_fit_is_refused(dtype, value):
    x = torch.zeros(3, dtype=getattr(torch, dtype))
    for write in (
        lambda: x.fill_(value),
        lambda: x.masked_fill(x == 0, value),
        lambda: x.index_fill(0, torch.tensor([0]), value),
        lambda: torch.full_like(x, value),
    ):
        with pytest.raises(RuntimeError, match="value cannot be converted to type"):
            write()


def test_negative_integers_wrap_around_in_unsigned_types():
    assert torch.full((1,), -1, dtype=torch.uint8).item() == 255


def test_half_precision_written_by_index_becomes_infinite():
    x = torch.zeros(2, dtype=torch.float16)
    x[0] = 1e6
    assert x.tolist() == [float("inf"), 0]
