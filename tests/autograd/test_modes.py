"""no_grad, enable_grad, set_grad_enabled, inference_mode: as blocks, functions, decorators, in threads."""

import threading

import pytest

import wengert as torch


def recorded():
    return (torch.ones(1, requires_grad=True) * 2).requires_grad


def test_as_decorators():
    assert not torch.no_grad()(recorded)()
    assert not torch.no_grad(recorded)()
    assert not torch.set_grad_enabled(False)(recorded)()
    assert not torch.inference_mode()(recorded)()
    with torch.no_grad():
        assert torch.enable_grad()(recorded)()
    assert recorded()


def test_a_generator_runs_its_body_alone_in_the_mode():
    @torch.no_grad()
    def generator():
        sent = yield recorded()
        yield sent, recorded()

    steps = generator()
    assert next(steps) is False
    assert recorded()
    assert steps.send(5) == (5, False)


def test_set_grad_enabled_works_at_once():
    torch.set_grad_enabled(False)
    try:
        assert not recorded()
    finally:
        torch.set_grad_enabled(True)
    with torch.set_grad_enabled(False):
        assert not recorded()
    assert recorded()


def test_modes_end_with_an_exception():
    with pytest.raises(ValueError, match="inside"), torch.no_grad():
        raise ValueError("inside")
    assert recorded()


def test_each_thread_has_its_own():
    seen = []
    with torch.no_grad():
        thread = threading.Thread(target=lambda: seen.append(recorded()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_inference_tensors():
    x = torch.ones(2, requires_grad=True)
    with torch.inference_mode():
        t = torch.ones(2)
        assert t.is_inference()
        assert t[:1].is_inference()
        assert not (x * 2).requires_grad
        t.add_(1)
        with torch.inference_mode(False):
            assert (x * 2).requires_grad
    assert not (t + 1).is_inference()
    assert not t.clone().is_inference()
    assert (x + t).requires_grad  # nothing is kept of t
    for run, message in [
        (lambda: x * t, "Inference tensors cannot be saved for backward"),
        (lambda: t.add_(1), "Inplace update to inference tensor outside InferenceMode"),
        (lambda: t.requires_grad_(), "Setting requires_grad=True on inference tensor"),
        (lambda: t._version, "do not track version counter"),
    ]:
        with pytest.raises(RuntimeError, match=message):
            run()


def test_decorating_a_class_is_deprecated():
    with pytest.warns(FutureWarning, match="Decorating classes is deprecated"):

        @torch.no_grad()
        class Quiet:
            def __init__(self):
                assert not torch.is_grad_enabled()

    Quiet()


def test_an_array_is_given_where_nothing_is_recorded():
    x = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="requires grad"):
        x.numpy()
    with torch.no_grad():
        assert x.numpy().tolist() == [1, 1]


def test_views_made_in_inference_mode():
    base = torch.ones(3, requires_grad=True).clone()
    with torch.inference_mode():
        view = base.view(3)
        own = torch.ones(2, requires_grad=True)
        assert view.requires_grad and not own.view(2).requires_grad
        assert own.view(2).is_inference() and not own.view(2)._is_view()
    with pytest.raises(RuntimeError, match="A view was created in inference mode and is being modified inplace in nor"):
        view.add_(1)
    base.add_(1)
    with pytest.raises(RuntimeError, match="in inference mode and its base or another view of its base has been"):
        _ = view.grad_fn


def test_whether_threads_are_allowed_is_remembered():
    asked = torch._C._is_multithreading_enabled
    with torch.autograd.set_multithreading_enabled(False):
        assert not asked()
    assert asked()
