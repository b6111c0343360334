"""Large arrays live in recycled memory, and nothing sees a block that is used again."""

import gc

import numpy as np

import wengert
from wengert.kernels import cpu
from wengert.kernels.cpu import pool

cpu.begin()
N = 1_000_003


def address(array):
    return array.__array_interface__["data"][0]


def fresh_address():
    array = np.empty(N, np.float32)
    return address(array)


def test_a_dead_arrays_block_is_given_to_the_next():
    first = np.empty(N, np.float32)
    where = address(first)
    del first
    assert address(np.empty(N, np.float32)) == where


def test_a_view_keeps_the_block():
    first = np.zeros(N, np.float32)
    view = first[5:10]
    del first
    other = np.ones(N, np.float32)
    assert (view == 0).all()
    assert not np.shares_memory(view, other)


def test_what_backward_needs_keeps_the_block():
    x = wengert.ones(N, requires_grad=True)
    y = x.exp()
    loss = (y * 2).sum()
    del y
    for _ in range(3):
        wengert.full((N,), 7.0)
    loss.backward()
    assert wengert.allclose(x.grad, wengert.full((N,), 2 * float(np.exp(np.float32(1)))))


def test_an_exported_array_keeps_the_block():
    exported = (wengert.ones(N) + 1).numpy()
    taken = np.from_dlpack(wengert.ones(N) + 2)
    for _ in range(3):
        wengert.zeros(N)
    assert (exported == 2).all()
    assert (taken == 3).all()


def test_zeros_are_zero_in_a_used_block():
    for _ in range(3):
        dirty = np.full(N, 3.5, np.float32)
        del dirty
        assert not np.zeros(N, np.float32).any()


def test_alignment():
    for size in (20_000, 100_000, N, 5 * N):
        assert address(np.empty(size, np.float32)) % 64 == 0


def test_resize_and_fromiter_keep_their_values():
    array = np.fromiter(range(300_000), np.float64)
    assert (array == np.arange(300_000)).all()
    for size in (1_000_000, 10, 100_000, 5):
        array.resize(size, refcheck=False)
        kept = min(size, 5)
        assert (array[:kept] == np.arange(kept)).all()


def test_statistics():
    gc.collect()
    pool.empty_cache()
    before = pool.memory_allocated()
    pool.reset_peak_memory_stats()
    array = np.empty(N, np.float32)
    held = pool.memory_allocated() - before
    assert array.nbytes <= held <= array.nbytes * 1.13
    assert pool.max_memory_allocated() == before + held
    del array
    assert pool.memory_allocated() == before
    assert pool.memory_reserved() == before + held
    assert pool.memory_stats()["inactive_bytes.all.current"] == held
    pool.empty_cache()
    assert pool.memory_reserved() == before


def test_kept_and_used_exceed_the_most_that_was_used_by_an_eighth_at_most():
    gc.collect()
    pool.empty_cache()
    stats = pool._raw()
    for size in np.random.default_rng(0).integers(100_000, 3_000_000, 200):
        np.empty(int(size), np.float32)
    raw = pool._raw()
    assert raw["allocated"] + raw["kept"] <= raw["ever"] * 9 // 8
    assert raw["allocated"] == stats["allocated"]


def test_a_smaller_array_may_live_in_a_kept_block_of_up_to_twice_its_size():
    gc.collect()
    pool.empty_cache()
    large = np.empty(3 * N // 2, np.float32)
    address, before = large.ctypes.data, pool._raw()
    del large
    small = np.empty(N, np.float32)
    assert small.ctypes.data == address
    assert pool._raw()["allocated"] == before["allocated"]  # it is counted with all that it holds
    other = np.empty(N, np.float32)
    assert other.ctypes.data != address
    del small, other
    assert pool._raw()["allocated"] < before["allocated"]


def test_off():
    pool.uninstall()
    try:
        before = pool.memory_allocated()
        array = np.empty(N, np.float32)
        assert pool.memory_allocated() == before
        del array
    finally:
        pool.install()
