"""The greatest or least elements of rows, in the place of `wengert.kernels.sorting`.

A row is read once. Its best elements so far stand in order in the result; a vector of the row is compared with the last
of them, and only where one is better, which soon becomes rare, are its elements looked at one by one. A row made to
defeat this (one that rises, with the greatest wanted) is given up, and so is one with a NaN.
"""

from functools import cache

import numpy as np

from wengert.kernels.cpu import native
from wengert.kernels.cpu.expressions import F32
from wengert.kernels.cpu.function import kernel, plan, task

FIELDS = ("n", "k", "rows", "each", "budget", "unused", "tasks")
MOST = 128  # wanted: more are found by parting a copy
EACH = 1 << 13  # elements of a task, about


def best_function(lanes, largest):
    """Of each row the k best in order, and their places; `given_up` becomes 1 where that takes too long."""
    f, field, (source, values, places, given_up) = task(FIELDS, 4, lanes)
    better, worse = ("ugt", "olt") if largest else ("ult", "ogt")  # a NaN is better than all, for then it is noticed
    n, k, budget = field["n"], field["k"], field["budget"]
    work, at, bad = (f.variable("i64") for _ in range(3))
    f.store(0, bad, "i64")

    def place(pointer, i):
        return f.op(f"getelementptr i64, ptr {pointer}, i64 {i}")

    def insert(kept, kept_at, x, i, count):
        """Put the element at its place among the first `count`, after those that are as good."""
        head, test, move, out = (f.label() for _ in range(4))
        f.store(count, at, "i64")
        f.do(f"br label %{head}")
        f.lines.append(f"{head}:")
        here = f.load(at, "i64")
        before = f.sub(here, 1)
        f.do(f"br i1 {f.op(f'icmp sgt i64 {here}, 0')}, label %{test}, label %{out}")
        f.lines.append(f"{test}:")
        other = f.load(f.at(kept, before), "float")
        f.do(f"br i1 {f.op(f'fcmp {worse} float {other}, {x}')}, label %{move}, label %{out}")
        f.lines.append(f"{move}:")
        f.store(other, f.at(kept, here), "float")
        f.store(f.load(place(kept_at, before), "i64"), place(kept_at, here), "i64")
        f.store(before, at, "i64")
        f.do(f"br label %{head}")
        f.lines.append(f"{out}:")
        here = f.load(at, "i64")
        f.store(x, f.at(kept, here), "float")
        f.store(i, place(kept_at, here), "i64")
        done = f.add(f.load(work, "i64"), f.sub(count, here))
        f.store(done, work, "i64")
        nan, long = f.op(f"fcmp uno float {x}, {x}"), f.op(f"icmp sgt i64 {done}, {budget}")
        ends = f.op(f"zext i1 {f.op(f'or i1 {nan}, {long}')} to i64")
        f.store(f.op(f"or i64 {f.load(bad, 'i64')}, {ends}"), bad, "i64")

    start, last = f.mul("%task", field["each"]), f.sub(k, 1)
    with f.loop(start, f.minimum(f.add(start, field["each"]), field["rows"])) as row:
        line = f.at(source, f.mul(row, n))
        kept, kept_at = f.at(values, f.mul(row, k)), place(places, f.mul(row, k))
        f.store(0, work, "i64")
        with f.loop(0, k) as i:
            insert(kept, kept_at, f.load(f.at(line, i), "float"), i, i)
        with f.loop(k, n, lanes) as i:
            some = f.first(f.sub(n, i))
            bound = f.broadcast(f.load(f.at(kept, last), "float"))
            hits = f.op(f"fcmp {better} {f.vector} {f.load_some(f.at(line, i), some)}, {bound}")
            hits = f.op(f"and {f.mask} {hits}, {some}")
            hit = f.intrinsic(f"vector.reduce.or.v{lanes}i1", "i1", (f.mask, hits))
            fine = f.op(f"icmp eq i64 {f.load(bad, 'i64')}, 0")

            def one_by_one(i=i):
                with f.loop(i, f.minimum(f.add(i, lanes), n)) as j:
                    x = f.load(f.at(line, j), "float")
                    counts = f.op(f"fcmp {better} float {x}, {f.load(f.at(kept, last), 'float')}")
                    f.where(counts, lambda: insert(kept, kept_at, x, j, last))

            f.where(f.op(f"and i1 {hit}, {fine}"), one_by_one)
    some = f.op(f"icmp ne i64 {f.load(bad, 'i64')}, 0")
    f.where(some, lambda: f.do(f"store i64 1, ptr {given_up}, align 8"))
    return f


@cache
def compiled(largest):
    return kernel([best_function(native.target().vector_bytes // 4, largest)], 4)


def topk(input, k, dim, largest):
    """As the reference, in order; None for what it does better."""
    n = input.shape[dim]
    if input.dtype != F32 or not 0 < k <= min(MOST, n // 4) or not input.size:
        return None
    rows = np.ascontiguousarray(np.moveaxis(input, dim, -1))
    shape = (*rows.shape[:-1], k)
    values, places, given_up = np.empty(shape, np.float32), np.empty(shape, np.int64), np.zeros(1, np.int64)
    count = rows.size // n
    each = max(1, EACH // n)
    numbers = plan(n, k, count, each, 8 * n + k * k, 0, -(-count // each))
    compiled(bool(largest))(numbers, id(rows), id(values), id(places), id(given_up))
    if given_up[0]:
        return None
    return tuple(np.ascontiguousarray(np.moveaxis(a, -1, dim)) for a in (values, places))
