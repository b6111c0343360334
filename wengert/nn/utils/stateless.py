"""Call a module with other tensors in place of its parameters and buffers."""

import warnings
from contextlib import contextmanager

from wengert.tensor import Tensor

from ..modules.module import Module

__all__ = ["functional_call"]


def _tied_names(module):
    """Each name of a parameter or buffer → all names of the same tensor."""
    names = {}
    for members in (
        module.named_parameters(remove_duplicate=False),
        module.named_buffers(remove_duplicate=False),
    ):
        for name, tensor in members:
            names.setdefault(id(tensor), []).append(name)
    return {name: group for group in names.values() for name in group}


def _untied(module, tensors):
    """`tensors` with every value given under all names of the tensor that it replaces."""
    tied = _tied_names(module)
    full = {}
    for name, tensor in tensors.items():
        for other in tied.get(name, [name]):
            given = tensors.get(other, tensor)
            if given is not tensor:
                raise ValueError(
                    f"functional_call got multiple values for keys {sorted(k for k in tied[name] if k in tensors)}, "
                    "which are tied. Consider using tie_weights=False"
                )
            full[other] = tensor
    return full


ABSENT = object()


def _place(module, name):
    """The dictionary in which the tensor at the dotted path `name` stands (or would), and its name there."""
    if not name:
        raise KeyError('tensor name can\'t be empty string ""')
    path, _, leaf = name.rpartition(".")
    owner = module.get_submodule(path)
    for members in (owner._parameters, owner._buffers):
        if leaf in members:
            return members, leaf
    held = getattr(owner, leaf, ABSENT)
    if held is not ABSENT and not isinstance(held, Tensor):
        raise TypeError(f"attribute `{name}`: {held} is not an instance of torch.Tensor")
    return owner.__dict__, leaf


@contextmanager
def _swapped(module, tensors, strict):
    known = dict(module.named_parameters(remove_duplicate=False)) | dict(module.named_buffers(remove_duplicate=False))
    if strict and known.keys() != tensors.keys():
        lines = [
            f"\n\t{kind} key(s): {', '.join(map(repr, sorted(names)))}."
            for kind, names in (
                ("Unexpected", tensors.keys() - known.keys()),
                ("Missing", known.keys() - tensors.keys()),
            )
            if names
        ]
        raise RuntimeError(f"Error(s) in reparametrizing for {type(module).__name__}:{''.join(lines)}")
    for tensor in tensors.values():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{tensor} is not an instance of torch.Tensor")
    places = [(*_place(module, name), tensor) for name, tensor in tensors.items()]
    saved = [(members, leaf, members.get(leaf, ABSENT)) for members, leaf, _ in places]
    try:
        for members, leaf, tensor in places:
            members[leaf] = tensor
        yield
    finally:
        for (members, leaf, original), (_, _, given) in zip(saved, places, strict=True):
            # An in-place method may have put another tensor there: that is what the caller gets to see.
            given_now = members.get(leaf)
            if isinstance(given_now, Tensor) and given_now is not given:
                for name, tensor in list(tensors.items()):
                    if tensor is given:
                        tensors[name] = given_now
            if original is ABSENT:
                members.pop(leaf, None)
            else:
                members[leaf] = original


def call_with(module, given, args, kwargs, tie_weights, strict):
    """``module(*args, **kwargs)`` with the tensors of `given`, a dict or several, in place of its own."""
    if not isinstance(module, Module):
        raise TypeError(f"expected a Module, got {type(module).__name__}")
    if isinstance(given, (list, tuple)):
        names = [name for part in given for name in part]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"{repeated} appeared in multiple dictionaries; behavior of functional call is ambiguous")
        given = {name: tensor for part in given for name, tensor in part.items()}
    elif not isinstance(given, dict):
        raise ValueError(
            f"Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got {type(given)}"
        )
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    tensors = _untied(module, given) if tie_weights else dict(given)
    try:
        with _swapped(module, tensors, strict):
            return module(*args, **(kwargs or {}))
    finally:  # what the module put in the place of a tensor, the caller finds in its own dict
        given.update({name: tensors[name] for name in given})


def functional_call(module, parameters_and_buffers, args=None, kwargs=None, *, tie_weights=True, strict=False):
    """`torch.func.functional_call` under its older name, which warns that it is."""
    warnings.warn(
        "`torch.nn.utils.stateless.functional_call` is deprecated as of PyTorch 2.0 and will be removed in a future "
        "version of PyTorch. Please use `torch.func.functional_call` instead which is a drop-in replacement.",
        FutureWarning,
        stacklevel=2,
    )
    return call_with(module, parameters_and_buffers, args, kwargs, tie_weights, strict)
