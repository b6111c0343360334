"""The walk over PyTorch's own operator database: each sample run under PyTorch and under wengert, and compared.

An entry of the database (an OpInfo) names an operation, makes sample inputs for a dtype, and says which aspects it
supports. `walk_entry` judges one entry, aspect by aspect; `walk` spreads the entries over worker processes, because an
entry may hang or take the process with it, and neither may end the walk.

What the judged module doesn't have at all is `absent`: counted, not failed.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import importlib
import multiprocessing
import random
import re
import resource
import signal
import time
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import Any

from tests.conformance import compare
from tests.conformance.compare import Mismatch, check_aliasing, check_error, check_structure, dtype_name, is_tensor

# Sample values: the dtypes of the plain aspects and how many samples of each entry are taken unless all are asked for.
FORWARD_DTYPES = {
    "float32": 24,
    "float64": 8,
    "int64": 8,
    "bool": 6,
    "complex64": 6,
    "complex128": 4,
    "bfloat16": 5,
    "float16": 5,
}
SAMPLES = {"backward": 16, "second": 6, "forward mode": 6, "in-place": 8, "out": 8, "errors": 40, "aliasing": 10}

# Values that PyTorch leaves open.
UNSPECIFIED = {"empty", "empty_like", "empty_strided", "empty_permuted", "new_empty", "new_empty_strided"}
# Not built, by decision: other layouts, PyTorch's own internals, entries for other devices.
OUT_OF_SCOPE = ("sparse.", "to_sparse", "max_pool2d_with_indices_backward")
OUT_OF_SCOPE_KINDS = {"OpOverload", "OpOverloadPacket", "_JittedFunction"}
# PyTorch itself writes past the end of an `out=` that isn't contiguous here, and takes the process with it.
CRASHES_ON_STRIDED_OUT = {"tril", "triu", "linalg.lu", "lu_unpack"}
# Of several right answers (eigenvectors have no sign) what is compared is what the database makes of them for its own
# checks of gradients: magnitudes, products.
SIGNS_OPEN = {"linalg.eig", "linalg.eigh", "linalg.svd", "svd", "svd_lowrank", "pca_lowrank"}
# Long sums and factorisations: an error is measured against the largest value of the result.
NORMWISE = tuple(
    """
    linalg. fft. nn.functional. matmul mm bmm mv addbmm addmm baddbmm dot vdot inner kron tensordot einsum chain_matmul
    bilinear linear conv scaled_dot multi_head cholesky svd qr geqrf ormqr householder lu pinverse triangular det logdet
    matrix_exp cdist corrcoef cov stft istft prod cumprod std var norm
    """.split()  # noqa: SIM905
)

PUBLIC_NAMESPACES = ["", "linalg", "special", "fft", "nn.functional", "signal.windows", "masked", "Tensor", "sparse",
                     "_C._nn", "functional"]  # fmt: skip


# What the database's own functions call beside the operation, and which means nothing under another module.
SUBSTITUTES = {"freeze_rng_state": contextlib.nullcontext}
LACKS = re.compile(r"(module '[\w.]+'|'Tensor' object) has no attribute|cannot import name")


# The noise of each tensor of a result, measured when asked for.
Noise = Callable[[], list[float]]


class Absent(Exception):
    """The judged module has no such function."""


@dataclass
class Score:
    """How many samples of one aspect of one entry passed, and the first that didn't."""

    passed: int = 0
    total: int = 0
    first_failure: str = ""

    def add(self, failure: str | None) -> None:
        self.total += 1
        if failure is None:
            self.passed += 1
        elif not self.first_failure:
            self.first_failure = failure

    @property
    def whole(self) -> bool:
        return self.passed == self.total


@dataclass
class Verdict:
    """What the walk found for one entry: a score by aspect, or why there is none."""

    name: str
    scores: dict[str, Score] = field(default_factory=dict)
    absent: str = ""
    seconds: float = 0.0

    def add(self, aspect: str, failure: str | None) -> None:
        self.scores.setdefault(aspect, Score()).add(failure)


def entry_name(entry: Any) -> str:
    return f"{entry.name}.{entry.variant_test_name}" if entry.variant_test_name else entry.name


@functools.cache
def entries() -> dict[str, Any]:
    """The entries in scope, by name."""
    from torch.testing._internal.common_methods_invocations import op_db

    return {
        entry_name(entry): entry
        for entry in op_db
        if not entry.name.startswith(OUT_OF_SCOPE) and type(entry.op).__name__ not in OUT_OF_SCOPE_KINDS
    }


@functools.cache
def public_paths() -> dict[int, str]:
    """Where each function of PyTorch is found by its users, by the function's identity."""
    torch = importlib.import_module("torch")
    importlib.import_module("torch.masked")
    importlib.import_module("torch.signal.windows")
    paths: dict[int, str] = {}
    for namespace in PUBLIC_NAMESPACES:
        place = functools.reduce(getattr, filter(None, namespace.split(".")), torch)
        for name in dir(place):
            if not name.startswith("__") or namespace == "Tensor":
                function = getattr(place, name, None)
                if callable(function):
                    paths.setdefault(id(function), f"{namespace}.{name}".strip("."))
    return paths


def lookup(path: str, module: Any) -> Any:
    """`module.a.b` for `a.b`; raises Absent."""
    place = module
    for name in path.split("."):
        try:
            place = getattr(place, name)
        except (AttributeError, ImportError):
            try:
                place = importlib.import_module(f"{place.__name__}.{name}")
            except (ImportError, AttributeError):
                raise Absent(path) from None
    return place


def translated(function: Any, module: Any) -> Any:
    """The judged module's counterpart of a function of PyTorch.

    A function written in Python beside the database (usually a lambda which calls a method) is taken as it is, with the
    name `torch` meaning the judged module."""
    if isinstance(function, functools.partial):
        arguments = [translated(a, module) if callable(a) else a for a in function.args]
        return functools.partial(translated(function.func, module), *arguments, **function.keywords)
    path = public_paths().get(id(function))
    if path is not None:
        return lookup(path, module)
    if hasattr(function, "named_parameters"):  # a module without parameters, as a distance between tensors
        made = lookup(f"nn.{type(function).__name__}", module)()
        vars(made).update({name: value for name, value in vars(function).items() if isinstance(value, int | float)})
        return made
    name = getattr(function, "__name__", "")
    if isinstance(function, types.MethodDescriptorType | types.WrapperDescriptorType):
        return lookup(f"Tensor.{name}", module)
    if isinstance(function, types.FunctionType) and function.__module__.startswith("torch.testing"):
        return rebound(function, module)
    if isinstance(function, types.FunctionType) and function.__module__.startswith("torch"):
        place = function.__module__.removeprefix("torch").strip(".").replace("_tensor", "Tensor")
        return lookup(f"{place}.{function.__qualname__}".removeprefix("Tensor.Tensor.").strip("."), module)
    raise Absent(repr(function))


def names_in(code: types.CodeType) -> set[str]:
    """The names that a function uses, those of the functions inside of it included."""
    inner = [names_in(constant) for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return set(code.co_names).union(*inner)


def rebound(function: types.FunctionType, module: Any) -> Callable[..., Any]:
    """A function of the database over the judged module: the same code, other globals and closure."""
    names = dict(function.__globals__)
    for name in names_in(function.__code__):
        value = names.get(name)
        if name in SUBSTITUTES:
            names[name] = SUBSTITUTES[name]
        elif isinstance(value, types.ModuleType) and value.__name__.split(".")[0] == "torch":
            path = value.__name__.partition(".")[2]
            names[name] = lookup(path, module) if path else module
        elif isinstance(value, types.FunctionType) and value.__module__.startswith("torch"):
            names[name] = translated(value, module)
    closure = function.__closure__ and tuple(
        types.CellType(translated(c.cell_contents, module) if callable(c.cell_contents) else c.cell_contents)
        for c in function.__closure__
    )
    copy = types.FunctionType(function.__code__, names, function.__name__, function.__defaults__, closure)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


class Translator:
    """Makes fresh copies of a sample's arguments for one module: tensors with the same values, dtype, strides and
    `requires_grad`, dtypes and devices by name. One tensor that appears twice stays one tensor."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.made: dict[int, Any] = {}

    def __call__(self, value: Any) -> Any:
        torch = importlib.import_module("torch")
        if isinstance(value, torch.Tensor):
            if id(value) not in self.made:
                self.made[id(value)] = self.tensor(value)
            return self.made[id(value)]
        if isinstance(value, torch.Size):
            return tuple(value) if self.module is not torch else value
        if isinstance(value, list | tuple):
            items = [self(item) for item in value]
            return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
        if isinstance(value, dict):
            return {key: self(item) for key, item in value.items()}
        if self.module is torch:
            return value
        if isinstance(value, torch.dtype | torch.memory_format | torch.layout):
            return lookup(dtype_name(value), self.module)
        if isinstance(value, torch.device):
            return self.module.device(str(value))
        if isinstance(value, slice):
            return slice(self(value.start), self(value.stop), self(value.step))
        if value is torch.strided:
            return self.module.strided
        if callable(value):
            return translated(value, self.module)
        return value

    def tensor(self, source: Any) -> Any:
        torch = importlib.import_module("torch")
        if source.layout is not torch.strided:
            raise Absent(f"layout {source.layout}")
        plain = source.detach()
        # A tensor that overlaps itself, or is a window of a larger one, is cut anew from a copy of its storage.
        windowed = plain.numel() and (
            plain.storage_offset() or any(s == 0 < n for s, n in zip(plain.stride(), plain.shape, strict=True))
        )
        if self.module is torch:
            copy = plain.clone() if not windowed else _window(plain.untyped_storage().clone(), plain, torch)
            return copy.requires_grad_(source.requires_grad)
        values = compare.to_numpy(plain)
        kind = lookup(dtype_name(plain.dtype), self.module)
        if windowed:
            flat = torch.empty(0, dtype=plain.dtype).set_(plain.untyped_storage())
            whole = self.module.from_numpy(compare.to_numpy(flat).copy()).to(kind)
            made = whole.as_strided(tuple(plain.shape), plain.stride(), plain.storage_offset())
        elif plain.is_contiguous():
            made = self.module.from_numpy(values.copy(order="C")).to(kind)
        else:
            made = self.module.empty_strided(tuple(plain.shape), plain.stride(), dtype=kind)
            made.copy_(self.module.from_numpy(values.copy()).to(kind))
        return made.detach().requires_grad_() if source.requires_grad else made


def _window(storage: Any, like: Any, torch: Any) -> Any:
    return torch.empty(0, dtype=like.dtype).set_(storage, like.storage_offset(), like.shape, like.stride())


class Neighbour(Translator):
    """The arguments of a sample at a point near it (`step` 0 is the sample itself), for PyTorch; with `wide`, the same
    point in twice the precision."""

    def __init__(self, module: Any, step: int, wide: bool) -> None:
        super().__init__(module)
        self.step = step
        self.wider = {module.float32: module.float64, module.complex64: module.complex128} if wide else {}

    def __call__(self, value: Any) -> Any:
        if isinstance(value, self.module.dtype):
            return self.wider.get(value, value)
        return super().__call__(value)

    def tensor(self, source: Any) -> Any:
        made = super().tensor(source).detach()
        if self.step and (made.is_floating_point() or made.is_complex()):
            ramp = self.module.arange(made.numel()).reshape(made.shape) * (2 * self.step + 1) % 7 - 3
            made = made * (1 + ramp * 2.0**-18).to(made.dtype)
        return made.to(self.wider.get(made.dtype, made.dtype)).requires_grad_(source.requires_grad)


class Judge:
    """Runs one entry under both modules."""

    def __init__(self, entry: Any, subject: Any, every_sample: bool = False, seed: int = 0) -> None:
        self.entry = entry
        self.subject = subject
        self.torch = importlib.import_module("torch")
        self.every_sample = every_sample
        self.seed = seed
        self.verdict = Verdict(entry_name(entry))
        self.normwise = entry.name.startswith(NORMWISE)
        self.open_values = entry.name in UNSPECIFIED

    def limit(self, count: int) -> int:
        return 10_000 if self.every_sample else count

    def samples(self, dtype: str, count: int, requires_grad: bool = False) -> Iterator[Any]:
        """Samples spread over all that the entry makes: the first ones are often all of one kind. Another seed gives
        other numbers, and others of the samples."""
        kind = getattr(self.torch, dtype)
        self.torch.manual_seed(self.seed)
        random.seed(self.seed)
        made = list(self.entry.sample_inputs("cpu", kind, requires_grad=requires_grad))
        small = [s for s in made if _elements(s) <= 200_000] if not self.every_sample else made
        step = max(1, -(-len(small) // self.limit(count)))
        return iter(small[self.seed % step :: step])

    def call(self, module: Any, function: Any, sample: Any, translator: Translator | None = None) -> Any:
        """The result under one module, or the exception it raised; the inputs are the translator's."""
        translate = translator or Translator(module)
        try:
            value, arguments = translate(sample.input), translate(tuple(sample.args))
            keywords = translate(dict(sample.kwargs))
            module.manual_seed(0)
            return function(value, *arguments, **keywords)
        except Absent:
            raise
        except Exception as error:
            if module is self.subject and isinstance(error, AttributeError | ImportError) and LACKS.search(str(error)):
                raise Absent(str(error)) from error
            return error

    def check(self, aspect: str, comparison: Callable[[], None], sample: Any) -> None:
        """Count one sample of an aspect."""
        try:
            comparison()
        except Absent:
            raise
        except Mismatch as difference:
            self.verdict.add(aspect, f"{difference} [{described(sample)}]")
        except Exception as error:
            self.verdict.add(aspect, f"{type(error).__name__}: {compare.shortened(str(error))} [{described(sample)}]")
        else:
            self.verdict.add(aspect, None)

    def both(self, sample: Any, path: Any = None) -> tuple[Any, Any, Translator, Translator]:
        """Results (or errors) of both modules, and the translators that hold their inputs."""
        own, other = Translator(self.subject), Translator(self.torch)
        function = path or self.entry.op
        actual = self.call(self.subject, translated(function, self.subject), sample, own)
        expected = self.call(self.torch, function, sample, other)
        return actual, expected, own, other

    def noise(self, sample: Any, measure: Callable[[Translator], list[Any]]) -> list[float]:
        """How far PyTorch's own numbers are from those of twice the precision, for each tensor that `measure` gives:
        the largest distance at the sample and at a few points beside it.

        One point says too little: where the exact result is zero, one machine's sum may hit it by luck."""
        found: list[float] = []
        with contextlib.suppress(Exception):
            for step in range(6):
                pair = [measure(Neighbour(self.torch, step, wide)) for wide in (False, True)]
                apart = [compare.distance(*tensors) for tensors in zip(*pair, strict=True)]
                found = [max(both) for both in zip(found or apart, apart, strict=True)]
        return found

    def determined(self, result: Any, sample: Any, module: Any) -> Any:
        """What of a result is determined: all of it, but for the signs of vectors."""
        if self.entry.name not in SIGNS_OPEN or isinstance(result, Exception):
            return result
        return translated(sample.output_process_fn_grad, module)(result)

    def noise_of_results(self, sample: Any, function: Any) -> list[float]:
        def results(translator: Translator) -> list[Any]:
            result = self.determined(self.call(self.torch, function, sample, translator), sample, self.torch)
            return [tensor for tensor, *_ in check_structure(result, result)]

        return self.noise(sample, results)

    def noise_of_gradients(self, sample: Any, again: bool) -> list[float]:
        def gradients(translator: Translator) -> list[Any]:
            result = self.determined(self.call(self.torch, self.entry.op, sample, translator), sample, self.torch)
            return self.gradients(self.torch, result, translator, sample, again)

        return self.noise(sample, gradients)

    def results_agree(
        self,
        actual: Any,
        expected: Any,
        where: str = "result",
        computed_in: str = "",
        noise: Noise | None = None,
        values: bool = True,
    ) -> None:
        if isinstance(expected, Exception) or isinstance(actual, Exception):
            check_error(*(e if isinstance(e, Exception) else None for e in (actual, expected)), "it")
            return
        for index, (a, e, place) in enumerate(check_structure(actual, expected, where)):
            if e.layout is not self.torch.strided:
                raise Absent(f"layout {e.layout}")
            compare.check_layout(a, e, place)
            compare.must(a.requires_grad == e.requires_grad, f"{place} requires_grad", a.requires_grad, e.requires_grad)
            if values and not self.open_values:
                compare.check_values(
                    a, e, place, normwise=self.normwise, computed_in=computed_in, noise=at(noise, index)
                )

    def forward(self, dtype: str, count: int) -> None:
        aspect = f"forward {dtype}"
        for sample in self.samples(dtype, count):
            actual, expected, *_ = self.both(sample)
            noise = functools.cache(functools.partial(self.noise_of_results, sample, self.entry.op))
            self.check(aspect, functools.partial(self.forward_agrees, sample, actual, expected, noise), sample)

    def forward_agrees(self, sample: Any, actual: Any, expected: Any, noise: Noise) -> None:
        if self.entry.name in SIGNS_OPEN:
            self.results_agree(actual, expected, values=False)
            actual = self.determined(actual, sample, self.subject)
            expected = self.determined(expected, sample, self.torch)
        self.results_agree(actual, expected, noise=noise)

    def aliasing(self) -> None:
        """Which input's memory the result is made of, tried by writing."""
        for sample in self.samples("float32", SAMPLES["aliasing"]):
            actual, expected, own, other = self.both(sample)
            if isinstance(expected, Exception) or isinstance(actual, Exception) or not is_tensor(sample.input):
                continue

            inputs = own.made[id(sample.input)], other.made[id(sample.input)]
            self.check("aliasing", functools.partial(self.aliases_agree, actual, expected, *inputs), sample)

    def aliases_agree(self, actual: Any, expected: Any, own_input: Any, other_input: Any) -> None:
        for a, e, place in check_structure(actual, expected):
            check_aliasing(a, own_input, e, other_input, place)

    def differentiable(self, result: Any) -> list[Any]:
        leaves = result if isinstance(result, list | tuple) else [result]
        flat = [t for item in leaves for t in (item if isinstance(item, list | tuple) else [item])]
        return [t for t in flat if is_tensor(t) and t.requires_grad]

    def gradients(self, module: Any, result: Any, translator: Translator, sample: Any, again: bool) -> list[Any]:
        """Gradients of all inputs with fixed cotangents; with `again`, gradients of those."""
        inputs = [t for t in translator.made.values() if t.requires_grad]
        outputs = self.differentiable(result)
        first = self.cotangents(module, outputs)
        grads = module.autograd.grad(outputs, inputs, first, allow_unused=True, create_graph=again)
        if not again:
            return list(grads)
        recorded = [g for g in grads if g is not None and g.requires_grad]
        if not recorded:
            return [None] * len(inputs)
        return list(module.autograd.grad(recorded, inputs, self.cotangents(module, recorded), allow_unused=True))

    def cotangents(self, module: Any, outputs: list[Any]) -> list[Any]:
        """Numbers between 0.5 and 1.5, different from place to place; complex ones have an imaginary part too."""
        made = []
        for output in outputs:
            count = output.numel()
            ramp = (module.arange(count, dtype=module.float64) * 0.37 % 1.0 + 0.5).reshape(tuple(output.shape))
            made.append((ramp * (1 - 0.5j)).to(output.dtype) if output.is_complex() else ramp.to(output.dtype))
        return made

    def backward(self, dtype: str, aspect: str, again: bool = False) -> None:
        count = SAMPLES["second" if again else "backward"]
        for sample in self.samples(dtype, count, requires_grad=True):
            actual, expected, own, other = self.both(sample)
            if isinstance(expected, Exception) or not self.differentiable(expected):
                continue
            try:
                expected = self.determined(expected, sample, self.torch)
                wanted = self.gradients(self.torch, expected, other, sample, again)
            except RuntimeError:
                continue  # PyTorch itself has no such derivative here

            self.check(aspect, functools.partial(self.gradients_agree, actual, wanted, own, sample, again), sample)

    def gradients_agree(self, actual: Any, wanted: list[Any], own: Translator, sample: Any, again: bool) -> None:
        if isinstance(actual, Exception):
            raise actual
        found = self.gradients(self.subject, self.determined(actual, sample, self.subject), own, sample, again)
        noise = functools.cache(functools.partial(self.noise_of_gradients, sample, again))
        for index, (a, e) in enumerate(zip(found, wanted, strict=True)):
            # A second derivative that is zero everywhere may be None on one side: how far the graph reaches
            # backward is PyTorch's own affair, that the first derivative exists is not.
            if again and (a is None) != (e is None):
                given = a if e is None else e
                compare.must(not compare.to_numpy(given).any(), f"gradient {index}", a, e)
                continue
            compare.must((a is None) == (e is None), f"gradient {index}", a, e)
            if e is not None:
                compare.check_layout(a, e, f"gradient {index}", strides=False)
                compare.check_values(a, e, f"gradient {index}", normwise=True, noise=at(noise, index))

    def forward_mode(self) -> None:
        """Directional derivatives through dual numbers."""
        for sample in self.samples("float64", SAMPLES["forward mode"], requires_grad=True):
            tangents = [self.tangents(module, sample) for module in (self.torch, self.subject)]
            if not tangents[0] or isinstance(tangents[0], Exception):
                continue

            self.check("forward mode", functools.partial(self.tangents_agree, *tangents), sample)

    def tangents_agree(self, expected: Any, actual: Any) -> None:
        if isinstance(actual, Exception):
            raise actual
        for a, e, place in check_structure(actual, expected, "tangent"):
            compare.check_layout(a, e, place, strides=False)
            compare.check_values(a, e, place, normwise=True)

    def tangents(self, module: Any, sample: Any) -> Any:
        function = self.entry.op if module is self.torch else translated(self.entry.op, module)
        translator = Translator(module)
        try:
            forward_ad = lookup("autograd.forward_ad", module)
            with forward_ad.dual_level():
                for value in (sample.input, sample.args, sample.kwargs):
                    translator(value)
                for key, tensor in list(translator.made.items()):
                    if tensor.requires_grad:
                        plain = tensor.detach()
                        translator.made[key] = forward_ad.make_dual(plain, self.cotangents(module, [plain])[0])
                result = self.call(module, function, sample, translator)
                if isinstance(result, Exception):
                    return result
                result = self.determined(result, sample, module)
                outputs = result if isinstance(result, list | tuple) else [result]
                found = [forward_ad.unpack_dual(t).tangent for t in outputs if is_tensor(t)]
                return [t if t is None else t.clone() for t in found]
        except Exception as error:
            return error

    def in_place(self) -> None:
        """The variant with an underscore: identity, values, version, and the gradient through it; refused on a leaf."""
        variant = self.entry.inplace_variant
        for sample in self.samples("float32", SAMPLES["in-place"]):
            if not is_tensor(sample.input):
                continue
            actual, expected, own, other = self.both(sample, variant)

            inputs = own.made[id(sample.input)], other.made[id(sample.input)]
            noise = functools.cache(functools.partial(self.noise_of_results, sample, variant))
            self.check("in-place", functools.partial(self.in_place_agrees, actual, expected, *inputs, noise), sample)
        if self.entry.supports_inplace_autograd and self.entry.supports_autograd:
            for sample in self.samples("float32", SAMPLES["in-place"] // 2, requires_grad=True):
                if is_tensor(sample.input) and sample.input.requires_grad:
                    self.check("in-place", functools.partial(self.in_place_gradient, variant, sample), sample)

    def in_place_agrees(self, actual: Any, expected: Any, own_input: Any, other_input: Any, noise: Noise) -> None:
        self.results_agree(actual, expected, noise=noise)
        if not isinstance(expected, Exception):
            compare.must((actual is own_input) == (expected is other_input), "identity", actual, expected)
            versions = own_input._version, other_input._version
            compare.must(versions[0] == versions[1], "version", *versions)

    def in_place_gradient(self, variant: Any, sample: Any) -> None:
        on_leaf = self.both(sample, variant)[:2]
        check_error(*(r if isinstance(r, Exception) else None for r in on_leaf), "on a leaf it")
        gradients = []
        for module, function in ((self.torch, variant), (self.subject, translated(variant, self.subject))):
            translator = Translator(module)
            leaf = translator(sample.input)
            translator.made[id(sample.input)] = leaf.clone()
            result = self.call(module, function, sample, translator)
            translator.made[id(sample.input)] = leaf
            try:
                if isinstance(result, Exception):
                    raise result
                gradients.append(self.gradients(module, result, translator, sample, again=False))
            except Exception as error:
                gradients.append(error)
        expected, actual = gradients
        if isinstance(expected, Exception) or isinstance(actual, Exception):
            check_error(*(g if isinstance(g, Exception) else None for g in (actual, expected)), "its gradient")
            return
        for index, (a, e) in enumerate(zip(actual, expected, strict=True)):
            compare.must((a is None) == (e is None), f"gradient {index}", a, e)
            if e is not None:
                compare.check_values(a, e, f"gradient {index}", normwise=True)

    def out(self) -> None:
        """`out=`: filled and returned; resized when empty; refused where the dtype can't hold the result or a gradient
        would be lost."""
        for sample in self.samples("float32", SAMPLES["out"]):
            expected = self.call(self.torch, self.entry.op, sample)
            if isinstance(expected, Exception) or not _only_tensors(expected):
                continue
            kinds = ["fitting", "empty", "strided", "float64", "int64"]
            if self.entry.name in CRASHES_ON_STRIDED_OUT:
                kinds.remove("strided")
            for kind in kinds:
                self.check("out", functools.partial(self.out_case, sample, expected, kind), sample)

    def out_case(self, sample: Any, like: Any, kind: str) -> None:
        results = []
        for module in (self.subject, self.torch):
            function = self.entry.op if module is self.torch else translated(self.entry.op, module)
            targets = [self.target(module, t, kind) for t in (like if isinstance(like, list | tuple) else [like])]
            given = tuple(targets) if isinstance(like, list | tuple) else targets[0]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = self.call(module, functools.partial(function, out=given), sample)
            if not isinstance(result, Exception | types.NoneType):
                returned = list(result) if isinstance(like, list | tuple) else [result]
                compare.must(all(r is t for r, t in zip(returned, targets, strict=True)), "returned out", result, given)
            results.append(given if result is None else result)
        modules = (self.subject, self.torch)
        results = [self.determined(r, sample, module) for r, module in zip(results, modules, strict=True)]
        noise = functools.cache(functools.partial(self.noise_of_results, sample, self.entry.op))
        computed_in = "float32" if kind == "float64" else ""
        self.results_agree(*results, f"out ({kind})", computed_in, noise)

    def target(self, module: Any, like: Any, kind: str) -> Any:
        dtype = getattr(module, kind if kind in ("float64", "int64") else dtype_name(like.dtype))
        if kind == "empty":
            return module.zeros(0, dtype=dtype)
        if kind == "strided" and like.dim() > 1:
            return module.zeros(tuple(reversed(like.shape)), dtype=dtype).permute(*reversed(range(like.dim())))
        return module.zeros(tuple(like.shape), dtype=dtype)

    def errors(self) -> None:
        """The database's own wrong inputs: the same class of exception."""
        self.torch.manual_seed(0)
        for case in list(self.entry.error_inputs("cpu"))[: self.limit(SAMPLES["errors"])]:
            sample = case.sample_input
            actual, expected, *_ = self.both(sample)
            if isinstance(expected, Exception):
                raised = actual if isinstance(actual, Exception) else None
                self.check("errors", functools.partial(check_error, raised, expected, "it"), sample)

    def run(self) -> Verdict:
        """All aspects that the entry says it supports."""
        entry, torch = self.entry, self.torch
        start = time.perf_counter()
        try:
            translated(entry.op, self.subject)
            for dtype, count in FORWARD_DTYPES.items():
                if getattr(torch, dtype) in entry.dtypes:
                    self.attempt(f"forward {dtype}", functools.partial(self.forward, dtype, count))
            self.attempt("aliasing", self.aliasing, torch.float32 in entry.dtypes)
            floating = torch.float32 in entry.backward_dtypes and entry.supports_autograd
            self.attempt("backward", functools.partial(self.backward, "float32", "backward"), floating)
            complex_too = torch.complex64 in entry.backward_dtypes and entry.supports_autograd
            self.attempt(
                "backward complex", functools.partial(self.backward, "complex64", "backward complex"), complex_too
            )
            twice = floating and entry.supports_gradgrad and torch.float64 in entry.backward_dtypes
            self.attempt("second", functools.partial(self.backward, "float64", "second", again=True), twice)
            if hasattr(self.subject.autograd, "forward_ad"):
                self.attempt("forward mode", self.forward_mode, floating and entry.supports_forward_ad)
            self.attempt("in-place", self.in_place, bool(entry.inplace_variant) and torch.float32 in entry.dtypes)
            self.attempt("out", self.out, entry.supports_out and torch.float32 in entry.dtypes)
            self.attempt("errors", self.errors, entry.error_inputs_func is not None)
        except Absent as absent:
            self.verdict.absent = str(absent)
        self.verdict.seconds = time.perf_counter() - start
        return self.verdict

    def attempt(self, aspect: str, judge: Callable[[], None], applies: bool = True) -> None:
        """Judge one aspect; what it lacks (a variant, a layout) counts as a failed sample."""
        if not applies:
            return
        try:
            judge()
        except Absent as absent:
            if aspect.startswith("forward ") and not self.verdict.scores:
                raise  # not a variant: the operation itself
            self.verdict.add(aspect, f"absent: {absent}")


def at(noise: Noise | None, index: int) -> Callable[[], float]:
    """The noise of one tensor of several; none where it could not be measured."""
    return lambda: dict(enumerate(noise() if noise else ())).get(index, 0.0)


def described(sample: Any) -> str:
    """A sample in a few words."""

    def brief(value: Any) -> str:
        if is_tensor(value):
            return f"{dtype_name(value.dtype)}{list(value.shape)}"
        if isinstance(value, list | tuple):
            return f"({', '.join(map(brief, value))})"
        return compare.shortened(value)

    parts = [brief(sample.input), *map(brief, sample.args), *(f"{k}={brief(v)}" for k, v in sample.kwargs.items())]
    return ", ".join(parts)[:300]


def _elements(sample: Any) -> int:
    return sum(t.numel() for t in [sample.input, *sample.args] if is_tensor(t))


def _only_tensors(result: Any) -> bool:
    return is_tensor(result) or (isinstance(result, list | tuple) and all(map(is_tensor, result)))


def walk_entry(name: str, every_sample: bool = False, seed: int = 0) -> Verdict:
    """Judge one entry of the database, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Judge(entries()[name], compare.subject_module(), every_sample, seed).run()


MEMORY = 12 * 2**30


def serve(connection: Any, every_sample: bool, seed: int) -> None:
    """A worker's life: names in, verdicts out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.disable()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    importlib.import_module("torch").set_num_threads(1)
    while (name := connection.recv()) is not None:
        try:
            verdict = walk_entry(name, every_sample, seed)
        except BaseException as error:
            verdict = Verdict(name)
            verdict.add("walk", f"{type(error).__name__}: {compare.shortened(str(error))}")
        connection.send(verdict)


class Worker:
    """A process with a task; killed and replaced when the task takes too long."""

    def __init__(self, every_sample: bool, seed: int) -> None:
        self.choice = every_sample, seed
        self.start()

    def start(self) -> None:
        # Forked: PyTorch and its database are imported once, in the parent, whose one thread makes forking safe.
        context = multiprocessing.get_context("fork")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other, *self.choice), daemon=True)
        self.process.start()
        other.close()
        self.task, self.since = "", 0.0

    def give(self, name: str) -> None:
        self.task, self.since = name, time.monotonic()
        self.connection.send(name)

    def collect(self) -> Verdict:
        try:
            verdict = self.connection.recv()
            self.task = ""
            return verdict
        except (EOFError, ConnectionError):
            self.process.join()
            return self.replaced(f"ended the process (exit code {self.process.exitcode})")

    def replaced(self, why: str) -> Verdict:
        """End the process, start another, and blame the task."""
        verdict = Verdict(self.task)
        verdict.add("walk", why)
        self.stop()
        self.start()
        return verdict

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def walk(
    names: list[str], processes: int = 2, every_sample: bool = False, patience: float = 60.0, seed: int = 0
) -> Iterator[Verdict]:
    """Judge the named entries in parallel; an entry that takes longer than `patience` seconds fails as hanging."""
    importlib.import_module("torch").set_num_threads(1)
    entries()
    compare.subject_module()
    public_paths()
    waiting = list(reversed(names))
    workers = [Worker(every_sample, seed) for _ in range(min(processes, len(names)))]
    try:
        while waiting or any(worker.task for worker in workers):
            for worker in workers:
                if not worker.task and waiting:
                    worker.give(waiting.pop())
            busy = [worker for worker in workers if worker.task]
            ready = wait([worker.connection for worker in busy], timeout=1.0)
            for worker in busy:
                if worker.connection in ready:
                    yield worker.collect()
                elif time.monotonic() - worker.since > patience:
                    yield worker.replaced(f"took longer than {patience:.0f} s")
    finally:
        for worker in workers:
            worker.stop()
