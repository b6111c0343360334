"""``torch.hub``: models and weights from the net, or from a folder.

`load` runs a repository's `hubconf.py`, as PyTorch does: from a folder (``source="local"``), or from GitHub after it
has asked.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import sys
import tempfile
import urllib.request
import zipfile
from urllib.parse import urlparse

from wengert.serialization import load as load_checkpoint

__all__ = ["download_url_to_file", "get_dir", "help", "list", "load", "load_state_dict_from_url", "set_dir"]

HASH_IN_NAME = re.compile(r"-([a-f0-9]*)\.")
_folder = None


def get_dir():
    """The folder for what is fetched: that of `set_dir`, or as TORCH_HOME and XDG_CACHE_HOME say."""
    if _folder is not None:
        return _folder
    cache = os.getenv("XDG_CACHE_HOME", "~/.cache")
    return os.path.join(os.path.expanduser(os.getenv("TORCH_HOME", os.path.join(cache, "torch"))), "hub")


def _get_torch_home():
    return os.path.dirname(get_dir())


def set_dir(d):
    """Choose the folder for what is fetched."""
    global _folder
    _folder = os.path.expanduser(d)


def download_url_to_file(url, dst, hash_prefix=None, progress=True):
    """Fetch `url` into the file `dst`, which appears when it is whole.

    Args:
        hash_prefix: what the SHA-256 of the content must begin with.
        progress: show how far it is.
    Raises:
        RuntimeError: the content is another.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "torch.hub"})
    digest = hashlib.sha256()
    dst = os.path.expanduser(dst)
    handle, beside = tempfile.mkstemp(dir=os.path.dirname(dst) or ".", suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file, urllib.request.urlopen(request) as answer:
            total, done = int(answer.headers.get("Content-Length") or 0), 0
            while chunk := answer.read(1 << 17):
                file.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                if progress and sys.stderr.isatty():
                    print(f"\r{done / 2**20:.1f} of {total / 2**20:.1f} MB", end="", file=sys.stderr)
        found = digest.hexdigest()
        if hash_prefix is not None and found[: len(hash_prefix)] != hash_prefix:
            raise RuntimeError(f'invalid hash value (expected "{hash_prefix}", got "{found}")')
        shutil.move(beside, dst)
    finally:
        if os.path.exists(beside):
            os.remove(beside)


def load_state_dict_from_url(url, model_dir=None, map_location=None, progress=True, check_hash=False, file_name=None,
                             weights_only=False):  # fmt: skip
    """The object in a checkpoint that is fetched once and kept.

    Args:
        model_dir: where to keep it; default ``checkpoints`` in `get_dir`.
        check_hash: whether the name ends in the beginning of the content's hash, which must agree.
        file_name: its name there; default that of the url.
        map_location, weights_only: as for `torch.load`.
    """
    folder = model_dir or os.path.join(get_dir(), "checkpoints")
    os.makedirs(folder, exist_ok=True)
    name = file_name or os.path.basename(urlparse(url).path)
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        print(f'Downloading: "{url}" to {path}', file=sys.stderr)
        found = HASH_IN_NAME.search(name) if check_hash else None
        download_url_to_file(url, path, found[1] if found else None, progress)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) == 1:  # a checkpoint in the old format, zipped by itself
                path = archive.extract(members[0], folder)
    return load_checkpoint(path, map_location=map_location, weights_only=weights_only)


def repository(repo_or_dir, source, force_reload, trust_repo):
    """The folder of a repository: itself if local, else where it was fetched to from GitHub."""
    if source == "local":
        return repo_or_dir
    if source != "github":
        raise ValueError(f'Unknown source: "{source}". Allowed values: "github" | "local".')
    name, _, branch = repo_or_dir.partition(":")
    branch = branch or "main"
    folder = os.path.join(get_dir(), f"{name}_{branch}".replace("/", "_"))
    if os.path.exists(folder) and not force_reload:
        return folder
    if trust_repo is not True:
        answer = input(f"The repository {name} is about to be fetched and its code run. Trust it (y/N)? ")
        if answer.strip().lower() not in ("y", "yes"):
            raise Exception("Untrusted repository.")  # the class that PyTorch raises
    os.makedirs(get_dir(), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=get_dir()) as temporary:
        packed = os.path.join(temporary, "repository.zip")
        download_url_to_file(f"https://github.com/{name}/zipball/{branch}", packed, progress=False)
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(temporary)
            top = archive.infolist()[0].filename.partition("/")[0]
        shutil.rmtree(folder, ignore_errors=True)
        shutil.move(os.path.join(temporary, top), folder)
    return folder


def hubconf(folder):
    """The module `hubconf` of a repository, run with the repository on the path."""
    sys.path.insert(0, folder)
    try:
        spec = importlib.util.spec_from_file_location("hubconf", os.path.join(folder, "hubconf.py"))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    missing = [name for name in getattr(module, "dependencies", ()) if importlib.util.find_spec(name) is None]
    if missing:
        raise RuntimeError(f"Missing dependencies: {', '.join(missing)}")
    return module


def entry_point(module, name):
    """The function of that name; RuntimeError if there is none."""
    function = getattr(module, name, None)
    if not callable(function):
        raise RuntimeError(f"Cannot find callable {name} in hubconf")
    return function


def load(repo_or_dir, model, *args, source="github", trust_repo=None, force_reload=False, verbose=True,
         skip_validation=False, **kwargs):  # fmt: skip
    """What the function `model` of a repository's `hubconf.py` returns for `args` and `kwargs`."""
    folder = repository(repo_or_dir, source.lower(), force_reload, trust_repo)
    return entry_point(hubconf(folder), model)(*args, **kwargs)


def help(github, model, force_reload=False, skip_validation=False, trust_repo=None, verbose=True, source="github"):
    """The docstring of a repository's function."""
    return entry_point(hubconf(repository(github, source, force_reload, trust_repo)), model).__doc__


def _entries(github, force_reload=False, skip_validation=False, trust_repo=None, verbose=True, source="github"):
    """The names of a repository's functions."""
    module = hubconf(repository(github, source, force_reload, trust_repo))
    return [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]


list = _entries
