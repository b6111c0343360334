"""`wengert run` stands where `python` stands: the same program shows the same behaviour under both."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import wengert

ROOT = Path(wengert.__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"}
PYTHON = [sys.executable]
WENGERT = [sys.executable, "-m", "wengert", "run"]


def launch(command, *words, cwd=None, stdin="", **environment):
    return subprocess.run(
        [*command, *map(str, words)],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        env=ENVIRONMENT | environment,
        timeout=60,
        check=False,
    )


def assert_as_python(*words, **options):
    """Run under both, compare everything a user sees, and return it."""
    expected, got = (launch(command, *words, **options) for command in (PYTHON, WENGERT))
    assert (got.stdout, got.stderr, got.returncode) == (expected.stdout, expected.stderr, expected.returncode)
    return got


@pytest.fixture
def write(tmp_path):
    def write(text, name="program.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    return write


PROBE = """
import sys
print(sys.argv, sys.path[0], sys.path[0] in sys.path[1:])
print(__name__, __package__, __spec__ and __spec__.name, __doc__, globals().get("__file__"), type(__loader__))
print(sorted(globals()), sys.modules["__main__"].__dict__ is globals())
print(sys.stdin.read())
"""


class TestTheProgramFindsWhatPythonWouldGiveIt:
    def test_script(self, write):
        out = assert_as_python(write(PROBE), "--epochs", "3", "-m", "-h", "--", "x", stdin="some input").stdout
        assert "'--epochs', '3', '-m', '-h', '--', 'x'" in out
        assert "some input" in out

    def test_script_by_a_relative_path_and_a_link(self, write, tmp_path):
        write(PROBE, "real/program.py")
        (tmp_path / "linked.py").symlink_to(tmp_path / "real" / "program.py")
        assert_as_python("linked.py", cwd=tmp_path)

    def test_module(self, write, tmp_path):
        write(PROBE, "pack/inner.py")
        write("", "pack/__init__.py")
        assert "inner.py', '-v'" in assert_as_python("-m", "pack.inner", "-v", cwd=tmp_path).stdout

    def test_package(self, write, tmp_path):
        write(PROBE, "pack/__main__.py")
        write("", "pack/__init__.py")
        assert_as_python("-m", "pack", cwd=tmp_path)

    def test_directory(self, write, tmp_path):
        write(PROBE, "place/__main__.py")
        assert_as_python("place", "word", cwd=tmp_path)

    def test_text(self, tmp_path):
        assert_as_python("-c", PROBE, "-h", cwd=tmp_path)

    def test_standard_input(self, tmp_path):
        program = "import sys; print(sys.argv, sys.path[0], __name__, '__file__' in globals())"
        assert_as_python("-", "word", cwd=tmp_path, stdin=program)

    def test_a_neighbour_is_importable_unless_the_path_is_to_be_safe(self, write):
        write("name = 'a neighbour'", "neighbour.py")
        program = write("import neighbour; print(neighbour.name)")
        assert assert_as_python(program).stdout == "a neighbour\n"
        assert "No module named 'neighbour'" in assert_as_python(program, PYTHONSAFEPATH="1").stderr

    def test_classes_of_main_can_be_pickled(self, write):
        program = """
            import pickle
            class Point: pass
            print(type(pickle.loads(pickle.dumps(Point()))) is Point, Point.__module__)
        """
        assert assert_as_python(write(program)).stdout == "True __main__\n"

    def test_encoding_declaration(self, tmp_path):
        path = tmp_path / "program.py"
        path.write_bytes("# -*- coding: latin-1 -*-\nprint('é'.encode())\n".encode("latin-1"))
        assert_as_python(path)


class TestOtherProcesses:
    @pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
    def test_a_child_has_the_alias_however_it_is_started(self, write, method):
        program = f"""
            import torch
            import multiprocessing

            def work(queue):
                import torch.version
                queue.put((torch.__name__, torch.version.__name__))

            if __name__ == "__main__":
                context = multiprocessing.get_context({method!r})
                queue = context.SimpleQueue()
                child = context.Process(target=work, args=(queue,))
                child.start()
                print(queue.get())
                child.join()
        """
        out = launch(WENGERT, write(program))
        assert (out.stdout, out.returncode) == ("('torch', 'wengert.version')\n", 0), out.stderr


class TestTheEnd:
    @pytest.mark.parametrize("argument", ["", "0", "3", "None", "'a sentence'", "True"])
    def test_system_exit(self, write, argument):
        assert_as_python(write(f"import sys; sys.exit({argument})"))

    def test_exit_handlers_run_after_the_traceback(self, write):
        program = "import atexit, sys; atexit.register(lambda: print('bye', file=sys.stderr)); 1 / 0"
        assert assert_as_python(write(program)).stderr.endswith("bye\n")

    def test_keyboard_interrupt_raised(self, write):
        assert assert_as_python(write("raise KeyboardInterrupt")).returncode in (-signal.SIGINT, 130)

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to one process")
    def test_keyboard_interrupt_sent(self, write):
        # A test run in the background of a shell ignores the signal, and its children would too.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        program = write("import time\nprint('ready', flush=True)\nwhile True: time.sleep(30)\n")
        ends = []
        for command in (PYTHON, WENGERT):
            process = subprocess.Popen(
                [*command, str(program)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
            )
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.1)  # on from the print into the sleep
            process.send_signal(signal.SIGINT)
            ends.append((process.communicate(timeout=30)[1], process.returncode))
        assert ends[0] == ends[1]


class TestTracebacks:
    @pytest.mark.parametrize(
        "program",
        [
            "def f():\n    raise ValueError('no')\n\nf()\n",
            "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('k') from e\n",
            "try:\n    1 / 0\nexcept ZeroDivisionError:\n    undefined\n",
            "x = (\n",
            "\tx = 1\n  y = 2\n",
            "raise ExceptionGroup('many', [ValueError(1), TypeError(2)])\n",
            "e = ValueError('noted'); e.add_note('a note'); raise e\n",
            "import json; json.loads('{')\n",
            "import missing_library\n",
            "from json import missing_name\n",
            "import json; json.missing_name\n",
            "import sys\nsys.excepthook = lambda k, e, t: print('mine', k, e, t.tb_lineno, t.tb_next)\n1 / 0\n",
            "import threading\nt = threading.Thread(target=lambda: 1 / 0, name='worker'); t.start(); t.join()\n",
        ],
    )
    def test_as_python_shows_them(self, write, program):
        assert_as_python(write(program))

    def test_of_a_module(self, write, tmp_path):
        write("def f():\n    1 / 0\nf()\n", "failing.py")
        out = launch(WENGERT, "-m", "failing", cwd=tmp_path)
        assert out.returncode == 1
        assert out.stderr.startswith(
            f'Traceback (most recent call last):\n  File "{tmp_path}/failing.py", line 3, in <module>'
        )


class TestWhatWengertLacksIsNamed:
    @pytest.mark.parametrize(
        ("statement", "kind", "sentence"),
        [
            ("import torch.no_such.module", "ModuleNotFoundError", "wengert has no torch.no_such yet"),
            ("from torch.no_such import thing", "ModuleNotFoundError", "wengert has no torch.no_such yet"),
            ("from torch import no_such_name", "ImportError", "wengert has no torch.no_such_name yet"),
            ("import torch; torch.no_such_name", "AttributeError", "wengert has no torch.no_such_name yet"),
            ("import torch.version as v; v.no_such", "AttributeError", "wengert has no torch.version.no_such yet"),
        ],
    )
    def test_named(self, statement, kind, sentence):
        out = launch(WENGERT, "-c", statement)
        assert out.returncode == 1
        assert f"\n{kind}: " in out.stderr
        assert out.stderr.count(sentence) == 1
        assert "alias.py" not in out.stderr
        assert "cli.py" not in out.stderr


class TestTheCommandItself:
    def test_version(self):
        out = launch([sys.executable, "-m", "wengert"], "--version")
        assert (out.returncode, out.stdout[:8]) == (0, "wengert ")
        assert "2.13.0" in out.stdout

    def test_help_of_run(self):
        out = launch(WENGERT, "--help")
        assert out.returncode == 0
        assert "SCRIPT" in out.stdout

    @pytest.mark.parametrize(
        "words", [(), ("no_such_file.py",), ("-m", "no_such_module"), ("-m", "no.such.module"), (".",)]
    )
    def test_no_program_is_status_2(self, words, tmp_path):
        out = launch(WENGERT, *words, cwd=tmp_path)
        assert out.returncode == 2
        assert out.stderr.strip().splitlines()[-1].startswith("wengert run: ")
        assert "Traceback" not in out.stderr
