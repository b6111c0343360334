"""Object files are linked here as LLVM links them, or left to it."""

import ctypes
import os
import subprocess
import sys

import numpy as np
import pytest

from wengert.kernels.cpu import native, objects

pytestmark = pytest.mark.skipif(not objects.possible(), reason="only files for Linux on x86-64 are linked here")

# Constants, something written to and kept, and a function of the C library.
TEXT = """
@calls = internal global i64 40
@zero = internal global [3 x i64] zeroinitializer, align 64
@table = internal constant [2 x double] [double 0.5, double 0.25], align 16
declare double @cos(double)
define double @f(double %x, i64 %k) {
  %before = load i64, ptr @calls
  %after = add i64 %before, 1
  store i64 %after, ptr @calls
  %nothing = load i64, ptr @zero
  %sum = add i64 %after, %nothing
  %place = getelementptr double, ptr @table, i64 %k
  %factor = load double, ptr %place
  %number = sitofp i64 %sum to double
  %cosine = call double @cos(double %x)
  %scaled = fmul double %cosine, %factor
  %result = fadd double %scaled, %number
  ret double %result
}
"""
KIND = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double, ctypes.c_int64)


@pytest.mark.parametrize("link", [lambda code: objects.load(code, ["f"], native.address_of),
                                  lambda code: native.compiler().link(code, ["f"])])  # fmt: skip
def test_constants_variables_and_functions_from_elsewhere(link):
    f = KIND(link(native.emit(TEXT))["f"])
    assert [f(0.0, 0), f(1.0, 1)] == pytest.approx([41.5, 42 + np.cos(1.0) / 4])


def test_each_loading_has_variables_of_its_own():
    code = native.emit(TEXT)
    one, other = (KIND(objects.load(code, ["f"], native.address_of)["f"]) for _ in range(2))
    assert (one(0.0, 0), one(0.0, 0), other(0.0, 0)) == (41.5, 42.5, 41.5)


UNKNOWN = {
    "a reference through a table": "@environ = external global ptr\ndefine ptr @f() {\n"
    "  %p = load ptr, ptr @environ\n  ret ptr %p\n}",
    "a function that nobody has": "declare void @nobody_has_this()\ndefine void @f() {\n"
    "  call void @nobody_has_this()\n  ret void\n}",
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_is_not_known_is_refused(what):
    with pytest.raises(objects.Unlinkable):
        objects.load(native.emit(UNKNOWN[what]), ["f"], native.address_of)


def test_what_is_no_object_file_is_refused():
    with pytest.raises(objects.Unlinkable):
        objects.load(b"\x7fELF" + bytes(100), ["f"], native.address_of)


def test_llvm_takes_what_is_refused():
    found = native.link(native.emit(UNKNOWN["a reference through a table"]), ["f"])
    assert ctypes.CFUNCTYPE(ctypes.c_void_p)(found["f"])() is not None


PROGRAM = """
import sys
import wengert
x = wengert.linspace(0, 1, 100_000)
assert (x * 3 + 1)[-1] == 4
print("llvmlite" in sys.modules)
"""


def test_llvm_is_loaded_only_to_compile(tmp_path):
    environment = {**os.environ, "WENGERT_CACHE": str(tmp_path), "WENGERT_FAST": "1"}
    run = lambda: subprocess.check_output([sys.executable, "-c", PROGRAM], text=True, env=environment).strip()
    assert run() == "True"
    assert run() == "False"
    for file in tmp_path.glob("*.machine"):
        file.write_bytes(b"damaged")
    assert run() == "True"
    assert run() == "False"
