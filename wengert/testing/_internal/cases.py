"""A `TestCase` whose `assertEqual` compares tensors, numbers, arrays and structures of these, with tolerances."""

import contextlib
import re
import unittest
import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from wengert import testing
from wengert.ops.creation import as_tensor
from wengert.random import manual_seed
from wengert.tensor import Tensor

__all__ = ["SEED", "TestCase", "set_rng_seed"]

SEED = 1234
NUMBERS = (bool, int, float, complex, np.number, np.bool_)


def set_rng_seed(seed=None):
    """Seed the generators of this library, of NumPy and of Python."""
    import random

    seed = SEED if seed is None else seed
    manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - tests draw from this very stream


def unlike(x, y, options):
    """None, or what differs between `x` and `y`, which may be of unlike kinds: a tensor equals the list of its values,
    and a number the tensor of one element.
    """
    if any(isinstance(v, NUMBERS) for v in (x, y)) and all(is_scalar(v) for v in (x, y)):
        return unlike_numbers(*(v.item() if isinstance(v, (Tensor, np.generic)) else v for v in (x, y)), options)
    if isinstance(x, Tensor) != isinstance(y, Tensor):
        x, y = (beside(x, y), y) if isinstance(y, Tensor) else (x, beside(y, x))
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        return unlike_tensors(x, y, options)
    if isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and x.dtype.kind in "biufc":
        return unlike_tensors(tensor_of(x), tensor_of(y), options)
    if isinstance(x, Mapping) and isinstance(y, Mapping):
        if set(x) != set(y):
            return f"The keys of the mappings do not match: {sorted(map(str, x))} != {sorted(map(str, y))}"
        return first_unlike(((key, x[key], y[key]) for key in x), options)
    if is_sequence(x) and is_sequence(y):
        if len(x) != len(y):
            return f"The length of the sequences mismatch: {len(x)} != {len(y)}"
        return first_unlike(zip(range(len(x)), x, y, strict=True), options)
    return None if x == y else f"{type(x).__name__} comparison failed: {x!r} != {y!r}"


def is_sequence(value):
    return isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, (str, bytes))


def is_scalar(value):
    return isinstance(value, NUMBERS) or (isinstance(value, Tensor) and value.numel() == 1)


def beside(value, tensor):
    """`value` as a tensor where a tensor may stand beside it: a list in the tensor's dtype, an array in its own."""
    if isinstance(value, np.ndarray):
        return tensor_of(value)
    if is_sequence(value) and not any(isinstance(v, Tensor) for v in value):
        return as_tensor(value, dtype=tensor.dtype)
    return value


def tensor_of(array):
    """A tensor of the array's values, whichever way its strides run."""
    return as_tensor(array.copy() if min(array.strides, default=0) < 0 else array)


def unlike_tensors(x, y, options):
    if x.is_sparse or y.is_sparse:
        if x.layout != y.layout and options.check_layout:
            return f"The layouts do not match: {x.layout} != {y.layout}"
        x, y = (t.to_dense() if t.is_sparse else t for t in (x, y))
    return testing.compared_tensors(x, y, options)


def unlike_numbers(x, y, options):
    if isinstance(x, bool) and isinstance(y, bool):
        return None if x is y else f"Booleans mismatch: {x} is not {y}"
    return testing.compared_numbers(x, y, options.for_numbers)


def first_unlike(items, options):
    for key, x, y in items:
        found = unlike(x, y, options)
        if found is not None:
            return f"{found}\n\nThe failure occurred for item [{key!r}]"
    return None


class Tolerances(testing.Options):
    """Options of a comparison, whose tolerances a test case may widen by its `precision` and `rel_tol`."""

    case = None

    def tolerances(self, *kinds):
        rtol, atol = super().tolerances(*kinds)
        if self.rtol is not None:
            return rtol, atol
        return max(rtol, self.case.rel_tol), max(atol, self.case.precision)


class TestCase(unittest.TestCase):
    """`unittest.TestCase`, seeded before each test, comparing tensors by value."""

    maxDiff = None
    precision = 0.0
    rel_tol = 0.0
    _default_dtype_check_enabled = False

    def setUp(self):
        set_rng_seed()

    def assertEqual(
        self, x, y, msg=None, *, atol=None, rtol=None, equal_nan=True, exact_dtype=True, exact_device=False,
        exact_layout=False, exact_stride=False, exact_is_coalesced=False,
    ):  # fmt: skip
        """Fail unless `x` and `y` are close, element by element, in whatever structure they come."""
        if (rtol is None) != (atol is None):
            rtol, atol = (0.0 if rtol is None else rtol), (0.0 if atol is None else atol)
        common = {
            "case": self, "rtol": rtol, "atol": atol, "equal_nan": equal_nan, "check_device": exact_device,
            "check_layout": exact_layout, "check_stride": exact_stride, "allow_subclasses": True,
        }  # fmt: skip
        options = Tolerances(check_dtype=exact_dtype, for_numbers=Tolerances(check_dtype=False, **common), **common)
        complaint = unlike(x, y, options)
        if complaint is None and exact_is_coalesced and x.is_sparse and x.is_coalesced() != y.is_coalesced():
            complaint = "One of the tensors is coalesced, the other is not"
        if complaint is not None:
            text = msg(complaint) if callable(msg) else complaint if msg is None else f"{complaint}\n{msg}"
            raise self.failureException(text)

    def assertNotEqual(self, x, y, msg=None, *, atol=None, rtol=None, **options):
        """Fail if `x` and `y` are close."""
        with self.assertRaises(AssertionError, msg=msg):
            self.assertEqual(x, y, msg, atol=atol, rtol=rtol, **options)

    def assertEqualIgnoreType(self, *args, **kwargs):
        return self.assertEqual(*args, exact_dtype=False, **kwargs)

    def assertEqualBroadcasting(self, x, y, *args, **kwargs):
        """`assertEqual` with `y`, a number or smaller tensor, spread over the shape of `x`."""
        y = as_tensor(y, dtype=x.dtype).broadcast_to(x.shape) if not isinstance(y, Tensor) else y.broadcast_to(x.shape)
        return self.assertEqual(x, y, *args, **kwargs)

    def assertEqualTypeString(self, x, y):
        self.assertEqual((x.device, x.dtype), (y.device, y.dtype))

    def assertObjectIn(self, obj, iterable):
        if not any(obj is element for element in iterable):
            raise AssertionError("object not found in iterable")

    def assertExpectedRaises(self, exception, function, *args, **kwargs):
        with self.assertRaises(exception):
            function(*args, **kwargs)

    def assertExpectedInline(self, actual, expect, skip=0):
        """Fail unless `actual` is the text `expect`."""
        unittest.TestCase.assertEqual(self, expect.strip("\n"), str(actual).strip("\n"))

    def assertExpectedRaisesInline(self, exception, function, expect, *args, **kwargs):
        """Fail unless `function()` raises `exception` with the text `expect`."""
        with self.assertRaises(exception) as caught:
            function(*args, **kwargs)
        self.assertExpectedInline(str(caught.exception), expect)

    def assertNotWarn(self, function, msg=""):
        """Fail if a warning is given while `function` runs."""
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always")
            function()
        self.assertTrue(not given, msg)

    @contextlib.contextmanager
    def assertWarnsOnceRegex(self, category, regex=""):
        """A block in which exactly one warning is given, of this category and text."""
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always")
            yield
        matching = [w for w in given if re.search(regex, str(w.message))]
        found = any(issubclass(w.category, category) for w in matching)
        self.assertTrue(found, f"{category}: {regex!r} not in {given}")

    def compareWithNumpy(self, tensor_function, numpy_function, values, device=None, dtype=None, **kwargs):
        """Fail unless both functions agree: on a tensor, and on the array of the same values."""
        tensor = values if isinstance(values, Tensor) else as_tensor(values, dtype=dtype, device=device)
        expected = numpy_function(tensor.cpu().numpy())
        self.assertEqual(np.asarray(expected), tensor_function(tensor), exact_dtype=False, **kwargs)

    compare_with_numpy = compareWithNumpy

    @contextlib.contextmanager
    def maybeWarnsRegex(self, category, regex=""):
        """A block that may give warnings, of this category and text alone."""
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always")
            yield
        for warning in given:
            self.assertTrue(issubclass(warning.category, category) and re.match(regex, str(warning.message)))
