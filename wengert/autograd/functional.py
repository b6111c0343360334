"""Jacobians, Hessians and their products with vectors, of functions of tensors.

Functions take tensors and return tensors; what is returned here has the structure of what was given: a tensor where one
tensor was given, a tuple where a tuple was, and tuples of tuples for matrices of blocks.
"""

import numpy as np

from wengert.autograd import engine
from wengert.autograd.modes import enable_grad, is_grad_enabled, set_grad_enabled
from wengert.ops.shape import stack
from wengert.tensor import Tensor, wrap

__all__ = ["vjp", "jvp", "jacobian", "hessian", "vhp", "hvp"]


# --- structure --------------------------------------------------------------------------------------------------------


def as_tuple(value, name, function):
    """(whether it was a tuple, the tuple); raises TypeError for anything but tensors."""
    many = isinstance(value, tuple)
    values = value if many else (value,)
    for i, v in enumerate(values):
        if not isinstance(v, Tensor):
            if many:
                raise TypeError(
                    f"The {name} given to {function} must be either a Tensor or a tuple of Tensors but the value at "
                    f"index {i} has type {type(v)}."
                )
            raise TypeError(
                f"The {name} given to {function} must be either a Tensor or a tuple of Tensors but the given {name} "
                f"has type {type(v)}."
            )
    return many, values


def as_given(many, values):
    return values if many else values[0]


def prepared(inputs, create_graph):
    """Inputs of our own to differentiate with respect to: views in the user's graph, or new leaves."""
    return tuple(x.view_as(x) if create_graph and x.requires_grad else leaf_of(x) for x in inputs)


def leaf_of(x):
    return x.detach().requires_grad_() if x.dtype.differentiable else x.detach()


def finished(values, create_graph):
    return tuple(v if create_graph else v.detach() for v in values)


def check_vector(vector, other, name):
    """Raise RuntimeError unless each tensor of `vector` has the shape of its counterpart."""
    if len(vector) != len(other):
        if len(other) == 1:
            raise RuntimeError(f"The given {name} should contain a single Tensor.")
        raise RuntimeError(f"{name} is a tuple of invalid length: should be {len(other)} but got {len(vector)}.")
    for i, (v, x) in enumerate(zip(vector, other, strict=True)):
        if v.shape != x.shape:
            at = f"Entry {i} in " if len(other) > 1 else ""
            raise RuntimeError(f"{at}{name} has invalid size: should be {x.shape} but got {v.shape}.")


def check_strict(outputs, what, strict):
    """In strict mode, raise RuntimeError for a tensor that does not depend on the inputs."""
    if not strict:
        return
    for i, value in enumerate(outputs):
        if value is None or not value.requires_grad:
            raise RuntimeError(STRICT[what].format(i=i))


STRICT = {
    "outputs": "Output {i} of the user-provided function does not require gradients. The outputs must be computed in a "
    "differentiable manner from the input when running in strict mode.",
    "grad_inputs": "The gradient with respect to input {i} is independent of the inputs of the user-provided "
    "function. This is "
    "not allowed in strict mode.",
    "jacobian": "The jacobian of the user-provided function is independent of input {i}. This is not allowed in "
    "strict mode when create_graph=True.",
    "hessian": "While computing the hessian, found that the jacobian of the user-provided function with respect to "
    "input {i} is "
    "independent of the input. This is not allowed in strict mode. You should ensure that your function is twice "
    "differentiable "
    "and that the jacobian depends on the inputs.",
    "element": "Output 0 of the user-provided function is independent of input {i}. This is not allowed in strict "
    "mode.",
    "unused": "The output of the user-provided function is independent of input {i}. This is not allowed in strict "
    "mode.",
    "double": "The gradient of the user-provided function is independent of input {i}. This is not allowed in strict "
    "mode.",
}


def gradients(outputs, inputs, grad_outputs, create_graph, strict, what="unused"):
    """`grad`, with zeros for what does not depend, or an error in strict mode."""
    pairs = [(o, g) for o, g in zip(outputs, grad_outputs, strict=True) if o.requires_grad]
    wanted = [x for x in inputs if x.requires_grad]
    found = iter(())
    if pairs and wanted:
        found = iter(
            engine.grad(
                [o for o, _ in pairs],
                wanted,
                [g for _, g in pairs],
                create_graph=create_graph,
                retain_graph=True,
                allow_unused=True,
            )
        )
    results = []
    for i, x in enumerate(inputs):
        g = next(found, None) if x.requires_grad else None
        if g is None and strict:
            raise RuntimeError(STRICT[what].format(i=i))
        results.append(zeros_like(x) if g is None else g)
    return tuple(results)


def zeros_like(x):
    return wrap(np.zeros(x._array.shape, x.dtype.numpy), x.dtype)


def ones_like(x):
    return wrap(np.ones(x._array.shape, x.dtype.numpy), x.dtype)


# --- products with vectors --------------------------------------------------------------------------------------------


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """The result of ``func(*inputs)``, and vᵀJ, the vector `v` (of the result's shape) times its Jacobian.

    Args:
        v: may be left out where the result has one element.
        create_graph: make the product differentiable.
        strict: raise RuntimeError where a result does not depend on an input, instead of giving zeros.
    """
    with enable_grad():
        many, inputs = as_tuple(inputs, "inputs", "vjp")
        inputs = prepared(inputs, create_graph)
        many_outputs, outputs = as_tuple(func(*inputs), "outputs of the user-provided function", "vjp")
        check_strict(outputs, "outputs", strict)
        vector = vector_for(
            outputs,
            v,
            "vjp",
            "v",
            lambda o: sum(x.numel() for x in o) == 1,
            "The vector v can only be None if the user-provided function returns a single Tensor with "
            "a single element.",
        )
    with set_grad_enabled(create_graph or is_grad_enabled()):
        product = gradients(outputs, inputs, vector, create_graph, strict)
    return as_given(many_outputs, finished(outputs, create_graph)), as_given(many, finished(product, create_graph))


def vector_for(others, v, function, name, may_miss, message):
    if v is None:
        if not (len(others) == 1 and may_miss(others)):
            raise RuntimeError(message)
        return (ones_like(others[0]),)
    _, vector = as_tuple(v, name, function)
    check_vector(vector, others, name)
    return tuple(x.detach() if not x.requires_grad else x for x in vector)


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """The result of ``func(*inputs)``, and Jv, its Jacobian times the vector `v` (of the inputs' shapes).

    Computed as the derivative of u -> uᵀJ, which is linear in u.
    """
    with enable_grad():
        _, inputs = as_tuple(inputs, "inputs", "jvp")
        inputs = prepared(inputs, create_graph)
        vector = vector_for(
            inputs,
            v,
            "jvp",
            "v",
            lambda x: x[0].numel() == 1,
            "The vector v can only be None if the input to the user-provided function is a single "
            "Tensor with a single element.",
        )
        many_outputs, outputs = as_tuple(func(*inputs), "outputs of the user-provided function", "jvp")
        check_strict(outputs, "outputs", strict)
        dummies = tuple(zeros_like(o).requires_grad_() for o in outputs)
        rows = gradients(outputs, inputs, dummies, True, strict)
        check_strict(rows, "grad_inputs", strict)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        product = gradients(rows, dummies, vector, create_graph, strict)
    return as_given(many_outputs, finished(outputs, create_graph)), as_given(
        many_outputs, finished(product, create_graph)
    )


def scalar_result(func, inputs, function, strict):
    many, outputs = as_tuple(func(*inputs), "outputs of the user-provided function", function)
    check_strict(outputs, "outputs", strict)
    if many or outputs[0].numel() != 1:
        if many:
            raise RuntimeError(f"The function given to {function} should return a single Tensor")
        raise RuntimeError(f"The Tensor returned by the function given to {function} should contain a single element")
    return outputs


def vhp(func, inputs, v=None, create_graph=False, strict=False):
    """The result of the scalar function ``func(*inputs)``, and vᵀH, the vector `v` times its Hessian."""
    with enable_grad():
        many, inputs = as_tuple(inputs, "inputs", "vhp")
        inputs = prepared(inputs, create_graph)
        vector = vector_for(
            inputs,
            v,
            "vhp",
            "v",
            lambda x: x[0].numel() == 1,
            "The vector v can only be None if the input to the user-provided function is a single "
            "Tensor with a single element.",
        )
        outputs = scalar_result(func, inputs, "vhp", strict)
        first = gradients(outputs, inputs, (ones_like(outputs[0]),), True, strict)
        check_strict(first, "grad_inputs", strict)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        product = gradients(first, inputs, vector, create_graph, strict, "double")
    return finished(outputs, create_graph)[0], as_given(many, finished(product, create_graph))


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """The result of the scalar function ``func(*inputs)``, and Hv, its Hessian times the vector `v`."""
    with enable_grad():
        many, inputs = as_tuple(inputs, "inputs", "hvp")
        inputs = prepared(inputs, create_graph)
        vector = vector_for(
            inputs,
            v,
            "hvp",
            "v",
            lambda x: x[0].numel() == 1,
            "The vector v can only be None if the input to the user-provided function is a single "
            "Tensor with a single element.",
        )
        outputs = scalar_result(func, inputs, "hvp", strict)
        first = gradients(outputs, inputs, (ones_like(outputs[0]),), True, strict)
        check_strict(first, "grad_inputs", strict)
        dummies = tuple(zeros_like(x).requires_grad_() for x in inputs)
        second = gradients(first, inputs, dummies, True, strict, "double")
        check_strict(second, "grad_inputs", strict)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        product = gradients(second, dummies, vector, create_graph, strict)
    return finished(outputs, create_graph)[0], as_given(many, finished(product, create_graph))


# --- matrices ---------------------------------------------------------------------------------------------------------


def jacobian(func, inputs, create_graph=False, strict=False, vectorize=False, strategy="reverse-mode"):
    """The Jacobian of `func` at `inputs`: for each result and input a block of shape (*result.shape, *input.shape).

    Args:
        create_graph: make the Jacobian differentiable.
        strict: raise RuntimeError where a result does not depend on an input.
        vectorize: as in PyTorch, to be combined with `strategy`; the rows are computed one by one all the same.
        strategy: "reverse-mode", a pass for each element of the results, or "forward-mode", for each element of the
        inputs.
    """
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has more outputs '
            'than inputs, "forward-mode" tends to be more performant. Otherwise, prefer to use "reverse-mode".'
        )
    if strategy == "forward-mode":
        if create_graph:
            raise NotImplementedError(
                'torch.autograd.functional.jacobian: `create_graph=True` and `strategy="forward-mode"` are not '
                'supported together (yet). Please either set `create_graph=False` or `strategy="reverse-mode"`.'
            )
        return forward_jacobian(func, inputs, strict, vectorize)
    if strict and vectorize:
        raise RuntimeError(
            "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not supported together. "
            "Please either "
            "set `strict=False` or `vectorize=False`."
        )
    with enable_grad():
        many, inputs = as_tuple(inputs, "inputs", "jacobian")
        inputs = prepared(inputs, create_graph)
        many_outputs, outputs = as_tuple(func(*inputs), "outputs of the user-provided function", "jacobian")
        check_strict(outputs, "outputs", strict)
        blocks = tuple(row_of_blocks(i, o, inputs, create_graph, strict) for i, o in enumerate(outputs))
    blocks = tuple(as_given(many, finished(row, create_graph)) for row in blocks)
    return as_given(many_outputs, blocks)


def row_of_blocks(number, output, inputs, create_graph, strict):
    """The blocks of one result: a backward pass for each of its elements."""
    rows = []
    for j in range(output.numel()):
        unit = np.zeros(output.numel(), output.dtype.numpy)
        unit[j] = 1
        unit = wrap(unit.reshape(output._array.shape), output.dtype)
        row = gradients((output,), inputs, (unit,), create_graph, strict, "element")
        if strict and create_graph:
            check_strict(row, "jacobian", True)
        rows.append(row)
    if not rows:
        return tuple(x.new_zeros((*output.shape, *x.shape)) for x in inputs)
    return tuple(
        stack(column).reshape((*output.shape, *x.shape))
        for column, x in zip(zip(*rows, strict=True), inputs, strict=True)
    )


def forward_jacobian(func, inputs, strict, vectorize):
    if strict:
        raise RuntimeError(
            'torch.autograd.functional.jacobian: `strict=True` and `strategy="forward-mode"` are not supported '
            'together (yet). Please either set `strict=False` or `strategy="reverse-mode"`.'
        )
    if not vectorize:
        raise NotImplementedError(
            "Computing Jacobian using forward-AD or forward-over-reverse Hessian is only implemented for "
            "`vectorize=True`."
        )
    from wengert.autograd import forward_ad

    many, inputs = as_tuple(inputs, "inputs", "jacobian")
    inputs = tuple(x.detach() for x in inputs)
    many_outputs, columns, outputs = False, [[] for _ in inputs], None
    for i, x in enumerate(inputs):
        for j in range(x.numel()):
            unit = np.zeros(x.numel(), x.dtype.numpy)
            unit[j] = 1
            level = forward_ad.push_level()
            try:
                dual = forward_ad.dual_at(level, x, wrap(unit.reshape(x._array.shape), x.dtype))
                result = func(*inputs[:i], dual, *inputs[i + 1 :])
                many_outputs, outputs = as_tuple(result, "outputs of the user-provided function", "jacobian")
                tangents = [forward_ad.tangent_at(o, level) for o in outputs]
                columns[i].append(
                    [zeros_like(o) if t is None else t.detach() for t, o in zip(tangents, outputs, strict=True)]
                )
            finally:
                forward_ad.pop_level(level)
    if outputs is None:
        many_outputs, outputs = as_tuple(func(*inputs), "outputs of the user-provided function", "jacobian")
    blocks = tuple(
        as_given(
            many,
            tuple(
                stack([c[k] for c in columns[i]], -1).reshape((*o.shape, *x.shape))
                if columns[i]
                else o.new_zeros((*o.shape, *x.shape))
                for i, x in enumerate(inputs)
            ),
        )
        for k, o in enumerate(outputs)
    )
    return as_given(many_outputs, blocks)


def hessian(func, inputs, create_graph=False, strict=False, vectorize=False, outer_jacobian_strategy="reverse-mode"):
    """The Hessian of the scalar function `func` at `inputs`: a block of shape (*a.shape, *b.shape) for each pair of
    inputs.
    """
    many, inputs = as_tuple(inputs, "inputs", "hessian")
    if outer_jacobian_strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')

    def first_derivatives(*xs):
        if outer_jacobian_strategy == "forward-mode":
            xs = tuple(x if x.requires_grad else x.view_as(x) for x in xs)
            leaves = tuple(x.requires_grad_() if not x.requires_grad else x for x in xs)
        else:
            leaves = xs
        with enable_grad():
            outputs = scalar_result(func, leaves, "hessian", strict)
            found = gradients(outputs, leaves, (ones_like(outputs[0]),), True, strict, "hessian")
        if strict:
            check_strict(found, "hessian", True)
        return found

    result = jacobian(first_derivatives, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)
    return as_given(many, tuple(as_given(many, row) for row in result)) if many else result[0][0]
