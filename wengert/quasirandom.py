"""``torch.quasirandom``: points that fill the unit cube evenly, by Sobol's sequence.

Each dimension has 30 direction numbers; the next point is the last one XOR the direction number of the lowest zero bit
of the point's index (Antonov and Saleev's Gray-code order). SciPy brings the direction numbers of Joe and Kuo (2008),
which are PyTorch's. Scrambling (Owen's, in Matoušek's linear form) multiplies them by a random lower triangular matrix
of bits and shifts the points by random bits, both drawn in PyTorch's order.
"""

import numpy as np

import wengert
from wengert import random

__all__ = ["SobolEngine"]

BITS = 30
SCALE = 2.0**-BITS


class SobolEngine:
    """Draws points of a Sobol sequence.

    Args:
        dimension: of the points, up to `MAXDIM`.
        scramble: whether to randomise the sequence, keeping its evenness.
        seed: of the scrambling; by default the global generator goes on.

    Raises:
        ValueError: there is no sequence of that dimension.
        ImportError: SciPy, which has the direction numbers, is not installed.
    """

    MAXBIT = BITS
    MAXDIM = 21201

    def __init__(self, dimension, scramble=False, seed=None):
        if dimension > self.MAXDIM or dimension < 1:
            raise ValueError(f"Supported range of dimensionality for SobolEngine is [1, {self.MAXDIM}]")
        self.dimension, self.scramble, self.seed = dimension, scramble, seed
        self._directions = directions(dimension)
        self._shift = np.zeros(dimension, np.int64)
        if scramble:
            self._scramble()
        # PyTorch keeps the first point in the dtype that was default when the engine was made.
        self._first = (self._shift * SCALE).astype(wengert.get_default_dtype().numpy)
        self.num_generated = 0
        self._last = self._shift.copy()

    def _scramble(self):
        generator = None if self.seed is None else random.Generator().manual_seed(self.seed)
        shifts = wengert.randint(2, (self.dimension, BITS), generator=generator)._array
        self._shift = shifts @ (1 << np.arange(BITS))
        matrices = np.tril(wengert.randint(2, (self.dimension, BITS, BITS), generator=generator)._array)
        matrices[:, np.arange(BITS), np.arange(BITS)] = 1
        bits = self._directions[:, None, :] >> np.arange(BITS)[:, None] & 1  # (dimension, bit from the lowest, number)
        products = matrices[:, ::-1, ::-1] @ bits & 1
        self._directions = (products << np.arange(BITS)[:, None]).sum(1)

    def draw(self, n=1, out=None, dtype=None):
        """The next `n` points.

        Returns:
            a tensor (n, dimension) of `dtype` (default: the default dtype), in [0, 1).
        """
        points = np.empty((n, self.dimension))
        for row in points:
            row[:] = self._last * SCALE if self.num_generated else self._first
            self._advance()
        dtype = wengert.get_default_dtype() if dtype is None else dtype
        result = wengert.from_numpy(points).to(dtype)
        if out is None:
            return result
        return out.resize_(result.shape).copy_(result)

    def _advance(self):
        lowest_zero = (~self.num_generated & (self.num_generated + 1)).bit_length() - 1
        self._last = self._last ^ self._directions[:, lowest_zero]
        self.num_generated += 1

    def draw_base2(self, m, out=None, dtype=None):
        """The next 2^m points; ValueError where those drawn so far would not be a power of two in number."""
        n, total = 2**m, self.num_generated + 2**m
        if total & (total - 1):
            raise ValueError(
                f"The balance properties of Sobol' points require n to be a power of 2. {self.num_generated} points "
                f"have been previously generated, then: n={self.num_generated}+2**{m}={total}. If you still want to "
                "do this, please use 'SobolEngine.draw()' instead."
            )
        return self.draw(n, out, dtype)

    def reset(self):
        """Go back to the first point; returns the engine."""
        self._last, self.num_generated = self._shift.copy(), 0
        return self

    def fast_forward(self, n):
        """Leave out the next `n` points; returns the engine."""
        for _ in range(n):
            self._advance()
        return self

    def __repr__(self):
        said = [f"dimension={self.dimension}"] + ["scramble=True"] * self.scramble
        said += [] if self.seed is None else [f"seed={self.seed}"]
        return f"{type(self).__name__}({', '.join(said)})"


def directions(dimension):
    """The direction numbers, (dimension, BITS)."""
    try:
        from scipy.stats import qmc
    except ImportError as error:
        raise ImportError("SobolEngine takes its direction numbers from SciPy: pip install 'wengert[scipy]'") from error
    return np.asarray(qmc.Sobol(dimension, scramble=False, bits=BITS)._sv, np.int64)
