"""Models from a folder, weights from an address."""

import pytest

import wengert as torch
from wengert import hub

HUBCONF = '''
dependencies = ["numpy"]

def small(width=2):
    """A small model."""
    import wengert
    return wengert.nn.Linear(width, 1)

def _hidden():
    pass
'''


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "hubconf.py").write_text(HUBCONF)
    return str(tmp_path)


def test_a_model_comes_from_a_folder(repository):
    assert hub.load(repository, "small", width=3, source="local").in_features == 3
    assert hub.list(repository, source="local") == ["small"] and hub.help(repository, "small", source="local") == (
        "A small model."
    )
    with pytest.raises(RuntimeError, match="Cannot find callable large"):
        hub.load(repository, "large", source="local")
    with pytest.raises(ValueError, match="Unknown source"):
        hub.load(repository, "small", source="moon")


def test_weights_come_from_an_address_once(tmp_path):
    source, folder = tmp_path / "weights.pt", tmp_path / "cache"
    torch.save({"w": torch.ones(2)}, source)
    for _ in range(2):
        loaded = hub.load_state_dict_from_url(source.as_uri(), model_dir=folder, progress=False, weights_only=True)
        assert loaded["w"].tolist() == [1, 1]
        source.unlink(missing_ok=True)  # the second time it is there already
    assert [path.name for path in folder.iterdir()] == ["weights.pt"]


def test_other_content_than_announced_is_refused(tmp_path):
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"content")
    with pytest.raises(RuntimeError, match="invalid hash value"):
        hub.download_url_to_file(source.as_uri(), str(target), hash_prefix="00000000", progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_the_folder_can_be_chosen(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "_folder", None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert hub.get_dir() == str(tmp_path / "hub")
    hub.set_dir(str(tmp_path / "mine"))
    assert hub.get_dir() == str(tmp_path / "mine")
