"""What the machine and the library have: the flags that tests ask, and the decorators that skip by them."""

import functools
import importlib.util
import os
import platform
import sys
import unittest

__all__ = [
    "DEVICE_FLAGS", "IS_ARM64", "IS_LINUX", "IS_MACOS", "IS_PPC", "IS_WINDOWS", "IS_X86",
    "TEST_HYPOTHESIS", "TEST_NUMBA", "TEST_NUMPY", "TEST_OPT_EINSUM", "TEST_PSUTIL", "TEST_SCIPY",
    "TEST_WITH_SLOW", "absent", "passing", "skip_for", "slowTest", "slowTestIf", "skipIfNoSciPy", "skipIfWindows",
    "skipIfMPS", "skipIfNoLapack", "skipIfNoMkl",
]  # fmt: skip


def installed(name):
    return importlib.util.find_spec(name) is not None


IS_WINDOWS = sys.platform == "win32"
IS_LINUX = sys.platform == "linux"
IS_MACOS = sys.platform == "darwin"
IS_ARM64 = platform.machine() in ("arm64", "aarch64")
IS_X86 = platform.machine() in ("x86_64", "i386", "AMD64")
IS_PPC = platform.processor() == "ppc64le"
TEST_NUMPY = True
TEST_SCIPY, TEST_NUMBA, TEST_PSUTIL = installed("scipy"), installed("numba"), installed("psutil")
TEST_HYPOTHESIS, TEST_OPT_EINSUM = installed("hypothesis"), installed("opt_einsum")
TEST_WITH_SLOW = os.environ.get("PYTORCH_TEST_WITH_SLOW", "0") == "1"

# Builds, devices and compilers of PyTorch's that this is not.
ABSENT_FLAGS = """
    IS_CI IS_FBCODE IS_JETSON IS_REMOTE_GPU IS_S390X IS_SANDCASTLE BUILD_WITH_CAFFE2 NO_MULTIPROCESSING_SPAWN
    HAS_HIPCC TEST_ACCELERATOR TEST_BACKWARD_COMPATIBLE TEST_CUDA TEST_CUDA_GRAPH TEST_CUDA_MEM_LEAK_CHECK
    TEST_CUDNN TEST_CUDNN_VERSION TEST_CUSPARSE_GENERIC TEST_DILL TEST_FAIRSEQ TEST_HPU TEST_MAGMA TEST_MKL
    TEST_MPS TEST_MULTIACCELERATOR TEST_MULTIGPU TEST_MULTIXPU TEST_NVML TEST_PRIVATEUSE1 TEST_SKIP_FAST
    TEST_TRANSFORMERS TEST_WITH_AOT_EAGER TEST_WITH_ASAN TEST_WITH_CROSSREF TEST_WITH_HIPCC TEST_WITH_MIOPEN
    TEST_WITH_ROCM TEST_WITH_TORCHDYNAMO TEST_WITH_TORCHINDUCTOR TEST_WITH_TSAN TEST_WITH_TV TEST_WITH_UBSAN
    TEST_XPU
    """
DEVICE_FLAGS = {"NOTEST_CPU": False, **dict.fromkeys(ABSENT_FLAGS.split(), False)}


def passing(*args, **kwargs):
    """A decorator that has nothing to do here, with or without arguments."""
    if len(args) == 1 and callable(args[0]) and not kwargs:
        return args[0]
    return lambda test: test


def absent(why):
    """A decorator, with or without arguments, that skips a test of what wengert does not have."""

    def decorate(*args, **kwargs):
        skip = unittest.skip(why)
        return skip(args[0]) if len(args) == 1 and callable(args[0]) and not kwargs else skip

    return decorate


def skip_for(condition, why):
    """A decorator for methods that skips when `condition` holds, found out when the test runs."""

    def decorate(test):
        @functools.wraps(test)
        def run(*args, **kwargs):
            if condition():
                raise unittest.SkipTest(why)
            return test(*args, **kwargs)

        return run

    return decorate


slowTest = skip_for(lambda: not TEST_WITH_SLOW, "test is slow; run with PYTORCH_TEST_WITH_SLOW=1 to enable it")
skipIfNoSciPy = skip_for(lambda: not TEST_SCIPY, "test needs SciPy: pip install wengert[scipy]")
skipIfNoLapack = skipIfMPS = passing
skipIfNoMkl = absent("test needs Intel's MKL")
skipIfWindows = unittest.skipIf(IS_WINDOWS, "test does not run on Windows")


def slowTestIf(condition):
    return slowTest if condition else passing
