"""save and load."""

import pickle
import zipfile
from collections import OrderedDict

import pytest

import wengert as torch
from wengert import nn, optim, serialization


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.pt"


def again(obj, path, **options):
    torch.save(obj, path)
    return torch.load(path, **options)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "int64", "bool", "complex64"])
def test_a_tensor_comes_back(path, dtype):
    dtype = getattr(torch, dtype)
    x = torch.arange(6).reshape(2, 3).to(dtype)
    y = again(x, path)
    assert y.dtype is dtype and y.shape == x.shape and torch.equal(x, y)


def test_strides_shared_memory_and_flags_come_back(path):
    x = torch.arange(12.0).reshape(3, 4)
    leaf, scalar = torch.ones(2, requires_grad=True), torch.tensor(2.5)
    back = again({"whole": x, "part": x.t()[1:], "leaf": leaf, "scalar": scalar}, path)
    assert back["part"].stride() == (1, 4) and back["part"].tolist() == x.t()[1:].tolist()
    back["whole"][0, 1] = 99
    assert back["part"][0, 0] == 99
    assert back["leaf"].requires_grad and back["leaf"].is_leaf and back["scalar"].item() == 2.5


def test_a_model_and_its_optimizer_go_on_where_they_stopped(path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    optimizer = optim.Adam(model.parameters())
    model(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    back = again({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, path)
    assert isinstance(back["model"], OrderedDict) and back["epoch"] == 3
    other = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    other.load_state_dict(back["model"])
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    optim.Adam(other.parameters()).load_state_dict(back["optimizer"])


def test_a_whole_module_needs_trust(path):
    torch.save(nn.Linear(2, 1), path)
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        torch.load(path)
    assert torch.load(path, weights_only=False).weight.shape == (1, 2)


class Harmful:
    def __reduce__(self):
        return (pytest.fail, ("code from the file was run",))


def test_a_hostile_file_runs_nothing(path):
    torch.save([Harmful()], path)
    with pytest.raises(pickle.UnpicklingError, match="not an allowed global"):
        torch.load(path)


class Point:
    def __init__(self, x):
        self.x = x


def test_classes_can_be_admitted(path):
    torch.save(Point(3), path)
    serialization.add_safe_globals([Point])
    try:
        assert torch.load(path).x == 3
    finally:
        serialization.clear_safe_globals()


def test_truncated_corrupt_and_foreign_files(path):
    torch.save(torch.ones(1000), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:2000])
    with pytest.raises(RuntimeError, match="not a zip archive"):
        torch.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello", "world")
    with pytest.raises(RuntimeError, match=r"no data\.pkl"):
        torch.load(path)
    with pytest.raises(FileNotFoundError):
        torch.load(path.with_name("absent.pt"))


def test_a_storage_smaller_than_announced_is_refused(path):
    torch.save(torch.ones(1000), path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content[:40] if "/data/" in name else content)
    with pytest.raises(RuntimeError, match="40 bytes where 4000 are announced"):
        torch.load(path)


def test_a_failed_save_leaves_the_old_file(path):
    torch.save(torch.ones(3), path)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        torch.save(lambda: None, path)
    assert torch.load(path).tolist() == [1.0, 1.0, 1.0]
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_what_is_not_there_is_refused(path):
    torch.save(torch.ones(3), path)
    with pytest.raises(NotImplementedError, match="mmap"):
        torch.load(path, mmap=True)
    with pytest.raises(AssertionError, match="CUDA"):
        torch.load(path, map_location="cuda")
