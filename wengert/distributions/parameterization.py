"""Two ways to give one parameter: `probs` or `logits`, one given, the other derived when asked for."""

from wengert.distributions.utils import broadcast_all, lazy_property, logits_to_probs, probs_to_logits


def given_one(probs, logits):
    """The name of the one that is given; raises ValueError for none or both."""
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")
    return "logits" if probs is None else "probs"


class OfCategorical:
    """Passes on what belongs to the categorical distribution within, `_categorical`."""

    probs = property(lambda self: self._categorical.probs)
    logits = property(lambda self: self._categorical.logits)
    param_shape = property(lambda self: self._categorical.param_shape)
    _param = property(lambda self: self._categorical._param)

    def _new(self, *args, **kwargs):
        return self._param.new(*args, **kwargs)


class Binary:
    """`probs` of one event, or its log odds `logits`."""

    _is_binary = True

    @lazy_property
    def logits(self):
        """Log odds, or log probabilities along the last dimension."""
        return probs_to_logits(self.probs, is_binary=self._is_binary)

    @lazy_property
    def probs(self):
        """Probabilities."""
        return logits_to_probs(self.logits, is_binary=self._is_binary)

    def _take(self, probs, logits, *others):
        """Keep the one that is given, broadcast with `others`; returns those."""
        self._given = given_one(probs, logits)
        *others, param = broadcast_all(*others, logits if probs is None else probs)
        self.__dict__[self._given] = param
        return [other.type_as(param) for other in others]

    @property
    def _param(self):
        return self.__dict__[self._given]

    @property
    def param_shape(self):
        """The shape of the parameter."""
        return self._param.size()

    def _new(self, *args, **kwargs):
        return self._param.new(*args, **kwargs)
