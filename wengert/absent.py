"""What wengert does not have, said by name.

Programs and libraries name many things that they don't use: a device that may be there, an exporter that may be called,
a class that an object may belong to. Such a name must be found, and answer truthfully when it is used after all. The
functions here make names that answer (`answers`), and names that refuse (`refuses`).
"""

import copy
import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec


def answers(module, values):
    """Functions of a module that return these values whatever they are given, for there is nothing they could ask.

    Args:
        module: its ``globals()``.
        values: what each returns, by name.
    """
    for name, value in values.items():
        module[name] = answering(module["__name__"], name, value)


def answering(module, name, value):
    def function(*args, **kwargs):
        return copy.copy(value)

    return named(function, module, name, f"{value!r}: there is no such device here.")


def refuses(module, functions=(), classes=(), error=None, why="", place=None):
    """Functions and classes of a module that can be named, but neither called nor instantiated.

    Args:
        module: its ``globals()``.
        functions, classes: their names.
        error: the exception to raise; by default NotImplementedError, which names what was called.
        why: what it says besides.
        place: the module by which programs know the names, if it is another.
    """
    place = place or "torch" + module["__name__"].removeprefix("wengert")
    for name in functions:
        module[name] = refusing(place, name, error, why)
    for name in classes:
        refusal = refusing(place, name, error, why)
        body = {"__new__": refusal, "__module__": place, "__doc__": refusal.__doc__}
        module[name] = type(name, (), body)


def refusing(place, name, error, why):
    def function(*args, **kwargs):
        raise type(error)(*error.args) if error else NotImplementedError(f"{place}.{name}: wengert {why}")

    return named(function, place, name, f"Refused: wengert {why}." if why else f"Refused: {error}")


def named(function, module, name, doc):
    function.__name__ = function.__qualname__ = name
    function.__module__, function.__doc__ = module, doc
    return function


refuses(globals(), classes=("Event", "Stream"), why="has no devices whose work could be queued", place="torch")


class NamesOnly(Loader):
    """Loads a module of which there are only the names."""

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        importlib.import_module("wengert.absent_modules").fill(module)


class Finder(MetaPathFinder):
    """Finds the modules of `wengert.absent_modules`. It stands behind Python's own finders: what exists comes first.

    A module file that has such a module below it says ``__path__ = []``, which is what makes it a package.
    """

    def find_spec(self, fullname, path=None, target=None):
        if not fullname.startswith("wengert."):
            return None
        listed = importlib.import_module("wengert.absent_modules").MODULES
        return ModuleSpec(fullname, NamesOnly(), is_package=True) if fullname[len("wengert.") :] in listed else None


sys.meta_path.append(Finder())
