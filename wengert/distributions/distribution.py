"""`Distribution`, the base of all: shapes, validation, expansion.

A subclass says which of its attributes carry the batch's shape (`_batched`: tensors and distributions) and which do not
(`_kept`); `expand` follows from that.  A class of a user's own that has another constructor writes its own `expand`.
"""

import warnings

import wengert
from wengert.distributions import constraints
from wengert.distributions.utils import as_size, lazy_property
from wengert.tensor import Tensor

__all__ = ["Distribution"]


class Distribution:
    """A batch of probability distributions.

    Args:
        batch_shape: the shape over which parameters are batched.
        event_shape: the shape of one sample of one of them.
        validate_args: whether parameters and values are checked against their constraints.
    """

    has_rsample = False
    has_enumerate_support = False
    _validate_args = __debug__

    @staticmethod
    def set_default_validate_args(value):
        """Switch validation on or off for distributions made from now on."""
        if value not in (True, False):
            raise ValueError
        Distribution._validate_args = value

    def __init__(self, batch_shape=None, event_shape=None, validate_args=None):
        self._batch_shape = as_size(() if batch_shape is None else batch_shape)
        self._event_shape = as_size(() if event_shape is None else event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._validate_parameters()
        super().__init__()

    def _validate_parameters(self):
        try:
            arg_constraints = self.arg_constraints
        except NotImplementedError:
            warnings.warn(
                f"{type(self)} does not define `arg_constraints`. Please set `arg_constraints = {{}}` or initialize "
                "the distribution with `validate_args=False` to turn off validation.",
                stacklevel=3,
            )
            return
        for name, constraint in arg_constraints.items():
            if constraints.is_dependent(constraint):
                continue
            if name not in self.__dict__ and isinstance(getattr(type(self), name), lazy_property):
                continue  # derived from another parameter
            value = getattr(self, name)
            if not constraint.check(value).all():
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of distribution "
                    f"{self!r} to satisfy the constraint {constraint!r}, but found invalid values:\n{value}"
                )

    def expand(self, batch_shape, _instance=None):
        """The distribution with its batch dimensions expanded, without copying parameters.

        Args:
            batch_shape: the new batch shape, to which the present one broadcasts.
            _instance: the object to fill, from a subclass that extends this method.
        """
        owner = self._expanding_class()
        new = self._get_checked_instance(owner, _instance)
        batch_shape = as_size(batch_shape)
        dims = len(self._batch_shape)
        for name in self._batched:
            value = self.__dict__.get(name)
            if isinstance(value, Tensor):
                new.__dict__[name] = value.expand(batch_shape + value.shape[dims:])
            elif value is not None:
                new.__dict__[name] = value.expand(batch_shape + value.batch_shape[dims:])
        for name in self._kept:
            new.__dict__[name] = self.__dict__[name]
        Distribution.__init__(new, batch_shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def _expanding_class(self):
        for owner in type(self).__mro__:
            if owner is not Distribution and ("_batched" in owner.__dict__ or "expand" in owner.__dict__):
                return owner
        raise NotImplementedError

    def _get_checked_instance(self, cls, _instance=None):
        """An empty instance of this class for `expand`; NotImplementedError unless the constructor is `cls`'s."""
        if _instance is not None:
            return _instance
        if type(self).__init__ is not cls.__init__:
            raise NotImplementedError(
                f"Subclass {type(self).__name__} of {cls.__name__} that defines a custom __init__ method must also "
                "define a custom .expand() method."
            )
        return self.__new__(type(self))

    @property
    def batch_shape(self):
        """The shape over which parameters are batched."""
        return self._batch_shape

    @property
    def event_shape(self):
        """The shape of one sample, without batching."""
        return self._event_shape

    @property
    def arg_constraints(self):
        """The constraint of each parameter, by name."""
        raise NotImplementedError

    @property
    def support(self):
        """The constraint that samples satisfy."""
        raise NotImplementedError

    @property
    def mean(self):
        """The mean, of shape batch_shape + event_shape."""
        raise NotImplementedError

    @property
    def mode(self):
        """The most probable value, of shape batch_shape + event_shape."""
        raise NotImplementedError(f"{type(self)} does not implement mode")

    @property
    def variance(self):
        """The variance, of shape batch_shape + event_shape."""
        raise NotImplementedError

    @property
    def stddev(self):
        """The standard deviation, of shape batch_shape + event_shape."""
        return self.variance.sqrt()

    def sample(self, sample_shape=()):
        """Samples of shape sample_shape + batch_shape + event_shape, without gradient."""
        with wengert.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape=()):
        """Samples that are differentiable functions of the parameters, where `has_rsample`."""
        raise NotImplementedError

    def sample_n(self, n):
        """`sample` with the shape (n,); deprecated."""
        warnings.warn(
            "`sample_n(n)` will be deprecated. Use `sample((n,))` instead.", FutureWarning, stacklevel=2
        )  # fmt: skip
        return self.sample((n,))

    def log_prob(self, value):
        """The logarithm of the density or probability at `value`."""
        raise NotImplementedError

    def cdf(self, value):
        """The probability of samples up to `value`."""
        raise NotImplementedError

    def icdf(self, value):
        """The quantile at the probability `value`."""
        raise NotImplementedError

    def enumerate_support(self, expand=True):
        """All values of a discrete distribution along a new first dimension.

        Args:
            expand: whether they take the batch's shape, or 1 in its place.
        """
        raise NotImplementedError

    def entropy(self):
        """The entropy, of shape batch_shape."""
        raise NotImplementedError

    def perplexity(self):
        """e to the entropy, of shape batch_shape."""
        return self.entropy().exp()

    def _extended_shape(self, sample_shape=()):
        return as_size((*sample_shape, *self._batch_shape, *self._event_shape))

    def _filled(self, value, like):
        """A moment that is the same everywhere, such as the infinite variance of Cauchy's distribution."""
        return wengert.full(self._extended_shape(), value, dtype=like.dtype)

    def _enumerated(self, values, expand):
        """`values` (n,) of a univariate distribution along a new first dimension."""
        values = values.view((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1, *self._batch_shape)) if expand else values

    def _check(self, value):
        if self._validate_args:
            self._validate_sample(value)

    def _validate_sample(self, value):
        """Raise ValueError if the shape of `value` does not fit, or an event is outside of the support."""
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        shape = value.shape
        if shape[len(shape) - len(self._event_shape) :] != self._event_shape:
            raise ValueError(f"The right-most size of value must match event_shape: {shape} vs {self._event_shape}.")
        expected = self._batch_shape + self._event_shape
        for given, own in zip(reversed(shape), reversed(expected), strict=False):
            if given != own and given != 1 and own != 1:
                raise ValueError(f"Value is not broadcastable with batch_shape+event_shape: {shape} vs {expected}.")
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{type(self)} does not define `support` to enable sample validation. Please initialize the "
                "distribution with `validate_args=False` to turn off validation.",
                stacklevel=3,
            )
            return
        if not support.check(value).all():
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(shape)}) to be within the support "
                f"({support!r}) of the distribution {self!r}, but found invalid values:\n{value}"
            )

    def __repr__(self):
        held = {name: self.__dict__[name] for name in self.arg_constraints if name in self.__dict__}
        shown = (f"{name}: {value if value.numel() == 1 else value.size()}" for name, value in held.items())
        return f"{type(self).__name__}({', '.join(shown)})"
