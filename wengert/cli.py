"""The command `wengert`.

`wengert run` stands where `python` stands: it prepares `sys.argv`, `sys.path[0]` and `__main__` as the interpreter
does, enters wengert under the name `torch`, and executes the program. What the program's user sees afterwards (output,
traceback, exit status) is what `python` would have shown, with one sentence more where wengert lacks something.
"""

import argparse
import builtins
import importlib
import importlib.machinery
import importlib.util
import os
import platform
import sys
from collections.abc import Sequence
from types import CodeType, ModuleType, TracebackType
from typing import NoReturn

from wengert import alias, version

__all__ = ["main"]


def describe_versions() -> str:
    """One line for `--version` and for reports of faults."""
    import numpy

    return (
        f"wengert {version.wengert} (PyTorch {version.pytorch}'s API; "
        f"Python {platform.python_version()}, NumPy {numpy.__version__})"
    )


def refuse(sentence: str) -> NoReturn:
    """End as `python` does when it can't start a program: a sentence and status 2."""
    print(f"wengert run: {sentence}", file=sys.stderr)
    sys.exit(2)


# --- the program, as code and the attributes that its __main__ has under python ---------------------------------------


def program_from_file(path: str) -> tuple[CodeType, dict]:
    loader = importlib.machinery.SourceFileLoader("__main__", os.path.abspath(path))
    if path.endswith(".pyc"):
        loader = importlib.machinery.SourcelessFileLoader("__main__", os.path.abspath(path))  # type: ignore[assignment]
        code = loader.get_code("__main__")
    else:
        try:
            # Not loader.get_code: it leaves a __pycache__ beside the program, which python doesn't for its main file.
            source = loader.get_data(path)
        except OSError as error:
            refuse(f"can't open file {os.path.abspath(path)!r}: [Errno {error.errno}] {error.strerror}")
        code = compile(source, os.path.abspath(path), "exec", dont_inherit=True)
    return code, {"__file__": os.path.abspath(path), "__cached__": None, "__loader__": loader}  # type: ignore[return-value]


def program_from_spec(spec: importlib.machinery.ModuleSpec, name: str) -> tuple[CodeType, dict]:
    code = spec.loader.get_code(spec.name) if hasattr(spec.loader, "get_code") else None  # type: ignore[union-attr]
    if code is None:
        refuse(f"no code object available for {name}")
    return code, {
        "__file__": spec.origin,
        "__cached__": spec.cached,
        "__loader__": spec.loader,
        "__package__": spec.parent,
        "__spec__": spec,
    }


def program_from_module(name: str) -> tuple[CodeType, dict]:
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            name += ".__main__"
            spec = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        refuse(f"Error while finding module specification for {name!r} (ModuleNotFoundError: {error})")
    if spec is None:
        package, _, last = name.rpartition(".")
        if last == "__main__":
            refuse(f"{package!r} is a package without a __main__ and can't be executed")
        refuse(f"No module named {name}")
    return program_from_spec(spec, name)


def program_from_directory(path: str) -> tuple[CodeType, dict]:
    spec = importlib.machinery.PathFinder.find_spec("__main__", [path])
    if spec is None:
        refuse(f"can't find '__main__' module in {path!r}")
    return program_from_spec(spec, "__main__")


def program_from_text(text: str, filename: str) -> tuple[CodeType, dict]:
    return compile(text, filename, "exec", dont_inherit=True), {"__loader__": importlib.machinery.BuiltinImporter}


def program_of(target: str, kind: str) -> tuple[CodeType, dict]:
    """Find and compile the program, having put first on `sys.path` and in `sys.argv[0]` what python puts there."""

    def look_first_in(directory: str) -> None:
        if not sys.flags.safe_path:  # with -P or PYTHONSAFEPATH python adds nothing, so there is nothing to replace
            sys.path[0] = directory

    if kind == "module":
        look_first_in(os.getcwd())
        sys.argv[0] = "-m"
        code, attributes = program_from_module(target)
        sys.argv[0] = attributes["__file__"]
        return code, attributes
    if kind == "command":
        look_first_in("")
        sys.argv[0] = "-c"
        return program_from_text(target, "<string>")
    sys.argv[0] = target
    if target == "-":
        look_first_in("")
        code, attributes = program_from_text(sys.stdin.read(), "<stdin>")
        return code, attributes | {"__file__": "<stdin>", "__cached__": None}
    if os.path.isdir(target) or target.endswith((".zip", ".pyz")):
        look_first_in(os.path.abspath(target))
        return program_from_directory(os.path.abspath(target))
    look_first_in(os.path.dirname(os.path.realpath(target)))
    return program_from_file(target)


# --- running it -------------------------------------------------------------------------------------------------------


def frames_of_the_program(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback without this module's frames and those of the import hook."""
    kept: list[TracebackType] = []
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename not in (__file__, alias.__file__):
            kept.append(traceback)
        traceback = traceback.tb_next
    visible = None
    for entry in reversed(kept):
        entry.tb_next, visible = visible, entry
    return visible


def report_as_python_does(error: BaseException) -> None:
    """Have the interpreter's own report of `error` show the program's frames only, and name what wengert lacks."""
    missing = alias.what_is_missing(error)
    if missing is not None:
        error.add_note(missing)
    visible = frames_of_the_program(error.__traceback__)
    reporter = sys.excepthook  # the program may have put its own there

    def report(kind: type[BaseException], raised: BaseException, traceback: TracebackType | None) -> None:
        if raised is error:  # on its way out it has passed through our frames again
            raised.__traceback__ = traceback = visible
        reporter(kind, raised, traceback)

    sys.excepthook = report


def run(target: str, arguments: Sequence[str] = (), kind: str = "script") -> None:
    """Run a PyTorch program with wengert under the name `torch`.

    Args:
        target: a path, `-` for standard input, a module's name or a text, as `kind` says.
        arguments: what the program finds in `sys.argv[1:]`.
        kind: `"script"`, `"module"` (as `python -m`) or `"command"` (as `python -c`).

    Raises:
        Whatever the program raises; SystemExit(2) if there is no such program.
    """
    alias.install_as_torch()
    sys.argv[1:] = arguments
    try:
        code, attributes = program_of(target, kind)
        main_module = ModuleType("__main__")
        vars(main_module).update({"__builtins__": builtins, "__annotations__": {}, **attributes})
        sys.modules["__main__"] = main_module
        exec(code, vars(main_module))
    except SystemExit:
        raise
    except BaseException as error:
        report_as_python_does(error)
        raise


# --- the command line -------------------------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="wengert",
        description="PyTorch's tensors, autograd graph and training API on NumPy arrays.",
        epilog="`wengert COMMAND --help` explains a command.",
    )
    top.add_argument("--version", action="version", version=describe_versions())
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    running = commands.add_parser(
        "run",
        help="run a PyTorch program with wengert under the name torch",
        usage="wengert run [-h] [--check] (SCRIPT | - | -m MODULE | -c TEXT) [ARGUMENTS ...]",
        description="Run an unmodified PyTorch program: `import torch`, `import torch.nn as nn` and the like find "
        "wengert. Arguments, __main__, tracebacks and the exit status are those of python.",
        epilog="example: wengert run train.py --epochs 3",
    )
    running.add_argument(
        "--check", action="store_true", help="print, when the program has ended, how each parameter's gradient fared"
    )
    add_program(running)
    running.set_defaults(parser=running, action=run_it)
    explaining = commands.add_parser(
        "explain",
        help="run a PyTorch program and say what was trained, cut, kept, and what went wrong",
        usage="wengert explain [-h] [--fail-on KINDS] (SCRIPT | - | -m MODULE | -c TEXT) [ARGUMENTS ...]",
        description="Run an unmodified PyTorch program as `wengert run` does, watch every operation, and print when it "
        "has ended: what was trained, each cut of the graph with its line, parameters without gradient and why, memory "
        "that grows and who holds it, where infinity or NaN began.",
        epilog="example: wengert explain --fail-on no-grad,leak,nan train.py --epochs 1",
    )
    explaining.add_argument(
        "--fail-on",
        default="",
        metavar="KINDS",
        help="exit with status 3 if there are findings of these kinds: no-grad, leak, nan, in-place (comma-separated)",
    )
    add_program(explaining)
    explaining.set_defaults(parser=explaining, action=explain_it)
    drawing = commands.add_parser(
        "graph",
        help="run a PyTorch program until its first backward pass, and write a page that shows the graph",
        usage="wengert graph [-h] [-o FILE] SCRIPT[:NAME] [ARGUMENTS ...]",
        description="Run an unmodified PyTorch program as `wengert run` does, up to the end of its first backward pass "
        "(or of the first that begins at a tensor in a variable called NAME), and write its graph: a page, or "
        "what the ending of FILE says (html, svg, png, dot, mmd, json, txt).",
        epilog="example: wengert graph train.py:loss -o loss.html",
    )
    drawing.add_argument("-o", "--output", metavar="FILE", help="where to write (default: SCRIPT with .html, here)")
    drawing.add_argument("script", metavar="SCRIPT[:NAME]", help="the program")
    drawing.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGUMENTS", help="what the program is given")
    drawing.set_defaults(parser=drawing, action=graph_it)
    doctor = commands.add_parser(
        "doctor",
        help="say which fast kernels are active, why, and how to get those that are missing",
        description="Print the engines for large arrays, their settings, and the table of which operation uses what "
        "from which size.",
    )
    doctor.set_defaults(parser=doctor, action=print_doctor)
    return top


def add_program(command: argparse.ArgumentParser) -> None:
    """The arguments that name a program and hold its own."""
    command.add_argument(
        "-m", dest="module", nargs=argparse.REMAINDER, help="a module or package to run, as with `python -m`"
    )
    command.add_argument("-c", dest="text", nargs=argparse.REMAINDER, help="the program itself, as with `python -c`")
    command.add_argument(
        "script", nargs=argparse.REMAINDER, help="a file, a directory with a __main__.py, or - for standard input"
    )


def program_chosen(chosen: argparse.Namespace) -> tuple[str, list[str], str]:
    """The program on the command line: (target, arguments, kind)."""
    given = (("module", chosen.module), ("command", chosen.text), ("script", chosen.script))
    kind, words = next(((kind, words) for kind, words in given if words), ("", []))
    if not words:
        chosen.parser.error("a program is needed: a file, -, -m MODULE or -c TEXT")
    return words[0], words[1:], kind


def run_it(chosen: argparse.Namespace) -> None:
    program = program_chosen(chosen)
    if chosen.check:
        importlib.import_module("wengert.lens.check").run_with_check(lambda: run(*program))
    else:
        run(*program)


def explain_it(chosen: argparse.Namespace) -> None:
    program = program_chosen(chosen)
    kinds = tuple(kind.strip() for kind in chosen.fail_on.split(",") if kind.strip())
    explain = importlib.import_module("wengert.lens.explain")
    unknown = [kind for kind in kinds if kind not in explain.KINDS]
    if unknown:
        chosen.parser.error(f"--fail-on knows {', '.join(explain.KINDS)}, not {unknown[0]}")
    sys.exit(explain.explain(lambda: run(*program), program[0], kinds))


def print_doctor(chosen: argparse.Namespace) -> None:
    from wengert import fast

    print(f"{describe_versions()}\n\n{fast.report()}")


def graph_it(chosen: argparse.Namespace) -> None:
    """`wengert graph`: write the graph of a program's backward pass, and say in a line what it holds."""
    from wengert.lens.picture import script

    words = chosen.arguments
    if words[:1] in (["-o"], ["--output"]) and len(words) > 1:  # as commands are often typed
        chosen.output, words = words[1], words[2:]
    path, _ = script.split_name(chosen.script)
    output = chosen.output or os.path.splitext(os.path.basename(path))[0] + ".html"
    try:
        graph = script.graph_of_program(run, chosen.script, words)
    except script.NotFound as missing:
        print(f"wengert graph: {missing}", file=sys.stderr)
        sys.exit(1)
    try:
        graph.save(output)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        print(f"wengert graph: {error}", file=sys.stderr)
        sys.exit(1)
    print(f"{output}: {repr(graph)[1:-1]}")
    if graph.unreached:
        print(f"no gradient: {', '.join(graph.unreached)}")


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of the command; `arguments` default to `sys.argv[1:]`."""
    chosen = parser().parse_args(arguments)
    chosen.action(chosen)


if __name__ == "__main__":
    main()
