"""Random PyTorch programs as data: a program is a list of source lines over the names `torch`, `t0`, `t1`, … and `log`.

Because every step is a line of Python, a failing program can be printed and run as it stands, lines can be dropped
from it (names never shift), and the two modules run the very same text. The lines are written while PyTorch runs
them, so that most shapes fit; the share that doesn't fit is kept, since both modules must refuse it alike.

A step that reads a value discontinuously (a comparison, a rounding, a kink of a derivative) is run only where both
modules hold the same bits; elsewhere a last-bit difference of a sine could look like a wrong result.
"""

from __future__ import annotations

import re
import tomllib
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.conformance.compare import (
    Mismatch,
    check_error,
    check_layout,
    check_structure,
    check_values,
    dtype_name,
    error_class_matches,
    is_tensor,
    is_unallocated,
    must,
    storage_key,
    to_numpy,
)

Choose = Callable[[Sequence[Any]], Any]
LARGEST = 1e4


class Step(NamedTuple):
    """One line of a program, and the names of the tensors that both modules must hold bit for bit before it runs."""

    source: str
    exact: tuple[str, ...] = ()

    def reads(self) -> set[str]:
        """The tensors that must exist before it runs: all names but those that it makes itself."""
        made = re.search(r"^\s*((?:t\d+|\*_)(?:, (?:t\d+|\*_))*) = ", self.source, re.MULTILINE)
        named = set(re.findall(r"\bt\d+\b", self.source))
        return named - set(re.findall(r"t\d+", made[1])) if made else named


SMOOTH = ["sin", "cos", "tanh", "sigmoid", "exp", "expm1", "erf", "neg", "square", "atan", "positive"]
KINKED = ["abs", "relu", "sqrt", "log", "reciprocal", "rsqrt", "sign", "floor", "ceil", "round", "trunc", "log1p",
          "isnan", "isfinite", "logical_not", "sgn", "frac"]  # fmt: skip
SMOOTH_OPERATORS = ["+", "-", "*"]
KINKED_OPERATORS = ["/", "//", "%", "**", "<", "<=", "==", "!=", ">", ">="]
BITWISE = ["&", "|", "^"]
KINKED_BINARY = ["maximum", "minimum", "atan2", "fmod", "remainder", "hypot", "true_divide", "logical_and", "pow"]
REDUCTIONS = ["sum", "mean", "logsumexp", "var", "std", "prod"]
KINKED_REDUCTIONS = ["amax", "amin", "norm", "all", "any", "count_nonzero", "argmax", "argmin"]
INPLACE_SMOOTH = ["add_", "sub_", "mul_", "copy_"]
INPLACE_KINKED = ["div_", "pow_", "fmod_", "floor_divide_"]
INPLACE_UNARY = [
    "zero_()",
    "neg_()",
    "sin_()",
    "tanh_()",
    "sigmoid_()",
    "exp_()",
    "fill_(1.5)",
    "square_()",
    "mul_(2)",
    "add_(1, alpha=3)",
]
INPLACE_UNARY_KINKED = ["relu_()", "abs_()", "clamp_(-1, 1)", "sqrt_()", "round_()", "floor_()"]
SCALARS = ["2", "-1", "0.5", "3", "True", "0", "-2.0", "1e-3"]
SHAPES = [(), (1,), (3,), (2, 3), (3, 1), (3, 3), (2, 1, 3), (4,), (0,), (2, 2, 2), (1, 3), (2, 0)]
FLOATS = ["float32", "float64"]
DTYPES = (
    ["float32"] * 5 + ["float64"] * 3 + ["int64"] * 2 + ["bool", "int32", "uint8", "float16", "bfloat16", "complex64"]
)


# Derivatives in half precision round once in PyTorch's kernels and after every operation of a formula here.
HALF_SLACK = {"float16": 200, "bfloat16": 2000}


class Writer:
    """Writes the next line: knows PyTorch's tensors so far and draws every decision from `choose`."""

    def __init__(self, torch: Any, choose: Choose) -> None:
        self.choose = choose
        self.names = prepared(torch)
        self.count = 0

    def named(self, step: Step) -> Step:
        """The step with a fresh name for each result, which its family wrote as NEW."""
        source = step.source
        while "NEW" in source:
            source = source.replace("NEW", f"t{self.count}", 1)
            self.count += 1
        return step._replace(source=source)

    def tensors(self) -> dict[str, Any]:
        return {name: value for name, value in self.names.items() if name != "torch" and is_tensor(value)}

    def pick(self, *tests: Callable[[Any], bool]) -> str:
        """The name of a tensor that passes all tests, or of any tensor."""
        pool = self.tensors()
        fitting = [name for name, tensor in pool.items() if all(test(tensor) for test in tests)]
        return self.choose(fitting or list(pool))

    def pick_beside(self, name: str) -> str:
        """A tensor that broadcasts with `name`, seven times in eight."""
        if self.choose(range(8)) == 7:
            return self.pick()
        shape = self.names[name].shape
        return self.pick(lambda other: broadcasts(shape, other.shape))

    def maybe(self, *options: str) -> str:
        return self.choose(options)

    def dim(self, name: str) -> int:
        """A dimension of the tensor, rarely one past its end."""
        rank = self.names[name].dim()
        return self.choose([*range(rank), *range(-rank, 0)] * 4 + [rank])


def broadcasts(a: Sequence[int], b: Sequence[int]) -> bool:
    return all(m == n or 1 in (m, n) for m, n in zip(reversed(a), reversed(b), strict=False))


def is_floating(tensor: Any) -> bool:
    return tensor.is_floating_point()


def in_graph(tensor: Any) -> bool:
    return seen(tensor, "requires_grad") is True


def is_leaf(tensor: Any) -> bool:
    return seen(tensor, "is_leaf") is True


def recorded_leaf(tensor: Any) -> bool:
    return is_leaf(tensor) and in_graph(tensor)


def inner(tensor: Any) -> bool:
    """Whether the tensor is a result in the graph from which a gradient can start."""
    return in_graph(tensor) and not is_leaf(tensor) and tensor.numel() > 0


def apart(tensor: Any) -> bool:
    """Whether no two elements share memory in steps other than zero: what the order of writing leaves in such windows
    is nobody's promise."""
    reach = 0
    for stride, extent in sorted((s, n) for s, n in zip(tensor.stride(), tensor.shape, strict=True) if s and n > 1):
        if stride <= reach:
            return False
        reach += stride * (extent - 1)
    return True


def alone(w: Writer, x: str) -> Callable[[Any], bool]:
    """A test for tensors over other memory than `x`: which values an overlapping copy reads is nobody's promise."""
    return lambda t: storage_key(t) != storage_key(w.names[x])


def integral_values(tensor: Any) -> bool:
    """Whether a conversion to any integer dtype is defined: no NaN, no infinity, nothing negative, nothing large."""
    return not tensor.is_complex() and bool(((tensor >= 0) & (tensor < 100)).all())


def literal(shape: Sequence[int], kind: str, start: int, stride: int) -> Any:
    """Nested lists of small distinct numbers, halves for floats."""
    count = int(np.prod(shape))
    numbers = [(start + stride * k) % 11 - 5 for k in range(count)]
    if kind == "bool":
        values: list[Any] = [bool(n % 2) for n in numbers]
    elif kind == "uint8":
        values = [abs(n) for n in numbers]
    elif kind.startswith("int"):
        values = numbers
    elif kind.startswith("complex"):
        values = [complex(n / 2, (n % 3) - 1) for n in numbers]
    else:
        values = [n / 2 for n in numbers]
    return np.array(values, dtype=object).reshape(shape).tolist()


def creation(w: Writer) -> Step:
    kind, shape = w.choose(DTYPES), w.choose(SHAPES)
    recorded = kind.startswith(("float", "bfloat", "complex")) and w.choose([True, True, False])
    suffix = ", requires_grad=True" if recorded else ""
    values = literal(shape, kind, w.choose(range(11)), w.choose([1, 2, 3, 5]))
    return Step(f"NEW = torch.tensor({values}, dtype=torch.{kind}{suffix})")


def factory(w: Writer) -> Step:
    x = w.pick()
    made = w.choose(
        [
            f"torch.zeros({list(w.choose(SHAPES))}, requires_grad=True)",
            f"torch.ones({list(w.choose(SHAPES))}, dtype=torch.{w.choose(DTYPES)})",
            f"torch.arange({w.choose(['3', '1, 4', '0, 2, 0.5', '3.0', '4, 0, -1'])})",
            f"torch.linspace(0, 1, {w.choose([1, 3, 4])})",
            "torch.eye(3)",
            f"torch.full({list(w.choose(SHAPES))}, {w.choose(SCALARS)})",
            f"torch.{w.choose(['zeros_like', 'ones_like'])}({x})",
            f"torch.full_like({x}, {w.choose(['2', '1.5', 'True'])})",
            f"{x}.new_{w.choose(['zeros', 'ones'])}(2, 3)",
            f"{x}.new_tensor([1, 2, 3])",
            "torch.empty(3, 2).fill_(0.25)",
        ]
    )
    return Step(f"NEW = {made}")


def unary(w: Writer) -> Step:
    x, name = w.pick(), w.choose(SMOOTH + KINKED)
    call = w.choose([f"torch.{name}({x})", f"{x}.{name}()"])
    return Step(f"NEW = {call}", (x,) if name in KINKED else ())


def binary(w: Writer) -> Step:
    x = w.pick()
    y = w.pick_beside(x)
    form = w.choose(["smooth", "smooth", "smooth", "kinked", "function", "bitwise"])
    if form == "smooth":
        return Step(f"NEW = {x} {w.choose(SMOOTH_OPERATORS)} {y}")
    if form == "kinked":
        return Step(f"NEW = {x} {w.choose(KINKED_OPERATORS)} {y}", (x, y))
    if form == "bitwise":
        return Step(f"NEW = {x} {w.choose(BITWISE)} {y}", (x, y))
    functions = KINKED_BINARY
    if any(dtype_name(w.names[n].dtype) in ("uint8", "bool") for n in (x, y)):
        functions = [f for f in KINKED_BINARY if f != "atan2"]  # PyTorch's derivative negates the bytes
    return Step(f"NEW = torch.{w.choose(functions)}({x}, {y})", (x, y))


def scalar(w: Writer) -> Step:
    x, s = w.pick(), w.choose(SCALARS)
    if w.choose([True, True, False]):
        operator = w.choose(SMOOTH_OPERATORS)
        return Step("NEW = " + w.choose([f"{x} {operator} {s}", f"{s} {operator} {x}"]))
    operator = w.choose(KINKED_OPERATORS)
    return Step("NEW = " + w.choose([f"{x} {operator} {s}", f"{s} {operator} {x}"]), (x,))


def reduction(w: Writer) -> Step:
    x = w.pick()
    name = w.choose(REDUCTIONS * 2 + KINKED_REDUCTIONS)
    dim = w.dim(x)
    arguments = w.choose(["", f"dim={dim}", f"dim={dim}, keepdim=True"])
    if name in ("logsumexp",) and not arguments:
        arguments = f"dim={dim}"
    if name == "count_nonzero":
        arguments = arguments.replace(", keepdim=True", "")
    exact = (x,) if name in KINKED_REDUCTIONS or name in ("std", "prod") else ()
    return Step(f"NEW = {x}.{name}({arguments})", exact)


def ordered(w: Writer) -> Step:
    x = w.pick()
    d = w.dim(x)
    line = w.choose(
        [
            f"NEW, NEW = torch.{w.choose(['max', 'min', 'cummax'])}({x}, {d})",
            f"NEW, NEW = {x}.sort(dim={d}, stable=True, descending={w.choose([True, False])})",
            f"NEW, *_ = {x}.topk(1, {d})",  # which of several equal ones is nobody's promise
            f"NEW = {x}.argsort(dim={d}, stable=True)",
            f"NEW = {x}.{w.choose(['max', 'min', 'median'])}()",
            f"NEW = {x}.clamp({w.choose(['-1, 1', 'min=0', 'max=1.5', '0.5'])})",
            f"NEW = {x}.nonzero()",
            f"NEW = {x}.unique()",
        ]
    )
    return Step(line, (x,))


def composed(w: Writer) -> Step:
    x = w.pick()
    d = w.dim(x)
    y = w.pick_beside(x)
    condition = w.pick_beside(x)
    mask = w.pick(lambda t: dtype_name(t.dtype) == "bool")
    choices = [
        (f"torch.softmax({x}, {d})", ()),
        (f"{x}.log_softmax({d})", ()),
        (f"{x}.cumsum({d})", ()),
        (f"{x}.cumprod({d})", (x,)),
        (f"torch.where({condition} > 0, {x}, {y})", (condition,)),
        (f"torch.where({mask}, {x}, {w.choose(SCALARS)})", ()),
        (f"{x}.masked_fill({mask}, {w.choose(SCALARS)})", ()),
        (f"{x}.masked_select({mask})", ()),
        (f"torch.nn.functional.relu({x})", (x,)),
        (f"torch.nn.functional.softplus({x})", ()),
        (f"torch.addcmul({x}, {y}, {y}, value=2)", ()),
        (f"torch.lerp({x}, {y}, 0.25)", ()),
        (f"{x}.flip(0)", ()),
        (f"{x}.roll(1, {d})", ()),
        (f"{x}.repeat({w.choose(['2', '2, 1', '1, 2, 1'])})", ()),
        (f"{x}.tril()", ()),
        (f"{x}.dot({y})", ()),
        (f"torch.outer({x}, {y})", ()),
        (f"{x}.gather({d}, torch.zeros_like({x}, dtype=torch.int64))", ()),
        (f"{x}.index_select({d}, torch.tensor([0, 0]))", ()),
        (f"torch.einsum('ij,jk->ik', {x}, {w.pick(lambda t: t.dtype == w.names[x].dtype)})", ()),
        (f"torch.add({x}, {y}, alpha=2)", ()),
        (f"torch.sub({x}, {y}, alpha=0.5)", ()),
    ]
    expression, exact = w.choose(choices)
    return Step(f"NEW = {expression}", exact)


def picking(w: Writer) -> Step:
    """Gathering, scattering, ordering and norms, whose gradients go to some elements only."""
    x = w.pick(lambda t: t.dim() > 0, lambda t: t.numel() > 0)
    d = w.dim(x)
    y = w.pick(lambda t: t.shape == w.names[x].shape, lambda t: t.dtype == w.names[x].dtype)
    index = f"torch.zeros_like({x}, dtype=torch.int64)"
    choices = [
        (f"{x}.scatter({d}, {index}, {w.choose(['0.5', '2', y])})", ()),
        (f"{x}.scatter_add({d}, {index}, {y})", ()),
        (f"{x}.index_add({d}, torch.tensor([0]), {x}.narrow({d}, 0, 1))", ()),
        (f"{x}.index_fill({d}, torch.tensor([0]), {w.choose(SCALARS)})", ()),
        (f"{x}.index_copy({d}, torch.tensor([0]), {x}.narrow({d}, 0, 1) * 2)", ()),
        (f"{x}.take(torch.tensor([0, 0]))", ()),
        (f"torch.take_along_dim({x}, {index}, {d})", ()),
        (f"{x}.masked_scatter({x} > 0, {y})", (x,)),
        (f"{x}.clamp_min({w.choose(SCALARS)})", (x,)),
        (f"{x}.clamp({y}, {y} + 1)", (x, y)),
        (f"{x}.norm({w.choose(['', '1', '3', 'dim=0', '2, dim=-1, keepdim=True'])})", (x,)),
        (f"torch.linalg.vector_norm({x}, {w.choose(['2', '1', 'torch.inf'])})", (x,)),
        (f"{x}.logcumsumexp({d})", ()),
        (f"torch.nn.functional.softmin({x}, {d})", ()),
        (f"torch.nn.functional.gelu({x})", ()),
        (f"torch.nn.functional.silu({x})", ()),
        (f"torch.nn.functional.leaky_relu({x})", (x,)),
        (f"torch.diff({x})", ()),
        (f"{x}.std(dim={d}, correction=0)", (x,)),
        (f"torch.einsum('i...,i...->...', {x}, {y})", ()),
        (f"torch.einsum('...i,...i->...i', {x}, {y})", ()),
        (f"torch.einsum('i...->...', {x})", ()),
        (f"{x}.tile((2,))", ()),
        (f"{x}.cumsum({d}).flip({d})", ()),
        (f"torch.hstack([{x}, {y}])", ()),
        (f"torch.cat([{x}, {w.pick(lambda t: t.shape == w.names[x].shape)}], {d})", ()),
        (f"torch.stack([{x}, {y}, {x}], {d})", ()),
    ]
    expression, exact = w.choose(choices)
    return Step(f"NEW = {expression}", exact)


def complex_parts(w: Writer) -> Step:
    """Between real and complex tensors, both ways."""
    x = w.pick(lambda t: t.is_complex())
    y = w.pick(lambda t: dtype_name(t.dtype) in FLOATS)
    if not w.names[x].is_complex():
        return Step(f"NEW = torch.complex({y}, {y})")
    return Step(
        "NEW = "
        + w.choose(
            [f"{x}.real", f"{x}.imag", f"{x}.abs()", f"torch.view_as_real({x})", f"{x} * {x}.conj().resolve_conj()",
             f"torch.complex({y}, {y})", f"{x} * {y}", f"{x}.sum()", f"{x}.square().real", f"{x}.exp()"]
        )
    )  # fmt: skip


def product(w: Writer) -> Step:
    x = w.pick(lambda t: t.dim() > 0, lambda t: t.numel() > 0)
    inner = w.names[x].shape[-1:] or (1,)
    y = w.pick(lambda t: t.dim() > 0 and t.shape[-2 if t.dim() > 1 else 0] == inner[0] and t.dtype == w.names[x].dtype)
    return Step("NEW = " + w.choose([f"{x} @ {y}", f"torch.matmul({x}, {y})", f"{x}.mm({y})", f"{x}.mv({y})"]))


def joining(w: Writer) -> Step:
    x = w.pick(lambda t: t.dim() > 0)
    y = w.pick(lambda t: t.shape == w.names[x].shape)
    d = w.dim(x)
    line = w.choose(
        [
            f"NEW = torch.cat([{x}, {y}], {d})",
            f"NEW = torch.stack([{x}, {y}], dim={d})",
            f"NEW, NEW = {x}.chunk(2, {d})",
            f"NEW, NEW = {x}.split([1, 2], {d})",
            f"NEW, NEW, NEW = {x}.unbind({d})",
            f"NEW, *_ = torch.split({x}, 2, {d})",
            f"NEW, NEW = torch.broadcast_tensors({x}, {w.pick_beside(x)})",
        ]
    )
    return Step(line)


def view(w: Writer) -> Step:
    x = w.pick()
    tensor = w.names[x]
    d, e, count = w.dim(x), w.dim(x), tensor.numel()
    choices = [
        f"{x}.view(-1)",
        f"{x}.view({w.choose([[count], [1, count], [count, 1], [2, 3], [3, -1]])})",
        f"{x}.reshape({w.choose([[-1], [1, count], [3, -1], [2, -1]])})",
        f"{x}.transpose({d}, {e})",
        f"{x}.permute({list(reversed(range(tensor.dim())))})",
        f"{x}.t()",
        f"{x}.expand({[2, *tensor.shape]})",
        f"{x}.expand(3, -1)" if tensor.dim() < 2 else f"{x}.expand_as({w.pick_beside(x)})",
        f"{x}.squeeze()",
        f"{x}.squeeze({d})",
        f"{x}.unsqueeze({d})",
        f"{x}.narrow({d}, 0, 1)",
        f"{x}.select({d}, 0)",
        f"{x}.flatten()",
        f"{x}.ravel()",
        f"{x}.diagonal()",
        f"{x}.unfold({d}, 2, 1)",
        f"{x}.movedim({d}, {e})",
        f"{x}.mT",
        f"{x}.view_as({w.pick(lambda t: t.numel() == count)})",
        f"{x}.as_strided((2,), (1,))",
        f"{x}.real",
        f"{x}.contiguous()",
        f"{x}.view({x}.dtype)",
        f"{x}.unflatten({d}, (1, -1))",
    ]
    return Step(f"NEW = {w.choose(choices)}")


def an_index(w: Writer, x: str) -> str:
    mask = w.pick(lambda t: dtype_name(t.dtype) == "bool", lambda t: t.shape == w.names[x].shape)
    positions = w.pick(lambda t: dtype_name(t.dtype) == "int64")
    return w.choose(
        ["0", "-1", "1:", ":2", "::2", "..., 0", "None", ":, 1", "0, 1:", "1:, None", "[0, 0]", "torch.tensor([1, 0])",
         "torch.tensor([0, -1]), 0", ":, torch.tensor([0, 2])", mask, positions, f"{mask}", "...", "()", "True",
         "torch.tensor([[0], [1]]), torch.tensor([0, 1])", "5", "torch.tensor(1)", "..., [0, 1]"]
    )  # fmt: skip


def indexing(w: Writer) -> Step:
    x = w.pick()
    return Step(f"NEW = {x}[{an_index(w, x)}]")


def index_assignment(w: Writer) -> Step:
    x = w.pick(apart)
    other = w.pick(alone(w, x), lambda t: broadcasts(t.shape, w.names[x].shape))
    value = w.choose([w.choose(SCALARS), w.pick(lambda t: t.numel() == 1, alone(w, x)), other, other])
    if not apart(w.names[x]) or (value in w.names and not alone(w, x)(w.names[value])):
        return indexing(w)
    index = an_index(w, x)
    return Step(w.choose([f"{x}[{index}] = {value}", f"{x}[{index}] = {value}", f"{x}[{index}] += {value}"]))


def in_place(w: Writer) -> Step:
    x = w.pick(*w.choose([[apart], [apart, lambda t: not recorded_leaf(t)]]))
    if not apart(w.names[x]):
        return scalar(w)
    y = w.choose([w.pick_beside(x), w.choose(SCALARS)])
    if y in w.names and not alone(w, x)(w.names[y]):
        y = f"{y}.clone()"
    fits = is_floating(w.names[x])
    form = w.choose(["smooth", "smooth", "kinked", "unary", "unary kinked", "operator", "shape", "masked"])
    if form == "smooth":
        source = y if y in w.names else w.pick_beside(x)
        if not alone(w, x)(w.names[source]):
            return Step(f"{x}.{w.choose(INPLACE_SMOOTH[:3])}({source}.clone())")
        return Step(f"{x}.{w.choose(INPLACE_SMOOTH)}({source})")
    if form == "kinked" and fits:
        return Step(f"{x}.{w.choose(INPLACE_KINKED)}({y})", tuple(n for n in (x, y) if n in w.names))
    if form == "unary":
        return Step(f"{x}.{w.choose(INPLACE_UNARY)}")
    if form == "unary kinked":
        return Step(f"{x}.{w.choose(INPLACE_UNARY_KINKED)}", (x,))
    if form == "shape":
        return Step(f"{x}.{w.choose(['unsqueeze_(0)', 'squeeze_()', 't_()', 'transpose_(0, -1)'])}")
    if form == "masked":
        mask = w.pick(lambda t: dtype_name(t.dtype) == "bool")
        return Step(f"{x}.masked_fill_({mask}, {w.choose(SCALARS)})")
    return Step(f"{x} {w.choose(['+=', '-=', '*='])} {y}")


def cut(w: Writer) -> Step:
    x = w.pick()
    leaf = w.pick(is_leaf)
    writable = w.pick(apart)
    # An operand that was converted to another dtype is kept as converted here and converted again by PyTorch's
    # derivative, which then sees what was written behind its back.
    hidden = writable
    if len({tensor.dtype for tensor in w.tensors().values()}) > 1:
        hidden = f"{x}.clone()"
    if not apart(w.names[writable]):
        writable = hidden = f"{x}.clone()"
    return Step(
        w.choose(
            [
                f"NEW = {x}.detach()",
                f"NEW = {x}.detach()",
                f"NEW = {x}.detach().requires_grad_()",
                f"NEW = {x}.data",
                f"NEW = {x}.clone()",
                f"NEW = {x}.detach().clone().requires_grad_()",
                f"{x}.detach_()",
                f"{leaf}.requires_grad_()",
                f"{x}.requires_grad_(False)",
                f"with torch.no_grad():\n    NEW = {x} * 2",
                f"with torch.no_grad():\n    {writable}.mul_(2)",
                f"with torch.no_grad():\n    NEW = {x}.unsqueeze(0)",
                f"with torch.set_grad_enabled(False):\n    {writable}.add_(1)",
                f"with torch.no_grad(), torch.enable_grad():\n    NEW = {x} + 1",
                f"{hidden}.data.add_(1)",
                f"{x}.data = {w.pick(lambda t: t.shape == w.names[x].shape).strip()}.detach()",
            ]
        )
    )


def watching(w: Writer) -> Step:
    x = w.pick(in_graph)
    return Step(
        w.choose(
            [
                f"{x}.retain_grad()",
                f"{x}.register_hook(lambda g: g * 2)",
                f"{x}.register_hook(lambda g: log.append(g.detach().clone()))",
                f"{w.pick(recorded_leaf)}.register_post_accumulate_grad_hook(lambda p: log.append(p.grad.clone()))",
                f"{x}.grad = None",
                f"{x}.grad = torch.ones_like({x})",
                f"NEW = {w.pick(lambda t: is_leaf(t) and t.grad is not None)}.grad",
                f"{w.pick(lambda t: is_leaf(t) and t.grad is not None)}.grad.zero_()",
                f"{x}.register_hook(lambda g: None)",
                f"{x}.register_hook(lambda g: g.clone().zero_())",
                f"{x}.register_hook(lambda g: g * {x}.detach())",
                f"{x}.register_hook(lambda g: log.append(1)).remove()",
                f"{w.pick(inner)}.retain_grad()",
                f"{w.pick(recorded_leaf)}.grad = {w.pick(recorded_leaf)}.detach().clone()",
            ]
        )
    )


def converting(w: Writer) -> Step:
    x = w.pick(integral_values)
    kind = w.choose(DTYPES)
    if integral_values(w.names[x]) or not (kind.startswith(("int", "uint"))):
        y = w.choose([f"{x}.to(torch.{kind})", f"{x}.type(torch.{kind})", f"{x}.to(torch.{kind}, copy=True)"])
        return Step(f"NEW = {y}", (x,) if kind in ("bool", "int64", "int32", "uint8") else ())
    return Step("NEW = " + w.choose([f"{x}.float()", f"{x}.double()", f"{x}.bool()"]), (x,))


def reading(w: Writer) -> Step:
    x = w.pick()
    return Step(
        "v = "
        + w.choose(
            [f"{x}.item()", f"{x}.tolist()", f"len({x})", f"{x}.is_contiguous()", f"{x}.storage_offset()", f"{x}.dim()",
             f"float({x})", f"bool({x} > 0)", f"{x}.size(0)", f"{x}._base is not None", f"{x}.element_size()",
             f"torch.equal({x}, {w.pick()})", f"{x}.is_set_to({w.pick()})", f"torch.allclose({x}, {x})"]
        ),
        (x,),
    )  # fmt: skip


def has_graph(w: Writer) -> bool:
    """Whether there is a gradient to ask for; one time in eight it is asked for where there is none."""
    return any(inner(tensor) for tensor in w.tensors().values()) or w.choose(range(8)) == 7


def backward(w: Writer) -> Step:
    if not has_graph(w):
        return binary(w)
    x = w.pick(inner)
    leaf = w.pick(recorded_leaf)
    within = w.pick(in_graph)
    options = w.choose(
        ["", "retain_graph=True", "retain_graph=True", "create_graph=True", f"inputs=[{leaf}]", f"inputs=[{within}]",
         f"inputs=[{leaf}, {within}], retain_graph=True"]
    )  # fmt: skip
    gradient = w.choose([f"torch.ones_like({x})", f"{x}.detach().clone()", "None"])
    return Step(
        w.choose([f"{x}.sum().backward({options})", f"{x}.backward({gradient}{', ' if options else ''}{options})"])
    )


def gradients(w: Writer) -> Step:
    if not has_graph(w):
        return unary(w)
    x = w.pick(inner)
    a, b = w.pick(in_graph), w.pick(in_graph)
    options = w.choose(
        ["", ", allow_unused=True", ", create_graph=True", ", create_graph=True, allow_unused=True",
         ", retain_graph=True, materialize_grads=True", ", create_graph=True, materialize_grads=True"]
    )  # fmt: skip
    output = w.choose([f"{x}.sum()", f"{x}.sum()", f"({x} * {x}).sum()", f"{x}, grad_outputs=torch.ones_like({x})"])
    inputs = f"[{a}, {b}]"
    if w.choose(range(4)) == 0:  # the derivative of a derivative, which the graph keeps for a third
        first = f"torch.autograd.grad(({x} * {x}).sum(), {a}, create_graph=True)[0]"
        return Step(f"NEW, NEW = own(torch.autograd.grad({first}.square().sum(), {inputs}, "
                    "create_graph=True, allow_unused=True))")  # fmt: skip
    if ", grad_outputs" in output:
        head, rest = output.split(", ", 1)
        return Step(f"NEW, NEW = own(torch.autograd.grad({head}, {inputs}, {rest}{options}))")
    return Step(f"NEW, NEW = own(torch.autograd.grad({output}, {inputs}{options}))")


# How often each kind of step is written.
FAMILIES: list[Callable[[Writer], Step]] = [
    *[creation] * 2, factory, *[unary] * 3, *[binary] * 5, *[scalar] * 2, *[reduction] * 2, ordered, *[composed] * 2,
    product, *[picking] * 2, complex_parts,
    joining, *[view] * 5, *[indexing] * 2, *[index_assignment] * 2, *[in_place] * 5, *[cut] * 3,
    *[watching] * 2, converting, reading, *[backward] * 3, *[gradients] * 3,
]  # fmt: skip


# A gradient's memory layout, sharing and last node are the affair of the formulas that made it; its values, dtype and
# place in the graph are not. Programs therefore continue with copies of gradients.
PROLOGUE = """log, v = [], None
def own(gradients):
    return [None if g is None else g.clone(memory_format=torch.contiguous_format) for g in gradients]"""


def prepared(torch: Any) -> dict[str, Any]:
    """The names with which a program starts under one module."""
    names: dict[str, Any] = {"torch": torch}
    exec(PROLOGUE, names)
    return names


def run(step: Step, names: dict[str, Any]) -> BaseException | None:
    """Run one line; what it raises is part of its meaning."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(step.source, "<step>", "exec"), names)
    except Exception as error:
        return error
    return None


def seen(tensor: Any, attribute: str) -> Any:
    """An attribute of a tensor, or the class of the error that looking at it raises (in-place on a part of a split)."""
    try:
        return getattr(tensor, attribute)
    except RuntimeError as error:
        return type(error)


def gradient(tensor: Any) -> Any:
    """The `.grad` that a program may look at without a warning."""
    visible = seen(tensor, "is_leaf") is True or seen(tensor, "retains_grad") is True
    return tensor.grad if visible else None


def largest(names: dict[str, Any]) -> float:
    """The largest finite magnitude among the tensors and their gradients: what rounding errors are measured against."""
    size = 1.0
    for tensor in tensors_of(names).values():
        for part in (tensor, gradient(tensor)):
            if part is not None and part.numel() and dtype_name(part.dtype) not in ("bool", "uint8"):
                values = np.abs(to_numpy(part))
                values = values[np.isfinite(values)]
                size = max(size, float(values.max())) if values.size else size
    return size


def tensors_of(names: dict[str, Any]) -> dict[str, Any]:
    """The tensors of a program's names, in the order of their making."""
    return {n: value for n, value in names.items() if n != "torch" and not n.startswith("_") and is_tensor(value)}


def write(torch: Any, choose: Choose, length: int) -> list[Step]:
    """Write a program of at most `length` lines, running each under PyTorch to know what the next can use."""
    writer = Writer(torch, choose)
    program: list[Step] = []
    for place in range(length):
        step = writer.named((creation if place < 2 else choose(FAMILIES))(writer))
        run(step, writer.names)
        # Neither huge numbers nor PyTorch's zeros without memory (which refuse to be written) say anything of wengert.
        if any(map(is_unallocated, writer.tensors().values())) or largest(writer.names) > LARGEST:
            break
        program.append(step)
    return program


def same_bits(step: Step, own: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether the tensors that the step reads discontinuously are equal to the last bit."""
    pairs = [(own[name], other[name]) for name in step.exact if name in own and name in other]
    return all(
        np.array_equal(to_numpy(a), to_numpy(e), equal_nan=dtype_name(e.dtype) not in ("bool",))
        for a, e in pairs
        if is_tensor(a) and is_tensor(e)
    )


class Parted(Exception):
    """From here on the two modules run different programs, for a reason that is known and written down."""


Born = dict[str, tuple[int, int]]


def check_state(own: dict[str, Any], other: dict[str, Any], scale: float, born: Born) -> None:
    """Everything a program could see of its tensors, under both modules.

    `born` holds the versions that each tensor had when it was first seen: what an operation writes into its own result
    before handing it over is its own affair, what happens to a tensor afterwards is not."""
    expected = tensors_of(other)
    actual = tensors_of(own)
    scale *= max([HALF_SLACK.get(dtype_name(e.dtype), 1) for e in expected.values()], default=1)
    must(list(actual) == list(expected), "tensors that exist", list(actual), list(expected))
    owners: tuple[dict[int, str], dict[int, str]] = ({}, {})
    for name, e in expected.items():
        a = actual[name]
        check_layout(a, e, name)
        for attribute in ("requires_grad", "is_leaf"):
            value, wanted = seen(a, attribute), seen(e, attribute)
            if isinstance(wanted, type):
                continue
            if wanted and not value and not (e.is_floating_point() or e.is_complex()):
                raise Parted
            must(value == wanted, f"{name}.{attribute}", value, wanted)
        first_seen = born.setdefault(name, (a._version, e._version))
        writes = a._version - first_seen[0], e._version - first_seen[1]
        must(writes[0] == writes[1], f"{name}._version counts", *writes)
        must(
            a.storage_offset() == e.storage_offset() or not e.numel(),
            f"{name}.storage_offset()",
            a.storage_offset(),
            e.storage_offset(),
        )
        nodes = [
            node if node is None or isinstance(node, type) else node.name()
            for node in (seen(a, "grad_fn"), seen(e, "grad_fn"))
        ]
        # After a write to its memory PyTorch lets a view reach its base by strides, however it was made.
        # At a part of a split whose base was written it refuses to look.
        strided = nodes[1] is RuntimeError or (
            nodes[0] is not None and (nodes[1] == "AsStridedBackward0" or not e.numel())
        )
        must(nodes[0] == nodes[1] or strided, f"{name}.grad_fn", *nodes)
        check_values(a, e, name, scale=scale)
        first = [o.setdefault(storage_key(t), name) if t.numel() else name for o, t in zip(owners, (a, e), strict=True)]
        must(first[0] == first[1], f"{name} shares the storage of", *first)
        own_grad, other_grad = gradient(a), gradient(e)
        must((own_grad is None) == (other_grad is None), f"{name}.grad", own_grad, other_grad)
        if other_grad is not None:
            check_layout(own_grad, other_grad, f"{name}.grad", strides=False)
            must(
                own_grad.requires_grad == other_grad.requires_grad,
                f"{name}.grad.requires_grad",
                own_grad.requires_grad,
                other_grad.requires_grad,
            )
            check_values(own_grad, other_grad, f"{name}.grad", scale=scale)
    for a, e, where in check_structure(own["log"], other["log"], "log"):
        check_layout(a, e, where, strides=False)
        check_values(a, e, where, scale=scale)
    for _ in check_structure(own.get("v"), other.get("v"), "v"):
        pass


def check_program(program: list[Step], subject: Any, torch: Any) -> None:
    """Run a program line by line under both modules and compare after each; raises Mismatch with the line."""
    own, other = prepared(subject), prepared(torch)
    born: Born = {}
    for step in program:
        if not (step.reads() <= other.keys() and same_bits(step, own, other)):
            continue
        errors = run(step, own), run(step, other)
        if refused_here_only(*errors) or half_written(step, *errors) or half_done(step, *errors):
            return
        if laid_out_freely(own, other):
            return
        try:
            check_error(*errors, "it")
            check_state(own, other, largest(other), born)
        except Parted:
            return
        except Mismatch as difference:
            if is_known(f"`{step.source}`: {difference}"):
                return
            raise Mismatch(f"after `{step.source}`: {difference}") from errors[0]
        except Exception as error:
            raise Mismatch(f"after `{step.source}`, looking at the tensors: {type(error).__name__}: {error}") from error


# What PyTorch refuses for want of a kernel, or because its kernels can't work on overlapping memory.
REFUSALS = (
    "not implemented for|some elements of the input tensor and the written-to tensor refer|"
    "does not support automatic differentiation for outputs with complex|backward through the graph a second time|"
    "saved tensor that has been detached in-place|with an? (two )?bool tensors? is not supported|on a bool tensor is "
    "not|"
    "its base or another view of its base has been modified inplace|view was created in no_grad mode|INTERNAL ASSERT|"
    "ZeroTensors are immutable|leaf variable has been moved into the graph|"
    "Autograd not support dtype: Bool|function that returns multiple views|'NoneType' object has no attribute 'detach'"
)


def refused_here_only(actual: BaseException | None, expected: BaseException | None) -> bool:
    """Whether PyTorch refuses what the judged module computes: more is no difference, but the programs part here."""
    return actual is None and expected is not None and re.search(REFUSALS, str(expected)) is not None


def half_written(step: Step, actual: BaseException | None, expected: BaseException | None) -> bool:
    """Whether both refused an assignment: how much of it was done before is nobody's promise."""
    return actual is not None and expected is not None and "] = " in step.source


def half_done(step: Step, actual: BaseException | None, expected: BaseException | None) -> bool:
    """Whether both refused a pass in its middle, in which case some leaves may have had their gradients already."""
    return (
        ".backward(" in step.source and actual is not None and expected is not None
        and error_class_matches(actual, expected)
    )  # fmt: skip


# Differences that are known: a pattern of the difference, and why it is there.
KNOWN = tomllib.loads(Path(__file__).with_name("known_gaps.toml").read_text(encoding="utf-8")).get("programs", {})


def is_known(found: str) -> bool:
    return any(re.search(pattern, found) for pattern in KNOWN)


def laid_out_freely(own: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether a result of an expanded tensor (whose strides say nothing of an order) is dense in both modules, but in
    another order of dimensions: the two programs part here too."""
    if not any(0 in s and t.numel() for t in tensors_of(other).values() for s in [t.stride()]):
        return False
    pairs = [(own[name], e) for name, e in tensors_of(other).items() if is_tensor(own.get(name))]
    return any(
        tuple(a.shape) == tuple(e.shape) and a.stride() != e.stride() and is_dense(a) and is_dense(e) for a, e in pairs
    )


def is_dense(tensor: Any) -> bool:
    """Whether the elements lie side by side in some order of the dimensions."""
    expected = 1
    for stride, extent in sorted((s, n) for s, n in zip(tensor.stride(), tensor.shape, strict=True) if n > 1):
        if stride != expected:
            return False
        expected *= extent
    return True


def difference(program: list[Step], subject: Any, torch: Any) -> Mismatch | None:
    """The first difference, or None."""
    try:
        check_program(program, subject, torch)
    except Mismatch as found:
        return found
    return None


def reduced(program: list[Step], subject: Any, torch: Any) -> list[Step]:
    """Drop lines while the program still differs in its last line's way (the same step, the same quantity)."""

    def kind(found: Mismatch | None) -> str | None:
        return None if found is None else str(found).split(":", 2)[0]

    wanted = kind(difference(program, subject, torch))
    place = len(program) - 1
    while place >= 0:
        shorter = program[:place] + program[place + 1 :]
        if kind(difference(shorter, subject, torch)) == wanted:
            program = shorter
        place -= 1
    return program


def script(program: list[Step]) -> str:
    """The program as a file that runs under PyTorch."""
    return "\n".join(["import torch", PROLOGUE, *(step.source for step in program)])


def report(program: list[Step], subject: Any, torch: Any) -> str:
    """The shortest form of a failing program, as a script, and its difference."""
    short = reduced(program, subject, torch)
    return f"{difference(short, subject, torch)}\n\n{script(short)}\n"
