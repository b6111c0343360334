"""wengert under the name `torch`.

`install_as_torch()` enters the package as `sys.modules["torch"]` and puts a finder in front of Python's own, which
answers `import torch.a.b` with the very module `wengert.a.b`: one module object with two names, so classes, registries
and `isinstance` are the same whichever name a library used. The finder also answers
`importlib.metadata.version("torch")`.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import Distribution, DistributionFinder
from types import ModuleType
from typing import Any

from wengert import version
from wengert.outside import NotInWengert, reason

__all__ = ["install_as_torch"]


class TorchIsImportedError(RuntimeError):
    """PyTorch itself is loaded in this process; two libraries can't share one name."""


class SameModule(Loader):
    """Loads `torch.a.b` by handing out `wengert.a.b`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        __import__(self.name)
        module = sys.modules[self.name]
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The module ran when it was imported as wengert's. The import system has just pointed its __spec__ at us.
        module.__spec__ = self.spec
        name_what_is_loaded()

    def get_code(self, name: str):
        """The code of the module, for `python -m` and its like."""
        spec = importlib.util.find_spec(self.name)
        return spec.loader.get_code(self.name)  # type: ignore[union-attr]


def name_what_is_loaded() -> None:
    """Enter every loaded module of wengert under torch's name too.

    What is entered isn't loaded again, and so isn't bound in its package again, where by now a function may have the
    name of the module that it comes from (`torch.nn.utils.weight_norm`).
    """
    for name, module in list(sys.modules.items()):
        if name == "wengert" or name.startswith("wengert."):
            sys.modules.setdefault("torch" + name.removeprefix("wengert"), module)


class TorchDistribution(Distribution):
    """What `importlib.metadata` says of the distribution `torch`: PyTorch's release number, and who provides it."""

    FILES = {
        "METADATA": f"Metadata-Version: 2.1\nName: torch\nVersion: {version.__version__}\n"
        "Summary: wengert under the name torch\n",
        "top_level.txt": "torch\n",
    }

    def read_text(self, filename: str) -> str | None:
        return self.FILES.get(filename)

    def locate_file(self, path):
        raise FileNotFoundError(
            f"the distribution torch is wengert under another name and has no file {path} of its own"
        )


class AliasInChild:
    """What a parent sends to a child process that is started afresh: unpickled there, it installs the alias."""

    def __reduce__(self):
        return install_as_torch, ()


def tell_children(spawn: Any) -> None:
    """Have `multiprocessing.spawn` send the alias with what a child unpickles before it runs the program's module."""
    prepared = spawn.get_preparation_data
    spawn.get_preparation_data = lambda name: {**prepared(name), "torch": AliasInChild()}


class TellingChildren(Loader):
    """Loads `multiprocessing.spawn`, if and when the program needs it, and sees to `tell_children`."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        tell_children(module)


class TorchFinder(DistributionFinder):
    """Finds modules below `torch`, and the distribution of that name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "multiprocessing.spawn":
            spec = PathFinder.find_spec(fullname, path)
            if spec is not None and spec.loader is not None:
                spec.loader = TellingChildren(spec.loader)
            return spec
        if not fullname.startswith("torch.") and fullname != "functorch":  # the other package that PyTorch brings
            return None
        ours = "wengert" + (".functorch" if fullname == "functorch" else fullname.removeprefix("torch"))
        found = importlib.util.find_spec(ours)
        if found is not None:
            return ModuleSpec(
                fullname, SameModule(ours), origin=found.origin, is_package=found.submodule_search_locations is not None
            )
        # `importlib.util.find_spec` wants None for what isn't there; an import statement wants to know what is missing.
        if sys._getframe(2).f_globals.get("__name__") == "importlib._bootstrap":
            raise ModuleNotFoundError(absence(fullname), name=fullname)
        return None

    def find_distributions(self, context: DistributionFinder.Context | None = None) -> Iterable[Distribution]:
        if context is None or context.name is None or context.name.lower() == "torch":
            yield TorchDistribution()


def install_as_torch() -> ModuleType:
    """Make `import torch`, in this process and from now on, mean wengert; a second call changes nothing.

    Returns:
        The package, as `sys.modules["torch"]` holds it.

    Raises:
        RuntimeError: PyTorch itself has been imported already.
    """
    package = importlib.import_module("wengert")
    importlib.import_module("wengert.absent")  # finds the modules of which there are only the names
    present = sys.modules.get("torch")
    if present is package:
        return package
    if present is not None:
        raise TorchIsImportedError(
            f"PyTorch {getattr(present, '__version__', '')} is imported in this process already "
            f"(from {getattr(present, '__file__', 'an unknown place')}); "
            "call install_as_torch() before anything imports torch, or start the program with `wengert run`"
        )
    package.__name__ = "torch"  # libraries that patch PyTorch check whom they patch
    sys.meta_path.insert(0, TorchFinder())
    if (spawn := sys.modules.get("multiprocessing.spawn")) is not None:  # loaded before we could see to it
        tell_children(spawn)
    name_what_is_loaded()
    return package


def what_is_missing(error: BaseException) -> str | None:
    """The sentence naming what a failed `torch.a.b` or `from torch.a import b` wanted, if that is why it failed."""
    module: str | None
    if isinstance(error, NotInWengert):  # has said it all
        return None
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        module, name = error.obj.__name__, error.name
    elif isinstance(error, ImportError) and str(error).startswith("cannot import name"):
        module, name = error.name, str(error).split("'")[1]
    else:
        return None
    if module is None or module.partition(".")[0] not in ("wengert", "torch"):
        return None
    return absence(f"torch{module.removeprefix('wengert').removeprefix('torch')}.{name}")


def absence(name: str) -> str:
    """That wengert has no `torch.a.b`, and why, if it is known."""
    place, _, last = name.rpartition(".")
    why = reason(place.removeprefix("torch.") or "torch", last)
    return f"wengert has no {name} yet" if why is None else f"there is no {name} here: {why}"
