"""The examples and the pages show what PyTorch itself prints."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAIR = re.compile(r"^```python\n(.*?)^```\n(?:\n^```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
MARK = "<<< end of a block >>>"


def python(*words, **options):
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment,
        timeout=120,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_recorded_tour_is_pytorchs():
    recorded = (ROOT / "tests" / "recorded" / "detach_tour.txt").read_text(encoding="utf-8")
    assert python(ROOT / "examples" / "detach_tour.py") == recorded


PAGES = [
    "README.md", "README.zh-CN.md", "docs/detach.md", "docs/detach.zh-CN.md", "docs/randomness.md",
    "docs/randomness.zh-CN.md",
]  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_the_outputs_of_a_page_are_pytorchs(page):
    blocks = PAIR.findall((ROOT / page).read_text(encoding="utf-8"))
    program = "".join(f"{code}\nprint({MARK!r})\n" for code, _ in blocks)
    program = program.replace("import wengert as torch", "import torch").replace("wengert.install_as_torch()", "")
    program = re.sub(r"^import wengert$", "", program, flags=re.MULTILINE)
    assert python("-", input=program).split(MARK + "\n")[:-1] == [shown for _, shown in blocks]


# Runs an example and prints the losses that it called backward on.
WATCHED = """
import runpy, sys, torch
losses, backward = [], torch.Tensor.backward
def watched(self, *args, **kwargs):
    losses.append(self.item())
    return backward(self, *args, **kwargs)
torch.Tensor.backward = watched
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
print("losses", *losses)
"""

FIRST_STEPS = {
    "digits.py": ["--epochs", "3"],
    "actor_critic.py": ["--updates", "100"],
    "char_gpt.py": ["--steps", "100", "--write", "0"],
    "vae.py": ["--steps", "100", "--picture", os.devnull],
    "lstm_forecast.py": ["--steps", "100", "--plot", "plot.png"],
}


@pytest.mark.parametrize("example", FIRST_STEPS)
def test_the_first_hundred_losses_are_pytorchs(example, tmp_path):
    words = ["-c", WATCHED, ROOT / "examples" / example, *FIRST_STEPS[example]]
    ours, theirs = (
        [float(loss) for loss in python(*start, *words, cwd=tmp_path).rpartition("losses")[2].split()][:100]
        for start in (["-m", "wengert", "run"], [])
    )
    assert len(theirs) == 100
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_digits_reaches_the_same_heights_with_pytorch():
    out = python(ROOT / "examples" / "digits.py", "--epochs", "3")
    assert float(re.search(r"([\d.]+)% in the test", out)[1]) > 90
