"""DataPipes: datasets put together from small ones."""

import pickle

import pytest

import wengert as torch
from wengert.utils.data import DataLoader, IterDataPipe, functional_datapipe
from wengert.utils.data.datapipes.iter import FileLister, IterableWrapper
from wengert.utils.data.datapipes.map import SequenceWrapper


def double(x):
    return 2 * x


def small(x):
    return x < 6


def test_pipes_are_methods_of_each_other():
    pipe = IterableWrapper(range(6)).map(double).filter(small).batch(2)
    assert list(pipe) == [[0, 2], [4]]
    assert list(pipe.unbatch()) == [0, 2, 4]
    assert list(pickle.loads(pickle.dumps(pipe))) == [[0, 2], [4]]


def test_a_program_adds_its_own():
    @functional_datapipe("repeated_in_a_test")
    class Repeated(IterDataPipe):
        def __init__(self, source, times):
            self.source, self.times = source, times

        def __iter__(self):
            for x in self.source:
                yield from [x] * self.times

    assert list(IterableWrapper([1, 2]).repeated_in_a_test(2)) == [1, 1, 2, 2]
    with pytest.raises(Exception, match="already taken"):
        functional_datapipe("repeated_in_a_test")(Repeated)


def test_a_second_iterator_ends_the_first():
    pipe = IterableWrapper(range(3))
    first = iter(pipe)
    assert next(first) == 0
    assert next(iter(pipe)) == 0
    with pytest.raises(RuntimeError, match="has been invalidated"):
        next(first)


def test_shuffling_is_seeded_and_switched_by_the_loader():
    pipe = IterableWrapper(range(20)).shuffle()
    torch.manual_seed(0)
    first = list(pipe)
    assert sorted(first) == list(range(20)) != first
    torch.manual_seed(0)
    assert list(pipe) == first
    assert [int(x) for x in DataLoader(pipe, shuffle=False)] == list(range(20))


def test_workers_share_the_samples():
    pipe = IterableWrapper(range(7)).shuffle().sharding_filter()
    found = [int(x) for batch in DataLoader(pipe, batch_size=2, num_workers=2) for x in batch]
    assert sorted(found) == list(range(7))
    with pytest.raises(NotImplementedError, match="persistent_workers"):
        iter(DataLoader(pipe, num_workers=1, persistent_workers=True))


def test_readers_of_one_pipe_go_at_their_own_pace():
    one, two = IterableWrapper(range(5)).fork(2, buffer_size=2)
    begun = iter(one)
    assert [next(begun) for _ in range(2)] == [0, 1]
    assert next(iter(two)) == 0
    with pytest.raises(BufferError, match="overflow"):
        list(begun)


def test_files_are_listed_opened_and_read(tmp_path):
    for name in ("b.txt", "a.txt", "c.bin"):
        (tmp_path / name).write_text(name)
    pipe = FileLister(str(tmp_path), "*.txt")
    read = [text for _, text in pipe.open_files(mode="r").read_from_stream()]
    assert read == ["a.txt", "b.txt"]


def test_pipes_read_by_index():
    pipe = SequenceWrapper("abc").map(str.upper)
    assert pipe[1] == "B"
    assert list(pipe.batch(2)[1]) == ["C"]


def test_shares_by_group_of_readers_are_refused():
    pipe = IterableWrapper(range(4))
    with pytest.raises(NotImplementedError, match="group"):
        pipe.sharding_filter(sharding_group_filter=1)
    with pytest.raises(NotImplementedError, match="group"):
        pipe.sharding_filter().apply_sharding(2, 0, sharding_group=1)
