"""``torch.onnx.symbolic_helper``: how libraries write down what an exporter should do with their operators."""

from wengert.absent import refuses


def parse_args(*arg_descriptors):
    """Leave a function as it is that an exporter would have called; used as a decorator."""
    return lambda function: function


quantized_args = parse_args
refuses(globals(), ("cast_pytorch_to_onnx",), why="has no exporter to ONNX")
