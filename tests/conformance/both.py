"""One program under PyTorch and under `wengert run`, each in a process of its own: what both print must be equal.

For what one process can't show: worker processes, files that one writes and the other reads, warnings at exit.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(command, *, cwd=None):
    """What a command prints; AssertionError with what it complains of if it fails."""
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env=environment, cwd=cwd, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def printed_by_pytorch(program, *words, cwd=None):
    return run([sys.executable, "-W", "ignore", program, *words], cwd=cwd)


def printed_by_wengert(program, *words, cwd=None):
    return run([sys.executable, "-W", "ignore", "-m", "wengert", "run", program, *words], cwd=cwd)


def assert_same(program, *words, cwd=None):
    """Run the file `program` under both; what they print must be the same, and something."""
    expected = printed_by_pytorch(program, *words, cwd=cwd)
    assert expected
    assert printed_by_wengert(program, *words, cwd=cwd) == expected
