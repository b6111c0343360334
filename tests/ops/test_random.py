"""Random operations: what they fill and in which order, their options, gradients and refusals."""

import math
import warnings

import numpy as np
import pytest

import wengert
from wengert.kernels.random import Stream

FILLS = ["uniform_()", "normal_()", "exponential_()", "cauchy_()", "log_normal_()", "geometric_(0.5)", "random_()",
         "random_(5)", "random_(2, 5)", "bernoulli_()", "bernoulli_(wengert.full((5,), 0.5))"]  # fmt: skip


@pytest.fixture(autouse=True)
def seeded():
    wengert.manual_seed(0)


def test_recorded_figures():
    assert wengert.rand(2).tolist() == [0.49625658988952637, 0.7682217955589294]
    wengert.manual_seed(0)
    assert wengert.randn(2).tolist() == [1.5409960746765137, -0.293428897857666]
    wengert.manual_seed(0)
    assert wengert.randint(10, (2,)).tolist() == [4, 9]
    wengert.manual_seed(0)
    assert wengert.randperm(5).tolist() == [4, 0, 1, 3, 2]


@pytest.mark.parametrize("make", [
    lambda: wengert.rand(2, 3), lambda: wengert.rand((2, 3)), lambda: wengert.rand([2, 3]),
    lambda: wengert.rand(size=(2, 3)),
    lambda: wengert.rand(wengert.tensor(2), 3), lambda: wengert.rand(2, 3, out=wengert.empty(2, 3)),
    lambda: wengert.rand_like(wengert.zeros(2, 3)), lambda: wengert.empty(2, 3).uniform_(),
])  # fmt: skip
def test_all_ways_to_ask_for_uniforms_draw_the_same(make):
    assert np.array_equal(make().numpy(), Stream(0).uniform((2, 3)))


@pytest.mark.parametrize("make", [
    lambda: wengert.randint(3, 9, (4,)), lambda: wengert.randint(low=3, high=9, size=(4,)),
    lambda: wengert.randint(3, high=9, size=[4]), lambda: wengert.empty(4, dtype=wengert.int64).random_(3, 9),
    lambda: wengert.empty(4, dtype=wengert.int64).random_(**{"from": 3, "to": 9}),
    lambda: wengert.randint_like(wengert.zeros(4, dtype=wengert.int64), 3, 9),
])  # fmt: skip
def test_all_ways_to_ask_for_integers_draw_the_same(make):
    result = make()
    assert result.dtype is wengert.int64
    assert np.array_equal(result.numpy(), Stream(0).integers(4, 3, 9))


def test_options_of_factories():
    x = wengert.randn(3, dtype=wengert.float64, requires_grad=True, device="cpu", layout=wengert.strided)
    assert x.dtype is wengert.float64 and x.requires_grad and x.is_leaf
    assert wengert.randperm(3, dtype=wengert.float32).dtype is wengert.float32


def test_parts_of_complex_numbers_are_drawn_one_after_the_other():
    x = wengert.rand(2, dtype=wengert.complex64)
    assert x.tolist() == [complex(real, imaginary) for real, imaginary in Stream(0).uniform((2, 2)).tolist()]


def test_parts_of_complex_normals_share_the_variance():
    x = wengert.randn(20000, dtype=wengert.complex128).numpy()
    assert abs(np.mean(np.abs(x) ** 2) - 1) < 0.05


def test_fills_go_through_memory_in_its_order():
    base = wengert.zeros(3, 4)
    base.T.uniform_()
    assert np.array_equal(base.numpy(), Stream(0).uniform((3, 4)))


@pytest.mark.parametrize("fill", FILLS)
def test_a_fill_counts_as_a_write_in_place(fill):
    x = wengert.zeros(5)
    assert eval(f"x.{fill}", {"x": x, "wengert": wengert}) is x
    assert x._version == 1


@pytest.mark.parametrize("fill", FILLS)
def test_no_gradient_passes_a_fill(fill):
    x = wengert.ones(5, requires_grad=True)
    y = eval(f"(x * 2).{fill}", {"x": x, "wengert": wengert})
    assert type(y.grad_fn).__name__.endswith(("Backward0", "Backward1", "Backward2"))
    y.sum().backward()
    assert x.grad.tolist() == [0] * 5


def test_gradient_passes_beside_a_filled_view():
    x = wengert.ones(4, requires_grad=True)
    y = x * 3
    y[1:3].normal_()
    y.sum().backward()
    assert x.grad.tolist() == [3, 0, 0, 3]


def test_a_leaf_that_requires_grad_is_filled_under_no_grad_only():
    x = wengert.zeros(5, requires_grad=True)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        x.normal_()
    with wengert.no_grad():
        x.normal_()
    assert x.requires_grad and 0.0 not in x.tolist()


def test_samples_pass_zero_gradients_to_their_parameters():
    p = wengert.full((3,), 0.5, requires_grad=True)
    (wengert.bernoulli(p) + wengert.poisson(p) + wengert.normal(p, p)).sum().backward()
    assert p.grad.tolist() == [0, 0, 0]


def test_normal_of_tensors():
    mean, std = wengert.tensor([[0.0], [100.0]]), wengert.tensor([1.0, 2.0, 3.0])
    expected = Stream(0).normal(6).reshape(2, 3) * std.numpy() + mean.numpy()
    assert np.array_equal(wengert.normal(mean, std).numpy(), expected)


def test_bounds_that_a_float_cannot_hold_are_warned_of():
    with pytest.warns(UserWarning, match=r"to - 1 is out of bounds \[-\(2\^24\), 2\^24\]"):
        wengert.randint(0, 2**25, (3,), dtype=wengert.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wengert.randint(0, 2**24, (3,), dtype=wengert.float32)


@pytest.mark.parametrize("call, error, message", [
    ("rand(-1)", RuntimeError, "negative dimension -1"), ("rand(2.5)", TypeError, "must be tuple of ints, not float"),
    ("rand(2, dtype=wengert.int64)", NotImplementedError, "not implemented for 'Long'"),
    ("rand(2, generator=5)", TypeError, "argument 'generator'"), ("rand(2, device='cuda')", AssertionError, "CUDA"),
    ("rand(2, pin_memory=True)", RuntimeError, "pin_memory"), ("rand(2, bogus=1)", TypeError, "bogus"),
    ("randint(5, 5, (2,))", RuntimeError, "from=5 >= to=5"),
    ("randint(0, 300, (2,), dtype=wengert.uint8)", RuntimeError, "out of bounds for unsigned char"),
    ("randint(0, 3, (2,), requires_grad=True)", RuntimeError, "floating point and complex"),
    ("randint(low=3, size=(2,))", TypeError, "high"), ("randperm(300, dtype=wengert.uint8)", RuntimeError, "overflow"),
    ("randperm(3000, dtype=wengert.float16)", RuntimeError, "n cannot be greater than 2049 for Half"),
    ("normal(0, 1)", TypeError, "invalid combination"), ("normal(wengert.zeros(3), -1.0)", RuntimeError, "std >= 0.0"),
    ("zeros(3).uniform_(1, 0)", RuntimeError, "from=1 > to=0"), ("zeros(3).normal_(std=-1)", RuntimeError, "std -1"),
    ("zeros(3).exponential_(0)", RuntimeError, "lambda=0"), ("zeros(3).geometric_(1)", RuntimeError, "p=1"),
    ("zeros(3).bernoulli_(2)", RuntimeError, "p=2"), ("zeros(3).expand(2, 3).normal_()", RuntimeError, "single memory"),
    ("bernoulli(wengert.tensor([1.5]))", RuntimeError, "p_in"),
    ("poisson(wengert.tensor([-1.0]))", RuntimeError, "rate"),
    ("multinomial(wengert.ones(2), 3)", RuntimeError, "without replacement"),
    ("multinomial(wengert.tensor([0.5, -0.5]), 1)", RuntimeError, "element < 0"),
    ("multinomial(wengert.zeros(2), 1)", RuntimeError, "sum of probabilities"),
    ("dropout(wengert.ones(4), 1.5, True)", RuntimeError, "between 0 and 1, but got 1.5"),
    ("feature_dropout(wengert.ones(4), 0.5, True)", RuntimeError, "at least 2 dimensions"),
])  # fmt: skip
def test_refusals(call, error, message):
    with pytest.raises(error, match=message.replace("(", r"\(")):
        eval(f"wengert.{call}", {"wengert": wengert})


def test_dropout_keeps_the_mean_and_masks_the_gradient():
    x = wengert.ones(1000, requires_grad=True)
    y = wengert.dropout(x, 0.25, True)
    kept = Stream(0).bernoulli(1000, 0.75)
    assert np.array_equal(y.detach().numpy(), kept / np.float32(0.75))
    y.sum().backward()
    assert np.array_equal(x.grad.numpy(), y.detach().numpy())


def test_dropout_with_nothing_to_drop_is_the_input_itself():
    x = wengert.ones(4)
    assert wengert.dropout(x, 0.5, False) is x and wengert.dropout(x, 0.0, True) is x
    assert wengert.dropout(x, 1.0, True).tolist() == [0] * 4


def test_feature_dropout_drops_whole_channels():
    channels = wengert.feature_dropout(wengert.ones(8, 16, 5), 0.5, True).numpy()
    assert ((channels == 0).all(axis=2) | (channels == 2).all(axis=2)).all()
    assert 0 < (channels == 0).mean() < 1


def test_alpha_dropout_keeps_mean_and_variance():
    x = wengert.randn(40000)
    y = wengert.alpha_dropout(x, 0.3, True).numpy()
    assert abs(y.mean()) < 0.03 and abs(y.var() - 1) < 0.05


def test_dropout_in_place():
    x = wengert.ones(50)
    assert wengert.dropout_(x, 0.5, True) is x
    assert set(x.tolist()) == {0.0, 2.0}


def test_native_dropout_tells_what_it_kept():
    y, kept = wengert.native_dropout(wengert.ones(50), 0.5, True)
    assert kept.dtype is wengert.bool and np.array_equal(y.numpy(), kept.numpy() * 2)


def test_multinomial_writes_into_out():
    out = wengert.empty(4, dtype=wengert.int64)
    assert wengert.multinomial(wengert.ones(6), 4, out=out) is out
    assert len(set(out.tolist())) == 4 and math.prod(x < 6 for x in out.tolist()) == 1
