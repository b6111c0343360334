"""``torch.utils._foreach_utils``: lists of tensors sorted by what one operation could take at once."""

from wengert.tensor import Tensor

_foreach_supported_types = [Tensor]


def _get_foreach_kernels_supported_devices():
    return ["cuda", "xpu", "mtia"]


def _get_fused_kernels_supported_devices():
    return ["mps", "cuda", "xpu", "hpu", "cpu", "mtia"]


def _device_has_foreach_support(device):
    return device.type == "cpu"


def _has_foreach_support(tensors, device):
    return _device_has_foreach_support(device) and all(type(each) in (type(None), Tensor) for each in tensors)


def _group_tensors_by_device_and_dtype(tensorlistlist, with_indices=False):
    """Parallel lists of tensors, split by device and dtype of those in the first.

    Returns:
        ``{(device, dtype): (lists, indices)}``; the indices into the given lists only if `with_indices`.
    """
    groups = {}
    for index, row in enumerate(zip(*tensorlistlist)):
        lists, indices = groups.setdefault((row[0].device, row[0].dtype), ([[] for _ in tensorlistlist], []))
        for place, value in zip(lists, row):
            place.append(value)
        if with_indices:
            indices.append(index)
    return groups
