"""The three maps of a convolution against the sum that defines them, written as loops."""

from itertools import product

import numpy as np
import pytest

from wengert.kernels import convolution
from wengert.kernels.convolution import correlate, correlate_data, correlate_weight, output_size, transposed_output_size

# (space, channels, out channels, groups, kernel, stride, padding, dilation)
CASES = [
    ((9,), 2, 3, 1, (3,), (1,), (0,), (1,)),
    ((9,), 4, 6, 2, (2,), (2,), (1,), (3,)),
    ((6, 5), 3, 2, 1, (3, 3), (1, 1), (1, 1), (1, 1)),
    ((6, 7), 2, 2, 1, (3, 2), (2, 1), (0, 2), (1, 2)),
    ((5, 40), 1, 4, 1, (3, 3), (1, 1), (1, 1), (1, 1)),
    ((4, 4), 6, 4, 2, (1, 1), (1, 1), (0, 0), (1, 1)),
    ((4, 4), 6, 4, 2, (1, 1), (2, 2), (0, 0), (1, 1)),
    ((5, 5), 4, 8, 4, (3, 3), (1, 1), (1, 1), (1, 1)),
    ((5, 4), 2, 7, 1, (2, 2), (2, 2), (0, 0), (1, 1)),
    ((4, 5, 3), 2, 3, 1, (2, 3, 2), (1, 2, 1), (1, 0, 1), (1, 1, 2)),
]


def form(g, x, w, stride, padding, dilation, groups):
    """Every product of the trilinear form as (n, o, out, c, tap, position in x), skipping those that fall on
    padding."""
    per_out, per_in = w.shape[0] // groups, w.shape[1]
    for n, o, c in product(range(x.shape[0]), range(w.shape[0]), range(per_in)):
        channel = o // per_out * per_in + c
        for out in np.ndindex(*g.shape[2:]):
            for tap in np.ndindex(*w.shape[2:]):
                at = tuple(i * s + k * d - p for i, s, k, d, p in zip(out, stride, tap, dilation, padding))
                if all(0 <= a < size for a, size in zip(at, x.shape[2:])):
                    yield (n, o, *out), (o, c, *tap), (n, channel, *at)


def arrays(case, dtype=np.float64, images=3):
    space, channels, out_channels, groups, kernel, stride, padding, dilation = case
    rng = np.random.default_rng(0)
    out = [output_size(*sizes) for sizes in zip(space, kernel, stride, padding, dilation)]

    def draw(*shape):
        values = rng.standard_normal(shape)
        if np.dtype(dtype).kind == "c":
            values = values + 1j * rng.standard_normal(shape)
        return values.astype(dtype)

    x, w = draw(images, channels, *space), draw(out_channels, channels // groups, *kernel)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return draw(images, out_channels, *out), x, w, options


@pytest.fixture(params=["whole", "blocks"])
def blocks(request, monkeypatch):
    """Run with all images in one block and with blocks of one or two."""
    if request.param == "blocks":
        monkeypatch.setattr(convolution, "BLOCK_BYTES", 3000)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_the_three_maps_read_off_one_trilinear_form(case, dtype, blocks):
    g, x, w, options = arrays(case, dtype)
    out, data, weight = np.zeros_like(g), np.zeros_like(x), np.zeros_like(w)
    for in_g, in_w, in_x in form(g, x, w, **options):
        out[in_g] += w[in_w] * x[in_x]
        weight[in_w] += g[in_g] * x[in_x]
        data[in_x] += g[in_g] * w[in_w]
    np.testing.assert_allclose(correlate(x, w, **options), out)
    np.testing.assert_allclose(correlate_data(g, w, x.shape[2:], **options), data, atol=1e-12)
    np.testing.assert_allclose(correlate_weight(g, x, w.shape[2:], **options), weight, atol=1e-12)


def test_bias_is_added_to_every_position(blocks):
    _, x, w, options = arrays(CASES[3])
    bias = np.array([1.0, -2.0])
    np.testing.assert_allclose(correlate(x, w, bias, **options), correlate(x, w, **options) + bias[:, None, None])


def test_output_padding_leaves_uncovered_places_zero():
    g, _, w, options = arrays(((4,), 1, 1, 1, (2,), (3,), (0,), (1,)))
    length = transposed_output_size(g.shape[2], 2, 3, 0, 1, 2)
    assert (g.shape[2], length) == (1, 4)
    out = correlate_data(g, w, (length,), **options)
    assert out.shape[2] == length
    assert not out[..., -2:].any()


def test_half_precision_is_summed_in_single_precision():
    x = np.full((1, 4096, 1, 1), 1.0, np.float16)
    w = np.full((1, 4096, 1, 1), 0.25, np.float16)
    out = correlate(x, w, stride=(1, 1), padding=(0, 0), dilation=(1, 1))
    assert out.dtype == np.float16
    assert out.item() == 1024


def test_a_channels_last_image_gives_a_channels_last_result():
    _, x, w, options = arrays(CASES[2])
    image = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    out = correlate(image, w, **options)
    assert out.transpose(0, 2, 3, 1).flags.c_contiguous
    np.testing.assert_allclose(out, correlate(x, w, **options))


def test_no_images_give_no_results_and_zero_gradients():
    g, x, w, options = arrays(CASES[2], images=0)
    assert correlate(x, w, **options).shape == g.shape
    assert correlate_data(g, w, x.shape[2:], **options).shape == x.shape
    assert not correlate_weight(g, x, w.shape[2:], **options).any()
