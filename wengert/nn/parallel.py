"""``torch.nn.parallel``: one module on several devices. There is one device here, so a module runs as it is."""

from wengert.devices import check

from .modules.module import Module

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel"]


class DataParallel(Module):
    """A module that would split batches over GPUs; without any it calls the module that it holds, as in PyTorch.

    Args:
        module: what runs; its parameters have the prefix ``module.`` in the state dict.
        device_ids, output_device: GPUs, refused if given.
        dim: the dimension along which a batch would be split.
    """

    def __init__(self, module, device_ids=None, output_device=None, dim=0):
        super().__init__()
        self.module = module
        self.device_ids = []
        for device in device_ids or ():
            check(device)
        if output_device is not None:
            check(output_device)

    def forward(self, *inputs, **kwargs):
        """``module(*inputs, **kwargs)``."""
        return self.module(*inputs, **kwargs)


def data_parallel(module, inputs, device_ids=None, output_device=None, dim=0, module_kwargs=None):
    """``module(*inputs)``, which would be split over GPUs."""
    for device in device_ids or ():
        check(device)
    inputs = inputs if isinstance(inputs, tuple) else () if inputs is None else (inputs,)
    return module(*inputs, **(module_kwargs or {}))


class DistributedDataParallel(Module):
    """Refused: several processes need a process group, and there is none."""

    def __init__(self, module, *args, **kwargs):
        raise ValueError(
            "Default process group has not been initialized, please make sure to call init_process_group. wengert has "
            "no process groups: run the module itself."
        )
