"""no_grad and its kin: what is recorded, per thread.

Each is a context manager and a decorator, for functions, generators and classes alike.
"""

import functools
import inspect
import warnings

from wengert.autograd.graph import grad_mode, rare


class ContextDecorator:
    """A context manager that can be re-entered, and that can decorate functions and generators.

    A decorated generator runs its body, and only its body, inside the context: between two yields the caller has its
    own.
    """

    def clone(self):
        return type(self)()

    def __call__(self, function):
        if inspect.isclass(function):
            warnings.warn(
                "Decorating classes is deprecated and will be disabled in future versions. You should only decorate "
                "functions or methods. To preserve the current behavior of class decoration, you can directly decorate "
                "the `__init__` method and nothing else.",
                FutureWarning,
                stacklevel=2,
            )
            function.__init__ = self(function.__init__)
            return function
        if inspect.isgeneratorfunction(function):
            return self._wrap_generator(function)

        @functools.wraps(function)
        def inside(*args, **kwargs):
            with self.clone():
                return function(*args, **kwargs)

        return inside

    def _wrap_generator(self, function):
        @functools.wraps(function)
        def inside(*args, **kwargs):
            generator = function(*args, **kwargs)
            step, payload = generator.send, None
            try:
                while True:
                    with self.clone():
                        value = step(payload)
                    try:
                        payload = yield value
                        step = generator.send
                    except GeneratorExit:
                        with self.clone():
                            generator.close()
                        raise
                    except BaseException as error:
                        step, payload = generator.throw, error
            except StopIteration as stop:
                return stop.value

        return inside


class no_grad(ContextDecorator):
    """Operations inside are not recorded; their results do not require grad. Usable as ``with no_grad():`` or
    ``@no_grad()``.
    """

    __slots__ = ("previous",)

    def __new__(cls, function=None):
        self = object.__new__(cls)
        return self if function is None else self(function)

    def __enter__(self):
        self.previous = grad_mode.enabled
        grad_mode.enabled = False

    def __exit__(self, *exc):
        grad_mode.enabled = self.previous


class enable_grad(ContextDecorator):
    """Operations inside are recorded, even within `no_grad`."""

    __slots__ = ("previous",)

    def __new__(cls, function=None):
        self = object.__new__(cls)
        return self if function is None else self(function)

    def __enter__(self):
        self.previous = grad_mode.enabled
        grad_mode.enabled = True

    def __exit__(self, *exc):
        grad_mode.enabled = self.previous


class set_grad_enabled(ContextDecorator):
    """Set recording on or off: at once when called as a function, until the end of the block as a context manager."""

    def __init__(self, mode):
        self.mode = bool(mode)
        self.previous = grad_mode.enabled
        grad_mode.enabled = self.mode

    def __call__(self, function):
        grad_mode.enabled = self.previous
        return super().__call__(function)

    def clone(self):
        return set_grad_enabled(self.mode)

    def __enter__(self):
        grad_mode.enabled = self.mode

    def __exit__(self, *exc):
        grad_mode.enabled = self.previous

    def __repr__(self):
        return f"{type(self).__module__}.{type(self).__name__}(mode={self.mode})"


class inference_mode(ContextDecorator):
    """Like `no_grad`, and results are inference tensors: autograd refuses to rely on them ever after."""

    def __new__(cls, mode=True):
        self = object.__new__(cls)
        self.mode = True if callable(mode) else bool(mode)
        return self(mode) if callable(mode) else self

    def clone(self):
        return inference_mode(self.mode)

    def __enter__(self):
        self.previous = grad_mode.enabled, grad_mode.inference
        grad_mode.inference = self.mode
        grad_mode.enabled = not self.mode
        rare.enter()

    def __exit__(self, *exc):
        grad_mode.enabled, grad_mode.inference = self.previous
        rare.leave()


class set_multithreading_enabled(ContextDecorator):
    """Say whether backward may use threads of its own: at once, and until the end of the block as a context manager.

    It is remembered and can be asked; backward runs in the calling thread, whatever the mode.
    """

    def __init__(self, mode):
        self.mode, self.previous = mode, grad_mode.multithreading
        grad_mode.multithreading = bool(mode)

    def clone(self):
        return set_multithreading_enabled(self.mode)

    def __enter__(self):
        return None

    def __exit__(self, *exc):
        grad_mode.multithreading = self.previous


def is_grad_enabled():
    """Whether operations are being recorded in this thread."""
    return grad_mode.enabled


def is_inference_mode_enabled():
    """Whether this thread is inside `inference_mode`."""
    return grad_mode.inference


def is_multithreading_enabled():
    """What `set_multithreading_enabled` was told last."""
    return grad_mode.multithreading
