"""Tensors in memory that processes share: moving there, passing through queues, processes that fail."""

import os
import subprocess
import sys

import pytest

import wengert as torch
from wengert import multiprocessing as mp
from wengert import nn

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="starts processes by fork, which this system lacks")
fork = mp.get_context("fork") if hasattr(os, "fork") else None


def in_another_process(function, *args):
    process = fork.Process(target=function, args=args)
    process.start()
    process.join()
    assert process.exitcode == 0


def add_one(*tensors):
    for tensor in tensors:
        tensor.add_(1)


def test_a_process_sees_the_writes_of_another_in_shared_memory_only():
    own, shared = torch.zeros(3), torch.zeros(3).share_memory_()
    assert shared.is_shared() and not own.is_shared()
    in_another_process(add_one, own, shared)
    assert own.tolist() == [0, 0, 0] and shared.tolist() == [1, 1, 1]


def test_all_aliases_move_together():
    base = torch.arange(6.0).reshape(2, 3)
    row, detached, data = base[1], base.detach(), base.data
    row.share_memory_()
    assert all(each.is_shared() for each in (base, row, detached, data))
    base.fill_(7)
    assert row.tolist() == [7, 7, 7] and data[0, 0] == 7
    assert row.share_memory_() is row


def test_a_model_goes_on_learning_after_it_was_shared():
    model = nn.Linear(2, 1)
    assert model.share_memory() is model
    assert all(parameter.is_shared() for parameter in model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    before = model.weight.detach().clone()
    optimizer.step()
    assert torch.equal(model.weight, before - 1) and model.weight.is_shared()


def test_storages_share_and_are_shared():
    x = torch.ones(2)
    assert not x.untyped_storage().is_shared()
    assert x.untyped_storage().share_memory_().is_shared() and x.is_shared()


def test_the_empty_tensor_can_be_shared():
    assert torch.empty(0).share_memory_().is_shared()


def change(inbox, outbox):
    tensor = inbox.get()
    tensor.mul_(10)
    outbox.put((tensor.is_shared(), tensor.stride(), type(inbox.get()) is nn.Parameter))


def test_a_queue_passes_memory_not_copies():
    inbox, outbox = fork.SimpleQueue(), fork.SimpleQueue()
    process = fork.Process(target=change, args=(inbox, outbox))
    process.start()
    x, weight = torch.ones(2, 3), nn.Parameter(torch.ones(1))
    inbox.put(x.t())
    inbox.put(weight)
    assert outbox.get() == (True, (1, 3), True)
    process.join()
    assert x.is_shared() and x.tolist() == [[10, 10, 10], [10, 10, 10]]


def test_one_memory_arrives_as_one():
    queue = fork.SimpleQueue()
    x = torch.zeros(4)
    queue.put([x, x[1:3]])
    first, second = queue.get()
    second.fill_(5)
    assert first.tolist() == x.tolist() == [0, 5, 5, 0]


def test_results_that_autograd_needs_are_refused():
    with pytest.raises(RuntimeError, match="Cowardly refusing to serialize non-leaf"):
        fork.SimpleQueue().put(torch.ones(1, requires_grad=True) * 2)


def fail(index, tensor):
    tensor[index] = index + 1
    if index == 1:
        raise ValueError("no such file")


def leave(index):
    os._exit(7)


def test_a_failure_in_one_of_several_processes_comes_back_with_its_traceback():
    seen = torch.zeros(2).share_memory_()
    with pytest.raises(mp.ProcessRaisedException, match="Process 1 terminated with the following error") as caught:
        mp.start_processes(fail, (seen,), nprocs=2, start_method="fork")
    assert "ValueError: no such file" in str(caught.value) and caught.value.error_index == 1
    assert seen[1] == 2
    with pytest.raises(mp.ProcessExitedException, match="process 0 terminated with exit code 7") as caught:
        mp.start_processes(leave, nprocs=1, start_method="fork")
    assert caught.value.exit_code == 7


def test_strategies_have_names():
    assert mp.get_sharing_strategy() in mp.get_all_sharing_strategies()
    mp.set_sharing_strategy(mp.get_sharing_strategy())
    with pytest.raises(AssertionError, match="invalid sharing strategy"):
        mp.set_sharing_strategy("carrier pigeon")


PROGRAM = """
import torch
import torch.multiprocessing as mp

def work(index, model, total):
    with torch.no_grad():
        model.weight.add_(index + 1)
    total[index] = model(torch.ones(1, 2)).numel()

if __name__ == "__main__":
    model = torch.nn.Linear(2, 1)
    torch.nn.init.zeros_(model.weight)
    model.share_memory()
    total = torch.zeros(2).share_memory_()
    mp.spawn(work, (model, total), nprocs=2)
    print(model.weight.tolist(), total.tolist())
"""


def test_processes_that_are_started_afresh_know_the_alias_and_share_the_model(tmp_path):
    program = tmp_path / "hogwild.py"
    program.write_text(PROGRAM)
    command = [sys.executable, "-m", "wengert", "run", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[[3.0, 3.0]] [1.0, 1.0]\n"
