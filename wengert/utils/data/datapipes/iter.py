"""Pipes that are iterated over."""

import copy
import fnmatch
import functools
import os
import warnings
from collections import deque

from wengert.outside import outside
from wengert.utils.data._utils.collate import default_collate
from wengert.utils.data.datapipes.datapipe import (
    DataChunk,
    IterDataPipe,
    Shuffling,
    functional_datapipe,
    number_of_arguments,
)
from wengert.utils.data.sampler import SequentialSampler


class IterableWrapperIterDataPipe(IterDataPipe):
    """The elements of an iterable, copied deeply for each iteration unless `deepcopy` is False."""

    def __init__(self, iterable, deepcopy=True):
        self.iterable, self.deepcopy = iterable, deepcopy

    def __iter__(self):
        source = self.iterable
        if self.deepcopy:
            try:
                source = copy.deepcopy(source)
            except TypeError:
                warnings.warn(
                    "The input iterable can not be deepcopied, please be aware of in-place modification would affect "
                    "source data.",
                    stacklevel=3,
                )
        yield from source

    def __len__(self):
        return len(self.iterable)


# --- one sample at a time ---------------------------------------------------------------------------------------------


@functional_datapipe("map")
class MapperIterDataPipe(IterDataPipe):
    """``fn(sample)``; with `input_col`, of that element of each sample (or of several), put into `output_col`."""

    def __init__(self, datapipe, fn, input_col=None, output_col=None):
        if input_col is None and output_col is not None:
            raise ValueError("`output_col` must be None when `input_col` is None.")
        if isinstance(output_col, (list, tuple)):
            if len(output_col) > 1:
                raise ValueError("`output_col` must be a single-element list or tuple")
            output_col = output_col[0]
        number_of_arguments(fn, len(input_col) if isinstance(input_col, (list, tuple)) else 1, "fn")
        self.datapipe, self.fn, self.input_col, self.output_col = datapipe, fn, input_col, output_col

    def _apply_fn(self, data):
        if self.input_col is None:
            return self.fn(data)
        several = isinstance(self.input_col, (list, tuple))
        result = self.fn(*(data[c] for c in self.input_col)) if several else self.fn(data[self.input_col])
        as_tuple = isinstance(data, tuple)
        data = list(data) if as_tuple else copy.copy(data)
        if self.output_col is None:
            place = self.input_col[0] if several else self.input_col
            data[place] = result
            for column in sorted(self.input_col[1:], reverse=True) if several else ():
                del data[column]
        elif self.output_col == -1:
            data.append(result)
        else:
            data[self.output_col] = result
        return tuple(data) if as_tuple else data

    def __iter__(self):
        for data in self.datapipe:
            yield self._apply_fn(data)

    def __len__(self):
        return len(self.datapipe)


@functional_datapipe("filter")
class FilterIterDataPipe(IterDataPipe):
    """The samples of which ``filter_fn(sample)`` is True; with `input_col`, ``filter_fn(sample[input_col])``."""

    def __init__(self, datapipe, filter_fn, input_col=None):
        number_of_arguments(filter_fn, len(input_col) if isinstance(input_col, (list, tuple)) else 1, "filter_fn")
        self.datapipe, self.filter_fn, self.input_col = datapipe, filter_fn, input_col

    def __iter__(self):
        for data in self.datapipe:
            if self.input_col is None:
                answer = self.filter_fn(data)
            elif isinstance(self.input_col, (list, tuple)):
                answer = self.filter_fn(*(data[c] for c in self.input_col))
            else:
                answer = self.filter_fn(data[self.input_col])
            if not isinstance(answer, bool):
                raise ValueError(
                    "Boolean output is required for `filter_fn` of FilterIterDataPipe, got", type(answer)
                )
            if answer:
                yield data


@functional_datapipe("collate")
class CollatorIterDataPipe(MapperIterDataPipe):
    """Batches as tensors, by `default_collate` or another function."""

    def __init__(self, datapipe, conversion=None, collate_fn=None):
        if isinstance(conversion, dict):
            raise NotImplementedError("collate(): a conversion by columns is for data frames, which wengert has not")
        super().__init__(datapipe, collate_fn or conversion or default_collate)


# --- batches ----------------------------------------------------------------------------------------------------------


@functional_datapipe("batch")
class BatcherIterDataPipe(IterDataPipe):
    """Lists of `batch_size` samples; the last may be shorter unless `drop_last`."""

    def __init__(self, datapipe, batch_size, drop_last=False, wrapper_class=DataChunk):
        if batch_size <= 0:
            raise AssertionError("Batch size is required to be larger than 0!")
        self.datapipe, self.batch_size, self.drop_last = datapipe, batch_size, drop_last
        self.wrapper_class = wrapper_class

    def __iter__(self):
        batch = []
        for sample in self.datapipe:
            batch.append(sample)
            if len(batch) == self.batch_size:
                yield self.wrapper_class(batch)
                batch = []
        if batch and not self.drop_last:
            yield self.wrapper_class(batch)

    def __len__(self):
        count = len(self.datapipe)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)


@functional_datapipe("unbatch")
class UnBatcherIterDataPipe(IterDataPipe):
    """The samples inside of lists, `unbatch_level` levels down (-1: all)."""

    def __init__(self, datapipe, unbatch_level=1):
        self.datapipe, self.unbatch_level = datapipe, unbatch_level

    def __iter__(self):
        for element in self.datapipe:
            yield from self._dive(element, self.unbatch_level)

    def _dive(self, element, level):
        if level < -1:
            raise ValueError("unbatch_level must be -1 or >= 0")
        if level == -1:
            if isinstance(element, (list, DataChunk)):
                for item in element:
                    yield from self._dive(item, -1)
            else:
                yield element
        elif level == 0:
            yield element
        elif isinstance(element, (list, DataChunk)):
            for item in element:
                yield from self._dive(item, level - 1)
        else:
            raise IndexError(f"unbatch_level {self.unbatch_level} exceeds the depth of the DataPipe")


@functional_datapipe("groupby")
class GrouperIterDataPipe(IterDataPipe):
    """Lists of samples with the same key, at most `group_size` long, from a buffer of `buffer_size` samples.

    Args:
        keep_key: yield (key, list) instead.
        unbatch_level: take samples from lists first.
        guaranteed_group_size: shorter groups that leave a full buffer are an error, or left out with `drop_remaining`.
    """

    def __init__(self, datapipe, group_key_fn, *, keep_key=False, buffer_size=10000, group_size=None,
                 guaranteed_group_size=None, drop_remaining=False):  # fmt: skip
        if group_size is not None and buffer_size is not None and not 0 < group_size <= buffer_size:
            raise AssertionError("group_size must be > 0 and <= buffer_size")
        if guaranteed_group_size is not None and (
            group_size is None or not 0 < guaranteed_group_size <= group_size
        ):
            raise AssertionError("guaranteed_group_size must be > 0 and <= group_size and group_size must be set")
        self.datapipe, self.group_key_fn, self.keep_key = datapipe, group_key_fn, keep_key
        self.max_buffer_size, self.group_size = buffer_size, group_size
        self.guaranteed_group_size = group_size if guaranteed_group_size is None else guaranteed_group_size
        self.drop_remaining = drop_remaining
        self.wrapper_class = DataChunk
        if group_size is None or buffer_size is None:
            self.guaranteed_group_size = guaranteed_group_size

    def _group(self, key, samples):
        chunk = self.wrapper_class(samples)
        return (key, chunk) if self.keep_key else chunk

    def __iter__(self):
        groups, held = {}, 0
        for sample in self.datapipe:
            key = self.group_key_fn(sample)
            groups.setdefault(key, []).append(sample)
            held += 1
            if self.group_size is not None and len(groups[key]) == self.group_size:
                held -= self.group_size
                yield self._group(key, groups.pop(key))
            if held == self.max_buffer_size:
                largest = max(groups, key=lambda k: len(groups[k]))
                samples = groups.pop(largest)
                held -= len(samples)
                if self.guaranteed_group_size is None or len(samples) >= self.guaranteed_group_size:
                    yield self._group(largest, samples)
                elif not self.drop_remaining:
                    raise RuntimeError("Failed to group items", str(samples))
        for key in list(groups):
            samples = groups.pop(key)
            if self.drop_remaining and self.guaranteed_group_size and len(samples) < self.guaranteed_group_size:
                continue
            yield self._group(key, samples)


# --- order ------------------------------------------------------------------------------------------------------------


@functional_datapipe("shuffle")
class ShufflerIterDataPipe(Shuffling, IterDataPipe):
    """Each sample drawn from a buffer of `buffer_size`, in place of which the next comes; lists taken apart first."""

    def __init__(self, datapipe, *, buffer_size=10000, unbatch_level=0):
        if buffer_size <= 0:
            raise AssertionError("buffer_size should be larger than 0")
        self.datapipe = datapipe if unbatch_level == 0 else datapipe.unbatch(unbatch_level=unbatch_level)
        self.buffer_size = buffer_size
        self.begin_unseeded()

    def __iter__(self):
        if not self._enabled:
            yield from self.datapipe
            return
        buffer = []
        for sample in self.datapipe:
            if len(buffer) == self.buffer_size:
                place = self._rng.randint(0, len(buffer) - 1)
                drawn, buffer[place] = buffer[place], sample
                yield drawn
            else:
                buffer.append(sample)
        while buffer:
            yield buffer.pop(self._rng.randint(0, len(buffer) - 1))

    def __len__(self):
        return len(self.datapipe)


class SamplerIterDataPipe(IterDataPipe):
    """What a sampler yields of a pipe."""

    def __init__(self, datapipe, sampler=SequentialSampler, sampler_args=None, sampler_kwargs=None):
        self.datapipe = datapipe
        self.sampler = sampler(*(sampler_args or ()), data_source=datapipe, **(sampler_kwargs or {}))

    def __iter__(self):
        return iter(self.sampler)

    def __len__(self):
        return len(self.sampler)


@functional_datapipe("sharding_filter")
class ShardingFilterIterDataPipe(IterDataPipe):
    """The share of one of several readers: every n-th sample."""

    def __init__(self, source_datapipe, sharding_group_filter=None):
        self.refuse_groups(sharding_group_filter)
        self.source_datapipe, self.sharding_group_filter = source_datapipe, sharding_group_filter
        self.num_of_instances, self.instance_id = 1, 0

    @staticmethod
    def refuse_groups(group):
        if group is not None:
            raise NotImplementedError("sharding_filter(): all readers are of one group; shares by group are not there")

    def is_shardable(self):
        return True

    def apply_sharding(self, num_of_instances, instance_id, sharding_group=None):
        """Keep the samples whose number leaves `instance_id` over when divided by `num_of_instances`."""
        self.refuse_groups(sharding_group)
        if instance_id >= num_of_instances:
            raise ValueError(
                f"instance_id({instance_id}) should be smaller than num_of_instances({num_of_instances})"
            )
        self.num_of_instances, self.instance_id = num_of_instances, instance_id

    def __iter__(self):
        for i, item in enumerate(self.source_datapipe):
            if i % self.num_of_instances == self.instance_id:
                yield item

    def __len__(self):
        count, shares = len(self.source_datapipe), self.num_of_instances
        return count // shares + (self.instance_id < count % shares)


# --- several pipes ----------------------------------------------------------------------------------------------------


def must_be_pipes(pipes, name):
    if not all(isinstance(pipe, IterDataPipe) for pipe in pipes):
        raise TypeError(f"All inputs are required to be `IterDataPipe` for `{name}`.")


@functional_datapipe("concat")
class ConcaterIterDataPipe(IterDataPipe):
    """One pipe after the other."""

    def __init__(self, *datapipes):
        if not datapipes:
            raise ValueError("Expected at least one DataPipe, but got nothing")
        must_be_pipes(datapipes, "Concater")
        self.datapipes = datapipes

    def __iter__(self):
        for pipe in self.datapipes:
            yield from pipe

    def __len__(self):
        return sum(map(len, self.datapipes))


@functional_datapipe("zip")
class ZipperIterDataPipe(IterDataPipe):
    """Tuples of one sample of each pipe, until the shortest ends."""

    def __init__(self, *datapipes):
        must_be_pipes(datapipes, "ZipIterDataPipe")
        self.datapipes = datapipes

    def __iter__(self):
        yield from zip(*self.datapipes, strict=False)

    def __len__(self):
        return min(map(len, self.datapipes))


@functional_datapipe("mux")
class MultiplexerIterDataPipe(IterDataPipe):
    """One sample of each pipe in turn, until the shortest ends."""

    def __init__(self, *datapipes):
        self.datapipes = datapipes

    def __iter__(self):
        for samples in zip(*self.datapipes, strict=False):
            yield from samples

    def __len__(self):
        return min(map(len, self.datapipes)) * len(self.datapipes)


class Shared:
    """A pipe that several others read, each at its own pace; what some have yet to read is kept.

    Args:
        count: how many read.
        goes_to: a function from a sample to the numbers of those that get it.
        limit: how many samples may be kept (-1: any number).
    """

    def __init__(self, source, count, goes_to, limit):
        self.source, self.count, self.goes_to, self.limit = source, count, goes_to, limit
        self.begun = set(range(count))
        self.start()

    def start(self):
        self.iterator = None
        self.waiting = [deque() for _ in range(self.count)]

    def read(self, number):
        if number in self.begun:  # a second time: everybody begins anew
            self.start()
            self.begun = set()
        self.begun.add(number)
        queue = self.waiting[number]
        while True:
            if queue:
                yield queue.popleft()
                continue
            if self.iterator is None:
                self.iterator = iter(self.source)
            try:
                sample = next(self.iterator)
            except StopIteration:
                return
            for place in self.goes_to(sample):
                self.waiting[place].append(sample)
            if self.limit >= 0 and max(map(len, self.waiting)) > self.limit + 1:
                raise BufferError(
                    f"DataPipe buffer overflow: more than {self.limit} samples wait for another reader. Read the "
                    "pipes at the same pace, or give a larger buffer_size."
                )


class ReaderIterDataPipe(IterDataPipe):
    """One of the pipes that read a `Shared` one."""

    def __init__(self, main_datapipe, shared, instance_id, copied=None):
        self.main_datapipe, self.shared, self.instance_id, self.copied = main_datapipe, shared, instance_id, copied

    def __iter__(self):
        for sample in self.shared.read(self.instance_id):
            yield sample if self.copied is None else self.copied(sample)

    def __len__(self):
        return len(self.main_datapipe)


class Sharing:
    """What makes several pipes of one, so that the class is called like a pipe's."""

    def __new__(cls, *args, **kwargs):
        return cls.readers(*args, **kwargs)


COPIES = {None: None, "shallow": copy.copy, "deep": copy.deepcopy}


class ForkerIterDataPipe(Sharing):
    """`num_instances` pipes that each yield all samples of one."""

    @staticmethod
    def readers(datapipe, num_instances, buffer_size=1000, copy=None):
        if num_instances < 1:
            raise ValueError(f"Expected `num_instances` larger than 0, but {num_instances} is found")
        if copy not in COPIES:
            raise ValueError(f"Unknown copy method `{copy}` requested, choose one of None, `shallow` or `deep`.")
        if num_instances == 1:
            return [datapipe]
        everybody = range(num_instances)
        shared = Shared(datapipe, num_instances, lambda sample: everybody, buffer_size)
        return [ReaderIterDataPipe(datapipe, shared, i, COPIES[copy]) for i in everybody]


class DemultiplexerIterDataPipe(Sharing):
    """`num_instances` pipes, each with the samples for which `classifier_fn` gives its number (or None, for none)."""

    @staticmethod
    def readers(datapipe, num_instances, classifier_fn, drop_none=False, buffer_size=1000):
        if num_instances < 1:
            raise ValueError(f"Expected `num_instances` larger than 0, but {num_instances} is found")

        def goes_to(sample):
            place = classifier_fn(sample)
            if place is None and drop_none:
                return ()
            if place is None or not 0 <= place < num_instances:
                raise ValueError(
                    f"Output of the classification fn should be between 0 and {num_instances - 1}. {place} is returned."
                )
            return (place,)

        shared = Shared(datapipe, num_instances, goes_to, buffer_size)
        return [ReaderIterDataPipe(datapipe, shared, i) for i in range(num_instances)]


IterDataPipe.register_function("fork", ForkerIterDataPipe)
IterDataPipe.register_function("demux", DemultiplexerIterDataPipe)


# --- files ------------------------------------------------------------------------------------------------------------


@functional_datapipe("list_files")
class FileListerIterDataPipe(IterDataPipe):
    """The paths of the files in folders, those whose names match `masks`, in order."""

    def __init__(self, root=".", masks="", *, recursive=False, abspath=False, non_deterministic=False, length=-1):
        roots = [root] if isinstance(root, str) else root
        self.datapipe = roots if isinstance(roots, IterDataPipe) else IterableWrapperIterDataPipe(roots)
        self.masks = [masks] if isinstance(masks, str) else list(masks)
        self.recursive, self.abspath, self.length = recursive, abspath, length

    def __iter__(self):
        for folder in self.datapipe:
            for here, folders, files in os.walk(folder):
                folders.sort()
                for file in sorted(files):
                    if not any(self.masks) or any(fnmatch.fnmatch(file, mask) for mask in self.masks):
                        path = os.path.join(here, file)
                        yield os.path.abspath(path) if self.abspath else path
                if not self.recursive:
                    break

    def __len__(self):
        if self.length == -1:
            raise TypeError(f"{type(self).__name__} instance doesn't have valid length")
        return self.length


@functional_datapipe("open_files")
class FileOpenerIterDataPipe(IterDataPipe):
    """(path, open file) of each path."""

    def __init__(self, datapipe, mode="r", encoding=None, length=-1):
        if mode not in ("b", "t", "rb", "rt", "r"):
            raise ValueError(f"Invalid mode {mode}")
        if "b" in mode and encoding is not None:
            raise ValueError("binary mode doesn't take an encoding argument")
        self.datapipe, self.encoding, self.length = datapipe, encoding, length
        self.mode = mode if mode.startswith("r") else "r" + mode

    def __iter__(self):
        for path in self.datapipe:
            if not isinstance(path, str):
                raise TypeError(f"Expected string type for pathname, but got {type(path)}")
            yield path, open(path, self.mode, encoding=self.encoding)  # noqa: SIM115, the program closes it

    def __len__(self):
        if self.length == -1:
            raise TypeError(f"{type(self).__name__} instance doesn't have valid length")
        return self.length


@functional_datapipe("read_from_stream")
class StreamReaderIterDataPipe(IterDataPipe):
    """(path, bytes) of each (path, open file), `chunk` bytes at a time or all at once."""

    def __init__(self, datapipe, chunk=None):
        self.datapipe, self.chunk = datapipe, chunk

    def __iter__(self):
        for path, stream in self.datapipe:
            read = functools.partial(stream.read, *(() if self.chunk is None else (self.chunk,)))
            while data := read():
                yield path, data


# Under these names programs know them.
PUBLIC = {name.removesuffix("IterDataPipe"): kind for name, kind in list(globals().items())
          if name.endswith("IterDataPipe") and name not in ("IterDataPipe", "ReaderIterDataPipe")}  # fmt: skip
__all__ = sorted(PUBLIC)  # noqa: PLE0605, made of the table
globals().update(PUBLIC)

__getattr__ = outside(__name__)
