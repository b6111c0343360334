"""Resizing, windows as columns, moved pixels, sampling."""

import numpy as np
import pytest

import wengert
from wengert.nn import functional as F

LINE = [[[0.0, 1.0, 3.0]]]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"scale_factor": 2}, [0, 0, 1, 1, 3, 3]),
        ({"size": 2}, [0, 1]),
        ({"size": 2, "mode": "nearest-exact"}, [0, 3]),
        ({"size": 5, "mode": "linear", "align_corners": True}, [0, 0.5, 1, 2, 3]),
        ({"size": 6, "mode": "linear"}, [0, 0.25, 0.75, 1.5, 2.5, 3]),
        ({"size": 1, "mode": "area"}, [4 / 3]),
    ],
)
def test_resizing_a_line(options, expected):
    out = F.interpolate(wengert.tensor(LINE, dtype=wengert.float64), **options)
    np.testing.assert_allclose(out.numpy()[0, 0], expected)


def test_a_constant_image_stays_constant():
    x = wengert.full((1, 2, 5, 7), 3.0)
    for mode in ("bilinear", "bicubic"):
        for antialias in (False, True):
            out = F.interpolate(x, (3, 4), mode=mode, antialias=antialias)
            np.testing.assert_allclose(out.numpy(), 3, rtol=1e-6)


def test_a_cubic_halfway_between_elements():
    x = wengert.tensor([[[[0.0, 1.0, 2.0, 4.0]]]])
    out = F.interpolate(x, (1, 2), mode="bicubic").tolist()[0][0][0]
    near, far = 0.59375, -0.09375  # the kernel with a = -0.75 at distances 1/2 and 3/2
    assert out == [near * 1 + far * 2, far * 1 + near * 2 + (near + far) * 4]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, ValueError, "either size or scale_factor should be defined"),
        ({"size": 2, "scale_factor": 2}, ValueError, "only one of size or scale_factor"),
        ({"size": (2, 2)}, ValueError, "same number of spatial dimensions"),
        ({"size": 2, "mode": "bilinear"}, NotImplementedError, "3D input"),
        ({"size": 2, "align_corners": True}, ValueError, "align_corners option can only be set"),
        ({"size": 2, "mode": "linear", "antialias": True}, ValueError, "Anti-alias option is restricted"),
        ({"size": 0}, RuntimeError, "should be greater than 0"),
    ],
)
def test_what_does_not_fit_is_refused(options, error, words):
    with pytest.raises(error, match=words):
        F.interpolate(wengert.tensor(LINE), **options)


def test_columns_are_windows_and_go_back():
    x = wengert.arange(9.0).reshape(1, 1, 3, 3)
    columns = F.unfold(x, 2)
    assert columns[0, :, 0].tolist() == [0, 1, 3, 4]
    counts = F.fold(F.unfold(wengert.ones(1, 1, 3, 3), 2), (3, 3), 2)
    assert counts.tolist() == [[[[1, 2, 1], [2, 4, 2], [1, 2, 1]]]]
    assert (F.fold(columns, (3, 3), 2) / counts).tolist() == x.tolist()


def test_pixels_move_between_channels_and_space_and_back():
    x = wengert.arange(4.0).reshape(1, 4, 1, 1)
    assert F.pixel_shuffle(x, 2).tolist() == [[[[0, 1], [2, 3]]]]
    y = wengert.randn(2, 3, 4, 6)
    assert F.pixel_shuffle(F.pixel_unshuffle(y, 2), 2).tolist() == y.tolist()
    assert F.channel_shuffle(x, 2).reshape(-1).tolist() == [0, 2, 1, 3]


@pytest.mark.parametrize(
    ("mode", "pads", "expected"),
    [
        ("constant", (1, 2), [0, 1, 2, 3, 0, 0]),
        ("reflect", (2, 1), [3, 2, 1, 2, 3, 2]),
        ("replicate", (2, 1), [1, 1, 1, 2, 3, 3]),
        ("circular", (2, 1), [2, 3, 1, 2, 3, 1]),
        ("constant", (-1, 1), [2, 3, 0]),
        ("replicate", (-1, 1), [2, 3, 3]),
        ("circular", (-1, 1), [2, 3, 2]),
    ],
)
def test_padding_a_line(mode, pads, expected):
    assert F.pad(wengert.tensor([[[1.0, 2.0, 3.0]]]), pads, mode).tolist() == [[expected]]


def test_padding_names_the_last_dimension_first():
    assert F.pad(wengert.ones(2, 3), (1, 0, 0, 4), value=7).shape == (6, 4)
    with pytest.raises(RuntimeError, match="Padding size should be less than the corresponding input dimension"):
        F.pad(wengert.ones(1, 1, 3), (3, 0), "reflect")
    with pytest.raises(RuntimeError, match="divisible by 2"):
        F.pad(wengert.ones(3), (1,))


@pytest.mark.parametrize("align_corners", [False, True])
def test_the_identity_map_samples_the_image_itself(align_corners):
    x = wengert.randn(2, 3, 4, 5)
    theta = wengert.tensor([[[1.0, 0, 0], [0, 1, 0]]]).expand(2, 2, 3)
    grid = F.affine_grid(theta, x.shape, align_corners=align_corners)
    for mode in ("bilinear", "nearest", "bicubic"):
        out = F.grid_sample(x, grid, mode, "border", align_corners)
        np.testing.assert_allclose(out.numpy(), x.numpy(), atol=1e-5)


@pytest.mark.parametrize(("padding_mode", "expected"), [("zeros", 0.0), ("border", 2.0), ("reflection", 1.0)])
def test_what_lies_outside(padding_mode, expected):
    x = wengert.tensor([[[[0.0, 1.0, 2.0]]]])
    place = wengert.tensor([[[[2.0, 0.0]]]])  # one element to the right of the last one
    assert F.grid_sample(x, place, "nearest", padding_mode, True).item() == expected


@pytest.mark.parametrize("dtype", [wengert.bfloat16, wengert.float16])
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_a_grid_of_16_bits_gives_16_bits(mode, padding_mode, dtype):
    image, grid = wengert.randn(1, 2, 4, 4).to(dtype), wengert.randn(1, 3, 3, 2).to(dtype)
    assert F.grid_sample(image, grid, mode, padding_mode, align_corners=False).dtype is dtype


@pytest.mark.parametrize("padding_mode", ["border", "reflection"])
def test_a_place_on_the_border_has_no_influence(padding_mode):
    """The grid of a transformer that begins as the identity touches all borders."""
    image = wengert.arange(16.0).reshape(1, 1, 4, 4)
    grid = F.affine_grid(wengert.eye(2, 3).unsqueeze(0), (1, 1, 4, 4), align_corners=True).requires_grad_()
    F.grid_sample(image, grid, padding_mode=padding_mode, align_corners=True).sum().backward()
    moving = grid.grad[0] != 0
    assert moving[:, [0, 3], 0].sum() == 0 and moving[[0, 3], :, 1].sum() == 0
    assert moving[:, 1:3, 0].all() and moving[1:3, :, 1].all()
