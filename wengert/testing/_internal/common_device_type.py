"""Tests made for each device and dtype: here for the one device, the CPU.

`instantiate_device_type_tests(TestX, globals())` puts a class `TestXCPU` in the place of `TestX`, whose methods carry
the device and the dtype in their names: ``test_add_cpu_float32``.
"""

import functools
import unittest
from collections import namedtuple

from wengert.testing._internal.parametrization import parametrize, short, spread
from wengert.testing._internal.platforms import absent, passing, skip_for, skipIfNoSciPy

DEVICE = "cpu"


class dtypes:
    """Repeat a test for each of these dtypes (or tuples of them), given to it as `dtype`."""

    device_type = "all"

    def __init__(self, *args, device_type="all"):
        if len(args) == 1 and isinstance(args[0], (list, tuple)) and not isinstance(args[0][0], (list, tuple)):
            args = args[0]
        self.kinds, self.device_type = args, device_type

    def __call__(self, test):
        chosen = dict(getattr(test, "dtypes", {}))
        if self.device_type in chosen:
            raise RuntimeError(f"dtypes redefinition for {self.device_type}")
        chosen[self.device_type] = self.kinds
        test.dtypes = chosen
        return test


class dtypesIfCPU(dtypes):
    def __init__(self, *args):
        super().__init__(*args, device_type=DEVICE)


def dtypes_elsewhere(*args):
    """Dtypes for a device that there is not."""
    return passing


dtypesIfCUDA = dtypesIfMPS = dtypesIfXPU = dtypesIfPRIVATEUSE1 = dtypesIfHPU = dtypesIfMETA = dtypes_elsewhere


class OpDTypes:
    """Which of an operator's dtypes `ops` repeats a test for."""

    supported, unsupported, supported_backward, unsupported_backward, any_one, none, any_common_cpu_cuda_one = range(7)


class ops(parametrize):
    """Repeat a test for each of the operators, objects with a `name`, and for their dtypes, as `dtype` and `op`.

    An operator says its dtypes by `supported_dtypes(device_type)`, or `dtypes`.
    """

    def __init__(self, op_list, *, dtypes=OpDTypes.supported, allowed_dtypes=None, skip_if_dynamo=False):
        self.op_list, self.chosen, self.allowed = list(op_list), dtypes, allowed_dtypes

    def variants(self):
        for op in self.op_list:
            name = getattr(op, "formatted_name", op.name).replace(".", "_")
            if self.chosen == OpDTypes.none:
                yield name, {"op": op}, []
                continue
            for dtype in sorted(self.dtypes_of(op), key=str):
                yield f"{name}_{short(dtype)}", {"op": op, "dtype": dtype}, []

    def dtypes_of(self, op):
        if isinstance(self.chosen, (list, tuple, set)):
            kinds = set(self.chosen)
        else:
            kinds = set(op.supported_dtypes(DEVICE) if hasattr(op, "supported_dtypes") else op.dtypes)
        kinds = kinds & set(self.allowed) if self.allowed is not None else kinds
        return sorted(kinds, key=str)[:1] if self.chosen == OpDTypes.any_one else kinds


tol = namedtuple("tol", ["atol", "rtol"])


class precisionOverride:
    """Widen the absolute tolerance of a test, by dtype."""

    attribute = "precision_overrides"

    def __init__(self, by_dtype):
        self.by_dtype = by_dtype

    def __call__(self, test):
        setattr(test, self.attribute, self.by_dtype)
        return test


class toleranceOverride(precisionOverride):
    """Widen both tolerances of a test, by dtype: `tol(atol, rtol)`."""

    attribute = "tolerance_overrides"


class DeviceTestBase:
    """What a class made for a device has."""

    device_type = DEVICE

    @classmethod
    def get_primary_device(cls):
        return DEVICE

    @classmethod
    def get_all_devices(cls):
        return [DEVICE]


def instantiate_device_type_tests(
    generic_test_class, scope, except_for=None, only_for=None, include_lazy=False, allow_mps=False, allow_xpu=False
):
    """Put the class made for the CPU into `scope` (a module's ``globals()``) and take the generic one out."""
    del scope[generic_test_class.__name__]
    if DEVICE in named_devices(except_for) or (only_for and DEVICE not in named_devices(only_for)):
        return
    name = f"{generic_test_class.__name__}CPU"
    cls = type(name, (DeviceTestBase, generic_test_class), {"__module__": generic_test_class.__module__})
    for attribute in dir(generic_test_class):
        test = getattr(generic_test_class, attribute)
        if attribute.startswith("test") and callable(test):
            setattr(cls, attribute, None)
            instantiate(cls, attribute, test)
    scope[name] = cls


def named_devices(names):
    return [names] if isinstance(names, str) else list(names or ())


def instantiate(cls, name, test):
    """All repetitions of one test, with its device and dtypes."""
    chosen = getattr(test, "dtypes", {})
    kinds = chosen.get(DEVICE, chosen.get("all", (None,)))
    device = DEVICE if getattr(test, "device_count", None) is None else [DEVICE]
    for kind in kinds:
        argument = "devices" if getattr(test, "device_count", None) is not None else "device"
        extra = {argument: device} if takes(test, argument) else {}
        suffix = DEVICE
        if kind is not None:
            extra["dtypes" if isinstance(kind, (list, tuple)) and takes(test, "dtypes") else "dtype"] = kind
            suffix = "_".join((DEVICE, *map(short, kind if isinstance(kind, (list, tuple)) else (kind,))))
        spread(cls, name, with_tolerances(positional(test, argument), kind), extra, suffix)


def takes(test, argument):
    code = getattr(test, "__wrapped__", test).__code__
    return True if code.co_flags & 0x0C else argument in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def positional(test, argument):
    """The test with its device given by position unless it is known by name: the first parameter may have any."""
    code = getattr(test, "__wrapped__", test).__code__
    if argument in code.co_varnames[: code.co_argcount]:
        return test

    @functools.wraps(test)
    def run(self, **given):
        device = [given.pop(argument)] if argument in given else []
        return test(self, *device, **given)

    return run


def with_tolerances(test, kind):
    overrides = {a: getattr(test, a, {}) for a in ("precision_overrides", "tolerance_overrides")}
    dtype = kind[0] if isinstance(kind, (list, tuple)) else kind

    @functools.wraps(test)
    def run(self, **given):
        wanted = given.get("dtype", dtype)
        if wanted in overrides["tolerance_overrides"]:
            self.precision, self.rel_tol = overrides["tolerance_overrides"][wanted]
        else:
            self.precision = overrides["precision_overrides"].get(wanted, self.precision)
        return test(self, **given)

    return run


class onlyOn:
    """Run a test on these devices alone."""

    def __init__(self, device_type):
        self.here = DEVICE in named_devices(device_type)

    def __call__(self, test):
        return test if self.here else unittest.skip("test is for another device than the CPU")(test)


onlyCPU = onlyNativeDeviceTypes = onlyNativeDeviceTypesAnd = passing
onlyCUDA = onlyMPS = onlyXPU = onlyHPU = onlyPRIVATEUSE1 = onlyCUDAAndPRIVATEUSE1 = onlyAccelerator = onlyOn("others")
onlyCUDAAndXPU = onlyOn("others")


def deviceCountAtLeast(count):
    """Give a test a list of so many devices."""

    def decorate(test):
        test.device_count = count
        return test if count <= 1 else unittest.skip(f"fewer than {count} devices detected")(test)

    return decorate


def largeTensorTest(size, device=None, inductor=False):
    """Run a test only where so much memory (``"4GB"``, or bytes) is free."""
    units = {"GB": 2**30, "MB": 2**20, "KB": 2**10}
    needed = float(size[:-2]) * units[size[-2:]] if isinstance(size, str) else size
    return skip_for(lambda: needed > free_memory(), f"insufficient memory for {size}")


def free_memory():
    with open("/proc/meminfo") as f:
        lines = dict(line.split(":") for line in f)
    return int(lines["MemAvailable"].split()[0]) * 1024


class skipCPUIf:
    """Skip a test on the CPU when `condition` holds."""

    def __init__(self, condition, reason):
        self.skip = unittest.skipIf(bool(condition), reason)

    def __call__(self, test):
        return self.skip(test)


skipIf = skipCPUIf
skipCPUIfNoLapack = skipCPUIfNoFFT = disableMkldnn = disablecuDNN = passing
skipCPUIfNoMkl = skipCPUIfNoMklSparse = skipCPUIfNoMkldnn = absent("test is about Intel's libraries")
skipCPUIfNoSciPy = skipIfNoSciPy
expectedFailureCPU = unittest.expectedFailure


def skipped_elsewhere(*args, **kwargs):
    """A decorator about a device that there is not, used bare or with arguments."""
    return args[0] if len(args) == 1 and callable(args[0]) and not kwargs else passing


def __getattr__(name):
    """``skipCUDAIfRocm``, ``expectedFailureXLA`` and the rest: what they are about never happens on a CPU."""
    if name.startswith(("skipCUDA", "skipMeta", "skipMPS", "skipXLA", "skipLazy", "skipXPU", "skipGPU", "skipROCM",
                        "skipPRIVATEUSE1", "skipHPU", "expectedFailure", "skipCUDNN", "skipPRIVATEUSE")):  # fmt: skip
        return skipped_elsewhere
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def get_all_device_types():
    return [DEVICE]


def get_device_type_test_bases():
    return [DeviceTestBase]


def get_desired_device_type_test_bases(except_for=None, only_for=None, include_lazy=False, allow_mps=False):
    return [DeviceTestBase]
