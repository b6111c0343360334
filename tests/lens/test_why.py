"""`lens.why` answers with the line; `lens.check` for all parameters; `lens.memory` names who keeps old graphs."""

import inspect
import sys

import pytest

import wengert as torch
from wengert import lens, nn
from wengert.autograd import Function
from wengert.lens.sites import short

ME = short(__file__)


def line():
    """The line from which this was called."""
    return inspect.currentframe().f_back.f_lineno


def test_a_cut_is_named_with_the_operations_on_both_sides():
    w = torch.ones(3, requires_grad=True)
    v = torch.ones(3, requires_grad=True)
    with lens.record():
        h = w.exp()
        h = h.detach()
        at = line() - 1
        loss = (h * v).sum()
        loss.backward()
    answer = lens.why(w, loss)
    assert (answer.kind, answer.file, answer.line) == ("cut", __file__, at)
    assert answer == (
        f"`w` (shape 3) gets no gradient from `loss`: its only path is cut by detach() at {ME}:{at} "
        f"(`h = h.detach()`), between ExpBackward0 ({ME}:{at - 1}) and MulBackward0 ({ME}:{at + 2})."
    )
    assert lens.why(v, loss).kind == "arrives"


def test_a_number_that_left_and_came_back():
    w = torch.ones(3, requires_grad=True)
    with lens.record():
        value = w.sum().item()
        at = line() - 1
        loss = torch.tensor(value * 2, requires_grad=True) ** 2
        loss.backward()
    assert (lens.why(w, loss).kind, lens.why(w, loss).line) == ("cut", at)


def test_the_region_that_records_nothing():
    w = torch.ones(3, requires_grad=True)
    v = torch.ones(3, requires_grad=True)
    with lens.record():
        with torch.no_grad():
            at = line() - 1
            h = w * 2
        loss = (h * v).sum()
        loss.backward()
    assert lens.why(w, loss).line == at


def test_a_zero_says_where_it_became_zero():
    w = torch.ones(3, requires_grad=True)
    with lens.record():
        loss = torch.relu(-w).sum()
        at = line() - 1
        loss.backward()
    answer = lens.why(w, loss)
    assert (answer.kind, answer.line) == ("zero", at) and "dead ReLU" in answer


def test_a_function_that_returned_none():
    class Forgetful(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return None

    w = torch.ones(3, requires_grad=True)
    with lens.record():
        loss = Forgetful.apply(w).sum()
        loss.backward()
    answer = lens.why(w, loss)
    assert answer.kind == "cut" and "Forgetful.backward returns None" in answer
    assert answer.line == inspect.getsourcelines(Forgetful.backward)[1] + 2


def test_the_first_operation_that_was_not_finite():
    w = torch.zeros(3, requires_grad=True)
    with lens.record():
        loss = torch.log(w).sum()
        at = line() - 1
        loss.backward()
    answer = lens.why(w, loss)
    assert (answer.kind, answer.line) == ("not finite", at) and "logarithm of 0" in answer


@pytest.mark.parametrize(
    ("kind", "prepare"),
    [
        ("frozen", lambda w: w.requires_grad_(False)),
        ("not a leaf", lambda w: w * 1),
        ("never used", lambda w: torch.ones(3, requires_grad=True)),
    ],
)
def test_other_reasons(kind, prepare):
    v = torch.ones(3, requires_grad=True)
    with lens.record():
        w = prepare(torch.ones(3, requires_grad=True))
        loss = (v * w if kind != "never used" else v).sum()
        loss.backward()
    assert lens.why(w, loss).kind == kind


def test_a_gradient_that_was_dropped_afterwards():
    model = nn.Linear(2, 1)
    with lens.record():
        loss = model(torch.ones(1, 2)).sum()
        loss.backward()
        model.zero_grad()
        at = line() - 1
    assert (lens.why(model.weight, loss).kind, lens.why(model.weight, loss).line) == ("reset", at)


def test_a_parameter_that_no_optimizer_holds():
    model, other = nn.Linear(2, 1), nn.Linear(2, 1)
    with lens.record():
        optimizer = torch.optim.SGD(other.parameters(), lr=0.1)
        loss = model(torch.ones(1, 2)).sum()
        loss.backward()
    assert lens.why(model.weight, loss).kind == "not held"
    assert lens.why(model.weight, loss, optimizer).kind == "not held"


class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(2, 3), nn.Linear(3, 1)

    def forward(self, x):
        return self.second(self.first(x).detach())


def test_check_is_a_table_of_all_parameters():
    model = Half()
    with lens.record():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loss = model(torch.ones(1, 2)).sum()
        loss.backward()
        table = lens.check(model, loss, optimizer)
    assert not table.ok
    assert [(r.name, r.used, r.reached, r.held) for r in table.rows] == [
        ("first.weight", True, False, True),
        ("first.bias", True, False, True),
        ("second.weight", True, True, True),
        ("second.bias", True, True, True),
    ]
    assert table.rows[0].where == f"{ME}:{inspect.getsourcelines(Half.forward)[1] + 1}"
    assert "`first.weight` and `first.bias` get no gradient from `loss`" in str(table)


def test_check_without_rich_is_plain(monkeypatch, capsys):
    model = nn.Linear(2, 1)
    loss = model(torch.ones(1, 2)).sum()
    loss.backward()
    table = lens.check(model, loss)
    monkeypatch.setitem(sys.modules, "rich", None)
    table.show()
    assert capsys.readouterr().out == f"{table}\n"


def test_memory_counts_what_graphs_keep_and_names_who_holds_them():
    w = torch.ones(1000, requires_grad=True)
    losses = []
    with lens.record():
        before = lens.memory()
        for _ in range(4):
            loss = w.exp().sum()
            loss.backward(retain_graph=True)
            losses.append(loss)
            at = line() - 1
        grown = lens.memory() - before
    (entry,) = [e for e in grown.entries if e.operation == "ExpBackward0"]
    assert (entry.nodes, entry.bytes, entry.line) == (4, 16000, at - 2)
    assert (grown.leak.line, grown.leak.name) == (at, "losses")
    assert f"`losses.append(loss)` at {ME}:{at} keeps" in str(grown)


def test_what_is_remembered_does_not_grow_with_the_number_of_steps():
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    kept = []
    with lens.record() as record:
        for step in range(60):
            model(torch.ones(4, 2)).sum().backward()
            if step % 20 == 19:
                kept.append((len(record.sites), len(record.places)))
    assert kept[0] == kept[1] == kept[2]
