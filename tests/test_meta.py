"""Tensors on the device "meta": shapes, dtypes and places in the graph, without anything to read."""

import copy
import pickle

import pytest

import wengert as torch
from wengert import nn

META = torch.device("meta")


def meta(*shape, **options):
    return torch.empty(*shape, device="meta", **options)


def test_a_meta_tensor_has_a_shape_a_dtype_and_a_device():
    m = meta(2, 3, dtype=torch.float64)
    assert m.device == META and m.is_meta and not m.is_cpu and isinstance(m, torch.Tensor)
    assert m.shape == (2, 3) and m.dtype is torch.float64 and m.stride() == (3, 1) and m.data_ptr() == 0
    assert repr(m) == "tensor(..., device='meta', size=(2, 3), dtype=torch.float64)"


def test_operations_find_the_shape_of_their_result():
    m = meta(2, 3)
    for result, shape in (
        (m + 1, (2, 3)), (m @ meta(3, 4), (2, 4)), (m.sum(1), (2,)), (m.view(6), (6,)), (m[0], (3,)), (m.mT, (3, 2)),
        (torch.cat([m, m]), (4, 3)), (nn.functional.relu(m), (2, 3)), (m.max(1).values, (2,)), (m.half(), (2, 3)),
        (m + torch.tensor(1.0), (2, 3)), (torch.zeros_like(m), (2, 3)), (m.detach().clone(), (2, 3)),
    ):  # fmt: skip
        assert result.is_meta and result.shape == shape
    assert (m > 0).dtype is torch.bool and m.half().dtype is torch.float16


def test_what_would_read_it_is_refused():
    m = meta(1)
    for read in (m.item, m.__bool__, m.__float__):
        with pytest.raises(RuntimeError, match=r"item\(\) cannot be called on meta tensors"):
            read()
    for read in (m.tolist, m.cpu, lambda: m.to("cpu"), lambda: torch.ones(1).copy_(m)):
        with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor; no data!"):
            read()
    with pytest.raises(TypeError, match="can't convert meta device type tensor to numpy"):
        m.numpy()
    for read in (m.nonzero, lambda: m[m > 0]):
        with pytest.raises(NotImplementedError, match="depends on values"):
            read()


def test_it_does_not_mix_with_tensors_that_have_data():
    with pytest.raises(RuntimeError, match="Tensor on device cpu is not on the expected device meta!"):
        meta(2) + torch.ones(2)


def test_what_would_write_into_it_writes_nothing_and_draws_nothing():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    m = meta(3)
    assert m.normal_() is m and m.copy_(torch.ones(3)) is m and m.zero_() is m
    with META:
        torch.randn(5), torch.rand(2), torch.randperm(3), nn.Linear(2, 2)
    torch.rand(4, device="meta")
    assert torch.rand(1).equal(expected)


def test_in_its_context_new_tensors_are_on_it():
    with META:
        made = [torch.zeros(2), torch.tensor([1, 2]), torch.arange(4), torch.randn(2, 2), torch.full((2,), 1.0)]
        assert torch.ones(2, device="cpu").tolist() == [1, 1]
        with torch.device("meta"):
            pass
        made.append(torch.eye(2))
    assert all(tensor.is_meta for tensor in made)
    assert not torch.zeros(2).is_meta


def test_a_model_is_built_on_it_and_filled_from_a_state_dict():
    source = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    with META:
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    assert all(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))
    assert isinstance(model[0].weight, nn.Parameter) and model[0].weight.requires_grad
    out = model(meta(2, 3))
    assert out.shape == (2, 4) and out.is_meta and out.grad_fn is not None
    with pytest.warns(UserWarning, match="copying from a non-meta parameter in the checkpoint to a meta parameter"):
        model.load_state_dict(source.state_dict())
    assert model[0].weight.is_meta
    model.load_state_dict(source.state_dict(), assign=True)
    x = torch.randn(2, 3)
    assert model(x).equal(source(x))


def test_a_module_goes_there_and_comes_back_empty():
    module = nn.Linear(3, 4).to("meta")
    assert module.weight.is_meta and isinstance(module.weight, nn.Parameter)
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        module.to("cpu")
    module.to_empty(device="cpu")
    assert not module.weight.is_meta and module.weight.shape == (4, 3) and module.weight.requires_grad
    assert nn.Linear(2, 3, device="meta").bias.is_meta


def test_copies_and_pickles_stay_there():
    with META:
        module = nn.Linear(2, 3)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert other.weight.is_meta and other.weight.shape == (3, 2) and isinstance(other.weight, nn.Parameter)


def test_the_class_of_a_parameter_makes_parameters_of_data():
    parameter = nn.Linear(2, 3, device="meta").weight
    made = type(parameter)(torch.ones(3, 2), requires_grad=False)
    assert type(made) is nn.Parameter and not made.requires_grad and made.tolist() == [[1, 1]] * 3
