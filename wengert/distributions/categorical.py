"""The categorical distribution."""

import math

import wengert
from wengert.distributions import constraints
from wengert.distributions.distribution import Distribution
from wengert.distributions.parameterization import Binary, given_one
from wengert.distributions.utils import as_size

__all__ = ["Categorical"]


class Categorical(Binary, Distribution):
    """Integers 0 .. K - 1 with the probabilities `probs` (..., K), or e to the `logits`, normalized or not."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True
    _is_binary = False
    _batched = ("probs", "logits")
    _kept = ("_given", "_num_events")

    def __init__(self, probs=None, logits=None, validate_args=None):
        self._given = given_one(probs, logits)
        given = logits if probs is None else probs
        if given.dim() < 1:
            raise ValueError(f"`{self._given}` parameter must be at least one-dimensional.")
        if probs is None:
            self.logits = logits - logits.logsumexp(-1, keepdim=True)
        else:
            self.probs = probs / probs.sum(-1, keepdim=True)
        self._num_events = given.shape[-1]
        super().__init__(given.shape[:-1], validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self):
        return constraints.integer_interval(0, self._num_events - 1)

    mean = property(lambda self: self._filled(math.nan, self.probs))
    mode = property(lambda self: self.probs.argmax(-1))
    variance = property(lambda self: self._filled(math.nan, self.probs))

    def sample(self, sample_shape=()):
        sample_shape = as_size(sample_shape)
        rows = self.probs.reshape(-1, self._num_events)
        return wengert.multinomial(rows, sample_shape.numel(), True).T.reshape(self._extended_shape(sample_shape))

    def log_prob(self, value):
        self._check(value)
        index, log_probs = wengert.broadcast_tensors(value.long().unsqueeze(-1), self.logits)
        return log_probs.gather(-1, index[..., :1]).squeeze(-1)

    def entropy(self):
        # a probability of 0 has the logit -inf, and contributes 0
        logits = self.logits.clamp(min=wengert.finfo(self.logits.dtype).min)
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand=True):
        return self._enumerated(wengert.arange(self._num_events), expand)
