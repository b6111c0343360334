"""Masked reductions are those of the elements that take part."""

import numpy as np
import pytest

import wengert
from wengert import masked
from wengert.autograd import gradcheck

X = np.random.default_rng(0).standard_normal((3, 4))
MASK = np.array([[1, 0, 1, 1], [1, 1, 1, 0], [0, 1, 0, 1]], bool)
HOLES = np.ma.array(X, mask=~MASK)


@pytest.mark.parametrize("dim", [None, 0, 1])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sum", {}),
        ("prod", {}),
        ("mean", {}),
        ("amax", {}),
        ("amin", {}),
        ("var", {"ddof": 1}),
        ("std", {"ddof": 1}),
        ("argmax", {}),
        ("argmin", {}),
    ],
)
def test_reductions(name, options, dim):
    expected = getattr(HOLES, name.replace("amax", "max").replace("amin", "min"))(axis=dim, **options)
    result = getattr(masked, name)(wengert.tensor(X), dim, mask=wengert.tensor(MASK))
    np.testing.assert_allclose(result.numpy(), np.asarray(expected), rtol=1e-12)


def test_medians_and_norms():
    x, mask = wengert.tensor(X), wengert.tensor(MASK)
    holes = np.where(MASK, X, np.nan)
    np.testing.assert_allclose(
        masked.median(x, 1, mask=mask).numpy(), [np.nanpercentile(r, 50, method="lower") for r in holes]
    )
    np.testing.assert_allclose(masked.norm(x, 2, 1, mask=mask).numpy(), np.linalg.norm(np.where(MASK, X, 0), axis=1))
    np.testing.assert_allclose(masked.logsumexp(x, 1, mask=mask).numpy(), np.log(np.where(MASK, np.exp(X), 0).sum(1)))


def test_softmax_and_its_kin():
    x, mask = wengert.tensor(X), wengert.tensor(MASK)
    weights = np.where(MASK, np.exp(X), 0)
    np.testing.assert_allclose(masked.softmax(x, 1, mask=mask).numpy(), weights / weights.sum(1, keepdims=True))
    np.testing.assert_allclose(masked.softmin(-x, 1, mask=mask).numpy(), weights / weights.sum(1, keepdims=True))
    np.testing.assert_allclose(masked.normalize(x, 2, 1, mask=mask).norm(dim=1).numpy(), np.ones(3))
    np.testing.assert_allclose(masked.cumsum(x, 1, mask=mask).numpy(), np.where(MASK, X, 0).cumsum(1))


def test_what_takes_no_part_gets_no_gradient():
    x, mask = wengert.tensor(X, requires_grad=True), wengert.tensor(MASK)
    assert gradcheck(lambda x: masked.var(x, 1, mask=mask), [x])
    masked.mean(x, mask=mask).backward()
    assert not x.grad[~mask].any()
