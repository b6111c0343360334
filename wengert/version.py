"""Which PyTorch this is, and which wengert: the module `torch.version`.

`__version__` carries both in one PEP 440 string. Programs that ask for PyTorch's release read `2.13.0`; what follows
the plus sign, where PyTorch's own wheels say `cpu` or `cu130`, names the library that answers.
"""

__all__ = ["__version__", "debug", "cuda", "git_version", "hip", "rocm", "xpu"]

wengert = "0.1.0"
pytorch = "2.13.0"

__version__ = f"{pytorch}+wengert.{wengert}"
debug = False
cuda: str | None = None
hip: str | None = None
rocm: str | None = None
xpu: str | None = None
git_version = "Unknown"
