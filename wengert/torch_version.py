"""A version that is a string and yet compares as a version: `"2.9" < torch.__version__ < "2.13.1"`.

Compared as text, "2.13" sorts before "2.9". PyTorch therefore makes `__version__` a str subclass whose comparisons read
both sides by PEP 440; tuples such as `(2, 13)` serve as well. What can't be read as a version is compared as text.
"""

import math
import re
from typing import Any

from wengert import version

__all__ = ["TorchVersion"]

PEP440 = re.compile(
    r"""\s* v? (?:(?P<epoch>\d+)!)? (?P<release>\d+(?:\.\d+)*)
        (?: [-_.]? (?P<pre>a|b|rc|alpha|beta|c|pre|preview) [-_.]? (?P<pre_number>\d*) )?
        (?: (?:-(?P<post_implicit>\d+)) | [-_.]? (?P<post>post|rev|r) [-_.]? (?P<post_number>\d*) )?
        (?: [-_.]? (?P<dev>dev) [-_.]? (?P<dev_number>\d*) )?
        (?: \+ (?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*) )? \s*""",
    re.VERBOSE | re.IGNORECASE,
)
PHASES = {"a": 0, "alpha": 0, "b": 1, "beta": 1, "c": 2, "rc": 2, "pre": 2, "preview": 2}
FIRST, LAST = (-1,), (9,)  # sort before and after every phase of a release


def ordering_key(text: str) -> tuple | None:
    """The tuple by which PEP 440 orders `text`, or None where it is no version."""
    found = PEP440.fullmatch(text)
    if found is None:
        return None
    release = tuple(int(part) for part in found["release"].split("."))
    while len(release) > 1 and release[-1] == 0:
        release = release[:-1]  # 2.13 and 2.13.0 are one release
    is_post = bool(found["post"] or found["post_implicit"])
    post = (int(found["post_number"] or found["post_implicit"] or 0),) if is_post else FIRST
    dev = (int(found["dev_number"] or 0),) if found["dev"] else (math.inf,)
    pre: tuple[int, ...]
    if found["pre"]:
        pre = (PHASES[found["pre"].lower()], int(found["pre_number"] or 0))
    else:
        pre = FIRST if found["dev"] and not is_post else LAST  # 1.0.dev1 comes before 1.0a1
    local = tuple(
        (1, int(part), "") if part.isdigit() else (0, 0, part.lower())
        for part in re.split(r"[-_.]", found["local"] or "")
        if part
    )
    return int(found["epoch"] or 0), release, pre, post, dev, local


class TorchVersion(str):
    """A version string that orders by PEP 440 against strings, tuples and version objects."""

    __slots__ = ()

    def _compare(self, other: Any, operator: str) -> Any:
        if isinstance(other, tuple):
            other = ".".join(map(str, other))
        elif not isinstance(other, str):
            if not hasattr(other, "release"):  # packaging.version.Version has one
                return NotImplemented
            other = str(other)
        mine, theirs = ordering_key(str(self)), ordering_key(other)
        if mine is None or theirs is None:
            return getattr(str, operator)(self, other)
        return getattr(tuple, operator)(mine, theirs)

    def __lt__(self, other: Any) -> Any:
        return self._compare(other, "__lt__")

    def __le__(self, other: Any) -> Any:
        return self._compare(other, "__le__")

    def __gt__(self, other: Any) -> Any:
        return self._compare(other, "__gt__")

    def __ge__(self, other: Any) -> Any:
        return self._compare(other, "__ge__")

    def __eq__(self, other: object) -> Any:
        return self._compare(other, "__eq__")

    def __ne__(self, other: object) -> Any:
        return self._compare(other, "__ne__")

    __hash__ = str.__hash__


__version__ = TorchVersion(version.__version__)
