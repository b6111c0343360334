"""The functions beneath `nn.functional` under `torch` itself agree with those above them."""

import pytest

import wengert as torch
import wengert.nn.functional as F

torch.manual_seed(0)
X, Y = torch.randn(3, 4), torch.rand(3, 4)
REDUCTIONS = ["none", "mean", "sum"]

LOSSES = {
    "binary_cross_entropy_with_logits": (X, Y),
    "hinge_embedding_loss": (X, Y.round() * 2 - 1),
    "cosine_embedding_loss": (X, Y, torch.tensor([1.0, -1.0, 1.0])),
    "margin_ranking_loss": (X, Y, torch.ones(3, 4)),
    "triplet_margin_loss": (X, Y, X + 1),
    "kl_div": (X, Y),
}


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_takes_its_reduction_as_a_number(name, number):
    with pytest.warns() if name == "kl_div" and number == 1 else nothing():
        expected = getattr(F, name)(*LOSSES[name], reduction=REDUCTIONS[number])
    assert torch.equal(getattr(torch, name)(*LOSSES[name], reduction=number), expected)


class nothing:
    def __enter__(self):
        pass

    def __exit__(self, *error):
        pass


def test_a_reduction_that_is_left_out_is_none():
    assert torch.kl_div(X, Y).shape == X.shape


def test_an_unknown_number_is_refused_with_those_that_are_known():
    with pytest.raises(RuntimeError, match=r"reduction must be one of 0 \(none\), 1 \(mean\), 2 \(sum\); got 3"):
        torch.kl_div(X, Y, 3)


def test_temporal_classification():
    scores = torch.randn(5, 2, 4).log_softmax(2)
    arguments = scores, torch.tensor([[1, 2], [1, 3]]), torch.tensor([5, 5]), torch.tensor([2, 2])
    assert torch.equal(torch.ctc_loss(*arguments, 0, 1), F.ctc_loss(*arguments))


def test_bags_come_with_what_was_found_on_the_way():
    weight, indices, offsets = torch.eye(4), torch.tensor([0, 1, 2, 3]), torch.tensor([0, 1, 1])
    out, bags, sizes, best = torch.embedding_bag(weight, indices, offsets, mode=2)
    assert torch.equal(out, F.embedding_bag(indices, weight, offsets, mode="max"))
    assert bags.tolist() == [0, 2, 2, 2] and sizes.tolist() == [1, 0, 3]
    assert best.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 2, 3]]


def test_rows_are_shortened_in_place():
    table = torch.full((3, 2), 3.0)
    assert torch.embedding_renorm_(table, torch.tensor([0, 2]), 1.0, 2.0) is table
    assert table.norm(dim=1).tolist() == pytest.approx([1, 18**0.5, 1], rel=1e-4)


def test_normalizations_come_with_their_statistics():
    x = torch.randn(2, 4, 3, 3)
    out, mean, rstd = torch.native_layer_norm(x, (3, 3), None, None, 1e-5)
    assert torch.equal(out, F.layer_norm(x, (3, 3)))
    assert mean.shape == rstd.shape == (2, 4, 1, 1)
    assert torch.allclose((x - mean) * rstd, out, atol=1e-5)
    out, mean, rstd = torch.native_group_norm(x, None, None, 2, 4, 9, 2, 1e-5)
    assert torch.equal(out, F.group_norm(x, 2)) and mean.shape == (2, 2)
    out, mean, rstd = torch.native_batch_norm(x, None, None, torch.zeros(4), torch.ones(4), False, 0.1, 1e-5)
    assert mean.shape == (0,) and torch.allclose(out, x, atol=1e-4)


def test_images_are_sampled_by_numbered_modes():
    x, theta = torch.randn(2, 4, 3, 3), torch.randn(2, 2, 3)
    grid = torch.affine_grid_generator(theta, (2, 4, 3, 3), False)
    assert torch.equal(grid, F.affine_grid(theta, (2, 4, 3, 3), False))
    assert torch.equal(torch.grid_sampler(x, grid, 1, 2, True), F.grid_sample(x, grid, "nearest", "reflection", True))


@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "min", "prod"])
def test_segments_are_reduced_each_by_itself(reduce):
    data = torch.randn(6, 2, requires_grad=True)
    out = torch.segment_reduce(data, reduce, lengths=torch.tensor([2, 0, 4]))
    alone = {"max": torch.amax, "min": torch.amin}.get(reduce) or getattr(torch, reduce)
    assert torch.allclose(out[0], alone(data[:2], 0)) and torch.allclose(out[2], alone(data[2:], 0))
    empty = {"sum": 0.0, "prod": 1.0, "max": -float("inf"), "min": float("inf")}
    assert out[1].isnan().all() if reduce == "mean" else (out[1] == empty[reduce]).all()
    assert (
        torch.equal(
            torch.segment_reduce(data, reduce, offsets=torch.tensor([0, 2, 2, 6])),
            out,
        )
        or reduce == "mean"
    )
    out[0].sum().backward()
    assert data.grad[2:].abs().sum() == 0 and data.grad[:2].abs().sum() > 0


def test_segments_that_do_not_fit_are_refused():
    with pytest.raises(RuntimeError, match=r"sum to data\.size"):
        torch.segment_reduce(torch.ones(3), "sum", lengths=torch.tensor([2]))
    with pytest.raises(RuntimeError, match="Either lengths or offsets"):
        torch.segment_reduce(torch.ones(3), "sum")


def test_recurrent_layers_take_their_weights_as_arguments():
    layer = torch.nn.LSTM(2, 3, num_layers=2, bidirectional=True)
    x, start = torch.randn(4, 2, 2), (torch.zeros(4, 2, 3), torch.zeros(4, 2, 3))
    expected, (h, c) = layer(x, start)
    options = True, 2, 0.0, False, True
    for found in (
        torch.lstm(x, start, layer._flat_weights, *options, False),
        torch.lstm(x.reshape(8, 2), torch.tensor([2, 2, 2, 2]), start, layer._flat_weights, *options),
    ):
        assert torch.allclose(found[0].reshape(4, 2, 6), expected)
        assert torch.allclose(found[1], h) and torch.allclose(found[2], c)
    cell = torch.nn.GRUCell(2, 3)
    found = torch.gru_cell(x[0], torch.zeros(2, 3), cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
    assert torch.equal(found, cell(x[0]))


def test_numbers_that_a_compiler_would_trace_are_numbers():
    assert (torch.sym_int(2.7), torch.sym_float(2), torch.sym_not(0)) == (2, 2.0, True)
    assert torch.sym_max(1, 2.5) == 2.5 and type(torch.sym_min(1, 2.5)) is float
    assert torch.sym_sum([1, 2, 3]) == torch.sym_sum(1, 2, 3) == 6 and torch.sym_ite(True, 1, 2) == 1


@pytest.mark.parametrize("name", ["eig", "symeig", "lstsq", "solve", "matrix_rank"])
def test_retired_functions_name_their_successors(name):
    with pytest.raises(RuntimeError, match=r"is now removed. `torch.\w+` is replaced by `torch.linalg.\w+`"):
        getattr(torch, name)(torch.eye(2))
