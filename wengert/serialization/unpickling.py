"""Reading the pickle of a checkpoint.

`WeightsUnpickler` is the one that nothing can be run with. It knows the opcodes that PyTorch's pickles need and no
others; a name in the file must be in `ADMITTED` or have been admitted by the program, and only what is listed can be
called, made, or given a state. What a file may call are functions of this module that check what they are given.
`TrustingUnpickler` finds any class and runs what the file says: for files that are trusted.
"""

import _compat_pickle
import importlib
import pickle
import pickletools
import threading
from collections import Counter, OrderedDict
from contextlib import contextmanager

import numpy as np

from wengert import copying, dtypes
from wengert.devices import device
from wengert.serialization.pickling import STORAGE_NAMES
from wengert.size import Size
from wengert.storage import TypedStorage, UntypedStorage
from wengert.tensor import Parameter, Tensor, wrap


class StorageType:
    """A class of typed storages, of which only the dtype matters any more."""

    def __init__(self, dtype):
        self.dtype = dtype

    def __repr__(self):
        return f"StorageType(dtype={self.dtype})"


# --- what a file may call ---------------------------------------------------------------------------------------------


def expect(condition, what):
    """Raise UnpicklingError unless the file's arguments make sense."""
    if not condition:
        raise pickle.UnpicklingError(f"the file describes {what} that can't be")


class _Place(threading.local):
    meta = False  # whether tensors are made on the device "meta"


place = _Place()


@contextmanager
def on_meta():
    """A block in which files give the shapes and dtypes of tensors alone."""
    place.meta = True
    try:
        yield
    finally:
        place.meta = False


def rebuild_tensor(storage, offset, size, stride):
    """A tensor on a storage; RuntimeError if it reaches beyond."""
    expect(isinstance(storage, TypedStorage), "a tensor on a storage")
    return rebuild_at(storage, storage.dtype, offset, size, stride)


def rebuild_at(storage, dtype, offset, size, stride):
    numbers = (offset, *size, *stride)
    expect(all(isinstance(n, int) and 0 <= n < 2**63 for n in numbers), "a tensor with a size or stride")
    if place.meta:
        from wengert.meta import bare

        return bare(tuple(size), dtype)
    memory, item = storage.bytes(), dtype.itemsize
    reach = offset + sum((n - 1) * s for n, s in zip(size, stride)) + 1 if 0 not in size else 0
    if reach * item > memory.size or len(size) != len(stride):
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {offset} are out of bounds for a "
            f"storage of {memory.size // item} elements"
        )
    strides = tuple(s * item for s in stride)
    return wrap(np.ndarray(tuple(size), dtype.numpy, memory, offset * item, strides), dtype)


def rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks, metadata=None):
    """The same with its flags. A tensor that PyTorch left to be conjugated or negated is so here."""
    tensor = rebuild_tensor(storage, offset, size, stride)
    expect(metadata is None or isinstance(metadata, dict), "a tensor with metadata")
    if metadata and metadata.get("conj"):
        tensor = tensor.conj()
    if metadata and metadata.get("neg"):
        tensor = tensor.neg()
    return tensor.requires_grad_() if requires_grad else tensor


def rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype, metadata=None):
    """The same for dtypes that have no storage class."""
    expect(isinstance(storage, UntypedStorage) and isinstance(dtype, dtypes.dtype), "a tensor with a dtype")
    tensor = rebuild_at(storage, dtype, offset, size, stride)
    return tensor.requires_grad_() if requires_grad else tensor


def rebuild_parameter(data, requires_grad, hooks):
    """A parameter around a tensor."""
    expect(isinstance(data, Tensor), "a parameter around a tensor")
    return Parameter(data, bool(requires_grad))


def rebuild_parameter_with_state(data, requires_grad, hooks, state):
    """The same with attributes."""
    return with_attributes(rebuild_parameter(data, requires_grad, hooks), state)


def rebuild_from_type(function, kind, arguments, state):
    """A tensor of a subclass, or with attributes."""
    expect(function in REBUILDING, "a tensor made by a function")
    expect(isinstance(kind, type) and issubclass(kind, Tensor), "a tensor of a class")
    tensor = function(*arguments)
    if type(tensor) is not kind:
        tensor = tensor.as_subclass(kind)
    own = getattr(kind, "__setstate__", None)
    if own is not None and own is not Tensor.__setstate__:
        own(tensor, state)
        return tensor
    return with_attributes(tensor, state)


def with_attributes(tensor, state):
    """`tensor`, with the attributes that a file gives it; none of those that the machinery keeps for itself."""
    attributes, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
    for named in (attributes, slots):
        expect(named is None or isinstance(named, dict), "a tensor with a state")
        for name, value in (named or {}).items():
            taken = name.startswith("__") or name in copying.INTERNAL or (hasattr(Tensor, name) and name != "name")
            expect(not taken, "a tensor with attributes")
            setattr(tensor, name, value)
    return tensor


def rebuild_sparse_tensor(layout, data):
    """A tensor in coordinate format."""
    expect(layout is dtypes.sparse_coo and isinstance(data, tuple) and 3 <= len(data) <= 4, "a sparse tensor")
    import wengert

    indices, values, size, *coalesced = data
    tensor = wengert.sparse_coo_tensor(indices, values, size, check_invariants=False)
    unchecked.tensors.append(tensor)
    return tensor._coalesced_(coalesced[0]) if coalesced and coalesced[0] else tensor


class Unchecked(threading.local):
    """Sparse tensors of the file that this thread loads; their indices may be read only after the pickle."""

    def __init__(self):
        self.tensors = []


unchecked = Unchecked()


def check_sparse_tensors():
    """Raise RuntimeError unless the indices of all sparse tensors lie inside them."""
    tensors, unchecked.tensors = unchecked.tensors, []
    for tensor in tensors:
        from wengert.ops.sparse import check_parts

        check_parts(tensor._indices()._array, tensor._values(), tensor.size(), True)


def make_bytearray(content=b"", encoding="latin-1"):
    """A bytearray of bytes; never of a number, which would be its size."""
    expect(isinstance(content, bytes | str), "a bytearray")
    return bytearray(encode(content, encoding) if isinstance(content, str) else content)


def encode(content, encoding="latin1"):
    """How protocol 2 writes bytes: as text."""
    expect(encoding in ("latin1", "latin-1"), "bytes in an encoding")
    return content.encode("latin-1")


def _get_layout(name):
    """The layout called `name`, "torch.strided" and the like."""
    return LAYOUTS[name]


LAYOUTS = {
    str(t): t
    for t in (
        dtypes.strided, dtypes.sparse_coo, dtypes.sparse_csr, dtypes.sparse_csc, dtypes.sparse_bsr, dtypes.sparse_bsc,
    )
}  # fmt: skip
REBUILDING = {
    rebuild_tensor, rebuild_tensor_v2, rebuild_tensor_v3, rebuild_parameter, rebuild_parameter_with_state,
    rebuild_sparse_tensor,
}  # fmt: skip
CALLABLE = {  # by the name in the file
    "torch._utils._rebuild_tensor": rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": rebuild_tensor_v2,
    "torch._utils._rebuild_tensor_v3": rebuild_tensor_v3,
    "torch._utils._rebuild_parameter": rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": rebuild_parameter_with_state,
    "torch._utils._rebuild_sparse_tensor": rebuild_sparse_tensor,
    "torch._tensor._rebuild_from_type_v2": rebuild_from_type,
    "torch.serialization._get_layout": _get_layout,
    "torch.Size": Size,
    "torch.device": device,
    "collections.OrderedDict": OrderedDict,
    "collections.Counter": Counter,
    "builtins.set": set,
    "builtins.complex": complex,
    "builtins.bytearray": make_bytearray,
    "_codecs.encode": encode,
}
ADMITTED = {
    **CALLABLE,
    "torch.Tensor": Tensor,
    "torch.nn.parameter.Parameter": Parameter,
    "torch.storage.UntypedStorage": UntypedStorage,
    **{f"torch.{t.name}": t for t in dtypes.ALL},
    **{f"torch.{name}": StorageType(t) for t, name in STORAGE_NAMES.items()},
}

# --- what the program admits ------------------------------------------------------------------------------------------

_user_admitted: set = set()


def add_safe_globals(safe_globals):
    """Admit these when loading with ``weights_only=True``: classes and functions, or pairs of one and its full name."""
    _user_admitted.update(safe_globals)


def get_safe_globals():
    """What was admitted with `add_safe_globals`."""
    return list(_user_admitted)


def clear_safe_globals():
    """Admit nothing in addition any more."""
    _user_admitted.clear()


class safe_globals:
    """Admit these inside a ``with`` block."""

    def __init__(self, safe_globals):
        self.safe_globals = safe_globals

    def __enter__(self):
        add_safe_globals(self.safe_globals)

    def __exit__(self, *error):
        _user_admitted.difference_update(self.safe_globals)


def user_admitted():
    """What the program admits, by the name that a file calls it."""
    found = {}
    for value in _user_admitted:
        if isinstance(value, tuple):
            if len(value) != 2:
                raise ValueError(
                    f"Expected tuple of length 2 (global, str of callable full path), but got tuple of length: "
                    f"{len(value)}"
                )
            value, name = value
            if type(name) is not str:
                raise TypeError(f"Expected second item in tuple to be str of callable full path, but got: {type(name)}")
        else:
            name = f"{value.__module__}.{value.__qualname__}"
        found[name] = value
        if name.startswith("wengert."):
            found["torch" + name.removeprefix("wengert")] = value
    return found


# --- the unpicklers ---------------------------------------------------------------------------------------------------

BLOCKED = ("sys", "os", "posix", "nt")
HOW_TO_TRUST = (
    "Re-running `torch.load` with `weights_only` set to `False` will likely succeed, but it can result in arbitrary "
    "code execution. Do it only if you got the file from a trusted source."
)


def name_today(module, name):
    """The full name of a global, where Python 2 called it differently."""
    module, name = _compat_pickle.NAME_MAPPING.get((module, name), (module, name))
    return f"{_compat_pickle.IMPORT_MAPPING.get(module, module)}.{name}"


class WeightsUnpickler(pickle._Unpickler):
    """Reads one object; see the module's docstring for what it admits.

    Args:
        file: open for reading.
        persistent_load: gives a storage for a reference.
    """

    def __init__(self, file, persistent_load):
        super().__init__(file, encoding="bytes")
        self.storage = persistent_load
        self.error_of_storage = None
        self.admitted = {**ADMITTED, **user_admitted()}
        user = list(user_admitted().values())
        self.callable = {id(value) for value in (*CALLABLE.values(), *user)}
        self.makeable = {id(value) for value in (OrderedDict, Counter, Parameter, *user)}

    def load(self):
        try:
            return super().load()
        except pickle.UnpicklingError as error:
            raise pickle.UnpicklingError(explained(str(error))) from None
        except EOFError:
            raise pickle.UnpicklingError(explained("the pickle ends early")) from None
        except RuntimeError:
            raise
        except Exception as error:
            if error is self.error_of_storage:
                raise
            found = f"the pickle can't be read: {type(error).__name__}: {error}"
            raise pickle.UnpicklingError(explained(found)) from error

    def persistent_load(self, reference):
        try:
            return self.storage(reference)
        except Exception as error:  # perhaps of the program's function for places, whose errors are its own
            self.error_of_storage = error
            raise

    def find_class(self, module, name):
        full = name_today(module, name)
        module = full.rpartition(".")[0]
        if module in BLOCKED:
            raise pickle.UnpicklingError(f"Trying to load unsupported GLOBAL {full} whose module {module} is blocked.")
        try:
            return self.admitted[full]
        except KeyError:
            shown = full.removeprefix("builtins.")
            raise pickle.UnpicklingError(
                f"Unsupported global: GLOBAL {shown} was not an allowed global by default. Please use "
                f"`torch.serialization.add_safe_globals([{shown}])` or the "
                f"`torch.serialization.safe_globals([{shown}])` context manager to allowlist this global if you trust "
                "this class/function."
            ) from None

    def load_reduce(self):
        if id(self.stack[-2]) not in self.callable:
            raise pickle.UnpicklingError(f"Trying to call reduce for unrecognized function {self.stack[-2]!r:.80}")
        super().load_reduce()

    def load_newobj(self):
        if id(self.stack[-2]) not in self.makeable:
            raise pickle.UnpicklingError(
                "Can only create new object for nn.Parameter or classes allowlisted via `add_safe_globals` but got "
                f"{self.stack[-2]!r:.80}"
            )
        super().load_newobj()

    def load_build(self):
        inst = self.stack[-2]
        kind = type(inst)
        if kind is OrderedDict:
            state = self.stack.pop()
            expect(isinstance(state, dict) and all(isinstance(name, str) for name in state), "an OrderedDict's state")
            inst.__dict__.update(state)
        elif id(kind) in self.makeable and kind not in (Counter, Parameter):
            super().load_build()
        else:
            raise pickle.UnpicklingError(
                "Can only build Tensor, Parameter, OrderedDict or types allowlisted via `add_safe_globals`, but got "
                f"{kind}"
            )

    def load_append(self):
        if type(self.stack[-2]) is not list:
            raise pickle.UnpicklingError(f"Can only append to lists, but got {type(self.stack[-2])}")
        super().load_append()

    def load_appends(self):
        if type(self.metastack[-1][-1]) is not list:
            raise pickle.UnpicklingError(f"Can only extend lists, but got {type(self.metastack[-1][-1])}")
        super().load_appends()

    def load_setitem(self):
        self.check_dict(self.stack[-3])
        super().load_setitem()

    def load_setitems(self):
        self.check_dict(self.metastack[-1][-1])
        super().load_setitems()

    def check_dict(self, target):
        if type(target) not in (dict, OrderedDict, Counter) and id(type(target)) not in self.makeable:
            raise pickle.UnpicklingError(f"Can only set items of dicts, but got {type(target)}")

    def load_short_binstring(self):  # text of Python 2
        size = self.read(1)[0]
        self.append(self.read(size).decode("utf-8"))


OPCODES = (
    "PROTO", "STOP", "GLOBAL", "NEWOBJ", "REDUCE", "BUILD", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "MARK", "TUPLE",
    "TUPLE1", "TUPLE2", "TUPLE3", "NONE", "NEWFALSE", "NEWTRUE", "EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET",
    "BININT", "BININT1", "BININT2", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING", "BINPERSID", "BINGET", "LONG_BINGET",
    "BINPUT", "LONG_BINPUT", "LONG1",
)  # fmt: skip


def refusal(code):
    """What an opcode does that weights don't need."""

    def refuse(unpickler):
        raise pickle.UnpicklingError(f"Unsupported operand {code}")

    return refuse


def restricted_dispatch():
    """The table by which the Python unpickler reads: listed opcodes do what they always do, the others are refused."""
    admitted = {getattr(pickle, name)[0] for name in OPCODES}
    table = {code: refusal(code) for code in range(256)}
    for code in admitted:
        table[code] = getattr(WeightsUnpickler, pickle._Unpickler.dispatch[code].__name__)
    return table


WeightsUnpickler.dispatch = restricted_dispatch()


def explained(message):
    """The whole error for what ``weights_only=True`` refuses, with the ways out."""
    if "was not an allowed global by default" in message:
        return (
            "Weights only load failed. This file can still be loaded, to do so you have two options, do those steps "
            f"only if you trust the source of the checkpoint. \n\t(1) {HOW_TO_TRUST}\n\t(2) Alternatively, to load "
            "with `weights_only=True` please check the recommended steps in the following error message.\n\t"
            f"WeightsUnpickler error: {message}"
        )
    return f"Weights only load failed. {HOW_TO_TRUST}\nWeightsUnpickler error: {message}"


class Trusting:
    """Mixed into an Unpickler: finds our classes under PyTorch's names, and everything else where it is."""

    def __init__(self, file, persistent_load, **arguments):
        super().__init__(file, **arguments)
        self.persistent_load = persistent_load

    def find_class(self, module, name):
        if module == "torch.tensor":  # as files of PyTorch before 1.8 call it
            module = "torch._tensor"
        known = ADMITTED.get(f"{module}.{name}")
        if known is not None:
            return known
        if module != "torch" and not module.startswith("torch."):
            return super().find_class(module, name)
        if module.startswith("torch._C."):  # PyTorch's bindings look like modules; here they are objects of one
            module, name = "torch._C", f"{module[9:]}.{name}"
        found = importlib.import_module(f"wengert{module[5:]}")
        for part in name.split("."):
            found = getattr(found, part)
        return found


class TrustingUnpickler(Trusting, pickle.Unpickler):
    """Reads one object and runs whatever the file says."""

    @staticmethod
    def of(pickle_module):
        """The class that reads with another module's Unpickler."""
        if pickle_module in (None, pickle):
            return TrustingUnpickler
        return type("TrustingUnpickler", (Trusting, pickle_module.Unpickler), {})


def globals_of(file):
    """The full names of all globals in a pickle, read without running it."""
    found = {}
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name == "GLOBAL":
            found[name_today(*argument.split(" ", 1))] = True
        elif opcode.name in ("STACK_GLOBAL", "INST"):
            raise pickle.UnpicklingError(f"Unsupported operand {ord(opcode.code)}")
    return list(found)
