"""Put a benchmark table where the READMEs keep it: between the bench:begin and bench:end marks.

    python tools/fill_bench.py table.md        or the table on standard input

Both pages get the same table; its figures come from the command, never from a person.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "README.zh-CN.md")
PLACE = re.compile(r"(<!-- bench:begin -->\n).*?(<!-- bench:end -->)", re.DOTALL)


def fill(page: str, table: str) -> str:
    """The text of `page` with `table` between the marks; raises ValueError where the marks are missing."""
    filled, places = PLACE.subn(lambda marks: f"{marks[1]}\n{table.strip()}\n\n{marks[2]}", page)
    if places != 1:
        raise ValueError(f"expected one place marked bench:begin ... bench:end, found {places}")
    return filled


def main() -> None:
    table = Path(sys.argv[1]).read_text(encoding="utf-8") if len(sys.argv) > 1 else sys.stdin.read()
    for name in PAGES:
        page = ROOT / name
        page.write_text(fill(page.read_text(encoding="utf-8"), table), encoding="utf-8")
        print(f"{name}: table filled")


if __name__ == "__main__":
    main()
