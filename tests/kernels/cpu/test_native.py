"""Compiling, the cache on disk, threads, forks."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import wengert
from wengert import fast
from wengert.kernels import cpu
from wengert.kernels.cpu import function, mathematics, native, threads
from wengert.kernels.cpu.pointwise import Kernel

cpu.begin()
assert "exp" in mathematics.UFUNCS  # which kernels below are made of: without it they would be NumPy's own

PROGRAM = """
import numpy as np
from wengert.kernels import cpu
from wengert.kernels.cpu import native
from wengert.kernels.cpu.pointwise import Kernel
cpu.begin()
made = []
emit = native.emit
native.emit = lambda text: made.append(text) or emit(text)
x = np.linspace(0, 1, 1000, dtype=np.float32)
assert np.allclose(Kernel("f", lambda x: x * 3 + 1)(x), x * 3 + 1)
print(len(made))
"""


def run(directory):
    environment = {**os.environ, "WENGERT_CACHE": str(directory)}
    return int(subprocess.check_output([sys.executable, "-c", PROGRAM], text=True, env=environment, timeout=100))


def test_the_second_process_finds_what_the_first_compiled(tmp_path):
    assert run(tmp_path) == 1
    assert run(tmp_path) == 0


def test_a_damaged_file_is_made_anew(tmp_path):
    run(tmp_path)
    for file in tmp_path.glob("*.o"):
        file.write_bytes(file.read_bytes()[:-7] + b"garbage")
    assert run(tmp_path) == 1
    for file in tmp_path.glob("*.o"):
        file.write_bytes(b"")
    assert run(tmp_path) == 1
    assert run(tmp_path) == 0


def test_the_file_of_another_kernel_is_made_anew(tmp_path):
    run(tmp_path)
    one, other = sorted(tmp_path.glob("*.o"), key=lambda file: file.stat().st_size)[:2]
    one.write_bytes(other.read_bytes())
    assert run(tmp_path) == 1
    assert run(tmp_path) == 0


def test_a_file_that_cannot_be_written_to_its_end_is_taken_away(tmp_path, monkeypatch):
    def full(descriptor, mode):
        os.close(descriptor)
        raise OSError("no space left on device")

    monkeypatch.setenv("WENGERT_CACHE", str(tmp_path))
    monkeypatch.setattr(os, "fdopen", full)
    assert native.write("key", b"code") == b"code"
    assert native.read("key") is None
    assert not list(tmp_path.iterdir())


def test_a_user_without_a_home_has_no_cache(monkeypatch):
    def unknown():
        raise RuntimeError("Could not determine home directory.")

    for name in ("WENGERT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", unknown)
    assert native.cache_directory() is None
    assert native.write("key", b"code") == b"code"
    assert native.read("key") is None
    assert "no home directory" in fast.report()


NARROW = """
import numpy as np
from wengert.kernels import cpu
from wengert.kernels.cpu import mathematics, native
from wengert.kernels.cpu.pointwise import Kernel
cpu.begin()
assert native.target().vector_bytes == 16
for dtype in (np.float16, np.float32, np.float64):
    x, kernel = np.linspace(-3, 3, 1001).astype(dtype), Kernel("f", lambda x: np.exp(x) * x)
    assert np.allclose(kernel(x), np.exp(x) * x, 1e-2 if dtype == np.float16 else 1e-6)
    assert not kernel.refusals
"""


def test_narrower_vectors_may_be_wanted(tmp_path):
    for _ in range(2):  # compiled, then from the cache
        subprocess.run([sys.executable, "-c", NARROW], check=True, timeout=100,
                       env={**os.environ, "WENGERT_CACHE": str(tmp_path), "WENGERT_VECTORS": "128"})  # fmt: skip


def test_without_a_place_to_write_kernels_are_compiled_all_the_same(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert run(blocked / "cache") == 1


def test_the_number_of_threads_is_followed():
    before = wengert.get_num_threads()
    x = np.linspace(-3, 3, 500_001, dtype=np.float32)
    kernel = Kernel("f", lambda x: np.exp(x) * x)
    try:
        results = []
        for count in (1, 2, 3, 8):
            wengert.set_num_threads(count)
            assert threads.number() == count
            results.append(kernel(x))
        for result in results[1:]:
            assert (result == results[0]).all()
    finally:
        wengert.set_num_threads(before)


@pytest.mark.parametrize("helpers", [0, 1, 2, 4])
def test_each_task_is_run_once(helpers):
    before = wengert.get_num_threads()
    f, _, (runs,) = function.task(("unused",) * 6 + ("tasks",), 1, 1)
    mine = f.op(f"getelementptr i64, ptr {runs}, i64 %task")
    f.store(f.add(f.load(mine, "i64"), 1), mine, "i64")
    run = function.kernel([f], 1)
    try:
        wengert.set_num_threads(1 + helpers)
        threads.start()
        for count in (0, 1, 2, 3, 5, 31, 32, 33, 64, 100, 1000, 12345):
            runs = np.zeros(count + 1, np.int64)
            for _ in range(20):
                run(function.plan(0, 0, 0, 0, 0, 0, count), id(runs))
            assert (runs[:count] == 20).all()
            assert runs[count] == 0
    finally:
        wengert.set_num_threads(before)


@pytest.mark.parametrize(("setting", "count"), [("3", 3), (" 3 ", 3), ("3,2", 3), ("0", 0), ("-4", 0), ("x", 0)])
def test_the_environment_may_name_a_number_of_threads(setting, count, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", setting)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert threads.available() == wengert.get_num_threads.available() == (count or processors)


def test_several_threads_may_call_at_once():
    kernel = Kernel("f", lambda x: np.exp(x) * x)
    x = np.linspace(-3, 3, 300_001, dtype=np.float32)
    wanted, wrong = kernel(x), []

    def work():
        wrong.extend(1 for _ in range(30) if not (kernel(x) == wanted).all())

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own():
    kernel = Kernel("f", lambda x: np.exp(x) * x)
    x = np.linspace(-3, 3, 300_001, dtype=np.float32)
    wanted = kernel(x)
    child = os.fork()
    if not child:
        same = all((kernel(x) == wanted).all() and not np.zeros(300_001).any() for _ in range(5))
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert (kernel(x) == wanted).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_forked_while_another_thread_compiles_can_compile():
    x, compiling, numbers = np.linspace(-3, 3, 1000, dtype=np.float32), threading.Event(), iter(range(10**6))

    def compile_on():
        while compiling.is_set():
            number = float(next(numbers)) + 0.125
            Kernel("f", lambda x, number=number: np.exp(x) * number)(x)

    compiling.set()
    other = threading.Thread(target=compile_on)
    other.start()
    try:
        for k in range(4):
            child = os.fork()
            if not child:
                signal.alarm(60)
                kernel = Kernel("f", lambda x, k=k: np.exp(x) * (-k - 0.125))
                fine = np.allclose(kernel(x), np.exp(x) * (-k - 0.125)) and not kernel.refusals
                os._exit(0 if fine else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        compiling.clear()
        other.join()
