"""User-defined Functions: what reaches forward and backward, and how outputs enter the graph."""

import gc

import numpy as np
import pytest

import wengert as torch
from wengert.autograd.function import Function, once_differentiable


class Scale(Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x * factor

    @staticmethod
    def backward(ctx, g):
        return g * ctx.factor, None


class Square(Function):
    @staticmethod
    def forward(x):
        return x * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * x * g


def leaf(*values):
    return torch.tensor(values, requires_grad=True)


def test_a_number_beside_a_tensor_gets_no_gradient():
    x = leaf(1.0, 2.0)
    Scale.apply(x, 3.0).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_the_node_is_named_after_the_class_and_shows_the_context():
    y = Scale.apply(leaf(1.0), 3.0)
    assert y.grad_fn.name() == "ScaleBackward"
    assert y.grad_fn.factor == 3.0
    assert len(y.grad_fn.next_functions) == 1
    with pytest.raises(AttributeError, match="'ScaleBackward' object has no attribute 'nothing'"):
        y.grad_fn.nothing


def test_forward_is_not_recorded_and_gets_the_very_tensor():
    x = leaf(1.0)

    class Look(Function):
        @staticmethod
        def forward(ctx, a):
            assert a is x
            assert not torch.is_grad_enabled()
            return a * 2

        @staticmethod
        def backward(ctx, g):
            assert not torch.is_grad_enabled()
            return g

    Look.apply(x).backward()


def test_backward_written_with_operations_has_a_derivative_itself():
    x = leaf(3.0)
    (g,) = torch.autograd.grad(Square.apply(x).sum() * 5, x, create_graph=True)
    assert g.item() == 30.0
    assert torch.autograd.grad(g, x)[0].item() == 10.0


def test_needs_input_grad_says_which_gradients_are_wanted():
    seen = []

    class Mul(Function):
        @staticmethod
        def forward(ctx, a, b, c):
            seen.append(ctx.needs_input_grad)
            return a * b

        @staticmethod
        def backward(ctx, g):
            return g, g, None

    Mul.apply(leaf(1.0), torch.ones(1), 3)
    with torch.no_grad():
        Mul.apply(leaf(1.0), torch.ones(1), 3)
    assert seen == [(True, False, False), (False, False, False)]


def test_saved_tensors_written_since_are_refused():
    x = leaf(1.0, 2.0).clone()
    y = Square.apply(x)
    x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_saved_tensors_are_freed_by_backward():
    y = Square.apply(leaf(1.0))
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.grad_fn.saved_tensors


def test_saving_an_output_makes_no_cycle():
    class Exp(Function):
        @staticmethod
        def forward(ctx, x):
            out = x.exp()
            ctx.save_for_backward(out)
            return out

        @staticmethod
        def backward(ctx, g):
            (out,) = ctx.saved_tensors
            return g * out

    x = leaf(0.0, 1.0)

    def run():
        (g,) = torch.autograd.grad(Exp.apply(x).sum(), x, create_graph=True)
        return torch.autograd.grad(g.sum(), x)[0]

    np.testing.assert_allclose(run().numpy(), np.exp([0, 1]), rtol=1e-6)
    gc.collect()
    gc.disable()
    try:
        run()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_missing_gradients_arrive_as_zeros_or_as_none():
    arrived = []

    def function(materialize):
        class Two(Function):
            @staticmethod
            def forward(ctx, x):
                ctx.set_materialize_grads(materialize)
                return x * 2, x * 3

            @staticmethod
            def backward(ctx, a, b):
                arrived.append(b if b is None else b.tolist())
                return a * 2

        return Two

    for materialize in (True, False):
        function(materialize).apply(leaf(1.0, 1.0))[0].sum().backward()
    assert arrived == [[0.0, 0.0], None]


def test_marked_outputs_have_no_gradient():
    class Both(Function):
        @staticmethod
        def forward(ctx, x):
            twice = x * 2
            ctx.mark_non_differentiable(twice)
            return x * 3, twice, x.argmax()

        @staticmethod
        def backward(ctx, g, *rest):
            return g * 3

    a, b, c = Both.apply(leaf(1.0, 2.0))
    assert [t.requires_grad for t in (a, b, c)] == [True, False, False]


class AddOne(Function):
    @staticmethod
    def forward(ctx, x):
        x.add_(1)
        ctx.mark_dirty(x)
        return x

    @staticmethod
    def backward(ctx, g):
        return g * 5


def test_an_input_written_in_place_is_returned_with_new_history():
    x = leaf(1.0, 2.0)
    y = x.clone()
    assert AddOne.apply(y) is y
    assert y.grad_fn.name() == "AddOneBackward"
    y.sum().backward()
    assert x.grad.tolist() == [5.0, 5.0]


def test_writing_a_view_in_place_reaches_its_base():
    x = leaf(1.0, 2.0)
    y = x.clone()
    AddOne.apply(y[:1])
    y.sum().backward()
    assert y.tolist() == [2.0, 2.0]
    assert x.grad.tolist() == [5.0, 1.0]


def test_a_leaf_may_not_be_written():
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        AddOne.apply(leaf(1.0))


def test_an_input_returned_as_it_is_becomes_a_fragile_view():
    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g

    x = leaf(1.0).clone()
    y = Same.apply(x)
    assert y is not x
    assert y._is_view()
    with pytest.raises(RuntimeError, match="This view was created inside a custom Function"):
        y.add_(1)


@pytest.mark.parametrize(
    "returned, message",
    [
        (lambda g: (g, g), r"returned an incorrect number of gradients \(expected 1, got 2\)"),
        (lambda g: 3.0, r"expected Variable or None \(got float\)"),
        (
            lambda g: torch.ones(3),
            r"returned an invalid gradient at index 0 - got \[3\] but expected shape compatible with \[2\]",
        ),
    ],
)
def test_what_backward_returns_is_checked(returned, message):
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return returned(g)

    with pytest.raises(RuntimeError, match=message):
        Wrong.apply(leaf(1.0, 2.0)).sum().backward()


def test_a_gradient_for_something_that_is_no_tensor_is_refused():
    class Wrong(Scale):
        @staticmethod
        def backward(ctx, g):
            return g, g

    with pytest.raises(RuntimeError, match="different than None at position 2"):
        Wrong.apply(leaf(1.0), 2.0).backward()


def test_gradients_take_the_shape_and_dtype_of_the_input():
    class Wide(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return torch.ones(3, 2, dtype=torch.float64)

    x = leaf(1.0, 2.0)
    Wide.apply(x).sum().backward()
    assert x.grad.dtype is torch.float32
    assert x.grad.tolist() == [3.0, 3.0]


def test_once_differentiable_refuses_the_second_derivative():
    class Once(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            assert not torch.is_grad_enabled()
            return g * 2

    x = leaf(1.0)
    (g,) = torch.autograd.grad(Once.apply(x) ** 2, x, create_graph=True)
    with pytest.raises(RuntimeError, match="trying to differentiate twice"):
        g.backward()


def test_missing_methods_are_named():
    class Empty(Function):
        pass

    class Forward(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    with pytest.raises(NotImplementedError, match="implement the forward function"):
        Empty.apply(leaf(1.0))
    with pytest.raises(NotImplementedError, match="either the backward or vjp method"):
        Forward.apply(leaf(1.0)).backward()
    with pytest.raises(RuntimeError, match="Legacy autograd function"), pytest.warns(DeprecationWarning):
        Forward()(leaf(1.0))


def test_only_tensors_can_be_saved():
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(3)

    with pytest.raises(TypeError, match="argument 0 is of type int"):
        Wrong.apply(leaf(1.0))


def test_defaults_and_keywords_are_bound():
    class Power(Function):
        @staticmethod
        def forward(x, exponent=2):
            return x**exponent

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(inputs[0])
            ctx.exponent = inputs[1]

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * ctx.exponent * x ** (ctx.exponent - 1), None

    x = leaf(2.0)
    Power.apply(x, exponent=3).backward()
    assert x.grad.item() == 12.0
    assert Power.apply(x).item() == 4.0


def test_an_output_without_derivative_may_leave_its_gradient_unmade():
    class Both(Function):
        @staticmethod
        def forward(ctx, x):
            second = x.clone()
            ctx.mark_non_differentiable(second)
            ctx._materialize_non_diff_grads = False
            return x.clone(), second

        @staticmethod
        def backward(ctx, g, none):
            assert none is None
            return g

    x = leaf(1.0)
    Both.apply(x)[0].backward()
    assert x.grad.item() == 1.0


def test_a_view_from_a_function_is_not_written_with_a_place_in_the_graph():
    class View(Function):
        @staticmethod
        def forward(ctx, x):
            return x.view_as(x)

        @staticmethod
        def backward(ctx, g):
            return g

    with pytest.raises(RuntimeError, match="This view was created inside a custom Function"):
        View.apply(torch.ones(2)).add_(leaf(1.0))
    assert View.apply(torch.ones(2)).add_(1).tolist() == [2, 2]


def test_a_second_derivative_after_once_differentiable_ends_in_its_error():
    class Triple(Function):
        @staticmethod
        def forward(ctx, x, factor, y):
            return x * factor + y

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            return g * 3, None, g

    x, y = leaf(1.0), leaf(2.0)
    arriving = leaf(1.0)
    g, _ = torch.autograd.grad(Triple.apply(x, 3, y), (x, y), arriving, create_graph=True)
    assert g.grad_fn.name() == "torch::autograd::Error"
    assert g.output_nr == 0
    assert [node and type(node).__name__ for node, _ in g.grad_fn.next_functions] == [
        "AccumulateGrad", None, "AccumulateGrad",
    ]  # fmt: skip
    with pytest.raises(RuntimeError, match="marked with @once_differentiable"):
        g.backward()


def test_functions_that_stop_a_gradient():
    x = leaf(1.0)
    with pytest.raises(RuntimeError, match="not this way"):
        torch._C._functions.DelayedError("not this way", 1)(x * 2).backward()
    torch._C._functions.UndefinedGrad()(x * 2).backward()
    assert x.grad is None


def test_saved_variables_is_an_old_name():
    class Old(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_variables[0]

    x = leaf(3.0)
    with pytest.warns(DeprecationWarning, match="'saved_variables' is deprecated"):
        Old.apply(x).backward()
    assert x.grad.item() == 3.0
