"""The source of operations: flat Python functions and node classes, written from declarations when first used.

`Emitter` writes the function that users call, so that the common case of an eager operation is one frame: look at the
types, run the kernel, wrap the result, fill in a node. `make_node_class` writes the node's `apply` and `apply_graph`
from
the derivatives' formulas. `rebound` is what lets one formula serve twice: on Tensors as it is written, and on arrays,
with
each operation that it names standing for its kernel.
"""

import inspect
import linecache
import types
from weakref import ref

import numpy as np

from wengert import dtypes
from wengert.autograd import graph, views
from wengert.autograd.graph import FREED, Node, Output, Version, grad_mode, next_seq, rare, verify
from wengert.dtypes import FROM_NUMPY, from_python
from wengert.errors import explain
from wengert.interop import adopt, writable
from wengert.kernels import choices, sums
from wengert.ops import halves
from wengert.tensor import Parameter, Tensor, new, wrap

NUMBERS = (bool, int, float, complex, np.number, np.bool_)


def constant(dtype, number):
    """A Python number as an array of no dimensions, remembered by the dtype (but for zeros, whose sign a dict can't
    tell).
    """
    array = np.array(number, dtype.numpy)
    if number and len(dtype.numbers) < 1000:
        dtype.numbers[number] = array
    return array


def signature_of(kernel):
    """The parameters of a kernel by name, in order. A ufunc's are `input` and `other`."""
    if isinstance(kernel, np.ufunc):
        names = ("input", "other")[: kernel.nin]
        return {n: inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in names}
    return dict(inspect.signature(kernel).parameters)


def writes_in_place(kernel):
    """Whether the kernel can be given its input as `out=`. NumPy 2.4's negative can't: on float32 and int32 with some
    strides (the diagonal of a 3x3 matrix) it reads the wrong elements."""
    return isinstance(kernel, np.ufunc) and kernel is not np.negative


def formula_parameters(formula):
    code = formula.__code__
    return code.co_varnames[: code.co_argcount]


def is_formula(function):
    """Whether a function that a formula names is itself written with operations, in the tables' own modules."""
    module = function.__module__
    return module.startswith("wengert.ops.") and module not in ("wengert.ops.declare", __name__)


_array_globals: dict[int, dict] = {}


def rebound(function):
    """`function` with every operation that it names standing for its kernel: the same formula on arrays."""
    source = function.__globals__
    namespace = _array_globals.get(id(source))
    if namespace is None:
        namespace = _array_globals[id(source)] = dict(source)
        for name, value in source.items():
            if hasattr(type(value), "on_arrays"):  # an operation
                namespace[name] = value.on_arrays
            elif isinstance(value, types.FunctionType) and getattr(value, "_on_tensors", None):
                namespace[name] = value._on_arrays  # a formula that says itself what it is on arrays
            elif isinstance(value, types.FunctionType) and is_formula(value):
                namespace[name] = types.FunctionType(
                    value.__code__, namespace if value.__globals__ is source else rebound(value).__globals__,
                    value.__name__, value.__defaults__, value.__closure__,
                )  # fmt: skip
                namespace[name].__kwdefaults__ = value.__kwdefaults__
    result = types.FunctionType(
        function.__code__, namespace, function.__name__, function.__defaults__, function.__closure__
    )
    result.__kwdefaults__ = function.__kwdefaults__
    return result


def compile_source(source, name, namespace, title):
    """Run generated source, known to linecache so that tracebacks and debuggers can show it."""
    filename = f"<wengert {title}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    exec(compile(source, filename, "exec"), namespace)
    return namespace[name]


def unbroadcast(g, shape):
    """Sum an array over the dimensions along which an input was broadcast."""
    extra = g.ndim - len(shape)
    if extra:
        g = sums.add(g, tuple(range(extra)))
    ones = tuple(i for i, extent in enumerate(shape) if extent == 1 and g.shape[i] != 1)
    return sums.add(g, ones, keepdims=True) if ones else g


def recover(operation, error, arrays, kernel):
    """What to do when a kernel raised: run again without NumPy's floating-point warnings, or raise PyTorch's error."""
    if isinstance(error, RuntimeWarning):
        with np.errstate(all="ignore"):
            return kernel(*arrays)
    if isinstance(error, ValueError) and "read-only" in str(error) and is_single(arrays[0]):
        return kernel(writable(arrays[0]), *arrays[1:])
    for name, value in zip(operation.signature, arrays, strict=False):
        if value is NEEDED:
            raise missing(operation, name) from None
    if isinstance(error, AttributeError) and type(error.obj) is type and error.obj in dtypes.BY_PYTHON:
        options = getattr(kernel, "__kwdefaults__", None) or {}
        return kernel(*map(from_python, arrays), **{name: from_python(value) for name, value in options.items()})
    raise explain(operation, error, arrays) from None


def keyword_of(argument):
    return argument.split("=", 1)[0]


def is_single(array):
    """Whether each element of a read-only array has memory of its own: it is a part of one where they share it."""
    return isinstance(array, np.ndarray) and not any(
        step == 0 and extent > 1 for step, extent in zip(array.strides, array.shape, strict=True)
    )


NEEDED = type("NEEDED", (), {"__repr__": lambda self: "(needed)"})()  # the default of what has none


def missing(operation, name):
    return TypeError(f'{operation.name}() missing 1 required positional arguments: "{name}"')


# Names that every generated function can use.
COMMON = {
    "__name__": "wengert.ops.generated",
    "Tensor": Tensor, "Parameter": Parameter, "new": new, "ndarray": np.ndarray, "asarray": np.asarray,
    "ascontiguousarray": np.ascontiguousarray,
    "grad_mode": grad_mode, "rare": rare, "next_seq": next_seq, "verify": verify,
    "Version": Version, "FREED": FREED, "Output": Output, "FROM_NUMPY": FROM_NUMPY, "bool_": dtypes.bool_,
    "int64": dtypes.int64, "NEEDED": NEEDED, "missing": missing,
    "unbroadcast": unbroadcast, "constant": constant, "recover": recover, "wrap": wrap, "ref": ref, "views": views,
    "SavedOutput": views.SavedOutput, "conj": np.conjugate,
    "widened": halves.widened, "narrowed": halves.narrowed, "half_among": halves.half_among,
    "restore": graph.restore, "zeros": np.zeros, "may_share_memory": np.may_share_memory,
}  # fmt: skip


# What was generated so far, to be written anew when the choice of kernels begins or ends to depend on sizes.
_functions: list[tuple] = []
_node_classes: list[tuple] = []


def renew():
    """Write all generated functions anew, in place: whoever holds one has the new one."""
    for function, arguments in _functions:
        replace(function, Emitter(*arguments).written())
    for kind, arguments in _node_classes:
        replace(kind.apply, node_functions(*arguments)["apply"])


def replace(function, by):
    function.__globals__.update(by.__globals__)
    function.__code__ = by.__code__


choices.listeners.append(renew)


def large_kernel(op):
    """(smallest size, kernel) that stands in for the operation's kernel on large arrays, or None."""
    if not choices.state.active:
        return None
    reference = by_dtype(op) if halves.widens_kernel(op) else op.kernel
    found = choices.named(choices.name_of(op.kernel), reference)
    if found is None and op.promote:
        found = choices.pointwise(op.name, reference, lambda: recordable(op.kernel), not halves.widens_kernel(op))
    return found


def by_dtype(op):
    """The reference kernel, on float32 copies of 16-bit operands."""
    kernel, wide = op.kernel, op.kernel_in_float32
    return lambda first, *rest, **options: (wide if first.dtype in halves.HALVES else kernel)(first, *rest, **options)


def large_formula(op, name, formula, on_arrays):
    """Likewise for a derivative."""
    if not choices.state.active or formula.__code__.co_code == IDENTITY:
        return None
    found = choices.named(f"{choices.name_of(op.kernel)}/{name}", on_arrays)
    if found is None and op.promote and name is not None:
        stepwise = not halves.widens_formulas(op)
        found = choices.pointwise(f"{op.name}/{name}", on_arrays, lambda: recordable(formula), stepwise)
    return found


IDENTITY = (lambda g: g).__code__.co_code


def recordable(function):
    from wengert.kernels.cpu import recorded

    return recorded.recordable(function)


def laid_out(parameter):
    """("input", "shape") for "input_shape", likewise for "input_strides" (those of the array, in bytes); else None."""
    name, _, what = parameter.rpartition("_")
    return (name, what) if what in ("shape", "strides") else (None, None)


class Saved:
    """Which values a node keeps, and for which derivatives; shared by the emitters of the function and of the node."""

    def __init__(self, operation, scalars):
        self.operation = operation
        signature = operation.signature
        self.inputs = [name for name in operation.tensors if name not in scalars]
        self.differentiable = [name for name in self.inputs if name in operation.derivatives]
        self.formulas = {name: operation.derivatives[name] for name in self.differentiable}
        joint = operation.derivatives.get("joint")
        if joint is not None:
            self.differentiable = [name for name in self.inputs if name in operation.derivatives["joint_of"]]
            self.formulas = {None: joint}
        self.results = operation.outputs or ("out",)
        needs = {}
        for name, formula in self.formulas.items():
            for parameter in formula_parameters(formula):
                if parameter == "g" or parameter.startswith("g_") or parameter == "needs":
                    continue
                needs.setdefault(parameter, []).append(name)
        self.needs = needs
        self.tensors, self.outputs, self.shapes, self.values, self.residuals = [], [], [], [], []
        for parameter in needs:
            if parameter in self.inputs:
                self.tensors.append(parameter)
            elif parameter in self.results:
                self.outputs.append(parameter)
            elif parameter in signature:
                self.values.append(parameter)
            elif laid_out(parameter)[0] in signature:
                self.shapes.append(parameter)
            elif parameter in operation.residuals:
                self.residuals.append(parameter)
            else:
                raise NameError(
                    f"{operation.name}: a derivative names {parameter!r}, which is nothing that it could be given"
                )
        self.optional = {n for n in self.inputs if signature[n].default is None}

    def condition(self, name):
        """When to keep `name`: always ("") if every derivative needs it, else when one of those that do is asked for.
        """
        who = self.needs[name]
        if None in who or set(who) >= set(self.differentiable):
            return ""
        return " or ".join(f"n_{w} is not None" for w in who)


class Emitter:
    """Writes the source of one function of an operation."""

    def __init__(self, operation, kind, scalars=(), numbered=False):
        self.op = operation
        self.numbered = numbered
        self.kind = kind
        self.inplace = kind.startswith("inplace")
        self.checked = not kind.endswith("body")
        self.scalars = scalars
        self.saved = Saved(operation, scalars)
        self.lines = []

    def add(self, text, indent=1):
        self.lines.append("    " * indent + text)

    def build(self):
        """The function, to be kept up to date by `renew`."""
        function = self.written()
        _functions.append((function, (self.op, self.kind, self.scalars, self.numbered)))
        return function

    def written(self):
        op = self.op
        namespace = dict(COMMON)
        namespace.update(op=op, kernel=op.kernel)
        self.large = large_kernel(op)
        if self.large is not None:
            namespace["large"] = self.large[1]
        if halves.widens_kernel(op):
            namespace["in_float32"] = op.kernel_in_float32
        if self.saved.differentiable:
            namespace["NODE"] = op.node_class(self.scalars, dtypes.float32, self.numbered)
            if op.full_node:
                namespace["FULL_NODE"] = op.node_class(self.scalars, dtypes.float32, True)
        if self.inplace:
            namespace["kernel_inplace"] = op.kernel_inplace()
        parameters = list(op.signature.values())
        self.defaults(parameters, namespace)
        name = f"{op.name}_" if self.inplace else op.name
        if self.checked:
            self.lines.append(f"def {name}({self.header(parameters)}):")
            self.add(f"if {self.test()}:")
            self.body(2)
            self.number_case()
            renamed = self.numpy_names()
            if renamed:
                self.add(f"if {' or '.join(f'{theirs} is not None' for theirs, _ in renamed)}:")
                for theirs, ours in renamed:
                    self.add(f"{ours} = {ours} if {theirs} is None else {theirs}", 2)
                if self.has_out():
                    self.add("if out is None:", 2)
                    self.add(f"return op.function({', '.join(p.name + '=' + p.name for p in parameters)})", 3)
            for needed in self.needed():
                self.add(f"if {needed} is NEEDED: raise missing(op, {needed!r})")
            values = ", ".join(f"{p.name!r}: {p.name}" for p in parameters)
            if self.op.is_watched and not self.inplace:
                self.add(f"if rare.active and {self.plain()}:")
                self.add(f"return op.watched({{{values}}}, {self.kind!r})", 2)
            out = "out" if self.has_out() else "None"
            if self.kind == "operator":
                tensor, other = list(op.signature)[:2]
                self.add(f"if not isinstance({other}, OPERANDS) and not hasattr(type({other}), '__torch_function__'):")
                self.add(f"return operand_of_another_kind(op, {tensor}, {other})", 2)
                self.add(f"if not isinstance({tensor}, Tensor):")
                self.add(f"raise not_its_method(op, {tensor})", 2)
                namespace["OPERANDS"] = (Tensor, *NUMBERS)
                namespace["not_its_method"] = not_its_method
                namespace["operand_of_another_kind"] = operand_of_another_kind
            self.add(f"return op.general({{{values}}}, {out}, {self.kind!r})")
        else:
            self.lines.append(f"def {name}({', '.join(p.name for p in parameters)}):")
            self.body(1)
        scalars = "".join(self.scalars)
        function = compile_source(
            "\n".join(self.lines) + "\n", name, namespace, f"{self.kind} {name} {scalars}".strip()
        )
        function.__doc__ = op.doc or f"{name}({', '.join(op.signature)})"
        function.__module__ = op.module
        function.__qualname__ = op.known_as or name
        function.operation = op
        if self.needed():
            written = inspect.signature(function)
            needed = {name: written.parameters[name].replace(default=inspect.Parameter.empty) for name in self.needed()}
            function.__signature__ = written.replace(parameters={**written.parameters, **needed}.values())
        return function

    def number_case(self):
        """``tensor op number``: as quick as two tensors, if the number fits the dtype as it is."""
        op = self.op
        if op.promote and op.mostly_numbers:
            self.numbers_case()
            return
        if not op.takes_number or len(op.tensors) != 2 or len(op.signature) != 2:
            return
        if self.inplace and (op.promote == "bool" or not isinstance(op.kernel, np.ufunc)):
            return
        tensor, number = op.tensors
        plain = f"(type({tensor}) is Tensor or type({tensor}) is Parameter) and "
        fits = f"(type({number}) is float or type({number}) is int) and {plain}{tensor}.dtype.takes_numbers"
        ufunc = isinstance(op.kernel, np.ufunc)
        if op.promote in ("same", "bool") and op.check is None and (ufunc or op.integers):
            whole = f"type({number}) is int" if ufunc else f"type({number}) is int and {number}"
            fits += f" or {whole} and {plain}{tensor}.dtype is int64"
            fits = f"({fits})"
        rest = "".join([" and out is None" if self.has_out() else "", " and not rare.active"])
        self.add(f"if {fits}{rest}:")
        self.add(f"return op.with_number{'_inplace' if self.inplace else ''}({tensor}, {number})", 2)

    def numbers_case(self):
        """Likewise for operations of more operands, some of which are mostly numbers (or None)."""
        op = self.op
        given = [name for name in op.tensors if name not in op.mostly_numbers]
        first, *others = (name for name in given if name in op.promoted)
        tests = [f"(type({name}) is Tensor or type({name}) is Parameter)" for name in given]
        tests += [f"{first}.dtype is {name}.dtype" for name in others]
        tests.append(f"{first}.dtype.takes_numbers")
        for name in op.mostly_numbers:
            missing = f" or {name} is None" if name in self.saved.optional else ""
            tests.append(f"(type({name}) is float or type({name}) is int{missing})")
        if self.has_out():
            tests.append("out is None")
        self.add(f"if {' and '.join(tests)} and not rare.active:")
        self.add(f"return op.with_number{'_inplace' if self.inplace else ''}({', '.join(op.signature)})", 2)

    def defaults(self, parameters, namespace):
        for parameter in parameters:
            if parameter.default is not parameter.empty:
                namespace[f"default_{parameter.name}"] = parameter.default

    def has_out(self):
        return self.op.takes_out and not self.inplace and self.kind != "operator" and "out" not in self.op.signature

    def numpy_names(self):
        """NumPy's names for `dim` and `keepdim`, which PyTorch accepts too."""
        pairs = [("axis", "dim"), ("keepdims", "keepdim")]
        return [(theirs, ours) for theirs, ours in pairs if ours in self.op.signature and not self.op.promote]

    def needed(self):
        """Parameters that have no default but follow one that may come under NumPy's name: missed at run time only."""
        names = list(self.op.signature)
        renamed = [names.index(ours) for _, ours in self.numpy_names()]
        late = names[min(renamed) :] if renamed else []
        return [name for name in late if self.op.signature[name].default is inspect.Parameter.empty]

    def header(self, parameters):
        parts, starred = [], False
        needed = self.needed()
        for parameter in parameters:
            if parameter.kind is parameter.KEYWORD_ONLY and not starred:
                parts.append("*")
                starred = True
            text = parameter.name
            if parameter.default is not parameter.empty:
                text += f"=default_{parameter.name}"
            elif parameter.name in needed:
                text += "=NEEDED"
            parts.append(text)
        keywords = ["out=None"] if self.has_out() else []
        keywords += [f"{numpy_name}=None" for numpy_name, _ in self.numpy_names()]
        if keywords:
            parts += ([] if starred else ["*"]) + keywords
        return ", ".join(parts)

    def test(self):
        """The condition for the common path: plain tensors of one dtype, nothing rare."""
        return " and ".join(filter(None, (self.plain(), "not rare.active")))

    def plain(self):
        """The first half of `test`."""
        op, tests = self.op, []
        for name in self.saved.inputs:
            plain = f"(type({name}) is Tensor or type({name}) is Parameter)"
            tests.append(f"({name} is None or {plain[1:]}" if name in self.saved.optional else plain)
        if op.promote:
            first, *others = (name for name in op.promoted if name in self.saved.inputs)
            for other in others:
                missing = f"{other} is None or " if other in self.saved.optional else ""
                tests.append(f"({missing}{first}.dtype is {other}.dtype)")
            if op.promote == "float":
                tests.append(f"{first}.dtype.differentiable")
            if op.real:
                tests.append(f"not {first}.dtype.is_complex")
            if self.inplace and op.promote == "bool":
                tests.append(f"{first}.dtype is bool_")
        if self.has_out():
            tests.append("out is None")
        tests += [f"{numpy_name} is None" for numpy_name, _ in self.numpy_names()]
        return " and ".join(tests)

    def arguments(self):
        """The kernel's arguments: arrays for tensors, everything else as it is."""
        parts = []
        for name, parameter in self.op.signature.items():
            if name in self.saved.inputs:
                text = (
                    f"(None if {name} is None else {name}._array)" if name in self.saved.optional else f"{name}._array"
                )
            else:
                text = name
            parts.append(f"{name}={text}" if parameter.kind is parameter.KEYWORD_ONLY else text)
        return parts

    # --- the common path ----------------------------------------------------------------------------------------------

    def body(self, indent):
        if self.inplace:
            self.body_inplace(indent)
            return
        self.compute(indent)
        if self.op.outputs:
            self.wrap_several(indent)
        else:
            self.wrap_one(indent)

    def compute(self, indent):
        residuals = "".join(f", {name}" for name in self.op.residuals)
        target = f"({', '.join(f'r_{n}' for n in self.op.outputs)}{residuals})" if self.op.outputs else f"r{residuals}"
        arguments = self.arguments()
        self.add("try:", indent)
        if self.scalars and isinstance(self.op.kernel, np.ufunc):
            # A ufunc takes a Python number at twice the price of an array of no dimensions.
            tensor, number = self.first(), self.scalars[0]
            self.add(f"number = {tensor}.dtype.numbers.get({number})", indent + 1)
            self.add("if number is None:", indent + 1)
            self.add(f"number = constant({tensor}.dtype, {number})", indent + 2)
            self.add(f"{target} = {self.called()}({tensor}._array, number)", indent + 1)
        else:
            self.add(f"{target} = {self.called()}({', '.join(arguments)})", indent + 1)
        self.add("except Exception as error:", indent)
        positional = [a for a in arguments if "=" not in a.split("(")[0]]
        keywords = [a for a in arguments if "=" in a.split("(")[0]]
        run = "kernel"
        if keywords:
            kept = ", ".join(keywords)
            run = f"lambda *a, {kept}: kernel(*a, {', '.join(f'{k}={k}' for k in map(keyword_of, keywords))})"
        self.add(f"{target} = recover(op, error, ({', '.join(positional)},), {run})", indent + 1)

    def called(self):
        """The kernel, or an expression that chooses it by size or dtype."""
        kernel = "kernel"
        # Two tensors of 16 bits a ufunc rounds once by itself: only the way of numbers need look.
        if halves.widens_kernel(self.op) and not (self.checked and isinstance(self.op.kernel, np.ufunc)):
            kernel = f"(in_float32 if {self.first()}.dtype.is_half else kernel)"
        return kernel if self.large is None else f"({self.choosing('large', kernel)})"

    def choosing(self, large, other):
        smallest = self.large[0]
        sizes = [f"{n}._array.size >= {smallest}" for n in self.saved.inputs if n not in self.saved.optional]
        return f"{large} if {' or '.join(sizes) or 'False'} else {other}"

    def result_dtype(self):
        if self.op.promote == "bool":
            return "bool_"
        if self.op.promote == "real":
            return None
        if (self.op.promote and self.op.holomorphic) or self.op.view is True:
            return f"{self.first()}.dtype"
        return None  # the kernel's: the absolute value of complex numbers is real

    def first(self):
        """The input whose dtype is the result's."""
        return next(name for name in getattr(self.op, "promoted", self.saved.inputs) if name in self.saved.inputs)

    def wrap_one(self, indent):
        op, saved = self.op, self.saved
        if not op.view:
            self.add("if type(r) is not ndarray:", indent)
            self.add("r = asarray(r)", indent + 1)
        if op.dense:
            self.add("elif r.ndim > 1 and not r.flags.c_contiguous:", indent)
            self.add("r = ascontiguousarray(r)", indent + 1)
        self.add("t = new(Tensor)", indent)
        self.add("t._array = r", indent)
        dtype = self.result_dtype()
        if dtype:
            self.add(f"t.dtype = {dtype}", indent)
        elif saved.inputs and saved.inputs[0] not in saved.optional:
            first = saved.inputs[0]
            self.add(f"t.dtype = {first}.dtype if r.dtype is {first}._array.dtype else FROM_NUMPY[r.dtype]", indent)
        else:
            self.add("t.dtype = FROM_NUMPY[r.dtype]", indent)
        self.aliasing(indent)
        if not saved.differentiable or op.promote == "bool":
            self.add("t._node = None", indent)
            self.add("return t", indent)
            return
        self.nodes(indent)
        nothing = " and ".join(f"n_{n} is None" for n in saved.differentiable)
        integral = "" if op.promote else " or not t.dtype.differentiable"
        self.add(f"if ({nothing}) or not grad_mode.enabled{integral}:", indent)
        self.add("t._node = None", indent + 1)
        if op.view:
            self.add(f"if not ({nothing}):", indent + 1)
            self.add("views.leave_unrecorded(t)", indent + 2)
        self.add("return t", indent + 1)
        self.make_node(indent, "r.shape", f"{self.first()}.dtype")
        self.add("t._node = node", indent)
        self.add("return t", indent)

    def aliasing(self, indent):
        op = self.op
        if not op.view:
            self.add("t._counter = t._base = None", indent)
            return
        first = self.saved.inputs[0]
        if op.view == "maybe":
            self.add(f"if not may_share_memory(r, {first}._array):", indent)
            self.add("t._counter = t._base = None", indent + 1)
            self.add("else:", indent)
            indent += 1
        self.add(f"base = {first}._base", indent)
        self.add(f"t._base = {first} if base is None else base", indent)
        self.add(f"counter = {first}._counter", indent)
        self.add("if counter is None:", indent)
        self.add(f"counter = {first}._counter = Version()", indent + 1)
        self.add("t._counter = counter", indent)
        self.add("counter.register(ref(t))", indent)

    def nodes(self, indent):
        for name in self.saved.differentiable:
            if name in self.saved.optional:
                self.add(f"n_{name} = None if {name} is None else {name}._node", indent)
            else:
                self.add(f"n_{name} = {name}._node", indent)

    def make_node(self, indent, shape, dtype, clone=None):
        """Record: a node with its edges and what its formulas name."""
        op, saved = self.op, self.saved
        key = self.scalars
        plain = "(FULL_NODE if dim is None else NODE)" if op.full_node else "NODE"
        full = ", dim is None" if op.full_node else f", {self.numbered}"
        self.add(f"node = new({plain} if {dtype}.plain else op.node_class({key!r}, {dtype}{full}))", indent)
        self.add(f"node.edges = ({', '.join(f'n_{n}' for n in saved.differentiable)},)", indent)
        self.add("node.seq = next_seq()", indent)
        self.add(f"node.shape = {shape}", indent)
        self.add("node.hooks = None", indent)
        for name in saved.tensors:
            condition = saved.condition(name)
            value = clone if clone and name == saved.inputs[0] else name
            self.add(
                f"node.s_{name} = {value} if {condition} else None" if condition else f"node.s_{name} = {value}", indent
            )
        for name in saved.values:
            self.add(f"node.s_{name} = {name}", indent)
        for name in saved.residuals:
            self.add(f"node.s_{name} = {name}", indent)
        for name in saved.shapes:
            of, what = laid_out(name)
            missing = f"None if {of} is None else " if of in saved.optional else ""
            self.add(f"node.s_{name} = {missing}{of}._array.{what}", indent)
        for name in saved.outputs:
            tensor = "t" if name == "out" else f"t_{name}"
            if self.inplace:
                condition = saved.condition(name)
                condition = f" if {condition} else None" if condition else ""
                self.add(f"node.s_{name} = views.saved_output({saved.inputs[0]}){condition}", indent)
            else:
                # As views.saved_output does, without the call.
                self.add(f"counter = {tensor}._counter = new(Version)", indent)
                self.add("counter.value = 0", indent)
                self.add("counter.views = None", indent)
                self.add(f"node.s_{name} = kept = new(SavedOutput)", indent)
                self.add(f"kept._array = {tensor}._array", indent)
                self.add(f"kept.dtype = {tensor}.dtype", indent)
                self.add("kept._node = kept._base = None", indent)
                self.add("kept._counter = counter", indent)
        tracked = list(saved.tensors)
        if not tracked and not (saved.outputs and self.inplace):
            self.add("node.versions = None", indent)
            return
        for name in tracked:
            missing = f"None if {name} is None else " if name in saved.optional else ""
            self.add(f"c_{name} = {missing}{name}._counter", indent)
        if clone:
            self.add(f"c_{saved.inputs[0]} = None", indent)
        # What shares the memory that was just written (``x.mul_(x)``) was kept as it was before: backward must notice.
        before = " - (c_{0} is counter)" if self.inplace else ""
        values = [f"0 if c_{n} is None else c_{n}.value{before.format(n)}" for n in tracked]
        if self.inplace:
            values += ["counter.value" for _ in saved.outputs]
            self.add(f"counter = {saved.inputs[0]}._counter", indent)
            self.add(f"node.versions = ({', '.join(values)},)", indent)
        else:
            values += ["0" for _ in saved.outputs]
            fresh = " and ".join(f"c_{n} is None" for n in tracked)
            self.add(f"node.versions = None if {fresh} else ({', '.join(values)},)", indent)

    def wrap_several(self, indent):
        op, saved = self.op, self.saved
        for name in op.outputs:
            self.add(f"t_{name} = wrap(asarray(r_{name}))", indent)
        results = f"op.result_type({', '.join(f't_{n}' for n in op.outputs)})"
        if not saved.differentiable:
            self.add(f"return {results}", indent)
            return
        self.nodes(indent)
        nothing = " and ".join(f"n_{n} is None" for n in saved.differentiable)
        self.add(f"if ({nothing}) or not grad_mode.enabled:", indent)
        self.add(f"return {results}", indent + 1)
        self.make_node(indent, "None", f"{self.first()}.dtype")
        outputs = ", ".join(f"(r_{n}.shape, t_{n}.dtype)" for n in op.outputs)
        self.add(f"node.results = ({outputs},)", indent)
        for number, name in enumerate(op.outputs):
            if name not in op.nodiff_outputs:
                self.add(f"if t_{name}.dtype.differentiable:", indent)
                self.add(f"t_{name}._node = Output(node, {number}, t_{name}._array.shape, t_{name}.dtype)", indent + 1)
        self.add(f"return {results}", indent)

    def stores_large(self):
        """Whether a large array may be written by its own kernel rather than by the one below."""
        return self.large is not None and bool(self.op.promote) and not self.op.residuals

    def store_large(self, indent, arguments):
        if self.stores_large():
            stored = f"large.into({self.saved.inputs[0]}._array, {', '.join(arguments)})"
            self.add(f"if not ({self.choosing(stored, 'False')}):", indent)

    def refuse_overlap(self, indent):
        """Where a view takes part, the memory that is written may be what another operand reads."""
        first, *others = self.saved.inputs
        if not others or self.op.overlap is None:
            return
        seen = [f"{n} is not None and {n}._base is not None" if n in self.saved.optional else f"{n}._base is not None"
                for n in others]  # fmt: skip
        self.add(f"if base is not None or {' or '.join(seen)}:", indent)
        self.add(f"views.refuse_{self.op.overlap}({first}, {', '.join(others)})", indent + 1)

    def body_inplace(self, indent):
        op, saved = self.op, self.saved
        first = saved.inputs[0]
        arguments = self.arguments()
        self.nodes(indent)
        asked = " or ".join(f"n_{n} is not None" for n in saved.differentiable) or "False"
        # A result without derivative cuts the graph, but a leaf must be refused all the same.
        self.add(
            f"recorded = ({asked}) and grad_mode.enabled"
            if saved.differentiable
            else f"recorded = {first}._node is not None and grad_mode.enabled",
            indent,
        )
        self.add(f"base = {first}._base", indent)
        self.add("if base is not None and not recorded and grad_mode.enabled:", indent)
        self.add(f"views.check_unrecorded({first})", indent + 1)
        self.add("if recorded:", indent)
        self.add(f"views.check_inplace({first})", indent + 1)
        clone = None
        if first in saved.tensors:
            clone = "original"
            condition = saved.condition(first)
            self.add(
                f"original = views.copy_of({first})" + (f" if {condition} else None" if condition else ""), indent + 1
            )
        self.refuse_overlap(indent)
        self.add("try:", indent)
        residuals = "".join(f", {name}" for name in op.residuals)
        target = f"_{residuals}"
        if writes_in_place(op.kernel):
            # Operands of another dtype decide in which the work is done, and the target in which its result is kept.
            unsafe = "" if self.checked else ", casting='unsafe'"
            self.store_large(indent + 1, arguments)
            self.add(f"kernel({', '.join(arguments)}, out={first}._array{unsafe})", indent + 1 + self.stores_large())
        else:
            self.store_large(indent + 1, arguments)
            self.add(
                f"{target if residuals else '_'} = kernel_inplace({', '.join(arguments)})",
                indent + 1 + self.stores_large(),
            )
        self.add("except Exception as error:", indent)
        positional = [a for a in arguments if "=" not in a.split("(")[0]]
        keywords = [a for a in arguments if "=" in a.split("(")[0]]
        called = "kernel" if writes_in_place(op.kernel) else "kernel_inplace"
        options = ["out=a[0]", "casting='unsafe'"] if writes_in_place(op.kernel) else keywords
        run = f"lambda *a: {called}({', '.join(['*a', *options])})"
        self.add(
            f"{'_' if not residuals else target} = recover(op, error, ({', '.join(positional)},), {run})", indent + 1
        )
        self.add(f"counter = {first}._counter", indent)
        self.add("if counter is None:", indent)
        self.add(f"{first}._counter = Version(1)", indent + 1)
        self.add("else:", indent)
        self.add("counter.bump()", indent + 1)
        if saved.differentiable and op.promote != "bool":
            self.add("if recorded:", indent)
            self.make_node(indent + 1, f"{first}._array.shape", f"{first}.dtype", clone)
            self.add(f"views.set_history({first}, node)", indent + 1)
        else:
            self.add("if recorded:", indent)
            self.add(f"views.cut_history({first}, {op.node_name!r})", indent + 1)
        self.add(f"return {first}", indent)


def make_node_class(op, scalars, arithmetic, full):
    """The class of the graph nodes of `op`: slots for what it keeps, `apply` and `apply_graph` generated from the
    formulas.

    `scalars` are inputs that are numbers in this variant. `arithmetic` is "complex" where formulas for real numbers are
    to be made right for complex ones (the gradient of a holomorphic function is the conjugate of its derivative applied
    to the conjugate), "half" where those on arrays are to be evaluated in float32.
    """
    saved = Saved(op, scalars)
    kept = [*saved.tensors, *saved.outputs, *saved.shapes, *saved.values, *saved.residuals]
    tracked = [*saved.tensors, *saved.outputs]
    freed = freed_by(op, saved)
    name = (op.full_node or op.scalar_node) if full else op.scalar_node if scalars else op.node_name
    namespace = node_functions(op, scalars, arithmetic, full)
    public = {("self" if n == "input" else "result" if n == "out" else n): f"s_{n}" for n in kept}
    kind = type(
        name,
        (Node,),
        {
            "__slots__": tuple(f"s_{n}" for n in kept) + (("results",) if op.outputs else ()),
            "__module__": "wengert",
            "saved": public,
            "numbers": len(scalars) if scalars and name == op.node_name else 0,
            "saved_tensors": tuple(f"s_{n}" for n in tracked),
            "kept": tuple(f"s_{n}" for n in freed),
            "outputs": len(op.outputs) if op.outputs else 1,
            "operation": op,
            "apply": namespace["apply"],
            "apply_graph": namespace["apply_graph"],
            "release": namespace["release"],
            **({"next_functions": op.next_functions} if op.next_functions else {}),
        },
    )
    _node_classes.append((kind, (op, scalars, arithmetic, full)))
    return kind


def node_functions(op, scalars, arithmetic, full):
    """`apply`, `apply_graph` and `release`, in the namespace that they share."""
    is_complex = arithmetic == "complex"
    saved = Saved(op, scalars)
    tracked = [*saved.tensors, *saved.outputs]
    namespace = dict(COMMON)
    large = {}
    for number, (name, formula) in enumerate(saved.formulas.items()):
        namespace[f"f{number}"] = on_arrays = rebound(formula)
        namespace[f"F{number}"] = formula
        found = None if arithmetic else large_formula(op, name, formula, on_arrays)
        if found is not None:
            large[number], namespace[f"L{number}"] = found
    source = apply_source(op, saved, tracked, is_complex, arrays=True, large=large, half=arithmetic == "half")
    lines = ["def apply(self, g, keep):", *source]
    lines += ["def apply_graph(self, g):", *apply_source(op, saved, tracked, is_complex, arrays=False)]
    lines.append("def release(self):")
    freed = freed_by(op, saved)
    lines += [f"    self.s_{name} = None" for name in freed] + ["    self.versions = FREED" if freed else "    pass"]
    namespace["op"] = op
    namespace["conj_tensor"] = lambda g: g.conj()
    name = (op.full_node or op.scalar_node) if full else op.scalar_node if scalars else op.node_name
    variant = f"{name} {arithmetic} {''.join(scalars)}".strip()
    compile_source("\n".join(lines) + "\n", "apply", namespace, variant)
    return namespace


def freed_by(op, saved):
    """What a node drops after use: all but where a view lies, which is no memory."""
    return [*saved.tensors, *saved.outputs, *(() if op.view else saved.residuals)]


def apply_source(op, saved, tracked, is_complex, *, arrays, large=(), half=False):
    """The body of `apply` (on arrays) or `apply_graph` (on tensors); `large` maps formulas to the sizes from which they
    have a form of their own; `half` evaluates them on float32 and rounds what they give.
    """
    edges = [f"e_{n}" for n in saved.differentiable]
    lines = []
    add = lines.append
    for name in tracked:
        add(f"s_{name} = self.s_{name}")
    if tracked or saved.residuals:
        add("versions = self.versions")
        add("if versions is None:")
        stale = " or ".join(
            f"s_{n} is not None and s_{n}._counter is not None and s_{n}._counter.value" for n in tracked
        )
        add(f"    if {stale or 'False'}:")
        add("        verify(self)")
        changed = [
            f"s_{n} is not None and (0 if s_{n}._counter is None else s_{n}._counter.value) != versions[{i}]"
            for i, n in enumerate(tracked)
        ]
        add(f"elif versions is FREED or {' or '.join(changed) or 'False'}:")
        add("    verify(self)")
    add(f"{', '.join(edges)}, = self.edges")
    if not arrays:
        for name in tracked:
            add(f"s_{name} = restore(self, s_{name})")
    add(f"{' = '.join(f'd_{n}' for n in saved.differentiable)} = None")
    if op.outputs:
        make = "zeros(shape, dtype.numpy)" if arrays else "wrap(zeros(shape, dtype.numpy), dtype)"
        add(f"g = [{make} if x is None and dtype.differentiable else x for x, (shape, dtype) in zip(g, self.results)]")
    conj = "conj" if arrays else "conj_tensor"
    if is_complex and not op.outputs:
        add(f"g = {conj}(g)")
    if half:
        add(f"dtype = {'half_among(g)' if op.outputs else 'g.dtype'}")
        add("g = widened(g)")

    def argument(parameter):
        value = stored(parameter)
        return f"widened({value})" if half and (parameter in tracked or parameter in saved.residuals) else value

    def stored(parameter):
        if parameter == "g":
            return "g[0]" if op.outputs else "g"
        if parameter.startswith("g_"):
            return f"g[{op.outputs.index(parameter[2:])}]"
        if parameter == "needs":
            return f"({', '.join(f'{e} is not None' for e in edges)},)"
        if parameter in tracked:
            value = f"s_{parameter}._array" if arrays else f"s_{parameter}"
            if arrays and op.promote:  # NumPy's scalars are quick among themselves, slow with arrays of no dimensions
                value = f"({value} if type(g) is ndarray else {value}[()])"
            return f"(None if s_{parameter} is None else {value})" if arrays and parameter in saved.optional else value
        if parameter in saved.residuals and not arrays:
            return f"wrap(self.s_{parameter}) if type(self.s_{parameter}) is ndarray else self.s_{parameter}"
        return f"self.s_{parameter}"

    fit = "unbroadcast({0}, {1}.shape)" if arrays else "{0}.sum_to_size({1}.shape)"
    for number, (name, formula) in enumerate(saved.formulas.items()):
        function = f"f{number}" if arrays else f"F{number}"
        if number in large:
            if not tracked or (op.promote and "reduction" not in op.signature):
                big = f"type(g) is ndarray and g.size >= {large[number]}"
            else:  # a gradient may be a single number where the array that it comes from is large
                big = f"s_{tracked[0]} is not None and s_{tracked[0]}._array.size >= {large[number]}"
            function = f"(L{number} if {big} else f{number})"
        call = f"{function}({', '.join(argument(p) for p in formula_parameters(formula))})"
        if name is None:
            add(f"{', '.join(f'd_{n}' for n in saved.differentiable)}, = {call}")
        else:
            add(f"if e_{name} is not None:")
            add(f"    d_{name} = {call}")
            if is_complex:
                add(f"    d_{name} = {conj}(d_{name})")
            if op.promote:
                add(f"    if d_{name}.shape != e_{name}.shape:")
                add(f"        d_{name} = {fit.format(f'd_{name}', f'e_{name}')}")
    if name is None and is_complex:
        for n in saved.differentiable:
            add(f"if d_{n} is not None:")
            add(f"    d_{n} = {conj}(d_{n})")
    for n in saved.differentiable if half else ():
        kept_dtype = f"dtype if s_{n} is None else s_{n}._array.dtype" if n in tracked else "dtype"
        add(f"d_{n} = narrowed(d_{n}, {kept_dtype})")
    if arrays and freed_by(op, saved):
        add("if not keep:")
        for name in freed_by(op, saved):
            add(f"    self.s_{name} = None")
        # What no derivative asked for was not kept, so it can't be missed by another pass.
        sure = (saved.residuals and not op.view) or not all(saved.condition(name) for name in tracked)
        kept = " or ".join(f"s_{name} is not None" for name in tracked) or "False"
        add("    self.versions = FREED" if sure else f"    if {kept}: self.versions = FREED")
    add(f"return {', '.join(f'd_{n}' for n in saved.differentiable)},")
    return ["    " + line for line in lines]


def not_its_method(op, value):
    """The error for ``Tensor.__add__(2, x)``."""
    kind = type(value).__name__
    return TypeError(f"descriptor of '{op.name}' for 'Tensor' objects doesn't apply to a '{kind}' object")


def operand_of_another_kind(op, input, other):
    """An operator met an operand that is neither tensor nor number: let the other side try.

    The other side of an array is NumPy, which asks for `__array__`, computes, and hands the result to `__array_wrap__`;
    it refuses tensors that require grad. Only ``==`` takes arrays as they are, as in PyTorch.
    """
    if op.name == "eq" and isinstance(other, np.ndarray):
        return op.function(input, wrap(adopt(other)))
    return NotImplemented


