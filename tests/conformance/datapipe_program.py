"""Prints what DataPipes yield, by themselves and through a loader."""

import warnings

import torch
from torch.utils.data import DataLoader, IterDataPipe, functional_datapipe
from torch.utils.data.datapipes.iter import Concater, IterableWrapper, Zipper
from torch.utils.data.datapipes.map import SequenceWrapper

warnings.simplefilter("ignore")


def double(x):
    return x * 2


def odd(x):
    return x % 2 == 1


def third(x):
    return x % 3


def add(a, b):
    return a + b


def pairs():
    return IterableWrapper([(1, 2, 3), (4, 5, 6)])


@functional_datapipe("thrice")
class Thrice(IterDataPipe):
    def __init__(self, source):
        self.source = source

    def __iter__(self):
        for x in self.source:
            yield from (x, x, x)


def told(call):
    try:
        print(call())
    except Exception as error:
        print(type(error).__name__, str(error)[:38])


def main():
    numbers = IterableWrapper(range(10))
    for pipe in (
        numbers.map(double), numbers.filter(odd), numbers.batch(3), numbers.batch(3, drop_last=True),
        numbers.batch(2).batch(2), numbers.batch(2).batch(2).unbatch(), numbers.batch(2).batch(2).unbatch(-1),
        numbers.zip(IterableWrapper("abc")), numbers.concat(numbers.map(double)), numbers.mux(IterableWrapper("abcd")),
        numbers.groupby(third), numbers.groupby(third, group_size=2),
        numbers.groupby(third, buffer_size=4, group_size=3, guaranteed_group_size=1),
        numbers.groupby(third, keep_key=True), pairs().map(double, input_col=1),
        pairs().map(add, input_col=(0, 2)), pairs().map(add, input_col=(0, 2), output_col=1),
        pairs().map(double, input_col=0, output_col=-1), pairs().filter(odd, input_col=0), numbers.thrice(),
        numbers.sharding_filter(), numbers.batch(5).collate(), Concater(numbers, numbers),
        Zipper(numbers, IterableWrapper("ab")),
    ):  # fmt: skip
        print(repr(pipe), list(pipe))
        told(lambda pipe=pipe: len(pipe))
    torch.manual_seed(0)
    for pipe in (numbers.shuffle(), numbers.shuffle(buffer_size=3), numbers.batch(2).shuffle(unbatch_level=1)):
        print(list(pipe), list(pipe), list(pipe.set_seed(5)))
    print(list(numbers.shuffle().set_shuffle(False)))
    one, two = numbers.fork(2)
    print(list(zip(one, two)), list(one))
    even, uneven = numbers.demux(2, lambda x: x % 2)
    print(list(even), list(uneven))
    indexed = SequenceWrapper(list("abcdef"))
    print(indexed.map(str.upper)[2], list(indexed.batch(4)), indexed.zip(indexed)[1], indexed.concat(indexed)[7])
    torch.manual_seed(0)
    print(list(indexed.shuffle()), list(indexed.shuffle().set_seed(3)))
    for workers in (0, 2):
        torch.manual_seed(0)
        shuffled = IterableWrapper(range(12)).shuffle().sharding_filter()
        for shuffle in (None, True, False):
            loader = DataLoader(shuffled, batch_size=4, shuffle=shuffle, num_workers=workers)
            print(workers, shuffle, [batch.tolist() for batch in loader], [batch.tolist() for batch in loader])
    print([b.tolist() for b in DataLoader(SequenceWrapper(range(5)), batch_size=2)])
    first = iter(numbers)
    next(first)
    next(iter(numbers))
    told(lambda: next(first))
    for call in (
        lambda: numbers.batch(0), lambda: list(numbers.filter(double)), lambda: numbers.unknown(),
        lambda: numbers.fork(0), lambda: numbers.map(add), lambda: numbers.shuffle(buffer_size=0), Concater,
        lambda: Zipper(3), lambda: indexed.batch(4)[5], lambda: list(numbers.demux(2, lambda x: 7)[0]),
        lambda: numbers.groupby(third, group_size=0), lambda: list(numbers.unbatch(1)),
        lambda: functional_datapipe("map")(Thrice), lambda: functional_datapipe("other")(int),
        lambda: pairs().map(double, output_col=1), lambda: numbers.fork(2, copy="other"),
    ):  # fmt: skip
        told(call)


if __name__ == "__main__":
    main()
