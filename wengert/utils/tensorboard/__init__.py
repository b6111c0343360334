"""``torch.utils.tensorboard``: event files for TensorBoard, through the package `tensorboard` (the extra of that name).

`writer` has the class that programs use; `summary` makes what goes into the files, `pictures` the images in it.
"""

try:
    import tensorboard
except ImportError as error:
    raise ModuleNotFoundError(
        "torch.utils.tensorboard needs the package tensorboard: pip install 'wengert[tensorboard]'", name="tensorboard"
    ) from error

from wengert.utils.tensorboard.writer import FileWriter, SummaryWriter

__all__ = ["FileWriter", "SummaryWriter"]
