"""Files cross over: what wengert saves PyTorch loads, what PyTorch saves wengert loads, in every format."""

import importlib
import io
import pickle
from collections import Counter, OrderedDict

import pytest

DTYPES = (
    "bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64", "float16", "bfloat16", "float32",
    "float64", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2",
)  # fmt: skip
UNTYPED = ("uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2")  # dtypes without a storage class


def described(value):
    """A loaded object as something to compare: tensors by everything that a file keeps of them."""
    if getattr(value, "is_sparse", False):
        return value._indices().tolist(), value._values().tolist(), tuple(value.size()), value.is_coalesced()
    if hasattr(value, "untyped_storage"):
        bits = value.detach()
        memory = bits.untyped_storage()
        attributes = {k: v for k, v in value.__dict__.items() if not k.startswith("_")}
        return (
            type(value).__name__, str(value.dtype), tuple(value.shape), value.stride(), value.storage_offset(),
            value.requires_grad, value.is_leaf, bytes(memory.tolist()), attributes,
        )  # fmt: skip
    if isinstance(value, dict):
        kept = {} if type(value) is dict else dict(getattr(value, "__dict__", {}))
        return type(value), [(described(k), described(v)) for k, v in value.items()], kept
    if isinstance(value, list | tuple):
        return type(value).__name__, [described(each) for each in value]
    if isinstance(value, set):
        return sorted(value)
    return type(value).__name__, str(value)


def tensors(torch):
    x = torch.arange(24.0).reshape(4, 6)
    yield from (x.t()[1:, ::2], x[2], x[:0], x[1, 1], torch.tensor(2.5), torch.empty(0), torch.zeros(2, 0, 3))
    yield torch.ones(3).expand(2, 3)
    yield torch.ones(2, requires_grad=True)
    yield torch.ones(2, requires_grad=True) * 2
    yield torch.ones(1, 2, 3, 3).contiguous(memory_format=torch.channels_last)


def objects(torch):
    """Everything that PyTorch loads with ``weights_only=True``."""
    for untyped in (False, True):
        yield [torch.arange(24).to(getattr(torch, name)) for name in DTYPES if (name in UNTYPED) is untyped]
    yield list(tensors(torch))
    x = torch.arange(12.0).reshape(3, 4)
    yield {"whole": x, "part": x.t()[1:], "again": x, "number": 1, "text": "ä", "none": None, "truth": True}
    yield [1, -1, 300, 70000, 2**40, -(2**70), 0.5, "x" * 300, b"bytes", (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)]
    yield {"set": {1, 2}, "counter": Counter("aab"), "array": bytearray(b"xyz"), "complex": 1 + 2j}
    yield [torch.float32, torch.uint16, torch.Size([2, 3]), torch.device("cpu"), torch.strided, torch.sparse_coo]
    weight = torch.nn.Parameter(torch.ones(2, 2))
    weight.note = "kept"
    noted = torch.ones(2)
    noted.note = "kept too"
    yield [weight, noted, torch.nn.Parameter(torch.ones(1), requires_grad=False)]
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.LSTM(4, 2))
    yield model.state_dict()
    model[0](torch.ones(1, 3)).sum().backward()
    for name, options in {"Adam": {"amsgrad": True}, "SGD": {"lr": 0.1, "momentum": 0.9}, "RMSprop": {}}.items():
        optimizer = getattr(torch.optim, name)(model[0].parameters(), **options)
        optimizer.step()
        yield optimizer.state_dict()
    yield torch.get_rng_state()
    indices, values = torch.tensor([[0, 1, 1], [2, 0, 2]]), torch.tensor([3.0, 4.0, 5.0])
    sparse = torch.sparse_coo_tensor(indices, values, (2, 3), check_invariants=True)
    yield [sparse, sparse.coalesce(), sparse, torch.eye(3).to_sparse()]
    yield OrderedDict(a=OrderedDict(), b=[[[]], {}, {"c": {"d": torch.ones(1)}}])


OBJECTS = len(list(objects(importlib.import_module("wengert"))))


def saved(torch, obj, **options):
    file = io.BytesIO()
    torch.save(obj, file, **options)
    return file


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "legacy"])
@pytest.mark.parametrize("number", range(OBJECTS))
def test_an_object_crosses_over(subject, oracle, number, options):
    obj = list(objects(oracle))[number]
    if options and number == 1:
        with pytest.raises(AttributeError, match="has no attribute 'dtype'"):
            oracle.load(saved_at_start(oracle, obj, options))  # PyTorch can't read what it wrote
        return
    expected = described(oracle.load(saved_at_start(oracle, obj, options)))
    for writer in (subject, oracle):
        for reader in (subject, oracle):
            ours = list(objects(writer))[number]
            assert described(reader.load(saved_at_start(writer, ours, options))) == expected, (writer, reader)


def saved_at_start(torch, obj, options):
    file = saved(torch, obj, **options)
    file.seek(0)
    return file


@pytest.mark.parametrize("number", range(OBJECTS))
def test_files_are_mapped_across(subject, oracle, number, tmp_path):
    path = tmp_path / "file.pt"
    for writer, reader in ((subject, oracle), (oracle, subject)):
        writer.save(list(objects(writer))[number], path)
        assert described(reader.load(path, mmap=True)) == described(oracle.load(path))


def modules(torch):
    nn = torch.nn
    yield from (nn.Linear(2, 3), nn.Conv2d(1, 2, 3), nn.BatchNorm2d(3), nn.LSTM(2, 3, 2), nn.GRU(2, 3), nn.LayerNorm(3))
    yield from (nn.Embedding(4, 2, padding_idx=0), nn.MultiheadAttention(4, 2), nn.TransformerEncoderLayer(4, 2, 8))
    yield from (nn.Dropout(0.3), nn.ReLU(), nn.MaxPool2d(2), nn.Softmax(dim=1), nn.Flatten())
    yield from (nn.Sequential(nn.Linear(1, 2), nn.Tanh()), nn.ModuleList([nn.Linear(1, 1)]), nn.CrossEntropyLoss())
    yield from (nn.ModuleDict({"a": nn.GELU()}), nn.ParameterList([nn.Parameter(torch.ones(1))]))
    yield from (nn.Upsample(scale_factor=2), nn.GroupNorm(1, 2), nn.PReLU(), nn.ConvTranspose1d(1, 1, 2))
    yield from (nn.Bilinear(1, 2, 3), nn.RMSNorm(3), nn.Transformer(4, 2, 1, 1, 8))


MODULES = len(list(modules(importlib.import_module("wengert"))))


@pytest.mark.parametrize("number", range(MODULES))
def test_a_whole_module_crosses_over(subject, oracle, number):
    for writer, reader in ((subject, oracle), (oracle, subject)):
        writer.manual_seed(0)
        module = list(modules(writer))[number]
        file = saved_at_start(writer, module, {})
        with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
            reader.load(file)
        file.seek(0)
        loaded = reader.load(file, weights_only=False)
        assert repr(loaded) == repr(module) and type(loaded).__module__.partition(".")[0] == reader.__name__
        expected = {name: described(value) for name, value in module.state_dict().items()}
        assert {name: described(value) for name, value in loaded.state_dict().items()} == expected


def test_a_generator_crosses_over(subject, oracle):
    for writer, reader in ((subject, oracle), (oracle, subject)):
        generator = writer.Generator().manual_seed(3)
        writer.rand(5, generator=generator)
        file = saved_at_start(writer, generator, {})
        again = reader.load(file, weights_only=False)
        assert reader.rand(3, generator=again).tolist() == writer.rand(3, generator=generator).tolist()


PLACES = {
    "none": lambda torch: None, "cpu": lambda torch: "cpu", "device": lambda torch: torch.device("cpu"),
    "cuda": lambda torch: "cuda", "cuda:0": lambda torch: torch.device("cuda:0"), "xpu": lambda torch: "xpu",
    "mps": lambda torch: "mps", "nowhere": lambda torch: "nowhere", "dict": lambda torch: {"cpu": "cpu"},
    "dict to cuda": lambda torch: {"cpu": "cuda:1"}, "other dict": lambda torch: {"cuda": "xpu"},
    "function": lambda torch: lambda storage, location: storage if location == "cpu" else 1 / 0,
    "undecided": lambda torch: lambda storage, location: None,
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_places(subject, oracle, place):
    outcomes = []
    for torch in (subject, oracle):
        file = saved_at_start(oracle, oracle.ones(2), {})
        try:
            outcomes.append(described(torch.load(file, map_location=PLACES[place](torch))))
        except Exception as error:
            outcomes.append((type(error), str(error)))
    assert outcomes[0] == outcomes[1]


REFUSED = {
    "two dtypes": lambda torch: torch.save([x := torch.ones(2), x.view(torch.int32)], io.BytesIO()),
    "no file": lambda torch: torch.save(1, 5), "no file to load": lambda torch: torch.load(5),
    "absent": lambda torch: torch.load("/nonexistent/file.pt"),
    "folder": lambda torch: torch.save(1, "/nonexistent/x.pt"),
    "mapped buffer": lambda torch: torch.load(saved_at_start(torch, 1, {}), mmap=True),
    "half": lambda torch: torch.load(io.BytesIO(saved(torch, torch.ones(99)).getvalue()[:500])),
    "pickle": lambda torch: torch.load(io.BytesIO(pickle.dumps({}, 2))),
    "module": lambda torch: torch.load(saved_at_start(torch, importlib, {})),
    "pickle module": lambda torch: torch.load(io.BytesIO(), pickle_module=pickle, weights_only=True),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(subject, oracle, name):
    with pytest.raises(Exception) as theirs:
        REFUSED[name](oracle)
    with pytest.raises(type(theirs.value)) as ours:
        REFUSED[name](subject)
    assert str(ours.value)[:25] == str(theirs.value)[:25]


def test_unsafe_names_are_listed(subject, oracle):
    model = [oracle.nn.Linear(1, 1), OrderedDict(), pytest.approx, {1, 2}, oracle.nn.ReLU()]
    file = saved_at_start(oracle, model, {})
    names = oracle.serialization.get_unsafe_globals_in_checkpoint(file)
    file.seek(0)
    assert sorted(subject.serialization.get_unsafe_globals_in_checkpoint(file)) == sorted(names)
