"""Public functions that are one flat frame above an operation.

Where the signature of `torch.nn.functional` is not that of the operation beneath (an `inplace` argument, retired
arguments), a function in between takes the common case straight to the operation's generated function.  That one is
generated when the public function is first asked for.
"""

from wengert.absent import named
from wengert.ops.declare import FUNCTIONS
from wengert.ops.emit import compile_source
from wengert.overrides import handle_torch_function, has_torch_function_unary
from wengert.tensor import Tensor


class Flat:
    """A public function that is one frame above its operation; generated functions are bound in when it is first used.

    Args:
        function: written with names that stand for other functions' generated forms.
        bound: those names, each with the operation (or plain function) that it stands for.
    """

    def __init__(self, function, **bound):
        self._plain = function
        self._bound = bound
        FUNCTIONS.setdefault("nn.functional", {})[function.__name__] = self

    @property
    def function(self):
        for name, operation in self._bound.items():
            self._plain.__globals__[name] = getattr(operation, "function", operation)
        return self._plain

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)


class WithInplace:
    """``F.relu(x, inplace=...)``: one flat function that runs an operation or its in-place form.

    Args:
        name: of the public function.
        operation: what it runs.
        parameters: its arguments after `input`, with defaults, as they stand in a signature.
        arguments: what the operation gets after `input`, as an expression in the parameters.
    """

    def __init__(self, name, operation, parameters="", arguments=None, doc=None):
        self.name, self.operation, self.doc = name, operation, doc
        self.parameters = parameters
        self.arguments = (
            ", ".join(p.split("=")[0].strip() for p in parameters.split(",")) if arguments is None else arguments
        )
        self._function = None
        FUNCTIONS.setdefault("nn.functional", {})[name] = self

    @property
    def function(self):
        if self._function is None:
            parameters = f"{self.parameters}, " if self.parameters else ""
            arguments = f", {self.arguments}" if self.arguments else ""
            names = [p.split("=")[0].strip() for p in self.parameters.split(",") if p]
            given = "".join(f"{name}={name}, " for name in names)
            source = (
                f"def {self.name}(input, {parameters}inplace=False):\n"
                f"    if type(input) is not Tensor and asks(input):\n"
                f"        return ask({self.name}, (input,), input, {given}inplace=inplace)\n"
                f"    return inplace_form(input{arguments}) if inplace else form(input{arguments})\n"
            )
            names = {"form": self.operation.function, "inplace_form": self.operation.variant("inplace"),
                     "Tensor": Tensor, "asks": has_torch_function_unary, "ask": handle_torch_function}  # fmt: skip
            self._function = compile_source(source, self.name, names, f"nn.functional {self.name}")
            self._function.__doc__ = self.doc
            self._function.__module__ = "wengert.nn.functional"
        return self._function

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)


class InplaceOnly:
    """``F.relu_``: the in-place form under its own name."""

    def __init__(self, name, base):
        self.base = base
        FUNCTIONS.setdefault("nn.functional", {})[name] = self

    @property
    def function(self):
        base = self.base

        def in_place(input, *args, **kwargs):
            return base(input, *args, inplace=True, **kwargs)

        return named(in_place, "wengert.nn.functional", f"{base.name}_", base.doc)

    def __call__(self, *args, **kwargs):
        return self.base(*args, inplace=True, **kwargs)
