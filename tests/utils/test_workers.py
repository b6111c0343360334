"""Loaders with worker processes: the same batches, whole errors, and nobody left behind."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import wengert as torch
from wengert.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, get_worker_info

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="starts workers by fork, which this system lacks")


class Samples(Dataset):
    """Sample i: a tensor with a random part, an array, a number, a text, who read it."""

    def __len__(self):
        return 11

    def __getitem__(self, index):
        reader = get_worker_info()
        return {
            "x": torch.rand(2) + index, "array": np.full(3, index), "number": index, "text": str(index),
            "reader": -1 if reader is None else reader.id, "draws": (random.random(), np.random.rand()),
        }  # fmt: skip


class Count(IterableDataset):
    """The numbers below `end`, shared out among the workers."""

    def __init__(self, end):
        self.end = end

    def __iter__(self):
        reader = get_worker_info()
        return iter(range(self.end) if reader is None else range(reader.id, self.end, reader.num_workers))


class Failing(Dataset):
    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 4

    def __getitem__(self, index):
        if index == 2:
            raise self.error
        return index


class NeedsTwo(Exception):
    def __init__(self, first, second):
        super().__init__(first, second)


class Large(Dataset):
    """More than a pipe holds, some of it no arrays."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return torch.full((40_000,), float(index)), "text" * 100_000


def gone(pid, within=5.0):
    """Whether a process ends within some seconds; polled, so the usual case is quick."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def test_batches_come_in_the_order_of_the_sampler():
    batches = list(DataLoader(Samples(), batch_size=2, num_workers=2))
    assert [batch["number"].tolist() for batch in batches] == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10]]
    assert [batch["reader"][0].item() for batch in batches] == [0, 1, 0, 1, 0, 1]
    assert batches[1]["text"] == ["2", "3"] and batches[1]["array"].tolist() == [[2] * 3, [3] * 3]


@pytest.mark.parametrize("options", [{}, {"num_workers": 1}, {"num_workers": 2, "prefetch_factor": 1}])
def test_shuffling_is_the_same_with_and_without_workers(options):
    torch.manual_seed(5)
    batches = [batch["number"].tolist() for batch in DataLoader(Samples(), 4, shuffle=True, **options)]
    torch.manual_seed(5)
    assert batches == [batch["number"].tolist() for batch in DataLoader(Samples(), 4, shuffle=True)]


def test_each_worker_has_seeds_of_its_own():
    torch.manual_seed(0)
    first, second, *_ = DataLoader(Samples(), batch_size=1, num_workers=2)
    torch.manual_seed(0)
    base = torch.empty((), dtype=torch.int64).random_().item()
    for worker, batch in enumerate((first, second)):
        torch.manual_seed(base + worker)
        random.seed(base + worker)
        assert torch.equal(batch["x"], (torch.rand(2) + worker)[None])
        assert batch["draws"][0].item() == random.random()
    assert first["draws"][1] != second["draws"][1]


def test_batches_can_come_as_they_are_ready():
    batches = DataLoader(Samples(), batch_size=2, num_workers=2, in_order=False)
    assert sorted(number for batch in batches for number in batch["number"].tolist()) == list(range(11))


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("end", [0, 1, 7])
def test_a_stream_is_shared_out(end, persistent):
    loader = DataLoader(Count(end), batch_size=2, num_workers=2, persistent_workers=persistent)
    for _ in range(2):
        assert sorted(number for batch in loader for number in batch.tolist()) == list(range(end))


def test_persistent_workers_stay_also_after_an_iteration_that_was_left():
    loader = DataLoader(Samples(), batch_size=2, num_workers=2, persistent_workers=True)
    for _ in loader:
        break
    pids = [worker.pid for worker in loader._iterator._workers]
    assert [batch["number"][0].item() for batch in loader] == [0, 2, 4, 6, 8, 10]
    assert [worker.pid for worker in loader._iterator._workers] == pids
    del loader
    assert all(gone(pid) for pid in pids)


def test_many_bytes_come_through():
    for index, (x, text) in enumerate(DataLoader(Large(), batch_size=1, num_workers=2)):
        assert x.shape == (1, 40_000) and (x == index).all() and text == ("text" * 100_000,)
        x.add_(1)  # the memory is this process's own


def test_a_part_of_a_large_memory_comes_alone():
    data = TensorDataset(torch.arange(300_000.0).reshape(3, 100_000).t())
    rows = list(DataLoader(data, batch_size=None, sampler=range(3), num_workers=1))
    assert rows[1][0].tolist() == [1.0, 100_001.0, 200_001.0]
    assert rows[1][0].untyped_storage().nbytes() == 12


def test_an_error_comes_back_with_its_class_and_its_traceback():
    with pytest.raises(KeyError) as caught:
        list(DataLoader(Failing(KeyError("no such image")), batch_size=2, num_workers=2))
    text = str(caught.value)
    assert text.startswith("Caught KeyError in DataLoader worker process 1.\nOriginal Traceback (most recent call")
    assert "in __getitem__" in text and text.endswith("KeyError: 'no such image'\n")


def test_an_error_that_cannot_be_made_from_a_text_comes_as_runtime_error():
    with pytest.raises(RuntimeError, match="Caught NeedsTwo in DataLoader worker process 0"):
        list(DataLoader(Failing(NeedsTwo(1, 2)), batch_size=4, num_workers=1))


def test_a_batch_that_cannot_be_pickled_is_an_error():
    with pytest.raises((AttributeError, TypeError, RuntimeError), match=r"Caught .* in DataLoader worker process 0"):
        list(DataLoader(range(2), num_workers=1, collate_fn=lambda samples: lambda: samples))


def fail_to_begin(worker):
    raise ValueError(f"worker {worker} is not ready")


def test_an_error_of_the_function_for_new_workers_comes_back():
    with pytest.raises(ValueError, match="worker 0 is not ready"):
        list(DataLoader(range(2), num_workers=1, worker_init_fn=fail_to_begin))


class Sleeping(Dataset):
    """Sample 0 at once, the others in an hour."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        if index:
            time.sleep(3600)
        return index


def test_waiting_has_a_limit():
    iterator = iter(DataLoader(Sleeping(), num_workers=2, timeout=60))
    assert next(iterator).tolist() == [0]
    iterator._timeout = 0.2  # the workers have started, however long that took
    with pytest.raises(RuntimeError, match=r"DataLoader timed out after 0\.2 seconds"):
        next(iterator)
    for worker in iterator._workers:
        worker.kill()


def test_a_worker_that_is_killed_is_named():
    iterator = iter(DataLoader(Sleeping(), num_workers=2))
    next(iterator)
    pid = iterator._workers[1].pid
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match=rf"DataLoader worker \(pid\(s\) {pid}\) exited unexpectedly") as caught:
        next(iterator)
    assert "is killed by signal: Killed" in str(caught.value.__cause__)
    iterator._workers[0].kill()


def test_workers_end_with_their_iterator():
    iterator = iter(DataLoader(Large(), num_workers=2))
    next(iterator)
    pids = [worker.pid for worker in iterator._workers]
    del iterator
    assert all(gone(pid) for pid in pids)


PROGRAM = """
import time, sys
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

class Data(Dataset):
    def __len__(self):
        return 100
    def __getitem__(self, index):
        if index > 3:
            time.sleep(3600)
        return torch.tensor(float(index)), get_worker_info().num_workers

if __name__ == "__main__":
    batches = iter(DataLoader(Data(), num_workers=2, multiprocessing_context=sys.argv[1]))
    print(next(batches), *[worker.pid for worker in batches._workers], flush=True)
    for batch in batches:
        pass
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="looks for processes in /proc")
def test_no_worker_outlives_the_program(tmp_path, method, end):
    program = tmp_path / "train.py"
    program.write_text(PROGRAM)
    command = [sys.executable, "-m", "wengert", "run", str(program), method]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        line = running.stdout.readline()
        assert line.startswith("[tensor([0.]), tensor([2])]"), running.stderr.read()
        pids = [int(word) for word in line.split()[-2:]]
        # Ctrl-C reaches the whole group of a terminal; a kill only the one it is meant for.
        os.killpg(running.pid, end) if end is signal.SIGINT else os.kill(running.pid, end)
        assert all(gone(pid, within=10) for pid in pids)
        assert gone(running.pid, within=10)
