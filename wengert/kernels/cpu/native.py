"""LLVM: text in, functions out.

A kernel is a module in LLVM's assembly language with one or more entry points. `compile_text` gives their addresses:
from memory, from the cache on disk, or by compiling. What lies on disk is named by everything that it depends on (the
text, LLVM's version, the processor and its features), is written under another name and moved into place, so that
several processes may share it, and carries a checksum, so that a damaged file is noticed and made anew.
"""

import contextlib
import ctypes
import hashlib
import os
import sys
import tempfile
import threading
from pathlib import Path

import llvmlite.binding as llvm

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


class Target:
    """This machine, as LLVM sees it, and the engine that holds its code."""

    def __init__(self):
        if llvm.llvm_version_info < (20,):
            raise ImportError(f"llvmlite with LLVM 20 or later is needed, found {llvm.llvm_version_info}")
        if hasattr(llvm, "initialize_native_target"):
            llvm.initialize_native_target()
            llvm.initialize_native_asmprinter()
        self.triple = llvm.get_process_triple()
        self.processor = llvm.get_host_cpu_name()
        features = llvm.get_host_cpu_features()
        self.has = {name for name, present in features.items() if present}
        self.features = features.flatten()
        self.machine = llvm.Target.from_triple(self.triple).create_target_machine(
            cpu=self.processor, features=self.features, opt=3, reloc="pic", codemodel="small", jit=True
        )
        module = llvm.parse_assembly("")
        module.triple = self.triple
        self.engine = llvm.create_mcjit_compiler(module, self.machine)
        # Threads of ours may still be in compiled code when the interpreter ends: the engine stays until the process
        # does.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.engine))
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.machine))
        self.vector_bytes = 64 if "avx512f" in self.has else 32 if "avx2" in self.has else 16
        self.identity = "\n".join((str(llvm.llvm_version_info), self.triple, self.processor, self.features, VERSION))


VERSION = "2"  # of what surrounds a kernel: the runtime and the way that it is compiled
_target = None


def target():
    """The `Target`, made when first asked for."""
    global _target
    if _target is None:
        with _lock:
            if _target is None:
                _target = Target()
    return _target


def compile_text(text, names):
    """The addresses of the functions `names` of the module `text`.

    In the text, ``@@`` before a name stands for ``@`` and a prefix that no other module has.
    """
    machine = target()
    key = hashlib.sha256(f"{machine.identity}\n{text}".encode()).hexdigest()[:40]
    found = _loaded.get(key)
    if found is not None:
        return found
    prefix = f"w{key[:16]}_"
    with _lock:
        found = _loaded.get(key)
        if found is None:
            code = read(key) or write(key, emit(text.replace("@@", f"@{prefix}")))
            machine.engine.add_object_file(llvm.ObjectFileRef.from_data(code))
            machine.engine.finalize_object()
            found = {name: machine.engine.get_function_address(prefix + name) for name in names}
            _loaded[key] = found
    return found


def emit(text):
    """Machine code for a module, as an object file."""
    machine = target().machine
    module = llvm.parse_assembly(text)
    module.triple = target().triple
    module.data_layout = str(machine.target_data)
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = options.slp_vectorization = False  # kernels are vectors as they are written
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    return machine.emit_object(module)


# --- the cache --------------------------------------------------------------------------------------------------------


def checksum(key, code):
    """Of the code and of the name that it goes by: one kernel's file in the place of another's is damage, too."""
    return hashlib.sha256(key.encode() + code).digest()


def read(key):
    """The object file of this key, or None if there is none or it is damaged."""
    directory = cache_directory()
    try:
        data = (directory / f"{key}.o").read_bytes() if directory else b""
    except OSError:
        return None
    digest, code = data[:32], data[32:]
    return code if code and checksum(key, code) == digest else None


def write(key, code):
    """Keep an object file if the directory can be written; returns it."""
    directory, name = cache_directory(), None
    if directory is None:
        return code
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=directory, suffix=".new")
        with os.fdopen(handle, "wb") as file:
            file.write(checksum(key, code) + code)
        os.replace(name, directory / f"{key}.o")
    except OSError:
        if name is not None:  # a full disk: what was begun takes no more of it
            with contextlib.suppress(OSError):
                os.unlink(name)
    return code


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
        llvm.add_symbol("wengert_parallel", self.addresses["wengert_parallel"])


_runtime = None


def runtime():
    """The `Runtime`, loaded when first asked for."""
    global _runtime
    if _runtime is None:
        _runtime = Runtime()
    return _runtime
