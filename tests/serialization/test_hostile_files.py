"""Files that are damaged or meant to harm: a clear error, nothing run, no memory asked for that the file can't fill."""

import io
import os
import pickle
import struct
import tracemalloc
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import wengert as torch
from wengert import nn, optim
from wengert.serialization import unpickling

CLEAR = (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, NotImplementedError)


def content(**options):
    """A checkpoint as bytes."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimizer = optim.Adam(model.parameters())
    model(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, file, **options)
    return file.getvalue()


WHOLE = {"zip": content(), "legacy": content(_use_new_zipfile_serialization=False)}


def loaded_or_clear(data):
    """Load; None if it is refused with an error that a user can read. No more memory than a file of this size may need.
    """
    tracemalloc.start()
    try:
        return torch.load(io.BytesIO(data))
    except CLEAR as error:
        assert str(error)
        return None
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 4_000_000 + 20 * len(data)


fuzz = settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("kind", WHOLE)
@fuzz
@given(data=st.data())
def test_damaged_bytes(kind, data):
    damaged = bytearray(WHOLE[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place] = data.draw(st.integers(0, 255))
    loaded_or_clear(bytes(damaged))


@pytest.mark.parametrize("kind", WHOLE)
@fuzz
@given(data=st.data())
def test_missing_and_added_bytes(kind, data):
    whole = WHOLE[kind]
    start, end = sorted(data.draw(st.integers(0, len(whole))) for _ in range(2))
    loaded_or_clear(whole[:start] + data.draw(st.binary(max_size=30)) + whole[end:])


@pytest.mark.parametrize("kind", WHOLE)
def test_a_truncated_file_is_refused(kind):
    for end in range(0, len(WHOLE[kind]), 97):
        assert loaded_or_clear(WHOLE[kind][:end]) is None


@fuzz
@given(st.binary(max_size=200))
def test_any_pickle(text):
    loaded_or_clear(archive_of(b"\x80\x02" + text))


def archive_of(text, records=(), compression=zipfile.ZIP_STORED):
    """A checkpoint with a pickle of one's own."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("archive/data.pkl", text)
        for name, value in dict(records).items():
            archive.writestr(f"archive/{name}", value)
    return file.getvalue()


def refused(text, match, records=()):
    with pytest.raises(CLEAR, match=match):
        torch.load(io.BytesIO(archive_of(text, records)))


class Calls:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize(
    "function", [os.system, pytest.fail, eval, getattr, __import__, io.open, type, bytearray().__class__.fromhex],
    ids=lambda function: function.__name__ if hasattr(function, "__name__") else "pytest.fail",
)  # fmt: skip
def test_nothing_is_called(function):
    refused(pickle.dumps(Calls(function, "exit"), 2), r"not an allowed global|is blocked|Unsupported")


def test_a_module_that_a_program_admits_by_mistake_stays_blocked():
    with torch.serialization.safe_globals([(os.system, "posix.system")]):
        refused(pickle.dumps(Calls(os.system, "true"), 2), "whose module posix is blocked")


GET = b"ctorch\nfloat32\n"
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (b"(lp0\n.", "Unsupported operand 108"),
        (b"\x8c\x02os\x8c\x06system\x93.", "Unsupported operand 140"),
        (b"ctorch._utils\n_rebuild_tensor\n}X\x0c\x00\x00\x00__defaults__)sb.", "Can only build"),
        (b"ctorch\nTensor\n}X\x07\x00\x00\x00__add__Nsb.", "Can only build"),
        (b"ctorch\nTensor\n(J\xff\xff\xff\x7fJ\xff\xff\xff\x7ftR.", "call reduce for unrecognized function"),
        (b"ctorch\nTensor\n(J\xff\xff\xff\x7ft\x81.", "Can only create new object"),
        (b"cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.", "describes a bytearray"),
        (b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00bz2\x86R.", "describes bytes in an encoding"),
        (GET + b"NR.", "call reduce for unrecognized function"),
        (TENSOR + b"(NK\x00)))NtR.", "describes a tensor on a storage"),
        (b"ccollections\nOrderedDict\n)R}K\x01K\x02sb.", "describes an OrderedDict's state"),
        (b"K\x01a.", "can't be read"),
        (b"h\x05.", "not found"),
        (b"(((((", "ends early"),
        (b"K\x07Q.", "Only persistent_load of storage"),
        (b"X\xff\xff\xff\xffab.", "can't be read|ends early"),
        (b"ccollections\nCounter\n)R)K\x01a.", "Can only append to lists"),
        (b")K\x01K\x02s.", "Can only set items of dicts"),
    ],
)  # fmt: skip
def test_only_what_weights_need_is_read(text, match):
    refused(b"\x80\x02" + text, match)


def reference(count, kind="FloatStorage", size="(K\x02t", stride="(K\x01t"):
    """The pickle of one tensor of `size` on a storage that announces `count` elements."""
    number = struct.pack("<q", count)
    key = b"X\x07\x00\x00\x00storagectorch\n" + kind.encode() + b"\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu\x8a\x08"
    place = size.encode("latin-1") + stride.encode("latin-1")
    return b"\x80\x02" + TENSOR + b"((" + key + number + b"tQK\x00" + place + b"\x89}tR."


def test_a_storage_must_be_as_large_as_announced():
    records = {"data/0": bytes(8)}
    assert torch.load(io.BytesIO(archive_of(reference(2), records))).tolist() == [0, 0]
    refused(reference(10), "8 bytes where 40 are announced", records)
    refused(reference(2**60), "are announced", records)
    refused(reference(-2), "something that is no storage", records)
    refused(reference(2), "file not found", {})
    refused(reference(2, kind="Size"), "no storage", records)


def test_a_tensor_must_lie_inside_its_storage():
    records = {"data/0": bytes(8)}
    refused(reference(2, size="(K\x03t"), "out of bounds", records)
    refused(reference(2, stride="(K\x02t"), "out of bounds", records)
    refused(reference(2, stride="(J\xff\xff\xff\xfft"), "a size or stride", records)
    refused(reference(2, size="(NtX"[:-1], stride="(Nt"), "a size or stride", records)
    refused(reference(2, stride="t"), "can't be read", records)


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "legacy"])
def test_the_indices_of_a_sparse_tensor_must_lie_inside(options):
    file = io.BytesIO()
    wrong = torch.sparse_coo_tensor(torch.tensor([[7]]), torch.tensor([1.0]), (2,), check_invariants=False)
    torch.save(wrong, file, **options)
    file.seek(0)
    with pytest.raises(RuntimeError, match="size is 2 but found index 7"):
        torch.load(file)


def test_a_compressed_archive_is_refused():
    bomb = archive_of(reference(10**8), {"data/0": bytes(4 * 10**8)}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 10**6
    with pytest.raises(RuntimeError, match="larger than the file"):
        torch.load(io.BytesIO(bomb))
    small = archive_of(reference(2), {"data/0": bytes(8)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(RuntimeError, match="compressed"):
        torch.load(io.BytesIO(small))


def test_a_legacy_file_that_announces_too_much_is_refused():
    text = reference(2**50).replace(b"tQ", b"NtQ")
    head = b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    with pytest.raises(RuntimeError, match="announces more bytes than the file has"):
        torch.load(io.BytesIO(head + text + pickle.dumps(["0"], 2)))


def test_other_files():
    others = {b"PK\x03\x04abc": "central directory", b"hello": "Unsupported|not found", b"": "Ran out of"}
    for data, match in others.items():
        with pytest.raises(CLEAR, match=match):
            torch.load(io.BytesIO(data))
    with pytest.raises(RuntimeError, match=r"no data\.pkl"):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("hello", "world")
        file.seek(0)
        torch.load(file)
    with pytest.raises(RuntimeError, match="TorchScript"):
        torch.load(io.BytesIO(archive_of(b"", {"constants.pkl": b""})))


def test_what_may_be_called_is_a_short_list():
    assert len(unpickling.CALLABLE) <= 16
    assert not {eval, exec, getattr, open, os.system} & set(unpickling.ADMITTED.values())
