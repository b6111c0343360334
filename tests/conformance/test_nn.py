"""PyTorch's module database: every module starts from the same parameters and computes the same values and gradients.

Each entry's constructor and forward arguments are run under both modules, in training and in evaluation. At most
`SAMPLES` of an entry's samples are taken, spread over all of them; CONFORMANCE_SAMPLES=all takes every one.
"""

import copy
import os
import pickle
import warnings

import numpy as np
import pytest

from tests.conformance import compare

SAMPLES = 10

# Entries that wengert does not pass, and why. A test that passes in spite of its entry here fails.
KNOWN_GAPS = {}

try:
    from torch.testing._internal.common_modules import module_db

    ENTRIES = {entry.name: entry for entry in module_db}
except ImportError:
    ENTRIES = {}


def samples_of(entry, training, torch):
    """Some of the entry's samples for float64."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        found = entry.module_inputs_func(
            entry, device="cpu", dtype=torch.float64, requires_grad=True, training=training
        )
    found = [s for s in found if "options" not in s.constructor_input.kwargs]
    if os.environ.get("CONFORMANCE_SAMPLES") == "all" or len(found) <= SAMPLES:
        return found
    return [found[i * len(found) // SAMPLES] for i in range(SAMPLES)]


def translator(module, torch):
    """Arguments of one module: tensors as in the walk over operators, encoder layers built anew."""
    from tests.conformance.opdb import Translator

    class WithLayers(Translator):
        def __call__(self, value):
            if isinstance(value, torch.nn.TransformerEncoderLayer):
                attention = value.self_attn
                return module.nn.TransformerEncoderLayer(
                    attention.embed_dim,
                    attention.num_heads,
                    value.linear1.out_features,
                    value.dropout.p,
                    self(value.activation),
                    value.norm1.eps,
                    attention.batch_first,
                    value.norm_first,
                )
            return super().__call__(value)

    return WithLayers(module)


def built(sample, entry, module, torch, seed=0):
    """The module under test, its construction repeatable by seed."""
    make = translator(module, torch)
    cls = getattr(module.nn, entry.module_cls.__name__)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module.manual_seed(seed)
        return cls(*make(sample.constructor_input.args), **make(dict(sample.constructor_input.kwargs)))


def state_of(layer):
    return {k: v for k, v in layer.state_dict().items() if compare.is_tensor(v) and not hasattr(v, "materialize")}


def check_same_start(actual, expected):
    """Same names, same values to the bit."""
    ours, theirs = state_of(actual), state_of(expected)
    assert list(ours) == list(theirs)
    for name, value in theirs.items():
        compare.check_layout(ours[name], value, name)
        np.testing.assert_array_equal(compare.to_numpy(ours[name]), compare.to_numpy(value), err_msg=name)


def tensors_in(value):
    if compare.is_tensor(value):
        return [value]
    if isinstance(value, dict):
        return [t for v in value.values() for t in tensors_in(v)]
    if isinstance(value, list | tuple):
        return [t for v in value for t in tensors_in(v)]
    return []


def run(layer, sample, module, training, torch):
    """(outputs, gradients) of one forward and backward pass in float64."""
    make = translator(module, torch)
    layer.train(training)
    layer.double()
    args, kwargs = make(sample.forward_input.args), make(dict(sample.forward_input.kwargs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module.manual_seed(1)
        outputs = tensors_in(layer(*args, **kwargs))
        recorded = [o for o in outputs if o.requires_grad]
        if recorded:
            sum((o * o).sum() for o in recorded).backward()
    leaves = [t for t in tensors_in([args, kwargs]) if t.requires_grad and t.is_leaf] + list(layer.parameters())
    return outputs, [t.grad for t in leaves]


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", ENTRIES)
def test_module(name, training, oracle, subject, request):
    if name in KNOWN_GAPS:
        request.applymarker(pytest.mark.xfail(reason=KNOWN_GAPS[name], strict=False))
    entry = ENTRIES[name]
    for sample in samples_of(entry, training, oracle):
        expected = built(sample, entry, oracle, oracle)
        actual = built(sample, entry, subject, oracle)
        check_same_start(actual, expected)
        assert repr(actual) == repr(expected)
        if sample.forward_input is None:
            continue
        outputs, grads = run(actual, sample, subject, training, oracle)
        their_outputs, their_grads = run(expected, sample, oracle, training, oracle)
        assert len(outputs) == len(their_outputs)
        for i, (mine, theirs) in enumerate(zip(outputs, their_outputs, strict=True)):
            compare.check_values(mine, theirs, f"output {i}", normwise=True)
        for i, (mine, theirs) in enumerate(zip(grads, their_grads, strict=True)):
            assert (mine is None) == (theirs is None), f"gradient {i}"
            if mine is not None:
                compare.check_values(mine, theirs, f"gradient {i}", normwise=True)


@pytest.mark.parametrize("name", ENTRIES)
def test_any_seed_builds_the_same_layer_and_leaves_the_same_stream(name, oracle, subject):
    entry = ENTRIES[name]
    for sample in samples_of(entry, True, oracle)[:4]:
        for seed in (1, 12345, 2**31 + 5, 987654321987):
            ours, theirs = (built(sample, entry, module, oracle, seed) for module in (subject, oracle))
            check_same_start(ours, theirs)
            assert subject.rand(3).tolist() == oracle.rand(3).tolist()


@pytest.mark.parametrize("name", ["nn.Linear", "nn.Conv2d", "nn.BatchNorm2d", "nn.LSTM", "nn.TransformerEncoderLayer"])
def test_state_goes_both_ways(name, oracle, subject):
    entry = ENTRIES[name]
    sample = next(s for s in samples_of(entry, True, oracle))
    ours, theirs = built(sample, entry, subject, oracle), built(sample, entry, oracle, oracle)
    arrays = {k: np.asarray(compare.to_numpy(v) + 1) for k, v in theirs.state_dict().items()}
    assert repr(ours.load_state_dict({k: subject.from_numpy(v.copy()) for k, v in arrays.items()})) == (
        "<All keys matched successfully>"
    )
    theirs.load_state_dict({k: oracle.from_numpy(compare.to_numpy(v).copy()) for k, v in ours.state_dict().items()})
    for key, value in theirs.state_dict().items():
        np.testing.assert_array_equal(compare.to_numpy(value), arrays[key])


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_copies_are_whole(copied, subject):
    nn = subject.nn
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.LSTM(3, 2))
    twin = copied(model)
    assert repr(twin) == repr(model)
    for (key, mine), (other_key, theirs) in zip(model.state_dict().items(), twin.state_dict().items(), strict=True):
        assert key == other_key
        np.testing.assert_array_equal(compare.to_numpy(mine), compare.to_numpy(theirs))
        assert mine.data_ptr() != theirs.data_ptr()


def names_of(module):
    return {n for n in module.__all__ if not n.startswith("_")}


# Public names of torch.nn that wengert has no use for yet.
ABSENT = {"LinearCrossEntropyOptions"}


def test_every_public_layer_is_there(oracle, subject):
    assert {n for n in names_of(oracle.nn.modules) if not hasattr(subject.nn, n)} == ABSENT


# Each of these goes wrong in the same way under both modules.
MISUSES = [
    "nn.Linear(2, 3).foo",
    "setattr(nn.Linear(2, 3), 'weight', 3)",
    "nn.Linear(2, 3).register_buffer('a.b', None)",
    "nn.Linear(2, 3).register_buffer('weight', None)",
    "nn.Linear(2, 3).register_parameter('w', 3)",
    "nn.Linear(2, 3).add_module('', nn.ReLU())",
    "nn.Linear(2, 3).add_module('x', 3)",
    "nn.Linear(2, 3).get_submodule('q')",
    "nn.Linear(2, 3).get_parameter('in_features')",
    "nn.Linear(2, 3).load_state_dict(3)",
    "nn.Linear(2, 3).load_state_dict({'x': torch.ones(1), 'bias': torch.ones(4)})",
    "nn.Linear(2, 3).to(torch.int32)",
    "nn.Linear(2, 3).train(3)",
    "nn.Module(3)",
    "nn.Module(a=3)",
    "nn.Module()(3)",
    "nn.Conv2d(3, 4, 3, groups=2)",
    "nn.Conv2d(3, 4, 3, stride=2, padding='same')",
    "nn.Dropout(2)",
    "nn.LSTM(2, 3)(torch.ones(2, 2, 5))",
    "nn.LSTM(2, 3)(torch.ones(2))",
    "nn.LSTM(2, 3)(torch.ones(2, 3, 2), (torch.ones(1, 3, 2), torch.ones(1, 3, 3)))",
    "nn.LSTM(2, 3)(torch.ones(2, 2, dtype=torch.float64))",
    "nn.LSTMCell(2, 3)(torch.ones(2, 2, 2))",
    "nn.GRU(2, 3, proj_size=1)",
    "nn.RNN(2, 3, nonlinearity='x')",
    "nn.BatchNorm2d(3)(torch.ones(2))",
    "nn.Embedding(2, 3, 5)",
    "nn.Unflatten(1, 3)",
    "nn.Sequential(nn.ReLU())[3]",
    "nn.Sequential(3)",
    "nn.ModuleList([nn.ReLU()])[4]",
    "nn.ModuleList(3)",
    "nn.ModuleDict(3)",
    "nn.MultiheadAttention(3, 2)",
    "nn.init.dirac_(torch.ones(2))",
    "nn.init.xavier_uniform_(torch.ones(2))",
    "nn.init.calculate_gain('x')",
    "nn.utils.rnn.pack_padded_sequence(torch.ones(3, 2, 1), [1, 3])",
    "nn.utils.remove_weight_norm(nn.Linear(2, 3))",
    "nn.AdaptiveAvgPool1d(2)(torch.ones(3))",
    "nn.AdaptiveAvgPool2d(2)(torch.ones(3))",
    "nn.AdaptiveAvgPool2d((2, 2))(torch.ones(3))",
    "nn.AdaptiveMaxPool2d(2)(torch.ones(3))",
    "nn.AdaptiveMaxPool3d((2, 2, 2))(torch.ones(3, 3))",
    "nn.CTCLoss()(torch.ones(5, 2, 4), torch.ones(3, 3).long(), torch.tensor([5, 5]), torch.tensor([3, 3]))",
    "nn.CTCLoss()(torch.ones(5, 2, 4), torch.ones(2, 2).long(), torch.tensor([5, 5]), torch.tensor([3, 3]))",
]


@pytest.mark.parametrize("source", MISUSES)
def test_misuse_is_refused_in_the_same_words(source, oracle, subject):
    raised = []
    for torch in (subject, oracle):
        with pytest.raises(Exception) as caught:  # which one is what is compared
            eval(source, {"torch": torch, "nn": torch.nn})
        raised.append((caught.type.__name__, str(caught.value).replace("wengert", "torch")))
    assert raised[0] == raised[1]


def hooked(torch):
    """What hooks of all kinds see and change, and the gradients at the end."""
    torch.manual_seed(0)
    x, log = torch.randn(4, 5), []
    layer = torch.nn.Linear(5, 3)
    model = torch.nn.Sequential(layer, torch.nn.ReLU())

    def backward_hook(module, grad_input, grad_output):
        log.append([round(g.sum().item(), 3) for g in grad_output])
        return tuple(None if g is None else g * 2 for g in grad_input)

    handle = model.register_full_backward_hook(backward_hook)
    model.register_full_backward_pre_hook(lambda module, grad_output: (grad_output[0] * 3,))
    layer.register_forward_hook(lambda module, args, kwargs, out: out + 1, with_kwargs=True)
    layer.register_forward_pre_hook(lambda module, args: (args[0] * 2,))
    z = x.clone().requires_grad_()
    out = model(z)
    log.append(out.grad_fn.name())
    out.sum().backward()
    handle.remove()
    model(x).sum().backward()
    log += [round(z.grad.sum().item(), 3), round(layer.weight.grad.sum().item(), 3)]
    return log


def test_hooks(oracle, subject):
    assert hooked(subject) == hooked(oracle)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_second_derivatives_of_an_lstm(bidirectional, oracle, subject):
    found = []
    for torch in (subject, oracle):
        torch.manual_seed(0)
        lstm = torch.nn.LSTM(2, 3, bidirectional=bidirectional).double()
        x = torch.from_numpy(np.random.default_rng(0).standard_normal((4, 2, 2))).requires_grad_()
        out, (h, c) = lstm(x)
        (first,) = torch.autograd.grad((out**2).sum() + (h * c).sum(), x, create_graph=True)
        (first**2).sum().backward()
        found.append([compare.to_numpy(t) for t in (first, x.grad, lstm.weight_hh_l0.grad, lstm.weight_ih_l0.grad)])
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)
