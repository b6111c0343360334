"""Points at which random programs once differed from PyTorch; the expected answers are PyTorch 2.13's."""

import math

import pytest

import wengert as torch


def leaf(*values, dtype=torch.float32):
    return torch.tensor(values, dtype=dtype, requires_grad=True)


@pytest.mark.parametrize(
    "make, name",
    [
        (lambda x: x % 3, "RemainderBackward0"),
        (lambda x: x % x, "RemainderBackward1"),
        (lambda x: x**2, "PowBackward0"),
        (lambda x: x**x, "PowBackward1"),
        (lambda x: 3**x, "PowBackward2"),
        (lambda x: x.square(), "PowBackward0"),
        (lambda x: 3 - x, "RsubBackward1"),
        (lambda x: x.clamp(-1, 1), "ClampBackward1"),
        (lambda x: x.clamp(torch.tensor(-1.0)), "ClampBackward0"),
        (lambda x: x.log1p(), "Log1PBackward0"),
        (lambda x: (x * 1).fill_(2), "FillBackward2"),
        (lambda x: (x * 1).zero_(), "ZeroBackward0"),
        (lambda x: (x * 1).unsqueeze_(0), "UnsqueezeBackward1"),
        (lambda x: (x * 1).copy_(x), "torch::autograd::CopyBackwards"),
        (lambda x: x // 2, "torch::autograd::NotImplemented"),
        (lambda x: x.view_as(x), "ViewBackward0"),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_nodes_are_named_as_in_pytorch(make, name, dtype):
    assert make(leaf(1.0, 2.0, dtype=dtype)).grad_fn.name() == name


def test_truth_values_are_not_subtracted():
    mask = torch.tensor([True, False])
    for wrong in (lambda: mask - 1, lambda: 1 - mask, lambda: torch.ones(2) - True, lambda: torch.ones(2) - mask):
        with pytest.raises(RuntimeError, match="with a bool tensor is not supported"):
            wrong()
    with pytest.raises(RuntimeError, match="with two bool tensors"):
        mask - mask


def test_what_has_no_order_is_not_compared():
    with pytest.raises(RuntimeError, match="Boolean inputs not supported for relu"):
        torch.tensor([True]).relu()
    with pytest.raises(NotImplementedError, match="complex"):
        torch.tensor([1j]).clamp(min=0)
    with pytest.raises(RuntimeError, match="maximum not implemented for complex"):
        torch.maximum(torch.tensor([1j]), torch.tensor([1j]))


def test_absolute_values_of_complex_numbers_are_real():
    z = torch.tensor([3 + 4j])
    assert z.abs().dtype is torch.float32 and z.abs().item() == 5
    with pytest.raises(RuntimeError, match="In-place abs is not supported"):
        z.abs_()


def test_the_angle_at_the_origin_has_the_gradient_zero():
    x = leaf(0.0, 1.0)
    torch.atan2(x, torch.zeros(2)).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]


def test_positive_is_the_tensor_itself():
    x = leaf(1.0)
    assert torch.positive(x) is x and +x is x


def test_the_square_of_a_truth_value_is_an_integer():
    assert torch.square(torch.tensor([True])).dtype is torch.int64


def test_a_multiple_of_truth_values_is_a_truth_value():
    mask = torch.tensor([True, False])
    assert torch.add(mask, mask, alpha=2).tolist() == [True, False]


def test_half_precisions_meet_in_single():
    assert torch.promote_types(torch.float16, torch.bfloat16) is torch.float32
    x = torch.ones(2, dtype=torch.bfloat16)
    assert (x + torch.ones(2, dtype=torch.float16)).dtype is torch.float32


def test_writing_in_place_keeps_the_dtype_whatever_the_operand():
    x = torch.tensor([3, 5], dtype=torch.uint8)
    x *= torch.tensor([2, 3])
    assert x.dtype is torch.uint8 and x.tolist() == [6, 15]


def test_the_sigmoid_of_half_precision_is_rounded_once():
    assert torch.sigmoid(torch.tensor([4.0], dtype=torch.bfloat16)).float().item() == 0.98046875


def test_reductions_are_laid_out_row_by_row():
    x = torch.arange(24.0).reshape(2, 3, 4).permute(2, 1, 0)
    assert x.sum(2).stride() == (3, 1) and x.cumsum(2).stride() == (6, 2, 1)
    assert torch.cat([x, x]).is_contiguous()


def test_in_place_keywords_reach_the_kernel():
    assert torch.tensor([1.26]).round_(decimals=1).item() == pytest.approx(1.3)


def test_a_node_that_kept_nothing_can_not_have_lost_it():
    x, factor = leaf(1.0, 2.0), torch.tensor([3.0, 4.0])
    y = torch.addcmul(x, factor, factor)
    y.sum().backward()
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_a_result_is_kept_only_for_the_derivative_that_names_it():
    x = leaf(1.0, 2.0)
    y = (x * 1).pow_(torch.tensor([2.0, 3.0]))
    y.add_(1)  # the derivative by the exponent would want y as it was, but nobody asks for it
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 12.0]


def test_a_gradient_asked_for_on_the_way_is_what_arrives_before_hooks():
    x = leaf(1.0)
    y = x * 2
    y.register_hook(lambda g: g * 10)
    on_the_way, at_the_leaf = torch.autograd.grad(y * 3, [y, x])
    assert (on_the_way.item(), at_the_leaf.item()) == (3.0, 60.0)
    y = x * 2
    y.register_hook(lambda g: g * 10)
    assert torch.autograd.grad(y * 3, [y])[0].item() == 30.0


def test_an_expanded_gradient_can_be_added_to_later():
    x = leaf(1.0, 2.0)
    x.sum().backward(create_graph=True)
    x.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_missing_gradients_made_under_create_graph_require_grad():
    x, other = leaf(1.0), leaf(2.0)
    made = torch.autograd.grad(x * 2, [other], create_graph=True, materialize_grads=True)[0]
    assert made.requires_grad and made.item() == 0


def test_gradients_reach_through_writes_to_views_of_transposed_memory():
    x = leaf(1.0, 2.0, 3.0, 4.0)
    base = (x * 1).reshape(2, 2).t()
    base[0].mul_(5)
    base.sum().backward()
    assert x.grad.tolist() == [5.0, 1.0, 5.0, 1.0]


def test_views_are_refused_in_place_where_pytorch_refuses():
    with pytest.raises(RuntimeError, match="Can't detach views in-place"):
        torch.ones(3)[1:].detach_()
    with pytest.raises(RuntimeError, match="leaf Variable"):
        leaf(1.0).unsqueeze_(0)


def test_transposing_in_place_moves_the_tensor_itself():
    x = torch.arange(6.0).reshape(2, 3)
    assert x.t_() is x and x.shape == (3, 2) and x._version == 1


def test_the_offset_of_a_window_counts_from_its_storage():
    assert torch.arange(4.0)[1:, None].storage_offset() == 1


def test_closeness():
    a = torch.tensor([1.0, math.inf, math.nan])
    assert torch.isclose(a, a).tolist() == [True, True, False]
    assert torch.allclose(a, a, equal_nan=True) and not torch.equal(a, a)
    assert torch.equal(torch.ones(2), torch.ones(2)) and not torch.equal(torch.ones(2), torch.ones(3))
    with pytest.raises(RuntimeError, match="did not match"):
        torch.isclose(a, torch.ones(3, dtype=torch.int64))


def test_a_tensor_multiplied_by_itself_in_place_has_lost_what_backward_needs():
    x = leaf(1.0, 2.0)
    y = x * 1
    y.mul_(y)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_an_integer_has_no_negative_power():
    with pytest.raises(RuntimeError, match="negative integer powers"):
        torch.tensor([2]) ** -1
    assert (torch.tensor([2]) ** torch.tensor([-1])).tolist() == [0]


def test_numbers_of_no_dimensions_have_no_elements_to_index():
    with pytest.raises(IndexError, match="0-dim"):
        torch.tensor(1.0)[0]


def test_nothing_sorted_is_nothing():
    assert torch.zeros(2, 0).sort(dim=1).values.shape == (2, 0)


def test_ravel_copies_what_is_not_contiguous():
    assert torch.arange(6.0).reshape(2, 3)[:, :1].ravel().stride() == (1,)


def test_mixed_dtypes_are_not_interpolated():
    with pytest.raises(RuntimeError, match="expected dtype"):
        torch.lerp(torch.ones(2), torch.ones(2, dtype=torch.float64), 0.5)
