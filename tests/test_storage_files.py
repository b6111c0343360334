"""Tensors on the memory of files."""

import pytest

import wengert as torch


def test_a_shared_tensor_writes_to_its_file(tmp_path):
    file = str(tmp_path / "numbers")
    torch.from_file(file, shared=True, size=4, dtype=torch.int32).copy_(torch.arange(4))
    again = torch.from_file(file, size=4, dtype=torch.int32)
    assert again.tolist() == [0, 1, 2, 3]
    again.fill_(9)
    assert torch.from_file(file, size=2, dtype=torch.int32).tolist() == [0, 1]


def test_a_file_that_is_too_short_is_refused(tmp_path):
    (tmp_path / "short").write_bytes(b"1234")
    with pytest.raises(RuntimeError, match="4 bytes where 8 are wanted"):
        torch.from_file(str(tmp_path / "short"), size=2)
