"""The graph as one page of HTML that needs nothing else: data, drawing, Graphviz and all in one file.

The page is put together from the files in `web/`. Graphviz, compiled to WebAssembly, travels compressed (`web/vendor`).
Data goes in as JSON in which no ``<`` stands as itself, so that no name or line of source can end the script element or
begin another; the page's own script escapes whatever it shows.
"""

import base64
import html
import re
from functools import cache
from pathlib import Path

WEB = Path(__file__).parent / "web"


@cache
def web_file(name):
    return (WEB / name).read_text(encoding="utf-8")


@cache
def graphviz():
    """Graphviz as JavaScript, compressed, as text."""
    return base64.b64encode((WEB / "vendor" / "viz-global.js.gz").read_bytes()).decode("ascii")


def page(graph):
    """The page, as text."""
    parts = {
        "title": html.escape(f"{graph.name or 'graph'} · wengert"),
        "style": web_file("palette.css") + web_file("drawing.css") + web_file("style.css"),
        "data": in_script(graph.to_json()),
        "graphviz": graphviz(),
        "scene": web_file("scene.js"),
        "view": web_file("view.js"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], web_file("page.html"))


def in_script(text):
    """JSON that may stand in a script element: ``<`` and the line separators of JavaScript are written as escapes."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def frame(graph, height=560):
    """The page as a notebook shows it: in a frame of its own, apart from the notebook's own scripts and style."""
    style = f"width: 100%; height: {height}px; border: 1px solid #d8d4ca; border-radius: 8px"
    title, content = html.escape(repr(graph)), html.escape(page(graph))
    return f'<iframe title="{title}" style="{style}" sandbox="allow-scripts" srcdoc="{content}"></iframe>'
