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


def pytorch(*words, **options):
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
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
    assert pytorch(ROOT / "examples" / "detach_tour.py") == recorded


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md", "docs/detach.md", "docs/detach.zh-CN.md"])
def test_the_outputs_of_a_page_are_pytorchs(page):
    blocks = PAIR.findall((ROOT / page).read_text(encoding="utf-8"))
    program = "".join(f"{code}\nprint({MARK!r})\n" for code, _ in blocks)
    program = program.replace("import wengert as torch", "import torch").replace("wengert.install_as_torch()", "")
    program = re.sub(r"^import wengert$", "", program, flags=re.MULTILINE)
    assert pytorch("-", input=program).split(MARK + "\n")[:-1] == [shown for _, shown in blocks]


def test_digits_reaches_the_same_heights_with_pytorch():
    out = pytorch(ROOT / "examples" / "digits.py", "--epochs", "3")
    assert float(re.search(r"([\d.]+)% in the test", out)[1]) > 90
