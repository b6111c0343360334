"""``torch.utils``: what programs use around tensors; each part loads when first touched."""

import importlib

from wengert.outside import missing


def __getattr__(name):
    home = f"wengert.utils.{name}"
    if not name.startswith("__"):
        try:
            return importlib.import_module(home)
        except ModuleNotFoundError as error:
            if error.name != home:
                raise
    raise missing(__name__, name)
