"""Modules over several devices, where there is one."""

import pytest

import wengert as torch

nn = torch.nn


def test_without_gpus_a_module_runs_as_it_is():
    inner = nn.Linear(3, 2)
    outer = nn.DataParallel(inner)
    assert outer.module is inner
    assert list(outer.state_dict()) == ["module.weight", "module.bias"]
    x = torch.ones(4, 3)
    assert torch.equal(outer(x), inner(x))
    assert torch.equal(nn.parallel.data_parallel(inner, x), inner(x))


def test_gpus_are_refused():
    with pytest.raises(AssertionError, match="CUDA"):
        nn.DataParallel(nn.Linear(3, 2), device_ids=[0])
    with pytest.raises(ValueError, match="Default process group has not been initialized"):
        nn.parallel.DistributedDataParallel(nn.Linear(3, 2))
