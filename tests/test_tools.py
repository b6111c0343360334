"""The tools of the repository."""

import importlib.util
from pathlib import Path

import pytest

import wengert

ROOT = Path(wengert.__file__).parents[1]


def tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestBenchTable:
    def test_is_put_between_the_marks_and_replaces_what_was_there(self):
        fill = tool("fill_bench").fill
        page = "before\n<!-- bench:begin -->\nold | figures \\1\n<!-- bench:end -->\nafter\n"
        filled = fill(page, "| a |\n|---|\n| \\1 |\n")
        assert filled == "before\n<!-- bench:begin -->\n\n| a |\n|---|\n| \\1 |\n\n<!-- bench:end -->\nafter\n"
        assert fill(filled, "| a |\n|---|\n| \\1 |\n") == filled

    def test_a_page_without_the_marks_is_refused(self):
        with pytest.raises(ValueError, match="found 0"):
            tool("fill_bench").fill("no place\n", "| a |")

    @pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
    def test_the_pages_have_the_place(self, page):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert "| measured |" in tool("fill_bench").fill(text, "| measured |")
