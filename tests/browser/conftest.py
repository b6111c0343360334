"""A headless Chromium, and pages in it that must not complain and must not ask the network for anything."""

import os
import shutil

import pytest

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WAIT = 60_000  # milliseconds; generous, since no test is about time


def chromium():
    """The browser's program: what CHROMIUM names, or what is installed."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright, of the extra `browser`, is missing")
    program = chromium()
    if program is None:
        pytest.skip("no Chromium here (Debian: apt install chromium; elsewhere name one in CHROMIUM)")
    with playwright.sync_playwright() as running:
        launched = running.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def show(browser, tmp_path):
    """`show(graph)`: the graph's page, drawn and ready. Afterwards: no error was reported, nothing was fetched."""
    complaints, fetched, contexts = [], [], []

    def show(graph, **options):
        path = tmp_path / f"graph{len(contexts)}.html"
        graph.save(path)
        context = browser.new_context(viewport={"width": 1280, "height": 860}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT)
        page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: fetched.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]", state="attached")
        return page

    yield show
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in fetched if not url.startswith(("file:", "blob:", "data:"))] == []
