"""What all DataPipes have in common: they are known by names as methods of each other, and one iterator at a time."""

import functools
import inspect
import random

import wengert
from wengert.utils.data.dataset import Dataset, IterableDataset

__all__ = ["DataChunk", "IterDataPipe", "MapDataPipe", "functional_datapipe"]

INVALIDATED = (
    "This iterator has been invalidated because another iterator has been created from the same IterDataPipe: {}\n"
    "This may be caused by multiple references to the same IterDataPipe. We recommend using `.fork()` if that is "
    "necessary."
)


class Pipe:
    """A dataset with the registered classes as methods: ``pipe.map(fn)`` is ``Mapper(pipe, fn)``."""

    functions: dict = {}

    def __getattr__(self, name):
        if name in type(self).functions:
            return functools.partial(type(self).functions[name], self)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    @classmethod
    def register_function(cls, function_name, function):
        """Make `function`, which takes a pipe first, the method `function_name` of all pipes."""
        cls.functions[function_name] = function

    @classmethod
    def register_datapipe_as_function(cls, function_name, cls_to_register, enable_df_api_tracing=False):
        """Make a class of pipes the method `function_name` of all pipes; raises Exception for a name that is taken."""
        if function_name in cls.functions:
            raise Exception(f"Unable to add DataPipe function name {function_name} as it is already taken")
        cls.functions[function_name] = cls_to_register

    def __reduce_ex__(self, protocol):
        return object.__reduce_ex__(self, protocol)

    def __repr__(self):
        return type(self).__qualname__

    __str__ = __repr__

    def __dir__(self):
        return sorted({*super().__dir__(), *type(self).functions})

    # --- what a loader asks of the whole graph ------------------------------------------------------------------------

    def _sources(self):
        """The pipes that this one reads."""
        found = []
        for value in vars(self).values():
            values = value if isinstance(value, (tuple, list)) else (value,)
            found += [v for v in values if isinstance(v, Pipe)]
        return found

    def _graph(self, seen=None):
        """This pipe and all before it, each once."""
        seen = {} if seen is None else seen
        if id(self) not in seen:
            seen[id(self)] = self
            for source in self._sources():
                source._graph(seen)
        return list(seen.values())

    def _seeded(self, generator):
        """Seed everything that draws, from `generator`; returns the pipe to read."""
        for pipe in self._graph():
            if hasattr(type(pipe), "set_seed"):
                pipe.set_seed(int(wengert.empty((), dtype=wengert.int64).random_(generator=generator).item()))
        return self

    def _ordered(self, shuffle):
        """Switch shuffling on or off everywhere (None: as it is); returns the pipe to read."""
        if shuffle is None:
            return self
        shufflers = [pipe for pipe in self._graph() if hasattr(type(pipe), "set_shuffle")]
        for pipe in shufflers:
            pipe.set_shuffle(shuffle)
        return self.shuffle() if shuffle and not shufflers else self

    def _for_worker(self, number, count):
        """Have the sharding filters keep the share of one worker of `count`."""
        for pipe in self._graph():
            if hasattr(type(pipe), "apply_sharding"):
                pipe.apply_sharding(count, number)


class IterDataPipe(Pipe, IterableDataset):
    """A pipe that is iterated over. A second iterator over the same pipe ends the first."""

    functions: dict = {}
    _valid_iterator_id = None
    _number_of_samples_yielded = 0

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "__iter__" in vars(cls):
            cls.__iter__ = one_at_a_time(cls.__iter__)

    def reset(self):
        """Called when iteration begins again."""


class Shuffling:
    """What pipes that draw an order share: a generator, seeded at the start of each iteration from the global one, or
    with what the program gave.
    """

    def begin_unseeded(self):
        self._enabled, self._seed, self._rng = True, None, random.Random()

    def set_shuffle(self, shuffle=True):
        """Switch shuffling on or off; returns the pipe."""
        self._enabled = shuffle
        return self

    def set_seed(self, seed):
        """Seed the next iteration; returns the pipe."""
        self._seed = seed
        return self

    def reset(self):
        if self._enabled:
            if self._seed is None:
                self._seed = int(wengert.empty((), dtype=wengert.int64).random_().item())
            self._rng.seed(self._seed)
            self._seed = None


def one_at_a_time(function):
    """An ``__iter__`` whose earlier iterators raise RuntimeError once there is a later one."""

    @functools.wraps(function)
    def begin(self):
        if self._valid_iterator_id is not None:
            self.reset()
            self._valid_iterator_id += 1
        else:
            self._valid_iterator_id = 0
            self.reset()
        self._number_of_samples_yielded = 0
        return guarded(self, function(self), self._valid_iterator_id)

    return begin


def guarded(pipe, iterator, number):
    for sample in iterator:
        if pipe._valid_iterator_id != number:
            raise RuntimeError(INVALIDATED.format(described(pipe)))
        pipe._number_of_samples_yielded += 1
        yield sample
        if pipe._valid_iterator_id != number:
            raise RuntimeError(INVALIDATED.format(described(pipe)))


def described(pipe):
    """A pipe with its arguments."""
    names = list(inspect.signature(type(pipe).__init__).parameters)[1:]
    parts = [f"{name}={vars(pipe)[name]}" for name in sorted(names) if name in vars(pipe)]
    return f"{type(pipe).__qualname__}({', '.join(parts)})"


class MapDataPipe(Pipe, Dataset):
    """A pipe that is read by index."""

    functions: dict = {}


class functional_datapipe:
    """Decorate a class of pipes so that it is the method `name` of all pipes of its kind; others stay as they are."""

    def __init__(self, name, enable_df_api_tracing=False):
        self.name = name

    def __call__(self, cls):
        for kind in (IterDataPipe, MapDataPipe):
            if isinstance(cls, type) and issubclass(cls, kind):
                kind.register_datapipe_as_function(self.name, cls)
        return cls


class DataChunk(list):
    """A batch that a pipe has made, a list."""

    def __init__(self, items):
        items = list(items)
        super().__init__(items)
        self.items = items

    def as_str(self, indent=""):
        """The items, between brackets."""
        return f"{indent}[{', '.join(str(item) for item in iter(self))}]"

    def raw_iterator(self):
        """The items as they are."""
        yield from self.items


def number_of_arguments(function, count, name):
    """Raise ValueError unless `function` can be called with so many positional arguments."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    parameters = signature.parameters.values()
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in positional if p.default is p.empty]
    keywords = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    shown = getattr(function, "__name__", repr(function))
    if keywords:
        raise ValueError(f"The function {shown} takes {len(keywords)} non-default keyword-only parameters")
    if not len(needed) <= count <= len(positional):
        takes = len(needed) if count < len(needed) else len(positional)
        raise ValueError(f"The function {shown} takes {takes} positional parameters, but {count} are required.")
