"""Functions of functions: `grad`, `vjp`, `jvp`, Jacobians, `vmap`, and modules as functions of their parameters.

Each call of a derivative works on places of its own in the graph: new leaves, or views where the argument is itself
being differentiated by something outside. Whether a result must remain in the graph is read from the graph: it must if
it hangs on a leaf that is not this call's own. Forward-mode derivatives open a level each (see
`wengert.autograd.forward_ad`), so all of them nest in each other.

`vmap` calls the function once for each example and stacks the results. That gives what vectorisation gives, without its
speed; and functions may branch on values.
"""

import functools
import itertools
import threading

import numpy as np

from wengert import random
from wengert.autograd import engine, forward_ad
from wengert.autograd.graph import AccumulateGrad
from wengert.autograd.modes import enable_grad, is_grad_enabled
from wengert.ops.comparison import equal
from wengert.ops.shape import stack
from wengert.outside import outside
from wengert.tensor import Tensor, new, wrap
from wengert.utils import _pytree as pytree

__all__ = [
    "functional_call",
    "functionalize",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "replace_all_batch_norm_modules_",
    "stack_module_state",
    "vjp",
    "vmap",
]


# --- places in the graph ----------------------------------------------------------------------------------------------


def own(tensor):
    """A tensor with the same values to differentiate with respect to: a view in the outer graph, or a leaf of our
    own.
    """
    if not isinstance(tensor, Tensor):
        raise ValueError(f"expected inputs to be Tensors, got {type(tensor).__name__}")
    with enable_grad():
        if tensor._node is not None:
            return tensor.view(tensor.shape)
        alias = uncounted(tensor)
        return alias.requires_grad_()


def uncounted(tensor):
    """Another tensor for the same memory outside the graph; tangents stay."""
    alias = new(forward_ad.Dual if type(tensor) is forward_ad.Dual else Tensor)
    plain = tensor.detach() if type(tensor) is Tensor else Tensor.detach(tensor)
    alias._array, alias.dtype, alias._counter = plain._array, plain.dtype, plain._counter
    alias._node = alias._base = None
    if type(alias) is forward_ad.Dual:
        alias._tangents = tensor._tangents
    return alias


def hangs_on_others(tensors, mine):
    """Whether the graph of `tensors` ends in a leaf that is not one of `mine` (tensors)."""
    leaves = {t._node for t in mine}
    stack_of, seen = [t._node for t in tensors if t._node is not None], set()
    while stack_of:
        node = stack_of.pop()
        if node in seen:
            continue
        seen.add(node)
        if type(node) is AccumulateGrad:
            if node not in leaves and not node.hidden:
                return True
        else:
            stack_of.extend(e for e in node.edges if e is not None)
    return False


def released(value, mine):
    """A result outside the graph, unless it hangs on leaves of others."""
    if not isinstance(value, Tensor) or value._node is None or hangs_on_others([value], mine):
        return value
    return uncounted(value)


def released_tree(tree, mine):
    return pytree.tree_map(lambda v: released(v, mine), tree)


def zeros_like(x):
    return wrap(np.zeros(x._array.shape, x.dtype.numpy), x.dtype)


def derivatives(outputs, inputs, cotangents, retain_graph):
    """vᵀJ, zeros where nothing depends; recorded if something outside may ask for its derivative."""
    pairs = [(o, c) for o, c in zip(outputs, cotangents, strict=True) if isinstance(o, Tensor) and o._node is not None]
    if not pairs:
        return [zeros_like(x) for x in inputs]
    create_graph = is_grad_enabled() and (
        hangs_on_others([o for o, _ in pairs], inputs) or any(c is not None and c._node is not None for _, c in pairs)
    )
    found = engine.grad(
        [o for o, _ in pairs],
        inputs,
        [c for _, c in pairs],
        create_graph=create_graph,
        retain_graph=retain_graph or create_graph,
        allow_unused=True,
    )
    return [zeros_like(x) if g is None else released(g, inputs) for g, x in zip(found, inputs, strict=True)]


# --- arguments --------------------------------------------------------------------------------------------------------


def chosen(args, argnums):
    """The arguments with these numbers."""
    numbers = argnums if isinstance(argnums, tuple) else (argnums,)
    for n in numbers:
        if not isinstance(n, int):
            raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
        if not -len(args) <= n < len(args):
            raise RuntimeError(f"Got argnum={n}, but only {len(args)} positional inputs")
    if not numbers:
        raise RuntimeError("argnums must be non-empty")
    if len(set(numbers)) < len(numbers):
        raise RuntimeError(f"argnums elements must be unique, got {argnums}")
    return [n % len(args) for n in numbers]


def replaced(args, numbers, values):
    args = list(args)
    for n, v in zip(numbers, values, strict=True):
        args[n] = v
    return args


def split_aux(result, has_aux, name):
    if not has_aux:
        return result, None
    if not (isinstance(result, tuple) and len(result) == 2):
        raise RuntimeError(f"{name}: output of function f should be a tuple: (output, aux) if has_aux is True")
    for leaf in pytree.tree_leaves(result[1]):
        if not isinstance(leaf, Tensor):
            raise RuntimeError(f"Expected tensors, got unsupported type {type(leaf)}")
    return result


# --- reverse mode -----------------------------------------------------------------------------------------------------


def grad_and_value(func, argnums=0, has_aux=False):
    """A function that returns (gradient, value) of the scalar function `func`; with `has_aux`, (gradient, (value,
    aux)).

    Args:
        argnums: with respect to which argument (a number), or which of them (a tuple, and the gradient is a tuple).
        has_aux: `func` returns (value, aux).
    """

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        numbers = chosen(args, argnums)
        flat, spec = pytree.tree_flatten([args[n] for n in numbers])
        inputs = [own(x) for x in flat]
        with enable_grad():
            value, aux = split_aux(
                func(*replaced(args, numbers, pytree.tree_unflatten(inputs, spec)), **kwargs),
                has_aux,
                "grad_and_value(f)(*args)",
            )
        if not isinstance(value, Tensor):
            raise RuntimeError(f"grad_and_value(f)(*args): Expected f(*args) to return a Tensor, got {type(value)}")
        if value.dim():
            raise RuntimeError(
                "grad_and_value(f)(*args): Expected f(*args) to return a scalar Tensor, got tensor with "
                f"{value.dim()} dims. Maybe "
                "you wanted to use the vjp or jacrev APIs instead?"
            )
        found = pytree.tree_unflatten(derivatives([value], inputs, [None], False), spec)
        gradient = tuple(found) if isinstance(argnums, tuple) else found[0]
        value = released(value, inputs)
        return gradient, ((value, released_tree(aux, inputs)) if has_aux else value)

    return wrapper


def grad(func, argnums=0, has_aux=False):
    """A function that returns the gradient of the scalar function `func`; with `has_aux`, (gradient, aux).

    Args:
        argnums: with respect to which argument (a number), or which of them (a tuple, and the gradient is a tuple).
        has_aux: `func` returns (value, aux).
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        gradient, value = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return wrapper


def vjp(func, *primals, has_aux=False):
    """(``func(*primals)``, a function from cotangents to vᵀJ); with `has_aux`, aux as a third.

    The function returns one value for each primal, or that value alone if there is one primal; it may be called again.
    """
    flat, spec = pytree.tree_flatten(primals)
    inputs = [own(x) for x in flat]
    with enable_grad():
        result, aux = split_aux(func(*pytree.tree_unflatten(inputs, spec)), has_aux, "vjp(f, *primals)")
    outputs, output_spec = pytree.tree_flatten(result)
    must_be_tensors(outputs, "vjp(f, *primals)")

    def vjp_fn(*cotangents, retain_graph=True, create_graph=None):
        given = cotangents[0] if len(cotangents) == 1 else cotangents
        flat_cotangents, given_spec = pytree.tree_flatten(given)
        if given_spec != output_spec:
            raise RuntimeError(
                "Expected pytree structure of cotangents to be the same as pytree structure of outputs to the "
                "function. "
                f"cotangents: {written(given_spec)}, primal output: {written(output_spec)}"
            )
        found = pytree.tree_unflatten(derivatives(outputs, inputs, flat_cotangents, retain_graph), spec)
        return tuple(found)

    released_result = released_tree(result, inputs)
    return (released_result, vjp_fn, released_tree(aux, inputs)) if has_aux else (released_result, vjp_fn)


def unit(number, like):
    """The tensor like `like` that is 1 at one element and 0 at the others."""
    array = np.zeros(like._array.size, like.dtype.numpy)
    array[number] = 1
    return wrap(array.reshape(like._array.shape), like.dtype)


def check_chunk(chunk_size, name):
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"{name}: `chunk_size` should be greater than 0.")


def jacrev(func, argnums=0, *, has_aux=False, chunk_size=None, _preallocate_and_copy=False):
    """A function that returns the Jacobian of `func` by reverse mode, a pass for each element of the result.

    Args:
        argnums: with respect to which argument, or arguments (a tuple: a tuple of blocks in the place of each block).
        has_aux: `func` returns (value, aux), and the function (Jacobian, aux).
        chunk_size: how many passes PyTorch would run at once; here they run one by one.
    """
    check_chunk(chunk_size, "jacrev")

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        numbers = chosen(args, argnums)
        partial = lambda *values: func(*replaced(args, numbers, values), **kwargs)
        result, pull, *aux = vjp(partial, *(args[n] for n in numbers), has_aux=has_aux)
        outputs, output_spec = pytree.tree_flatten(result)
        inputs, input_spec = pytree.tree_flatten(tuple(args[n] for n in numbers))
        blocks = []
        for place, output in enumerate(outputs):
            rows = []
            for j in range(output.numel()):
                cotangents = [unit(j, o) if k == place else zeros_like(o) for k, o in enumerate(outputs)]
                rows.append(pytree.tree_leaves(pull(pytree.tree_unflatten(cotangents, output_spec))))
            columns = [
                stack([row[i] for row in rows]).reshape((*output.shape, *x.shape))
                if rows
                else x.new_zeros((*output.shape, *x.shape))
                for i, x in enumerate(inputs)
            ]
            block = pytree.tree_unflatten(columns, input_spec)
            blocks.append(block if isinstance(argnums, tuple) else block[0])
        jacobian = pytree.tree_unflatten(blocks, output_spec)
        return (jacobian, aux[0]) if has_aux else jacobian

    return wrapper


# --- forward mode -----------------------------------------------------------------------------------------------------


def must_be_tensors(outputs, caller):
    for output in outputs:
        if not isinstance(output, Tensor):
            raise RuntimeError(
                f"{caller}: expected f(*primals) to return only tensors, got unsupported type {type(output)}"
            )


def written(spec):
    """A structure as one would write it, with a star for each leaf."""
    return str(pytree.tree_unflatten([Star()] * spec.num_leaves, spec))


class Star:
    def __repr__(self):
        return "*"


def jvp(func, primals, tangents, *, strict=False, has_aux=False):
    """(``func(*primals)``, J·tangents); with `has_aux`, aux as a third.

    Args:
        primals, tangents: tuples of the same structure.
        strict: raise RuntimeError for a result that does not depend on the primals, instead of a zero tangent.
    """
    for name, value in (("primals", primals), ("tangents", tangents)):
        if not isinstance(value, tuple):
            raise RuntimeError(
                f"jvp(f, primals, tangents): Expected {name} to be a tuple. E.g. it should be valid to call "
                "f(*primals)."
            )
    flat, spec = pytree.tree_flatten(primals)
    if not flat:
        raise RuntimeError("jvp(f, primals, tangents): Expected primals to contain at least one Tensor.")
    flat_tangents, tangent_spec = pytree.tree_flatten(tangents)
    if spec != tangent_spec:
        raise RuntimeError(
            "jvp(f, primals, tangents): Expected primals and tangents to have the same python structure. For example, "
            "if "
            f"primals is a tuple of 3 tensors, tangents also must be. Got primals with structure {spec} and tangents "
            "with "
            f"structure {tangent_spec}"
        )
    level = forward_ad.push_level()
    try:
        duals = [forward_ad.dual_at(level, x, t) for x, t in zip(flat, flat_tangents, strict=True)]
        result, aux = split_aux(func(*pytree.tree_unflatten(duals, spec)), has_aux, "jvp(f, primals, tangents)")
        must_be_tensors(pytree.tree_leaves(result), "jvp(f, primals, tangents)")

        def tangent(o):
            found = forward_ad.tangent_at(o, level)
            if found is None:
                if strict:
                    raise RuntimeError(
                        "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs."
                    )
                return zeros_like(o)
            return found

        pushed = pytree.tree_map(tangent, result)
        strip = lambda v: forward_ad.stripped(v, level) if isinstance(v, Tensor) else v
        result, aux = pytree.tree_map(strip, result), pytree.tree_map(strip, aux)
    finally:
        forward_ad.pop_level(level)
    return (result, pushed, aux) if has_aux else (result, pushed)


def linearize(func, *primals):
    """(``func(*primals)``, a function from tangents to J·tangents, which runs `func` again with them)."""
    result = func(*primals)

    def push(*tangents):
        return jvp(func, primals, tangents)[1]

    return result, push


def jacfwd(func, argnums=0, has_aux=False, *, randomness="error"):
    """A function that returns the Jacobian of `func` by forward mode, a run for each element of the arguments.

    Args:
        argnums, has_aux: as for `jacrev`.
        randomness: as for `vmap`.
    """

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        numbers = chosen(args, argnums)
        partial = lambda *values: func(*replaced(args, numbers, values), **kwargs)
        primals = tuple(args[n] for n in numbers)
        inputs, spec = pytree.tree_flatten(primals)
        columns, outputs, output_spec, aux = [[] for _ in inputs], None, None, None
        draws = Draws(randomness, "jacfwd", sum(x.numel() for x in inputs))
        for i, x in enumerate(inputs):
            for j in range(x.numel()):
                tangents = [unit(j, y) if k == i else zeros_like(y) for k, y in enumerate(inputs)]
                with draws:
                    result, pushed, *more = jvp(
                        partial, primals, pytree.tree_unflatten(tangents, spec), has_aux=has_aux
                    )
                aux = more[0] if more else None
                outputs, output_spec = pytree.tree_flatten(result)
                columns[i].append(pytree.tree_leaves(pushed))
        if outputs is None:
            result, aux = split_aux(partial(*primals), has_aux, "jacfwd")
            outputs, output_spec = pytree.tree_flatten(result)
        blocks = []
        for k, o in enumerate(outputs):
            row = [
                stack([c[k] for c in columns[i]]).movedim(0, -1).reshape((*o.shape, *x.shape))
                if columns[i]
                else o.new_zeros((*o.shape, *x.shape))
                for i, x in enumerate(inputs)
            ]
            block = pytree.tree_unflatten(row, spec)
            blocks.append(block if isinstance(argnums, tuple) else block[0])
        jacobian = pytree.tree_unflatten(blocks, output_spec)
        return (jacobian, aux) if has_aux else jacobian

    return wrapper


def hessian(func, argnums=0):
    """A function that returns the Hessian of the scalar function `func`: forward mode over reverse mode."""
    return jacfwd(jacrev(func, argnums), argnums)


# --- batches ----------------------------------------------------------------------------------------------------------


class Draws:
    """How repeated runs may draw random numbers: not at all ("error"), all the same, or each its own ("different").

    Runs that draw each its own get them as if all ran at once: the first run's draw makes the numbers of all `count`
    runs (`Together`), which are those of a batch.
    """

    def __init__(self, randomness, name, count=1):
        if randomness not in ("error", "different", "same"):
            raise RuntimeError(
                f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}"
            )
        self.randomness, self.name = randomness, name
        self.start = None if randomness == "different" else random.get_rng_state()
        self.together = Together(count) if randomness == "different" else None

    def __enter__(self):
        if self.randomness == "same":
            random.set_rng_state(self.start)
        elif self.randomness == "different":
            self.together.begin()

    def __exit__(self, kind, *exc):
        if self.randomness == "different":
            self.together.end()
        if (
            kind is None
            and self.randomness == "error"
            and not np.array_equal(random.get_rng_state()._array, self.start._array)
        ):
            raise RuntimeError(
                f"{self.name}: called random operation while in randomness error mode. Please either use the 'same' or "
                "'different' randomness flags on vmap or perform the randomness operation out of vmap"
            )


class Together:
    """A stream of random numbers that draws for all of `count` runs when the first of them draws.

    It stands in the default generator's place while a run is under way, for the thread that began it.
    """

    BY_SHAPE = frozenset(
        {"uniform", "normal", "random_bits", "integers", "bernoulli", "exponential", "cauchy", "log_normal",
         "geometric"}
    )  # fmt: skip

    def __init__(self, count):
        self.count, self.run = count, -1
        self.drawn = []
        self.thread = threading.get_ident()

    def begin(self):
        self.run += 1
        self.next = 0
        self.stream = random.default_generator._stream
        random.default_generator._stream = self

    def end(self):
        random.default_generator._stream = self.stream

    def __getattr__(self, name):
        method = getattr(self.stream, name)
        if name not in self.BY_SHAPE or threading.get_ident() != self.thread:
            return method

        def draw(shape, *args, **options):
            shape = (shape,) if isinstance(shape, int) else tuple(shape)
            call = (name, shape, args, tuple(options.items()))
            if self.run == 0:
                self.drawn.append((call, method((self.count, *shape), *args, **options)))
            place, self.next = self.next, self.next + 1
            if place < len(self.drawn) and self.drawn[place][0] == call:
                return self.drawn[place][1][self.run].copy()
            return method(shape, *args, **options)  # this run went another way than the first

        return draw


def vmap(func, in_dims=0, out_dims=0, randomness="error", *, chunk_size=None):
    """A function that applies `func` to each example of a batch.

    Args:
        in_dims: the dimension of each argument along which the examples lie, None for arguments that all share; a
            number for all arguments, or a structure that matches them.
        out_dims: where the batch goes in the results; a number, or a structure that matches them; None for a result
            that is the same for all examples, and need not be a tensor.
        randomness: "error", "same" or "different" random numbers for the examples.
        chunk_size: how many examples PyTorch would take at once; here they are taken one by one.
    """
    if chunk_size is not None and not (chunk_size == "auto" or chunk_size > 0):
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        name = name_of(func)
        check_out_dims(out_dims, name)
        flat, dims, spec, count = batch_of(args, in_dims, name)
        draws = Draws(randomness, "vmap", max(count, 1))
        if not count:  # what it would give is found by one example that isn't there
            flat = [x if d is None else ones_of(x, d) for x, d in zip(flat, dims, strict=True)]
        rows, output_spec, whole = [], None, None
        for k in range(max(count, 1)):
            example = [x if d is None else x.select(d, k) for x, d in zip(flat, dims, strict=True)]
            with draws:
                result = func(*pytree.tree_unflatten(example, spec), **kwargs)
            leaves, output_spec = pytree.tree_flatten(result)
            whole = isinstance(result, Tensor)
            rows.append(leaves)
        places = result_places(out_dims, output_spec, whole, name)
        merged = [
            joined([row[i] for row in rows], place, flat if count else None, name) for i, place in enumerate(places)
        ]
        return pytree.tree_unflatten(merged, output_spec)

    return wrapper


def name_of(func):
    return getattr(func, "__name__", repr(func))


def check_out_dims(out_dims, name):
    if out_dims is not None and not all(d is None or isinstance(d, int) for d in pytree.tree_leaves(out_dims)):
        raise ValueError(
            f"vmap({name}, ..., out_dims={out_dims}): `out_dims` must be an int, None or a python collection of ints "
            "representing where in the outputs the vmapped dimension should appear."
        )


def result_places(out_dims, spec, whole, name):
    """Where the batch goes in each leaf of the result; `whole` if the result is a tensor by itself."""
    if whole and isinstance(out_dims, tuple) and len(out_dims) == 1:
        return list(out_dims)
    places = pytree.broadcast_to(out_dims, spec)
    if places is None or any(p is not None and not isinstance(p, int) for p in places):
        raise ValueError(
            f"vmap({name}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with the structure of "
            f"`outputs`. out_dims has structure {pytree.tree_structure(out_dims)} but outputs has structure {spec}."
        )
    return places


def joined(results, place, inputs, name):
    """One result of all examples: along a dimension `place`, or the one that they share if that is None.

    Views of an argument are joined as a view of it; written in place, an argument comes back as itself. With no
    `inputs` there were no examples, and `results` holds what an example's would look like.
    """
    first = results[0]
    if place is None:
        if isinstance(first, Tensor) and not all(same(first, other) for other in results[1:]):
            raise ValueError(f"vmap({name}, ...): `{name}` can not return a BatchedTensor when out_dim is None")
        return first
    for result in results:
        if not isinstance(result, Tensor):
            raise ValueError(
                f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(result)}. Did you mean to set "
                "out_dims= to None for output?"
            )
    if not -first.dim() - 1 <= place <= first.dim():
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-first.dim() - 1}, {first.dim()}], but got {place})"
        )
    place %= first.dim() + 1
    if inputs is None:
        return first.new_empty((*first.shape[:place], 0, *first.shape[place:]))
    found = view_of_all(results, place, inputs)
    return stack(results).movedim(0, place) if found is None else found


def same(one, other):
    return one is other or (isinstance(other, Tensor) and one.shape == other.shape and equal(one, other))


def view_of_all(results, place, inputs):
    """The results as one view, if they are views of an argument at even distances; else None."""
    first, base = results[0], results[0]._base
    if base is None or any(type(r) is not Tensor or r._base is not base or r.shape != first.shape for r in results):
        return None
    starts = [r.storage_offset() for r in results]
    step = starts[1] - starts[0] if len(starts) > 1 else 0
    if step < 0 or any(b - a != step for a, b in itertools.pairwise(starts)):
        return None
    if any(r.stride() != first.stride() or r.dtype is not base.dtype for r in results):
        return None
    if len(starts) == 1:
        return first.unsqueeze(place)
    if not step:
        return None
    shape = (*first.shape[:place], len(results), *first.shape[place:])
    strides = (*first.stride()[:place], step, *first.stride()[place:])
    for x in inputs:
        of_base = x is base or (isinstance(x, Tensor) and x._base is base)
        if of_base and (x.shape, x.stride(), x.storage_offset()) == (shape, strides, starts[0]):
            return x
    return base.as_strided(shape, strides, starts[0])


def ones_of(x, dim):
    """What takes the place of a batch of no examples: one example, all ones."""
    return x.new_ones((*x.shape[:dim], 1, *x.shape[dim:][1:])) if dim >= 0 else ones_of(x, dim + x.dim())


def batch_of(args, in_dims, name):
    """(leaves, the batch dimension of each or None, their structure, the number of examples)."""
    if not args:
        raise ValueError(
            f"vmap({name})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are trying to vmap over a "
            "function "
            "with no inputs. The latter is unsupported."
        )
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(
            f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): expected `in_dims` to be int or a (potentially nested) "
            f"tuple matching the structure of inputs, got: {type(in_dims)}."
        )
    flat, spec = pytree.tree_flatten(tuple(args))
    dims = pytree.broadcast_to(in_dims, spec)
    if dims is None:
        raise ValueError(
            f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): in_dims is not compatible with the structure of "
            "`inputs`. in_dims has "
            f"structure {pytree.tree_structure(in_dims)} but inputs has structure {spec}."
        )
    for x, d in zip(flat, dims, strict=True):
        if d is None:
            continue
        if not isinstance(d, int):
            raise ValueError(
                f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): Got in_dim={d} for an input but in_dim must be "
                "either an integer "
                "dimension or None."
            )
        if not isinstance(x, Tensor):
            raise ValueError(
                f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): Got in_dim={d} for an input but the input is of "
                f"type {type(x)}. We "
                "cannot vmap over non-Tensor arguments, please use None as the respective in_dim"
            )
        if not -x.dim() <= d < x.dim():
            raise ValueError(
                f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): Got in_dim={d} for some input, but that input is a "
                "Tensor of "
                f"dimensionality {x.dim()} so expected in_dim to satisfy -{x.dim()} <= in_dim < {x.dim()}."
            )
    sizes = [x.shape[d] for x, d in zip(flat, dims, strict=True) if d is not None]
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if len(set(sizes)) > 1:
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} for the "
            "mapped dimension"
        )
    return flat, dims, spec, sizes[0]


# --- modules ----------------------------------------------------------------------------------------------------------


def functional_call(module, parameter_and_buffer_dicts, args=None, kwargs=None, *, tie_weights=True, strict=False):
    """``module(*args, **kwargs)`` with the given tensors in the place of its parameters and buffers.

    Args:
        parameter_and_buffer_dicts: a dict from names to tensors, or a sequence of them without common names.
        args: the arguments, a tuple; one that is not a tuple is the only argument.
        tie_weights: what replaces a parameter replaces it under all its names.
        strict: raise RuntimeError unless every parameter and buffer is given.
    """
    from wengert.nn.utils.stateless import call_with  # loads the networks, which only this function needs

    return call_with(module, parameter_and_buffer_dicts, args, kwargs, tie_weights, strict)


def stack_module_state(models):
    """(parameters, buffers) of several modules of one class, each stacked along a new first dimension, by name."""
    models = list(models)
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if not (all(m.training for m in models) or not any(m.training for m in models)):
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")
    if any(type(m) is not type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")

    def stacked(named):
        result = {}
        for name in named[0]:
            values = [tensors[name] for tensors in named]
            joined = stack([v.detach() for v in values])
            result[name] = joined.requires_grad_() if values[0].requires_grad else joined
        return result

    parameters = stacked([dict(m.named_parameters()) for m in models])
    return parameters, stacked([dict(m.named_buffers()) for m in models])


def functionalize(func, *, remove="mutations"):
    """`func` itself: writes in place give what functions without them would give, so its results are the same.

    PyTorch's rewrites what it traces, to be compiled; here nothing is traced.
    """
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            "functionalize(f, remove='mutations'): received invalid argument for `remove`. Valid options are:\n"
            f"     remove='mutations'\n     remove='mutations_and_views' but got {remove!r}"
        )
    return func


def replace_all_batch_norm_modules_(root):
    """Let every batch normalization in `root` use the batch's statistics only, in place; returns `root`.

    Under `vmap` and its kind running statistics would have to be written for each example.
    """
    from wengert.nn.modules.batchnorm import _BatchNorm

    for module in root.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root

__getattr__ = outside(__name__)
