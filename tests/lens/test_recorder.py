"""The recorder knows where each operation was called and where the graph was cut, and keeps nothing alive."""

import gc
import inspect
import weakref

import pytest

import wengert as torch
from wengert import lens, nn
from wengert.autograd.graph import rare
from wengert.lens.sites import user_frames
from wengert.lens.witness import Witness


def line():
    """The line from which this was called."""
    return inspect.currentframe().f_back.f_lineno


def test_a_node_knows_the_line_that_made_it():
    x = torch.ones(3, requires_grad=True)
    with lens.record() as record:
        y = (x * 2).sum()
        here = line() - 1
    site = record.site(y.grad_fn)
    assert (site.operation, site.line, site.file, site.function) == (
        "SumBackward0", here, __file__, "test_a_node_knows_the_line_that_made_it",
    )  # fmt: skip
    assert site.text == "y = (x * 2).sum()"
    assert (site.inputs, site.shape, site.dtype) == ([(3,)], (), torch.float32)
    assert record.site(y.grad_fn.next_functions[0][0]).operation == "MulBackward0"


def test_a_node_made_while_nothing_is_recorded_has_no_site():
    x = torch.ones(3, requires_grad=True)
    y = x * 2
    with lens.record() as record:
        z = y + 1
    assert record.site(y.grad_fn) is None or record.site(y.grad_fn).line == 0
    assert record.site(z.grad_fn).operation == "AddBackward0"
    assert record.site(None) is None


def test_operations_know_their_module():
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU(), nn.Linear(3, 1)))
    with lens.record() as record:
        out = model(torch.ones(1, 2))
        loss = out.sum()
    assert record.site(out.grad_fn).module == "model.1.1"
    sites = [record.site(node) for node, _ in out.grad_fn.next_functions]
    assert [site.module for site in sites if site and site.operation == "ReluBackward0"] == ["model.1.0"]
    assert record.site(loss.grad_fn).module == ""


def test_a_cut_names_both_sides():
    x = torch.ones(3, requires_grad=True)
    with lens.record() as record:
        y = x.exp()
        z = y.detach()
        w = z * x
    (cut,) = record.cuts
    assert (cut.kind, cut.site.text) == ("detach", "z = y.detach()")
    assert cut.node is y.grad_fn and cut.result is z and cut.consumers == [w.grad_fn]
    assert cut.source.operation == "ExpBackward0"


@pytest.mark.parametrize(
    ("kind", "act"),
    [
        ("detach", lambda y: y.detach()),
        ("detach_", lambda y: y.detach_()),
        ("data", lambda y: y.data),
        ("item", lambda y: y[0].item()),
        ("torch.tensor(x)", lambda y: torch.tensor(y)),
        ("non-differentiable", lambda y: y.argmax()),
        ("non-differentiable", lambda y: y > 0),
        ("integer cast", lambda y: y.long()),
    ],
)
@pytest.mark.filterwarnings("ignore:To copy construct")
def test_each_kind_of_cut(kind, act):
    x = torch.ones(3, requires_grad=True)
    with lens.record() as record:
        y = x * 2
        act(y)
    assert [cut.kind for cut in record.cuts] == [kind]


@pytest.mark.parametrize(("kind", "mode"), [("no_grad", torch.no_grad), ("inference_mode", torch.inference_mode)])
def test_operations_in_a_region_without_recording_are_cuts(kind, mode):
    x = torch.ones(3, requires_grad=True)
    with lens.record() as record, mode():
        y = x * 2
        y + 1  # cut already
    assert [cut.kind for cut in record.cuts] == [kind]


def test_nothing_is_kept_alive():
    x = torch.ones(3, requires_grad=True)
    with lens.record() as record:
        y = x.exp()
        z = y.detach()
        w = z * x
        gone = [weakref.ref(v) for v in (y, z, w, w.grad_fn, y.grad_fn)]
        del y, z, w
        gc.collect()
        assert [r() for r in gone] == [None] * 5
        assert record.cuts[0].node is None and record.cuts[0].result is None and record.cuts[0].consumers == []


def test_off_means_off():
    call = nn.Module.__call__
    with lens.record() as record:
        with lens.record() as inner:
            assert lens.active() is record is inner
        assert lens.active() is record
    assert lens.active() is None and not rare.active and nn.Module.__call__ is call
    x = torch.ones(3, requires_grad=True)
    assert (x * 2).grad_fn.site_ is None


def test_the_error_of_a_modified_value_names_both_lines():
    x = torch.ones(3, requires_grad=True)
    with lens.record():
        y = x.exp()
        saved = line() + 1
        z = y * y
        y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation") as caught:
        z.sum().backward()
    assert f"test_recorder.py:{saved} (`z = y * y`)" in str(caught.value)
    assert f"test_recorder.py:{saved + 1} (`y.add_(1)`)" in str(caught.value)


def test_looking_for_names_keeps_nothing_alive():
    def train(witness):
        model, x = nn.Linear(2, 1), torch.ones(3, 2)
        loss = model(x).sum()
        gone = weakref.ref(loss)
        loss.backward()
        lens.why(model.weight, loss)
        lens.graph(loss)
        if witness is not None:
            witness.give_names(user_frames())
        del loss
        gc.collect()
        return gone()

    with lens.record():
        assert train(None) is None
    with Witness() as witness:
        assert train(witness) is None


def test_what_locals_gave_to_the_program_stays_as_it_is():
    def train():
        rate = 0.1
        settings = locals()
        loss = nn.Linear(2, 1)(torch.ones(3, 2)).sum()
        lens.graph(loss)
        return settings, rate

    settings, rate = train()
    assert settings["rate"] == rate


def test_a_module_is_called_what_the_program_calls_it():
    class Generator(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(2, 2), nn.ReLU())

        def forward(self, x):
            return torch.tanh(self.body(x))

    class Trainer:
        def __init__(self):
            self.generator = Generator()

        def step(self):
            return self.generator(torch.ones(1, 2)), self.generator.body(torch.ones(1, 2))

    trainer = Trainer()
    critic = nn.Linear(2, 1)
    with lens.record() as record:
        fake, hidden = trainer.step()
        score = critic(fake)
    assert record.site(fake.grad_fn).module == "self.generator"
    assert record.site(hidden.grad_fn).module == "self.generator.body.1"
    assert record.site(score.grad_fn).module == "critic"


def test_what_runs_in_modules_of_the_library_is_placed_where_the_program_called_them():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Sequential(nn.Linear(3, 1), nn.Sigmoid()))
    with lens.record() as record:
        model(torch.ones(1, 2))
        here = line() - 1
    assert [site.line for site in record.sites] == [here] * 4


def test_a_hook_and_an_activation_are_placed_where_they_are_written():
    def double(module, args, output):
        return output * 2

    def squared(x):
        return x * x

    model = nn.Sequential(nn.Linear(4, 4), nn.TransformerEncoderLayer(4, 2, 4, 0.0, squared))
    model[0].register_forward_hook(double)
    with lens.record() as record:
        model(torch.ones(3, 1, 4))
    assert [site.function for site in record.sites if site.function in ("double", "squared")] == ["double", "squared"]


def test_hooks_of_all_modules_run_while_recording():
    seen = []
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    with lens.record():
        handle = nn.modules.module.register_module_forward_hook(lambda module, args, out: seen.append(type(module)))
        model(torch.ones(1, 2))
        handle.remove()
        model(torch.ones(1, 2))
    assert seen == [nn.Linear, nn.ReLU, nn.Sequential]
    model(torch.ones(1, 2))
    assert len(seen) == 3


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recording_changes_no_number_of_a_recurrent_network(kind):
    net, x = kind(3, 4, 2), torch.randn(5, 2, 3)

    def run():
        net.zero_grad()
        net(x)[0].pow(2).mean().backward()
        return [p.grad.clone() for p in net.parameters()]

    plain = run()
    with lens.record():
        recorded = run()
    assert all(torch.equal(a, b) for a, b in zip(plain, recorded, strict=True))


def test_a_leaf_that_is_told_off_and_on_again_stays_the_same_leaf():
    w = nn.Parameter(torch.ones(2))
    with lens.record() as record:
        (w * 2).sum().backward()
        first = record.site(w._node)
        for _ in range(20):
            w.requires_grad_(False)
            w.requires_grad_(True)
        (w * 2).sum().backward()
        assert record.site(w._node) is first
        w.requires_grad_(False)
    assert lens.why(w, (w * 2).sum()).kind == "frozen"
