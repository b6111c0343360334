"""Pools as users call them. The arithmetic is tested with the kernels."""

import pytest

import wengert
from wengert.nn import functional as F

IMAGE = [[[[1.0, 5.0, 2.0, 0.0], [3.0, 4.0, 8.0, 1.0]]]]


def test_maxima_and_where_they_are():
    values, indices = F.max_pool2d(wengert.tensor(IMAGE), 2, return_indices=True)
    assert values.tolist() == [[[[5, 8]]]]
    assert indices.tolist() == [[[[1, 6]]]]
    assert indices.dtype is wengert.int64
    assert F.max_unpool2d(values, indices, 2).tolist() == [[[[0, 5, 0, 0], [0, 0, 8, 0]]]]


def test_only_maxima_get_gradient():
    x = wengert.tensor(IMAGE).requires_grad_()
    out = F.max_pool2d(x, (2, 3), stride=1)
    out.sum().backward()
    assert out.grad_fn.name() == "MaxPool2DWithIndicesBackward0"
    assert x.grad.tolist() == [[[[0, 0, 0, 0], [0, 0, 2, 0]]]]


def test_averages_count_padding_unless_told_otherwise():
    x = wengert.ones(1, 1, 2, 2)
    assert F.avg_pool2d(x, 2, padding=1).tolist() == [[[[0.25, 0.25], [0.25, 0.25]]]]
    assert F.avg_pool2d(x, 2, padding=1, count_include_pad=False).tolist() == [[[[1, 1], [1, 1]]]]
    assert F.avg_pool2d(x, 2, divisor_override=8).item() == 0.5


def test_adaptive_pools_keep_what_is_none():
    x = wengert.arange(12.0).reshape(1, 1, 3, 4)
    assert F.adaptive_avg_pool2d(x, (None, 2)).tolist() == [[[[0.5, 2.5], [4.5, 6.5], [8.5, 10.5]]]]
    assert F.adaptive_avg_pool2d(x, 1).item() == 5.5
    assert F.adaptive_max_pool2d(x, 1, return_indices=True)[1].item() == 11


@pytest.mark.parametrize(
    ("pool", "shape"), [(F.max_pool1d, (2, 6)), (F.avg_pool2d, (2, 6, 6)), (F.max_pool3d, (2, 6, 6, 6))]
)
def test_a_single_image_needs_no_batch(pool, shape):
    x = wengert.randn(*shape)
    assert pool(x, 2).tolist() == pool(x.unsqueeze(0), 2).squeeze(0).tolist()


def test_power_means_lie_between_average_and_maximum():
    x = wengert.tensor([[[3.0, 4.0]]])
    assert F.lp_pool1d(x, 2, 2).item() == pytest.approx(5.0)


def test_fractional_windows_follow_their_samples():
    x = wengert.arange(25.0).reshape(1, 1, 5, 5)
    samples = wengert.tensor([[[0.0, 0.0]]])
    values, indices = F.fractional_max_pool2d(x, 2, output_size=2, return_indices=True, _random_samples=samples)
    assert values.tolist() == indices.to(wengert.float32).tolist()
    assert values.shape == (1, 1, 2, 2)
    assert values.max().item() == 24


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: F.max_pool2d(x, 2, padding=2), "pad should be at most half of effective kernel size"),
        (lambda x: F.max_pool2d(x, 2, stride=0), "stride should not be zero"),
        (lambda x: F.max_pool2d(x, 6), r"Given input size: \(2x5x5\). Calculated output size: \(2x0x0\)"),
        (lambda x: F.max_pool2d(x, (1, 2, 3)), "must either be a single int, or a tuple of two ints"),
        (lambda x: F.avg_pool2d(x, 2, divisor_override=0), "divisor must be not zero"),
        (lambda x: F.adaptive_avg_pool2d(x, (1, 2, 3)), "output_size must be 2"),
        (lambda x: F.max_pool1d(x, 2), "Expected 2D or 3D"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(RuntimeError, match=words):
        call(wengert.ones(1, 2, 5, 5))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_batches_of_no_images(axes):
    x = wengert.empty(0, 2, *[4] * axes, requires_grad=True)
    for pool in ("max", "avg"):
        out = getattr(F, f"adaptive_{pool}_pool{axes}d")(x, 2)
        assert out.shape == (0, 2, *[2] * axes)
        out.sum().backward()
    with pytest.raises(RuntimeError, match="with dimension 2 being empty"):
        getattr(F, f"adaptive_max_pool{axes}d")(wengert.empty(1, 2, *[0] * axes), 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((2, 0), "stride must be greater than zero, but got 0"),
        ((0, 1), "kernel_size must be greater than zero, but got 0"),
        ((2, 1, -1), "padding must be non-negative, but got -1"),
        ((1, 1, 2), "padding should be at most half of kernel size, but got padding=2 and kernel_size=1"),
        ((1, 1, 0, 0), "dilation must be greater than zero, but got 0"),
        ((5, 1), "Invalid computed output size: -1"),
    ],
)
def test_the_pool_along_a_line_has_its_own_words(arguments, words):
    with pytest.raises(RuntimeError, match=rf"max_pool1d\(\) {words}"):
        F.max_pool1d(wengert.ones(1, 3), *arguments)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("dtype", [wengert.int32, wengert.bool, wengert.complex64])
def test_means_and_adaptive_maxima_are_of_real_numbers(axes, dtype):
    image = wengert.ones((1, 2) + (4,) * axes, dtype=dtype)
    for name in ("avg_pool", "adaptive_avg_pool", "adaptive_max_pool"):
        with pytest.raises(NotImplementedError, match="not implemented for"):
            getattr(F, f"{name}{axes}d")(image, 2)


def test_fractional_pools_of_no_windows_and_of_no_channels():
    assert F.fractional_max_pool2d(wengert.ones(16, 5, 8, 8), 2, output_size=(0, 1)).shape == (16, 5, 0, 1)
    with pytest.raises(RuntimeError, match="Expected input to have non-zero size"):
        F.fractional_max_pool2d(wengert.ones(1, 0, 8, 8), 2, output_size=3)
    for kernel, size in (((2, 2, 2), 3), (2, (3,))):
        with pytest.raises(RuntimeError, match="must either be a single Int or tuple of Ints"):
            F.fractional_max_pool2d(wengert.ones(1, 1, 8, 8), kernel, output_size=size)


@pytest.mark.parametrize("cut", [(slice(None), slice(4)), (slice(None), slice(None), slice(None, None, 2))])
def test_a_window_of_channels_last_gives_channels_last(cut):
    window = wengert.ones(2, 8, 10, 10).contiguous(memory_format=wengert.channels_last)[cut]
    weight = wengert.ones(2, window.shape[1], 3, 3)
    results = F.max_pool2d(window, 2), F.conv2d(window, weight), F.pad(window, (1, 1)), F.adaptive_avg_pool2d(window, 3)
    for result in results:
        assert result.is_contiguous(memory_format=wengert.channels_last)
