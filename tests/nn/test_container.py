"""Sequences, lists and dictionaries of modules and parameters."""

import pytest

import wengert as torch
from wengert import nn


def kinds(modules):
    return [type(m).__name__ for m in modules]


def test_sequential_is_a_list():
    net = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Sigmoid())
    assert kinds(net[1:]) == ["Tanh", "Sigmoid"]
    assert kinds(net[:-1] + nn.Sequential(nn.GELU())) == ["ReLU", "Tanh", "GELU"]
    assert kinds(net * 2) == ["ReLU", "Tanh", "Sigmoid"] * 2
    net.insert(1, nn.GELU())
    assert kinds(net) == ["ReLU", "GELU", "Tanh", "Sigmoid"]
    del net[0]
    assert list(net._modules) == ["0", "1", "2"] and kinds(net) == ["GELU", "Tanh", "Sigmoid"]
    assert isinstance(net.pop(-1), nn.Sigmoid)
    assert kinds(net.append(nn.ReLU()).extend([nn.SiLU()])) == ["GELU", "Tanh", "ReLU", "SiLU"]
    with pytest.raises(IndexError, match="index 9 is out of range"):
        net[9]


def test_sequential_with_names():
    from collections import OrderedDict

    net = nn.Sequential(OrderedDict(act=nn.ReLU(), lin=nn.Linear(1, 1)))
    assert net.act is net[0]
    assert [n for n, _ in net.named_parameters()] == ["lin.weight", "lin.bias"]


def test_module_list():
    layers = nn.ModuleList([nn.ReLU()]) + [nn.Tanh()]
    layers.insert(0, nn.GELU())
    layers += [nn.SiLU()]
    assert kinds(layers) == ["GELU", "ReLU", "Tanh", "SiLU"]
    del layers[1:3]
    assert kinds(layers) == ["GELU", "SiLU"]
    assert isinstance(layers[-1], nn.SiLU) and len(layers) == 2


def test_module_list_prints_runs_once():
    text = repr(nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Tanh()]))
    assert text == "ModuleList(\n  (0-1): 2 x ReLU()\n  (2): Tanh()\n)"


def test_module_dict():
    table = nn.ModuleDict({"b": nn.ReLU(), "a": nn.Tanh()})
    assert list(table) == ["b", "a"] and "a" in table
    table.update([("c", nn.GELU())])
    assert isinstance(table.pop("b"), nn.ReLU)
    assert list(table.keys()) == ["a", "c"]
    with pytest.raises(ValueError, match="has length 3; 2 is required"):
        table.update([("x", nn.ReLU(), 1)])


def test_parameter_list():
    params = nn.ParameterList([torch.ones(2), nn.Parameter(torch.zeros(3))])
    params.append(torch.ones(1))
    assert len(params) == 3 and all(isinstance(p, nn.Parameter) for p in params)
    assert [n for n, _ in params.named_parameters()] == ["0", "1", "2"]
    assert [len(p) for p in params[1:]] == [3, 1]


def test_parameter_dict():
    params = nn.ParameterDict({"w": torch.ones(2), "a": torch.zeros(1)})
    assert list(params) == ["a", "w"]
    params["z"] = torch.ones(4)
    assert [n for n, _ in params.named_parameters()] == ["a", "w", "z"]
    assert len(params.pop("w")) == 2 and "w" not in params
    both = params | {"k": torch.ones(1)}
    assert sorted(both.keys()) == ["a", "k", "z"]
