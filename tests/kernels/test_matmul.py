import numpy as np
import pytest

import wengert
from wengert.kernels import choices
from wengert.kernels.matmul import times_like


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 1, 3), (0, 2, 3, 1), (1, 0, 3, 2), (0, 1, 3, 2), (3, 2, 1, 0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_product_lies_as_it_is_asked_to(order, dtype):
    wengert.ones(1 << 16)  # from here on sizes matter
    a, b = normal(3, 4, 70, 50).astype(dtype), normal(3, 4, 50, 60).astype(dtype)
    model = np.empty([(3, 4, 70, 60)[axis] for axis in order], dtype).transpose(np.argsort(order))
    product = times_like(a, b, model.strides)
    np.testing.assert_allclose(product, a @ b, rtol=1e-4, atol=1e-4)
    lasts = order[-1] in (2, 3)  # another innermost axis is gone through by NumPy, and the layout its choice
    assert not choices.state.active or not lasts or product.strides == model.strides


def test_gradients_of_heads_need_no_copy_to_be_put_together():
    x = wengert.tensor(normal(8, 64, 192)).requires_grad_()
    q, k, v = (part.view(8, 64, 2, 32).transpose(1, 2) for part in x.split(64, 2))
    seen = []
    for part in (q, k, v):
        part.register_hook(lambda g: seen.append(g.transpose(1, 2).is_contiguous()))
    out = (q @ k.transpose(-2, -1)).softmax(-1) @ v
    out.backward(wengert.tensor(normal(8, 2, 64, 32)))
    assert all(seen) or not choices.state.active
    assert len(seen) == 3
    small = wengert.tensor(normal(8, 64, 192)).double().requires_grad_()
    q, k, v = (part.view(8, 64, 2, 32).transpose(1, 2) for part in small.split(64, 2))
    ((q @ k.mT).softmax(-1) @ v).backward(wengert.tensor(normal(8, 2, 64, 32)).double())
    wengert.testing.assert_close(x.grad.double(), small.grad, rtol=1e-4, atol=1e-4)
