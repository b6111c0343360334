"""The lens names the true culprit of scripts that do not learn, and accuses no script that does.

Each script in `broken/` marks the line to blame with ``# culprit``; those in `sound/`, and the examples, have none.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import wengert

ROOT = Path(wengert.__file__).parents[1]
HERE = Path(__file__).parent
BROKEN = sorted((HERE / "broken").glob("*.py"))
SOUND = sorted((HERE / "sound").glob("*.py"))
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the scripts run in forks of one process")


@pytest.fixture(scope="module")
def verdicts():
    """What the lens says of each script, by its path."""
    done = subprocess.run(
        [sys.executable, str(HERE / "catalogue.py"), *map(str, [*BROKEN, *SOUND, *EXAMPLES])],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {Path(one["script"]): one for one in map(json.loads, done.stdout.splitlines())}


def culprit_of(script):
    lines = script.read_text(encoding="utf-8").splitlines()
    (line,) = [number for number, text in enumerate(lines, 1) if "# culprit" in text]
    return line


def test_the_catalogue_is_large():
    assert len(BROKEN) >= 45 and len(SOUND) >= 40


@pytest.mark.parametrize("script", BROKEN, ids=lambda path: path.stem)
def test_the_culprit_is_named_and_nothing_else(script, verdicts):
    verdict = verdicts[script]
    assert "crashed" not in verdict, verdict.get("crashed")
    assert {(f["file"], f["line"]) for f in verdict["findings"]} == {(str(script), culprit_of(script))}, verdict["text"]


@pytest.mark.parametrize("script", SOUND + EXAMPLES, ids=lambda path: path.stem)
def test_a_sound_script_is_not_accused(script, verdicts):
    verdict = verdicts[script]
    assert "crashed" not in verdict, verdict.get("crashed")
    assert verdict["findings"] == [] and verdict["status"] == 0, verdict["text"]
