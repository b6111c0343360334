"""Call a module with other tensors in place of its parameters and buffers."""

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


def _members(module, name):
    """The dictionary that holds the tensor at the dotted path `name`, and its name there."""
    path, _, leaf = name.rpartition(".")
    try:
        owner = module.get_submodule(path)
    except AttributeError:
        owner = None
    for members in () if owner is None else (owner._parameters, owner._buffers):
        if leaf in members:
            return members, leaf
    return (owner.__dict__, leaf) if owner is not None and leaf in owner.__dict__ else (None, leaf)


@contextmanager
def _swapped(module, tensors, strict):
    known = dict(module.named_parameters(remove_duplicate=False)) | dict(module.named_buffers(remove_duplicate=False))
    missing = [n for n in known if n not in tensors]
    unexpected = [n for n in tensors if _members(module, n)[0] is None]
    if strict and (missing or unexpected):
        parts = [
            f"{kind} key(s): {', '.join(map(repr, names))}."
            for kind, names in (("Unexpected", unexpected), ("Missing", missing))
            if names
        ]
        raise RuntimeError(f"Error(s) in loading state_dict for {type(module).__name__}:\n\t" + "\n\t".join(parts))
    if unexpected:
        raise AttributeError(f"{type(module).__name__} has no attribute `{unexpected[0]}`")
    places = [(*_members(module, name), tensor) for name, tensor in tensors.items()]
    saved = [(members, leaf, members[leaf]) for members, leaf, _ in places]
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
            members[leaf] = original


def functional_call(module, parameters_and_buffers, args=None, kwargs=None, *, tie_weights=True, strict=False):
    """Call `module` with `parameters_and_buffers` (by dotted name, or a sequence of such dicts) in place of its own.

    `tie_weights` gives a replacement to all names of one tensor. `strict` requires all names, and no others.
    """
    if not isinstance(module, Module):
        raise TypeError(f"expected a Module, got {type(module).__name__}")
    if isinstance(parameters_and_buffers, list | tuple):
        merged = {}
        for part in parameters_and_buffers:
            repeated = merged.keys() & part.keys()
            if repeated:
                raise ValueError(
                    f"{min(repeated)} appears in multiple dictionaries; behavior of functional call is ambiguous"
                )
            merged.update(part)
        parameters_and_buffers = merged
    elif not isinstance(parameters_and_buffers, dict):
        raise ValueError(
            "Expected parameters_and_buffers to be a dict, or a list/tuple of dicts, but got "
            f"{type(parameters_and_buffers)}"
        )
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    tensors = _untied(module, parameters_and_buffers) if tie_weights else dict(parameters_and_buffers)
    with _swapped(module, tensors, strict):
        return module(*args, **(kwargs or {}))
