"""Samplers: the order in which a loader reads a dataset, as an iterable of indices or of lists of indices.

Where a sampler draws random numbers, and when, decides which numbers everything after it draws; both are PyTorch's.
"""

import itertools
from typing import Generic, TypeVar

import wengert

__all__ = [
    "BatchSampler", "RandomSampler", "Sampler", "SequentialSampler", "SubsetRandomSampler", "WeightedRandomSampler",
]  # fmt: skip

Index = TypeVar("Index", covariant=True)


class Sampler(Generic[Index]):
    """Base of all samplers: subclasses define ``__iter__``, and ``__len__`` where they know it."""

    def __iter__(self):
        raise NotImplementedError


def draw_seed(generator=None):
    """A random seed, an int of 63 bits."""
    return wengert.empty((), dtype=wengert.int64).random_(generator=generator).item()


class SequentialSampler(Sampler[int]):
    """0, 1, 2, ... up to the length of `data_source`."""

    def __init__(self, data_source):
        self.data_source = data_source

    def __iter__(self):
        return iter(range(len(self.data_source)))

    def __len__(self):
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """Indices of `data_source` in random order.

    Args:
        data_source: anything with a length.
        replacement: whether an index may come more than once.
        num_samples: how many to draw; default the length. Without replacement, one permutation follows another.
        generator: source of the numbers; by default a new one, seeded from the default generator when iteration begins.

    Raises:
        TypeError, ValueError: `replacement` is no bool, or `num_samples` no positive int.
    """

    def __init__(self, data_source, replacement=False, num_samples=None, generator=None):
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement should be a boolean value, but got replacement={replacement}")
        if not isinstance(self.num_samples, int) or self.num_samples <= 0:
            raise ValueError(
                f"num_samples should be a positive integer value, but got num_samples={self.num_samples}"
            )

    @property
    def num_samples(self):
        """How many indices one iteration gives; follows the length of a dataset that grows."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self):
        generator = self.generator
        if generator is None:
            generator = wengert.Generator().manual_seed(draw_seed())
        count, total = len(self.data_source), self.num_samples
        if self.replacement:  # in blocks of 32, as PyTorch draws them
            for block in itertools.chain(itertools.repeat(32, total // 32), (total % 32,)):
                yield from wengert.randint(count, (block,), dtype=wengert.int64, generator=generator).tolist()
        else:
            for _ in range(total // count):
                yield from wengert.randperm(count, generator=generator).tolist()
            # Drawn even if nothing of it is needed: the generator must end where PyTorch's does.
            yield from wengert.randperm(count, generator=generator).tolist()[: total % count]

    def __len__(self):
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The given `indices` in random order."""

    def __init__(self, indices, generator=None):
        self.indices = indices
        self.generator = generator

    def __iter__(self):
        for place in wengert.randperm(len(self.indices), generator=self.generator).tolist():
            yield self.indices[place]

    def __len__(self):
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Indices drawn with given probabilities.

    Args:
        weights: one number for each index; their sum need not be 1.
        num_samples: how many to draw.
        replacement: whether an index may come more than once.
        generator: source of the numbers.

    Raises:
        ValueError: weights not one-dimensional, `num_samples` no positive int, or `replacement` no bool.
    """

    def __init__(self, weights, num_samples, replacement=True, generator=None):
        _check_count("num_samples", num_samples)
        _check_bool("replacement", replacement)
        self.weights = wengert.as_tensor(weights, dtype=wengert.float64)
        if self.weights.dim() != 1:
            raise ValueError(
                f"weights should be a 1d sequence but given weights have shape {tuple(self.weights.shape)}"
            )
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self):
        yield from wengert.multinomial(
            self.weights, self.num_samples, self.replacement, generator=self.generator
        ).tolist()

    def __len__(self):
        return self.num_samples


class BatchSampler(Sampler[list]):
    """Lists of `batch_size` indices of another sampler.

    Args:
        sampler: any iterable.
        batch_size: how many to a list.
        drop_last: whether to leave out a last list that is shorter.

    Raises:
        ValueError: `batch_size` is no positive int, or `drop_last` no bool.
    """

    def __init__(self, sampler, batch_size, drop_last):
        _check_count("batch_size", batch_size)
        _check_bool("drop_last", drop_last)
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self):
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self):
        full, rest = divmod(len(self.sampler), self.batch_size)
        return full + (rest > 0 and not self.drop_last)


def _check_count(name, value):
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{name} should be a positive integer value, but got {name}={value}")


def _check_bool(name, value):
    if not isinstance(value, bool):
        raise ValueError(f"{name} should be a boolean value, but got {name}={value}")
