"""Layers that do more than call a function: lazy shapes, recurrence, running statistics, attention."""

import warnings

import numpy as np
import pytest

import wengert as torch
from wengert import nn


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_lstm_follows_its_equations():
    lstm = nn.LSTM(2, 3).double()
    w_ih, w_hh, b_ih, b_hh = (p.detach().numpy() for p in lstm.parameters())
    x = np.random.default_rng(0).standard_normal((4, 1, 2))
    h = c = np.zeros((1, 3))
    outputs = []
    for step in x:
        i, f, g, o = np.split(step @ w_ih.T + b_ih + h @ w_hh.T + b_hh, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    out, (h_n, c_n) = lstm(torch.from_numpy(x))
    np.testing.assert_allclose(out.detach().numpy(), outputs, rtol=1e-10)
    np.testing.assert_allclose(h_n[0].detach().numpy(), h, rtol=1e-10)
    np.testing.assert_allclose(c_n[0].detach().numpy(), c, rtol=1e-10)


def test_packed_sequences_run_as_if_alone():
    gru = nn.GRU(2, 3, bidirectional=True, num_layers=2)
    sequences = [torch.randn(n, 2) for n in (2, 4, 3)]
    packed = nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False)
    out, h = gru(packed)
    padded, lengths = nn.utils.rnn.pad_packed_sequence(out)
    assert lengths.tolist() == [2, 4, 3]
    for i, s in enumerate(sequences):
        alone, h_alone = gru(s)
        np.testing.assert_allclose(padded[: len(s), i].detach().numpy(), alone.detach().numpy(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(h[:, i].detach().numpy(), h_alone.detach().numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("rest", [(), (2,), (2, 3)])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_packing_takes_the_steps_of_all_sequences_one_after_the_other(rest, batch_first, turned):
    x = torch.randn(5, 4, *rest) if turned else torch.randn(4, 5, *rest)
    x = (x.transpose(0, 1) if turned else x).requires_grad_()
    lengths = [5, 3, 3, 1] if batch_first else [4, 4, 2, 1, 1]
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first)
    steps = x.transpose(0, 1) if batch_first else x
    wanted = torch.cat([steps[t, : sum(n > t for n in lengths)] for t in range(lengths[0])])
    assert packed.data.equal(wanted)
    factors = torch.randn_like(wanted)
    (found,), (expected,) = (torch.autograd.grad((data * factors).sum(), x) for data in (packed.data, wanted))
    assert found.equal(expected)
    with pytest.raises(IndexError, match="length 6"):
        nn.utils.rnn.pack_padded_sequence(x, [6] + lengths[1:], batch_first)


@pytest.mark.parametrize("layer", [nn.RNN, nn.LSTM, nn.GRU])
def test_recurrent_layers_have_second_derivatives(layer):
    net = layer(2, 3).double()
    lengths = torch.tensor([3, 2])
    x = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    run = lambda x: net(nn.utils.rnn.pack_padded_sequence(x, lengths))[0].data
    assert torch.autograd.gradcheck(run, (x,))
    assert torch.autograd.gradgradcheck(run, (x,))


def test_batch_first_only_changes_the_layout():
    a = nn.LSTM(2, 3, batch_first=True)
    b = nn.LSTM(2, 3)
    b.load_state_dict(a.state_dict())
    x = torch.randn(5, 4, 2)
    np.testing.assert_allclose(
        a(x)[0].detach().numpy(), b(x.transpose(0, 1))[0].transpose(0, 1).detach().numpy(), rtol=1e-5, atol=1e-7
    )


def test_batch_norm_keeps_running_statistics():
    bn = nn.BatchNorm1d(2)
    x = torch.randn(8, 2)
    y = bn(x).detach().numpy()
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(bn.running_mean.numpy(), 0.1 * x.numpy().mean(axis=0), rtol=1e-5)
    assert bn.num_batches_tracked.item() == 1
    before = bn.running_mean.numpy().copy()
    bn.eval()(x)
    np.testing.assert_array_equal(bn.running_mean.numpy(), before)


def test_lazy_layers_take_their_shape_from_the_input():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layer = nn.LazyLinear(3)
    assert layer.has_uninitialized_params()
    with pytest.raises(RuntimeError, match="uninitialized"):
        layer.weight.shape
    out = layer(torch.ones(2, 5))
    assert type(layer) is nn.Linear and tuple(layer.weight.shape) == (3, 5) and tuple(out.shape) == (2, 3)
    assert type(layer.weight) is nn.Parameter


def test_lazy_layers_take_their_shape_from_a_state_dict():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layer = nn.LazyLinear(3)
    layer.load_state_dict(nn.Linear(4, 3).state_dict())
    assert tuple(layer.weight.shape) == (3, 4)


def test_attention_weights_are_a_distribution():
    attention = nn.MultiheadAttention(4, 2, batch_first=True)
    x = torch.randn(2, 3, 4)
    out, weights = attention(x, x, x)
    assert tuple(out.shape) == (2, 3, 4)
    np.testing.assert_allclose(weights.sum(-1).detach().numpy(), 1, rtol=1e-5)
    assert attention(x, x, x, need_weights=False)[1] is None


def test_a_causal_encoder_looks_back_only():
    layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2).eval()
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    x = torch.randn(1, 5, 4)
    changed = x.clone()
    changed[0, 3:] += 1
    a, b = (encoder(t, mask=mask).detach().numpy() for t in (x, changed))
    np.testing.assert_allclose(a[0, :3], b[0, :3], rtol=1e-5, atol=1e-6)
    assert not np.allclose(a[0, 3:], b[0, 3:])


def test_dropout_only_in_training():
    drop = nn.Dropout(0.5)
    x = torch.ones(1000)
    kept = drop(x).numpy()
    assert set(np.unique(kept)) == {0.0, 2.0} and 400 < (kept == 0).sum() < 600
    np.testing.assert_array_equal(drop.eval()(x).numpy(), x.numpy())


def test_embedding_padding_row():
    table = nn.Embedding(4, 2, padding_idx=-1)
    assert table.padding_idx == 3 and table.weight[3].tolist() == [0, 0]
    table(torch.tensor([0, 3, 3])).sum().backward()
    np.testing.assert_array_equal(table.weight.grad.numpy(), [[1, 1], [0, 0], [0, 0], [0, 0]])


def test_transposed_convolution_reaches_the_asked_size():
    layer = nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1)
    x = torch.ones(1, 1, 4, 4)
    assert tuple(layer(x, output_size=[8, 8]).shape[2:]) == (8, 8)
    with pytest.raises(ValueError, match="valid sizes range from"):
        layer(x, output_size=[20, 20])


def test_adaptive_softmax_is_a_distribution():
    softmax = nn.AdaptiveLogSoftmaxWithLoss(8, 10, [3, 6], div_value=2.0)
    x, target = torch.randn(4, 8), torch.tensor([0, 4, 9, 2])
    full = softmax.log_prob(x)
    np.testing.assert_allclose(full.exp().sum(1).detach().numpy(), 1, rtol=1e-5)
    out, loss = softmax(x, target)
    np.testing.assert_allclose(out.detach().numpy(), full.detach().numpy()[np.arange(4), target.numpy()], rtol=1e-5)
    assert loss.item() == pytest.approx(-out.mean().item(), rel=1e-6)


@pytest.mark.parametrize(
    ("masks", "error", "words"),
    [
        ({"key_padding_mask": torch.ones(3, 1, dtype=torch.bool)}, AssertionError, "to be 1, but got 3"),
        ({"key_padding_mask": torch.ones(1, 3, dtype=torch.int64)}, AssertionError, "types of key_padding_mask are"),
        ({"attn_mask": torch.ones(2, 3)}, RuntimeError, r"shape of the 2D attn_mask .* should be \(3, 3\)"),
        ({"attn_mask": torch.ones(3, 3, 3)}, RuntimeError, r"shape of the 3D attn_mask .* should be \(2, 3, 3\)"),
        ({"attn_mask": torch.ones(3)}, AssertionError, "2-D or 3-D but found 1-D tensor instead"),
        ({"is_causal": True}, RuntimeError, "Need attn_mask if specifying the is_causal hint"),
    ],
)
def test_masks_of_attention_must_fit(masks, error, words):
    x = torch.ones(3, 1, 4)
    with pytest.raises(error, match=words):
        nn.MultiheadAttention(4, 2)(x, x, x, **masks)


def test_lists_of_sequences_to_pad():
    pad = nn.utils.rnn.pad_sequence
    with pytest.raises(RuntimeError, match="Expected iterable for input sequences, but got arg of type: <class 'int'>"):
        pad(5)
    with pytest.raises(RuntimeError, match="received an empty list of sequences"):
        pad([])


@pytest.mark.parametrize(("queries", "keys"), [(3, 3), (2, 4), (4, 2)])
def test_causal_masks_by_name(queries, keys):
    from wengert.nn.attention import bias

    q, k = torch.randn(1, 2, queries, 3), torch.randn(1, 2, keys, 3)
    for mask, diagonal in ((bias.causal_upper_left, 0), (bias.causal_lower_right, keys - queries)):
        named = mask(queries, keys)
        seen = torch.ones(queries, keys, dtype=torch.bool).tril(diagonal)
        expected = nn.functional.scaled_dot_product_attention(q, k, k, seen)
        found = nn.functional.scaled_dot_product_attention(q, k, k, attn_mask=named)
        assert type(found) is torch.Tensor and torch.equal(found, expected)
    with pytest.raises(ValueError, match="should not be used with causal=True"):
        nn.functional.scaled_dot_product_attention(q, k, k, named, is_causal=True)
    with pytest.raises(NotImplementedError, match="only supports scaled_dot_product_attention, not add"):
        named + 1
    with pytest.raises(AssertionError, match="causal_lower_right only supports 2D tensors"):
        bias.causal_lower_right(2)
