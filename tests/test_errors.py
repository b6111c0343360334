"""Errors are a feature: PyTorch's class and the gist of its sentence, and never NumPy's.

The first half goes through what users meet, case by case. The second half calls every public operation with arguments
that
are wrong in every way that can be thought of beforehand, and asks only that what is raised be PyTorch's kind of error.
"""

import importlib
import inspect
import re
import warnings

import numpy as np
import pytest

import wengert as torch

x = torch.arange(6.0).reshape(2, 3)


def leaf(*shape):
    return torch.ones(*shape, requires_grad=True)


# --- the graph --------------------------------------------------------------------------------------------------------


def backward_twice():
    loss = (leaf(3) ** 2).sum()
    loss.backward()
    loss.backward()


def modified_saved_value():
    a = leaf(3)
    b = a.exp()
    b.add_(1)
    b.sum().backward()


def modified_through_alias():
    a = leaf(3).clone()
    b = a * a
    a.detach().zero_()
    b.sum().backward()


def requires_grad_of_a_result():
    (leaf(3) * 2).requires_grad_(False)


def inference_tensor_in_the_graph():
    with torch.inference_mode():
        a = torch.ones(3)
    (a * leaf(3)).sum()


def unused_input():
    a, b = leaf(3), leaf(3)
    torch.autograd.grad(a.sum(), b)


def grad_with_a_gradient_of_another_shape():
    leaf(3).exp().backward(torch.ones(4))


GRAPH = [
    (backward_twice, RuntimeError, "backward through the graph a second time"),
    (lambda: torch.ones(1).backward(), RuntimeError, "does not require grad and does not have a grad_fn"),
    (lambda: leaf(1).detach().backward(), RuntimeError, "does not require grad and does not have a grad_fn"),
    (lambda: (leaf(3) * 2).backward(), RuntimeError, "grad can be implicitly created only for scalar outputs"),
    (grad_with_a_gradient_of_another_shape, RuntimeError, r"[Mm]ismatch in shape"),
    (lambda: leaf(3).add_(1), RuntimeError,
     "a leaf Variable that requires grad is being used in an in-place operation"),
    (lambda: leaf(3)[0].add_(1), RuntimeError, "a view of a leaf Variable that requires grad"),
    (lambda: leaf(3).__setitem__(0, 1.0), RuntimeError,
     "a view of a leaf Variable that requires grad|a leaf Variable that requires grad"),
    (modified_saved_value,
     RuntimeError, r"modified by an inplace operation.*output 0 of Exp.*is at version 1; expected version 0"),
    (modified_through_alias, RuntimeError, "modified by an inplace operation"),
    (lambda: torch.arange(3).requires_grad_(), RuntimeError,
     "only Tensors of floating point (and complex )?dtype can require gradients"),
    (lambda: torch.tensor([1, 2], requires_grad=True), RuntimeError, "[Oo]nly Tensors of floating point"),
    (requires_grad_of_a_result, RuntimeError, "you can only change requires_grad flags of leaf variables"),
    (inference_tensor_in_the_graph, RuntimeError, "Inference tensors cannot be saved for backward"),
    (unused_input, RuntimeError, "appears to not have been used in the graph"),
    (lambda: leaf(3).numpy(),
     RuntimeError, r"Can't call numpy\(\) on Tensor that requires grad. Use tensor.detach\(\).numpy\(\)"),
    (lambda: setattr(leaf(3), "grad", torch.ones(4)), RuntimeError, "assign a gradient of size"),
    (lambda: setattr(leaf(3), "grad", 1.0), TypeError, "assigned grad expected to be a Tensor or None"),
    (lambda: torch.autograd.grad(torch.ones(()), leaf(3)), RuntimeError, "does not require grad"),
]  # fmt: skip

# --- shapes, dimensions, indices --------------------------------------------------------------------------------------

SHAPES = [
    (lambda: x + torch.ones(4),
     RuntimeError, r"size of tensor a \(3\) must match the size of tensor b \(4\) at non-singleton dimension 1"),
    (lambda: x.clone().add_(torch.ones(3, 2, 3)), RuntimeError, "doesn't match the broadcast shape"),
    (lambda: torch.where(x > 0, x, torch.ones(4)), RuntimeError, "must match the size of tensor"),
    (lambda: x @ x, RuntimeError, r"mat1 and mat2 shapes cannot be multiplied \(2x3 and 2x3\)"),
    (lambda: torch.mm(x, torch.ones(3)), RuntimeError, "must be a matrix"),
    (lambda: torch.bmm(torch.ones(2, 3, 4), torch.ones(2, 3, 4)), RuntimeError, "size|batch"),
    (lambda: torch.dot(torch.ones(2), torch.ones(3)), RuntimeError, "inconsistent tensor size"),
    (lambda: torch.cat([x, torch.ones(3, 4)]), RuntimeError, "Sizes of tensors must match except in dimension 0"),
    (lambda: torch.cat([]), ValueError, "expected a non-empty list of Tensors"),
    (lambda: torch.stack([x, torch.ones(3)]), RuntimeError, "stack expects each tensor to be equal size"),
    (lambda: torch.stack([]), RuntimeError, "stack expects a non-empty TensorList"),
    (lambda: x.view(4), RuntimeError, r"shape '\[4\]' is invalid for input of size 6"),
    (lambda: x.reshape(-1, 4), RuntimeError, r"shape '\[-1, 4\]' is invalid for input of size 6"),
    (lambda: x.t().view(6), RuntimeError, "view size is not compatible with input tensor's size and stride"),
    (lambda: x.reshape(-1, -1), RuntimeError, "only one dimension can be inferred"),
    (lambda: x.expand(4, 3), RuntimeError, r"expanded size of the tensor \(4\) must match the existing size \(2\)"),
    (lambda: x.sum(2), IndexError, r"Dimension out of range \(expected to be in range of \[-2, 1\], but got 2\)"),
    (lambda: x.softmax(5), IndexError, "Dimension out of range"),
    (lambda: x.transpose(0, 3), IndexError, "Dimension out of range"),
    (lambda: x.sum((0, 0)), RuntimeError, "appears multiple times in the list of dims"),
    (lambda: x.permute(0), RuntimeError, "number of dimensions"),
    (lambda: x[2], IndexError, "index 2 is out of bounds for dimension 0 with size 2"),
    (lambda: x[0, 0, 0], IndexError, "too many indices for tensor of dimension 2"),
    (lambda: x[torch.tensor([5])], IndexError, "index 5 is out of bounds for dimension 0 with size 2"),
    (lambda: x[torch.ones(3, dtype=torch.bool)], IndexError, r"shape of the mask \[3\] at index 0 does not match"),
    (lambda: x["a"], (IndexError, TypeError), "only integers, slices|indices"),
    (lambda: x[0.5], (IndexError, TypeError), "only integers, slices|indices"),
    (lambda: torch.ones(())[0], IndexError, "invalid index of a 0-dim tensor"),
    (lambda: torch.ones(3)[::-1], ValueError, "step must be greater than zero"),
    (lambda: x.gather(0, torch.tensor([[7]])), RuntimeError, "out of bounds"),
    (lambda: x.index_select(0, torch.tensor([7])), IndexError, "out of range"),
    (lambda: x.item(), RuntimeError, "a Tensor with 6 elements cannot be converted to Scalar"),
    (lambda: bool(x), RuntimeError, "Boolean value of Tensor with more than one value is ambiguous"),
    (lambda: float(x), ValueError, "only one element tensors can be converted to Python scalars"),
    (lambda: iter(torch.ones(())), TypeError, "iteration over a 0-d tensor"),
    (lambda: len(torch.ones(())), TypeError, r"len\(\) of a 0-d tensor"),
    (lambda: torch.zeros(2, -1), RuntimeError, "negative dimension"),
    (lambda: torch.zeros(0).max(), RuntimeError, "numel|empty|non-zero size"),
    (lambda: x.topk(9), RuntimeError, "selected index k out of range"),
    (lambda: x.narrow(0, 1, 5), RuntimeError, "exceeds dimension size"),
    (lambda: torch.nn.functional.linear(x, torch.ones(4, 4)), RuntimeError, "cannot be multiplied"),
    (lambda: torch.nn.functional.conv2d(torch.ones(1, 3, 8, 8), torch.ones(4, 2, 3, 3)), RuntimeError,
     "expected input.*to have 2 channels"),
    (lambda: torch.linalg.inv(torch.zeros(2, 2)), RuntimeError, "singular"),
    (lambda: torch.linalg.inv(torch.ones(2, 3)), RuntimeError, "batches of square matrices"),
]  # fmt: skip

# --- dtypes, devices, arguments ---------------------------------------------------------------------------------------

i = torch.arange(3)
ARGUMENTS = [
    (lambda: torch.mm(x, torch.ones(3, 2, dtype=torch.float64)), RuntimeError,
     "expected .*same dtype|expected m1 and m2"),
    (lambda: i.add_(0.5), RuntimeError, "result type Float can't be cast to the desired output type Long"),
    (lambda: torch.add(x, x, out=torch.zeros(2, 3, dtype=torch.int64)), RuntimeError,
     "can't be cast to the desired output type Long"),
    (lambda: torch.mm(x, x.t(), out=torch.zeros(2, 2, dtype=torch.float64)), RuntimeError,
     "Expected out tensor to have dtype float, but got double instead"),
    (lambda: torch.abs(x, out=torch.zeros(2, 3, dtype=torch.float64)), RuntimeError,
     "Found dtype Double but expected Float"),
    (lambda: torch.cat([x], out=torch.zeros(2, 3, dtype=torch.int64)), TypeError,
     "can't be cast to the desired output type Long"),
    (lambda: torch.exp(leaf(3), out=torch.zeros(3)), RuntimeError, "don't support automatic differentiation"),
    (lambda: torch.exp(i.double(), out=torch.zeros(1).expand(3)), RuntimeError,
     "more than one element of the written-to tensor"),
    (lambda: torch.exp(i.double(), out=1), TypeError, "argument 'out' must be Tensor, not int"),
    (lambda: torch.ones(1).expand(3).add_(1), RuntimeError, "more than one element of the written-to tensor"),
    (lambda: i.mean(), RuntimeError, "could not infer output dtype"),
    (lambda: i.bool() - i.bool(), RuntimeError,
     "Subtraction, the `-` operator, with two bool tensors is not supported"),
    (lambda: -i.bool(), RuntimeError, "Negation, the `-` operator, on a bool tensor is not supported"),
    (lambda: x & x, (RuntimeError, NotImplementedError), "not implemented for 'Float'"),
    (lambda: i**-1, RuntimeError, "Integers to negative integer powers are not allowed"),
    (lambda: i // 0, RuntimeError, "ZeroDivisionError"),
    (lambda: torch.maximum(x, 2), TypeError, r"maximum\(\): argument 'other' \(position 2\) must be Tensor, not int"),
    (lambda: torch.eq(2, x), TypeError, r"argument 'input' \(position 1\) must be Tensor, not int"),
    (lambda: torch.add(x, "a"), TypeError, "must be Tensor, not str"),
    (lambda: x + "a", TypeError, "unsupported operand"),
    (lambda: x < None, TypeError, "."),
    (lambda: torch.sum([1.0]), TypeError, r"sum\(\): argument 'input' \(position 1\) must be Tensor, not list"),
    (lambda: torch.exp(1.0), TypeError, r"exp\(\): argument 'input' \(position 1\) must be Tensor, not float"),
    (lambda: torch.cat(x), TypeError, "must be tuple of Tensors, not Tensor"),
    (lambda: torch.cat([x, 1]), TypeError, "expected Tensor as element 1 in argument 0, but got int"),
    (lambda: x.sum(dims=0), TypeError, "unexpected keyword argument 'dims'"),
    (lambda: torch.zeros(2, colour="red"), TypeError, "unexpected keyword argument 'colour'"),
    (lambda: torch.exp(), TypeError, "missing 1 required positional argument"),
    (lambda: torch.exp(x, x), TypeError, "argument"),
    (lambda: torch.tensor([[1, 2], [3]]), ValueError, "expected sequence of length 2 at dim 1"),
    (lambda: torch.zeros(2, device="cuda"), (RuntimeError, AssertionError), "[Cc][Uu][Dd][Aa]|device"),
    (lambda: torch.device("nowhere"), RuntimeError, "device"),
    (lambda: torch.full((2,), 300, dtype=torch.int8), RuntimeError, "without overflow"),
    (lambda: torch.arange(0, 5, 0), RuntimeError, "step must be nonzero"),
    (lambda: torch.arange(5, 0), RuntimeError, "inconsistent with step sign"),
    (lambda: torch.linspace(0, 1, -1), RuntimeError, "number of steps must be non-negative"),
    (lambda: torch.div(x, x, rounding_mode="up"), RuntimeError, "expected rounding_mode to be one of"),
    (lambda: torch.multinomial(torch.ones(2), 3), RuntimeError, "cannot sample n_sample > prob_dist.size"),
    (lambda: torch.nn.functional.cross_entropy(x, torch.tensor([0, 9])), IndexError, "Target 9 is out of bounds"),
    (lambda: torch.nn.functional.one_hot(torch.tensor([-1])), RuntimeError, "non-negative"),
    (lambda: torch.einsum("ij,jk", x, x), RuntimeError, "size|subscript"),
]  # fmt: skip


@pytest.mark.parametrize("call, kind, gist", GRAPH + SHAPES + ARGUMENTS)
def test_the_error_is_pytorchs(call, kind, gist):
    with pytest.raises(kind) as raised:
        call()
    assert re.search(gist, str(raised.value), re.DOTALL), str(raised.value)


# --- no bare NumPy error, anywhere ------------------------------------------------------------------------------------

# PyTorch itself asserts in a few functions written in Python, and says "axis" in its Fourier transforms.
ALLOWED = (RuntimeError, IndexError, TypeError, ValueError, NotImplementedError, AssertionError)
NUMPYS = re.compile(r"ufunc|operands could not be broadcast|\baxis\b|\bndarray\b|\bnumpy\b(?!\()")
NAMESPACES = ("", "linalg", "fft", "special", "nn.functional")
NOT_CALLED = {"save", "load"}


def public_operations():
    from wengert.ops.declare import FUNCTIONS

    for name in ("wengert.nn.functional", "wengert.linalg", "wengert.fft", "wengert.special"):
        importlib.import_module(name)
    dir(torch)
    found = {}
    for namespace in NAMESPACES:
        for name, operation in sorted(FUNCTIONS.get(namespace, {}).items()):
            if name not in NOT_CALLED and not name.startswith("_"):
                found[f"{namespace}.{name}".strip(".")] = operation.function
    return found


def wrong_arguments():
    """Shapes that don't fit each other, dtypes, dimensions, things that are no tensors, keywords that don't exist."""
    f, g, whole, flags = x.clone(), torch.ones(4, 5), torch.tensor([[1, 2], [3, 4]]), torch.tensor([True, False])
    nothing, point = torch.zeros(0), torch.tensor(2.0)
    yield from [(f, g), (g, f), (f, g, f), (f, 7), (f, -9), (f, (0, 9)), (whole,), (whole, f), (flags,), (flags, flags)]
    yield from [
        (nothing,),
        (nothing, 0),
        (point,),
        (point, 1),
        (f,),
        (f, f, f, f),
        (f, g, 99),
        (f, whole, f),
        (f, 0, whole),
    ]
    yield from [
        (f, 0, whole, g),
        (f, None),
        ("text",),
        (3.0,),
        (None,),
        ([1.0, 2.0],),
        (f, "text"),
        (f, f, "text"),
        (f, [g]),
        ([f, g],),
    ]
    yield from [
        ([f, g], 5),
        ([],),
        ([f, 1],),
        (f, (2, 2)),
        (f, [0.5]),
        (f.bfloat16(), g.bfloat16()),
        (f.to(torch.complex64), 9),
    ]
    yield from [(torch.ones(1, 2, 3, 4), g), (torch.ones(2, 3, 4), torch.ones(3, 3, 3)), (f, f.double()), (f, object())]


def keywords():
    yield from [{}, {"colour": 1}, {"dim": 17}, {"dim": "text"}, {"dtype": "float"}, {"out": 3}]


# What still speaks Python's words, and why: the flat functions check only what tells the common case from the rest.
UNCHECKED = {
    "nn.functional.celu": "alpha=0 is divided by in the call itself",
    "nn.functional.celu_": "alpha=0 is divided by in the call itself",
    "nn.functional.cross_entropy": "a weight that is no tensor is found by an attribute it lacks",
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.xfail(reason=UNCHECKED[name])] if name in UNCHECKED else [])
        for name in public_operations()
    ],
)
def test_no_bare_numpy_error(name):
    function = public_operations()[name]
    complaints = []
    for arguments in wrong_arguments():
        for options in keywords():
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    function(*arguments, **options)
            except ALLOWED as error:
                if type(error).__module__.startswith("numpy") or NUMPYS.search(
                    str(error).replace("at least one axis", "")
                ):
                    complaints.append((arguments, options, error))
            except Exception as error:
                complaints.append((arguments, options, error))
    assert not complaints, (
        f"{len(complaints)} times, first {name}{complaints[0][0]} {complaints[0][1]}: {complaints[0][2]!r}"
    )


def test_every_operation_refuses_unknown_keywords():
    for function in public_operations().values():
        parameters = inspect.signature(function).parameters.values() if not hasattr(function, "__wrapped__") else ()
        if parameters and not any(p.kind is p.VAR_KEYWORD for p in parameters):
            with pytest.raises(TypeError, match="colour"):
                function(x, colour=1)


def test_a_result_that_is_not_finite_is_no_warning_but_to_the_users_own_numpy():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = torch.zeros(2, requires_grad=True)
        (x.log() / x + x.sqrt()).sum().backward()
        assert not x.grad.isfinite().any()
        with pytest.raises(RuntimeWarning, match="divide by zero encountered in log"):
            np.log(np.zeros(2))
    with pytest.warns(RuntimeWarning, match="invalid value encountered in divide") as given:
        np.zeros(2) / np.zeros(2)
    assert given[0].filename == __file__
