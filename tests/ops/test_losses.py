"""Values, reductions and errors of losses."""

import math

import numpy as np
import pytest

import wengert
from wengert.nn import functional as F

SCORES = np.array([[2.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


def log_softmax(x):
    return x - np.log(np.exp(x).sum(1, keepdims=True))


def test_cross_entropy_is_minus_the_log_probability_of_the_target():
    each = -log_softmax(SCORES)[[0, 1], [0, 2]]
    x, t = wengert.from_numpy(SCORES), wengert.tensor([0, 2])
    np.testing.assert_allclose(F.cross_entropy(x, t, reduction="none").numpy(), each)
    np.testing.assert_allclose(F.cross_entropy(x, t).item(), each.mean())
    np.testing.assert_allclose(F.cross_entropy(x, t, reduction="sum").item(), each.sum())
    assert F.cross_entropy(x.requires_grad_(), t).grad_fn.name() == "NllLossBackward0"


def test_class_weights_make_the_mean_a_weighted_one():
    weight = np.array([1.0, 2.0, 5.0])
    each = -log_softmax(SCORES)[[0, 1], [0, 2]] * weight[[0, 2]]
    found = F.cross_entropy(wengert.from_numpy(SCORES), wengert.tensor([0, 2]), wengert.from_numpy(weight))
    np.testing.assert_allclose(found.item(), each.sum() / 6)


def test_ignored_targets_do_not_count_and_get_no_gradient():
    x = wengert.from_numpy(SCORES).requires_grad_()
    loss = F.cross_entropy(x, wengert.tensor([0, -100]))
    np.testing.assert_allclose(loss.item(), -log_softmax(SCORES)[0, 0])
    loss.backward()
    assert not x.grad[1].any()
    assert math.isnan(F.cross_entropy(x, wengert.tensor([-100, -100])).item())


def test_label_smoothing_mixes_in_the_even_distribution():
    log_p = log_softmax(SCORES)
    expected = 0.9 * -log_p[[0, 1], [0, 2]].mean() + 0.1 * -log_p.mean()
    found = F.cross_entropy(wengert.from_numpy(SCORES), wengert.tensor([0, 2]), label_smoothing=0.1)
    np.testing.assert_allclose(found.item(), expected)


def test_probabilities_as_targets_agree_with_classes():
    x = wengert.from_numpy(SCORES)
    one_hot = wengert.tensor([[1.0, 0, 0], [0, 0, 1]], dtype=wengert.float64)
    np.testing.assert_allclose(F.cross_entropy(x, one_hot).item(), F.cross_entropy(x, wengert.tensor([0, 2])).item())


def test_nll_loss_takes_log_probabilities_over_space():
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    t = np.array([[0, 1, 2, 0], [2, 2, 1, 0]])
    expected = -np.take_along_axis(x, t[:, None], 1)[:, 0]
    found = F.nll_loss(wengert.from_numpy(x), wengert.from_numpy(t), reduction="none")
    np.testing.assert_allclose(found.numpy(), expected)


def test_what_does_not_fit_is_refused():
    x = wengert.zeros(3, 2)
    for error, target, words in [
        (ValueError, wengert.zeros(4, dtype=wengert.int64), "Expected input batch_size"),
        (IndexError, wengert.tensor([0, 1, 2]), "Target 2 is out of bounds."),
        (IndexError, wengert.tensor([0, 1, -1]), "Target -1 is out of bounds."),
        (RuntimeError, wengert.zeros(3, dtype=wengert.int32), "expected target dtype to be Long or Byte, but got Int"),
    ]:
        with pytest.raises(error, match=words):
            F.cross_entropy(x, target)
    with pytest.raises(ValueError, match="is not a valid value for reduction"):
        F.mse_loss(x, x, reduction="average")
    with pytest.raises(RuntimeError, match="should be between 0 and 1"):
        F.binary_cross_entropy(x - 1, x)


def test_mse_loss_of_other_shapes_broadcasts_with_a_warning():
    with pytest.warns(UserWarning, match="different to the input size"):
        loss = F.mse_loss(wengert.zeros(3, 1), wengert.ones(3))
    assert loss.item() == 1


@pytest.mark.parametrize(
    ("loss", "arguments", "expected"),
    [
        (F.mse_loss, ([1.0, 3.0], [0.0, 0.0]), 5.0),
        (F.l1_loss, ([1.0, -3.0], [0.0, 0.0]), 2.0),
        (F.smooth_l1_loss, ([0.5, 3.0], [0.0, 0.0]), (0.125 + 2.5) / 2),
        (F.huber_loss, ([0.5, 3.0], [0.0, 0.0]), (0.125 + 2.5) / 2),
        (F.binary_cross_entropy, ([0.5, 1.0], [1.0, 0.0]), (math.log(2) + 100) / 2),
        (F.binary_cross_entropy_with_logits, ([0.0, 0.0], [1.0, 0.0]), math.log(2)),
        (F.kl_div, ([0.0, 0.0], [1.0, 1.0]), 0.0),
        (F.poisson_nll_loss, ([0.0, 1.0], [1.0, 2.0]), (1 + math.e - 2) / 2),
        (F.gaussian_nll_loss, ([1.0, 2.0], [0.0, 0.0], [1.0, 4.0]), (0.5 + 0.5 * (math.log(4) + 1)) / 2),
        (F.hinge_embedding_loss, ([0.3, 0.4], [1.0, -1.0]), (0.3 + 0.6) / 2),
        (F.margin_ranking_loss, ([1.0, 2.0], [0.0, 3.0], [1.0, 1.0]), 0.5),
        (F.soft_margin_loss, ([0.0, 0.0], [1.0, -1.0]), math.log(2)),
        (F.multilabel_soft_margin_loss, ([[0.0, 0.0]], [[1.0, 0.0]]), math.log(2)),
    ],
)
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
def test_values_by_hand(loss, arguments, expected):
    found = loss(*(wengert.tensor(a, dtype=wengert.float64) for a in arguments))
    np.testing.assert_allclose(found.item(), expected, rtol=1e-6)


def test_margins_between_classes():
    x = wengert.tensor([[0.1, 0.2, 0.4, 0.8]], dtype=wengert.float64)
    np.testing.assert_allclose(F.multi_margin_loss(x, wengert.tensor([3])).item(), (0.3 + 0.4 + 0.6) / 4)
    # targets 3 and 0; the others are 1 and 2
    found = F.multilabel_margin_loss(x, wengert.tensor([[3, 0, -1, 1]])).item()
    np.testing.assert_allclose(found, (0.4 + 0.6 + 1.1 + 1.3) / 4)


def test_triplets_and_cosines():
    a, p, n = (wengert.tensor([row], dtype=wengert.float64) for row in ([0.0, 0.0], [3.0, 4.0], [0.0, 1.0]))
    np.testing.assert_allclose(F.triplet_margin_loss(a, p, n, eps=0).item(), 5 - 1 + 1)
    np.testing.assert_allclose(F.triplet_margin_loss(a, p, n, eps=0, swap=True).item(), 5)
    one = wengert.tensor([1])
    np.testing.assert_allclose(F.cosine_embedding_loss(p, n, one).item(), 1 - 0.8, atol=1e-9)
    np.testing.assert_allclose(F.cosine_embedding_loss(p, n, -one, margin=0.5).item(), 0.3, atol=1e-9)


def paths(length, labels):
    """All ways to write `labels` in `length` steps with repeats and blanks (0)."""
    import itertools

    for path in itertools.product(range(3), repeat=length):
        merged = [c for i, c in enumerate(path) if i == 0 or path[i - 1] != c]
        if [c for c in merged if c] == list(labels):
            yield path


@pytest.mark.parametrize("labels", [(1,), (1, 2), (1, 1), ()])
def test_ctc_loss_sums_over_all_alignments(labels):
    log_p = log_softmax(np.random.default_rng(0).standard_normal((4, 3)))
    likelihood = sum(math.exp(sum(log_p[t, c] for t, c in enumerate(path))) for path in paths(4, labels))
    found = F.ctc_loss(
        wengert.from_numpy(log_p[:, None]), wengert.tensor([list(labels)], dtype=wengert.int64), [4], [len(labels)],
        reduction="sum",
    )  # fmt: skip
    np.testing.assert_allclose(found.item(), -math.log(likelihood))


def test_ctc_loss_gives_the_gradient_of_the_scores_beneath_the_log_softmax():
    x = np.random.default_rng(0).standard_normal((4, 1, 3))
    target, step = wengert.tensor([[1, 2]]), 1e-6

    def loss(scores):
        return F.ctc_loss(F.log_softmax(scores, 2), target, [4], [2])

    scores = wengert.from_numpy(x).requires_grad_()
    loss(scores).backward()
    for place in np.ndindex(*x.shape):
        moved = [x.copy(), x.copy()]
        moved[0][place] += step
        moved[1][place] -= step
        ahead, behind = (loss(wengert.from_numpy(m)).item() for m in moved)
        np.testing.assert_allclose(scores.grad.numpy()[place], (ahead - behind) / (2 * step), atol=1e-6)


def test_binary_cross_entropy_of_a_single_number_has_a_gradient():
    probability = wengert.tensor(0.25, requires_grad=True)
    F.binary_cross_entropy(probability, wengert.tensor(1.0)).backward()
    assert probability.grad.item() == -4.0


def test_targets_of_logits_are_probabilities():
    with pytest.raises(RuntimeError, match="result type Float can't be cast to the desired output type Long"):
        F.binary_cross_entropy_with_logits(wengert.ones(2), wengert.ones(2).long())


def test_an_index_to_ignore_means_nothing_for_probabilities():
    with pytest.raises(RuntimeError, match="ignore_index is not supported for floating point target"):
        F.cross_entropy(wengert.ones(2, 3), wengert.ones(2, 3), ignore_index=1)


def test_lengths_are_whole_numbers_within_the_targets():
    scores, targets = wengert.ones(5, 1, 3).log_softmax(-1), wengert.ones(1, 2, dtype=wengert.int64)
    with pytest.raises(RuntimeError, match="input_lengths must be integral"):
        F.ctc_loss(scores, targets, wengert.tensor([5.0]), wengert.tensor([2]))
    with pytest.raises(RuntimeError, match="at least 7 at dimension 1, but got size 2 for argument #2 'targets'"):
        F.ctc_loss(scores, targets, wengert.tensor([5]), wengert.tensor([7]))
