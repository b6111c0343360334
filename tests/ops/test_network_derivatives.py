"""First and second derivatives of network functions against differences, in float64, along random directions."""

import numpy as np
import pytest

import wengert
from wengert.nn import functional as F


def classes(*values):
    return wengert.tensor(values)


# name: (function of tensors, shapes of its inputs)
SMOOTH = {
    "linear": (F.linear, [(3, 4), (5, 4), (5,)]),
    "linear of vectors": (lambda x, w: F.linear(x, w), [(4,), (5, 4)]),
    "linear over dimensions": (F.linear, [(2, 3, 4), (5, 4), (5,)]),
    "bilinear": (F.bilinear, [(3, 4), (3, 2), (5, 4, 2), (5,)]),
    "conv1d": (lambda x, w, b: F.conv1d(x, w, b, 2, 1, 2), [(2, 3, 9), (4, 3, 2), (4,)]),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, padding=1), [(2, 3, 4, 5), (4, 3, 3, 3), (4,)]),
    "conv2d strided in groups": (
        lambda x, w, b: F.conv2d(x, w, b, (2, 1), (1, 0), groups=2), [(2, 4, 5, 5), (6, 2, 3, 2), (6,)],
    ),
    "conv2d of even kernels to the same extent": (
        lambda x, w: F.conv2d(x, w, padding="same"), [(1, 2, 4, 4), (2, 2, 2, 4)],
    ),
    "conv3d": (F.conv3d, [(1, 2, 3, 4, 3), (2, 2, 2, 2, 2), (2,)]),
    "conv_transpose2d": (
        lambda x, w, b: F.conv_transpose2d(x, w, b, (2, 3), 1, (1, 2), dilation=(1, 3)),
        [(2, 3, 3, 2), (3, 4, 2, 3), (4,)],
    ),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False), [(2, 2, 6, 5)]),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, (2, 3)), [(2, 2, 5, 4)]),
    "lp_pool2d": (lambda x: F.lp_pool2d(x * x + 1, 2, 2), [(1, 2, 4, 4)]),
    "max_pool2d": (lambda x: F.max_pool2d(x * x, 3, 2, 1), [(2, 2, 6, 6)]),
    "adaptive_max_pool1d": (lambda x: F.adaptive_max_pool1d(x * x, 3), [(2, 2, 7)]),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (3, 4), w, b), [(2, 3, 4), (3, 4), (3, 4)]),
    "batch_norm": (lambda x, w, b: F.batch_norm(x, None, None, w, b, True), [(4, 3, 2), (3,), (3,)]),
    "batch_norm by running statistics": (
        lambda x, w, b: F.batch_norm(x, wengert.tensor([0.5, 1.0]).to(x), wengert.tensor([2.0, 3.0]).to(x), w, b),
        [(4, 2, 3), (2,), (2,)],
    ),
    "group_norm": (lambda x, w, b: F.group_norm(x, 2, w, b), [(2, 4, 3), (4,), (4,)]),
    "instance_norm": (lambda x, w, b: F.instance_norm(x, None, None, w, b), [(2, 3, 4), (3,), (3,)]),
    "rms_norm": (lambda x, w: F.rms_norm(x, (4,), w), [(3, 4), (4,)]),
    "local_response_norm": (lambda x: F.local_response_norm(x, 3, 0.1), [(2, 5, 3)]),
    "normalize": (F.normalize, [(3, 4)]),
    "cosine_similarity": (F.cosine_similarity, [(3, 4), (3, 4)]),
    "pairwise_distance": (F.pairwise_distance, [(3, 4), (3, 4)]),
    "gelu": (F.gelu, [(5,)]),
    "gelu by tanh": (lambda x: F.gelu(x, approximate="tanh"), [(5,)]),
    "silu": (F.silu, [(5,)]),
    "mish": (F.mish, [(5,)]),
    "softplus": (lambda x: F.softplus(x, 2.0), [(5,)]),
    "logsigmoid": (F.logsigmoid, [(5,)]),
    "glu": (F.glu, [(3, 4)]),
    "elu": (lambda x: F.elu(x, 1.3), [(9,)]),
    "celu": (lambda x: F.celu(x, 1.3), [(9,)]),
    "selu": (F.selu, [(9,)]),
    "prelu": (lambda x, w: F.prelu(x, w), [(2, 3), (3,)]),
    "leaky_relu": (lambda x: F.leaky_relu(x * x * x), [(5,)]),
    "hardswish": (lambda x: F.hardswish(x * x), [(5,)]),
    "cross_entropy": (lambda x: F.cross_entropy(x, classes(1, 0, 2)), [(3, 4)]),
    "cross_entropy over space": (
        lambda x: F.cross_entropy(x, wengert.tensor([[0, 2], [1, 1]]), ignore_index=2, reduction="none"), [(2, 3, 2)],
    ),
    "cross_entropy smoothed and weighted": (
        lambda x: F.cross_entropy(
            x, classes(1, 0, 2), wengert.tensor([1.0, 2.0, 3.0, 4.0], dtype=x.dtype), label_smoothing=0.2
        ),
        [(3, 4)],
    ),
    "cross_entropy with probabilities": (lambda x, p: F.cross_entropy(x, p.softmax(1)), [(3, 4), (3, 4)]),
    "mse_loss": (F.mse_loss, [(3, 4), (3, 4)]),
    "smooth_l1_loss": (lambda x, y: F.smooth_l1_loss(x, y, beta=0.7), [(9,), (9,)]),
    "huber_loss": (lambda x, y: F.huber_loss(x, y, "sum", 0.7), [(9,), (9,)]),
    "binary_cross_entropy": (lambda x, y: F.binary_cross_entropy(x.sigmoid(), y.sigmoid()), [(4,), (4,)]),
    "binary_cross_entropy_with_logits": (F.binary_cross_entropy_with_logits, [(4,), (4,)]),
    "binary_cross_entropy_with_logits, positive weight": (
        lambda x, w: F.binary_cross_entropy_with_logits(x, (x * 0 + 0.3).detach(), pos_weight=w), [(3, 4), (4,)],
    ),
    "kl_div": (lambda x, y: F.kl_div(x.log_softmax(1), y.softmax(1), reduction="batchmean"), [(3, 4), (3, 4)]),
    "soft_margin_loss": (lambda x: F.soft_margin_loss(x, (x * 0 + 1).detach()), [(4,)]),
    "triplet_margin_loss": (lambda a, p, n: F.triplet_margin_loss(a, p, n, margin=9.0), [(3, 4), (3, 4), (3, 4)]),
    "poisson_nll_loss": (F.poisson_nll_loss, [(4,), (4,)]),
    "embedding": (lambda w: F.embedding(wengert.tensor([[0, 2], [2, 1]]), w) ** 2, [(4, 3)]),
    "embedding_bag": (lambda w: F.embedding_bag(wengert.tensor([[0, 2], [2, 1]]), w) ** 2, [(4, 3)]),
    "pad reflect": (lambda x: F.pad(x, (1, 2, 2, 0), "reflect") ** 2, [(1, 2, 3, 4)]),
    "pad circular": (lambda x: F.pad(x, (1, 2), "circular") ** 2, [(1, 2, 4)]),
    "pad constant": (lambda x: F.pad(x, (1, -1, 2, 0)) ** 2, [(3, 4)]),
    "interpolate bilinear": (lambda x: F.interpolate(x, (5, 3), mode="bilinear") ** 2, [(1, 2, 3, 4)]),
    "interpolate bicubic": (lambda x: F.interpolate(x, scale_factor=1.7, mode="bicubic") ** 2, [(1, 1, 4, 3)]),
    "interpolate nearest": (lambda x: F.interpolate(x, scale_factor=2) ** 2, [(1, 2, 3)]),
    "unfold": (lambda x: F.unfold(x, 2, padding=1) ** 2, [(1, 2, 3, 3)]),
    "fold": (lambda x: F.fold(x, (3, 3), 2) ** 2, [(1, 8, 4)]),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2) ** 2, [(1, 8, 2, 2)]),
    "grid_sample": (
        lambda x, g: F.grid_sample(x, g.tanh() * 0.83, align_corners=False), [(1, 2, 4, 5), (1, 3, 3, 2)],
    ),
    "grid_sample of cubic taps": (
        lambda x, g: F.grid_sample(x, g.tanh() * 0.83, "bicubic", "reflection", align_corners=True),
        [(1, 2, 4, 5), (1, 3, 2, 2)],
    ),
    "grid_sample of volumes": (
        lambda x, g: F.grid_sample(x, g.tanh() * 1.3, padding_mode="border", align_corners=False),
        [(1, 2, 3, 4, 3), (1, 2, 1, 2, 3)],
    ),
    "attention": (F.scaled_dot_product_attention, [(2, 3, 4), (2, 5, 4), (2, 5, 4)]),
    "causal attention": (lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), [(2, 3, 4)] * 3),
}  # fmt: skip


def drawn(shapes, seed):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


def tensors(arrays):
    return [wengert.from_numpy(np.array(a)).requires_grad_() for a in arrays]


def total(function, arrays):
    """A weighted sum of the results and its gradients as arrays, zeros where there is none."""
    inputs = tensors(arrays)
    out = function(*inputs)
    weights = wengert.from_numpy(np.cos(np.arange(out.numel(), dtype=np.float64)).reshape(tuple(out.shape)))
    value = (out * weights).sum()
    grads = wengert.autograd.grad(value, inputs, create_graph=True)
    return value, grads, inputs


def along(grads, directions):
    """The sum of products of gradients and directions."""
    products = [(g * wengert.from_numpy(d)).sum() for g, d in zip(grads, directions, strict=True)]
    return sum(products[1:], products[0])


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_are_what_differences_say(name):
    function, shapes = SMOOTH[name]
    arrays, directions = drawn(shapes, 1), drawn(shapes, 2)
    step = 1e-6
    _, grads, _ = total(function, arrays)
    ahead, behind = (
        total(function, [a + sign * step * d for a, d in zip(arrays, directions, strict=True)])[0].item()
        for sign in (1, -1)
    )
    difference = (ahead - behind) / (2 * step)
    np.testing.assert_allclose(along(grads, directions).item(), difference, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", SMOOTH)
def test_second_derivatives_are_what_differences_of_gradients_say(name):
    function, shapes = SMOOTH[name]
    arrays, directions, probes = drawn(shapes, 1), drawn(shapes, 2), drawn(shapes, 3)
    step = 1e-6
    _, grads, inputs = total(function, arrays)
    slope = along(grads, probes)
    if slope.requires_grad:
        again = wengert.autograd.grad(slope, inputs, allow_unused=True)
        pairs = [(g, d) for g, d in zip(again, directions, strict=True) if g is not None]
        found = sum(float((g.detach().numpy() * d).sum()) for g, d in pairs)
    else:
        found = 0.0
    ahead, behind = (
        along(total(function, [a + sign * step * d for a, d in zip(arrays, directions, strict=True)])[1], probes).item()
        for sign in (1, -1)
    )
    np.testing.assert_allclose(found, (ahead - behind) / (2 * step), rtol=1e-4, atol=1e-5)
