"""The pages tell the truth: each Python block that is followed by an output block prints exactly that under wengert."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import wengert

ROOT = Path(wengert.__file__).parents[1]
PAGES = [
    *("README.md", "README.zh-CN.md"),
    *("docs/detach.md", "docs/detach.zh-CN.md"),
    *("docs/graph.md", "docs/graph.zh-CN.md"),
]
PAIR = re.compile(r"^```python\n(.*?)^```\n(?:\n^```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
MARK = "<<< end of a block >>>"


def blocks_of(page):
    """The page's Python blocks with the output that follows each, or None; a page is one session."""
    return [(code, output or None) for code, output in PAIR.findall((ROOT / page).read_text(encoding="utf-8"))]


def outputs_of(blocks, command=(sys.executable, "-m", "wengert", "run")):
    """What each block of a page prints when they are run one after another in one process."""
    program = "".join(f"{code}\nprint({MARK!r})\n" for code, _ in blocks)
    done = subprocess.run(
        [*command, "-"],
        input=program,
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split(MARK + "\n")[:-1]


@pytest.mark.parametrize("page", PAGES)
def test_the_page_shows_what_its_programs_print(page):
    blocks = blocks_of(page)
    assert blocks, "a page without a program"
    printed = outputs_of(blocks)
    assert len(printed) == len(blocks)
    for (code, shown), said in zip(blocks, printed, strict=True):
        if shown is not None:
            assert said == shown, f"this block printed otherwise:\n{code}"


def test_both_languages_show_the_same_output():
    for page in ("README.md", "docs/detach.md", "docs/graph.md"):
        translated = page.replace(".md", ".zh-CN.md")
        assert [shown for _, shown in blocks_of(page)] == [shown for _, shown in blocks_of(translated)]


@pytest.mark.parametrize("page", PAGES)
def test_links_between_files_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), target
