"""Storages as old programs make them: by class, from buffers, from files."""

import copy

import pytest

import wengert as torch


def test_from_the_bytes_of_a_buffer():
    buffer = bytearray([1, 2, 3, 4])
    assert torch.ByteStorage.from_buffer(buffer).tolist() == [1, 2, 3, 4]
    assert torch.ByteStorage.from_buffer(buffer, offset=1, count=2).tolist() == [2, 3]
    assert torch.ShortStorage.from_buffer(buffer, "big").tolist() == [258, 772]
    assert torch.IntStorage.from_buffer(buffer, "little").tolist() == [67305985]
    assert torch.FloatStorage.from_buffer(bytearray([0x40, 0x10, 0, 0]), "big").tolist() == [2.25]
    assert torch.BoolStorage.from_buffer(bytearray([0, 1, 2])).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((bytearray(3), "little"), ValueError, "must be a multiple of element size"),
        ((bytearray(4),), RuntimeError, "missing required argument 'byte_order'"),
        ((bytearray(4), "middle"), ValueError, "invalid byte_order 'middle'"),
        ((bytearray(4), "little", 2), ValueError, "has only 1 elements"),
    ],
)
def test_buffers_that_do_not_fit(arguments, error, text):
    with pytest.raises(error, match=text):
        torch.FloatStorage.from_buffer(*arguments)


def test_on_a_file(tmp_path):
    path = str(tmp_path / "numbers")
    first = torch.FloatStorage.from_file(path, True, 3)
    second = torch.FloatTensor(torch.FloatStorage.from_file(path, True, 3))
    torch.FloatTensor(first).fill_(2)
    assert second.tolist() == [2, 2, 2]


def test_their_classes_and_what_they_show():
    s = torch.FloatStorage([1.0, 2.0])
    kind = "[torch.storage.TypedStorage(dtype=torch.float32, device=cpu) of size 2]"
    assert repr(s).splitlines() == [" 1.0", " 2.0", kind]
    assert torch.TypedStorage([1, 2], dtype=torch.int16).tolist() == [1, 2]
    with pytest.raises(RuntimeError, match="Only child classes"):
        torch.storage._LegacyStorage()


def test_a_tensor_takes_a_storage_of_its_dtype():
    x = torch.ones(3)
    assert torch.FloatTensor(x.storage()).data_ptr() == x.data_ptr()
    assert x.new(x.storage()).data_ptr() == x.data_ptr()
    with pytest.raises(RuntimeError, match="Expected a Storage of type Float or an UntypedStorage, but got type Int"):
        x.new(torch.IntStorage([1]))


def test_a_deep_copy_shares_with_the_copies_of_its_tensors():
    x = torch.zeros(4)
    tensor, storage, view = copy.deepcopy([x, x.storage(), x.view(2, 2)])
    tensor.add_(1)
    assert storage.tolist() == [1, 1, 1, 1] and view.sum() == 4 and x.sum() == 0
