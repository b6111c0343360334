"""Which operation uses what, from which size.

Small arrays are NumPy's: below a few thousand elements the time of an operation is overhead, and nothing may be added
to it. So nothing is asked at all until the program has met its first large array (`notice`). From then on generated
functions look at the size of their operands, once, and hand large ones to the kernel that stands for the operation in
this table. What has no line here stays with the reference kernels at every size.

A line is named by the reference kernel that it stands in for, ``"module.function"`` below `wengert.kernels`, or by that
and a parameter, ``"module.function/input"``, for the derivative with respect to that parameter. All pointwise
operations have a line without being named: theirs is their own formula, compiled.
"""

import functools
import importlib
import os
import warnings
from functools import cache
from importlib import metadata
from operator import attrgetter
from typing import NamedTuple

# Elements from which a compiled loop beats NumPy's, its overhead of a few microseconds included. WENGERT_FAST_FROM puts
# another number in the place of all sizes of the table; 1 sends everything through the fast kernels, as tests do.
FROM = int(os.environ.get("WENGERT_FAST_FROM", "0"))
POINTWISE = FROM or 1 << 15


class Choice(NamedTuple):
    """From `smallest` elements of the first array on, `kernel` ("module:name") by `engine` stands in."""

    smallest: int
    engine: str
    kernel: str


CHOICES: dict[str, Choice] = {}


def stand_in(engine, module, smallest, *names, **others):
    """Add lines for functions of `wengert.kernels.<module>`, by their own names or by another (`others`)."""
    for name, function in {**{name: name for name in names}, **others}.items():
        home = f"wengert.kernels.cpu.{module}"
        CHOICES[f"{module}.{name}"] = Choice(smallest, engine, f"{home}:{function}")


stand_in(
    "llvm", "reductions", 1 << 15, "sum", "nansum", "mean", "amax", "amin", "max_all", "min_all", "var", "std",
    "logsumexp", "vector_norm", "softmax", "log_softmax", **{
        "prod": "multiplied",
        "amax/input": "equal_shares", "amin/input": "equal_shares", "max_all/input": "whole_extreme_gradient",
        "min_all/input": "whole_extreme_gradient", "var/input": "var_gradient", "std/input": "std_gradient",
        "vector_norm/input": "norm_gradient", "logsumexp/input": "logsumexp_gradient",
        "softmax/input": "softmax_gradient", "log_softmax/input": "log_softmax_gradient",
    },
)  # fmt: skip
CHOICES["comparison._aminmax/input"] = Choice(
    1 << 15, "llvm", "wengert.kernels.cpu.reductions:both_extremes_gradient"
)
CHOICES["pointwise.lgamma"] = Choice(1 << 14, "llvm", "wengert.kernels.cpu.gamma:of_array")
CHOICES["sums.add_rows"] = Choice(1 << 15, "llvm", "wengert.kernels.cpu.sums:add_rows")
CHOICES |= {
    f"reductions.{name}": Choice(1 << 14, "llvm", f"wengert.kernels.cpu.scans:{name}") for name in ("cumsum", "cumprod")
}
CHOICES["reductions.cumsum/input"] = Choice(1 << 14, "llvm", "wengert.kernels.cpu.scans:cumsum_gradient")
stand_in("llvm", "normalization", 1 << 15, "statistics", "normalize", "standardize", "gradients")
stand_in("llvm", "losses", 1 << 15, "cross_entropy", **{"cross_entropy/input": "cross_entropy_gradient"})
stand_in("llvm", "losses", 1 << 15, **{
    f"{name}/input": "slopes" for name in ("mse", "smooth_l1", "huber", "bce", "bce_with_logits", "soft_margin")
}, **{f"{name}/target": "slopes" for name in ("mse", "smooth_l1", "huber")})  # fmt: skip
stand_in("llvm", "activation", 1 << 15, "glu", **{"glu/input": "glu_gradient"})
stand_in("llvm", "indexing", 1 << 15, "masked_fill")
CHOICES["creation._converted"] = Choice(1 << 14, "llvm", "wengert.kernels.cpu.conversions:converted")
CHOICES["creation._converted/input"] = Choice(1 << 14, "llvm", "wengert.kernels.cpu.conversions:converted_back")
CHOICES["embedding._rows"] = Choice(1 << 15, "llvm", "wengert.kernels.cpu.indexing:take_rows")

# Kernels that compute for some operands and leave others (by their layout, dtype or proportions) to the next in the
# line, and in the end to the reference. The size is that of the work: multiplications, numbers drawn.
OFFERS = {
    "matmul.times": (
        Choice(1_000_000, "llvm", "wengert.kernels.cpu.gemm:times"),
        Choice(50_000_000, "llvm", "wengert.kernels.cpu.blas:times"),
    ),
    "convolution.correlate": (
        Choice(1_000_000, "llvm", "wengert.kernels.cpu.convolution:Direct.correlate"),
        Choice(50_000_000, "llvm", "wengert.kernels.cpu.convolution:Winograd.correlate"),
        Choice(1_000_000, "onednn", "wengert.kernels.cpu.convolution:OneDNN.correlate"),
    ),
    "convolution.correlate_data": (
        Choice(50_000_000, "llvm", "wengert.kernels.cpu.convolution:Winograd.correlate_data"),
        Choice(1_000_000, "onednn", "wengert.kernels.cpu.convolution:OneDNN.correlate_data"),
    ),
    "convolution.correlate_weight": (
        Choice(1_000_000, "llvm", "wengert.kernels.cpu.convolution:Direct.correlate_weight"),
        Choice(50_000_000, "llvm", "wengert.kernels.cpu.convolution:Winograd.correlate_weight"),
        Choice(1_000_000, "onednn", "wengert.kernels.cpu.convolution:OneDNN.correlate_weight"),
    ),
    "matmul.of_halves": (Choice(1_000_000, "onednn", "wengert.kernels.cpu.onednn:times"),),
    "pooling.max_pool_with_indices": (Choice(1 << 15, "llvm", "wengert.kernels.cpu.pooling:max_pool_with_indices"),),
    "pooling.max_pool_backward": (Choice(1 << 14, "llvm", "wengert.kernels.cpu.pooling:max_pool_backward"),),
    "copies.fill": (Choice(1 << 15, "llvm", "wengert.kernels.cpu.copying:fill"),),
    # The size of one matrix: each of a batch is a call of its own, which takes ten microseconds.
    **{f"decompositions.{name}": (Choice(smallest, "llvm", f"wengert.kernels.cpu.lapack:{name}"),)
       for smallest, names in {
           1 << 4: ("lu_factor",), 1 << 10: ("solve_triangular",),
           1 << 11: ("solve", "inv", "least_squares", "eigh", "svd"), 1 << 12: ("cholesky", "qr"),
           1 << 13: ("det", "slogdet"),
       }.items() for name in names},
    "fourier.computed": (Choice(1 << 13, "scipy", "wengert.kernels.cpu.fourier:computed"),),
    "indexing.accumulate_rows": (Choice(1 << 10, "llvm", "wengert.kernels.cpu.indexing:accumulate_rows"),),
    "indexing.gather": (Choice(1 << 14, "llvm", "wengert.kernels.cpu.indexing:gather"),),
    "indexing.scatter": (Choice(1 << 14, "llvm", "wengert.kernels.cpu.indexing:scatter"),),
    "indexing.rows": (Choice(1 << 15, "llvm", "wengert.kernels.cpu.indexing:take_rows"),),
    "shape.triangle": (Choice(1 << 15, "llvm", "wengert.kernels.cpu.indexing:triangle"),),
    "losses.combined": (Choice(1 << 15, "llvm", "wengert.kernels.cpu.losses:combined"),),
    "products.distances": (Choice(1 << 15, "llvm", "wengert.kernels.cpu.distances:distances"),),
    "recurrence.forward": (Choice(500_000, "llvm", "wengert.kernels.cpu.recurrence:forward"),),
    "recurrence.backward": (Choice(500_000, "llvm", "wengert.kernels.cpu.recurrence:backward"),),
    "reductions.running_squares": (Choice(1 << 14, "llvm", "wengert.kernels.cpu.squares:running_squares"),),
    "resampling.resample": (Choice(1 << 14, "llvm", "wengert.kernels.cpu.resampling:resample"),),
    "resampling.resample_transpose": (Choice(1 << 14, "llvm", "wengert.kernels.cpu.resampling:resample_transpose"),),
    **{f"sampling.{name}": (Choice(1 << 8, "llvm", f"wengert.kernels.cpu.sampling:{name}"),)
       for name in ("read", "spread", "slope")},
    "sorting.topk": (Choice(1 << 14, "llvm", "wengert.kernels.cpu.sorting:topk"),),
    "random.words": (Choice(16_384, "llvm", "wengert.kernels.cpu.mersenne:words"),),
    "random.box_muller_in_groups": (Choice(4096, "llvm", "wengert.kernels.cpu.normals:box_muller_in_groups"),),
    "random.shuffled": (Choice(16_384, "llvm", "wengert.kernels.cpu.mersenne:shuffled"),),
    "random.remainders": (Choice(16_384, "llvm", "wengert.kernels.cpu.mersenne:remainders"),),
    "random.bernoulli": (Choice(16_384, "llvm", "wengert.kernels.cpu.mersenne:bernoulli"),),
}


class Engine(NamedTuple):
    """What fast kernels are run by: the package whose presence decides, and how to get it."""

    package: str
    remedy: str


ENGINES = {
    "llvm": Engine("llvmlite", "pip install 'wengert[fast]'"),
    "scipy": Engine("scipy", "pip install 'wengert[scipy]'"),
    "onednn": Engine("onednn-cpu-gomp", "pip install 'wengert[onednn]' (Linux on x86-64)"),
}


def setting():
    """Whether the user wants fast kernels: yes unless WENGERT_FAST is 0."""
    return os.environ.get("WENGERT_FAST", "1") != "0"


class _State:
    wanted = setting()
    active = False  # whether generated functions look at sizes
    begun: set[str] = set()  # engines that are prepared
    failed: dict[str, str] = {}  # engines that are installed and don't work, and why


state = _State()
listeners = []  # called when `active` changes


def present(engine):
    """Whether an engine is installed and has not failed."""
    return engine not in state.failed and installed(engine) is not None


@cache
def installed(engine):
    """The version of an engine's package, or None."""
    try:
        return metadata.version(ENGINES[engine].package)
    except metadata.PackageNotFoundError:
        return None


def notice():
    """A large array exists."""
    if state.active or not state.wanted:
        return
    if not any(present(engine) for engine in ENGINES):
        state.wanted = False
        return
    state.active = True
    for changed in listeners:
        changed()


def use(wanted):
    """Turn the fast kernels on or off for the whole process."""
    state.wanted = wanted
    if not wanted and state.active:
        state.active = False
        for changed in listeners:
            changed()
    elif wanted:
        notice()


def name_of(kernel):
    """What the table calls a reference kernel, or None for one from elsewhere (a ufunc, a lambda)."""
    module = getattr(kernel, "__module__", None) or ""
    if not module.startswith("wengert."):
        return None
    return f"{module.rpartition('.')[2]}.{getattr(kernel, '__qualname__', '')}"


class Late:
    """A kernel that is looked up when it is first called, so that engines load when they are needed."""

    __slots__ = ("engine", "find", "found", "reference")

    def __init__(self, engine, find, reference):
        self.engine, self.find, self.reference = engine, find, reference
        self.found = None

    def load(self):
        self.found = self.find() if ready(self.engine) else self.reference
        return self.found

    def __call__(self, *args, **options):
        return (self.found or self.load())(*args, **options)

    def into(self, out, *args, **options):
        """Write the result into `out`; False if the reference has to do that."""
        kernel = self.found or self.load()
        return kernel is not self.reference and kernel.into(out, *args, **options)


def named(key, reference):
    """(smallest size, kernel) of the line `key` of the table, or None."""
    choice = CHOICES.get(key)
    if choice is None or not present(choice.engine):
        return None
    return FROM or choice.smallest, Late(choice.engine, found_by(choice, reference), reference)


def found_by(choice, reference):
    """A function that finds the kernel of a line, which may want to know what it stands in for (`beside`)."""
    module, _, name = choice.kernel.partition(":")

    def find():
        found = attrgetter(name)(importlib.import_module(module))
        return found.beside(reference) if hasattr(found, "beside") else found

    return find


def ready(engine):
    """Prepare an engine for its first kernel; False, after one warning, if it doesn't work."""
    if engine in state.begun:
        return True
    if not present(engine):
        return False
    try:
        if engine in STARTS:
            home, function = STARTS[engine]
            getattr(importlib.import_module(home), function)()
    except (ImportError, OSError, RuntimeError) as error:
        state.failed[engine] = f"{type(error).__name__}: {error}"
        warnings.warn(f"wengert: the {engine} kernels can't be used: {error}", RuntimeWarning, 4)
        return False
    state.begun.add(engine)
    return True


STARTS = {"llvm": ("wengert.kernels.cpu", "begin")}  # what prepares an engine


def stands_in(key, size):
    """Whether the line `key` of the table is for arrays of this size, once there are large ones."""
    return state.active and size >= (FROM or CHOICES[key].smallest)


def by_size(reference):
    """Decorate a reference kernel that is called as it is, not through a generated function: it asks for itself."""
    smallest = late = None

    @functools.wraps(reference)
    def run(first, *rest, **options):
        nonlocal smallest, late
        if state.active:
            if late is None:
                found = named(name_of(reference), reference)
                smallest, late = found or (1 << 62, reference)
            if first.size >= smallest:
                return late(first, *rest, **options)
        return reference(first, *rest, **options)

    run.reference = reference
    return run


UPDATES = FROM or 1 << 14


def updates():
    """What runs the updates of one step of a group of parameters, those of at least `UPDATES` elements; or None."""
    if not state.active or not ready("llvm"):
        return None
    from wengert.kernels.cpu.updates import Updates

    return Updates()


def declined(*args, **options):
    """What an offer that can't be used comes to."""
    return


@cache
def offers_of(key):
    """(smallest size, kernel) of each line of `OFFERS` under `key` whose engine is installed."""
    return tuple(
        (FROM or line.smallest, Late(line.engine, found_by(line, declined), declined))
        for line in OFFERS[key]
        if present(line.engine)
    )


def offered(key, work, *args, **options):
    """What the first kernel on offer for so much work makes of the arguments; None if all leave it to the reference."""
    if not state.active:
        return None
    for smallest, kernel in offers_of(key):
        if work >= smallest:
            result = kernel(*args, **options)
            if result is not None:
                return result
    return None


def pointwise(name, reference, record, stepwise=False):
    """(smallest size, kernel) for a formula on corresponding elements; `record` gives it as it is to be recorded, and
    `stepwise` says whether the reference rounds 16-bit floats after each of its steps.
    """
    if not present("llvm"):
        return None

    def find():
        from wengert.kernels.cpu.pointwise import Kernel

        return Kernel(name, reference, record(), stepwise)

    return POINTWISE, Late("llvm", find, reference)
