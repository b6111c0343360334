"""``torch.nn.utils._named_member_accessor``: a tensor of a module, by its name, replaced by another."""

from wengert.tensor import Tensor


def swap_tensor(module, name, tensor, allow_missing=False):
    """Put `tensor` (None: nothing) where `module` has a parameter, buffer or tensor `name`; returns what was there.

    Raises:
        KeyError: the name has a dot in it, or the module has an attribute of that name that is no tensor.
        AttributeError: the module has none, and `allow_missing` is False.
    """
    if "." in name:
        raise KeyError('tensor name can\'t contain "."')
    if name == "":
        raise KeyError('tensor name can\'t be empty string ""')
    for table in (module._parameters, module._buffers):
        if name in table:
            before = table[name]
            if tensor is None:
                del table[name]
            else:
                table[name] = tensor
            return before
    before = getattr(module, name, None) if allow_missing else getattr(module, name)
    if before is not None and not isinstance(before, Tensor):
        raise TypeError(f"{name} is not an instance of torch.Tensor")
    if tensor is None:
        if before is not None:
            delattr(module, name)
    else:
        setattr(module, name, tensor)
    return before
