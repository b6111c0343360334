"""Programs that ask for accelerators are told that there are none, and go on."""

import pytest

import wengert as torch
from wengert.nn.attention import SDPBackend, sdpa_kernel


def test_no_accelerator_is_here():
    assert not torch.accelerator.is_available()
    assert torch.accelerator.current_accelerator() is None
    assert torch.accelerator.device_count() == 0
    with pytest.raises(RuntimeError, match="Cannot access accelerator device when none is available"):
        torch.accelerator.synchronize()


@pytest.mark.parametrize("name", ["cuda", "mps", "xpu", "mtia"])
def test_each_kind_says_that_it_is_missing(name):
    module = getattr(torch, name)
    assert not module.is_available()
    assert module.device_count() == 0
    module.manual_seed(0)
    with pytest.raises((AssertionError, RuntimeError), match="computes on the CPU only"):
        module.synchronize()


def test_the_module_of_a_device():
    assert torch.get_device_module() is torch.cpu
    assert torch.get_device_module("cuda") is torch.cuda
    with pytest.raises(RuntimeError, match="does not have a corresponding module"):
        torch.get_device_module("vulkan")


def test_a_choice_among_implementations_of_attention_changes_nothing():
    query = torch.rand(1, 2, 3, 4)
    expected = torch.nn.functional.scaled_dot_product_attention(query, query, query)
    for chosen in (SDPBackend.MATH, [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
        with sdpa_kernel(chosen):
            assert torch.nn.functional.scaled_dot_product_attention(query, query, query).equal(expected)
    with pytest.raises(RuntimeError, match="No viable backend"), sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
        pass
    with pytest.raises(AssertionError, match="got str"), sdpa_kernel("math"):
        pass


def test_names_that_programs_import_are_there():
    from wengert import functional, types
    from wengert.nn import common_types
    from wengert.utils import checkpoint, dlpack

    assert functional.einsum is torch.einsum
    assert not isinstance(3, torch.SymInt)
    assert issubclass(torch.OutOfMemoryError, RuntimeError)
    assert types.Number and common_types._size_2_t and torch.serialization.MAP_LOCATION
    assert checkpoint.get_device_states(torch.ones(1)) == ([], [])
    assert dlpack.from_dlpack(dlpack.to_dlpack(torch.ones(2))).tolist() == [1, 1]
    assert torch.compiler.allow_in_graph(len) is len
    assert torch.__config__.show().startswith("PyTorch built with:")


def test_the_switches_of_attention_are_kept():
    from wengert.backends import cuda

    with pytest.warns(FutureWarning, match="deprecated"), cuda.sdp_kernel(enable_flash=False):
        assert (cuda.flash_sdp_enabled(), cuda.math_sdp_enabled()) == (False, True)
    cuda.enable_math_sdp(False)
    assert not cuda.math_sdp_enabled()
    cuda.enable_math_sdp(True)
    assert cuda.flash_sdp_enabled()


def test_new_tensors_go_where_the_program_said():
    torch.set_default_device("meta")
    try:
        assert torch.ones(2).device.type == torch.get_default_device().type == "meta"
        assert torch.nn.Linear(2, 2).weight.is_meta
        assert torch.empty(2, device="cpu").device.type == "cpu"
        with torch.device("cpu"):
            assert torch.nn.Linear(2, 2).weight.device.type == torch.get_default_device().type == "cpu"
        assert torch.ones(1).is_meta
    finally:
        torch.set_default_device(None)
    assert torch.ones(2).device.type == torch.get_default_device().type == "cpu"
    with torch.device("meta"):
        assert torch.get_default_device().type == "meta"


def test_a_function_makes_its_tensors_at_a_device():
    from wengert.utils._device import DeviceContext, set_device

    assert set_device("meta")(lambda: torch.ones(2))().is_meta
    with DeviceContext("meta"):
        assert torch.zeros(2).is_meta
    assert torch.zeros(2).device.type == "cpu"
