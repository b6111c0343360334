"""What of PyTorch stays outside of wengert, by name, and why: one table.

Programs ask whether a name is there (`hasattr(torch, "int4")`) as often as they use it, and the answer must be true:
such a name raises an AttributeError. But whoever did mean to use it is told what is missing, why, and what there is
instead; and since the error is a NotImplementedError as well, whoever prepared for that is served too.

    __getattr__ = outside(__name__)  # at the end of a module that has no other names to look for
    raise missing(__name__, name)  # where a module's `__getattr__` has found nothing
"""

import importlib
from typing import NamedTuple


class NotInWengert(AttributeError, NotImplementedError):
    """A name of PyTorch's that wengert does not have; the text says why."""


class Absence(NamedTuple):
    """Names that are missing for one reason: `what` wengert lacks, what there is `instead`, and the names by place.

    A place is a module below `torch` ("torch" itself, "nn.functional") or "Tensor", for its methods; "*" stands for
    whatever else PyTorch has there.
    """

    what: str
    instead: str
    names: dict[str, str]


ABSENT = (
    Absence(
        "quantised tensors",
        "bfloat16, float16 and the float8 types take less memory",
        {
            "torch": """
                QInt32Storage QInt8Storage QUInt2x4Storage QUInt4x2Storage QUInt8Storage choose_qparams_optimized
                dequantize empty_quantized fake_quantize_per_channel_affine fake_quantize_per_tensor_affine
                fbgemm_linear_fp16_weight fbgemm_linear_fp16_weight_fp32_activation fbgemm_linear_int8_weight
                fbgemm_linear_int8_weight_fp32_activation fbgemm_linear_quantize_weight fbgemm_pack_gemm_matrix_fp16
                fbgemm_pack_quantized_matrix fused_moving_avg_obs_fake_quant int_repr per_channel_affine
                per_channel_affine_float_qparams per_channel_symmetric per_tensor_affine per_tensor_symmetric
                q_per_channel_axis q_per_channel_scales q_per_channel_zero_points q_scale q_zero_point qscheme
                quantize_per_channel quantize_per_tensor quantize_per_tensor_dynamic quantized_batch_norm
                quantized_gru quantized_gru_cell quantized_lstm quantized_lstm_cell quantized_max_pool1d
                quantized_max_pool2d quantized_max_pool3d quantized_rnn_relu_cell quantized_rnn_tanh_cell
                """,
            "Tensor": """
                dequantize int_repr q_per_channel_axis q_per_channel_scales q_per_channel_zero_points q_scale
                q_zero_point qscheme
                """,
            "nn": "intrinsic qat quantizable quantized",
            "ao": "nn ns pruning",
            "ao.quantization": "*",
            "jit": "quantized",
            "ops": "quantized quantized_decomposed",
        },
    ),
    Absence(
        "dtypes narrower than a byte",
        "the narrowest are torch.int8, torch.uint8 and the float8 types",
        {
            "torch": """
                bit bits16 bits1x8 bits2x4 bits4x2 bits8 float4_e2m1fn_x2 float8_e8m0fnu int1 int2 int3 int4 int5 int6
                int7 uint1 uint2 uint3 uint4 uint5 uint6 uint7
                """,
        },
    ),
    Absence(
        "the float8 types of other makers' processors",
        "torch.float8_e4m3fn and torch.float8_e5m2 are here",
        {"torch": "float8_e4m3fnuz float8_e5m2fnuz"},
    ),
    Absence(
        "a complex dtype of half precision",
        "the narrowest complex dtype is torch.complex64",
        {"Tensor": "chalf"},
    ),
    Absence(
        "nested tensors",
        "torch.nn.utils.rnn pads and packs sequences of different lengths",
        {
            "Tensor": "to_padded_tensor",
            "autograd": "NestedIOFunction",
            "nested": "masked_select",
        },
    ),
    Absence(
        "sparse tensors of blocks, nor old names of sparse products",
        "torch.sparse_coo_tensor, torch.sparse_csr_tensor, torch.sparse_csc_tensor and torch.sparse are here",
        {
            "torch": """
                ccol_indices_copy col_indices_copy crow_indices_copy dsmm hsmm hspmm indices_copy resize_as_sparse_
                row_indices_copy saddmm sspaddmm values_copy
                """,
            "nn.functional": "sparse_support_notes",
            "Tensor": "resize_as_sparse_ sparse_resize_ sparse_resize_and_clear_ sspaddmm",
            "sparse": """
                SparseSemiStructuredTensor SparseSemiStructuredTensorCUSPARSELT SparseSemiStructuredTensorCUTLASS
                as_sparse_gradcheck check_sparse_tensor_invariants to_sparse_semi_structured
                """,
        },
    ),
    Absence(
        "devices but the CPU, nor the libraries of others",
        "torch.nn.functional computes the same here",
        {
            "torch": """
                StreamObjType batch_norm_backward_elemt batch_norm_backward_reduce batch_norm_elemt
                batch_norm_gather_stats batch_norm_gather_stats_with_counts batch_norm_stats batch_norm_update_stats
                cudnn_affine_grid_generator cudnn_batch_norm cudnn_convolution cudnn_convolution_add_relu
                cudnn_convolution_relu cudnn_convolution_transpose cudnn_grid_sampler cudnn_is_acceptable
                is_vulkan_available miopen_batch_norm miopen_convolution miopen_convolution_add_relu
                miopen_convolution_relu miopen_convolution_transpose miopen_ctc_loss miopen_depthwise_convolution
                miopen_rnn mkldnn_adaptive_avg_pool2d mkldnn_convolution mkldnn_linear_backward_weights
                mkldnn_max_pool2d mkldnn_max_pool3d mkldnn_rnn_layer profiler_allow_cudagraph_cupti_lazy_reinit_cuda12
                """,
            "nn.functional": "ScalingType SwizzleType grouped_mm scaled_grouped_mm scaled_mm",
            "autograd.graph": "set_override_stale_capture_stream set_warn_on_accumulate_grad_stream_mismatch",
            "Tensor": "ipu mtia record_stream to_mkldnn xpu",
            "cuda": """
                CudaError DeferredCudaCallError GreenContext caching_allocator_disabled check_error cudaStatus
                current_solver_handle gds graphs green_contexts jiterator nccl profiler streams tunable use_mem_pool
                """,
            "xpu": "XPUPluggableAllocator change_current_allocator graph make_graphed_callables use_mem_pool",
            "mps": "event load_metallib profiler",
            "accelerator": "graphs",
        },
    ),
    Absence(
        "TorchScript, compilers and the inner works of PyTorch's core",
        "programs run as the Python that they are",
        {
            "torch": """
                AVG AggregationType AliasDb AnyType Argument ArgumentSpec AwaitType BenchmarkConfig
                BenchmarkExecutionStats Block BoolType BufferDict CallStack Capsule ClassType Code CompilationUnit
                CompleteArgumentSpec ComplexType ConcreteModuleType ConcreteModuleTypeBuilder DeepCopyMemoTable
                DeserializationStorageContext DictType DispatchKey DispatchKeySet EnumType ErrorReport
                ExcludeDispatchKeyGuard ExecutionPlan FatalError FileCheck FloatType FunctionSchema FutureType
                Gradient Graph GraphExecutorState IODescriptor InferredType IntType InterfaceType JITException
                ListType LiteScriptModule LockingLogger LoggerBase ModuleDict Node NoneType NoopLogger NumberType
                OperatorInfo OptionalType PRIVATE_OPS ParameterDict PyObjectType PyTorchFileWriter RRefType SUM
                ScriptClass ScriptClassFunction ScriptDict ScriptDictIterator ScriptDictKeyIterator ScriptList
                ScriptListIterator ScriptMethod ScriptModuleSerializer ScriptObject ScriptObjectProperty
                SerializationStorageContext StaticModule StringType SymBoolType SymIntType TYPE_CHECKING Tag
                TensorType ThroughputBenchmark TracingState TupleType Type USE_GLOBAL_DEPS
                USE_RTLD_GLOBAL_WITH_LIBTORCH UnionType Use Value classproperty cond fork get_file_path
                import_ir_module import_ir_module_from_buffer init_num_threads merge_type_from_type_comment parse_ir
                parse_schema parse_type_comment prepare_multiprocessing_environment sym_constrain_range
                sym_constrain_range_for_size sym_fresh_size thread_safe_generator unify_type_list wait while_loop
                _decomp _export _logging _prims _refs
                contrib nativert
                """,
            "nn.functional": """
                BroadcastingList1 BroadcastingList2 BroadcastingList3 TYPE_CHECKING assert_int_or_pair
                boolean_dispatch reproducibility_notes tf32_notes
                """,
            "linalg": "common_notes",
            "optim": "swap_in_optimizer_params_and_state",
            "autograd": "enforce_grad_layout_policy",
            "autograd.graph": "region_activation_memory_budget",
            "func": "debug_unwrap",
            "random": "thread_safe_generator",
            "testing": "FileCheck",
            "overrides": "enable_reentrant_dispatch redispatch_function",
            "Tensor": "grad_dtype storage_type",
            "jit": "CompilationUnit frontend mobile supported_ops",
            "fx": "experimental",
            "ops": "debugprims higher_order inductor mkl mkldnn prepacked prim prims profiler rngprims xnnpack",
            "utils": "ThroughputBenchmark bundled_inputs hipify mkldnn mobile_optimizer model_dump _sympy _triton",
        },
    ),
    Absence(
        "checkpointing that chooses among the operations of torch.ops",
        "torch.utils.checkpoint.checkpoint recomputes whole functions",
        {
            "utils.checkpoint": """
                CheckpointPolicy DefaultDeviceType GraphExecGroup SAC_IGNORED_OPS SelectiveCheckpointContext
                """,
        },
    ),
    Absence(
        "what PyTorch has for DataPipes besides: data frames, decoding of files, checks of types",
        "torch.utils.data.datapipes.iter and map",
        {
            "utils.data": """
                DFIterDataPipe argument_validation guaranteed_datapipes_determinism non_deterministic
                runtime_validation runtime_validation_disabled
                """,
            "utils.data.datapipes.iter": "RoutedDecoder",
        },
    ),
    Absence(
        "masked tensors, a prototype in PyTorch",
        "the reductions of torch.masked take a mask",
        {"masked": "MaskedTensor as_masked_tensor is_masked_tensor masked_tensor"},
    ),
    Absence(
        "storages with an element type, which PyTorch has retired",
        "Tensor.untyped_storage()",
        {"torch": "Storage StorageBase"},
    ),
    Absence(
        "what PyTorch has retired, or tries out",
        "",
        {
            "torch": "has_lapack has_mkl has_openmp has_spectral",
            "func": "rearrange",
            "Tensor": "const_data_ptr index reinforce",
        },
    ),
    Absence(
        "this operation yet",
        "",
        {
            "torch": "hash_tensor lobpcg native_norm slice_inverse",
            "nn": "LinearCrossEntropyOptions",
            "nn.modules": "LinearCrossEntropyOptions",
            "Tensor": "hash_tensor slice_inverse",
        },
    ),
)


def names(place):
    """The names that are listed for this place, each with its absence."""
    return {name: absence for absence in ABSENT for name in absence.names.get(place, "").split()}


def reason(place, name):
    """Why `name` is not in `place`, as a clause; None if it isn't listed (and so, as far as is known, no name of
    PyTorch's)."""
    listed = names(place)
    absence = listed.get(name) or (None if name.startswith("_") else listed.get("*"))
    if absence is None:
        return None
    return f"wengert has no {absence.what}" + (f" ({absence.instead})" if absence.instead else "")


def missing(module, name):
    """The error for a name that `module`, wengert or one below it, doesn't have."""
    why = reason(module.removeprefix("wengert").removeprefix(".") or "torch", name)
    text = f"module '{module}' has no attribute '{name}'"
    return AttributeError(text) if why is None else NotInWengert(f"{text}: {why}")


def outside(module, submodules=False):
    """The `__getattr__` of a module whose names are all in it, or are its `submodules`, loaded when first touched."""

    def __getattr__(name):
        home = f"{module}.{name}"
        if submodules and not name.startswith("__"):
            try:
                return importlib.import_module(home)
            except ModuleNotFoundError as error:
                if error.name != home:
                    raise
        raise missing(module, name)

    return __getattr__


class Without:
    """Stands in a class for a method that is not there: looking it up says why. `hasattr` is False."""

    def __init__(self, place, name):
        self.place, self.name = place, name

    def __get__(self, instance, owner):
        subject = f"type object '{owner.__name__}'" if instance is None else f"'{owner.__name__}' object"
        raise NotInWengert(f"{subject} has no attribute '{self.name}': {reason(self.place, self.name)}")
