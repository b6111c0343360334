"""Images read at given places, and the gradients of that, as the reference computes them."""

import numpy as np
import pytest

from wengert.kernels import choices, cpu
from wengert.kernels import sampling as reference
from wengert.kernels.cpu import sampling

SPACES = [((5, 7), (3, 6)), ((1, 9), (4, 17)), ((4, 1, 6), (2, 3, 5))]


@pytest.fixture(autouse=True)
def reference_alone(monkeypatch):
    cpu.begin()
    monkeypatch.setattr(choices.state, "active", False)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize(("space", "out"), SPACES)
def test_reading_and_its_gradients(space, out, mode, padding_mode, align_corners):
    if mode == "bicubic" and len(space) == 3:
        return  # there is no such reading
    how, order = (mode, padding_mode, align_corners), (0,) * len(space)
    rng = np.random.default_rng(0)
    input, c = (rng.standard_normal((2, 3, *shape), dtype=np.float32) for shape in (space, out))
    grid = rng.uniform(-2.5, 2.5, (2, *out, len(space))).astype(np.float32)
    close = {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(
        sampling.read(input, grid, how, order), reference.read(input, grid, how, order), **close
    )
    np.testing.assert_allclose(
        sampling.spread(c, grid, space, how, order), reference.spread(c, grid, space, how, order), **close
    )
    np.testing.assert_allclose(
        sampling.slope(c, input, grid, how, order) * (mode != "nearest"),
        reference.slope(c, input, grid, how, order), **close,
    )  # fmt: skip


def test_what_lies_outside_is_not_touched():
    """An infinity is read, and a gradient lands, only where the place lies."""
    how, order = ("bilinear", "zeros", True), (0, 0)
    image = np.ones((1, 1, 4, 4), np.float32)
    image[0, 0, 0, 0] = np.inf
    grid = np.array([[[[3e9, 0], [-1.8, -1.8], [1, 1]]]], np.float32)
    for module in (sampling, reference):
        assert module.read(image, grid, how, order).tolist() == [[[[0, 0, 1]]]]
        back = module.spread(np.full((1, 1, 1, 2), np.inf, np.float32), grid[:, :, :2], (4, 4), how, order)
        assert not back.any()


def test_double_precision_is_left_to_the_reference():
    assert sampling.read(np.ones((1, 1, 4, 4)), np.zeros((1, 1, 1, 2)), ("nearest", "zeros", True), (0, 0)) is None
