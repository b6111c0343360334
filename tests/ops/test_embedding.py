"""Tables of rows, and attention over rows."""

import math

import numpy as np
import pytest

import wengert
from wengert.nn import functional as F


def table():
    return wengert.arange(8.0).reshape(4, 2).requires_grad_()


def test_rows_are_looked_up_and_gradients_added_up():
    w = table()
    out = F.embedding(wengert.tensor([[3, 1], [1, 1]]), w)
    assert out.tolist() == [[[6, 7], [2, 3]], [[2, 3], [2, 3]]]
    out.sum().backward()
    assert w.grad.tolist() == [[0, 0], [3, 3], [0, 0], [1, 1]]


def test_padding_gets_no_gradient_and_frequent_rows_less():
    w = table()
    F.embedding(wengert.tensor([3, 1, 1, 1]), w, padding_idx=-1, scale_grad_by_freq=True).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), [[0, 0], [1, 1], [0, 0], [0, 0]], rtol=1e-6)


def test_long_rows_are_shortened_in_place():
    w = wengert.tensor([[3.0, 4.0], [0.3, 0.4]])
    out = F.embedding(wengert.tensor([0, 1]), w, max_norm=1.0)
    np.testing.assert_allclose(out.numpy(), [[0.6, 0.8], [0.3, 0.4]], rtol=1e-5)
    np.testing.assert_allclose(w.numpy(), out.numpy())
    assert w._version == 1


def test_indices_must_be_rows():
    with pytest.raises(IndexError, match="index out of range in self"):
        F.embedding(wengert.tensor([4]), table())
    with pytest.raises(RuntimeError, match=r"scalar types: Long, Int; but got torch\.FloatTensor"):
        F.embedding(wengert.tensor([1.0]), table())


@pytest.mark.parametrize(
    ("mode", "expected"), [("sum", [[2, 4], [6, 7]]), ("mean", [[1, 2], [6, 7]]), ("max", [[2, 3], [6, 7]])]
)
def test_bags(mode, expected):
    out = F.embedding_bag(wengert.tensor([0, 1, 3]), table(), wengert.tensor([0, 2]), mode=mode)
    assert out.tolist() == expected


def test_bags_with_factors_and_padding():
    out = F.embedding_bag(
        wengert.tensor([[0, 1], [3, 2]]), table(), mode="sum",
        per_sample_weights=wengert.tensor([[1.0, 2.0], [3.0, 4.0]]),
        padding_idx=2,
    )  # fmt: skip
    assert out.tolist() == [[4, 7], [18, 21]]


def test_one_hot():
    assert F.one_hot(wengert.tensor([2, 0])).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert F.one_hot(wengert.tensor([[1]]), 3).tolist() == [[[0, 1, 0]]]
    with pytest.raises(RuntimeError, match="smaller than num_classes"):
        F.one_hot(wengert.tensor([3]), 3)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_attention_weighs_values_by_scaled_products():
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal(shape) for shape in ((2, 3, 4), (2, 5, 4), (2, 5, 6)))
    scores = q @ k.transpose(0, 2, 1) / math.sqrt(4)
    tq, tk, tv = map(wengert.from_numpy, (q, k, v))
    np.testing.assert_allclose(F.scaled_dot_product_attention(tq, tk, tv).numpy(), softmax(scores) @ v)
    mask = rng.random((3, 5)) < 0.6
    mask[0] = False
    masked = np.where(mask, softmax(np.where(mask, scores, -1e30)), 0)
    found = F.scaled_dot_product_attention(tq, tk, tv, wengert.from_numpy(mask))
    np.testing.assert_allclose(found.numpy(), masked @ v)


def test_causal_attention_does_not_see_what_follows():
    q, k = wengert.randn(1, 4, 2), wengert.randn(1, 4, 2)
    first = F.scaled_dot_product_attention(q, k, wengert.arange(4.0).reshape(1, 4, 1), is_causal=True)
    assert first[0, 0, 0].item() == 0


def test_dropout_in_evaluation_is_the_identity():
    x = wengert.randn(3, 4)
    assert F.dropout(x, training=False) is x
    wengert.manual_seed(0)
    kept = F.dropout(wengert.ones(1000), 0.25)
    assert set(kept.tolist()) == {0.0, np.float32(1 / 0.75).item()}
    channels = F.dropout2d(wengert.ones(4, 8, 3, 3))
    assert all(plane.unique().numel() == 1 for plane in channels.reshape(32, 9))
    with pytest.raises(ValueError, match="between 0 and 1"):
        F.dropout(x, 1.5)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"mode": "max", "scale_grad_by_freq": True}, ValueError, "max mode does not support scaling the gradient"),
        ({"mode": "max", "sparse": True}, ValueError, "max mode does not support sparse weights"),
        ({"padding_idx": 9}, RuntimeError, "padding_idx must be within the number of embeddings, -3 through 2"),
        ({"mode": "median"}, ValueError, "mode has to be one of sum, mean or max"),
    ],
)
def test_options_of_bags_that_do_not_fit(options, error, words):
    with pytest.raises(error, match=words):
        F.embedding_bag(wengert.tensor([[0, 1]]), wengert.ones(3, 2), **options)


def test_factors_of_another_dtype_are_refused():
    factors = wengert.ones(1, 2, dtype=wengert.float64)
    with pytest.raises(RuntimeError, match=r"torch\.FloatTensor does not equal torch\.DoubleTensor"):
        F.embedding_bag(wengert.tensor([[0, 1]]), wengert.ones(3, 2), mode="sum", per_sample_weights=factors)


def test_no_bags_at_all():
    weight = wengert.ones(3, 2, requires_grad=True)
    out = F.embedding_bag(wengert.tensor([0, 1]), weight, wengert.tensor([], dtype=wengert.int64))
    assert out.shape == (0, 2)
    out.sum().backward()
    assert weight.grad.tolist() == [[0, 0]] * 3


def test_maxima_of_empty_bags_are_in_the_graph():
    table = wengert.ones(5, 3, requires_grad=True)
    none = wengert.tensor([], dtype=wengert.int64)
    out = wengert.nn.functional.embedding_bag(none, table, wengert.tensor([0, 0]), mode="max")
    out.sum().backward()
    assert out.tolist() == [[0.0] * 3] * 2
    assert not table.grad.any()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"mode": "max"}, "Expected idx >= 0 && idx < num_embeddings but found idx to be 7"),
        ({"mode": "sum", "padding_idx": 0}, "Expected idx >= 0 && idx < num_embeddings but found idx to be 7"),
        ({"mode": "sum"}, "Index 1 of input takes value 7"),
    ],
)
def test_bags_of_rows_that_are_not_there(options, text):
    with pytest.raises(RuntimeError, match=text):
        wengert.nn.functional.embedding_bag(wengert.tensor([[1, 7]]), wengert.ones(5, 2), **options)
