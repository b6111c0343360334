"""From one declaration, everything that an operation is.

    mul = pointwise("mul", np.multiply, input=lambda g, other: g * other, other=lambda g, input: g * input)

says what `mul` computes (a kernel: arrays in, arrays out) and the derivative for each input. The parameter names of a
derivative say what it needs, and exactly that is kept: `g` is the gradient of the result; the name of a parameter is
    that
argument; `out` (or the name of one of several results) is that result; `input_shape` is the shape of `input`, and
`input_strides` are its array's strides in bytes, which costs no memory; anything else is one of the kernel's
`residuals`.

From this the function, the method, the in-place and `out=` forms, the operators and the graph node (`MulBackward0`)
follow. They are generated as flat Python source when first used, so that the common case of an eager operation is one
frame: look at the types, run the kernel, wrap the result, fill in a node. Everything uncommon (numbers, mixed dtypes,
subclasses, dual numbers, recorders, `out=`) falls through to `Operation.general`, which makes the case common and tries
again.

A derivative is evaluated on raw arrays in `backward`, with operations standing for their kernels; on Tensors, as it is
written, under ``create_graph=True``. It is written for real numbers: where the dtype is complex and the operation
holomorphic, the machinery conjugates what goes in and what comes out.
"""

import importlib
import inspect
import sys
import types
import warnings
from functools import cached_property

import numpy as np

from wengert import dtypes, errors
from wengert.autograd import graph
from wengert.autograd.graph import FREED, Cast, Node, Version, grad_mode, next_seq, no_recast, rare
from wengert.devices import MetaAsked
from wengert.dtypes import FROM_NUMPY
from wengert.errors import reworded
from wengert.ops import halves
from wengert.ops.emit import (
    NUMBERS,
    Emitter,
    formula_parameters,
    make_node_class,
    rebound,
    recover,
    signature_of,
    writes_in_place,
)
from wengert.size import Size
from wengert.tensor import Parameter, Tensor, new, wrap

# Non-finite results are values here, as in PyTorch. The filter, for threads that come later, and which a program may
# well replace, names our modules only: the user's own NumPy code warns as ever.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"wengert\.")
errors.hush()

# namespace ("" is torch itself, "linalg", "nn.functional", ...) -> name -> operation
FUNCTIONS: dict[str, dict[str, "Operation"]] = {}
METHODS: dict[str, "Operation"] = {}
DECLARED: list["Operation"] = []  # every operation, those without a public name included


# What Python and NumPy raise where no check of ours spoke first; see `wengert.errors.reworded`.
UNFORESEEN = (AttributeError, ValueError, TypeError, IndexError, KeyError, ZeroDivisionError, MetaAsked)


class Operation:
    """What all operations have in common: names, lazily generated functions, and the way through uncommon arguments."""

    differentiable = True
    linear = False  # in all its differentiable inputs, and its tangent to be had by running it, not from the derivative
    takes_number = False  # whether a Python number may stand for the second of two tensors
    public = None  # the operation as whose usual case this one is called
    namespace = ""  # where the function is public: "" is torch itself
    known_as = None  # the name under which it is found there, where that is not its own
    next_functions = None  # a property of its nodes that shows their edges otherwise than in the order of its inputs

    def __init__(self, name, kernel, doc=None):
        self.name = name
        self.kernel = kernel
        self.doc = doc
        self._variants = {}
        self._signature = None
        DECLARED.append(self)

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
    def module(self):
        """The module in which programs, and pickle, find the function."""
        if not self.namespace or FUNCTIONS[""].get(self.name) is self:
            return "wengert"
        return f"wengert.{self.namespace}"

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
        if not isinstance(error, AttributeError):
            return reworded(self.name, error)
        given = dict(zip(self.signature, args, strict=False)) | kwargs
        for position, (name, value) in enumerate(given.items(), 1):
            if value is error.obj and not isinstance(value, Tensor):
                return TypeError(
                    f"{self.name}(): argument '{name}' (position {position}) must be Tensor, not {type(value).__name__}"
                )
        return reworded(self.name, error)

    def again(self, function, error, args, kwargs, out=None):
        """Call `function` with the arguments in their usual spelling, if `error` came of another one; else raise."""
        from wengert.ops.spelling import respelled  # rarely needed, so not loaded before

        if isinstance(error, MetaAsked):
            return importlib.import_module("wengert.meta").make(function, args, kwargs)
        usual = respelled(self, args, kwargs)
        if usual is None:
            raise self.misplaced(error, args, kwargs) from None
        args, kwargs = usual
        return function(*args, **kwargs) if out is None else function(*args, **kwargs, out=out)

    # --- the way through uncommon arguments ---------------------------------------------------------------------------

    def general(self, values, out=None, kind="function"):
        """Run with arguments of any kind: `values` maps each parameter to its argument."""
        overridden = overriding(values.values(), out)
        if overridden:
            return self.override(overridden, values, out, kind)
        if rare.active and (recast := rare.recast((self.public or self).name, out is not None)) is not None:
            return recast(lambda given: self.general(given, out, kind), (values,))
        try:
            if out is not None:
                return self.write(out, values)
            plain = self.prepare(values)
            if forward_ad is not None and has_dual(plain.values()):
                return forward_mode(self, plain, kind)
            return observed(self, plain, self.run(values, plain))
        except UNFORESEEN as error:
            if kind == "function" and not any(isinstance(value, Tensor) for value in values.values()):
                return self.again(self.function, error, tuple(values.values()), {}, out)
            raise self.misplaced(error, tuple(values.values()), {}) from None

    @cached_property
    def is_watched(self):
        """Whether `watched` may stand in for `general`: that of all operations on so many tensors."""
        return type(self).general in (Operation.general, Primitive.general) and bool(self.tensors)

    def watched(self, values, kind):
        """`general` for what the common path would take, did not somebody want to see it: there is less to ask."""
        if _overrides is None or _overrides.state.modes or rare.recast is not no_recast:
            return self.general(values, None, kind)
        try:
            body = self.usual_body
            result = body(*values.values()) if body is not None else self.run(values, values)
        except UNFORESEEN as error:
            raise self.misplaced(error, tuple(values.values()), {}) from None
        if grad_mode.inference:
            mark_inference(result)
        for observe in rare.on_record:
            observe(self, values, result)
        return result

    usual_body = None  # what `run` comes to on plain tensors, where that is always the same

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
            elif parameter.kind is parameter.VAR_POSITIONAL:
                args.extend(values[name])
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
                f"{self.name}(): functions with out=... arguments don't support automatic differentiation, but one of "
                "the "
                "arguments requires grad."
            )
        if forward_ad is not None and has_dual((*inputs, *targets)):
            raise RuntimeError(
                f"Trying to use forward AD with {self.name}'s out= function, that is not supported: tangents cannot be "
                "written into a given tensor"
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


# --- composites: operations written with other operations -------------------------------------------------------------


class Composite(Operation):
    """An operation that is a Python function of other operations: its derivative needs no saying."""

    def generate(self, kind):
        if kind == "inplace":
            raise TypeError(f"{self.name} has no in-place form")
        run = self.kernel
        name = self.name

        def function(*args, **kwargs):
            if rare.active or not PLAIN.issuperset(map(type, (*args, *kwargs.values()) if kwargs else args)):
                overridden = overriding((*args, *kwargs.values()), None)
                if overridden:
                    from wengert import overrides

                    return overrides.handle(function, overridden, self.as_told(args), kwargs)
                if rare.active and (recast := rare.recast(name, "out" in kwargs)) is not None:
                    return recast(lambda args, kwargs: function(*args, **kwargs), (args, kwargs))
            out = kwargs.pop("out", None) if "out" in kwargs and "out" not in self.signature else None
            try:
                if out is None:
                    result = run(*args, **kwargs)
                    if rare.active:
                        for observe in rare.on_composite:
                            observe(self, args, kwargs, result)
                    return result
                bound = inspect.signature(run).bind(*args, **kwargs)
                bound.apply_defaults()
                return self.write(out, bound.arguments)
            except UNFORESEEN as error:
                return self.again(function, error, args, kwargs, out)

        function.__name__ = function.__qualname__ = name
        function.__doc__ = run.__doc__
        function.__module__ = self.module
        function.__wrapped__ = run
        return function

    def as_told(self, args):
        """The arguments as classes that override the operation are told them."""
        return args

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

    `choose` has the public parameters and returns (operation, arguments): `div` with a rounding mode is another
    operation.
    """

    def __init__(self, name, choose, doc=None, usual=None):
        super().__init__(name, choose, doc)
        self.usual = usual  # what two arguments without keywords mean, where that needs no choosing
        if usual is not None:
            usual.public = self

    def generate(self, kind):
        choose = self.kernel
        takes_out = kind == "function"
        written = kind == "inplace"
        usual = None if self.usual is None else self.usual.variant(kind)

        def function(*args, **kwargs):
            if usual is not None and not kwargs and len(args) == 2:
                return usual(*args)
            if rare.active or not PLAIN.issuperset(map(type, (*args, *kwargs.values()) if kwargs else args)):
                overridden = overriding((*args, *kwargs.values()), None)
                if overridden:
                    from wengert import overrides

                    return overrides.handle(function, overridden, args, kwargs)
                if rare.active and (recast := rare.recast(self.name, written or "out" in kwargs)) is not None:
                    return recast(lambda args, kwargs: function(*args, **kwargs), (args, kwargs))
            out = kwargs.pop("out", None) if takes_out else None
            try:
                chosen, arguments, *options = choose(*args, **kwargs)
                run = chosen.variant(kind)
                if options:
                    return run(*arguments, **options[0])
                return run(*arguments) if out is None else run(*arguments, out=out)
            except UNFORESEEN as error:
                return self.again(function, error, args, kwargs, out)

        function.__name__ = function.__qualname__ = f"{self.name}_" if kind == "inplace" else self.name
        called = f"{self.name}({', '.join(inspect.signature(choose).parameters)})"
        function.__doc__ = self.doc or choose.__doc__ or called
        function.__module__ = self.module
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


# --- primitives: operations with a kernel and derivatives -------------------------------------------------------------


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
    overlap = None  # what its in-place form refuses of the operands' memory: "crossing" or "sharing" the target's

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

    @cached_property
    def usual_body(self):
        return self.generate("body") if type(self).run is Operation.run else None

    def body(self, values, scalars=(), numbered=False):
        """Run the common path on `values`, whose tensors are known to be what the kernel expects."""
        body = self._bodies.get((scalars, numbered))
        if body is None:
            body = self._bodies[scalars, numbered] = self.generate("body", scalars, numbered)
        return body(*values.values())

    def numbered(self, values):
        """Whether the node is to be named as that of an operation with a number."""
        return False

    def node_class(self, scalars, dtype, full=False):
        """The class of this operation's nodes for results of `dtype`."""
        arithmetic = ""
        if dtype.is_complex and self.holomorphic:
            arithmetic = "complex"
        elif dtype.is_half and halves.widens_formulas(self):
            arithmetic = "half"
        key = (scalars, arithmetic, full)
        found = self._nodes.get(key)
        if found is None:
            found = self._nodes[key] = make_node_class(self, *key)
        return found

    @cached_property
    def kernel_in_float32(self):
        """The kernel for 16-bit floats, computed in float32."""
        several = bool(self.outputs or self.residuals)
        of_one_dtype = self.name in halves.OF_ONE_DTYPE
        return halves.in_float32(self.kernel, len(self.outputs or ("out",)), several, of_one_dtype)

    def generate(self, kind, scalars=(), numbered=False):
        return Emitter(self, kind, scalars, numbered).build()

    def kernel_inplace(self):
        """The kernel as ``f(input, ..., out=input)``: that of a ufunc, or compute and copy."""
        kernel = self.kernel
        if writes_in_place(kernel):
            return None
        first = len(self.residuals) > 0
        narrow = self.kernel_in_float32 if halves.widens_kernel(self) else kernel

        def store_result(target, *rest, **options):
            result = (narrow if target.dtype in halves.HALVES else kernel)(target, *rest, **options)
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
        if forward_ad is not None and has_dual(plain.values()):
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

    overlap = "crossing"

    def __init__(
        self, name, kernel, derivatives, *, promote="same", scalar_node=None, unpromoted=(), check=None,
        numbers=True, mostly_numbers=(), integers=False, real=None, **options
    ):
        super().__init__(name, kernel, derivatives, **options)
        self.real = real  # the error for complex numbers, where PyTorch has no kernel for them
        self.integers = integers
        self.mostly_numbers = mostly_numbers  # operands that are numbers, or None, in most programs
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

    @property
    def takes_number(self):
        return self.numbers is True or (bool(self.numbers) and self.tensors[-1] in self.numbers)

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
        if self.check is None and self.is_of_one_dtype(values):
            return values
        self.check_types(values)
        common = self.common_dtype(values)
        self.refuse_complex(common)
        if self.check is not None:
            self.check(values)
        return {
            name: convert(value, self.operand_dtype(name, value, common)) if name in self.promoted else value
            for name, value in values.items()
        }

    def is_of_one_dtype(self, values):
        """Whether the operands are plain tensors of one dtype in which the result can be computed as they are."""
        first, *others = self.tensors
        operand = values[first]
        if operand.__class__ is not Tensor and operand.__class__ is not Parameter:
            return False
        dtype = operand.dtype
        for name in others:
            operand = values[name]
            if (operand.__class__ is not Tensor and operand.__class__ is not Parameter) or operand.dtype is not dtype:
                return False
        return (self.promote != "float" or dtype.differentiable) and not (self.real and dtype.is_complex)

    def refuse_complex(self, dtype):
        if self.real and dtype.is_complex:
            raise real_only(self.real, dtype)

    def operand_dtype(self, name, value, common):
        """The dtype to which an operand is converted: the common one, but for a number after 16-bit floats that PyTorch
        leaves as it is."""
        if not common.is_half or self.name not in halves.WITH_NUMBERS or name == self.promoted[0]:
            return common
        number = not isinstance(value, Tensor) or (value._array.ndim == 0 and not value.dtype.is_half)
        return dtypes.float32 if number else common

    @cached_property
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
            elif not isinstance(value, NUMBERS) or not (
                self.numbers is True or (self.numbers and name in self.numbers)
            ):
                raise self.not_a_tensor(name, position, value)
        if not some:
            raise self.not_a_tensor(self.tensors[0], 1, values[self.tensors[0]])

    def not_a_tensor(self, name, position, value):
        return TypeError(
            f"{self.name}(): argument '{name}' (position {position}) must be Tensor, not {type(value).__name__}"
        )

    @cached_property
    def usual_body(self):
        return self.generate("body") if self.scalar_node == self.node_name else None

    def run(self, given, plain):
        return self.body(plain, (), self.numbered(given))

    def numbered(self, values):
        return self.scalar_node != self.node_name and not any(
            isinstance(values[name], Tensor) for name in self.mostly_numbers or self.tensors[1:]
        )

    def with_number(self, *operands):
        """The common path for floating tensors and Python numbers; replaced by its generated self on first use."""
        self.with_number = self.generate("body", self.mostly_numbers or self.tensors[1:])
        return self.with_number(*operands)

    def with_number_inplace(self, *operands):
        """Likewise for the in-place form."""
        self.with_number_inplace = self.generate("inplace body", self.mostly_numbers or self.tensors[1:])
        return self.with_number_inplace(*operands)

    def prepare_inplace(self, values):
        self.check_types(values)
        target = values[self.tensors[0]]
        common = self.common_dtype(values)
        self.refuse_complex(common)
        if self.check is not None:
            self.check(values)
        result = dtypes.bool_ if self.promote == "bool" else common
        if not dtypes.can_cast(result, target.dtype):
            raise RuntimeError(
                f"result type {dtypes.SCALAR_NAMES[result]} can't be cast to the desired output type "
                f"{dtypes.SCALAR_NAMES[target.dtype]}"
            )
        for name in self.promoted[1:]:
            values[name] = convert(values[name], self.operand_dtype(name, values[name], common))
        return values


def real_only(kernel, dtype):
    """The error for complex numbers: of a kernel's name, or a sentence that is one already."""
    if " " in kernel:
        return RuntimeError(kernel)
    return NotImplementedError(f"\"{kernel}\" not implemented for '{dtypes.SCALAR_NAMES[dtype]}'")


# Types of arguments that never take part in operations of their own accord.
PLAIN = frozenset({Tensor, Parameter, int, float, bool, complex, str, type(None), dtypes.dtype, Size})


def overriding(values, out):
    """The arguments whose classes replace operations (`__torch_function__`), in PyTorch's order; or the active modes.
    """
    found = None
    if not PLAIN.issuperset(map(type, values)):
        for value in values:
            kind = type(value)
            if kind in PLAIN:
                continue
            if kind is tuple or kind is list:
                if not PLAIN.issuperset(map(type, value)):
                    inner = overriding(value, None)
                    found = (found or []) + list(inner or ())
            elif hasattr(kind, "__torch_function__") and not getattr(kind, "_plain_override", False):
                found = (found or []) + [value]
    if out is not None and not isinstance(out, (tuple, list)):
        inner = overriding((out,), None)
        found = (found or []) + list(inner or ())
    if found or (rare.active and (_overrides is None or _overrides.state.modes)):
        return relevant(found or [])
    return None


_overrides = None  # `wengert.overrides`, which stands above and is loaded when first needed


def relevant(found):
    """Which of the arguments found are to be asked, or whether a mode is: see `wengert.overrides.relevant`."""
    global _overrides
    if _overrides is None:
        from wengert import overrides as _overrides
    return _overrides.relevant(found)


def has_dual(values):
    """Whether any of these (or of the tensors in them) carries a tangent."""
    return any(getattr(value, "_tangent", None) is not None for value in flattened(values))


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
        if not isinstance(tensor, Tensor):
            continue
        if tensor._base is None:
            if tensor._counter is None:
                tensor._counter = graph.INFERENCE
        elif tensor._counter is graph.INFERENCE:
            tensor._base = tensor._node = None  # nothing of these is followed, not even who is whose view
        elif tensor._view_kind == "no_grad":
            tensor._view_kind = "inference"


forward_ad = None  # `wengert.autograd.forward_ad` puts itself here when it loads; it alone makes dual tensors


def forward_mode(operation, values, kind):
    return forward_ad.apply(operation, values, kind)


def convert(value, dtype):
    """An operand as a tensor of `dtype`: numbers become tensors of no dimensions, tensors are cast (recorded, but
    hidden).
    """
    if value is None:
        return None
    if not isinstance(value, Tensor):
        number = wrap(scalar_array(value, dtype), dtype)
        if rare.active:
            number._is_number = True  # those who look at what a node keeps leave it alone
        return number
    return value if value.dtype is dtype else cast(value, dtype)


def scalar_array(value, dtype):
    """A number as a 0-d array of `dtype`, integers wrapped around as PyTorch wraps them."""
    if dtype.category == dtypes.INTEGER and isinstance(value, (int, np.integer)):
        bits = 8 * dtype.itemsize
        value = int(value) & ((1 << bits) - 1)
        if dtype.is_signed and value >> (bits - 1):
            value -= 1 << bits
    return np.array(value).astype(dtype.numpy)


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
    if rare.active and tensor._origin is not None:
        result._origin = tensor._origin  # for whoever records: out of the user's sight, this is the operand itself
    if type(tensor) is not Tensor and tensor._tangent is not None:
        return forward_mode(None, {"input": tensor, "dtype": dtype, "result": result}, "cast")
    return result


Tensor._tangent = None


# --- the declarations' vocabulary -------------------------------------------------------------------------------------


def pointwise(name, kernel, *, promote="same", function=True, method=True, inplace=True, alias=(), namespace="",
              doc=None,
              tensors=None, unpromoted=(), check=None, residuals=(), holomorphic=True, node=None, scalar_node=None,
              numbers=True, mostly_numbers=(), integers=False, real=None, **derivatives):  # fmt: skip
    """Declare an operation on corresponding elements.

    Args:
        name: its public name.
        kernel: a ufunc, or a function of arrays whose parameters become the operation's.
        promote: the dtype of the result: "same" as the promoted inputs, at least "float", or "bool".
        numbers: which operands may be numbers: all (True), none (False), or those named.
        mostly_numbers: operands that are numbers in most programs, where there are more than two.
        integers: whether the kernel, a function, takes a Python int but 0 beside int64 as it is; all ufuncs do.
        real: for an operation that complex numbers don't have, the name of PyTorch's kernel, or its sentence.
        derivatives: for each differentiable parameter, a formula whose parameter names say what it needs.
    """
    operation = Pointwise(
        name, kernel, derivatives, promote=promote, tensors=tensors, residuals=residuals, holomorphic=holomorphic,
        node=node, scalar_node=scalar_node, unpromoted=unpromoted, check=check, numbers=numbers,
        mostly_numbers=mostly_numbers, integers=integers, real=real, doc=doc,
    )  # fmt: skip
    return operation.export(namespace=namespace, function=function, method=method, inplace=inplace, alias=alias)


def primitive(name, kernel, *, function=True, method=True, inplace=False, alias=(), namespace="", doc=None,
              tensors=None,
              outputs=None, residuals=(), view=False, holomorphic=True, node=None, full_node=None, nodiff_outputs=(),
              joint=None, joint_of=(),
              named=True, out=True, dense=False, **derivatives):  # fmt: skip
    """Declare an operation with a kernel of its own: ``kernel(arrays..., plain arguments...) -> array``.

    Args:
        tensors: the parameters that are tensors (default: those with a derivative).
        outputs: names of the results where there are several; they come as a named tuple (a plain one unless `named`).
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
        holomorphic=holomorphic, node=node, full_node=full_node, nodiff_outputs=nodiff_outputs, doc=doc, out=out,
        dense=dense,
    )  # fmt: skip
    if outputs:
        own = f"linalg_{name}" if namespace == "linalg" and not name.startswith("linalg_") else name
        operation.result_type = result_type(own, outputs) if named else plain_tuple
    return operation.export(namespace=namespace, function=function, method=method, inplace=inplace, alias=alias)


class Variadic(Operation):
    """An operation on a sequence of tensors, such as `cat`: its kernel takes a list of arrays, its formula gives a
    list.

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
        """The public function: tensors of one dtype and nothing rare take the common path at once."""
        parameters = list(self.signature.values())
        binder = inspect.Signature(parameters)
        usual = {p.name: p.default for p in parameters}
        optional = all(p.default is not p.empty for p in parameters[1:])
        defaults = tuple(usual.values())
        options = dict(list(usual.items())[1:])

        def function(*args, out=None, **kwargs):
            if optional and args and out is None and not rare.active and alike(args[0]):
                try:
                    if not kwargs and len(args) <= len(defaults):
                        return self.common(*args, *defaults[len(args) :])
                    if len(args) == 1 and kwargs.keys() <= options.keys():
                        return self.common(*args, *{**options, **kwargs}.values())
                except UNFORESEEN as error:
                    raise self.misplaced(error, args, kwargs) from None
            try:
                bound = binder.bind(*args, **kwargs)
            except TypeError as error:
                return self.again(function, error, args, kwargs, out)
            bound.apply_defaults()
            return self.general(bound.arguments, out)

        function.__name__ = function.__qualname__ = self.name
        function.__module__ = self.module
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
        return self.common(*values.values())

    def common(self, tensors, *rest):
        """The common path: join the arrays, and record."""
        arrays = [t._array for t in tensors]
        try:
            r = self.kernel(arrays, *rest)
        except Exception as error:
            r = recover(self, error, (arrays, *rest), self.kernel)
        t = wrap(r, tensors[0].dtype if r.dtype is arrays[0].dtype else None)
        if grad_mode.enabled and self.formula is not None:
            edges = [x._node for x in tensors]
            if edges.count(None) != len(edges):
                t._node = self.record(t, tensors, edges, rest)
        return t

    def record(self, t, tensors, edges, rest):
        if self._node_class is None:
            self._node_class = variadic_node_class(self)
        node = new(self._node_class)
        node.edges = tuple(edges)
        node.seq = next_seq()
        node.shape = t._array.shape
        node.hooks = None
        node.s_shapes = [x._array.shape for x in tensors]
        node.s_values = rest
        keeps = "tensors" in formula_parameters(self.formula)
        node.s_tensors = tuple(tensors) if keeps else None
        node.versions = tuple(graph.version_of(x) for x in tensors) if keeps else None
        return node


def alike(tensors):
    """Whether these are plain tensors of one dtype, in a list or a tuple."""
    if (type(tensors) is not list and type(tensors) is not tuple) or not tensors:
        return False
    return PLAIN_TENSORS.issuperset(map(type, tensors)) and len({tensor.dtype for tensor in tensors}) == 1


PLAIN_TENSORS = frozenset({Tensor, Parameter})


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
    """Declare an operation on a sequence of tensors: ``kernel(list of arrays, ...) -> array``, formula giving a list.
    """
    operation = Variadic(name, kernel, formula, promote=promote, node=node, doc=doc)
    return operation.export(namespace=namespace, method=False, alias=alias)


class _ReturnTypes(types.ModuleType):
    """``torch.return_types``: the named tuples of operations with several results."""


return_types = _ReturnTypes("wengert.return_types")


def plain_tuple(*values):
    return values


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
