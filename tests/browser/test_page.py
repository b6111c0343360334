"""The page in a browser: it draws, folds, finds and explains, for graphs from ten to five thousand nodes."""

import re
from pathlib import Path

import pytest

import wengert as torch
from wengert import lens, nn
from wengert.cli import run
from wengert.lens.picture.script import graph_of_program
from wengert.nn import functional as F

EXAMPLES = Path(__file__).parents[2] / "examples"


def settled(page):
    page.wait_for_function("document.getElementById('wait').hidden")
    page.wait_for_timeout(60)


def find(page, words):
    page.keyboard.press("/")
    page.keyboard.type(words)
    page.keyboard.press("Enter")
    settled(page)


def boxes(page):
    return page.locator("#world .thing").count()


def panel(page):
    return page.locator("#panel").inner_text()


def box_of(page, title):
    return page.locator("#world .thing", has=page.locator(f"text.title:text-is('{title}')")).first


# --- graphs -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cut():
    """A network whose encoder is cut off."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 16))
            self.head = nn.Linear(16, 4)

        def forward(self, x):
            h = self.encoder(x)
            return self.head(h.detach())

    with lens.record():
        net = Net()
        loss = F.mse_loss(net(torch.ones(3, 8)), torch.zeros(3, 4))
        return lens.graph(loss, params=net, gradients=True)


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        batch, time, width = x.shape
        q, k, v = self.qkv(self.ln_1(x)).split(width, dim=2)
        q, k, v = (t.view(batch, time, self.heads, width // self.heads).transpose(1, 2) for t in (q, k, v))
        scores = q @ k.transpose(-2, -1) * (width // self.heads) ** -0.5
        scores = scores.masked_fill(torch.tril(torch.ones(time, time)) == 0, float("-inf"))
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).contiguous().view(batch, time, width)
        x = x + self.proj(mixed)
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    def __init__(self, blocks=40, width=16, words=20):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(words, width), nn.Embedding(8, width)
        self.h = nn.ModuleList(Block(width, 2) for _ in range(blocks))
        self.ln_f, self.lm_head = nn.LayerNorm(width), nn.Linear(width, words, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


@pytest.fixture(scope="module")
def gpt():
    with lens.record():
        model = GPT()
        tokens = torch.randint(0, 20, (2, 8))
        loss = F.cross_entropy(model(tokens).view(-1, 20), tokens.view(-1))
        return lens.graph(loss, params=model)


@pytest.fixture(scope="module")
def chain():
    h = torch.ones(3, requires_grad=True)
    for _ in range(5000):
        h = h * 1.001
    return lens.graph(h.sum())


# --- what every page does ---------------------------------------------------------------------------------------------


def test_a_cut_is_red_dashed_and_labelled(show, cut):
    page = show(cut)
    line = page.locator("#world .cut .line")
    assert line.count() == 1
    style = line.evaluate("e => { const s = getComputedStyle(e); return [s.stroke, s.strokeDasharray] }")
    red, green, blue = map(int, re.findall(r"\d+", style[0]))
    assert red > 150 > max(green, blue) * 2
    assert style[1] not in ("none", "")
    assert page.locator("#world .cut .kind").text_content() == "✂ detach()"
    assert "1 cut" in page.locator("#summary").inner_text()
    assert "4 parameters get no gradient" in panel(page)


def test_a_cut_explains_itself(show, cut):
    page = show(cut)
    page.locator("#world .cut .tag").click()
    said = panel(page)
    assert "return self.head(h.detach())" in said
    assert re.search(r"test_page\.py:\d+, in forward", said)


def test_what_backward_does_not_reach_is_drawn_apart(show, cut):
    page = show(cut)
    assert page.locator("#world .thing.beyond").count() == 3
    box_of(page, "Tanh").click()
    assert "Backward does not come here" in panel(page)


def test_a_node_tells_its_formula_shape_line_and_gradient(show, cut):
    page = show(cut)
    find(page, "MseLoss")
    said = panel(page)
    for words in ("loss, MseLossBackward0", "scalar", "float32", "F.mse_loss(net(", "Derivative", "Kept for backward"):
        assert words in said


def test_folding_and_unfolding_by_mouse(show, cut):
    page = show(cut)
    before = boxes(page)
    page.locator("#world .handle").first.click()
    settled(page)
    assert boxes(page) == before - 2
    assert page.locator("#world .group .title").text_content() == "encoder"
    page.locator("#world .thing.group").click()
    settled(page)
    assert boxes(page) == before


def test_everything_can_be_done_by_keyboard(show, cut):
    page = show(cut)
    page.keyboard.press("ArrowDown")
    assert "MseLoss" in panel(page)
    page.keyboard.press("ArrowUp")
    assert "Addmm" in panel(page)
    page.keyboard.press("ArrowUp")  # along the cut
    page.keyboard.press("Enter")
    settled(page)
    assert page.locator("#world .group.selected .title").text_content() == "encoder"
    page.keyboard.press("Enter")
    settled(page)
    assert page.locator("#world .group").count() == 0
    page.keyboard.press("Escape")
    assert "In all" in panel(page)


def test_finding_a_parameter_shows_the_box_that_uses_it(show, cut):
    page = show(cut)
    page.keyboard.press("c")
    settled(page)
    find(page, "encoder.2.weight")
    assert page.locator("#panel h2").inner_text() == "encoder.2.weight"
    assert page.locator("#world .selected .name").all_text_contents() == ["weight", "bias"]


def test_dragging_and_the_wheel_move_the_drawing(show, cut):
    page = show(cut)
    transform = "document.getElementById('world').getAttribute('transform')"
    before = page.evaluate(transform)
    page.mouse.move(60, 300)
    page.mouse.down()
    page.mouse.move(160, 340, steps=4)
    page.mouse.up()
    page.wait_for_timeout(60)
    dragged = page.evaluate(transform)
    page.mouse.wheel(0, -300)
    page.wait_for_timeout(60)
    scale = re.compile(r"scale\(([\d.]+)\)")
    assert dragged != before
    assert float(scale.search(page.evaluate(transform))[1]) > float(scale.search(dragged)[1])


def test_dark_follows_the_reader_and_can_be_switched(show, cut):
    page = show(cut, color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.keyboard.press("t")
    light = page.evaluate(background)
    assert sum(map(int, re.findall(r"\d+", dark))) < 150 < 600 < sum(map(int, re.findall(r"\d+", light)))


def test_hostile_names_are_shown_as_they_are_and_run_nothing(show):
    hostile = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    x = torch.ones(2, requires_grad=True)
    y = torch.ones(2, requires_grad=True)
    page = show(lens.graph((x * y).sum(), params={hostile: x, "</script>": y}))
    assert page.locator("#world img, #panel img, #results img").count() == 0
    find(page, "<script>")
    assert page.locator("#panel h2").inner_text() == hostile
    assert "Graph" in page.title() or "wengert" in page.title()


def test_gradients_that_are_not_finite_or_zero_are_named_at_once(show):
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))
    with torch.no_grad():
        model[0].bias.fill_(-100.0)  # no input gets through the ReLU
    loss = model(torch.ones(1, 3)).sum()
    said = panel(show(lens.graph(loss, params=model, gradients=True)))
    assert re.search(r"Gradient zero\s+0\.weight", said)
    x = torch.zeros(2, requires_grad=True)
    said = panel(show(lens.graph(x.sqrt().sum(), gradients=True)))
    assert re.search(r"Gradient not finite.*\s+x", said)


def test_a_narrow_window_puts_the_panel_below(show, cut):
    page = show(cut)
    page.set_viewport_size({"width": 420, "height": 800})
    stage, aside = page.locator("#stage").bounding_box(), page.locator("#panel").bounding_box()
    assert aside["y"] >= stage["y"] + stage["height"] - 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 420


# --- real programs ----------------------------------------------------------------------------------------------------


@pytest.fixture
def program(monkeypatch):
    """`program("digits.py")`: the graph of an example's first backward, or of one that a variable names."""
    import sys

    def program(target):
        monkeypatch.setattr(sys, "argv", ["wengert"])
        monkeypatch.setattr(sys, "path", list(sys.path))
        main = sys.modules["__main__"]
        try:
            return graph_of_program(run, str(EXAMPLES / target), [])
        finally:
            sys.modules["__main__"] = main

    return program


def test_the_tour_has_a_page(show, program):
    page = show(program("detach_tour.py:loss"))
    assert boxes(page) == 9
    find(page, "critic")
    assert "critic" in panel(page)


def test_the_actor_and_the_critic_are_parted_by_two_cuts(show, program):
    page = show(program("actor_critic.py"))
    assert page.locator("#world .cut").count() == 2
    labels = page.locator("#world .label").all_text_contents()
    assert sorted(labels) == ["actor", "critic"]


def test_the_convolutional_network_of_the_demo_has_a_page(show, program):
    page = show(program("digits.py"))
    assert boxes(page) == 11
    find(page, "2.weight")
    assert "32 × 16 × 3 × 3" in panel(page)


def test_a_gpt_of_a_thousand_nodes_opens_folded_and_unfolds(show, gpt):
    assert len(gpt) >= 1000
    page = show(gpt)
    assert boxes(page) < 20
    find(page, "h.17 block")
    assert page.locator("#world .group.selected .title").text_content() == "h.17"
    page.keyboard.press("Enter")
    settled(page)
    assert page.locator("#world .cluster .label").all_text_contents()[:1] == ["h"]
    find(page, "h.17.qkv.weight")
    assert "qkv · Linear" in page.locator("#world .selected").text_content()
    page.keyboard.press("e")
    settled(page)
    page.keyboard.press("f")
    page.wait_for_timeout(200)
    assert page.locator("#world .far").count() >= 3  # a thousand boxes in sight are drawn without their text


def test_a_chain_of_five_thousand_opens_as_one_box_and_unfolds_completely(show, chain):
    page = show(chain)
    assert boxes(page) == 3
    assert box_of(page, "5,000 × Mul").count() == 1
    find(page, "Mul #2500")
    assert page.locator("#panel h2").inner_text() == "Mul"
    page.keyboard.press("e")
    settled(page)
    assert page.evaluate("document.querySelectorAll('#world .thing').length") < 200  # those in sight, of 5,000
    find(page, "Mul #17")
    assert page.locator("#world .selected").count() == 1
