"""One test written, many run: for each value of an argument, each dtype, each device.

A decorator leaves on the function what it is to be repeated for; the class is walked through once its body is complete,
and each such function replaced by functions of its own name with the values added.
"""

import functools
import inspect

from wengert import dtypes as element_types

__all__ = [
    "decorateIf", "instantiate_parametrized_tests", "parametrize", "reparametrize", "spread", "subtest", "variants_of",
]  # fmt: skip


class subtest:
    """Values of one repetition, with a name and decorators of its own."""

    def __init__(self, arg_values, name=None, decorators=None):
        self.arg_values, self.name, self.decorators = arg_values, name, list(decorators or ())


class parametrize:
    """Repeat a test for each of the values of its argument; for several arguments, ``"a,b"`` and tuples of values."""

    def __init__(self, arg_str, arg_values, name_fn=None):
        self.names = [name.strip() for name in arg_str.split(",") if name.strip()]
        self.values, self.name_fn = arg_values, name_fn

    def __call__(self, test):
        if inspect.isclass(test):
            raise RuntimeError("@parametrize decorates test methods, not classes")
        test.parametrizations = [self, *getattr(test, "parametrizations", ())]  # names come in the order of the source
        return test

    def variants(self):
        """(name to add, arguments, decorators) of each repetition."""
        for number, given in enumerate(self.values):
            entry = given if isinstance(given, subtest) else subtest(given)
            values = entry.arg_values if len(self.names) > 1 else (entry.arg_values,)
            yield self.name_of(entry, values, number), dict(zip(self.names, values, strict=True)), entry.decorators

    def name_of(self, entry, values, number):
        if entry.name is not None:
            return entry.name
        if self.name_fn is not None:
            return self.name_fn(*values)
        return "_".join(shown(name, value, number) for name, value in zip(self.names, values, strict=True))


def shown(name, value, number):
    """An argument as part of a test's name, as PyTorch writes it: numbers and text by value, others by their number."""
    if isinstance(value, element_types.dtype):
        return short(value)
    if isinstance(value, (int, float, str)):
        return f"{name}_{str(value).replace('.', '_')}"
    return f"{name}{number}"


def short(dtype):
    """``float32`` for ``torch.float32``."""
    return str(dtype).rpartition(".")[2]


def reparametrize(parametrizer, adapt):
    """The repetitions of another decorator, each changed by ``adapt(test, name, arguments)`` to one or several."""
    changed = parametrize("", ())
    changed.variants = lambda: (  # type: ignore[method-assign]
        (*again, decorators)
        for name, arguments, decorators in parametrizer.variants()
        for again in several(adapt(None, name, arguments))
    )
    return changed


def several(adapted):
    return [adapted] if isinstance(adapted, tuple) else list(adapted)


class decorateIf:
    """Decorate those repetitions of a test whose arguments satisfy a predicate."""

    def __init__(self, decorator, predicate):
        self.decorator, self.predicate = decorator, predicate

    def __call__(self, test):
        test.conditional_decorators = [*getattr(test, "conditional_decorators", ()), self]
        return test


def variants_of(test):
    """(name to add, arguments, decorators) for the product of all that the test is repeated for."""
    combined = [((), {}, [])]
    for parametrization in getattr(test, "parametrizations", ()):
        combined = [
            ((*names, name), {**arguments, **more}, [*decorators, *further])
            for names, arguments, decorators in combined
            for name, more, further in parametrization.variants()
        ]
    return [("_".join(filter(None, names)), arguments, decorators) for names, arguments, decorators in combined]


def spread(cls, name, test, extra=None, suffix=""):
    """Add to `cls` the repetitions of `test`; `extra` are arguments before the others, `suffix` ends each name."""
    for added, arguments, decorators in variants_of(test):
        full = "_".join(filter(None, (name, added, suffix)))
        if hasattr(cls, full) and full != name:
            raise RuntimeError(f"Redefinition of test {full}")
        setattr(cls, full, bound(test, full, {**(extra or {}), **arguments}, decorators))


def bound(test, name, arguments, decorators):
    @functools.wraps(test)
    def run(self):
        return test(self, **arguments)

    del run.__wrapped__  # pytest would look there for arguments to fill in
    run.__name__ = run.__qualname__ = name
    for conditional in getattr(test, "conditional_decorators", ()):
        if conditional.predicate(arguments):
            run = conditional.decorator(run)
    for decorator in decorators:
        run = decorator(run)
    return run


def instantiate_parametrized_tests(cls):
    """Replace the parametrized tests of a class by their repetitions; a decorator for classes."""
    for name, test in list(vars(cls).items()):
        if name.startswith("test") and getattr(test, "parametrizations", None):
            delattr(cls, name)
            spread(cls, name, test)
    return cls

