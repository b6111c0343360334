"""Convolutions as users call them: shapes, options, layouts, errors. The arithmetic is tested with the kernels."""

import numpy as np
import pytest

import wengert
from wengert.nn import functional as F


def ones(*shape, dtype=wengert.float32):
    return wengert.ones(*shape, dtype=dtype)


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({}, (2, 4, 5, 4)),
        ({"padding": 1}, (2, 4, 7, 6)),
        ({"stride": 2, "padding": (1, 0)}, (2, 4, 4, 2)),
        ({"dilation": 2}, (2, 4, 3, 2)),
        ({"padding": "same"}, (2, 4, 7, 6)),
        ({"padding": "same", "dilation": (1, 3)}, (2, 4, 7, 6)),
        ({"padding": "valid"}, (2, 4, 5, 4)),
    ],
)
def test_shapes(options, shape):
    assert F.conv2d(ones(2, 3, 7, 6), ones(4, 3, 3, 3), **options).shape == shape


def test_uneven_same_padding_goes_to_the_end():
    x = wengert.tensor([[[1.0, 2.0, 3.0]]])
    out = F.conv1d(x, wengert.tensor([[[1.0, 10.0]]]), padding="same")
    assert out.tolist() == [[[21, 32, 3]]]


def test_a_single_image_needs_no_batch():
    x, w = wengert.randn(3, 5, 5), wengert.randn(4, 3, 2, 2)
    batch = F.conv2d(x.unsqueeze(0), w)
    assert F.conv2d(x, w).tolist() == batch.squeeze(0).tolist()


def test_a_transposed_convolution_undoes_the_shape_of_a_strided_one():
    w = ones(4, 3, 3, 3)
    down = F.conv2d(ones(1, 3, 8, 7), w, stride=2, padding=1)
    up = F.conv_transpose2d(down, w, stride=2, padding=1, output_padding=(1, 0))
    assert up.shape == (1, 3, 8, 7)


def test_the_node_and_its_inputs():
    x, w, b = ones(1, 1, 3, 3).requires_grad_(), ones(1, 1, 2, 2).requires_grad_(), ones(1).requires_grad_()
    node = F.conv2d(x, w, b).grad_fn
    assert node.name() == "ConvolutionBackward0"
    assert [n.variable is t for (n, _), t in zip(node.next_functions, (x, w, b), strict=True)] == [True] * 3


def test_a_channels_last_image_gives_a_channels_last_result():
    x = wengert.randn(2, 3, 5, 5).permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    assert F.conv2d(x, ones(4, 3, 2, 2)).stride() == (64, 1, 16, 4)


def test_it_is_in_torch_too():
    assert wengert.conv2d is F.conv2d


@pytest.mark.parametrize(
    ("shapes", "options", "words"),
    [
        (((1, 2, 5, 5), (4, 3, 2, 2)), {}, "expected input.1, 2, 5, 5. to have 3 channels, but got 2 channels"),
        (((1, 2, 5, 5), (4, 2, 7, 7)), {}, r"padded input size per channel: \(5 x 5\). Kernel size: \(7 x 7\)"),
        (((1, 2, 5, 5), (4, 2, 2, 2)), {"stride": 0}, "non-positive stride"),
        (((1, 2, 5, 5), (4, 2, 2, 2)), {"padding": -1}, "negative padding"),
        (((1, 2, 5, 5), (4, 2, 2, 2)), {"groups": 0}, "non-positive groups"),
        (((1, 2, 5, 5), (3, 1, 2, 2)), {"groups": 2}, "divisible by 2 at dimension 0"),
        (((1, 2, 5, 5), (4, 2, 2, 2)), {"padding": "same", "stride": 2}, "not supported for strided"),
        (((1, 2), (4, 2, 2, 2)), {}, r"Expected 3D \(unbatched\) or 4D \(batched\) input to conv2d"),
        (((1, 2, 5, 5), (4, 2, 2, 2), (3,)), {}, "expected bias to be 1-dimensional with 4 elements"),
        (((1, 2, 5, 5), (4, 2, 2, 2)), {"stride": (1, 1, 1)}, "single integer value or a list of 2 values"),
    ],
)
def test_what_does_not_fit_is_refused(shapes, options, words):
    with pytest.raises(RuntimeError, match=words):
        F.conv2d(*(ones(*shape) for shape in shapes), **options)


def test_other_dtypes():
    assert F.conv2d(ones(1, 1, 2, 2, dtype=wengert.int64), ones(1, 1, 2, 2, dtype=wengert.int64)).item() == 4
    half = F.conv2d(ones(1, 4096, 1, 1, dtype=wengert.bfloat16), ones(1, 4096, 1, 1, dtype=wengert.bfloat16))
    assert half.dtype is wengert.bfloat16
    assert half.item() == 4096
    with pytest.raises(RuntimeError, match="expected scalar type Double but found Float"):
        F.conv2d(ones(1, 1, 2, 2, dtype=wengert.float64), ones(1, 1, 2, 2))


def test_a_complex_gradient_is_conjugate():
    x = wengert.tensor([[[1 + 2j]]]).requires_grad_()
    w = wengert.tensor([[[3 - 1j]]])
    F.conv1d(x, w).real.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [[[3 + 1j]]])


def test_dtypes_that_differ_are_named():
    x, w, b = wengert.ones(1, 1, 3, 3).double(), wengert.ones(1, 1, 3, 3), wengert.ones(1)
    with pytest.raises(RuntimeError, match=r"Input type \(double\) and bias type \(float\) should be the same"):
        F.conv2d(x, w, b)
    with pytest.raises(RuntimeError, match="expected scalar type Double but found Float"):
        F.conv2d(x, w)
    with pytest.raises(RuntimeError, match="mat1 and mat2 must have the same dtype, but got Double and Float"):
        F.linear(x, w[0, 0], wengert.ones(3))
    with pytest.raises(RuntimeError, match="expected m1 and m2 to have the same dtype, but got: long int != float"):
        F.linear(wengert.ones(2, 3).long(), w[0, 0])
