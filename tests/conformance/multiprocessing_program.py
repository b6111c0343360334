"""A program whose processes share tensors: run by test_multiprocessing.py under both libraries."""

import os
import time

import torch
import torch.multiprocessing as mp
from torch import nn


def train(model, queue, x, step, seen):
    for parameter in model.parameters():
        parameter.data.add_(1)
    x.mul_(2)
    queue.put(("done", step, torch.arange(3) + step))
    seen.wait()


def consume(inbox, outbox):
    first, second = inbox.get(), inbox.get()
    first.add_(10)
    outbox.put((first.is_shared(), second.requires_grad, type(second) is nn.Parameter))


def fail(index, x, message):
    x[index] += index + 1
    if message and index == 1:
        raise ValueError(f"bad {message}")


def leave(index):
    if index == 0:
        os._exit(7)
    time.sleep(100)


def square(x):
    return x * x


def with_method(method):
    context = mp.get_context(method)
    model = nn.Linear(2, 2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    alias, row = model.weight.data, model.weight.detach()[0]
    print(model.weight.is_shared())
    print(model.share_memory() is model, model.weight.is_shared(), alias.is_shared(), row.is_shared())
    x, queue = torch.ones(3).share_memory_(), context.Queue()
    for step in range(2):
        seen = context.Event()
        process = context.Process(target=train, args=(model, queue, x, step, seen))
        process.start()
        print(queue.get())
        seen.set()
        process.join()
    print(model.weight, alias, row, x)
    model(torch.ones(1, 2)).sum().backward()
    print(model.weight.grad)
    inbox, outbox = context.Queue(), context.Queue()
    process = context.Process(target=consume, args=(inbox, outbox))
    process.start()
    given = torch.zeros(2, 3)
    inbox.put(given.t())
    inbox.put(nn.Parameter(torch.ones(2)))
    print(outbox.get(), given, given.is_shared())
    process.join()
    with context.Pool(2) as pool:
        print(pool.map(square, [torch.arange(3), torch.ones(2)]))


def main():
    print(mp.get_sharing_strategy(), sorted(mp.get_all_sharing_strategies()))
    with_method("fork")
    x = torch.zeros(3).share_memory_()
    mp.spawn(fail, (x, ""), nprocs=1)
    print(x)
    try:
        mp.start_processes(fail, (x, "news"), nprocs=2, start_method="fork")
    except mp.ProcessRaisedException as error:
        lines = str(error).splitlines()
        print(lines[:4], lines[-1], error.error_index)
    try:
        mp.start_processes(leave, nprocs=2, start_method="fork")
    except mp.ProcessExitedException as error:
        print(error, error.exit_code)


if __name__ == "__main__":
    main()
