"""From one declaration, everything that an operation is.

    mul = pointwise("mul", np.multiply, input=lambda g, other: g * other, other=lambda g, input: g * input)

says what `mul` computes (a kernel: arrays in, arrays out) and the derivative for each input. The parameter names of a
derivative say what it needs, and exactly that is kept: `g` is the gradient of the result; the name of a parameter is that
argument; `out` (or the name of one of several results) is that result; `input_shape` is the shape of `input`, which costs no
memory; anything else is one of the kernel's `residuals`.

From this the function, the method, the in-place and `out=` forms, the operators and the graph node (`MulBackward0`) follow.
They are generated as flat Python source when first used, so that the common case of an eager operation is one frame:
look at the types, run the kernel, wrap the result, fill in a node. Everything uncommon (numbers, mixed dtypes, subclasses,
dual numbers, recorders, `out=`) falls through to `Operation.general`, which makes the case common and tries again.

A derivative is evaluated on raw arrays in `backward`, with operations standing for their kernels; on Tensors, as it is
written, under ``create_graph=True``. It is written for real numbers: where the dtype is complex and the operation
holomorphic, the machinery conjugates what goes in and what comes out.
"""

import inspect
import linecache
import sys
import types
import warnings
from functools import cached_property
from weakref import ref

import numpy as np

from wengert import dtypes
from wengert.autograd import graph, views
from wengert.autograd.graph import FREED, Cast, Node, Output, Version, grad_mode, next_seq, rare, verify
from wengert.dtypes import FROM_NUMPY
from wengert.errors import explain
from wengert.interop import adopt
from wengert.tensor import Parameter, Tensor, new, wrap

# Non-finite results are values here, as in PyTorch. The filter names our modules only: the user's own NumPy code warns as ever.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"wengert\.")

FUNCTIONS: dict[
    str, dict[str, "Operation"]
] = {}  # namespace ("" is torch itself, "linalg", "nn.functional", ...) -> name -> operation
METHODS: dict[str, "Operation"] = {}
NUMBERS = (bool, int, float, complex, np.number, np.bool_)


class Operation:
    """What all operations have in common: names, lazily generated functions, and the way through uncommon arguments."""

    differentiable = True
    public = None  # the operation as whose usual case this one is called
    namespace = ""  # where the function is public: "" is torch itself

    def __init__(self, name, kernel, doc=None):
        self.name = name
        self.kernel = kernel
        self.doc = doc
        self._variants = {}
        self._signature = None

    # --- names ------------------------------------------------------------------------------------------------------

    def export(self, *, namespace="", function=True, method=True, inplace=False, alias=()):
        """Give the operation its public names: functions in `namespace`, methods of Tensor, each with its aliases."""
        if namespace:
            self.namespace = namespace
        for name in (self.name, *alias):
            if function:
                FUNCTIONS.setdefault(namespace, {})[name] = self
            if method:
                METHODS[name] = self
                attach(name, self, "function")
            if inplace:
                METHODS[f"{name}_"] = self
                attach(f"{name}_", self, "inplace")
                if function and not namespace:
                    FUNCTIONS[""][f"{name}_"] = InPlace(self)
        return self

    @property
    def signature(self):
        """The parameters of the kernel, which are those of the operation."""
        if self._signature is None:
            self._signature = signature_of(self.kernel)
        return self._signature

    def variant(self, kind):
        """The generated function of this kind: "function", "inplace" or "operator"."""
        found = self._variants.get(kind)
        if found is None:
            found = self._variants[kind] = self.generate(kind)
        return found

    @cached_property
    def function(self):
        """The public function, generated on first use."""
        return self.variant("function")

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)

    def __repr__(self):
        return f"<operation {self.name}>"

    def misplaced(self, error, args, kwargs):
        """What is asked of something that isn't a tensor is PyTorch's TypeError about that argument."""
        given = dict(zip(self.signature, args, strict=False)) | kwargs
        for position, (name, value) in enumerate(given.items(), 1):
            if value is error.obj and not isinstance(value, Tensor):
                return TypeError(f"{self.name}(): argument '{name}' (position {position}) must be Tensor, not {type(value).__name__}")
        return error

    # --- the way through uncommon arguments -----------------------------------------------------------------------------

    def general(self, values, out=None, kind="function"):
        """Run with arguments of any kind: `values` maps each parameter to its argument."""
        overridden = overriding(values.values(), out)
        if overridden:
            return self.override(overridden, values, out, kind)
        if out is not None:
            return self.write(out, values)
        plain = self.prepare(values)
        if any(getattr(value, "_tangent", None) is not None for value in flattened(plain.values())):
            return forward_mode(self, plain, kind)
        return observed(self, plain, self.run(values, plain))

    def run(self, given, plain):
        """The common path on arguments as `prepare` made them of those `given`."""
        return self.body(plain)

    def override(self, overridden, values, out, kind):
        from wengert import overrides

        args, kwargs = [], {}
        for name, parameter in self.signature.items():
            if parameter.kind is parameter.KEYWORD_ONLY:
                if values[name] is not parameter.default:
                    kwargs[name] = values[name]
            else:
                args.append(values[name])
        while args and len(args) > 1 and args[-1] is list(self.signature.values())[len(args) - 1].default:
            args.pop()
        if out is not None:
            kwargs["out"] = out
        function = (self.public or self).variant(kind if kind != "operator" else "function")
        return overrides.handle(function, overridden, tuple(args), kwargs)

    def prepare(self, values):
        """Check and convert the arguments, so that the common path can run on them."""
        return values

    def write(self, out, values):
        """The `out=` form: compute, then store into `out` (or into each of a tuple), resized to fit."""
        from wengert.ops import destinations

        inputs = [value for value in flattened(values.values()) if isinstance(value, Tensor)]
        targets = destinations.tensors_of(out, self.name)
        if grad_mode.enabled and any(tensor.requires_grad for tensor in (*inputs, *targets)):
            raise RuntimeError(
                f"{self.name}(): functions with out=... arguments don't support automatic differentiation, but one of the "
                "arguments requires grad."
            )
        key = destinations.key_of(self, values)
        if key in destinations.COMPUTED_IN_OUT:
            if values["dtype"] not in (None, targets[0].dtype):
                destinations.check_type("mm", "result", values["dtype"], targets[0].dtype)
            values = {**values, "dtype": targets[0].dtype}
        result = self.general(values)
        results = result if isinstance(result, (tuple, list)) else (result,)
        if len(results) != len(targets) or isinstance(out, Tensor) != isinstance(result, Tensor):
            raise TypeError(
                f"{self.name}(): argument 'out' must be "
                + ("Tensor" if isinstance(result, Tensor) else f"tuple of {len(results)} Tensors")
                + f", not {'Tensor' if isinstance(out, Tensor) else f'tuple of {len(targets)}'}"
            )
        fields = getattr(self, "outputs", None) or ("result",) * len(results)
        destinations.accept(key, targets, results, fields, inputs)
        for target, value in zip(targets, results, strict=True):
            destinations.store(target, value, key)
        return out if len(targets) == 1 else type(result)(targets)


class InPlace:
    """``torch.relu_`` and its kind: the in-place form of an operation under a function's name."""

    def __init__(self, operation):
        self.operation = operation

    @property
    def function(self):
        return self.operation.variant("inplace")

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)


class LazyMethod:
    """Stands for a method of Tensor until it is first looked up, then generates it and steps aside."""

    __slots__ = ("attribute", "operation", "kind")

    def __init__(self, attribute, operation, kind):
        self.attribute = attribute
        self.operation = operation
        self.kind = kind

    def __get__(self, tensor, owner=None):
        function = self.operation.variant(self.kind)
        if Tensor.__dict__.get(self.attribute) is self:
            setattr(Tensor, self.attribute, function)
        return function if tensor is None else function.__get__(tensor, owner)


def attach(attribute, operation, kind):
    """Make `operation` a method of Tensor, generated on first use."""
    setattr(Tensor, attribute, LazyMethod(attribute, operation, kind))


# --- composites: operations written with other operations ---------------------------------------------------------------


class Composite(Operation):
    """An operation that is a Python function of other operations: its derivative needs no saying."""

    def generate(self, kind):
        if kind == "inplace":
            raise TypeError(f"{self.name} has no in-place form")
        run = self.kernel
        name = self.name

        def function(*args, **kwargs):
            if rare.active or not PLAIN.issuperset(map(type, args)) or kwargs:
                overridden = overriding((*args, *kwargs.values()), None)
                if overridden:
                    from wengert import overrides

                    return overrides.handle(function, overridden, args, kwargs)
            out = kwargs.pop("out", None) if "out" in kwargs and "out" not in self.signature else None
            if out is not None:
                bound = inspect.signature(run).bind(*args, **kwargs)
                bound.apply_defaults()
                return self.write(out, bound.arguments)
            try:
                return run(*args, **kwargs)
            except AttributeError as error:
                raise self.misplaced(error, args, kwargs) from None

        function.__name__ = function.__qualname__ = name
        function.__doc__ = run.__doc__
        function.__module__ = "wengert"
        function.__wrapped__ = run
        return function

    def general(self, values, out=None, kind="function"):
        signature = self.signature
        args, kwargs = [], {}
        for name, value in values.items():
            kind = signature[name].kind
            if kind is inspect.Parameter.KEYWORD_ONLY:
                kwargs[name] = value
            elif kind is inspect.Parameter.VAR_KEYWORD:
                kwargs.update(value)
            else:
                args += value if kind is inspect.Parameter.VAR_POSITIONAL else [value]
        return self.kernel(*args, **kwargs)

    @property
    def on_arrays(self):
        return rebound(self.kernel)


def composite(function=None, *, namespace="", method=True, torch=True, alias=(), name=None):
    """Declare a Python function of operations as an operation: ``@composite``."""
    if function is None:
        return lambda f: composite(f, namespace=namespace, method=method, torch=torch, alias=alias, name=name)
    operation = Composite(name or function.__name__, function, function.__doc__)
    return operation.export(namespace=namespace, function=torch, method=method, alias=alias)


class Choice(Operation):
    """One public name for several operations, chosen by the arguments.

    `choose` has the public parameters and returns (operation, arguments): `div` with a rounding mode is another operation.
    """

    def __init__(self, name, choose, doc=None, usual=None):
        super().__init__(name, choose, doc)
        self.usual = usual  # what two arguments without keywords mean, where that needs no choosing
        if usual is not None:
            usual.public = self

    def generate(self, kind):
        choose = self.kernel
        takes_out = kind == "function"
        usual = None if self.usual is None else self.usual.variant(kind)

        def function(*args, **kwargs):
            if usual is not None and not kwargs and len(args) == 2:
                return usual(*args)
            if rare.active or not PLAIN.issuperset(map(type, args)) or kwargs:
                overridden = overriding((*args, *kwargs.values()), None)
                if overridden:
                    from wengert import overrides

                    return overrides.handle(function, overridden, args, kwargs)
            out = kwargs.pop("out", None) if takes_out else None
            try:
                chosen, arguments, *options = choose(*args, **kwargs)
            except AttributeError as error:
                raise self.misplaced(error, args, kwargs) from None
            run = chosen.variant(kind)
            if options:
                return run(*arguments, **options[0])
            return run(*arguments) if out is None else run(*arguments, out=out)

        function.__name__ = function.__qualname__ = f"{self.name}_" if kind == "inplace" else self.name
        function.__doc__ = self.doc or choose.__doc__
        function.__module__ = "wengert"
        function.__wrapped__ = choose
        function.operation = self
        return function

    @property
    def on_arrays(self):
        choose = self.kernel

        def run(*args, **kwargs):
            chosen, arguments = choose(*args, **kwargs)
            return chosen.on_arrays(*arguments)

        return run


def choice(name, choose, *, inplace=True, alias=(), function=True, method=True, namespace="", doc=None, usual=None):
    """Declare a public name whose arguments choose the operation; `usual` is what two plain arguments mean."""
    operation = Choice(name, choose, doc, usual)
    return operation.export(namespace=namespace, function=function, method=method, inplace=inplace, alias=alias)


# --- primitives: operations with a kernel and derivatives -----------------------------------------------------------------


class Primitive(Operation):
    """An operation with a kernel on arrays and a derivative for each differentiable input.

    Args:
        tensors: the parameters that are tensors; those with a default of None may be absent.
        derivatives: a formula for each differentiable one of them.
        outputs: the names of the results, where there are several.
        residuals: names of further values that the kernel returns after its results, for the derivatives only.
        view: True if the result shares the input's memory, "maybe" if it sometimes does.
        holomorphic: False where the formulas themselves deal with complex numbers.
    """

    promote = None
    scalar_node = None

    def __init__(
        self, name, kernel, derivatives, *, tensors=None, outputs=None, residuals=(), view=False, holomorphic=True,
        node=None, full_node=None, doc=None, nodiff_outputs=(), out=True, dense=False,
    ):  # fmt: skip
        super().__init__(name, kernel, doc)
        self.derivatives = derivatives
        self._tensors = tensors
        self.outputs = outputs
        self.residuals = residuals
        self.view = view
        self.holomorphic = holomorphic
        self.node_name = node or f"{''.join(part.capitalize() for part in name.split('_'))}Backward0"
        self.dense = dense
        self.full_node = full_node  # another name for the node where `dim` is None
        self.nodiff_outputs = nodiff_outputs
        self.takes_out = out and not view
        self._bodies = {}
        self._nodes = {}

    @property
    def tensors(self):
        if self._tensors is None:
            self._tensors = tuple(name for name in self.signature if name in self.derivatives)
        return self._tensors

    @property
    def on_arrays(self):
        """The kernel as derivatives on arrays see it: results only."""
        if not self.residuals:
            return self.kernel
        kernel, single = self.kernel, self.outputs is None
        count = 1 if single else len(self.outputs)
        return lambda *args, **kwargs: kernel(*args, **kwargs)[0 if single else slice(count)]

    def prepare(self, values):
        for name in self.tensors:
            value = values[name]
            if value is None and self.signature[name].default is None:
                continue
            if not isinstance(value, Tensor):
                position = list(self.signature).index(name) + 1
                raise TypeError(
                    f"{self.name}(): argument '{name}' (position {position}) must be Tensor, not {type(value).__name__}"
                )
        return values

    def body(self, values, scalars=(), numbered=False):
        """Run the common path on `values`, whose tensors are known to be what the kernel expects."""
        body = self._bodies.get((scalars, numbered))
        if body is None:
            body = self._bodies[scalars, numbered] = self.generate("body", scalars, numbered)
        return body(*values.values())

    def numbered(self, values):
        """Whether the node is to be named as that of an operation with a number."""
        return False

    def node_class(self, scalars, is_complex, full=False):
        key = (scalars, is_complex and self.holomorphic, full)
        found = self._nodes.get(key)
        if found is None:
            found = self._nodes[key] = make_node_class(self, *key)
        return found

    def generate(self, kind, scalars=(), numbered=False):
        return Emitter(self, kind, scalars, numbered).build()

    def kernel_inplace(self):
        """The kernel as ``f(input, ..., out=input)``: that of a ufunc, or compute and copy."""
        kernel = self.kernel
        if writes_in_place(kernel):
            return None
        first = len(self.residuals) > 0

        def store_result(target, *rest, **options):
            result = kernel(target, *rest, **options)
            value = result[0] if first else result
            if np.shape(value) != target.shape:
                raise RuntimeError(
                    f"output with shape {list(target.shape)} doesn't match the broadcast shape {list(np.shape(value))}"
                )
            target[...] = value
            return result

        return store_result

    def general(self, values, out=None, kind="function"):
        if kind == "inplace":
            return self.general_inplace(values)
        return super().general(values, out, kind)

    def general_inplace(self, values):
        overridden = overriding(values.values(), None)
        if overridden:
            return self.override(overridden, values, None, "inplace")
        target = next(iter(values.values()))
        numbered = self.numbered(values)
        plain = self.prepare_inplace(dict(values))
        if any(getattr(value, "_tangent", None) is not None for value in plain.values()):
            return forward_mode(self, plain, "inplace")
        body = self._bodies.get(("inplace", numbered))
        if body is None:
            body = self._bodies["inplace", numbered] = self.generate("inplace body", (), numbered)
        body(*plain.values())
        return observed(self, plain, target)

    def prepare_inplace(self, values):
        return self.prepare(values)


class Pointwise(Primitive):
    """An operation on corresponding elements: broadcast, and promoted by PyTorch's rules.

    `promote` says of which dtype the result is: "same" as the promoted inputs, "float" (at least floating), "real"
    (the real dtype of a complex one), "bool".
    """

    def __init__(
        self, name, kernel, derivatives, *, promote="same", scalar_node=None, unpromoted=(), check=None,
        numbers=True, **options
    ):
        super().__init__(name, kernel, derivatives, **options)
        self.numbers = numbers  # which operands may be numbers: all (True), none, or those named
        self.check = check  # refuses arguments that the kernel could take and PyTorch does not
        self.unpromoted = unpromoted
        self.promote = promote
        self.scalar_node = scalar_node or self.node_name

    @property
    def tensors(self):
        if self._tensors is None:
            self._tensors = tuple(name for name in self.signature if name in ("input", "other"))
        return self._tensors

    def common_dtype(self, values):
        """The dtype in which to compute: promotion over tensors, tensors of no dimensions and numbers."""
        operands = []
        for name in self.promoted:
            value = values[name]
            if isinstance(value, Tensor):
                operands.append((value.dtype, 2 if value._array.ndim else 1))
            elif value is not None:
                operands.append((dtypes.of_scalar(value), 0))
        common = dtypes.result_type_of(operands)
        if self.promote == "float" and not common.differentiable:
            common = dtypes.default.dtype
        return common

    def prepare(self, values):
        self.check_types(values)
        common = self.common_dtype(values)
        if self.check is not None:
            self.check(values)
        return {name: convert(value, common) if name in self.promoted else value for name, value in values.items()}

    @property
    def promoted(self):
        """The tensors that decide the dtype, and take it."""
        return [name for name in self.tensors if name not in self.unpromoted]

    def check_types(self, values):
        some = False
        for position, name in enumerate(self.tensors, 1):
            value = values[name]
            if isinstance(value, Tensor):
                some = True
            elif value is None:
                if self.signature[name].default is not None:
                    raise self.not_a_tensor(name, position, value)
            elif not isinstance(value, NUMBERS) or not (self.numbers is True or self.numbers and name in self.numbers):
                raise self.not_a_tensor(name, position, value)
        if not some:
            raise self.not_a_tensor(self.tensors[0], 1, values[self.tensors[0]])

    def not_a_tensor(self, name, position, value):
        return TypeError(f"{self.name}(): argument '{name}' (position {position}) must be Tensor, not {type(value).__name__}")

    def run(self, given, plain):
        return self.body(plain, (), self.numbered(given))

    def numbered(self, values):
        return self.scalar_node != self.node_name and not any(
            isinstance(values[name], Tensor) for name in self.tensors[1:]
        )

    def with_number(self, tensor, number):
        """The common path for a floating tensor and a Python number; replaced by its generated self on first use."""
        self.with_number = self.generate("body", self.tensors[1:])
        return self.with_number(tensor, number)

    def with_number_inplace(self, tensor, number):
        """Likewise for the in-place form."""
        self.with_number_inplace = self.generate("inplace body", self.tensors[1:])
        return self.with_number_inplace(tensor, number)

    def prepare_inplace(self, values):
        self.check_types(values)
        target = values[self.tensors[0]]
        common = self.common_dtype(values)
        if self.check is not None:
            self.check(values)
        result = dtypes.bool_ if self.promote == "bool" else common
        if not dtypes.can_cast(result, target.dtype):
            raise RuntimeError(
                f"result type {dtypes.SCALAR_NAMES[result]} can't be cast to the desired output type "
                f"{dtypes.SCALAR_NAMES[target.dtype]}"
            )
        for name in self.promoted[1:]:
            values[name] = convert(values[name], common if common is not target.dtype else target.dtype)
        return values


# Types of arguments that never take part in operations of their own accord.
PLAIN = frozenset({Tensor, Parameter, int, float, bool, complex, str, type(None), dtypes.dtype})


def overriding(values, out):
    """The arguments whose classes replace operations (`__torch_function__`), in PyTorch's order; or the active modes."""
    found = None
    for value in values:
        kind = type(value)
        if kind is Tensor or kind is Parameter or value is None or kind in (int, float, bool, str):
            continue
        if kind is tuple or kind is list:
            if any(type(v) not in (int, float, Tensor) for v in value):
                inner = overriding(value, None)
                found = (found or []) + list(inner or ())
        elif hasattr(kind, "__torch_function__") and not getattr(kind, "_plain_override", False):
            found = (found or []) + [value]
    if out is not None and not isinstance(out, (tuple, list)):
        inner = overriding((out,), None)
        found = (found or []) + list(inner or ())
    if rare.active:
        from wengert import overrides

        return overrides.relevant(found or [])
    if found:
        from wengert import overrides

        return overrides.relevant(found)
    return None


def flattened(values):
    for value in values:
        if isinstance(value, (tuple, list)):
            yield from flattened(value)
        else:
            yield value


def observed(operation, values, result):
    """Tell the observers, if there are any, what was computed."""
    if rare.active:
        if grad_mode.inference:
            mark_inference(result)
        for observe in rare.on_record:
            observe(operation, values, result)
    return result


def mark_inference(result):
    for tensor in result if isinstance(result, (tuple, list)) else (result,):
        if isinstance(tensor, Tensor) and tensor._base is None and tensor._counter is None:
            tensor._counter = graph.INFERENCE


forward_ad = None  # `wengert.autograd.forward_ad` puts itself here when it loads; it alone makes dual tensors


def forward_mode(operation, values, kind):
    return forward_ad.apply(operation, values, kind)


def convert(value, dtype):
    """An operand as a tensor of `dtype`: numbers become tensors of no dimensions, tensors are cast (recorded, but hidden)."""
    if value is None:
        return None
    if not isinstance(value, Tensor):
        return wrap(scalar_array(value, dtype), dtype)
    return value if value.dtype is dtype else cast(value, dtype)


def scalar_array(value, dtype):
    """A number as a 0-d array of `dtype`, integers wrapped around as PyTorch wraps them."""
    if dtype.category == dtypes.INTEGER and isinstance(value, (int, np.integer)):
        bits = 8 * dtype.itemsize
        value = int(value) & ((1 << bits) - 1)
        if dtype.is_signed and value >> (bits - 1):
            value -= 1 << bits
    return np.array(value).astype(dtype.numpy)


def constant(dtype, number):
    """A Python number as an array of no dimensions, remembered by the dtype (but for zeros, whose sign a dict can't tell)."""
    array = np.array(number, dtype.numpy)
    if number and len(dtype.numbers) < 1000:
        dtype.numbers[number] = array
    return array


def cast(tensor, dtype):
    """`tensor` in another dtype as an operand: a copy outside of the user's sight."""
    array = tensor._array
    if array.dtype.kind == "c" and not dtype.is_complex and dtype is not dtypes.bool_:
        array = array.real
    result = wrap(array.astype(dtype.numpy), dtype)
    # A derivative that keeps the converted operand must notice a write to the operand itself, as in PyTorch.
    counter = tensor._counter
    if counter is None:
        counter = tensor._counter = Version()
    result._counter = counter
    if tensor._node is not None and dtype.differentiable:
        result._node = Cast(tensor._node, tensor.dtype)
    if type(tensor) is not Tensor and tensor._tangent is not None:
        return forward_mode(None, {"input": tensor, "dtype": dtype, "result": result}, "cast")
    return result


Tensor._tangent = None


# --- source generation ------------------------------------------------------------------------------------------------------


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


_array_globals: dict[int, dict] = {}


def rebound(function):
    """`function` with every operation that it names standing for that operation's kernel: the same formula on arrays."""
    source = function.__globals__
    namespace = _array_globals.get(id(source))
    if namespace is None:
        namespace = _array_globals[id(source)] = dict(source)
        for name, value in source.items():
            if isinstance(value, Operation):
                namespace[name] = value.on_arrays
            elif isinstance(value, types.FunctionType) and getattr(value, "_on_tensors", None):
                namespace[name] = value._on_arrays
            elif isinstance(value, types.FunctionType) and value.__module__.startswith("wengert.ops."):
                if value.__module__ != __name__:
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
        g = g.sum(axis=tuple(range(extra)))
    ones = tuple(i for i, extent in enumerate(shape) if extent == 1 and g.shape[i] != 1)
    return g.sum(axis=ones, keepdims=True) if ones else g


def recover(operation, error, arrays, kernel):
    """What to do when a kernel raised: run again without NumPy's floating-point warnings, or raise PyTorch's error."""
    if isinstance(error, RuntimeWarning):
        with np.errstate(all="ignore"):
            return kernel(*arrays)
    raise explain(operation, error, arrays) from None


# Names that every generated function can use.
COMMON = {
    "__name__": "wengert.ops.generated",
    "Tensor": Tensor, "Parameter": Parameter, "new": new, "ndarray": np.ndarray, "asarray": np.asarray, "ascontiguousarray": np.ascontiguousarray,
    "grad_mode": grad_mode, "rare": rare, "next_seq": next_seq, "verify": verify,
    "Version": Version, "FREED": FREED, "Output": Output, "FROM_NUMPY": FROM_NUMPY, "bool_": dtypes.bool_,
    "unbroadcast": unbroadcast, "constant": constant, "recover": recover, "wrap": wrap, "ref": ref, "views": views, "SavedOutput": views.SavedOutput, "conj": np.conjugate,
    "restore": graph.restore, "zeros": np.zeros, "may_share_memory": np.may_share_memory,
}  # fmt: skip


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
            elif parameter.endswith("_shape") and parameter[:-6] in signature:
                self.shapes.append(parameter)
            elif parameter in operation.residuals:
                self.residuals.append(parameter)
            else:
                raise NameError(
                    f"{operation.name}: a derivative names {parameter!r}, which is nothing that it could be given"
                )
        self.optional = {n for n in self.inputs if signature[n].default is None}

    def condition(self, name):
        """When to keep `name`: always ("") if every derivative needs it, else when one of those that do is asked for."""
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
        op = self.op
        namespace = dict(COMMON)
        namespace.update(op=op, kernel=op.kernel)
        if self.saved.differentiable:
            namespace["NODE"] = op.node_class(self.scalars, False, self.numbered)
            if op.full_node:
                namespace["FULL_NODE"] = op.node_class(self.scalars, False, True)
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
            for theirs, ours in self.numpy_names():
                self.add(f"if {theirs} is not None:")
                self.add(f"{ours} = {theirs}", 2)
                if self.has_out():
                    self.add("if out is None:", 2)
                    self.add(f"return op.function({', '.join(p.name + '=' + p.name for p in parameters)})", 3)
            values = ", ".join(f"{p.name!r}: {p.name}" for p in parameters)
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
        function.__doc__ = op.doc
        function.__module__ = "wengert"
        function.operation = op
        return function

    def number_case(self):
        """``tensor op number``: as quick as two tensors, if the number fits the dtype as it is."""
        op = self.op
        if not isinstance(op, Pointwise) or not op.numbers or len(op.tensors) != 2 or len(op.signature) != 2:
            return
        if self.inplace and (op.promote == "bool" or not isinstance(op.kernel, np.ufunc)):
            return
        tensor, number = op.tensors
        plain = f"(type({tensor}) is Tensor or type({tensor}) is Parameter) and {tensor}.dtype.takes_numbers"
        rest = "".join([" and out is None" if self.has_out() else "", " and not rare.active"])
        self.add(f"if (type({number}) is float or type({number}) is int) and {plain}{rest}:")
        self.add(f"return op.with_number{'_inplace' if self.inplace else ''}({tensor}, {number})", 2)

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

    def header(self, parameters):
        parts, starred = [], False
        for parameter in parameters:
            if parameter.kind is parameter.KEYWORD_ONLY and not starred:
                parts.append("*")
                starred = True
            text = parameter.name
            if parameter.default is not parameter.empty:
                text += f"=default_{parameter.name}"
            parts.append(text)
        keywords = ["out=None"] if self.has_out() else []
        keywords += [f"{numpy_name}=None" for numpy_name, _ in self.numpy_names()]
        if keywords:
            parts += ([] if starred else ["*"]) + keywords
        return ", ".join(parts)

    def test(self):
        """The condition for the common path: plain tensors of one dtype, nothing rare."""
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
            if self.inplace and op.promote == "bool":
                tests.append(f"{first}.dtype is bool_")
        if self.has_out():
            tests.append("out is None")
        tests += [f"{numpy_name} is None" for numpy_name, _ in self.numpy_names()]
        tests.append("not rare.active")
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

    # --- the common path ------------------------------------------------------------------------------------------------

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
            self.add(f"{target} = kernel({tensor}._array, number)", indent + 1)
        else:
            self.add(f"{target} = kernel({', '.join(arguments)})", indent + 1)
        self.add("except Exception as error:", indent)
        positional = [a for a in arguments if "=" not in a.split("(")[0]]
        keywords = [a for a in arguments if "=" in a.split("(")[0]]
        run = "kernel" if not keywords else f"lambda *a: kernel(*a, {', '.join(keywords)})"
        self.add(f"{target} = recover(op, error, ({', '.join(positional)},), {run})", indent + 1)

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
            self.add("t._view_kind = 'no_grad'", indent + 2)
        self.add("return t", indent + 1)
        self.make_node(indent, "r.shape", f"{self.first()}.dtype.is_complex")
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

    def make_node(self, indent, shape, is_complex, clone=None):
        """Record: a node with its edges and what its formulas name."""
        op, saved = self.op, self.saved
        key = self.scalars
        plain = "(FULL_NODE if dim is None else NODE)" if op.full_node else "NODE"
        full = ", dim is None" if op.full_node else f", {self.numbered}"
        self.add(f"node = new(op.node_class({key!r}, True{full}) if {is_complex} else {plain})", indent)
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
            of = name[:-6]
            missing = f"None if {of} is None else " if of in saved.optional else ""
            self.add(f"node.s_{name} = {missing}{of}._array.shape", indent)
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
        tracked = [n for n in saved.tensors]
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
        self.make_node(indent, "None", f"{self.first()}.dtype.is_complex")
        outputs = ", ".join(f"(r_{n}.shape, t_{n}.dtype)" for n in op.outputs)
        self.add(f"node.results = ({outputs},)", indent)
        for number, name in enumerate(op.outputs):
            if name not in op.nodiff_outputs:
                self.add(f"if t_{name}.dtype.differentiable:", indent)
                self.add(f"t_{name}._node = Output(node, {number}, t_{name}._array.shape, t_{name}.dtype)", indent + 1)
        self.add(f"return {results}", indent)

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
        self.add(f"if {first}._base is not None and not recorded and grad_mode.enabled:", indent)
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
        self.add("try:", indent)
        residuals = "".join(f", {name}" for name in op.residuals)
        target = f"_{residuals}"
        if writes_in_place(op.kernel):
            # Operands of another dtype decide in which the work is done, and the target in which its result is kept.
            unsafe = "" if self.checked else ", casting='unsafe'"
            self.add(f"kernel({', '.join(arguments)}, out={first}._array{unsafe})", indent + 1)
        else:
            self.add(f"{target if residuals else '_'} = kernel_inplace({', '.join(arguments)})", indent + 1)
        self.add("except Exception as error:", indent)
        positional = [a for a in arguments if "=" not in a.split("(")[0]]
        keywords = [a for a in arguments if "=" in a.split("(")[0]]
        called = "kernel" if writes_in_place(op.kernel) else "kernel_inplace"
        options = [f"out={first}._array", "casting='unsafe'"] if writes_in_place(op.kernel) else keywords
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
            self.make_node(indent + 1, f"{first}._array.shape", f"{first}.dtype.is_complex", clone)
            self.add(f"views.set_history({first}, node)", indent + 1)
        else:
            self.add("if recorded:", indent)
            self.add(f"views.cut_history({first}, {op.node_name!r})", indent + 1)
        self.add(f"return {first}", indent)


def make_node_class(op, scalars, is_complex, full):
    """The class of the graph nodes of `op`: slots for what it keeps, `apply` and `apply_graph` generated from the formulas.

    `scalars` are inputs that are numbers in this variant; `is_complex` makes formulas for real numbers right for complex
    ones: the gradient of a holomorphic function is the conjugate of its derivative applied to the conjugate.
    """
    saved = Saved(op, scalars)
    kept = [*saved.tensors, *saved.outputs, *saved.shapes, *saved.values, *saved.residuals]
    tracked = [*saved.tensors, *saved.outputs]
    namespace = dict(COMMON)
    lines = ["def apply(self, g, keep):", *apply_source(op, saved, tracked, is_complex, arrays=True)]
    lines += ["def apply_graph(self, g):", *apply_source(op, saved, tracked, is_complex, arrays=False)]
    lines.append("def release(self):")
    freed = freed_by(op, saved)
    lines += [f"    self.s_{name} = None" for name in freed] + ["    self.versions = FREED" if freed else "    pass"]
    for number, formula in enumerate(saved.formulas.values()):
        namespace[f"f{number}"] = rebound(formula)
        namespace[f"F{number}"] = formula
    namespace["op"] = op
    namespace["conj_tensor"] = lambda g: g.conj()
    name = (op.full_node or op.scalar_node) if full else op.scalar_node if scalars else op.node_name
    variant = f"{name} {'complex ' if is_complex else ''}{''.join(scalars)}".strip()
    apply = compile_source("\n".join(lines) + "\n", "apply", namespace, variant)
    public = {("self" if n == "input" else "result" if n == "out" else n): f"s_{n}" for n in kept}
    return type(
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
            "apply": apply,
            "apply_graph": namespace["apply_graph"],
            "release": namespace["release"],
        },
    )


def freed_by(op, saved):
    """What a node drops after use: all but where a view lies, which is no memory."""
    return [*saved.tensors, *saved.outputs, *(() if op.view else saved.residuals)]


def apply_source(op, saved, tracked, is_complex, *, arrays):
    """The body of `apply` (on arrays) or `apply_graph` (on tensors)."""
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

    def argument(parameter):
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
        call = f"{'f' if arrays else 'F'}{number}({', '.join(argument(p) for p in formula_parameters(formula))})"
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
    return TypeError(f"descriptor of '{op.name}' for 'Tensor' objects doesn't apply to a '{type(value).__name__}' object")


def operand_of_another_kind(op, input, other):
    """An operator met an operand that is neither tensor nor number: let the other side try.

    The other side of an array is NumPy, which asks for `__array__`, computes, and hands the result to `__array_wrap__`;
    it refuses tensors that require grad. Only ``==`` takes arrays as they are, as in PyTorch.
    """
    if op.name == "eq" and isinstance(other, np.ndarray):
        return op.function(input, wrap(adopt(other)))
    return NotImplemented


# --- the declarations' vocabulary ---------------------------------------------------------------------------------------------


def pointwise(name, kernel, *, promote="same", function=True, method=True, inplace=True, alias=(), namespace="", doc=None,
              tensors=None, unpromoted=(), check=None, residuals=(), holomorphic=True, node=None, scalar_node=None,
              numbers=True, **derivatives):  # fmt: skip
    """Declare an operation on corresponding elements.

    Args:
        name: its public name.
        kernel: a ufunc, or a function of arrays whose parameters become the operation's.
        promote: the dtype of the result: "same" as the promoted inputs, at least "float", or "bool".
        numbers: which operands may be numbers: all (True), none (False), or those named.
        derivatives: for each differentiable parameter, a formula whose parameter names say what it needs.
    """
    operation = Pointwise(
        name, kernel, derivatives, promote=promote, tensors=tensors, residuals=residuals, holomorphic=holomorphic,
        node=node, scalar_node=scalar_node, unpromoted=unpromoted, check=check, numbers=numbers, doc=doc,
    )  # fmt: skip
    return operation.export(namespace=namespace, function=function, method=method, inplace=inplace, alias=alias)


def primitive(name, kernel, *, function=True, method=True, inplace=False, alias=(), namespace="", doc=None, tensors=None,
              outputs=None, residuals=(), view=False, holomorphic=True, node=None, full_node=None, nodiff_outputs=(), joint=None, joint_of=(),
              out=True, dense=False, **derivatives):  # fmt: skip
    """Declare an operation with a kernel of its own: ``kernel(arrays..., plain arguments...) -> array``.

    Args:
        tensors: the parameters that are tensors (default: those with a derivative).
        outputs: names of the results where there are several; they come as a named tuple.
        residuals: names of values that the kernel returns after its results, for the derivatives alone.
        view: True if the result is a view of the first input, "maybe" if it sometimes is.
        dense: the result is laid out row by row, whatever the strides of the input.
        joint, joint_of: one formula that returns the gradients of several inputs together (it may ask for `needs`).
    """
    if joint is not None:
        derivatives |= {"joint": joint, "joint_of": joint_of}
        tensors = tensors or joint_of
    operation = Primitive(
        name, kernel, derivatives, tensors=tensors, outputs=outputs, residuals=residuals, view=view,
        holomorphic=holomorphic, node=node, full_node=full_node, nodiff_outputs=nodiff_outputs, doc=doc, out=out, dense=dense,
    )  # fmt: skip
    if outputs:
        operation.result_type = result_type(name, outputs)
    return operation.export(namespace=namespace, function=function, method=method, inplace=inplace, alias=alias)


class Variadic(Operation):
    """An operation on a sequence of tensors, such as `cat`: its kernel takes a list of arrays, its formula gives a list.

    The formula's parameters: `g`, `shapes` (of the inputs), `tensors` (the inputs themselves), and the kernel's others.
    """

    def __init__(self, name, kernel, formula, *, promote=True, node=None, doc=None):
        super().__init__(name, kernel, doc)
        self.formula = formula
        self.promote = promote
        self.node_name = node or f"{''.join(part.capitalize() for part in name.split('_'))}Backward0"
        self._node_class = None

    @property
    def on_arrays(self):
        return self.kernel

    def generate(self, kind):
        parameters = list(self.signature.values())

        def function(*args, out=None, **kwargs):
            bound = binder.bind(*args, **kwargs)
            bound.apply_defaults()
            return self.general(bound.arguments, out)

        binder = inspect.Signature(parameters)
        function.__name__ = function.__qualname__ = self.name
        function.__module__ = "wengert"
        function.__doc__ = self.doc
        function.__signature__ = binder
        return function

    def prepare(self, values):
        values = dict(values)
        key = next(iter(values))
        tensors = values[key]
        if isinstance(tensors, Tensor) or not isinstance(tensors, (list, tuple)):
            raise TypeError(
                f"{self.name}(): argument '{key}' (position 1) must be tuple of Tensors, not {type(tensors).__name__}"
            )
        for position, tensor in enumerate(tensors):
            if not isinstance(tensor, Tensor):
                raise TypeError(f"expected Tensor as element {position} in argument 0, but got {type(tensor).__name__}")
        if not tensors:
            if self.name == "cat":
                raise ValueError("torch.cat(): expected a non-empty list of Tensors")
            raise RuntimeError(f"{self.name} expects a non-empty TensorList")
        if self.promote:
            common = dtypes.result_type_of([(t.dtype, 2 if t._array.ndim else 1) for t in tensors])
            tensors = [convert(t, common) for t in tensors]
        values[key] = tensors
        return values

    def body(self, values):
        tensors, *rest = values.values()
        arrays = [t._array for t in tensors]
        try:
            r = self.kernel(arrays, *rest)
        except Exception as error:
            r = recover(self, error, (arrays, *rest), self.kernel)
        t = wrap(r, tensors[0].dtype if r.dtype is arrays[0].dtype else None)
        if grad_mode.enabled and self.formula is not None and any(x._node is not None for x in tensors):
            t._node = self.record(t, tensors, rest)
        return t

    def record(self, t, tensors, rest):
        if self._node_class is None:
            self._node_class = variadic_node_class(self)
        node = new(self._node_class)
        node.edges = tuple(x._node for x in tensors)
        node.seq = next_seq()
        node.shape = t._array.shape
        node.hooks = None
        node.s_shapes = [x._array.shape for x in tensors]
        node.s_values = tuple(rest)
        keeps = "tensors" in formula_parameters(self.formula)
        node.s_tensors = tuple(tensors) if keeps else None
        node.versions = tuple(graph.version_of(x) for x in tensors) if keeps else None
        return node


def variadic_node_class(op):
    """The node of an operation on a sequence: saves the shapes, and the tensors only if the formula names them."""
    parameters = formula_parameters(op.formula)
    names = list(op.signature)[1:]
    on_arrays = rebound(op.formula)
    conjugated = FROM_NUMPY

    def arguments(self, g, tensors):
        given = {"g": g, "shapes": self.s_shapes, "tensors": tensors, **dict(zip(names, self.s_values, strict=True))}
        return [given[p] for p in parameters]

    def check(self):
        if self.versions is FREED:
            raise RuntimeError(graph.FREED_MESSAGE)
        for tensor, version in zip(self.s_tensors or (), self.versions or (), strict=False):
            if tensor._version != version:
                raise RuntimeError(graph.modified_message(self, tensor, version))

    def apply(self, g, keep):
        check(self)
        tensors = None if self.s_tensors is None else [t._array for t in self.s_tensors]
        is_complex = g.dtype in conjugated and conjugated[g.dtype].is_complex
        grads = on_arrays(*arguments(self, np.conj(g) if is_complex else g, tensors))
        if not keep and self.s_tensors is not None:
            self.release()
        return [None if e is None else np.conj(d) if is_complex else d for d, e in zip(grads, self.edges, strict=True)]

    def apply_graph(self, g):
        check(self)
        tensors = None if self.s_tensors is None else [graph.restore(self, t) for t in self.s_tensors]
        is_complex = g.dtype.is_complex
        grads = op.formula(*arguments(self, g.conj() if is_complex else g, tensors))
        return [None if e is None else d.conj() if is_complex else d for d, e in zip(grads, self.edges, strict=True)]

    def release(self):
        if self.s_tensors is not None:
            self.s_tensors, self.versions = None, FREED

    return type(
        op.node_name,
        (Node,),
        {
            "__slots__": ("s_shapes", "s_values", "s_tensors"),
            "__module__": "wengert",
            "saved": {"tensors": "s_tensors"} if "tensors" in parameters else {},
            "operation": op,
            "apply": apply,
            "apply_graph": apply_graph,
            "release": release,
        },
    )


def variadic(name, kernel, formula, *, promote=True, node=None, alias=(), namespace="", doc=None):
    """Declare an operation on a sequence of tensors: ``kernel(list of arrays, ...) -> array``, formula giving a list."""
    operation = Variadic(name, kernel, formula, promote=promote, node=node, doc=doc)
    return operation.export(namespace=namespace, method=False, alias=alias)


class _ReturnTypes(types.ModuleType):
    """``torch.return_types``: the named tuples of operations with several results."""


return_types = _ReturnTypes("wengert.return_types")


def result_type(name, outputs):
    """The named tuple ``return_types.<name>`` with these fields, printed as PyTorch prints it."""

    def show(self):
        fields = ",\n".join(f"{field}={value!r}" for field, value in zip(outputs, self, strict=True))
        return f"torch.return_types.{name}(\n{fields})"

    fields = {field: property(lambda self, i=i: tuple.__getitem__(self, i)) for i, field in enumerate(outputs)}

    def make(cls, *values):
        if len(values) == 1 and len(outputs) > 1:
            values = tuple(values[0])
        return tuple.__new__(cls, values)

    kind = type(
        name,
        (tuple,),
        {"__slots__": (), "__repr__": show, "__new__": make, "__module__": "wengert.return_types", "_fields": outputs,
         "__match_args__": outputs, "__reduce__": lambda self: (type(self), (tuple(self),)), **fields},
    )  # fmt: skip
    setattr(return_types, name, kind)
    return kind


sys.modules["wengert.return_types"] = return_types
