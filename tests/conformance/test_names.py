"""What PyTorch's modules offer by name, wengert offers too, or `wengert.outside` says why it does not."""

import importlib
import importlib.util
import inspect
import warnings

import pytest

import wengert
from wengert import outside

torch = pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed: `make conformance` installs it")

PLACES = """
    torch nn nn.functional nn.init nn.parameter nn.modules nn.utils nn.utils.rnn nn.utils.parametrize
    nn.utils.parametrizations nn.utils.prune nn.utils.stateless linalg fft special optim optim.lr_scheduler
    optim.swa_utils utils.data utils.checkpoint autograd autograd.functional autograd.forward_ad autograd.graph func
    distributions distributions.constraints distributions.transforms distributions.kl random testing overrides masked
    signal.windows nn.grad
    """
MODULES = PLACES.split()
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


def missing(place, theirs, ours, names):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        absent = {name for name in names if not hasattr(ours, name)}
    unexplained = {name for name in absent if outside.reason(place, name) is None}
    assert unexplained == set(), f"{theirs}: neither there nor listed in wengert.outside"


PLACES_LISTED = sorted({place for absence in outside.ABSENT for place in absence.names})


@pytest.mark.parametrize("place", PLACES_LISTED)
def test_what_is_listed_as_outside_is_in_pytorch_alone(place):
    listed = {name for name in outside.names(place) if name != "*"}
    theirs, ours = (root.Tensor if place == "Tensor" else module_of(root, place) for root in (torch, wengert))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert {name for name in listed if hasattr(ours, name)} == set()
        assert {name for name in listed if not is_in(theirs, name)} == set()


def is_in(module, name):
    """Whether the name is there, as an attribute or as a module that is loaded when asked for."""
    return hasattr(module, name) or importlib.util.find_spec(f"{module.__name__}.{name}") is not None


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
