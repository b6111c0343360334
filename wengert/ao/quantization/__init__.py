"""``torch.ao.quantization``: networks in 8 bits, refused by name."""

from wengert.absent import refuses
from wengert.outside import outside

refuses(
    globals(),
    (
        "convert", "fuse_modules", "fuse_modules_qat", "get_default_qat_qconfig", "get_default_qconfig", "prepare",
        "prepare_qat", "propagate_qconfig_", "quantize", "quantize_dynamic", "quantize_qat", "swap_module",
    ),
    ("DeQuantStub", "FakeQuantize", "HistogramObserver", "MinMaxObserver", "QConfig", "QuantStub", "QuantWrapper"),
    why="has no quantized tensors",
)  # fmt: skip

__getattr__ = outside(__name__)
