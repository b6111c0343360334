"""DataParallel: a batch shared out among the devices of a machine, of which there is one."""

from wengert.nn.modules.module import Module

__all__ = ["DataParallel", "data_parallel"]


class DataParallel(Module):
    """A module that would share its batches out among devices; without any, it calls `module` with the whole batch.

    Args:
        module: the model; its state is kept under ``module.``.
        device_ids, output_device: devices to use.
        dim: the dimension of batches.
    Raises:
        AssertionError: `device_ids` names devices, of which there are none.
    """

    def __init__(self, module, device_ids=None, output_device=None, dim=0):
        super().__init__()
        if device_ids:
            raise AssertionError("Torch not compiled with CUDA enabled: wengert computes on the CPU only")
        self.module, self.device_ids = module, []

    def forward(self, *inputs, **kwargs):
        return self.module(*inputs, **kwargs)


def data_parallel(module, inputs, device_ids=None, output_device=None, dim=0, module_kwargs=None):
    """``module(*inputs, **module_kwargs)``, as on a machine without devices."""
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    return DataParallel(module, device_ids, output_device, dim)(*inputs, **(module_kwargs or {}))
