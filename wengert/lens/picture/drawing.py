"""SVG and PNG without a browser: the same drawing as the page's.

What the page does with Graphviz as WebAssembly is done here by its own script (`web/scene.js`) in a small JavaScript
engine, with Graphviz as a library or as the program `dot`. PNG is made from the SVG by resvg.
"""

import re
import shutil
import subprocess

from wengert.lens.picture.page import web_file

EXTRA = "pip install 'wengert[picture]'"
STEPS = ("Scene.toDot(view, 0)", "Scene.toDot(view, 1)", "Scene.toDot(view, 2)")  # with less and less effort
PATIENCE = 60  # seconds for one layout


def script():
    """A JavaScript engine that knows the page's `Scene`."""
    try:
        import quickjs
    except ImportError:
        raise ImportError(f"a drawing needs the JavaScript engine quickjs-ng: {EXTRA}") from None
    engine = quickjs.Context()
    engine.set_max_stack_size(64 << 20)
    engine.eval(web_file("scene.js") + "\nvar model, view;")
    return engine


def laid_out(dot):
    """Graphviz's layout of a text in its language, as JSON text; None if it fails at it."""
    program = shutil.which("dot")
    if program is not None:
        command = [program, "-Tjson0"]
        try:
            done = subprocess.run(command, input=dot.encode(), capture_output=True, timeout=PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            return None
        return done.stdout.decode() if done.returncode == 0 and done.stdout.rstrip().endswith(b"}") else None
    try:
        import pygraphviz
    except ImportError:
        raise ImportError(
            f"a drawing needs Graphviz: {EXTRA}, or the program dot (Debian: apt install graphviz; macOS: brew install "
            "graphviz)"
        ) from None
    try:
        return pygraphviz.AGraph(string=dot).draw(format="json0", prog="dot").decode()
    except (OSError, ValueError, RuntimeError):
        return None


def colours(theme):
    """The palette of a theme, {"--ink": "#1b1e23", ...}, as `web/palette.css` has it."""
    light, dark = re.findall(r"\{(.*?)\}", web_file("palette.css"), re.DOTALL)
    chosen = {"light": light, "dark": dark}.get(theme)
    if chosen is None:
        raise ValueError(f"theme must be 'light' or 'dark', not {theme!r}")
    return dict(re.findall(r"(--[\w-]+):\s*([^;]+);", chosen))


def style(theme):
    """The drawing's style sheet with the colours written in, for programs that know no variables."""
    palette = colours(theme)
    return re.sub(r"var\((--[\w-]+)\)", lambda match: palette[match[1]], web_file("drawing.css"))


def svg(graph, theme="light"):
    """The drawing as an SVG document, text."""
    sheet = style(theme)
    engine = script()
    engine.set("data", graph.to_json())
    engine.eval("model = Scene.prepare(JSON.parse(data)); view = Scene.visible(model, Scene.openAtFirst(model))")
    for step in STEPS:
        layout = laid_out(engine.eval(step))
        if layout is not None:
            break
    else:
        raise RuntimeError("Graphviz could not lay out this graph")
    engine.set("layout", layout)
    engine.set("sheet", sheet)
    engine.set("name", repr(graph)[1:-1])
    return engine.eval("Scene.svg(Scene.depths(Scene.put(view, JSON.parse(layout))), sheet, name)")


def png(graph, theme="light", scale=2.0):
    """The drawing as PNG, bytes; raises RuntimeError on a machine without a font, where the text would be missing."""
    try:
        import resvg_py
    except ImportError:
        raise ImportError(f"PNG needs resvg-py: {EXTRA}") from None
    sheet = style(theme)
    if not has_font(resvg_py, sheet):
        raise RuntimeError("PNG needs a monospaced font; none was found (Debian: apt install fonts-dejavu-core)")
    drawn = svg(graph, theme)
    width = int(re.search(r'width="(\d+)"', drawn)[1])
    return bytes(resvg_py.svg_to_bytes(svg_string=drawn, width=round(width * scale)))


def has_font(resvg_py, sheet):
    """Whether text leaves a trace."""
    frame = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20" class="drawing"><style>{}</style>{}</svg>'
    blank, written = (
        resvg_py.svg_to_bytes(svg_string=frame.format(sheet, text)) for text in ("", '<text y="16">M</text>')
    )
    return bytes(blank) != bytes(written)
