"""What is not here answers truthfully: devices, compilers, exporters, process groups."""

import importlib
import warnings

import pytest

import wengert as torch

CPU_ONLY = pytest.mark.parametrize("kind", ["cuda", "xpu", "mps", "mtia", "accelerator"])


@CPU_ONLY
def test_there_is_no_accelerator(kind):
    module = getattr(torch, kind)
    assert module.is_available() is False and module.device_count() == 0
    with pytest.raises((AssertionError, RuntimeError), match=r"not compiled with|Cannot (execute|access)"):
        module.synchronize()


@pytest.mark.parametrize("kind", ["cuda", "xpu"])
def test_memory_of_no_device_is_none_at_all(kind):
    module = getattr(torch, kind)
    assert module.memory_allocated() == module.max_memory_reserved() == 0
    module.empty_cache()
    module.reset_peak_memory_stats()
    module.manual_seed_all(1)
    assert module.get_rng_state_all() == [] and module.memory_stats() == {}


def test_what_cuda_needs_a_device_for_is_refused():
    for call in (torch.cuda.current_device, torch.cuda.Stream, torch.cuda.Event, torch.cuda.get_device_name):
        with pytest.raises(AssertionError, match="Torch not compiled with CUDA enabled"):
            call()
    with pytest.raises(AssertionError), torch.cuda.device(0):
        pass
    with torch.cuda.device(None), torch.cuda.device_of(torch.ones(1)), torch.cuda.stream(None):
        pass
    with pytest.raises(RuntimeError, match="NVTX functions not installed"):
        torch.cuda.nvtx.range_push("a")
    with pytest.raises(AttributeError):
        torch.cuda.no_such_name


def test_answers_are_not_shared():
    torch.cuda.memory_stats()["a"] = 1
    assert torch.cuda.memory_stats() == {}


@pytest.mark.parametrize(
    "call",
    [
        lambda: torch.onnx.export(None, ()),
        lambda: torch.export.export(None, ()),
        lambda: torch.quantization.quantize_dynamic(None), lambda: torch.ao.quantization.QuantStub(),
        lambda: torch.nested.nested_tensor([]), lambda: torch.package.PackageImporter("x"),
        lambda: torch.distributed.init_process_group("gloo"), lambda: torch.utils.cpp_extension.load("x", []),
        lambda: torch.compiler.load_compiled_function("x"),
    ],
)  # fmt: skip
def test_what_is_refused_says_its_name(call):
    with pytest.raises(NotImplementedError, match=r"^torch\.[\w.]+: wengert "):
        call()


@pytest.mark.parametrize(
    "module, name",
    [
        ("distributed.checkpoint", "save"), ("distributed.tensor.parallel", "parallelize_module"),
        ("distributed.fsdp.wrap", "transformer_auto_wrap_policy"), ("_subclasses.fake_tensor", "FakeTensorMode"),
        ("_functorch.vmap", "_add_batch_dim"), ("nested._internal.nested_tensor", "NestedTensor"),
    ],
)  # fmt: skip
def test_a_module_of_names_is_imported_and_its_names_refuse(module, name):
    value = getattr(importlib.import_module(f"wengert.{module}"), name)
    with pytest.raises(NotImplementedError, match=rf"^torch\.{module}\.{name}: wengert "):
        value()
    if isinstance(value, type):
        assert not isinstance(torch.ones(1), value)


def test_what_modules_of_names_are_asked_they_answer():
    from wengert._subclasses.fake_tensor import is_fake
    from wengert.distributed import rpc

    assert rpc.is_available() is False and is_fake(torch.ones(1)) is False
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("wengert.distributed.no_such_module")


def test_exporters_may_be_told_what_nobody_will_ask():
    from wengert.onnx.symbolic_helper import parse_args

    symbol = parse_args("v", "i")(len)
    torch.onnx.register_custom_op_symbolic("mine::len", symbol, 11)
    assert symbol is len


def test_dispatch_keys_are_named_and_excluding_them_changes_nothing():
    keys = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastCPU) | torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
    assert keys.has(torch._C.DispatchKey.CPU) and not keys.has(torch._C.DispatchKey.CUDA)
    with torch._C._ExcludeDispatchKeyGuard(keys):
        assert torch.ones(2).sum() == 2
    assert torch._C._get_tracing_state() is None


def test_a_range_of_the_profiler_is_refused_when_it_is_entered():
    @torch.cuda.nvtx.range("a")
    def marked():
        return 1

    with pytest.raises(RuntimeError, match="NVTX functions not installed"):
        marked()


def test_classes_in_another_language_are_not_here():
    with pytest.raises(RuntimeError, match=r"class 'mine\.Map', but it does not exist"):
        torch.classes.mine.Map()


@pytest.mark.parametrize("name", ["complex32", "quint8", "qint32"])
def test_a_dtype_without_elements_can_be_named_and_makes_no_tensor(name):
    dtype = getattr(torch, name)
    assert isinstance(dtype, torch.dtype) and repr(dtype) == f"torch.{name}" and {dtype: 1}[dtype] == 1
    for make in (torch.zeros, torch.empty, torch.ones, torch.rand):
        with pytest.raises(NotImplementedError, match=rf"torch\.{name}: wengert has no "):
            make(2, dtype=dtype)
    with pytest.raises(NotImplementedError, match=rf"torch\.{name}: wengert"):
        torch.ones(2).to(dtype)


def test_there_are_no_process_groups():
    distributed = torch.distributed
    assert not distributed.is_available() and not distributed.is_initialized()
    for call in (distributed.get_rank, distributed.get_world_size, distributed.barrier):
        with pytest.raises(ValueError, match="Default process group has not been initialized"):
            call()
    with pytest.raises(ValueError, match="Default process group"):
        torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(1, 1))


def test_a_compiled_function_is_the_function():
    def double(x):
        return 2 * x

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert torch.compile(double, mode="max-autotune", fullgraph=True) is double
        assert torch.compile(dynamic=True)(double) is double
    assert torch.compiler.disable(double) is double and torch._dynamo.disable()(double) is double
    assert not torch.compiler.is_compiling() and not torch.jit.is_scripting() and not torch.jit.is_tracing()
    torch.compiler.reset()
    torch._dynamo.config.suppress_errors = True
    with pytest.raises(RuntimeError, match="Either mode or options"):
        torch.compile(double, mode="default", options={})


def test_a_compiled_module_has_the_module_inside():
    module = torch.nn.Linear(2, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(module)
    assert compiled._orig_mod is module and isinstance(compiled, torch._dynamo.OptimizedModule)
    assert list(compiled.state_dict()) == ["_orig_mod.weight", "_orig_mod.bias"]
    assert compiled.weight is module.weight and compiled.in_features == 2
    x = torch.ones(1, 2)
    assert torch.equal(compiled(x), module(x))
    compiled.eval()
    assert not module.training
    compiled.extra = 3
    assert module.extra == 3
    called = []
    compiled.register_forward_hook(lambda *_: called.append(True))
    compiled(x)
    assert called == [True]


def test_backends_keep_settings_and_have_nothing():
    backends = torch.backends
    names = ("cudnn", "mkl", "mkldnn", "mps", "openmp", "nnpack", "cusparselt", "opt_einsum")
    assert not any(getattr(backends, name).is_available() for name in names)
    assert backends.cudnn.version() is None and backends.quantized.supported_engines == ["none"]
    with backends.cudnn.flags(enabled=True, benchmark=True):
        assert backends.cudnn.benchmark
    assert not backends.cudnn.benchmark
    backends.cuda.matmul.allow_tf32 = True
    assert backends.cuda.matmul.allow_tf32
    backends.cuda.matmul.allow_tf32 = False
    with backends.cuda.sdp_kernel(enable_flash=False), backends.mkldnn.flags(enabled=False), backends.mkl.verbose(0):
        assert not backends.cuda.flash_sdp_enabled()
    assert backends.cuda.flash_sdp_enabled()


def test_texts_about_the_build_name_it():
    assert "wengert" in torch.__config__.show()
    assert "numpy" in torch.utils.collect_env.get_pretty_env_info()
    assert torch.version.cuda is None


def test_events_go_to_who_asked_for_them():
    from datetime import datetime

    seen = []
    handle = torch.monitor.register_event_handler(seen.append)
    event = torch.monitor.Event("step", datetime(2020, 1, 1), {"loss": 1.0})
    torch.monitor.log_event(event)
    torch.monitor.unregister_event_handler(handle)
    torch.monitor.log_event(event)
    assert seen == [event]


def test_compile_is_the_identity_and_says_so_once():
    def double(x):
        return x * 2

    torch.compiler._said = False
    with pytest.warns(UserWarning, match="no compiler"):
        assert torch.compile(double) is double
    assert torch.compile()(double) is double
