"""Modules of PyTorch that libraries import and wengert does not have, with the names that they import from them.

`import torch.distributed.checkpoint` at the head of a file that one process never needs must not end the program; using
what it names must. So each such module is made of this table when it is first imported: a function `name=value`
answers, a name in capitals (`DTensor`) is a class of which nothing is an instance, any other a function, and both
refuse by name. The finder is `wengert.absent.Finder`.

A reason stands over the modules that share it, and ends the sentence "torch.a.b: wengert ...".
"""

import ast
from types import ModuleType

from wengert.absent import answers, refuses

REASONS = {
    "has no process groups: torch.distributed.is_available() is False": {
        "distributed._composable": "",
        "distributed._composable.fsdp": "FSDPModule MixedPrecisionPolicy CPUOffloadPolicy OffloadPolicy fully_shard",
        "distributed._functional_collectives": """
            AsyncCollectiveTensor all_gather_tensor all_reduce all_to_all_single all_to_all_single_autograd
            permute_tensor reduce_scatter_tensor wait_tensor
            """,
        "distributed._tensor": """
            DTensor DeviceMesh Partial Placement Replicate Shard distribute_module distribute_tensor
            """,
        "distributed._tensor.experimental": "implicit_replication",
        "distributed.algorithms": "",
        "distributed.algorithms._checkpoint": "",
        "distributed.algorithms._checkpoint.checkpoint_wrapper": """
            CheckpointImpl CheckpointWrapper apply_activation_checkpointing checkpoint_wrapper offload_wrapper
            """,
        "distributed.algorithms.ddp_comm_hooks": "",
        "distributed.algorithms.ddp_comm_hooks.default_hooks": """
            allreduce_hook bf16_compress_hook bf16_compress_wrapper fp16_compress_hook fp16_compress_wrapper
            """,
        "distributed.algorithms.ddp_comm_hooks.powerSGD_hook": "PowerSGDState batched_powerSGD_hook powerSGD_hook",
        "distributed.algorithms.ddp_comm_hooks.post_localSGD_hook": "PostLocalSGDState post_localSGD_hook",
        "distributed.algorithms.join": "Join JoinHook Joinable",
        "distributed.algorithms.model_averaging": "",
        "distributed.algorithms.model_averaging.averagers": "ModelAverager PeriodicModelAverager",
        "distributed.autograd": "is_available=False DistAutogradContext backward context get_gradients",
        "distributed.checkpoint": """
            DefaultLoadPlanner DefaultSavePlanner FileSystemReader FileSystemWriter async_save load load_state_dict
            save save_state_dict
            """,
        "distributed.checkpoint.default_planner": "DefaultLoadPlanner DefaultSavePlanner",
        "distributed.checkpoint.format_utils": "_EmptyStateDictLoadPlanner _load_state_dict dcp_to_torch_save",
        "distributed.checkpoint.hf_storage": "HuggingFaceStorageReader HuggingFaceStorageWriter",
        "distributed.checkpoint.optimizer": "load_sharded_optimizer_state_dict",
        "distributed.checkpoint.state_dict": """
            StateDictOptions get_model_state_dict get_optimizer_state_dict get_state_dict set_model_state_dict
            set_optimizer_state_dict set_state_dict
            """,
        "distributed.checkpoint.state_dict_loader": "_load_state_dict load load_state_dict",
        "distributed.checkpoint.state_dict_saver": "save save_state_dict",
        "distributed.checkpoint.stateful": "Stateful",
        "distributed.device_mesh": "DeviceMesh init_device_mesh",
        "distributed.distributed_c10d": "Backend PrefixStore ProcessGroup Store _get_default_group rendezvous",
        "distributed.elastic": "",
        "distributed.elastic.multiprocessing": "start_processes",
        "distributed.elastic.multiprocessing.errors": "ChildFailedError record",
        "distributed.fsdp.api": """
            FullOptimStateDictConfig FullStateDictConfig ShardedOptimStateDictConfig ShardedStateDictConfig
            StateDictType
            """,
        "distributed.fsdp.fully_sharded_data_parallel": """
            BackwardPrefetch CPUOffload FullOptimStateDictConfig FullStateDictConfig FullyShardedDataParallel
            MixedPrecision OptimStateDictConfig ShardedOptimStateDictConfig ShardedStateDictConfig ShardingStrategy
            StateDictConfig StateDictType
            """,
        "distributed.fsdp.sharded_grad_scaler": "ShardedGradScaler",
        "distributed.fsdp.wrap": """
            ModuleWrapPolicy CustomPolicy _or_policy always_wrap_policy enable_wrap lambda_auto_wrap_policy
            size_based_auto_wrap_policy transformer_auto_wrap_policy wrap
            """,
        "distributed.launcher": "LaunchConfig elastic_launch",
        "distributed.launcher.api": "LaunchConfig elastic_launch",
        "distributed.optim.zero_redundancy_optimizer": "ZeroRedundancyOptimizer",
        "distributed.pipelining": "Schedule1F1B ScheduleGPipe SplitPoint pipe_split pipeline",
        "distributed.rpc": """
            is_available=False BackendType RRef RpcBackendOptions TensorPipeRpcBackendOptions WorkerInfo
            get_worker_info init_rpc remote rpc_async rpc_sync shutdown
            """,
        "distributed.rpc.api": "_all_gather _barrier _require_initialized",
        "distributed.run": "get_args_parser main run",
        "distributed.tensor._utils": "compute_local_shape_and_global_offset",
        "distributed.tensor.experimental": "context_parallel implicit_replication",
        "distributed.tensor.experimental._attention": "set_rotate_method",
        "distributed.tensor.parallel": """
            ColwiseParallel ParallelStyle PrepareModuleInput PrepareModuleOutput RowwiseParallel SequenceParallel
            loss_parallel parallelize_module
            """,
        "distributed.tensor.placement_types": "Partial Placement Replicate Shard",
    },
    "runs programs as Python does and traces no graph of calls": {
        "_dynamo.exc": "TorchDynamoException TensorifyScalarRestartAnalysis Unsupported",
        "_dynamo.utils": "is_compile_supported=False",
        "_guards": "active_fake_mode=None detect_fake_mode=None",
        "_higher_order_ops": "",
        "_higher_order_ops.associative_scan": "associative_scan",
        "_inductor": "cudagraph_mark_step_begin",
        "_inductor.config": "",  # of settings, which may be set
        "_inductor.codecache": "extract_tensor_metadata_for_cache_key",
        "_inductor.cpu_vec_isa": "pick_vec_isa",
        "_inductor.runtime": "",
        "_inductor.runtime.cache_dir_utils": "cache_dir",
        "_ops": "HigherOrderOperator OpOverload OpOverloadPacket",
        "_subclasses": "FakeTensor FakeTensorMode",
        "_subclasses.fake_tensor": "is_fake=False FakeTensor FakeTensorMode",
        "_subclasses.functional_tensor": "FunctionalTensor FunctionalTensorMode mb_unwrap_functional_tensor",
        "_subclasses.meta_utils": "MetaConverter",
        "fx._pytree": "register_pytree_flatten_spec tree_flatten_spec",
        "fx.experimental": "",
        "fx.experimental.proxy_tensor": "get_proxy_mode=None is_fx_tracing=False make_fx",
        "fx.passes.infra": "",
        "fx.passes.infra.pass_base": "PassBase PassResult",
    },
    "runs a function of a batch once for each example (torch.func.vmap), and wraps no tensors for it": {
        "_functorch.eager_transforms": "_unwrap_for_grad _wrap_for_grad",
    },
    "has no nested tensors": {
        "nested._internal": "",
        "nested._internal.nested_tensor": "NestedTensor _tensor_symint_registry",
        "nested._internal.ops": "extract_kwargs",
    },
    "has no exporter to ONNX": {
        "onnx.operators": "shape_as_tensor reshape_from_tensor_shape",
        "onnx.symbolic_opset9": "dropout masked_fill softmax",
        "onnx.symbolic_opset11": "select squeeze unsqueeze",
        "onnx.symbolic_opset12": "dropout",
    },
}
MODULES = {name: (names, why) for why, modules in REASONS.items() for name, names in modules.items()}


def fill(module: ModuleType) -> None:
    """Give a new module its docstring and the names that the table lists for it."""
    names, why = MODULES[module.__name__.removeprefix("wengert.")]
    module.__doc__ = f"Not here: wengert {why}. Its names can be imported, and refuse to be used."
    functions, classes = [], []
    for entry in names.split():
        name, answered, value = entry.partition("=")
        if answered:
            answers(vars(module), {name: ast.literal_eval(value)})
        else:
            (classes if name.lstrip("_")[0].isupper() else functions).append(name)
    refuses(vars(module), functions, classes, why=why)
