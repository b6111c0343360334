"""DataParallel on a machine without devices."""

import pytest

import wengert as torch
from wengert import nn


def test_a_parallel_module_calls_its_module():
    inner = nn.Linear(2, 3)
    module = nn.DataParallel(inner)
    x = torch.ones(4, 2)
    assert torch.equal(module(x), inner(x)) and module.module is inner and module.device_ids == []
    assert list(module.state_dict()) == ["module.weight", "module.bias"]
    assert torch.equal(nn.parallel.data_parallel(inner, x), inner(x))


def test_devices_that_are_not_there_are_refused():
    with pytest.raises(AssertionError, match="CUDA"):
        nn.DataParallel(nn.Linear(1, 1), device_ids=[0, 1])
