"""SVG and PNG, made without a browser: they need the extra `picture`."""

import re
import sys
import xml.etree.ElementTree as ET

import pytest

import wengert as torch
from wengert import lens
from wengert.lens.picture import drawing

pytest.importorskip("quickjs", reason="quickjs-ng, of the extra `picture`, is not installed")
if drawing.shutil.which("dot") is None:
    pytest.importorskip("pygraphviz", reason="neither pygraphviz, of the extra `picture`, nor the program dot is there")


def small():
    with lens.record():
        x = torch.ones(2, requires_grad=True)
        y = torch.ones(2, requires_grad=True)
        return lens.graph((x.exp().detach() * y).sum(), params={"<b>&": y})


def texts(svg):
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_svg_is_well_formed_and_says_what_the_graph_holds():
    svg = small().to_svg()
    assert {"Exp", "Mul", "Sum", "<b>&", "✂ detach()"} <= set(texts(svg))


def test_svg_draws_each_thing_once_and_cuts_in_red():
    svg = small().to_svg()
    assert len(re.findall(r'<g class="cut"', svg)) == 1
    assert re.search(r"\.cut \.line \{ fill: none; stroke: #c8102e;.*stroke-dasharray", svg)
    assert "var(" not in svg


def test_a_theme_changes_colours_only():
    light, dark = (small().to_svg(theme) for theme in ("light", "dark"))
    assert light != dark
    assert re.sub(r"<style>.*?</style>", "", light, flags=re.DOTALL) == re.sub(
        r"<style>.*?</style>", "", dark, flags=re.DOTALL
    )
    with pytest.raises(ValueError, match="theme must be 'light' or 'dark'"):
        small().to_svg("sepia")


def test_a_large_graph_is_drawn_folded():
    h = torch.ones(3, requires_grad=True)
    for _ in range(5000):
        h = h * 1.001
    assert "5,000 × Mul" in texts(lens.graph(h.sum()).to_svg())


def test_png_is_a_picture_at_the_scale_asked_for(tmp_path):
    pytest.importorskip("resvg_py", reason="resvg-py, of the extra `picture`, is not installed")
    graph = small()
    try:
        once, twice = graph.to_png(scale=1.0), graph.to_png(scale=2.0)
    except RuntimeError as error:
        if "font" in str(error):
            pytest.skip(f"this machine has no font: {error}")
        raise
    sizes = [int.from_bytes(png[16:20], "big") for png in (once, twice)]
    assert once[:8] == b"\x89PNG\r\n\x1a\n"
    assert sizes[1] == 2 * sizes[0]


@pytest.mark.parametrize(
    "missing, named", [("quickjs", "quickjs-ng"), ("pygraphviz", "Graphviz"), ("resvg_py", "resvg-py")]
)
def test_what_is_not_installed_is_named_with_the_command_that_installs_it(monkeypatch, missing, named):
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr(drawing.shutil, "which", lambda program: None)
    graph = small()
    with pytest.raises(ImportError, match=rf"{named}.*pip install 'wengert\[picture\]'"):
        graph.to_png()
