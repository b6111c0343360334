"""``torch.onnx``, refused by name: wengert doesn't write ONNX files."""

__all__ = ["export", "is_in_onnx_export"]


def is_in_onnx_export():
    """False: nothing is being exported."""
    return False


def export(*args, **kwargs):
    """Refused."""
    raise NotImplementedError("torch.onnx.export: wengert doesn't write ONNX files")


def __getattr__(name):
    raise AttributeError(f"torch.onnx.{name}: wengert doesn't write ONNX files")
