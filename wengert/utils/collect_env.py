"""``torch.utils.collect_env``: what to say of a machine in a report of a fault."""

import os
import platform
from collections import namedtuple
from importlib import metadata

from wengert import version

SystemEnv = namedtuple(
    "SystemEnv",
    "torch_version wengert_version python_version numpy_version os cpu cpu_count cuda_available pip_packages",
)
RELATED = ("numpy", "ml_dtypes", "scipy", "llvmlite", "threadpoolctl", "safetensors", "tensorboard", "torch")


def installed():
    """The installed packages that matter, with their versions, a line each."""
    lines = []
    for name in RELATED:
        try:
            lines.append(f"{name}=={metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return "\n".join(lines)


def get_env_info():
    """What there is, as a named tuple."""
    import numpy

    return SystemEnv(
        version.pytorch, version.wengert, platform.python_version(), numpy.__version__, platform.platform(),
        platform.processor() or platform.machine(), os.cpu_count(), False, installed(),
    )  # fmt: skip


def pretty_str(envinfo):
    """The same as text."""
    return "\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in envinfo._asdict().items())


def get_pretty_env_info():
    """What there is, as text."""
    return pretty_str(get_env_info())


def main():
    """Print it."""
    print(get_pretty_env_info())


if __name__ == "__main__":
    main()
