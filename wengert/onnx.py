"""``torch.onnx``: export is refused by name."""

from wengert.absent import answers, refuses

answers(globals(), {"is_in_onnx_export": False, "is_onnxrt_backend_supported": False})
refuses(
    globals(),
    ("export", "dynamo_export", "register_custom_op_symbolic", "unregister_custom_op_symbolic"),
    ("ONNXProgram", "ExportOptions", "JitScalarType"),
    why="has no exporter to ONNX",
)


class OnnxExporterError(RuntimeError):
    """What an exporter would raise."""
