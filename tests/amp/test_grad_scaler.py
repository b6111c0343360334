"""GradScaler: the loss is scaled, the gradients that a step sees are not, and overflowing steps are left out."""

import pickle

import pytest

import wengert as torch


@pytest.fixture
def training():
    p = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    return p, torch.optim.SGD([p], lr=0.5), torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)


def backward(p, scaler, factor=1.0):
    p.grad = None
    scaler.scale((p * factor).sum()).backward()


def test_a_step_sees_gradients_without_the_scale(training):
    p, optimizer, scaler = training
    backward(p, scaler)
    assert p.grad.tolist() == [8.0, 8.0]
    scaler.step(optimizer)
    assert p.grad.tolist() == [1.0, 1.0]
    assert p.tolist() == [0.5, 1.5]


def test_an_overflow_leaves_the_step_out_and_halves_the_scale(training):
    p, optimizer, scaler = training
    backward(p, scaler, float("inf"))
    assert scaler.step(optimizer) is None
    scaler.update()
    assert p.tolist() == [1.0, 2.0]
    assert scaler.get_scale() == 4.0


def test_good_steps_in_a_row_double_the_scale(training):
    p, optimizer, scaler = training
    scales = []
    for _ in range(4):
        backward(p, scaler)
        scaler.step(optimizer)
        scaler.update()
        scales.append(scaler.get_scale())
    assert scales == [8.0, 16.0, 16.0, 32.0]


def test_gradients_can_be_unscaled_for_clipping(training):
    p, optimizer, scaler = training
    backward(p, scaler)
    scaler.unscale_(optimizer)
    assert torch.nn.utils.clip_grad_norm_([p], 1.0).item() == pytest.approx(2**0.5)
    scaler.step(optimizer)
    assert p.tolist() == pytest.approx([1 - 0.5 / 2**0.5, 2 - 0.5 / 2**0.5], rel=1e-5)


def test_the_order_of_calls_is_checked(training):
    p, optimizer, scaler = training
    with pytest.raises(AssertionError, match="_scale is None"):
        scaler.step(optimizer)
    backward(p, scaler)
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="already been called on this optimizer"):
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="step\\(\\) has already been called"):
        scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="after step"):
        scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="Closure"):
        scaler.step(optimizer, closure=lambda: None)


def test_gradients_in_half_precision_are_refused(training):
    _, _, scaler = training
    p = torch.nn.Parameter(torch.ones(2, dtype=torch.float16))
    backward(p, scaler)
    with pytest.raises(ValueError, match="FP16"):
        scaler.step(torch.optim.SGD([p], lr=0.1))


@pytest.mark.parametrize("overflow", [False, True])
@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.Adagrad])
def test_a_fused_optimizer_unscales_by_itself(kind, overflow):
    results = []
    for fused in (False, True):
        p = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        optimizer, scaler = kind([p], lr=0.1, fused=fused), torch.amp.GradScaler("cpu", init_scale=8.0)
        for factor in (1.0, float("inf") if overflow else 2.0):
            backward(p, scaler, factor)
            scaler.step(optimizer)
            scaler.update()
        results.append((p.tolist(), scaler.get_scale()))
    assert results[0] == results[1]


def test_iterables_are_scaled_one_by_one(training):
    _, _, scaler = training
    one = torch.ones(1)
    pair, (single,) = scaler.scale(([one, one], (one,)))
    assert [t.item() for t in pair] == [8.0, 8.0]
    assert single.item() == 8.0
    with pytest.raises(ValueError, match="iterable of Tensors"):
        scaler.scale(3)


def test_state_travels(training):
    p, optimizer, scaler = training
    backward(p, scaler)
    scaler.step(optimizer)
    scaler.update(32.0)
    other = torch.amp.GradScaler("cpu")
    other.load_state_dict(scaler.state_dict())
    assert other.state_dict() == scaler.state_dict()
    assert pickle.loads(pickle.dumps(scaler)).state_dict() == scaler.state_dict()
    with pytest.raises(RuntimeError, match="source state dict is empty"):
        other.load_state_dict({})


def test_without_cuda_its_scaler_does_nothing(training):
    p, optimizer, _ = training
    with pytest.warns(UserWarning, match="CUDA is not available.  Disabling."):
        scaler = torch.amp.GradScaler()
    backward(p, scaler)
    scaler.step(optimizer)
    scaler.update()
    assert p.tolist() == [0.5, 1.5]
    assert not scaler.is_enabled()
    assert scaler.state_dict() == {}
    assert scaler.get_scale() == 1.0
    with pytest.warns(FutureWarning, match="GradScaler\\('cuda'"), pytest.warns(UserWarning, match="Disabling"):
        torch.cuda.amp.GradScaler()
