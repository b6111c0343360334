"""oneDNN's convolutions and products equal the reference, whatever the shape, the layout and the options."""

import os
import threading

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wengert.kernels import convolution as reference
from wengert.kernels.cpu import onednn
from wengert.kernels.cpu.convolution import OneDNN

pytestmark = pytest.mark.skipif(onednn.absent() is not None, reason=f"without oneDNN: {onednn.absent()}")


def values(seed, shape, dtype=np.float32):
    return np.random.default_rng(seed).integers(-8, 9, shape).astype(dtype)  # small integers: every order sums alike


class fast:
    """oneDNN's maps, by the signatures of the reference."""

    @staticmethod
    def correlate(x, w, bias, *, out_space=None, **options):
        if out_space is None:
            along = (options[k] for k in ("stride", "padding", "dilation"))
            out_space = tuple(map(reference.output_size, x.shape[2:], w.shape[2:], *along))
        return OneDNN.correlate(x, w, bias, **options, out_space=out_space)

    correlate_data, correlate_weight = OneDNN.correlate_data, OneDNN.correlate_weight


def channels_last(x):
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


@st.composite
def convolutions(draw):
    axes = draw(st.integers(1, 3))
    each = lambda low, high: draw(st.tuples(*[st.integers(low, high)] * axes))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    kernel, stride, padding, dilation = each(1, 4), each(1, 3), each(0, 3), each(1, 2)
    space = tuple(d * (k - 1) + 1 + draw(st.integers(0, 17)) for k, d in zip(kernel, dilation))
    n, per_group, filters = (draw(st.sampled_from(sizes)) for sizes in ([1, 2, 5], [1, 3, 16, 17], [1, 4, 15]))
    x, w = (n, per_group * groups, *space), (filters * groups, per_group, *kernel)
    return x, w, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


@settings(max_examples=60, deadline=None)
@given(convolutions(), st.booleans(), st.booleans(), st.integers(0, 99))
def test_the_three_maps_of_a_convolution_equal_the_reference(case, last, with_bias, seed):
    x_shape, w_shape, options = case
    lay = channels_last if last and len(x_shape) > 3 else np.ascontiguousarray
    x, w = lay(values(seed, x_shape)), values(seed + 1, w_shape)
    bias = values(seed + 2, w_shape[:1]) if with_bias else None
    out = fast.correlate(x, w, bias, **options)
    np.testing.assert_array_equal(out, reference.correlate(x, w, bias, **options))
    g = lay(values(seed + 3, out.shape))
    np.testing.assert_array_equal(
        fast.correlate_data(g, w, x_shape[2:], **options), reference.correlate_data(g, w, x_shape[2:], **options)
    )
    np.testing.assert_array_equal(
        fast.correlate_weight(g, x, w_shape[2:], **options), reference.correlate_weight(g, x, w_shape[2:], **options)
    )


ONCE = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}


def test_the_result_lies_in_memory_as_the_image_does():
    x, w = values(0, (2, 8, 9, 9)), values(1, (16, 8, 3, 3))
    assert fast.correlate(x, w, None, **ONCE).flags.c_contiguous
    out = fast.correlate(channels_last(x), w, None, **ONCE)
    assert reference.is_channels_last(out)
    assert reference.is_channels_last(fast.correlate_data(out, w, (9, 9), **ONCE))


def test_any_strides_are_read_as_what_they_show():
    base = values(0, (2, 8, 18, 9))
    for x in (base[:, :, ::2], base[:, :, ::-1], np.broadcast_to(base[:1], base.shape), base.swapaxes(2, 3)):
        w = values(1, (4, 8, 3, 3))[:, :, ::-1]
        np.testing.assert_array_equal(fast.correlate(x, w, None, **ONCE), reference.correlate(x, w, None, **ONCE))


def test_bfloat16_is_summed_in_32_bits():
    x, w = values(0, (2, 8, 9, 9), ml_dtypes.bfloat16), values(1, (16, 8, 3, 3), ml_dtypes.bfloat16)
    out = fast.correlate(x, w, None, **ONCE)
    if out is None:
        pytest.skip("oneDNN has no bfloat16 convolution for this processor")
    assert out.dtype == x.dtype
    np.testing.assert_array_equal(out.astype("f"), reference.correlate(x, w, None, **ONCE).astype("f"))


@pytest.mark.parametrize(
    "x, w, out_space",
    [
        (np.zeros((0, 1, 5, 5), "f"), np.zeros((1, 1, 3, 3), "f"), None),
        (np.zeros((1, 1, 5, 5)), np.zeros((1, 1, 3, 3)), None),
        (np.zeros((1, 1, 5, 5), "f"), np.zeros((1, 1, 3, 3), "f"), (2, 2)),
    ],
    ids=["no images", "64 bits", "fewer windows than fit"],
)
def test_what_the_library_has_no_kernel_for_is_left_to_the_reference(x, w, out_space):
    assert fast.correlate(x, w, None, **ONCE, out_space=out_space) is None


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.sampled_from([1, 2, 7, 16, 17, 64])] * 3), st.lists(st.integers(1, 3), max_size=2), st.booleans(),
       st.booleans(), st.integers(0, 99))  # fmt: skip
def test_products_of_bfloat16_are_those_of_float32_rounded_once(extents, outer, a_swapped, b_swapped, seed):
    m, k, n = extents
    half = np.dtype(ml_dtypes.bfloat16)
    a = values(seed, (*outer, k, m), half).swapaxes(-1, -2) if a_swapped else values(seed, (*outer, m, k), half)
    b = values(seed + 1, (*outer, n, k), half).swapaxes(-1, -2) if b_swapped else values(seed + 1, (*outer, k, n), half)
    exact = a.astype(np.float32) @ b.astype(np.float32)
    np.testing.assert_array_equal(onednn.times(a, b, np.float32), exact)
    np.testing.assert_array_equal(onednn.times(a, b, half), exact.astype(half))


def test_other_products_are_left_to_the_reference():
    a = np.ones((4, 5, 6), ml_dtypes.bfloat16)
    assert onednn.times(a.astype(np.float16), a.swapaxes(1, 2).astype(np.float16), np.float16) is None
    assert onednn.times(a[:1], a.swapaxes(1, 2), a.dtype) is None
    assert onednn.times(a[:, ::-1], a.swapaxes(1, 2), a.dtype) is None


def test_threads_convolve_side_by_side():
    x, w = values(0, (4, 8, 19, 19)), values(1, (16, 8, 3, 3))
    expected, found = reference.correlate(x, w, None, **ONCE), []
    threads = [
        threading.Thread(target=lambda: found.extend(fast.correlate(x, w, None, **ONCE) for _ in range(5)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    for out in found:
        np.testing.assert_array_equal(out, expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_has_the_reference():
    """OpenMP's threads do not survive a fork; waiting for them would be for ever."""
    x, w = values(0, (4, 8, 19, 19)), values(1, (16, 8, 3, 3))
    fast.correlate(x, w, None, **ONCE)
    child = os.fork()
    if not child:
        os._exit(0 if fast.correlate(x, w, None, **ONCE) is None and "forked" in onednn.absent() else 1)
    assert os.waitpid(child, 0)[1] == 0
