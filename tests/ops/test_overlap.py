"""An operation may not write where it reads something else."""

import pytest

import wengert


@pytest.mark.parametrize("write", [
    lambda x: x[1:].add_(x[:-1]),
    lambda x: x.mul_(x[0]),
    lambda x: x.view(2, 3).t().copy_(x.view(3, 2)),
    lambda x: x.__setitem__(slice(1, None), x[:-1]),
    lambda x: x.index_add_(0, wengert.tensor([0]), x[1:2]),
    lambda x: wengert.add(x[:-1], 1, out=x[1:]),
])  # fmt: skip
def test_what_would_depend_on_the_order_of_writes_is_refused_and_nothing_written(write):
    x = wengert.arange(6.0)
    with pytest.raises(RuntimeError, match="some elements of the input tensor and the written-to tensor refer"):
        write(x)
    assert x.tolist() == [0, 1, 2, 3, 4, 5]
    with pytest.raises(RuntimeError, match="some elements"), wengert.no_grad():
        write(x)


def test_the_same_elements_and_separate_ones_may_be_written():
    x = wengert.arange(6.0)
    x[1:].add_(x[1:])
    x[:3].add_(x[3:])
    x.sub_(x.detach())
    x[::2].add_(x[1::2] + 1)
    x[:2] = x[0]
    assert x.tolist() == [1, 1, 1, 0, 1, 0]
