"""``torch.onnx``: export is refused by name."""

import enum

from wengert.absent import answers, refuses

answers(
    globals(),
    {
        "is_in_onnx_export": False, "is_onnxrt_backend_supported": False,
        # What libraries say to an exporter when they are imported; nobody will ask for it.
        "register_custom_op_symbolic": None, "unregister_custom_op_symbolic": None,
    },
)  # fmt: skip
refuses(
    globals(),
    ("export", "dynamo_export"),
    ("ONNXProgram", "ExportOptions", "JitScalarType"),
    why="has no exporter to ONNX",
)


class OnnxExporterError(RuntimeError):
    """What an exporter would raise."""


OperatorExportTypes = enum.Enum("OperatorExportTypes", "ONNX ONNX_ATEN ONNX_ATEN_FALLBACK ONNX_FALLTHROUGH", start=0)
TrainingMode = enum.Enum("TrainingMode", "EVAL PRESERVE TRAINING", start=0)
TensorProtoDataType = enum.Enum(
    "TensorProtoDataType",
    """UNDEFINED FLOAT UINT8 INT8 UINT16 INT16 INT32 INT64 STRING BOOL FLOAT16 DOUBLE UINT32 UINT64 COMPLEX64
    COMPLEX128 BFLOAT16 FLOAT8E4M3FN FLOAT8E4M3FNUZ FLOAT8E5M2 FLOAT8E5M2FNUZ""",
    start=0,
)
