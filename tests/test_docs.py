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
    *("docs/randomness.md", "docs/randomness.zh-CN.md"),
]
COMMAND_PAGES = ["docs/lens.md", "docs/lens.zh-CN.md", "README.md", "README.zh-CN.md"]  # with commands and their output
PAIR = re.compile(r"^```python\n(.*?)^```\n(?:\n^```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^```console\n\$ (wengert|python) (.*?)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
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


@pytest.fixture(scope="module")
def printed_by():
    """What a command prints; each is run once, however many pages show it."""
    known = {}

    def run(program, words):
        if (program, words) not in known:
            module = ["-m", "wengert"] if program == "wengert" else []
            done = subprocess.run(
                [sys.executable, *module, *words.split()],
                capture_output=True,
                text=True,
                encoding="utf-8",
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
                timeout=60,
                check=False,
            )
            known[program, words] = done.stdout
        return known[program, words]

    return run


@pytest.mark.parametrize("page", COMMAND_PAGES)
def test_the_page_shows_what_its_commands_print(page, printed_by):
    found = COMMAND.findall((ROOT / page).read_text(encoding="utf-8"))
    assert found, "a page without a command"
    for program, words, shown in found:
        assert printed_by(program, words) == shown, f"{program} {words} printed otherwise"


def test_both_languages_show_the_same_commands():
    for page in ("docs/lens.md", "README.md"):
        pages = (page, page.replace(".md", ".zh-CN.md"))
        english, chinese = (COMMAND.findall((ROOT / p).read_text(encoding="utf-8")) for p in pages)
        assert english == chinese


def test_both_languages_show_the_same_output():
    for page in ("README.md", "docs/detach.md", "docs/graph.md", "docs/randomness.md"):
        translated = page.replace(".md", ".zh-CN.md")
        assert [shown for _, shown in blocks_of(page)] == [shown for _, shown in blocks_of(translated)]


@pytest.mark.parametrize("page", dict.fromkeys([*PAGES, *COMMAND_PAGES]))
def test_links_between_files_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), target
