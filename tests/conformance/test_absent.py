"""What is asked about devices, processes and compilers is answered as by PyTorch on a machine that has none."""

import pytest

EXPRESSIONS = """
cuda.is_available() cuda.device_count() cuda.is_initialized() cuda.is_bf16_supported() cuda.memory_allocated()
cuda.max_memory_allocated() cuda.memory_reserved() cuda.max_memory_reserved() cuda.memory_stats() cuda.empty_cache()
cuda.get_arch_list() cuda.get_gencode_flags() cuda.manual_seed(1) cuda.manual_seed_all(1) cuda.seed() cuda.seed_all()
cuda.get_rng_state_all() cuda.current_device() cuda.synchronize() cuda.get_device_name() cuda.get_device_capability()
cuda.get_device_properties(0) cuda.current_stream() cuda.mem_get_info() cuda.init() cuda.ipc_collect()
cuda.initial_seed() cuda.default_generators cuda.memory_stats_as_nested_dict() cuda.has_half cuda.nvtx.range_push("a")
cuda.no_such_name xpu.is_available() xpu.device_count() xpu.current_device() xpu.synchronize() xpu.empty_cache()
xpu.memory_allocated() xpu.manual_seed(1) xpu.get_device_name() mps.is_available() mps.device_count()
mps.synchronize() mps.empty_cache() mps.current_allocated_memory() mtia.is_available() mtia.device_count()
mtia.synchronize() accelerator.is_available() accelerator.device_count() accelerator.current_accelerator()
accelerator.synchronize() accelerator.current_device_index() backends.cudnn.is_available() backends.cudnn.version()
backends.cudnn.enabled backends.cudnn.benchmark backends.cudnn.deterministic backends.cudnn.allow_tf32
backends.cudnn.is_acceptable(ones(1)) backends.cuda.is_built() backends.cuda.matmul.allow_tf32
backends.cuda.flash_sdp_enabled() backends.cuda.math_sdp_enabled() backends.cuda.mem_efficient_sdp_enabled()
backends.mps.is_available() backends.mps.is_built() backends.mha.get_fastpath_enabled()
backends.cusparselt.is_available() distributed.is_initialized() distributed.get_rank() distributed.get_world_size()
distributed.barrier() distributed.all_reduce(ones(1)) distributed.broadcast(ones(1),0) distributed.get_backend()
distributed.new_group() distributed.is_nccl_available() distributed.is_mpi_available()
distributed.is_torchelastic_launched() distributed.get_node_local_rank() distributed.get_node_local_rank(3)
nn.DataParallel(nn.Linear(1,1)).device_ids nn.parallel.DistributedDataParallel(nn.Linear(1,1))
list(nn.DataParallel(nn.Linear(1,1)).state_dict()) jit.is_scripting() jit.is_tracing() jit.annotate(int,1)
jit.isinstance([1],list[int]) jit.isinstance({"a":1},dict[str,int]) jit.isinstance([1,"a"],list[int])
jit.wait(jit.fork(abs,-1)) compiler.is_compiling() compiler.reset() version.cuda version.hip compile(None)(len)([1])
compile(3) compile(len,mode="default",options={}) onnx.is_in_onnx_export()
sorted(multiprocessing.get_all_sharing_strategies()) multiprocessing.get_sharing_strategy()
multiprocessing.set_sharing_strategy("x") futures.wait_all([]) ones(1).is_shared() ones(1).share_memory_().is_shared()
ones(3).untyped_storage().nbytes() ones(3).storage().size() FloatStorage([1,2]).tolist() FloatStorage(3).size()
isinstance(ones(2).storage(),FloatStorage) isinstance(ones(2).storage(),LongStorage) cpu.is_available()
cpu.device_count() cpu.current_device() cpu.synchronize() utils.data.get_worker_info()
__future__.get_swap_module_params_on_conversion()
"""
MODULES = (
    "xpu", "mps", "mtia", "accelerator", "backends", "distributed", "jit", "compiler", "version", "onnx", "cuda", "nn",
    "multiprocessing", "futures", "cpu", "utils", "__future__", "utils.data",
)  # fmt: skip


def outcome(torch, expression):
    """The value as text, or the class of the error."""
    names = {name: getattr(torch, name) for name in ("ones", "FloatStorage", "LongStorage", "cuda", "nn")}
    try:
        return str(eval(expression, {**names, **Names(torch)}))
    except Exception as error:
        return type(error)


class Names(dict):
    """The names that the expressions use."""

    def __init__(self, torch):
        import importlib

        loaded = {name: importlib.import_module(f"{torch.__name__}.{name}") for name in MODULES}
        super().__init__({**loaded, "compile": torch.compile})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("expression", EXPRESSIONS.split())
def test_answers(subject, oracle, expression):
    assert outcome(subject, expression) == outcome(oracle, expression)
