"""The pictures of README and docs: real screenshots of the page that `wengert graph` writes for an example.

    python tools/take_pictures.py              writes docs/pictures/graph-light.png and graph-dark.png
    python tools/take_pictures.py --measure    says how soon the pages of large graphs can be used

Needs the extra `browser` and a Chromium (Debian: apt install chromium; elsewhere name one in CHROMIUM).
"""

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
SIZE = {"width": 1080, "height": 720}
SHARPNESS = 1.6  # pixels for each pixel of the page
COLOURS = 256
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

CHAIN = """
import wengert as torch
from wengert import lens
h = torch.ones(3, requires_grad=True)
for _ in range({length}):
    h = h * 1.001
lens.graph(h.sum()).save({path!r})
"""


def run(*words):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, *words], check=True, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL)


def open_page(browser, path, **options):
    page = browser.new_page(viewport=SIZE, **options)
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    return page


def take(browser, path):
    """The page with its second cut chosen, light and dark."""
    PICTURES.mkdir(exist_ok=True)
    for theme in ("light", "dark"):
        page = open_page(browser, path, color_scheme=theme, device_scale_factor=SHARPNESS)
        page.locator("#panel .go.cutting").nth(1).click()
        page.keyboard.press("-")
        page.mouse.move(0, 0)
        page.wait_for_timeout(300)
        whole = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        target = PICTURES / f"graph-{theme}.png"
        whole.quantize(COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(target, optimize=True)
        print(f"{target.relative_to(ROOT)}: {target.stat().st_size / 1024:.0f} KiB")
        page.close()


def measure(browser, folder):
    """Seconds from opening the file until the drawing stands and answers a key."""
    for length in (5_000, 100_000):
        path = folder / f"chain{length}.html"
        run("-c", CHAIN.format(length=length, path=str(path)))
        started = time.perf_counter()
        page = open_page(browser, path)
        page.keyboard.press("ArrowUp")
        page.wait_for_selector("#world .selected", state="attached")
        print(f"a chain of {length:,} nodes can be used after {time.perf_counter() - started:.2f} s")
        if length <= 5_000:
            started = time.perf_counter()
            page.keyboard.press("e")
            page.wait_for_function("document.querySelectorAll('#world .thing').length > 5")
            print(f"  unfolded completely after {time.perf_counter() - started:.2f} s")
        page.close()


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--measure", action="store_true", help="measure instead of taking pictures")
    chosen = options.parse_args()
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        sys.exit("no Chromium here (Debian: apt install chromium; elsewhere name one in CHROMIUM)")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        if chosen.measure:
            measure(browser, Path(folder))
        else:
            path = Path(folder) / "graph.html"
            run("-m", "wengert", "graph", "-o", str(path), "examples/actor_critic.py")
            take(browser, path)
        browser.close()


if __name__ == "__main__":
    main()
