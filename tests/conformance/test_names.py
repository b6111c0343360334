"""What PyTorch's modules offer by name, wengert offers too, or `absent_names.toml` says why it does not."""

import importlib
import inspect
import tomllib
import warnings
from pathlib import Path

import pytest

import wengert

torch = pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed: `make conformance` installs it")

PLACES = """
    torch nn nn.functional nn.init nn.parameter nn.modules nn.utils nn.utils.rnn nn.utils.parametrize
    nn.utils.parametrizations nn.utils.prune nn.utils.stateless linalg fft special optim optim.lr_scheduler
    optim.swa_utils utils.data utils.checkpoint autograd autograd.functional autograd.forward_ad autograd.graph func
    distributions distributions.constraints distributions.transforms distributions.kl random testing overrides masked
    signal.windows nn.grad
    """
MODULES = PLACES.split()
ABSENT = tomllib.loads(Path(__file__).with_name("absent_names.toml").read_text(encoding="utf-8"))
"""Reason -> place -> the names, separated by spaces."""

FOREIGN = ("typing", "collections", "typing_extensions", "builtins", "functools", "contextlib", "warnings", "types")


def module_of(root, name):
    return root if name == "torch" else importlib.import_module(f"{root.__name__}.{name}")


def is_its_own(value):
    """Whether a module offers this, and has not merely imported it from elsewhere."""
    if inspect.ismodule(value) or value is torch.Tensor:
        return False
    return not str(getattr(value, "__module__", "")).startswith(FOREIGN) or isinstance(value, (int, str))


def names_of(module, place):
    listed = getattr(module, "__all__", None)
    names = [name for name in dir(module) if not name.startswith("_")]
    if listed and place != "torch":
        names = [name for name in names if name in listed]
    return [name for name in names if is_its_own(getattr(module, name))]


def excused(place):
    return {name for places in ABSENT.values() for name in places.get(place, "").split()}


def missing(place, theirs, ours, names):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        absent = {name for name in names if not hasattr(ours, name)}
    assert absent - excused(place) == set(), f"{theirs}: neither there nor in absent_names.toml"
    assert excused(place) - absent == set(), f"{theirs}: listed in absent_names.toml, and there"


@pytest.mark.parametrize("place", MODULES)
def test_every_public_name_is_there_or_its_absence_has_a_reason(place):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = module_of(torch, place)
        names = names_of(theirs, place)
    missing(place, theirs.__name__, module_of(wengert, place), names)


def test_every_method_of_tensor_is_there_or_its_absence_has_a_reason():
    names = [name for name in dir(torch.Tensor) if not name.startswith("_")]
    missing("Tensor", "torch.Tensor", wengert.Tensor, names)


def test_parameters_are_called_as_in_pytorch():
    """Of functions and classes whose signature Python can tell on both sides."""
    differing = []
    for place in MODULES:
        theirs, ours = module_of(torch, place), module_of(wengert, place)
        for name in names_of(theirs, place):
            value, other = getattr(theirs, name), getattr(ours, name, None)
            if callable(value) and other is not None and str(getattr(value, "__module__", "")).startswith("torch"):
                wanted, found = parameters_of(value), parameters_of(other)
                if wanted is not None and found is not None and wanted - found:
                    differing.append(f"{place}.{name}: {', '.join(sorted(wanted - found))}")
    assert [line for line in differing if line.split(":")[0] not in RENAMED] == []


RENAMED = {
    "torch.dtype", "torch.layout", "torch.memory_format", "torch.no_grad", "torch.enable_grad",  # made otherwise
    "torch.compile",  # takes what concerns no compiler
    "torch.norm", "torch.tensordot", "torch.chain_matmul",  # `out` is a keyword of every operation
    "nn.parameter.is_lazy", "autograd.enable_grad", "overrides.is_tensor_like",  # one argument
    "overrides.is_tensor_method_or_property", "overrides.resolve_name",
}  # fmt: skip


def parameters_of(value):
    """The names of the parameters; None where there is no telling, or where any are taken."""
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in parameters):
        return None
    return {p.name for p in parameters if not p.name.startswith("_")}
