"""The parts that test suites borrow: a TestCase that knows tensors, repeated tests, dtypes, what there is."""

import unittest

import numpy as np
import pytest

import wengert as torch
from wengert.testing._internal import common_cuda, common_methods_invocations, matrices
from wengert.testing._internal import common_device_type as device_type
from wengert.testing._internal import common_dtype as groups
from wengert.testing._internal import common_utils as common

case = common.TestCase()
T = torch.tensor


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (T([1.0, 2.0]), [1, 2]),
        ((1, 2), T([1, 2])),
        (T(1.0), 1),
        (T([1.0]), 1),
        (1, 1.0),
        (T([1.0, 2.0]), np.array([1, 2], np.float32)),
        ([1, torch.ones(2)], (1, torch.ones(2))),
        ({"a": torch.ones(2)}, {"a": torch.ones(2)}),
        (torch.Size([1, 2]), (1, 2)),
        (float("nan"), float("nan")),
        (torch.ones(2), torch.ones(2) + 1e-7),
        ({1, 2}, {2, 1}),
        ("a", "a"),
        (None, None),
        (torch.float32, torch.float32),
    ],
)
def test_what_is_equal(x, y):
    case.assertEqual(x, y)
    with pytest.raises(AssertionError):
        case.assertNotEqual(x, y)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (torch.ones(2), torch.zeros(2)),
        (torch.ones(2), torch.ones(3)),
        (torch.ones(2), torch.ones(2).double()),
        (torch.ones(1, 2), torch.ones(2)),
        (T([1.0]), T(1.0)),
        ((1, 2), (1,)),
        ({"a": 1}, {"b": 1}),
        ([1, {"a": T(1.0)}], [1, {"a": T(2.0)}]),
        (True, False),
        ("a", "b"),
        (None, 1),
    ],
)
def test_what_is_not_equal(x, y):
    case.assertNotEqual(x, y)
    with pytest.raises(AssertionError):
        case.assertEqual(x, y)


def test_tolerances_and_dtypes_may_be_loosened():
    case.assertEqual(torch.ones(2), torch.ones(2) * 1.01, atol=0.1, rtol=0)
    case.assertEqual(torch.ones(2), torch.ones(2).double(), exact_dtype=False)
    with pytest.raises(AssertionError, match="item \\[1\\]"):
        case.assertEqual([1, 2], [1, 3])


def names(cls):
    return {name for name in dir(cls) if name.startswith("test")}


def test_a_test_is_repeated_for_each_value():
    seen = []

    @common.instantiate_parametrized_tests
    class Sample(common.TestCase):
        @common.parametrize("a", [1, 2.5, "x"])
        @common.parametrize("b,c", [(1, 2), common.subtest((3, 4), name="named")])
        def test_values(self, a, b, c):
            seen.append((a, b, c))

    assert names(Sample) == {
        f"test_values_a_{a}_{rest}" for a in ("1", "2_5", "x") for rest in ("b_1_c_2", "named")
    }  # fmt: skip
    Sample("test_values_a_2_5_named").debug()
    assert seen == [(2.5, 3, 4)]


def test_a_class_is_made_for_the_device_and_its_tests_for_each_dtype():
    seen = []

    class Sample(common.TestCase):
        @device_type.dtypes(torch.float32, torch.int64)
        def test_each(self, device, dtype):
            seen.append((device, dtype))

        @device_type.dtypes((torch.float32, torch.int8), (torch.int8, torch.int8))
        def test_pair(self, device, dtypes):
            seen.append(dtypes)

        @device_type.skipCUDAIfRocm
        @device_type.onlyNativeDeviceTypes
        def test_plain(self, device):
            seen.append(device)

        @device_type.onlyCUDA
        def test_elsewhere(self, device):
            raise AssertionError

    scope = {"Sample": Sample}
    device_type.instantiate_device_type_tests(Sample, scope)
    assert set(scope) == {"SampleCPU"}
    made = scope["SampleCPU"]
    tests = [getattr(made, name) for name in sorted(names(made)) if getattr(made, name) is not None]
    assert [test.__name__ for test in tests] == [
        "test_each_cpu_float32", "test_each_cpu_int64", "test_elsewhere_cpu", "test_pair_cpu_float32_int8",
        "test_pair_cpu_int8_int8", "test_plain_cpu",
    ]  # fmt: skip
    result = unittest.TestResult()
    unittest.TestSuite(made(test.__name__) for test in tests).run(result)
    assert result.wasSuccessful() and len(result.skipped) == 1
    pairs = [(torch.float32, torch.int8), (torch.int8, torch.int8)]
    assert seen == [("cpu", torch.float32), ("cpu", torch.int64), *pairs, "cpu"]


def test_tolerances_by_dtype():
    class Sample(common.TestCase):
        @device_type.dtypes(torch.float32)
        @device_type.precisionOverride({torch.float32: 0.1})
        def test_loose(self, device, dtype):
            self.assertEqual(torch.ones(1), torch.ones(1) * 1.05)

    scope = {"Sample": Sample}
    device_type.instantiate_device_type_tests(Sample, scope)
    scope["SampleCPU"]("test_loose_cpu_float32").debug()


def test_groups_of_dtypes():
    assert groups.floating_types_and(torch.half) == (torch.float32, torch.float64, torch.float16)
    assert torch.bool not in groups.all_types_and_complex()
    assert len(groups.all_types_and_complex_and(torch.bool, torch.half)) == 11
    assert common.torch_to_numpy_dtype_dict[torch.int16] is np.int16


def test_surroundings_are_restored():
    torch.manual_seed(0)
    with common.freeze_rng_state():
        first = torch.rand(2)
    assert torch.equal(first, torch.rand(2))
    with common.set_default_dtype(torch.float64):
        assert torch.ones(1).dtype is torch.float64
    assert torch.ones(1).dtype is torch.float32
    with common.TemporaryFileName() as name, open(name, "w") as file:
        file.write("text")


def test_derivatives_are_checked():
    x = torch.randn(3, dtype=torch.double, requires_grad=True)
    assert common.gradcheck(torch.sin, (x,))
    assert common.gradgradcheck(torch.sin, (x,))


def test_matrices_are_what_they_are_called():
    a = matrices.random_symmetric_pd_matrix(4, 2, dtype=torch.double)
    assert a.shape == (2, 4, 4) and (torch.linalg.eigvalsh(a) > 0).all()
    b = matrices.random_square_matrix_of_rank(5, 2, dtype=torch.double)
    assert torch.linalg.matrix_rank(b) == 2
    c = matrices.make_fullrank_matrices_with_distinct_singular_values(3, 4, dtype=torch.double, device="cpu")
    s = torch.linalg.svdvals(c)
    assert (s.diff().abs() > 1e-3).all() and s.min() > 0.1
    d = matrices.noncontiguous_like(torch.arange(6.0).reshape(2, 3))
    assert not d.is_contiguous() and d.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_what_is_not_here_says_so():
    assert common.TEST_CUDA is common_cuda.TEST_CUDA is False
    assert common_methods_invocations.mask_not_all_zeros((3,)).any()
    with pytest.raises(ImportError, match="no operator database"):
        from wengert.testing._internal.common_methods_invocations import op_db  # noqa: F401
