"""The names that test suites import from here, gathered; what is defined here are surroundings for a test."""

import contextlib
import functools
import gc
import os
import tempfile
import unittest
import unittest.mock
import warnings

import numpy as np

import wengert
from wengert import autograd
from wengert import dtypes as element_types
from wengert.interop import NUMPY_DTYPES
from wengert.random import fork_rng
from wengert.testing._internal import cases, matrices, parametrization, platforms
from wengert.testing._internal.platforms import absent, passing

for _part in (cases, matrices, parametrization, platforms):
    globals().update({name: getattr(_part, name) for name in _part.__all__})
globals().update(platforms.DEVICE_FLAGS)
NATIVE_DEVICES = ("cpu", "cuda", "xpu", "meta", "mps", "mtia")
GRADCHECK_NONDET_TOL = 0.0
TEST_WITH_SLOW_GRADCHECK = os.environ.get("PYTORCH_TEST_WITH_SLOW_GRADCHECK", "0") == "1"

numpy_to_torch_dtype_dict = {
    array.type: dtype for array, dtype in element_types.FROM_NUMPY.items() if array in NUMPY_DTYPES
}
torch_to_numpy_dtype_dict = {dtype: array for array, dtype in numpy_to_torch_dtype_dict.items()}
torch_to_numpy_dtype_dict[element_types.bfloat16] = np.float32


def numpy_to_torch_dtype(numpy_dtype):
    return numpy_to_torch_dtype_dict[np.dtype(numpy_dtype).type]


def run_tests(argv=None):
    """Run the tests of the program's module."""
    unittest.main(argv=argv)


def gradcheck(fn, inputs, **options):
    """`torch.autograd.gradcheck`, of batched gradients too, and fast unless asked otherwise."""
    defaults = {"check_batched_grad": True, "fast_mode": not TEST_WITH_SLOW_GRADCHECK}
    return autograd.gradcheck(fn, inputs, **{**defaults, **options})


def gradgradcheck(fn, inputs, grad_outputs=None, **options):
    """`torch.autograd.gradgradcheck`, of batched gradients too, and fast unless asked otherwise."""
    defaults = {"check_batched_grad": True, "fast_mode": not TEST_WITH_SLOW_GRADCHECK}
    return autograd.gradgradcheck(fn, inputs, grad_outputs, **{**defaults, **options})


# --- surroundings -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def freeze_rng_state():
    """A block after which the random stream goes on as if nothing had been drawn in it."""
    with fork_rng():
        yield


@contextlib.contextmanager
def set_default_dtype(dtype):
    before = wengert.get_default_dtype()
    wengert.set_default_dtype(dtype)
    try:
        yield
    finally:
        wengert.set_default_dtype(before)


@contextlib.contextmanager
def set_default_tensor_type(tensor_type):
    before = wengert.get_default_dtype()
    wengert.set_default_tensor_type(tensor_type)
    try:
        yield
    finally:
        wengert.set_default_dtype(before)


class set_warn_always_context:
    """A block in which warnings that come once a process come every time."""

    def __init__(self, new_value):
        self.new_value = new_value

    def __enter__(self):
        self.before = wengert.is_warn_always_enabled()
        wengert.set_warn_always(self.new_value)

    def __exit__(self, *exception):
        wengert.set_warn_always(self.before)


@contextlib.contextmanager
def disable_gc():
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class DeterministicGuard:
    """A block in which `torch.use_deterministic_algorithms` is as given."""

    def __init__(self, deterministic, *, warn_only=False, fill_uninitialized_memory=True):
        self.wanted = deterministic, warn_only

    def __enter__(self):
        self.before = wengert.are_deterministic_algorithms_enabled()
        self.warned = wengert.is_deterministic_algorithms_warn_only_enabled()
        wengert.use_deterministic_algorithms(self.wanted[0], warn_only=self.wanted[1])

    def __exit__(self, *exception):
        wengert.use_deterministic_algorithms(self.before, warn_only=self.warned)


@contextlib.contextmanager
def TemporaryFileName(*args, **kwargs):
    """The name of a closed file, removed after the block."""
    with tempfile.NamedTemporaryFile(*args, delete=False, **kwargs) as file:
        name = file.name
    try:
        yield name
    finally:
        os.unlink(name)


@contextlib.contextmanager
def TemporaryDirectoryName(suffix=None):
    with tempfile.TemporaryDirectory(suffix=suffix) as name:
        yield name


@contextlib.contextmanager
def suppress_warnings_context():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def suppress_warnings(test):
    @functools.wraps(test)
    def run(*args, **kwargs):
        with suppress_warnings_context():
            return test(*args, **kwargs)

    return run


def wrapDeterministicFlagAPITest(test):
    """A test that leaves `torch.use_deterministic_algorithms` as it was."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        with DeterministicGuard(
            wengert.are_deterministic_algorithms_enabled(),
            warn_only=wengert.is_deterministic_algorithms_warn_only_enabled(),
        ):
            return test(*args, **kwargs)

    return run


def find_library_location(name):
    raise NotImplementedError(f"find_library_location({name!r}): wengert has no compiled libraries")


def is_iterable(obj):
    try:
        iter(obj)
    except TypeError:
        return False
    return True


def is_iterable_of_tensors(iterable, include_empty=False):
    if isinstance(iterable, wengert.Tensor) or not is_iterable(iterable):
        return False
    items = list(iterable)
    return all(isinstance(item, wengert.Tensor) for item in items) if items else include_empty


def iter_indices(tensor):
    """All index tuples of a tensor."""
    return np.ndindex(*tensor.shape) if tensor.ndim != 1 else range(tensor.shape[0])


def dtype_name(dtype):
    """``float32`` for ``torch.float32``."""
    return str(dtype).rpartition(".")[2]


def to_gpu(obj, type_map=None):
    raise NotImplementedError("to_gpu: wengert has no such device")


def retry_on_connect_failures(test):
    return test


def scoped_load_inline(test):
    return unittest.skip("test compiles an extension for PyTorch's C++ library")(test)


# What these decorators are about never happens here: other compilers, devices, builds.
NEUTRAL = """
    skipIfTorchDynamo skipIfTorchInductor xfailIfTorchDynamo skipIfCrossRef skipIfRocm skipIfRocmVersionLessThan
    skipIfXpu skipIfHpu skipIfTBB skipIfTorchVersionLessThan xfailIfWindows skipIfNotMiopenSuggestNHWC
    skipIfMPSOnMacOS13 expectedFailureMPS skipCUDANonDefaultStreamIf skipCUDAMemoryLeakCheckIf serialTest
    unMarkDynamoStrictTest markDynamoStrictTest dontGenerateOpCheckTests skipIfSlowGradcheckEnv
    skipRocmIfTorchInductor
    skipIfOnGHA skipIfLegacyJitExecutor xfailIfLinux
    """
globals().update(dict.fromkeys(NEUTRAL.split(), passing))
skipIfNoXNNPACK = skipIfNotRegistered = skipIfNoQNNPACK = absent("test is about another library of kernels")
sandcastle_skip_if = skip_but_pass_in_sandcastle_if = unittest.skipIf
skip_but_pass_in_sandcastle = unittest.skip


def load_tests(loader, tests, pattern):
    """What `unittest` asks a test module for, where it has this name: all its tests."""
    return tests
