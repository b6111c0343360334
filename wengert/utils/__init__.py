"""``torch.utils``: what programs use around tensors; each part loads when first touched."""

import importlib


def __getattr__(name):
    home = f"wengert.utils.{name}"
    if not name.startswith("__"):
        try:
            return importlib.import_module(home)
        except ModuleNotFoundError as error:
            if error.name != home:
                raise
    raise AttributeError(f"module 'wengert.utils' has no attribute '{name}'")
