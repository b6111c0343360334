"""Autocast: which precision an operation runs in, regions within regions, and gradients in the parameters' dtype."""

import threading
import warnings

import pytest

import wengert as torch
from wengert.amp.policies import AS_GIVEN, LOWER_PRECISION, SINGLE_PRECISION, WIDEST
from wengert.autograd.graph import rare

F = torch.nn.functional


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(3, 3)


def test_no_operation_has_two_policies():
    lists = [LOWER_PRECISION, SINGLE_PRECISION, WIDEST, AS_GIVEN]
    assert sum(map(len, lists)) == len(frozenset().union(*lists))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_products_run_in_the_lower_precision(x, dtype):
    with torch.autocast("cpu", dtype=dtype):
        assert (x @ x).dtype is dtype
        assert torch.mm(x, x).dtype is dtype
        assert F.linear(x, x).dtype is dtype
        assert F.conv1d(x[None], x[None]).dtype is dtype
        assert torch.einsum("ij,jk->ik", x, x).dtype is dtype


def test_the_lower_precision_is_bfloat16_unless_told_otherwise(x):
    with torch.autocast("cpu"):
        assert (x @ x).dtype is torch.bfloat16


def test_losses_run_in_single_precision(x):
    with torch.autocast("cpu"):
        half = x @ x
        assert F.mse_loss(half, half.detach()).dtype is torch.float32
        assert F.cross_entropy(half, torch.tensor([0, 1, 2])).dtype is torch.float32
        assert F.cross_entropy(half, torch.tensor([0, 1, 2]), label_smoothing=0.1).dtype is torch.float32


def test_other_operations_take_what_they_are_given(x):
    with torch.autocast("cpu"):
        assert torch.relu(x).dtype is torch.float32
        assert torch.softmax(x @ x, -1).dtype is torch.bfloat16
        assert (x @ x + x).dtype is torch.float32


def test_joining_takes_the_widest(x):
    with torch.autocast("cpu"):
        assert torch.cat([x.bfloat16(), x]).dtype is torch.float32
        assert torch.stack([x.bfloat16(), x.bfloat16()]).dtype is torch.bfloat16
        with pytest.raises(RuntimeError, match="Unexpected floating ScalarType"):
            torch.cat([x.bfloat16(), x.half()])


def test_double_precision_and_integers_are_left_alone(x):
    with torch.autocast("cpu"):
        assert (x.double() @ x.double()).dtype is torch.float64
        assert (x.long() @ x.long()).dtype is torch.int64


def test_writing_into_given_memory_is_left_alone(x):
    with torch.autocast("cpu"):
        assert torch.mm(x, x, out=torch.empty(3, 3)).dtype is torch.float32
        assert x.clone().addmm_(x, x).dtype is torch.float32


def test_gradients_have_the_dtype_of_the_parameters(x):
    layer = torch.nn.Linear(3, 2)
    with torch.autocast("cpu"):
        out = layer(x)
    assert out.dtype is torch.bfloat16
    out.float().sum().backward()
    assert layer.weight.grad.dtype is torch.float32
    torch.testing.assert_close(layer.weight.grad, x.sum(0).expand(2, 3), rtol=2e-2, atol=2e-2)


def test_an_lstm_gives_the_lower_precision(x):
    lstm = torch.nn.LSTM(3, 4, num_layers=2, bidirectional=True)
    with torch.autocast("cpu"):
        out, (h, c) = lstm(x[None])
    assert (out.dtype, h.dtype, c.dtype) == (torch.bfloat16,) * 3
    plain, _ = lstm(x[None])
    torch.testing.assert_close(out.float(), plain, rtol=2e-2, atol=2e-2)


def test_regions_within_regions(x):
    with torch.autocast("cpu"):
        with torch.autocast("cpu", enabled=False):
            assert (x @ x).dtype is torch.float32
            with torch.autocast("cpu", dtype=torch.float16):
                assert (x @ x).dtype is torch.float16
            assert (x @ x).dtype is torch.float32
        assert (x @ x).dtype is torch.bfloat16
    assert (x @ x).dtype is torch.float32


def test_nothing_rare_is_left_after_a_region(x):
    before = rare.reasons
    with pytest.raises(ValueError, match="inside"), torch.autocast("cpu"):
        raise ValueError("inside")
    assert rare.reasons == before
    assert not torch.is_autocast_enabled("cpu")


def test_a_region_decorates_functions(x):
    @torch.autocast("cpu")
    def product(a):
        return a @ a

    assert product(x).dtype is torch.bfloat16
    assert product.__name__ == "product"
    with pytest.raises(TypeError, match="requires a callable"):
        torch.autocast("cpu")(3)


def test_a_region_belongs_to_its_thread(x):
    found = []
    with torch.autocast("cpu"):
        worker = threading.Thread(target=lambda: found.append((x @ x).dtype))
        worker.start()
        worker.join()
    assert found == [torch.float32]


def test_a_parameter_is_cast_once_in_a_region(x):
    layer = torch.nn.Linear(3, 2)
    for cached in (True, False):
        with torch.autocast("cpu", cache_enabled=cached):
            first, second = (layer(x).grad_fn.next_functions[2][0] for _ in range(2))
        assert (first is second) == cached


def test_what_was_cast_without_recording_is_not_kept(x):
    layer = torch.nn.Linear(3, 2)
    with torch.autocast("cpu"):
        with torch.no_grad():
            layer(x)
        layer(x).float().sum().backward()
    assert layer.weight.grad is not None


def test_settings():
    assert torch.get_autocast_dtype("cpu") is torch.bfloat16
    assert torch.get_autocast_dtype("cuda") is torch.float16
    with torch.autocast("cpu", dtype=torch.float16):
        assert torch.is_autocast_enabled("cpu")
        assert not torch.is_autocast_enabled()
        assert torch.get_autocast_dtype("cpu") is torch.float16
    torch.set_autocast_enabled("cpu", True)
    assert torch.is_autocast_enabled("cpu")
    torch.set_autocast_enabled("cpu", False)
    with pytest.warns(DeprecationWarning, match="torch.is_autocast_enabled\\('cpu'\\)"):
        assert not torch.is_autocast_cpu_enabled()


def test_a_device_that_is_not_there_changes_nothing(x):
    with pytest.warns(UserWarning, match="CUDA is not available"):
        region = torch.autocast("cuda")
    with region:
        assert (x @ x).dtype is torch.float32
    with pytest.warns(UserWarning, match="only supports dtypes of torch.bfloat16, torch.float16"):
        assert not torch.autocast("cpu", dtype=torch.float32)._enabled
    with pytest.raises(RuntimeError, match="unsupported scalarType"):
        torch.autocast("meta")
    with pytest.raises(ValueError, match="of type `str`"):
        torch.autocast(torch.device("cpu"))


def test_the_older_names_warn(x):
    with pytest.warns(FutureWarning, match="torch.amp.autocast\\('cpu', args...\\)"), torch.cpu.amp.autocast():
        assert (x @ x).dtype is torch.bfloat16
    with pytest.warns(FutureWarning, match="torch.amp.autocast\\('cuda', args...\\)"):
        torch.cuda.amp.autocast(enabled=False)


class Product(torch.autograd.Function):
    """x @ x, noting in which dtypes it ran."""

    seen = []

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu")
    def forward(ctx, x):
        ctx.save_for_backward(x)
        out = x @ x
        Product.seen.append(out.dtype)
        return out

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        product = g @ x.mT
        Product.seen.append(product.dtype)
        return (product + x.mT @ g).to(x.dtype)


def test_backward_of_a_function_runs_as_its_forward_did(x):
    Product.seen.clear()
    x.requires_grad_()
    with torch.autocast("cpu"):
        out = Product.apply(x)
    out.float().sum().backward()
    assert Product.seen == [torch.bfloat16, torch.bfloat16]
    Product.apply(x).sum().backward()
    assert Product.seen[2:] == [torch.float32, torch.float32]


def test_inputs_of_a_function_are_cast_if_asked(x):
    class Single(torch.autograd.Function):
        @staticmethod
        @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
        def forward(ctx, x, names):
            return x @ x

        @staticmethod
        @torch.amp.custom_bwd(device_type="cpu")
        def backward(ctx, g):
            return g, None

    with torch.autocast("cpu"):
        assert Single.apply(x.bfloat16(), ["a"]).dtype is torch.float32
    assert Single.apply(x.bfloat16(), ["a"]).dtype is torch.bfloat16


def test_a_disabled_region_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.autocast("cuda", enabled=False)


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_a_checkpoint_runs_again_in_the_region_that_it_ran_in(x, use_reentrant):
    from wengert.utils.checkpoint import checkpoint

    layer, seen = torch.nn.Linear(3, 3), []

    def function(t):
        out = layer(t)
        seen.append(out.dtype)
        return out.tanh()

    x.requires_grad_()
    with torch.autocast("cpu"):
        out = checkpoint(function, x, use_reentrant=use_reentrant)
    out.float().sum().backward()
    assert seen == [torch.bfloat16, torch.bfloat16]
    assert x.grad.dtype is torch.float32
