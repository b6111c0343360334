"""The pickle in a checkpoint, as PyTorch would write it.

Tensors are calls of PyTorch's rebuilding functions, our classes have PyTorch's module names, storages are references.
"""

import io
import pickle
from collections import OrderedDict

from wengert import copying, dtypes
from wengert.devices import device
from wengert.kernels import shape as kernels
from wengert.size import Size
from wengert.storage import TypedStorage, UntypedStorage
from wengert.tensor import Parameter, Tensor, strides_of

# Types younger than PyTorch's storage classes: their storages are untyped, their tensors say the type.
UNTYPED = (dtypes.uint16, dtypes.uint32, dtypes.uint64, dtypes.float8_e4m3fn, dtypes.float8_e5m2)
STORAGE_NAMES = {t: f"{dtypes.SCALAR_NAMES[t]}Storage" for t in dtypes.ALL if t not in UNTYPED}


class Global:
    """A name in the file that stands for PyTorch's function or class, whatever it is called here."""

    def __init__(self, module, name):
        self.module, self.name = module, name

    def __call__(self):
        raise TypeError(f"{self.module}.{self.name} is a name, to be written only")


UNTYPED_STORAGE = Global("torch.storage", "UntypedStorage")


class Reference:
    """What stands in the pickle for a storage of `count` elements."""

    def __init__(self, key, dtype, count):
        self.key, self.dtype, self.count = key, dtype, count


class StorageReferences:
    """The storages met so far: `roots` has the bytes of each, by the key that the pickle refers to; `itemsizes`
    how many of them make an element.
    """

    def __init__(self):
        self.roots = {}
        self.itemsizes = {}
        self._met = {}  # by address

    def to(self, root, dtype):
        """A reference to the memory of `root`; RuntimeError if it was met before as one of another dtype."""
        line = UntypedStorage(root).bytes()
        key, met = self._met.setdefault((kernels.address(root), line.size), (str(len(self.roots)), dtype))
        if met is not dtype and line.size:
            raise RuntimeError("Cannot save multiple tensors or storages that view the same data as different types")
        count = line.size // dtype.itemsize
        if key not in self.roots:
            self.roots[key], self.itemsizes[key] = line[: count * dtype.itemsize], dtype.itemsize
        return Reference(key, dtype, count)


class Pickler(pickle._Pickler):
    """Writes one object.

    Args:
        file: where to.
        protocol: of the pickle.
        references: where storages are collected.
    """

    def __init__(self, file, protocol, references):
        super().__init__(file, protocol=protocol)
        self.references = references

    @classmethod
    def dumps(cls, obj, protocol, references):
        """`obj` as bytes."""
        text = io.BytesIO()
        cls(text, protocol, references).dump(obj)
        return text.getvalue()

    def persistent_id(self, obj):
        if isinstance(obj, Reference):
            kind = Global("torch", STORAGE_NAMES[obj.dtype]) if obj.dtype in STORAGE_NAMES else UNTYPED_STORAGE
            return ("storage", kind, obj.key, "cpu", obj.count)
        return None

    def save(self, obj, save_persistent_id=True):
        write = self.OURS.get(type(obj))
        if write is not None:
            write(self, obj)
        elif isinstance(obj, Tensor) and obj.is_sparse:
            self.save_sparse(obj)
        elif isinstance(obj, Tensor) and type(obj).__reduce_ex__ is Tensor.__reduce_ex__:
            self.save_tensor(obj)
        else:
            super().save(obj, save_persistent_id)

    def save_global(self, obj, name=None):
        module = getattr(obj, "__module__", None) or ""
        if module == "wengert" or module.startswith("wengert."):
            self.write(f"ctorch{module[7:]}\n{name or obj.__qualname__}\n".encode())
            self.memoize(obj)
        else:
            super().save_global(obj, name)

    def save_name(self, obj):
        self.write(f"c{obj.module}\n{obj.name}\n".encode())

    def save_dtype(self, obj):
        self.write(f"ctorch\n{obj.name}\n".encode())

    def save_once(self, obj, function, *arguments):
        """Write a call that makes `obj`, or where it was written before."""
        if not self.refer(obj):
            self.save_reduce(function, arguments, obj=obj)

    def refer(self, obj):
        """Write where `obj` was written before; False if it wasn't."""
        known = self.memo.get(id(obj))
        if known is not None:
            self.write(self.get(known[0]))
        return known is not None

    def save_tensor(self, tensor):
        if not self.refer(tensor):
            copying.warn_of_hooks(tensor)
            function, *arguments = rebuilding(tensor, self.references)
            self.save_reduce(function, tuple(arguments), obj=tensor)

    def save_sparse(self, tensor):
        parts = (tensor._indices(), tensor._values().detach(), tensor.size(), tensor.is_coalesced())
        self.save_once(tensor, Global("torch._utils", "_rebuild_sparse_tensor"), tensor.layout, parts)

    def save_storage(self, storage):
        self.save(self.references.to(storage._root, getattr(storage, "dtype", dtypes.uint8)))

    OURS = {
        Global: save_name,
        dtypes.dtype: save_dtype,
        dtypes.layout: lambda self, obj: self.save_once(obj, Global("torch.serialization", "_get_layout"), str(obj)),
        Size: lambda self, obj: self.save_once(obj, Global("torch", "Size"), tuple(obj)),
        device: lambda self, obj: self.save_once(
            obj, Global("torch", "device"), *([obj.type] if obj.index is None else [obj.type, obj.index])
        ),
        Tensor: save_tensor,
        Parameter: save_tensor,
        UntypedStorage: save_storage,
        TypedStorage: save_storage,
    }


# The Python pickler looks up what to do by exact class; classes and functions go through `save_global` above.
Pickler.dispatch = dict(pickle._Pickler.dispatch)
Pickler.dispatch[type(lambda: None)] = Pickler.save_global


def rebuilding(tensor, references):
    """(function, *arguments) of PyTorch's that make a tensor again. One that was computed loads as a leaf."""
    state = copying.attributes_of(tensor)
    if type(tensor) is Parameter:
        plain = (tensor.data, tensor.requires_grad, OrderedDict())
        if not state:
            return Global("torch._utils", "_rebuild_parameter"), *plain
        return Global("torch._utils", "_rebuild_parameter_with_state"), *plain, state
    function, *arguments = rebuilding_plain(tensor, references)
    if type(tensor) is Tensor and not state:
        return function, *arguments
    return Global("torch._tensor", "_rebuild_from_type_v2"), function, type(tensor), tuple(arguments), state


def rebuilding_plain(tensor, references):
    """The same without regard to class and attributes."""
    array, dtype = tensor._array, tensor.dtype
    root = kernels.root_of(array)
    offset = kernels.address(array) - kernels.address(root) if array.size else 0
    if offset % dtype.itemsize or any(stride % dtype.itemsize for stride in array.strides):
        array = root = array.copy()  # between elements of its storage, where no PyTorch tensor can lie
        offset = 0
    place = (offset // dtype.itemsize, tuple(array.shape), strides_of(array), tensor.requires_grad, OrderedDict())
    if dtype in STORAGE_NAMES:
        return Global("torch._utils", "_rebuild_tensor_v2"), references.to(root, dtype), *place
    return Global("torch._utils", "_rebuild_tensor_v3"), references.to(root, dtypes.uint8), *place, dtype
