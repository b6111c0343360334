"""What is measured in processes of their own: import time, the million-node chain, installed size.

A chain's memory and a module's import time depend on what the process did before, so each is taken in a fresh one.
"""

from __future__ import annotations

import compileall
import importlib.metadata
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import NamedTuple

LONG, SHORT = 1_000_000, 1_000

IMPORT = """
import time
start = time.perf_counter()
import {module}
print(time.perf_counter() - start)
"""

# Builds chains of 0-d tensors, runs backward and drops them; the short one many times over, so that both
# have done the same number of nodes. Resident memory is read while the long chain stands.
CHAIN = """
import json, resource, time
import {module} as torch

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

def chain(length):
    y = x = torch.ones((), requires_grad=True)
    for _ in range(length):
        y = y * 1.0
    return x, y

def run(length):
    start = time.perf_counter()
    x, y = chain(length)
    y.backward()
    assert x.grad.item() == 1.0
    del y
    return (time.perf_counter() - start) / length

run({short})
short = sorted(run({short}) for _ in range(201))[100]
before = resident()
x, y = chain({long})
size = (resident() - before) / {long}
del x, y
long = sorted(run({long}) for _ in range(3))[1]
print(json.dumps([short, long, size]))
"""


class Chain(NamedTuple):
    """Seconds per node of a short and of a long chain (recording, backward and freeing), bytes per node."""

    short: float
    long: float
    bytes_per_node: float


def run(source: str) -> str:
    """What a fresh interpreter prints for `source`."""
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout


def chain(module: str) -> Chain:
    """Cost per node of the chain under `module`; raises CalledProcessError where the chain fails."""
    return Chain(*json.loads(run(CHAIN.format(module=module, short=SHORT, long=LONG))))


def import_seconds(subject: str, reference: str, rounds: int = 7) -> tuple[float, float]:
    """Median import time of two modules, each in fresh interpreters, taken in turn (the first pair warms the disk).

    Both are compiled to bytecode, as pip leaves them, also where the environment keeps Python from doing so as it goes.
    """
    for name in (subject, reference):
        spec = importlib.util.find_spec(name)
        for place in (spec.submodule_search_locations or ()) if spec else ():
            compileall.compile_dir(place, quiet=2)
    times = [[float(run(IMPORT.format(module=module))) for module in (subject, reference)] for _ in range(rounds + 1)]
    subject_times, reference_times = zip(*times[1:], strict=True)
    return median(subject_times), median(reference_times)


def package_bytes(name: str) -> int:
    """Size of the source tree of an importable package, without compiled bytecode."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"no package named {name!r} is installed")
    files = (file for root in spec.submodule_search_locations for file in Path(root).rglob("*"))
    return sum(file.stat().st_size for file in files if file.is_file() and file.suffix != ".pyc")


def distribution_bytes(name: str) -> int:
    """Size of what an installed distribution brought (its RECORD), without compiled bytecode."""
    paths = (Path(str(file.locate())) for file in importlib.metadata.files(name) or ())
    return sum(path.stat().st_size for path in paths if path.suffix != ".pyc" and path.is_file())


def installed_bytes(subject: str) -> tuple[int, int]:
    """Bytes of the subject with the distributions it needs at run time, and of PyTorch alone (NumPy not counted)."""
    needs = 0 if subject == "torch" else distribution_bytes("numpy") + distribution_bytes("ml_dtypes")
    return package_bytes(subject) + needs, distribution_bytes("torch")
