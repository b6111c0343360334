"""`wengert graph` runs a program to its first backward pass and writes what it went through."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import wengert

ROOT = Path(wengert.__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}

PROGRAM = """
    import sys
    import torch
    from torch import nn

    class Trainer:
        def __init__(self):
            self.model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1))
            self.optimizer = torch.optim.SGD(self.model.parameters(), 0.1)

        def step(self):
            x = torch.ones(2, 4)
            penalty = (self.model[0].weight ** 2).sum()
            penalty.backward()
            loss = self.model(x).mean()
            loss.backward()
            print("stepped", *sys.argv[1:])

    trainer = Trainer()
    trainer.step()
    trainer.step()
"""


@pytest.fixture
def graph(tmp_path):
    """`graph(text, *words)`: run the command on a program, in an empty directory."""

    def graph(text, *words, name=""):
        (tmp_path / "program.py").write_text(textwrap.dedent(text))
        return subprocess.run(
            [sys.executable, "-m", "wengert", "graph", f"program.py{name}", *words],
            cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False,
        )  # fmt: skip

    return graph


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_first_backward_is_written_and_the_program_ends_there(graph, tmp_path):
    done = graph(PROGRAM)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("program.html: graph of penalty: 2 operations, 1 leaf")
    assert (tmp_path / "program.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_variable_names_the_backward_and_the_ending_names_the_format(graph, tmp_path):
    done = graph(PROGRAM, "-o", "loss.json", name=":loss")
    assert done.returncode == 0, done.stderr
    said = read(tmp_path / "loss.json")
    assert said["name"] == "loss"
    assert said["recorded"]
    titles = {node["title"]: node for node in said["nodes"]}
    assert {"0.weight", "0.bias", "2.weight", "2.bias"} <= titles.keys()
    assert titles["Tanh"]["line"] == {
        "file": "program.py", "line": 15, "function": "step", "text": "loss = self.model(x).mean()",
    }  # fmt: skip
    assert titles["2.bias"]["gradient"]["values"] == [1.0]
    assert titles["Mean"]["gradient"]["values"] == [1.0]


def test_the_program_has_its_own_arguments_and_output(graph, tmp_path):
    done = graph(PROGRAM.replace("penalty.backward()", "print(sys.argv[1:])"), "-o", "out.json", "--epochs", "3")
    assert done.stdout.splitlines()[0] == "['--epochs', '3']"
    assert "stepped" not in done.stdout
    assert (tmp_path / "out.json").exists()


def test_parameters_without_gradient_are_named(graph):
    done = graph("""
        import torch
        model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
        loss = model[1](model[0](torch.ones(1, 2)).detach()).sum()
        loss.backward()
    """)
    first, second = done.stdout.splitlines()
    assert first.endswith(", 1 cut")
    assert second == "no gradient: 0.weight, 0.bias"


def test_a_program_without_that_backward_is_an_error_that_names_the_others(graph):
    done = graph(PROGRAM, name=":reward")
    assert done.returncode == 1
    assert "no backward pass began at a tensor named reward; others began at penalty, loss" in done.stderr
    done = graph("import torch\nprint(torch.ones(2))")
    assert done.returncode == 1
    assert "program.py has ended, and it ran no backward pass" in done.stderr


def test_a_program_that_fails_shows_its_own_traceback(graph):
    done = graph("import torch\nraise KeyError('mine')")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "KeyError: 'mine'"
    assert "cli.py" not in done.stderr


def test_an_ending_that_nothing_is_written_for_is_refused(graph):
    done = graph(PROGRAM, "-o", "graph.bmp")
    assert done.returncode == 1
    assert "endings: html, svg, png" in done.stderr
