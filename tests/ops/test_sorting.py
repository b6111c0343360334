"""Order on tensors: names of results, gradients through what was picked, forms without derivatives."""

import numpy as np
import pytest

import wengert as torch

DATA = np.array([[3.0, 1.0, 2.0, 2.5], [0.5, 4.0, -1.0, 0.0]])

PICKING = {
    "sort": lambda x: x.sort(1, descending=True),
    "topk": lambda x: x.topk(2, 1),
    "kthvalue": lambda x: x.kthvalue(2, 1),
    "median": lambda x: x.median(1),
    "nanmedian": lambda x: x.nanmedian(1),
    "mode": lambda x: x.mode(1),
    "cummax": lambda x: x.cummax(1),
    "cummin": lambda x: x.cummin(1),
}


@pytest.mark.parametrize("name", PICKING)
def test_the_gradient_goes_to_what_was_picked(name):
    x = torch.from_numpy(DATA.copy()).requires_grad_()
    result = PICKING[name](x)
    assert type(result).__name__ == name
    values, indices = result
    assert result.values is values
    assert result.indices is indices
    assert not indices.requires_grad
    weight = torch.arange(1.0, values.numel() + 1, dtype=torch.float64).reshape(values.shape)
    (g,) = torch.autograd.grad((values**2 * weight).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(g.sum(), x)
    expected, expected_second = np.zeros_like(DATA), np.zeros_like(DATA)
    places = indices.numpy().reshape(2, -1)
    weights = weight.numpy().reshape(2, -1)
    for row in range(2):
        for k, place in enumerate(places[row]):
            expected[row, place] += 2 * DATA[row, place] * weights[row, k]
            expected_second[row, place] += 2 * weights[row, k]
    np.testing.assert_allclose(g.detach().numpy(), expected)
    np.testing.assert_allclose(second.numpy(), expected_second)


NODES = {
    "SortBackward0": lambda x: x.sort()[0],
    "TopkBackward0": lambda x: x.topk(1)[0],
    "MedianBackward0": lambda x: x.median(),
    "MedianBackward1": lambda x: x.median(0)[0],
    "NanmedianBackward0": lambda x: x.nanmedian(),
    "CummaxBackward0": lambda x: x.cummax(0)[0],
    "ModeBackward0": lambda x: x.mode()[0],
    "KthvalueBackward0": lambda x: x.kthvalue(1)[0],
    "Unique2Backward0": lambda x: x.unique(),
    "UniqueDimBackward0": lambda x: x.unique(dim=0),
    "UniqueConsecutiveBackward0": lambda x: x.unique_consecutive(),
}


@pytest.mark.parametrize("name", NODES)
def test_nodes_are_named_as_in_pytorch(name):
    assert NODES[name](torch.from_numpy(DATA).requires_grad_()).grad_fn.name() == name


def test_the_median_of_all_shares_its_gradient_among_equals():
    x = torch.tensor([1.0, 2.0, 2.0, 5.0]).requires_grad_()
    x.median().backward()
    assert x.grad.tolist() == [0, 0.5, 0.5, 0]


def test_unique_has_no_derivative():
    x = torch.tensor([1.0, 1.0]).requires_grad_()
    with pytest.raises(RuntimeError, match="not implemented"):
        x.unique().sum().backward()


def test_unique_returns_what_was_asked_for():
    x = torch.tensor([3, 1, 3])
    assert x.unique().tolist() == [1, 3]
    values, counts = torch.unique(x, return_counts=True)
    assert (values.tolist(), counts.tolist()) == ([1, 3], [1, 2])
    values, inverse, counts = torch.unique_consecutive(x, return_inverse=True, return_counts=True)
    assert (values.tolist(), inverse.tolist(), counts.tolist()) == ([3, 1, 3], [0, 1, 2], [1, 1, 1])


def test_places_and_bins():
    edges = torch.tensor([1.0, 2.0, 4.0])
    assert torch.searchsorted(edges, 2).item() == 1
    assert torch.searchsorted(edges, torch.tensor([2.0, 5.0]), side="right").tolist() == [2, 3]
    assert torch.bucketize(torch.tensor([0.0, 2.0]), edges, out_int32=True).dtype is torch.int32
    assert torch.bincount(torch.tensor([0, 2, 2])).tolist() == [1, 0, 2]
    assert torch.histc(torch.tensor([1.0, 2.0, 3.0]), 3).tolist() == [1, 1, 1]
    hist, bin_edges = torch.histogram(torch.tensor([1.0, 2.0, 3.0]), 2)
    assert (hist.tolist(), bin_edges.tolist()) == ([1, 2], [1, 2, 3])
    assert torch.isin(torch.tensor([1, 2]), 2).tolist() == [False, True]


def test_sorting_into_given_tensors():
    x = torch.tensor([2.0, 1.0])
    values, indices = torch.empty(0), torch.empty(0, dtype=torch.int64)
    torch.sort(x, out=(values, indices))
    assert (values.tolist(), indices.tolist()) == ([1, 2], [1, 0])
    assert torch.argsort(x, descending=True).tolist() == [0, 1]
    assert torch.msort(x).tolist() == [1, 2]


def test_each_coordinate_of_a_histogram_has_edges_of_its_own():
    points = torch.tensor([[0.5, 0.5], [1.5, 2.5]])
    hist, edges = torch.histogramdd(points, [torch.tensor([0.0, 1.0, 2.0]), torch.tensor([0.0, 1.0, 2.0, 3.0])])
    assert hist.tolist() == [[1, 0, 0], [0, 0, 1]]
    assert [edge.numel() for edge in edges] == [3, 4]
