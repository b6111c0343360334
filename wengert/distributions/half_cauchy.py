"""The half-Cauchy distribution."""

import math

from wengert.distributions.cauchy import Cauchy
from wengert.distributions.half_normal import Half
from wengert.distributions.transforms import AbsTransform

__all__ = ["HalfCauchy"]


class HalfCauchy(Half):
    """The absolute value of a Cauchy variable of median 0 and half width `scale`."""

    _batched = ()

    def __init__(self, scale, validate_args=None):
        super().__init__(Cauchy(0, scale, validate_args=False), AbsTransform(), validate_args=validate_args)

    mean = property(lambda self: self._filled(math.inf, self.scale))
    variance = property(lambda self: self.base_dist.variance)
