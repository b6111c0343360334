"""Derivatives checked against differences.

Every check is on real numbers: a complex element counts as two, its parts. For a result f and an input x, the numerical
Jacobian comes from central differences, the analytical one from backward passes with unit gradients (whose
convention for
complex numbers, ∂/∂Re + i ∂/∂Im of Re(ḡ·f), makes the parts of the gradient the entries of the real Jacobian) or from
forward mode with unit tangents. The fast mode compares vᵀJu for random u and v in place of the matrices.
"""

import sys
import warnings
from types import ModuleType

import numpy as np

from wengert.autograd import engine
from wengert.autograd.modes import enable_grad
from wengert.dtypes import strided
from wengert.tensor import Tensor, wrap

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """A derivative that is not what differences say, or a backward pass that breaks a rule."""


def gradcheck(
    func,
    inputs,
    *,
    eps=1e-6,
    atol=1e-5,
    rtol=1e-3,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_grad_dtypes=False,
    check_batched_grad=False,
    check_batched_forward_grad=False,
    check_forward_ad=False,
    check_backward_ad=True,
    fast_mode=False,
    masked=None,
):
    """Compare the derivatives of ``func(*inputs)`` with central differences; True if they agree.

    Args:
        inputs: a tensor or a tuple; those that require grad are checked (use double precision).
        eps: the step of the differences.
        atol, rtol: tolerances.
        raise_exception: raise GradcheckError rather than return False.
        nondet_tol: by how much two runs of backward may differ.
        check_undefined_grad: also check that backward takes missing gradients for zeros.
        check_grad_dtypes: also check the dtypes of gradients.
        check_batched_grad, check_batched_forward_grad: also check batches of gradients (tangents).
        check_forward_ad, check_backward_ad: which modes to check.
        fast_mode: compare random projections of the Jacobians.
        masked: leave out what a sparse tensor doesn't hold; of dense ones there is no such thing.
    """
    if not (check_forward_ad or check_backward_ad):
        raise AssertionError("Expected at least one of check_forward_ad or check_backward_ad to be True")
    if check_batched_grad and not check_backward_ad:
        raise AssertionError("Setting check_batched_grad=True requires check_backward_ad to be True")
    if check_batched_forward_grad and not check_forward_ad:
        raise AssertionError("Setting check_batched_forward_grad=True requires check_forward_ad to be True")
    given = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
    if masked and any(isinstance(x, Tensor) and x.layout is not strided for x in given):
        raise NotImplementedError("gradcheck(): masked=True is for sparse tensors, which are not supported")
    check = Check(func, inputs, eps, atol, rtol, nondet_tol, fast_mode)
    try:
        check.inputs_fit()
        outputs = check.outputs()
        if not outputs:
            check.zero_gradient_without_outputs()
            return True
        for number, output in enumerate(outputs):
            check.numerical_and(number, output, check_forward_ad, check_backward_ad)
        if check_backward_ad:
            if check_batched_grad:
                check.batched_gradients()
            check.reentrant()
            check.zeros_for_zeros(check_grad_dtypes)
            if check_undefined_grad:
                check.undefined_gradients()
        if check_batched_forward_grad:
            check.batched_tangents()
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


class Check:
    """One call of `gradcheck`: the function, its inputs, the tolerances."""

    def __init__(self, func, inputs, eps, atol, rtol, nondet_tol, fast):
        self.func, self.eps, self.atol, self.rtol, self.nondet_tol, self.fast = func, eps, atol, rtol, nondet_tol, fast
        self.inputs = inputs if isinstance(inputs, tuple) else tuple(inputs) if isinstance(inputs, list) else (inputs,)
        self.checked = [(i, x) for i, x in enumerate(self.inputs) if isinstance(x, Tensor) and x.requires_grad]
        self.random = np.random.default_rng(0)

    def inputs_fit(self):
        if not self.checked:
            raise ValueError(
                "gradcheck expects at least one input tensor to require gradient, but none of them have "
                "requires_grad=True."
            )
        for i, x in self.checked:
            if x._array.dtype not in (np.float64, np.complex128):
                warnings.warn(
                    f"Input #{i} requires gradient and is not a double precision floating point or complex. This "
                    "check will "
                    "likely fail if all the inputs are not of double precision floating point or complex. ",
                    stacklevel=3,
                )
            if any(s == 0 and n > 1 for s, n in zip(x.stride(), x.shape, strict=True)):
                raise RuntimeError(
                    f"The {i}th input has a dimension with stride 0. gradcheck only supports inputs that are "
                    "non-overlapping to "
                    "be able to compute the numerical gradients correctly. You should call .contiguous on the input "
                    "before "
                    "passing it to gradcheck."
                )

    def run(self):
        with enable_grad():
            result = self.func(*self.inputs)
        return result if isinstance(result, (tuple, list)) else (result,)

    def outputs(self):
        return [o for o in self.run() if isinstance(o, Tensor) and o.requires_grad]

    def values(self):
        """Copies of the differentiable outputs' arrays."""
        return [o._array.copy() for o in self.run() if isinstance(o, Tensor) and o.dtype.differentiable]

    # --- differences --------------------------------------------------------------------------------------------------

    def difference(self, x, direction):
        """(f(x + εd) − f(x − εd)) / 2ε for all outputs; `x` is changed in place and restored."""
        original = x._array.copy()
        step = complexes(direction * self.eps, x)
        try:
            x._array[...] = original + step
            after = self.values()
            x._array[...] = original - step
            before = self.values()
        finally:
            x._array[...] = original
        for number, (a, b) in enumerate(zip(after, before, strict=True)):
            for what in ("shape", "dtype"):
                if getattr(a, what) != getattr(b, what):
                    raise AssertionError(
                        f"Expected `func` to return outputs with the same {what} when inputs are perturbed on index "
                        f"{number}, but got: {getattr(a, what)} and {getattr(b, what)}"
                    )
        return [(reals(a) - reals(b)) / (2 * self.eps) for a, b in zip(after, before, strict=True)]

    def directions(self, x):
        size = reals(x._array).size
        return [self.direction(size)] if self.fast else list(np.eye(size))

    def direction(self, size):
        """A random direction without negative parts."""
        d = self.random.random(size)
        return d / (np.linalg.norm(d) or 1)

    # --- comparisons --------------------------------------------------------------------------------------------------

    def numerical_and(self, number, output, forward, backward):
        """Compare the Jacobian of one output with respect to every input."""
        place = self.place_among_values(number)
        for i, x in self.checked:
            directions = self.directions(x)
            numerical = [self.difference(x, d)[place] for d in directions]
            columns = np.array(numerical).T if numerical else np.zeros((reals(output._array).size, 0))
            if backward:
                self.compare_backward(number, i, x, directions, columns)
            if forward:
                tangents = [self.tangent(place, i, d) for d in directions]
                analytical = np.array(tangents).T if tangents else columns
                scale = directions[0].sum() if self.fast else 1
                self.must_agree(analytical, columns, number, i, "computed with forward mode ", scale)

    def place_among_values(self, number):
        """The index, among the floating outputs, of the differentiable output `number`."""
        floating = [o for o in self.run() if isinstance(o, Tensor) and o.dtype.differentiable]
        return [k for k, o in enumerate(floating) if o.requires_grad][number]

    def compare_backward(self, number, i, x, directions, columns):
        output = self.outputs()[number]
        size = reals(output._array).size
        parts = PARTS if output.dtype.is_complex else WHOLE
        if self.fast:
            for part, those in parts:
                # vᵀJu adds up every element of the Jacobian, and with them what each may be off by.
                v, u = np.zeros(size), directions[0]
                v[those] = self.direction(len(v[those]))
                analytical, numerical = np.array([self.row(output, x, v) @ u]), np.array([v @ columns[:, 0]])
                self.must_agree(analytical, numerical, number, i, "", u.sum() * v.sum(), part)
            return
        rows = [self.row(output, x, unit) for unit in np.eye(size)]
        analytical = np.array(rows) if rows else np.zeros((0, reals(x._array).size))
        for part, those in parts:
            self.must_agree(analytical[those], columns[those], number, i, "", part=part)

    def row(self, output, x, v):
        """vᵀJ by a backward pass."""
        g = wrap(complexes(v, output).astype(output.dtype.numpy), output.dtype)
        (found,) = engine.grad([output], [x], [g], retain_graph=True, allow_unused=True)
        if found is None:
            return np.zeros(reals(x._array).size)
        if found._array.shape != x._array.shape:
            raise GradcheckError("Analytical gradient has incorrect size")
        return reals(found._array)

    def tangent(self, place, i, direction):
        """J·direction by forward mode."""
        from wengert.autograd import forward_ad

        x = self.inputs[i]
        level = forward_ad.push_level()
        try:
            inputs = list(self.inputs)
            for k, other in self.checked:
                t = complexes(direction, x) if k == i else np.zeros(other._array.shape)
                inputs[k] = forward_ad.dual_at(
                    level, other.detach(), wrap(t.astype(other.dtype.numpy), other.dtype)
                )  # fmt: skip
            result = self.func(*inputs)
            result = result if isinstance(result, (tuple, list)) else (result,)
            floating = [o for o in result if isinstance(o, Tensor) and o.dtype.differentiable]
            found = forward_ad.tangent_at(floating[place], level)
            return reals(np.zeros_like(floating[place]._array) if found is None else found._array).copy()
        finally:
            forward_ad.pop_level(level)

    def must_agree(self, analytical, numerical, output, i, mode, scale=1, part=""):
        if analytical.shape == numerical.shape and np.allclose(
            analytical, numerical, self.rtol, self.atol * scale, equal_nan=True
        ):
            return
        raise GradcheckError(
            f"{part}Jacobian {mode}mismatch for output {output} with respect to input {i},\n"
            f"numerical:{wrap(numerical.T)}\nanalytical:{wrap(analytical.T)}\n"
        )

    # --- other rules --------------------------------------------------------------------------------------------------

    def unit_gradients(self, outputs):
        return [wrap(self.random.standard_normal(o._array.shape).astype(o.dtype.numpy), o.dtype) for o in outputs]

    def wanted(self):
        return [x for _, x in self.checked]

    def reentrant(self):
        outputs = self.outputs()
        given = self.unit_gradients(outputs)
        first = engine.grad(outputs, self.wanted(), given, retain_graph=True, allow_unused=True)
        second = engine.grad(outputs, self.wanted(), given, retain_graph=True, allow_unused=True)
        for a, b in zip(first, second, strict=True):
            if a is not None and a._array.size and np.abs(a._array - b._array).max() > self.nondet_tol:
                raise GradcheckError(
                    "Backward is not reentrant, i.e., running backward with same input and grad_output multiple times "
                    "gives "
                    "different values, although analytical gradient matches numerical gradient."
                    f"The tolerance for nondeterminism was {self.nondet_tol}."
                )

    def zeros_for_zeros(self, check_dtypes):
        outputs = self.outputs()
        zeros = [wrap(np.zeros(o._array.shape, o.dtype.numpy), o.dtype) for o in outputs]
        for (_, x), g in zip(self.checked, engine.grad(outputs, self.wanted(), zeros, allow_unused=True), strict=True):
            if g is None:
                continue
            if (g._array != 0).any():
                raise GradcheckError("backward not multiplied by grad_output")
            if g._array.shape != x._array.shape:
                raise GradcheckError("grad is incorrect size")
            if check_dtypes and g.dtype is not x.dtype:
                raise GradcheckError("grad is incorrect type")

    def undefined_gradients(self):
        """Backward must take None for zeros: of one output at a time, where a node has several."""
        outputs = self.outputs()
        nodes = {}
        for o in outputs:
            nodes.setdefault(o.grad_fn, []).append(o)
        for node, siblings in nodes.items():
            if node is None or len(siblings) < 2:
                continue
            for left_out in range(len(siblings)):
                kept = [o for k, o in enumerate(siblings) if k != left_out]
                given = self.unit_gradients(kept)
                zeros = wrap(
                    np.zeros(siblings[left_out]._array.shape, siblings[left_out].dtype.numpy), siblings[left_out].dtype
                )
                try:
                    without = engine.grad(kept, self.wanted(), given, retain_graph=True, allow_unused=True)
                except Exception as error:
                    raise GradcheckError(
                        "Expected backward function to handle undefined output grads. Please look at 'Notes about "
                        "undefined "
                        "output gradients' in the documentation of Function."
                    ) from error
                with_zeros = engine.grad(
                    [*kept, siblings[left_out]], self.wanted(), [*given, zeros], retain_graph=True, allow_unused=True
                )
                for a, b in zip(without, with_zeros, strict=True):
                    a = 0 if a is None else a._array
                    b = 0 if b is None else b._array
                    if not np.allclose(a, b):
                        raise GradcheckError(
                            "Expected all inputs to be undefined or zero when all output grads are undefined or zero."
                        )

    def batched_gradients(self):
        for output in self.outputs():
            batch = wrap(
                self.random.standard_normal((2, *output._array.shape)).astype(output.dtype.numpy), output.dtype
            )
            together = engine.grad(
                [output], self.wanted(), [batch], retain_graph=True, allow_unused=True, is_grads_batched=True
            )
            for k in range(2):
                row = wrap(batch._array[k].copy(), output.dtype)
                alone = engine.grad([output], self.wanted(), [row], retain_graph=True, allow_unused=True)
                for a, b in zip(together, alone, strict=True):
                    if (a is None) != (b is None) or (
                        a is not None and not np.allclose(a._array[k], b._array, self.rtol, self.atol)
                    ):
                        raise GradcheckError("Batched gradients differ from those computed one by one.")

    def batched_tangents(self):
        from wengert import func

        for i, x in self.checked:
            batch = wrap(self.random.standard_normal((2, *x._array.shape)).astype(x.dtype.numpy), x.dtype)

            def push(t, i=i, x=x):
                one = lambda y: self.func(*self.inputs[:i], y, *self.inputs[i + 1 :])
                return func.jvp(one, (x.detach(),), (t,))[1]

            together = func.vmap(push)(batch)
            for k in range(2):
                alone = push(wrap(batch._array[k].copy(), x.dtype))
                many = isinstance(alone, (tuple, list))
                for a, b in zip(together if many else (together,), alone if many else (alone,), strict=True):
                    if not np.allclose(a._array[k], b._array, self.rtol, self.atol):
                        raise GradcheckError("Batched tangents differ from those computed one by one.")

    def zero_gradient_without_outputs(self):
        """No output requires grad: the function must then not change with its inputs."""
        for i, x in self.checked:
            for d in self.directions(x):
                if any(np.abs(column).max(initial=0) > self.eps for column in self.difference(x, d)):
                    raise GradcheckError(
                        f"Numerical gradient for function expected to be zero, but it depends on input {i}"
                    )


# The rows of a Jacobian, an element's real part before its imaginary one; what is compared first comes first.
WHOLE = (("", slice(None)),)
PARTS = (
    ("While considering the imaginary part of complex outputs only, ", slice(1, None, 2)),
    ("While considering the real part of complex outputs only, ", slice(0, None, 2)),
)


def reals(array):
    """The elements as real numbers, one after the other."""
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(flat.real.dtype) if flat.dtype.kind == "c" else flat


def complexes(vector, like):
    """Real numbers as an array of the shape and kind of a tensor."""
    shape = like._array.shape
    if like.dtype.is_complex:
        return np.ascontiguousarray(vector, np.float64).view(np.complex128).reshape(shape)
    return np.asarray(vector).reshape(shape)


def gradgradcheck(
    func,
    inputs,
    grad_outputs=None,
    *,
    eps=1e-6,
    atol=1e-5,
    rtol=1e-3,
    gen_non_contig_grad_outputs=False,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_grad_dtypes=False,
    check_batched_grad=False,
    check_fwd_over_rev=False,
    check_rev_over_rev=True,
    fast_mode=False,
    masked=False,
):
    """`gradcheck` of the gradients of ``func(*inputs)``: are second derivatives right?

    Args:
        grad_outputs: the gradients that arrive at the results (default: random ones).
        gen_non_contig_grad_outputs: make those random ones non-contiguous.
        check_fwd_over_rev, check_rev_over_rev: which modes to check.
        others: as for `gradcheck`.
    """
    if not (check_fwd_over_rev or check_rev_over_rev):
        raise AssertionError("Expected at least one of check_fwd_over_rev or check_rev_over_rev to be True")
    inputs = inputs if isinstance(inputs, tuple) else tuple(inputs) if isinstance(inputs, list) else (inputs,)
    count = len(inputs)

    def differentiable(values):
        result = func(*values)
        return [
            o
            for o in (result if isinstance(result, (tuple, list)) else (result,))
            if isinstance(o, Tensor) and o.requires_grad
        ]

    if grad_outputs is None:
        random = np.random.default_rng(0)
        given = []
        for o in differentiable(inputs):
            array = random.standard_normal(o._array.shape).astype(o.dtype.numpy)
            if o.dtype.is_complex:
                array = array + 1j * random.standard_normal(o._array.shape)
            if gen_non_contig_grad_outputs and array.ndim:
                array = np.repeat(array[..., None], 2, -1)[..., 0]
            given.append(wrap(np.asarray(array), o.dtype).requires_grad_())
        grad_outputs = tuple(given)
    else:
        grad_outputs = grad_outputs if isinstance(grad_outputs, tuple) else (grad_outputs,)

    def gradient(*values):
        xs = tuple(
            x
            if not isinstance(original, Tensor) or not original.requires_grad or x.requires_grad
            else x.view_as(x).requires_grad_()
            for x, original in zip(values[:count], inputs, strict=True)
        )
        with enable_grad():
            outputs = differentiable(xs)
            wanted = [x for x in xs if isinstance(x, Tensor) and x.requires_grad]
            found = engine.grad(outputs, wanted, values[count:], create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    return gradcheck(
        gradient,
        (*inputs, *grad_outputs),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad,
        check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev,
        fast_mode=fast_mode,
        masked=masked,
    )


class CallableModule(ModuleType):
    """`torch.autograd.gradcheck` names a module and the function in it: whoever imports one has the other too."""

    def __call__(self, *args, **kwargs):
        return gradcheck(*args, **kwargs)


sys.modules[__name__].__class__ = CallableModule
