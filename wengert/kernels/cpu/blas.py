"""NumPy's BLAS beside threads of our own.

OpenBLAS brings its own threads, and after each product they look out for the next one for tens of milliseconds, on
processors that others' threads then have to share. So it is told to use one thread. Large products in single precision
are `gemm`'s; those of other types are parted here: each thread has some rows of the result.
"""

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

import numpy as np

from wengert.kernels.cpu import threads

FEWEST = 64  # rows for each thread


@cache
def libraries():
    """NumPy's OpenBLAS, as threadpoolctl finds it; nothing without that package, or with another BLAS."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return ()
    found = ThreadpoolController().lib_controllers
    return tuple(one for one in found if one.internal_api == "openblas" and "numpy" in one.filepath)


def use(number):
    """Tell NumPy's OpenBLAS how many threads to take."""
    for library in libraries():
        library.set_num_threads(number)


@contextlib.contextmanager
def all_threads():
    """Within this, OpenBLAS may take all threads: for LAPACK's factorisations, which aren't shared out here."""
    use(threads.number())
    try:
        yield
    finally:
        use(1)


@cache
def workers(process, number):
    """The threads of this process (a forked one has none of its parent's)."""
    return ThreadPoolExecutor(number, thread_name_prefix="wengert-blas")


def times(a, b, bias=None, out=None):
    """``a @ b + bias`` with the rows shared out, or None where there are too few, or batches."""
    number = threads.number()
    if out is not None or number == 1 or a.dtype.kind not in "fc":
        return None
    if a.ndim != 2 or b.ndim != 2 or len(a) < number * FEWEST:
        return None
    out = np.empty((len(a), b.shape[1]), np.result_type(a, b))
    edges = [k * len(a) // number for k in range(number + 1)]
    shares = [workers(os.getpid(), number - 1).submit(np.matmul, a[i:j], b, out[i:j]) for i, j in pairwise(edges[1:])]
    np.matmul(a[: edges[1]], b, out[: edges[1]])
    for share in shares:
        share.result()
    if bias is not None:
        out += bias
    return out
