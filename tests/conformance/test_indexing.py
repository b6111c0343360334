"""The bracket beside PyTorch's: generated shapes, strides, indices of every kind and values to assign.

Compared: values, dtype, strides, whether the result is a view, names in the graph, gradients, second gradients,
classes of errors. Where a dimension has size one, strides are not compared: they cannot be observed.
"""

import warnings

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conformance.compare import check_layout, check_values, must

DTYPES = ["float32", "float64", "int64", "bool", "complex64", "float16", "bfloat16", "uint8"]


@st.composite
def tensors(draw, dtypes=DTYPES):
    """A way to make one tensor in either module: shape, order in memory, step in the last dimension, dtype."""
    shape = draw(st.lists(st.integers(0, 4) if draw(st.integers(0, 9)) == 9 else st.integers(1, 4), max_size=4))
    order = draw(st.permutations(range(len(shape))))
    return {"shape": shape, "order": order, "skip": draw(st.booleans()), "dtype": draw(st.sampled_from(dtypes))}


def make(module, spec, requires_grad=False):
    count = int(np.prod(spec["shape"]))
    values = (np.arange(count) % 11).reshape(spec["shape"])
    tensor = module.from_numpy(values).to(getattr(module, spec["dtype"]))
    if requires_grad:
        tensor.requires_grad_()
    view = tensor.permute(spec["order"])
    if spec["skip"] and spec["shape"]:
        view = view.narrow(-1, 0, max(view.shape[-1] - 1, 0)) if view.shape[-1] else view
    return tensor, view


KINDS = ["end", "int", "slice", "slice", "none", "ellipsis", "bool", "array", "mask", "list", "0-d"]


@st.composite
def indices(draw, shape):
    """An index as plain data: ("int", 3), ("slice", ...), ("array", values, dtype), ... for `built` to make."""
    items, axis, ellipsis = [], 0, False
    common = draw(st.sampled_from([(), (1,), (3,), (2, 2), (2, 1), (0,)]))
    while axis < len(shape) or draw(st.integers(0, 9)) == 9:
        size = shape[axis] if axis < len(shape) else 2
        reach = size + draw(st.integers(0, 30).map(lambda n: n == 30))  # now and then out of range
        places = st.integers(-reach, max(reach - 1, 0))
        kind = draw(st.sampled_from(KINDS))
        if kind == "end":
            break
        if kind == "none":
            items.append(("none",))
            continue
        if kind == "bool":
            items.append(("bool", draw(st.booleans())))
            continue
        if kind == "ellipsis":
            if not ellipsis:
                items.append(("ellipsis",))
                ellipsis = True
                axis += draw(st.integers(0, max(len(shape) - axis, 0)))
            continue
        if kind in ("int", "0-d"):
            items.append((kind, draw(places)))
        elif kind == "slice":
            bound = st.none() | st.integers(-size - 1, size + 1)
            items.append(("slice", draw(bound), draw(bound), draw(st.sampled_from([None, 1, 2, 3]))))
        elif kind == "array":
            count = int(np.prod(common))
            values = np.array(draw(st.lists(places, min_size=count, max_size=count)), np.int64).reshape(common)
            items.append(("array", values, draw(st.sampled_from(["int64", "int64", "int32"]))))
        elif kind == "list":
            items.append(("list", draw(st.lists(places, min_size=1, max_size=3))))
        else:
            width = draw(st.integers(0, min(2, max(len(shape) - axis, 0))))
            part = shape[axis : axis + width]
            mask = draw(st.lists(st.booleans(), min_size=int(np.prod(part)), max_size=int(np.prod(part))))
            items.append(("mask", np.array(mask, bool).reshape(part)))
            axis += width - 1
        axis += 1
    return items


def built(module, items):
    made = []
    for kind, *data in items:
        if kind in ("int", "bool", "list"):
            made.append(data[0])
        elif kind == "0-d":
            made.append(module.tensor(data[0]))
        elif kind == "slice":
            made.append(slice(*data))
        elif kind == "array":
            made.append(module.from_numpy(data[0]).to(getattr(module, data[1])))
        elif kind == "mask":
            made.append(module.from_numpy(data[0]))
        else:
            made.append(None if kind == "none" else Ellipsis)
    return made[0] if len(made) == 1 and not isinstance(made[0], list) else tuple(made)


def attempt(function):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return function(), None
        except Exception as error:
            return None, error


def same_errors(ours, theirs, where):
    """Whether both raised; the class must be the same."""
    must(type(ours) is type(theirs), f"{where} raises", ours, theirs)
    return theirs is not None


def same(ours, theirs, where, strides=True):
    check_layout(ours, theirs, where, strides=strides and 1 not in theirs.shape)
    check_values(ours, theirs, where)


def chain(tensor):
    names, node = [], tensor.grad_fn
    while node is not None and node.next_functions:
        names.append(node.name())
        node = node.next_functions[0][0]
    return names


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_reading(oracle, subject, data):
    spec = data.draw(tensors())
    (_, theirs), (_, ours) = make(oracle, spec), make(subject, spec)
    items = data.draw(indices(list(theirs.shape)))
    expected, their_error = attempt(lambda: theirs[built(oracle, items)])
    actual, our_error = attempt(lambda: ours[built(subject, items)])
    if same_errors(our_error, their_error, "reading"):
        return
    same(actual, expected, "what was read")
    must(actual._is_view() == expected._is_view(), "is a view", actual._is_view(), expected._is_view())
    if expected.numel():
        offset = [t.data_ptr() - base.data_ptr() for t, base in ((actual, ours), (expected, theirs)) if t._is_view()]
        must(len(set(offset)) < 2, "starts at", offset[:1], offset[1:])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_gradients_of_reading(oracle, subject, data):
    spec = data.draw(tensors(["float32", "float64", "complex64"]))
    made = [(module, *make(module, spec, requires_grad=True)) for module in (oracle, subject)]
    items = data.draw(indices(list(made[0][2].shape)))
    results = []
    for module, leaf, view in made:
        out, error = attempt(lambda module=module, view=view: view[built(module, items)])
        if error is not None:
            return
        names = chain(out)
        loss = (out * out * out).sum()
        loss = (loss * loss.conj()).real if spec["dtype"] == "complex64" else loss
        (first,) = module.autograd.grad(loss, leaf, create_graph=True)
        square = (first * first.conj()).real.sum() if spec["dtype"] == "complex64" else first.sum()
        second = module.autograd.grad(square, leaf, allow_unused=True)[0] if square.requires_grad else None
        results.append((names, first, second))
    (their_names, their_first, their_second), (our_names, our_first, our_second) = results
    must(our_names == their_names, "the graph", our_names, their_names)
    scale = float(abs(their_first.detach()).max()) if their_first.numel() else 0.0
    check_values(our_first, their_first, "gradient", scale=scale)
    if their_second is not None and our_second is not None:
        scale = float(abs(their_second.detach()).max()) if their_second.numel() else 0.0
        check_values(our_second, their_second, "second gradient", scale=scale)


NUMBERS = [0, 1, -2, 2.5, True, 1j, float("inf"), 300]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_writing(oracle, subject, data):
    spec = data.draw(tensors())
    (their_base, theirs), (our_base, ours) = make(oracle, spec), make(subject, spec)
    items = data.draw(indices(list(theirs.shape)))
    read, error = attempt(lambda: theirs[built(oracle, items)])
    number = data.draw(st.sampled_from([None, *NUMBERS]))
    if number is None and error is None:
        shape = list(read.shape)[data.draw(st.integers(0, read.dim())) :]
        shape = [1] * data.draw(st.integers(0, 1)) + [1 if data.draw(st.integers(0, 4)) == 4 else n for n in shape]
        if data.draw(st.integers(0, 9)) == 9:
            shape.append(3)
        source = {"shape": shape, "order": list(range(len(shape))), "skip": False, "dtype": spec["dtype"]}
        values = [make(module, source)[1] for module in (subject, oracle)]
    else:
        values = [number or 0, number or 0]
    _, our_error = attempt(lambda: ours.__setitem__(built(subject, items), values[0]))
    _, their_error = attempt(lambda: theirs.__setitem__(built(oracle, items), values[1]))
    if not same_errors(our_error, their_error, "writing"):
        if not repeats(items):
            same(our_base, their_base, "what was written to")
        must(our_base._version == their_base._version, "version", our_base._version, their_base._version)


def repeats(items):
    """Whether an index array names a place twice, or may: the order of such writes is PyTorch's own affair."""
    return any(kind in ("array", "list") and np.size(rest[0]) > 1 for kind, *rest in items)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_gradients_of_writing(oracle, subject, data):
    spec = data.draw(tensors(["float64"]))
    made = [(module, *make(module, spec, requires_grad=True)) for module in (oracle, subject)]
    items = data.draw(indices(list(made[0][2].shape)))
    if repeats(items):
        return
    results = []
    for module, leaf, view in made:
        target = view * 2
        part, error = attempt(lambda module=module, target=target: target[built(module, items)])
        if error is not None or part.numel() == 0:
            return
        value = module.ones(tuple(part.shape), dtype=module.float64).requires_grad_()
        _, error = attempt(lambda module=module, t=target, v=value: t.__setitem__(built(module, items), v * 3))
        must(error is None, "writing raises", error, None)
        loss = (target * target * target).sum()
        gradients = module.autograd.grad(loss, [leaf, value], create_graph=True)
        second = module.autograd.grad(sum(g.sum() for g in gradients), [leaf, value])
        results.append((*gradients, *second))
    for actual, expected in zip(results[1], results[0], strict=True):
        check_values(actual, expected, "gradient of writing")
