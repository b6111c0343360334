"""``torch.hub``: models described by a folder's `hubconf.py`, and weights kept in a cache folder.

Folders on this machine (`source="local"`) and weights by address work. Fetching a repository from GitHub and running
what it holds is refused by name.
"""

import contextlib
import hashlib
import importlib.util
import os
import re
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import Request, urlopen

from wengert import serialization

__all__ = ["download_url_to_file", "get_dir", "help", "list", "load", "load_state_dict_from_url", "set_dir"]

_chosen_dir = None
try:
    from tqdm.auto import tqdm
except ImportError:

    class tqdm:  # type: ignore[no-redef]
        """Shows no progress, where the package tqdm is not installed."""

        def __init__(self, iterable=None, *args, **kwargs):
            self.iterable = iterable

        def __iter__(self):
            return iter(self.iterable)

        def __enter__(self):
            return self

        def __exit__(self, *exc):
            return None

        def update(self, n=1):
            """Count `n` more."""

        set_description = set_postfix = update

        def close(self):
            """End the bar."""


HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")
HUBCONF = "hubconf.py"


def _get_torch_home():
    """PyTorch's cache folder: `$TORCH_HOME`, else `torch` in `$XDG_CACHE_HOME` or `~/.cache`."""
    cache = os.getenv("XDG_CACHE_HOME", "~/.cache")
    return os.path.expanduser(os.getenv("TORCH_HOME", os.path.join(cache, "torch")))


def get_dir():
    """The folder that holds repositories and, in `checkpoints`, weights."""
    return _chosen_dir if _chosen_dir is not None else os.path.join(_get_torch_home(), "hub")


def set_dir(d):
    """Keep repositories and weights in the folder `d` instead."""
    global _chosen_dir
    _chosen_dir = os.path.expanduser(d)


def download_url_to_file(url, dst, hash_prefix=None, progress=True):
    """Fetch `url` into the file `dst`, which appears whole or not at all.

    Raises:
        RuntimeError: the SHA-256 of what came doesn't begin with `hash_prefix`.
    """
    target = Path(dst).expanduser()
    digest = hashlib.sha256()
    request = Request(url, headers={"User-Agent": "torch.hub"})
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=target.name, suffix=".partial", delete=False) as part:
        try:
            with urlopen(request) as answer:
                while block := answer.read(1 << 17):
                    part.write(block)
                    digest.update(block)
            part.close()
            if hash_prefix is not None and not digest.hexdigest().startswith(hash_prefix):
                raise RuntimeError(
                    f'invalid hash value (expected "{hash_prefix}", got "{digest.hexdigest()[: len(hash_prefix)]}")'
                )
            shutil.move(part.name, target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.remove(part.name)


def load_state_dict_from_url(
    url, model_dir=None, map_location=None, progress=True, check_hash=False, file_name=None, weights_only=False
):
    """The state dict at `url`, fetched if the cache folder doesn't have it.

    Args:
        model_dir: the folder to look in and to keep it in; `checkpoints` in `get_dir()` if None.
        check_hash: demand that the file's SHA-256 begins with what its name says (`resnet18-f37072fd.pth`).
        file_name: its name there; the last part of `url` if None.
        map_location, weights_only: as for `torch.load`.
    """
    folder = Path(model_dir if model_dir is not None else os.path.join(get_dir(), "checkpoints"))
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / (file_name or os.path.basename(urlparse(url).path))
    if not file.exists():
        print(f'Downloading: "{url}" to {file}\n', file=sys.stderr)
        found = HASH_REGEX.search(file.name) if check_hash else None
        download_url_to_file(url, file, found[1] if found else None, progress)
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if len(members) == 1 and not members[0].is_dir():  # a zip around one file, not PyTorch's format
                archive.extract(members[0], folder)
                file = folder / members[0].filename
    return serialization.load(file, map_location=map_location, weights_only=weights_only)


def entrypoints_of(repo_or_dir, source):
    """The module of the folder's `hubconf.py`, run with the folder on `sys.path`."""
    if source not in ("github", "local"):
        raise ValueError(f'Unknown source: "{source}". Allowed values: "github" | "local".')
    if source == "github":
        raise NotImplementedError(
            f"torch.hub doesn't fetch {repo_or_dir!r} from GitHub here; get a copy and give its folder, "
            "with source='local'"
        )
    sys.path.insert(0, repo_or_dir)
    try:
        spec = importlib.util.spec_from_file_location(HUBCONF, os.path.join(repo_or_dir, HUBCONF))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(repo_or_dir)
    missing = [name for name in getattr(module, "dependencies", ()) if importlib.util.find_spec(name) is None]
    if missing:
        raise RuntimeError(f"Missing dependencies: {', '.join(missing)}")
    return module


def entrypoint_of(module, name):
    if not isinstance(name, str):
        raise ValueError("Invalid input: model should be a string of function name")
    function = getattr(module, name, None)
    if not callable(function):
        raise RuntimeError(f"Cannot find callable {name} in hubconf")
    return function


def list(github, force_reload=False, skip_validation=False, trust_repo=None, verbose=True, *, source="github"):
    """The names of the models that the folder `github` offers, with `source="local"`."""
    members = vars(entrypoints_of(github, source)).items()
    return [name for name, value in members if callable(value) and not name.startswith("_")]


def help(github, model, force_reload=False, skip_validation=False, trust_repo=None, *, source="github"):
    """The docstring of the model `model` of the folder `github`, with `source="local"`."""
    return entrypoint_of(entrypoints_of(github, source), model).__doc__


def load(
    repo_or_dir, model, *args, source="github", trust_repo=None, force_reload=False, verbose=True,
    skip_validation=False, **kwargs,
):  # fmt: skip
    """What the function `model` of the folder's `hubconf.py` returns for these arguments, with `source="local"`."""
    return entrypoint_of(entrypoints_of(repo_or_dir, source), model)(*args, **kwargs)
