"""DLPack both ways, with NumPy as the other library."""

import numpy as np
import pytest

import wengert
from wengert.dlpack import DLDeviceType, to_dlpack

NAMES = ["float64", "float32", "float16", "complex64", "complex128"]
NAMES += ["int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool"]


@pytest.mark.parametrize("name", NAMES)
def test_numpy_reads_our_memory_and_we_read_its(name):
    ours = wengert.zeros(2, 3, dtype=getattr(wengert, name))
    theirs = np.from_dlpack(ours)
    assert theirs.dtype == name and np.shares_memory(theirs, ours.numpy())
    back = wengert.from_dlpack(theirs)
    back[0, 0] = 1
    assert back.dtype is ours.dtype and ours[0, 0] == 1


@pytest.mark.parametrize("dtype", [wengert.bfloat16, wengert.float8_e5m2, wengert.float8_e4m3fn])
@pytest.mark.parametrize("max_version", [None, (1, 0)])
def test_dtypes_that_numpy_lacks_keep_their_name(dtype, max_version):
    ours = wengert.ones(3).to(dtype)
    back = wengert.from_dlpack(ours.__dlpack__(max_version=max_version))
    assert back.dtype is dtype and back.data_ptr() == ours.data_ptr()


def test_strides_are_kept():
    ours = wengert.zeros(4, 3).t()
    assert np.from_dlpack(ours).strides == (4, 12)
    assert wengert.from_dlpack(ours).stride() == (1, 3)


def test_a_capsule_is_good_for_one_tensor_and_it_is_writable():
    ours = wengert.zeros(3)
    capsule = to_dlpack(ours)
    wengert.from_dlpack(capsule).add_(1)
    assert ours.tolist() == [1, 1, 1]
    with pytest.raises(RuntimeError, match="invalid capsule"):
        wengert.from_dlpack(capsule)


def test_memory_outlives_the_tensor_that_lent_it():
    theirs = np.from_dlpack(wengert.arange(1000) * 2)
    assert theirs[-1] == 1998


def test_a_copy_is_made_on_request():
    ours = wengert.zeros(3)
    assert wengert.from_dlpack(ours, copy=True).data_ptr() != ours.data_ptr()
    assert wengert.from_dlpack(ours, copy=False).data_ptr() == ours.data_ptr()
    assert wengert.from_dlpack(ours, device="cpu").data_ptr() == ours.data_ptr()


def test_a_read_only_array_is_lent_as_well():
    theirs = np.zeros(2)
    theirs.flags.writeable = False
    assert wengert.from_dlpack(theirs).tolist() == [0, 0]


def test_a_tensor_that_requires_grad_is_not_lent():
    with pytest.raises(BufferError, match="Can't export tensors that require gradient"):
        wengert.ones(2, requires_grad=True).__dlpack__()


def test_requests_that_the_cpu_can_not_meet_are_refused():
    ours = wengert.ones(2)
    assert ours.__dlpack_device__() == (DLDeviceType.kDLCPU, 0)
    with pytest.raises(AssertionError, match="stream should be None on cpu"):
        ours.__dlpack__(stream=1)
    with pytest.raises(NotImplementedError, match="dl_device"):
        ours.__dlpack__(dl_device=(DLDeviceType.kDLCUDA, 0))
    with pytest.raises(AssertionError, match="CUDA"):
        wengert.from_dlpack(ours, device="cuda")


class OnAnotherDevice:
    def __dlpack__(self, **request):
        raise AssertionError("memory on another device should not be asked for")

    def __dlpack_device__(self):
        return (DLDeviceType.kDLCUDA, 0)


def test_memory_on_another_device_is_refused():
    with pytest.raises(NotImplementedError, match="not on the CPU"):
        wengert.from_dlpack(OnAnotherDevice())


@pytest.mark.parametrize("junk", [3, None, "text"])
def test_other_objects_are_refused(junk):
    with pytest.raises(RuntimeError, match="invalid capsule"):
        wengert.from_dlpack(junk)


def test_negative_strides_are_refused():
    with pytest.raises(ValueError, match="negative"):
        wengert.from_dlpack(np.arange(3)[::-1])
