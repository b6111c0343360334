"""The text of arrays and tensors: which elements, which notation, where lines break.

Expected texts were recorded from PyTorch 2.13 where they are not evident."""

import math
import warnings

import ml_dtypes
import numpy as np
import pytest

import wengert
from wengert import printing
from wengert.autograd import graph
from wengert.dtypes import default
from wengert.printing import PrintOptions, format_array, get_printoptions, printoptions
from wengert.tensor import Parameter

f32 = np.float32


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.array([1, -20, 300]), "[  1, -20, 300]"),
        (np.array([True, False]), "[ True, False]"),
        (np.array([255, 0], np.uint8), "[255,   0]"),
        (np.array([2**64 - 1], np.uint64), "[18446744073709551615]"),
        (np.array([1, 2, 3], f32), "[1., 2., 3.]"),
        (np.array([0, 0], f32), "[0., 0.]"),
        (np.array([-0.0], f32), "[-0.]"),
        (np.array([1.5, 2, -3], f32), "[ 1.5000,  2.0000, -3.0000]"),
        (np.array([1.0, math.inf, math.nan], f32), "[1., inf, nan]"),
        (np.array([1.5, -math.inf], f32), "[1.5000,   -inf]"),
        (np.array([math.nan, math.nan]), "[nan, nan]"),
        (np.array([1e-5, 1.0], f32), "[1.0000e-05, 1.0000e+00]"),
        (np.array([1.0, 1001.0], f32), "[1.0000e+00, 1.0010e+03]"),
        (np.array([1.0, 1000.0], f32), "[   1., 1000.]"),
        (np.array([1e8], f32), "[100000000.]"),
        (np.array([2e8], f32), "[2.0000e+08]"),
        (np.array([0.1], np.float16), "[0.1000]"),
        (np.array([60000, 1], np.float16), "[6.0000e+04, 1.0000e+00]"),
        (np.array([1.5, 2.25], ml_dtypes.bfloat16), "[1.5000, 2.2500]"),
        (np.array([448, 0.5], ml_dtypes.float8_e4m3fn), "[448.0000,   0.5000]"),
        (np.array([1 + 2j, -3 - 4j], np.complex64), "[ 1.+2.j, -3.-4.j]"),
        (np.array([1.5 + 2j, complex(0, math.nan)], np.complex64), "[1.5000+2.j, 0.0000+nanj]"),
        (np.array(3.14159, f32), "3.1416"),
        (np.array(7), "7"),
        (np.zeros((0, 3)), "[]"),
    ],
)
def test_one_notation_serves_all_elements(array, text):
    assert format_array(array) == text


def test_zeros_and_nonfinite_values_do_not_decide_the_width():
    assert format_array(np.array([-0.0, 2.0], f32)) == "[-0., 2.]"
    assert format_array(np.array([-math.inf, 2.0], f32)) == "[-inf, 2.]"


def test_axes_nest_with_a_blank_line_per_outer_axis():
    array = np.arange(8).reshape(2, 2, 2)
    assert format_array(array) == "[[[0, 1],\n  [2, 3]],\n\n [[4, 5],\n  [6, 7]]]"


def test_rows_wrap_at_the_line_width_inside_the_indentation():
    options = PrintOptions(linewidth=20)
    assert format_array(np.arange(10), indent=8, options=options).splitlines() == [
        "[0, 1, 2, 3,",
        "         4, 5, 6, 7,",
        "         8, 9]",
    ]


def test_a_row_holds_at_least_one_element_however_narrow_the_line():
    assert format_array(np.arange(3), options=PrintOptions(linewidth=1)).count("\n") == 2


def test_beyond_the_threshold_only_the_edges_of_each_axis_remain():
    options = PrintOptions(threshold=5, edgeitems=1)
    assert format_array(np.arange(10), options=options) == "[0,  ..., 9]"
    assert format_array(np.arange(16).reshape(4, 4), options=options) == "[[ 0,  ...,  3],\n ...,\n [12,  ..., 15]]"
    assert format_array(np.arange(16).reshape(2, 8), options=options) == "[[ 0,  ...,  7],\n [ 8,  ..., 15]]"
    assert format_array(np.arange(16), options=PrintOptions(threshold=5, edgeitems=0)) == "[...]"


def test_hidden_elements_do_not_decide_the_notation():
    array = np.ones(2000, f32)
    array[1000] = 1e-20
    assert format_array(array) == "[1., 1., 1.,  ..., 1., 1., 1.]"


def test_a_large_array_is_cut_before_it_is_formatted(monkeypatch):
    seen = []
    original = printing._format_elements
    monkeypatch.setattr(printing, "_format_elements", lambda v, o: seen.append(v.size) or original(v, o))
    format_array(np.broadcast_to(f32(1.5), (1 << 20, 1 << 20)))
    assert seen == [36]


def test_signalling_nan_is_printed_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert format_array(np.array([0x7C01], np.uint16).view(np.float16)) == "[nan]"
        assert format_array(np.array([0x7F800001], np.uint32).view(f32)) == "[nan]"


def test_extreme_doubles_compare_without_overflow():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert format_array(np.array([1.7e308, 5e-324])) == "[1.7000e+308, 4.9407e-324]"


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"precision": 2}, "[1.50, 2.00]"),
        ({"precision": 0}, "[2, 2]"),
        ({"sci_mode": True}, "[1.5000e+00, 2.0000e+00]"),
        ({"profile": "short"}, "[1.50, 2.00]"),
        ({"profile": "short", "precision": 3}, "[1.500, 2.000]"),
    ],
)
def test_settings_hold_within_the_context_and_not_after_it(settings, text):
    before = get_printoptions()
    with printoptions(**settings):
        assert format_array(np.array([1.5, 2.0])) == text
    assert get_printoptions() == before


def test_setting_anything_hands_the_notation_back_to_the_numbers():
    with printoptions(sci_mode=True):
        printing.set_printoptions(precision=3)
        assert format_array(np.array([1.5])) == "[1.500]"


def test_the_full_profile_shows_everything():
    with printoptions(profile="full"):
        assert "..." not in format_array(np.arange(5000))


def test_an_unknown_profile_is_refused_by_name():
    with pytest.raises(ValueError, match="unknown profile 'tiny'"):
        printing.set_printoptions(profile="tiny")


def after(operation, tensor):
    """`tensor` as if it were the result of the named operation."""

    class Node(graph.Node):
        def name(self):
            return operation

    tensor._node = Node()
    return tensor


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (wengert.tensor([1.0, 2.0]), "tensor([1., 2.])"),
        (wengert.tensor([1, 2]), "tensor([1, 2])"),
        (wengert.tensor([True]), "tensor([True])"),
        (wengert.tensor([1j]), "tensor([0.+1.j])"),
        (wengert.tensor([1j], dtype=wengert.complex128), "tensor([0.+1.j], dtype=torch.complex128)"),
        (wengert.tensor([1.0], dtype=wengert.float64), "tensor([1.], dtype=torch.float64)"),
        (wengert.zeros(0), "tensor([])"),
        (wengert.zeros(0, dtype=wengert.int64), "tensor([], dtype=torch.int64)"),
        (wengert.zeros(2, 0), "tensor([], size=(2, 0))"),
        (wengert.tensor(2.0, requires_grad=True), "tensor(2., requires_grad=True)"),
        (wengert.tensor(2.0, requires_grad=True) * 1, "tensor(2., grad_fn=<MulBackward0>)"),
        (wengert.tensor(2.0, requires_grad=True).detach(), "tensor(2.)"),
        (Parameter(wengert.ones(1)), "Parameter containing:\ntensor([1.], requires_grad=True)"),
    ],
)
def test_only_what_the_elements_do_not_say_is_added(tensor, text):
    assert repr(tensor) == str(tensor) == f"{tensor!r}" == text


def test_the_default_dtype_decides_which_dtypes_are_spelled_out(monkeypatch):
    monkeypatch.setattr(default, "dtype", wengert.float64)
    assert repr(wengert.tensor([1.0], dtype=wengert.float64)) == "tensor([1.])"
    assert repr(wengert.tensor([1j], dtype=wengert.complex128)) == "tensor([0.+1.j])"
    assert repr(wengert.tensor([1.0], dtype=wengert.float32)) == "tensor([1.], dtype=torch.float32)"


class Mask(wengert.Tensor):
    pass


class Weight(Parameter):
    pass


def test_a_subclass_prints_its_name_and_indents_by_it():
    mask = wengert.Tensor._make_subclass(Mask, wengert.tensor([[1.0, 0.0], [0.0, 1.0]]))
    assert repr(mask) == "Mask([[1., 0.],\n      [0., 1.]])"


def test_a_subclass_of_parameter_prints_both():
    assert repr(Weight(wengert.ones(1))) == "Parameter containing:\nParameter(Weight([1.], requires_grad=True))"


def test_contents_may_be_given():
    assert wengert.ones(2).__repr__(tensor_contents="...") == "tensor(...)"


def test_a_suffix_that_would_pass_the_line_width_starts_a_line():
    tensor = after("NativeLayerNormBackward0", wengert.full((8,), 0.5))
    assert repr(tensor) == (
        "tensor([0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000],\n"
        "       grad_fn=<NativeLayerNormBackward0>)"
    )


def test_without_edgeitems_the_shape_is_written():
    with printoptions(edgeitems=0, threshold=2):
        assert repr(wengert.ones(3)) == "tensor([...], size=(3,))"


def test_a_plain_scalar_formats_as_its_number():
    assert f"{wengert.tensor(1.5):.2f}" == "1.50"
    assert f"{wengert.tensor(3):5d}" == "    3"
    assert f"{wengert.tensor(1.5, dtype=wengert.bfloat16):.1f}" == "1.5"
    assert f"{wengert.tensor(1.5, requires_grad=True):.1f}" == "1.5"
    assert f"{wengert.tensor([1.5])}" == "tensor([1.5000])"


@pytest.mark.parametrize("tensor", [wengert.tensor([1.5]), Parameter(wengert.tensor(1.5))])
def test_other_tensors_take_no_format_specification(tensor):
    with pytest.raises(TypeError, match="unsupported format string"):
        f"{tensor:.2f}"


def test_a_node_of_the_engine_is_named_without_its_namespace():
    x = wengert.ones(2, requires_grad=True)
    y = x * 1
    y[0] = 5
    assert repr(y) == "tensor([5., 1.], grad_fn=<CopySlices>)"
    assert repr(wengert.zeros(2).copy_(x)) == "tensor([1., 1.], grad_fn=<CopyBackwards>)"
    assert y.grad_fn.name() == "torch::autograd::CopySlices"
