"""torch.hub: models of a folder on this machine, weights by address, whole or not at all."""

import hashlib

import pytest

import wengert as torch
from wengert import hub
from wengert.utils import model_zoo


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "parts.py").write_text("SIZE = 3\n")
    (tmp_path / "hubconf.py").write_text(
        "dependencies = ['numpy']\n"
        "import wengert as torch\n"
        "from parts import SIZE\n"
        "def layer(out=1):\n"
        "    'A layer.'\n"
        "    return torch.nn.Linear(SIZE, out)\n"
    )
    return str(tmp_path)


def test_a_local_folder_offers_its_models(folder):
    assert "layer" in hub.list(folder, source="local")
    assert hub.help(folder, "layer", source="local") == "A layer."
    assert hub.load(folder, "layer", out=2, source="local").weight.shape == (2, 3)
    with pytest.raises(RuntimeError, match="Cannot find callable other in hubconf"):
        hub.load(folder, "other", source="local")


def test_github_is_refused_by_name():
    with pytest.raises(NotImplementedError, match="pytorch/vision"):
        hub.load("pytorch/vision", "resnet18")


def test_weights_come_from_an_address_and_then_from_the_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "_chosen_dir", None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    assert hub.get_dir() == str(tmp_path / "home" / "hub")
    torch.save({"w": torch.ones(2)}, tmp_path / "weights.pth")
    digest = hashlib.sha256((tmp_path / "weights.pth").read_bytes()).hexdigest()
    named = tmp_path / f"weights-{digest[:8]}.pth"
    (tmp_path / "weights.pth").rename(named)
    loaded = model_zoo.load_url(named.as_uri(), check_hash=True)
    assert loaded["w"].tolist() == [1, 1]
    named.unlink()
    assert hub.load_state_dict_from_url(named.as_uri())["w"].tolist() == [1, 1]


def test_a_wrong_digest_leaves_no_file(tmp_path):
    (tmp_path / "source").write_bytes(b"data")
    with pytest.raises(RuntimeError, match=r'invalid hash value \(expected "0000"'):
        hub.download_url_to_file((tmp_path / "source").as_uri(), tmp_path / "target", "0000")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
