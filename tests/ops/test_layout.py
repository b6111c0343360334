"""Which results are laid out row by row, so that `view` works on them, whatever the strides of their source."""

import pytest

import wengert as torch
from wengert.nn import functional as F

TURNED = torch.arange(24.0).view(2, 3, 4).mT


@pytest.mark.parametrize(
    "result",
    [
        lambda: TURNED.contiguous(),
        lambda: TURNED.repeat(2, 1, 1),
        lambda: TURNED.roll(1, 0),
        lambda: F.layer_norm(TURNED, (3,)),
        lambda: F.one_hot(torch.tensor([[0, 1, 2], [2, 1, 0]]).t()),
        lambda: torch.arange(3.0).expand(4, 3).clone(),
        lambda: torch.arange(3.0).view(3, 1).expand(3, 4).clone(),
    ],
)
def test_laid_out_row_by_row(result):
    made = result()
    assert made.is_contiguous()
    assert made.view(-1).tolist() == made.flatten().tolist()


def test_a_copy_of_a_transposed_tensor_keeps_its_strides():
    assert TURNED.clone().stride() == TURNED.stride() == (12, 1, 4)
