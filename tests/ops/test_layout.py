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


IMAGE = torch.arange(2 * 4 * 6 * 6.0).view(2, 4, 6, 6).to(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "result",
    [
        lambda x: torch.cat([x, x], 1),
        lambda x: F.pad(x, (1, 1, 2, 2)),
        lambda x: F.pad(x, (1, 1, 2, 2), mode="reflect"),
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.avg_pool2d(x, 2),
        lambda x: F.adaptive_avg_pool2d(x, 2),
        lambda x: F.adaptive_max_pool2d(x, 2),
        lambda x: F.conv2d(x, torch.ones(6, 4, 3, 3)),
        lambda x: F.batch_norm(x, None, None, training=True),
        lambda x: F.group_norm(x, 2),
        lambda x: F.interpolate(x, scale_factor=2),
        lambda x: torch.relu(x) * 2 + x,
    ],
)
def test_channels_that_are_last_in_memory_stay_last(result):
    x = IMAGE.clone().requires_grad_()
    made = result(x)
    assert made.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(made, result(IMAGE.contiguous()))


@pytest.mark.parametrize("pool", [F.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d])
def test_the_gradient_of_a_pool_lies_as_its_input_does(pool):
    x = IMAGE.clone().requires_grad_()
    pool(x, 2).pow(2).sum().backward()
    assert x.grad.is_contiguous(memory_format=torch.channels_last)


def test_solutions_lie_column_by_column():
    matrices = torch.eye(3).expand(2, 3, 3)
    assert torch.linalg.solve(matrices, torch.ones(2, 3)).stride() == (1, 2)
    assert torch.linalg.solve(matrices, torch.ones(2, 3, 4)).stride() == (12, 1, 3)
    assert torch.linalg.solve_triangular(torch.eye(3), torch.ones(4, 3), upper=True, left=False).stride() == (1, 4)
    assert torch.linalg.lstsq(torch.ones(4, 3), torch.ones(4, 5)).solution.stride() == (1, 4)


def test_elements_that_share_their_memory_divide_its_gradient():
    """As PyTorch does for a window on the storage of a tensor whose own elements overlap."""
    x = torch.tensor([-2.0, -1.5, -1.0], dtype=torch.float64, requires_grad=True)

    def window(x):
        wide = x.expand(2, 3)
        return wide, wide.as_strided((2, 2), (1, 1))

    for recorded in (False, True):
        wide, seen = window(x)
        weights = torch.tensor([[0.0, 1.0], [2.0, 3.0]], dtype=torch.float64)
        to_wide, to_x = torch.autograd.grad((seen * weights).sum(), (wide, x), create_graph=recorded)
        assert to_wide.tolist() == [[0.0, 1.5, 1.5]] * 2 and to_x.tolist() == [0.0, 3.0, 3.0]
    assert torch.autograd.gradgradcheck(lambda x: window(x)[1] ** 2, x)


def test_new_dimensions_of_one_element_step_over_what_is_inside():
    x = torch.ones(5)
    assert x.expand(1, 1, 5).stride() == (5, 5, 1)
    assert x.expand(2, 1, 5).stride() == (0, 5, 1)


def test_one_element_of_an_expanded_tensor_can_be_written():
    x = torch.ones(3, 1)
    x.expand(3, 4)[1, 2] = 0
    assert x.tolist() == [[1], [0], [1]]
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        x.expand(3, 4)[1].add_(1)


@pytest.mark.parametrize("name", ["view", "reshape"])
def test_a_shape_has_no_negative_extents(name):
    with pytest.raises(RuntimeError, match=r"invalid shape dimension -2 at index 0 of shape \[-2, 3\]"):
        getattr(torch.ones(2, 3), name)(-2, 3)


def test_transposes_say_what_they_are_for():
    for name in ("H", "mT", "mH"):
        with pytest.raises(RuntimeError, match=rf"tensor.{name} is only supported on matrices"):
            getattr(torch.ones(3), name)
    with pytest.raises(RuntimeError, match="Got 3-D tensor"):
        _ = torch.ones(1, 2, 3).H
    scalar = torch.tensor(1 + 2j)
    assert scalar.adjoint() == scalar.H == scalar.mH == 1 - 2j
