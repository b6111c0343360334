"""The lens names the true culprit of scripts that do not learn, and accuses no script that does.

Each script in `broken/` marks the line (or lines) to blame with ``# culprit``; those in `sound/`, and the examples,
have none.
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


def culprits_of(script):
    lines = script.read_text(encoding="utf-8").splitlines()
    return {number for number, text in enumerate(lines, 1) if "# culprit" in text}


def test_the_catalogue_is_large():
    assert len(BROKEN) >= 140 and len(SOUND) >= 80


@pytest.mark.parametrize("script", BROKEN, ids=lambda path: path.stem)
def test_the_culprit_is_named_and_nothing_else(script, verdicts):
    verdict = verdicts[script]
    assert "crashed" not in verdict, verdict.get("crashed")
    named = {(f["file"], f["line"]) for f in verdict["findings"]}
    assert named, verdict["text"]
    assert named <= {(str(script), line) for line in culprits_of(script)}, verdict["text"]


@pytest.mark.parametrize("script", SOUND + EXAMPLES, ids=lambda path: path.stem)
def test_a_sound_script_is_not_accused(script, verdicts):
    verdict = verdicts[script]
    assert "crashed" not in verdict, verdict.get("crashed")
    assert verdict["findings"] == [] and verdict["status"] == 0, verdict["text"]
