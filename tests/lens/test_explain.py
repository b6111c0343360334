"""`wengert explain` as a command: its report, its exit status, the same program under either name of the library."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import wengert

ROOT = Path(wengert.__file__).parents[1]
BROKEN = Path(__file__).parent / "broken"
SOUND = Path(__file__).parent / "sound"


def explain(*words, text=None):
    return subprocess.run(
        [sys.executable, "-m", "wengert", *map(str, words)],
        input=text,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("script", "kinds", "status"),
    [
        (BROKEN / "dead_relu.py", "no-grad", 3),
        (BROKEN / "dead_relu.py", "leak,nan", 0),
        (BROKEN / "list_of_losses.py", "leak", 3),
        (BROKEN / "logarithm_of_zero.py", "no-grad,nan", 3),
        (BROKEN / "write_through_data.py", "in-place", 3),
        (BROKEN / "detached_prediction.py", "leak", 1),  # the program's own failure
        (SOUND / "regression.py", "no-grad,leak,nan,in-place", 0),
    ],
    ids=lambda value: value.stem if isinstance(value, Path) else str(value),
)
def test_the_status_says_whether_there_was_a_finding(script, kinds, status):
    assert explain("explain", "--fail-on", kinds, script).returncode == status


def test_an_unknown_kind_is_refused():
    done = explain("explain", "--fail-on", "gradient", SOUND / "regression.py")
    assert done.returncode == 2 and "no-grad, leak, nan, in-place" in done.stderr


def test_the_program_keeps_its_status_and_its_output():
    done = explain("explain", "-c", "import sys; print('hello', sys.argv[1:]); sys.exit(7)", "--epochs", "3")
    assert done.returncode == 7 and done.stdout.startswith("hello ['--epochs', '3']\n")


def test_the_traceback_of_a_failing_program_is_its_own():
    done = explain("explain", BROKEN / "detached_prediction.py")
    assert done.stderr.startswith("Traceback (most recent call last):\n")
    first, second = done.stderr.splitlines()[1:3]
    assert BROKEN.name in first and second.strip() == "loss.backward()"
    assert done.stderr.rstrip().endswith("does not have a grad_fn")


def test_either_name_of_the_library_will_do():
    program = (BROKEN / "encoder_in_no_grad_block.py").read_text(encoding="utf-8")
    own = program.replace("import torch\n", "import wengert as torch\n").replace("from torch", "from wengert")
    assert explain("explain", "-", text=own).stdout == explain("explain", "-", text=program).stdout


def test_run_with_check_ends_with_a_table():
    done = explain("run", "--check", BROKEN / "encoder_in_no_grad_block.py")
    assert done.returncode == 0
    assert "encoder.0.weight" in done.stdout and "0 of 6" in done.stdout and "6 of 6" in done.stdout


def test_a_backbone_that_only_computes_features_is_worth_a_note():
    done = explain("explain", SOUND / "features_not_frozen.py")
    told = " ".join(done.stdout.split())
    assert (
        "· note `model.features.0.weight` (8×3×3×3) and `model.features.0.bias` (8) get a gradient in 5 passes" in told
    )
    assert "they only compute features for what is trained" in told and "nothing wrong was found" in told
