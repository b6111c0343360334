"""Text in, functions out: LLVM, and the cache that makes it rarely needed.

A kernel is a module in LLVM's assembly language with one or more entry points. `compile_text` gives their addresses:
from memory, from the cache on disk, or by compiling. What lies on disk is named by everything that it depends on (the
text, LLVM's version, the processor and its features), is written under another name and moved into place, so that
several processes may share it, and carries a checksum, so that a damaged file is noticed and made anew.

LLVM itself is loaded when there is something to compile. What must be known of the machine to find a kernel in the
cache lies there too, and `wengert.kernels.cpu.objects` puts what was found into memory.
"""

import contextlib
import ctypes
import hashlib
import json
import os
import platform
import sys
import tempfile
import threading
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from wengert.kernels.cpu import objects

NOTHING: MappingProxyType[str, int] = MappingProxyType({})
_lock = threading.RLock()
_loaded: dict[str, dict[str, int]] = {}

if hasattr(os, "register_at_fork"):  # no child begins in the midst of a compilation by another thread of its parent
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def cache_directory():
    """Where compiled kernels are kept: WENGERT_CACHE, else the user's cache directory; None for a user without one."""
    try:
        named = os.environ.get("WENGERT_CACHE")
        if named:
            return Path(named).expanduser()
        base = os.environ.get("XDG_CACHE_HOME")
        if sys.platform == "darwin":
            base = base or Path.home() / "Library" / "Caches"
        return Path(base or Path.home() / ".cache") / "wengert" / "kernels"
    except RuntimeError:  # no HOME, and a user whom the system doesn't know, as in many a container
        return None


class Target(NamedTuple):
    """This machine, as LLVM sees it."""

    llvm: str  # its version
    triple: str
    processor: str
    features: str
    vector_bytes: int

    @property
    def converts_halves(self):
        """Whether the processor itself knows float16; where it doesn't, LLVM calls what the C library may lack."""
        return not self.triple.startswith("x86_64") or "+f16c" in self.features or self.processor == NARROWER[32]

    @property
    def identity(self):
        """What a kernel depends on besides its text."""
        return "\n".join((self.llvm, self.triple, self.processor, self.features, VERSION))


NARROWER = {16: "x86-64", 32: "x86-64-v3"}  # of the kinds of x86-64 processors, those whose vectors have so many bytes


def widest():
    """The widest vectors that are wanted, in bytes: WENGERT_VECTORS, in bits, for the results of another processor."""
    return max(16, int(os.environ.get("WENGERT_VECTORS", "512")) // 8)


VERSION = "3"  # of what surrounds a kernel: the runtime and the way that it is compiled
_target = None


def target():
    """The `Target`: from the cache if it has met this processor, else from LLVM."""
    global _target
    if _target is None:
        with _lock:
            if _target is None:
                _target = remembered_target() or compiler().target
    return _target


# Lines of /proc/cpuinfo that tell one kind of processor from another.
DESCRIBING = ("vendor_id", "cpu family", "model", "stepping", "flags")


def machine_key():
    """The name under which the target of this processor is kept; None where only LLVM can tell processors apart."""
    if not objects.possible():
        return None
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            described = [line for line in iter(file.readline, "\n") if line.startswith(DESCRIBING)]
    except OSError:
        return None
    parts = (metadata.version("llvmlite"), platform.machine(), VERSION, str(widest()), *described)
    return f"{hashlib.sha256(''.join(parts).encode()).hexdigest()[:40]}.machine"


def remembered_target():
    """The target of this processor from the cache, or None."""
    key = machine_key()
    data = read(key) if key else None
    return Target(*json.loads(data)) if data else None


class Compiler:
    """LLVM, and the engine that holds the code which it has linked."""

    def __init__(self):
        import llvmlite.binding as llvm

        if llvm.llvm_version_info < (20,):
            raise ImportError(f"llvmlite with LLVM 20 or later is needed, found {llvm.llvm_version_info}")
        if hasattr(llvm, "initialize_native_target"):
            llvm.initialize_native_target()
            llvm.initialize_native_asmprinter()
        self.llvm = llvm
        features = llvm.get_host_cpu_features()
        has = {name for name, present in features.items() if present}
        vector_bytes = 64 if "avx512f" in has else 32 if "avx2" in has else 16
        triple, processor, features = llvm.get_process_triple(), llvm.get_host_cpu_name(), features.flatten()
        if widest() < vector_bytes:
            vector_bytes = widest()
            if triple.startswith("x86_64"):
                processor, features = NARROWER[vector_bytes], ""
        self.target = Target(str(llvm.llvm_version_info), triple, processor, features, vector_bytes)
        key = machine_key()
        if key:
            write(key, json.dumps(self.target).encode())
        self.machine = llvm.Target.from_triple(self.target.triple).create_target_machine(
            cpu=self.target.processor, features=self.target.features, opt=3, reloc="pic", codemodel="small", jit=True
        )
        self.engine = None

    def emit(self, text):
        """Machine code for a module, as an object file."""
        module = self.llvm.parse_assembly(text)
        module.triple = self.target.triple
        module.data_layout = str(self.machine.target_data)
        module.verify()
        options = self.llvm.create_pipeline_tuning_options(speed_level=2)
        options.loop_vectorization = options.slp_vectorization = False  # kernels are vectors as they are written
        passes = self.llvm.create_pass_builder(self.machine, options)
        passes.getModulePassManager().run(module, passes)
        return self.machine.emit_object(module)

    def link(self, code, names, others=NOTHING):
        """The addresses of functions in an object file, which the engine puts into memory."""
        if self.engine is None:
            module = self.llvm.parse_assembly("")
            module.triple = self.target.triple
            self.engine = self.llvm.create_mcjit_compiler(module, self.machine)
            # Threads of ours may still be in compiled code when the interpreter ends: the engine stays until the
            # process does.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.engine))
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.machine))
        for name, address in {**_shared, **others}.items():
            self.llvm.add_symbol(name, address)
        self.engine.add_object_file(self.llvm.ObjectFileRef.from_data(code))
        self.engine.finalize_object()
        return {name: self.engine.get_function_address(name) for name in names}


_compiler = None
_shared: dict[str, int] = {}  # functions of the runtime that kernels call


def compiler():
    """The `Compiler`, made when first asked for."""
    global _compiler
    with _lock:
        if _compiler is None:
            _compiler = Compiler()
        return _compiler


def emit(text):
    """Machine code for a module, as an object file."""
    return compiler().emit(text)


def link(code, names, others=NOTHING):
    """The addresses of functions in an object file, which may call `others`, addresses by name."""
    if objects.possible():
        try:
            return objects.load(code, names, lambda name: others.get(name) or address_of(name))
        except objects.Unlinkable:
            pass
    return compiler().link(code, names, others)


def address_of(name):
    """The address of a function that compiled code calls, of the runtime or the C library; None if there is none."""
    if name.startswith("wengert_"):
        runtime()
        return _shared[name]
    try:
        return ctypes.cast(getattr(ctypes.CDLL(None), name), ctypes.c_void_p).value
    except AttributeError:
        return None


def compile_text(text, names, others=NOTHING):
    """The addresses of the functions `names` of the module `text`.

    In the text, ``@@`` before a name stands for ``@`` and a prefix that no other module has. It may call functions that
    were compiled before: `others`, addresses by name. What several kernels need is so compiled once.
    """
    key = hashlib.sha256(f"{target().identity}\n{text}".encode()).hexdigest()[:40]
    found = _loaded.get(key)
    if found is not None:
        return found
    prefix = f"w{key[:16]}_"
    with _lock:
        found = _loaded.get(key)
        if found is None:
            code = read(f"{key}.o") or write(f"{key}.o", emit(text.replace("@@", f"@{prefix}")))
            addresses = link(code, [prefix + name for name in names], dict(others))
            found = _loaded[key] = {name: addresses[prefix + name] for name in names}
    return found


# --- the cache --------------------------------------------------------------------------------------------------------


def checksum(name, content):
    """Of the content and of the name that it goes by: one kernel's file in the place of another's is damage, too."""
    return hashlib.sha256(name.encode() + content).digest()


def read(name):
    """What is kept under this name, or None if there is nothing or it is damaged."""
    directory = cache_directory()
    try:
        data = (directory / name).read_bytes() if directory else b""
    except OSError:
        return None
    digest, content = data[:32], data[32:]
    return content if content and checksum(name, content) == digest else None


def write(name, content):
    """Keep bytes if the directory can be written; returns them."""
    directory, draft = cache_directory(), None
    if directory is None:
        return content
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, draft = tempfile.mkstemp(dir=directory, suffix=".new")
        with os.fdopen(handle, "wb") as file:
            file.write(checksum(name, content) + content)
        os.replace(draft, directory / name)
    except OSError:
        if draft is not None:  # a full disk: what was begun takes no more of it
            with contextlib.suppress(OSError):
                os.unlink(draft)
    return content


# --- the runtime ------------------------------------------------------------------------------------------------------

RUNTIME = {
    "wengert_threads_reset": (None, ctypes.c_int64),
    "wengert_threads_limit": (None, ctypes.c_int64),
    "wengert_threads_rest": (None,),
    "wengert_parallel": None,
    "wengert_worker": None,
    "wengert_memory_stats": (ctypes.c_void_p,),
    "wengert_memory_configure": (None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64),
    "wengert_memory_trim": (None, ctypes.c_int64),
    "wengert_memory_after_fork": (None,),
    "wengert_malloc": None,
    "wengert_calloc": None,
    "wengert_realloc": None,
    "wengert_free": None,
    "wengert_zero": (None, ctypes.c_void_p, ctypes.c_int64),
}


# How a thread tells the processor, by the first part of its triple, that it waits for a value to change.
PAUSE = {"x86_64": "llvm.x86.sse2.pause", "aarch64": "llvm.aarch64.isb", "arm64": "llvm.aarch64.isb"}


def relax(triple):
    """The function `relax`, in which a waiting thread passes a moment."""
    pause = PAUSE.get(triple.partition("-")[0])
    if pause is None:
        return "define internal void @relax() {\n  ret void\n}\n"
    argument = "i32 15" if pause.endswith("isb") else ""
    declared = f"declare void @{pause}({'i32' if argument else ''})\n"
    return f"{declared}define internal void @relax() {{\n  call void @{pause}({argument})\n  ret void\n}}\n"


def function(address, result, *arguments):
    """An address as a Python function that releases the GIL while it runs."""
    return ctypes.CFUNCTYPE(result, *arguments)(address)


class Runtime:
    """The functions of runtime.ll: `addresses` by name, and as attributes those that Python calls."""

    def __init__(self):
        text = Path(__file__).with_name("runtime.ll").read_text(encoding="utf-8")
        if sys.platform == "darwin":
            text = text.replace("@malloc_usable_size", "@malloc_size")
        for name in RUNTIME:
            text = text.replace(f"@{name}(", f"@@{name}(")
            text = text.replace(f"ptr @{name},", f"ptr @@{name},")
        self.addresses = compile_text(text + relax(target().triple), list(RUNTIME))
        for name, signature in RUNTIME.items():
            if signature is not None:
                setattr(self, name.removeprefix("wengert_"), function(self.addresses[name], *signature))
        _shared["wengert_parallel"] = self.addresses["wengert_parallel"]


_runtime = None


def runtime():
    """The `Runtime`, loaded when first asked for."""
    global _runtime
    if _runtime is None:
        _runtime = Runtime()
    return _runtime
