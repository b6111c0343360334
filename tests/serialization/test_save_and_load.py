"""save and load: what comes back, where it goes, and that a file is whole or not there."""

import io
import mmap
import os
import pickle
from collections import OrderedDict

import pytest

import wengert as torch
from wengert import dtypes, nn, optim, serialization


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.pt"


def again(obj, path, **options):
    torch.save(obj, path)
    return torch.load(path, **options)


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "legacy"])
@pytest.mark.parametrize("dtype", dtypes.ALL, ids=str)
def test_a_tensor_comes_back(path, dtype, options):
    x = torch.arange(6).reshape(2, 3).to(dtype)
    torch.save(x, path, **options)
    y = torch.load(path)
    assert y.dtype is dtype and y.shape == x.shape and y.tolist() == x.tolist()


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


def test_a_failed_save_leaves_the_old_file(path):
    torch.save(torch.ones(3), path)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        torch.save(lambda: None, path)
    assert torch.load(path).tolist() == [1.0, 1.0, 1.0]
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("mode", [0o640, 0o600])
def test_a_file_keeps_its_permissions(path, mode):
    torch.save(1, path)
    path.chmod(mode)
    torch.save(2, path)
    assert path.stat().st_mode & 0o777 == mode


def test_a_new_file_has_the_usual_permissions(path):
    torch.save(1, path)
    path.with_name("other").write_bytes(b"")
    assert path.stat().st_mode == path.with_name("other").stat().st_mode


def test_a_link_goes_on_pointing_to_the_file(path):
    torch.save(1, path)
    link = path.with_name("latest.pt")
    link.symlink_to(path.name)
    torch.save(2, link)
    assert link.is_symlink() and torch.load(path) == 2


def test_a_crash_while_writing_leaves_the_old_file(path, monkeypatch):
    torch.save("old", path)

    def crash(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        torch.save("new", path)
    assert torch.load(path) == "old"
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_files_in_memory_and_streams():
    file = io.BytesIO()
    torch.save([torch.ones(2)], file)
    file.seek(0)
    assert torch.load(file)[0].tolist() == [1, 1]

    class Stream:
        """Can be written to, and nothing else."""

        content = b""

        def write(self, data):
            self.content += bytes(data)
            return len(data)

        def flush(self):
            pass

    stream = Stream()
    torch.save({"a": torch.arange(3)}, stream)
    assert torch.load(io.BytesIO(stream.content))["a"].tolist() == [0, 1, 2]


def test_records_begin_at_multiples_of_64_bytes(path):
    torch.save([torch.ones(3), torch.ones(5)], path)
    content = path.read_bytes()
    assert content.index(torch.ones(5).numpy().tobytes()) % 64 == 0


def test_a_mapped_file_is_read_where_it_is_used(path):
    torch.save({"x": torch.arange(6.0).reshape(2, 3), "half": torch.ones(3, dtype=torch.float16)}, path)
    back = torch.load(path, mmap=True)
    back["x"][0, 0] = 7  # in memory only
    assert back["x"].tolist() == [[7, 1, 2], [3, 4, 5]] and torch.load(path)["x"][0, 0] == 0
    assert back["x"].untyped_storage().nbytes() == 24
    with serialization.set_default_mmap_options(mmap.MAP_SHARED):
        torch.load(path, mmap=True)["x"][0, 0] = 8
    assert serialization.get_default_mmap_options() == mmap.MAP_PRIVATE
    with pytest.raises(RuntimeError, match="does not have the checksum"):
        torch.load(path)  # the program wrote to the file, not through save
    serialization.set_crc32_options(False)
    try:
        assert torch.load(path)["x"][0, 0] == 8
    finally:
        serialization.set_crc32_options(True)
    with open(path, "rb") as file, pytest.raises(ValueError, match="f must be a file path"):
        torch.load(file, mmap=True)


def test_everything_is_on_the_cpu(path):
    torch.save(torch.ones(2), path)
    seen = []
    functions = (lambda storage, place: seen.append(place), lambda storage, place: storage)
    places = (None, "cpu", torch.device("cpu"), {"cuda:0": "cpu"}, *functions)
    for place in places:
        assert torch.load(path, map_location=place).tolist() == [1, 1]
    assert seen == ["cpu"]
    for place in ("cuda", torch.device("cuda", 0), {"cpu": "cuda:1"}):
        with pytest.raises(RuntimeError, match="Attempting to deserialize object on a CUDA device"):
            torch.load(path, map_location=place)
    with pytest.raises(RuntimeError, match="don't know how to restore data location"):
        torch.load(path, map_location="attic")
    with pytest.raises(TypeError, match="must return a storage"):
        torch.load(path, map_location=lambda storage, place: 3)


def test_memory_under_two_dtypes_is_refused():
    x = torch.ones(2)
    with pytest.raises(RuntimeError, match="view the same data as different types"):
        torch.save([x, x.view(torch.int32)], io.BytesIO())


def test_attributes_and_subclasses_come_back(path):
    weight = nn.Parameter(torch.ones(2))
    weight.note = "kept"
    assert again(weight, path).note == "kept"
    with serialization.safe_globals([Kelvin]):
        warm = again(torch.ones(2).as_subclass(Kelvin), path)
    assert type(warm) is Kelvin and warm.tolist() == [1, 1]
    with pytest.raises(pickle.UnpicklingError, match="Kelvin was not an allowed global"):
        torch.load(path)


class Kelvin(torch.Tensor):
    """A tensor of temperatures."""


def test_what_would_be_refused_is_listed(path):
    torch.save([nn.Linear(1, 1), OrderedDict(), Point(1)], path)
    names = serialization.get_unsafe_globals_in_checkpoint(path)
    assert names == ["torch.nn.modules.linear.Linear", f"{Point.__module__}.Point"]
    with serialization.safe_globals([Point]):
        assert serialization.get_unsafe_globals_in_checkpoint(path) == names[:1]


def test_another_unpickler_can_read_files_that_are_trusted(path):
    torch.save(Point(3), path)
    assert torch.load(path, pickle_module=pickle, weights_only=False).x == 3
    with pytest.raises(RuntimeError, match="Can not safely load weights"):
        torch.load(path, pickle_module=pickle, weights_only=True)
    with pytest.raises(NotImplementedError, match="pickle_module"):
        torch.save(1, path, pickle_module=io)


def test_safetensors_are_read_by_their_own_library(path):
    library = pytest.importorskip("safetensors.numpy", reason="needs safetensors: the extra of that name")
    path = path.with_suffix(".safetensors")
    library.save_file({"a": torch.ones(2, 3).numpy()}, path)
    assert torch.load(path)["a"].tolist() == [[1, 1, 1], [1, 1, 1]]


def test_sparse_tensors_come_back(path):
    sparse = torch.sparse_coo_tensor(torch.tensor([[0, 1], [2, 0]]), torch.tensor([3.0, 4.0]), (2, 3))
    first, second = again([sparse, sparse.coalesce()], path)
    assert first.is_sparse and not first.is_coalesced() and second.is_coalesced()
    assert first.to_dense().tolist() == [[0, 0, 3], [4, 0, 0]]


def test_operations_are_found_under_the_names_of_bindings(path):
    names = [b"ctorch._C._nn\ngelu\n", b"ctorch._C._fft\nfft_rfft\n", b"ctorch._C._special\nspecial_erf\n",
             b"cbuiltins\ngetattr\n(ctorch._C\n_VariableFunctionsClass\nS'tanh'\ntR"]  # fmt: skip
    path.write_bytes(b"(" + b"".join(names) + b"t.")
    found = serialization.unpickling.TrustingUnpickler(path.open("rb"), lambda key: key).load()
    assert found == (nn.functional.gelu, torch.fft.rfft, torch.special.erf, torch.tanh)


def test_a_network_remembers_its_activation(path):
    layer = nn.TransformerEncoderLayer(4, 2, 8, activation=nn.functional.gelu)
    torch.save(layer, path)
    assert torch.load(path, weights_only=False).activation is nn.functional.gelu


@pytest.mark.parametrize("weights_only", [True, False])
def test_shapes_alone_are_read_onto_meta(path, weights_only):
    model = torch.nn.Linear(2, 3)
    torch.save(model.state_dict(), path)
    found = torch.load(path, map_location="meta", weights_only=weights_only)
    assert all(tensor.is_meta for tensor in found.values())
    assert found["weight"].shape == (3, 2)
    assert not any(tensor.is_meta for tensor in torch.load(path).values())


def test_a_file_that_compresses(tmp_path):
    import gzip

    path = tmp_path / "tensors.pt.gz"
    with gzip.open(path, "wb") as file:
        torch.save({"a": torch.arange(3)}, file)
    with gzip.open(path, "rb") as file:
        assert torch.load(file)["a"].tolist() == [0, 1, 2]
