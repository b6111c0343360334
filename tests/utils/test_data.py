"""Datasets, samplers and the loader."""

import itertools

import numpy as np
import pytest

import wengert as torch
from wengert.utils.data import DataLoader, IterableDataset, RandomSampler, TensorDataset, default_collate, random_split


@pytest.fixture
def numbers():
    return TensorDataset(torch.arange(10).float(), torch.arange(10) * 10)


def test_batches_in_order(numbers):
    batches = [x.tolist() for x, _ in DataLoader(numbers, batch_size=4)]
    assert batches == [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0], [8.0, 9.0]]
    assert len(DataLoader(numbers, batch_size=4)) == 3
    assert len(DataLoader(numbers, batch_size=4, drop_last=True)) == 2


def test_shuffled_batches_hold_everything_once_and_follow_the_seed(numbers):
    def order():
        torch.manual_seed(3)
        return [i for x, _ in DataLoader(numbers, batch_size=3, shuffle=True) for i in x.tolist()]

    assert order() == order()
    assert sorted(order()) == list(range(10)) != order()


def test_single_samples_without_batches(numbers):
    samples = list(DataLoader(numbers, batch_size=None))
    assert len(samples) == 10 and samples[3][1].item() == 30


def test_a_stream_is_cut_into_batches():
    class Count(IterableDataset):
        def __iter__(self):
            return iter(range(5))

    assert [batch.tolist() for batch in DataLoader(Count(), batch_size=2)] == [[0, 1], [2, 3], [4]]
    assert [batch.tolist() for batch in DataLoader(Count(), batch_size=2, drop_last=True)] == [[0, 1], [2, 3]]
    with pytest.raises(ValueError, match="unspecified shuffle"):
        DataLoader(Count(), shuffle=True)


def test_containers_are_gone_through():
    data = [{"x": [1.0, i], "name": str(i)} for i in range(2)]
    (batch,) = DataLoader(data, batch_size=2)
    assert batch["name"] == ["0", "1"]
    assert [t.tolist() for t in batch["x"]] == [[1.0, 1.0], [0, 1]]


def test_a_split_is_disjoint(numbers):
    first, second = random_split(numbers, [7, 3])
    assert sorted([x.item() for x, _ in first] + [x.item() for x, _ in second]) == list(range(10))


def test_options_that_exclude_one_another_are_refused(numbers):
    with pytest.raises(ValueError, match="mutually exclusive"):
        DataLoader(numbers, sampler=range(3), shuffle=True)
    with pytest.raises(ValueError, match="non-negative"):
        DataLoader(numbers, num_workers=-1)
    with pytest.raises(ValueError, match="persistent_workers option needs num_workers > 0"):
        DataLoader(numbers, persistent_workers=True)
    with pytest.raises(ValueError, match="prefetch_factor option could only be specified in multiprocessing"):
        DataLoader(numbers, prefetch_factor=2)
    with pytest.raises(ValueError, match="can only be used with multi-process loading"):
        DataLoader(numbers, multiprocessing_context="spawn")
    with pytest.raises(ValueError, match="should specify a valid start method"):
        DataLoader(numbers, num_workers=1, multiprocessing_context="clone")


def test_what_decides_the_order_is_fixed(numbers):
    loader = DataLoader(numbers)
    loader.num_workers = 1
    with pytest.raises(ValueError, match="batch_size attribute should not be set after DataLoader is initialized"):
        loader.batch_size = 2


def test_pinned_memory_is_for_devices(numbers):
    with pytest.warns(UserWarning, match="no accelerator is found"):
        next(iter(DataLoader(numbers, pin_memory=True)))


def test_a_stream_longer_than_announced_is_noticed():
    class Liar(IterableDataset):
        def __iter__(self):
            return iter(range(3))

        def __len__(self):
            return 2

    loader = DataLoader(Liar(), batch_size=None)
    assert len(loader) == 2
    with pytest.warns(UserWarning, match="was reported to be 2"):
        list(loader)


def test_a_sampler_without_an_end_begins_at_once():
    """Training loops that count steps instead of epochs draw 10^10 samples: nothing may be laid out beforehand."""
    sampler = RandomSampler(range(5), replacement=True, num_samples=int(1e15))
    assert len(sampler) == 10**15
    assert set(itertools.islice(sampler, 1000)) == set(range(5))


def test_arrays_are_stacked_at_once_or_one_by_one():
    arrays = [np.full((2, 3), i, np.float32) for i in range(4)]
    assert default_collate(arrays).tolist() == [a.tolist() for a in arrays]
    assert default_collate([np.ones(2), np.ones(2, np.float32)]).dtype is torch.float64
    with pytest.raises(RuntimeError, match="stack expects each tensor to be equal size"):
        default_collate([np.ones(2), np.ones(3)])
