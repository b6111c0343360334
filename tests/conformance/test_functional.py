"""Windows and resizing beside PyTorch on random shapes: odd extents, strides, paddings, dilations, groups.

The operator database has a few samples of each of these; here the options are drawn so that their corners meet.
"""

import random

import numpy as np
import pytest

CASES = 150


class Pair:
    """One function of `nn.functional` under both modules, on the same values."""

    def __init__(self, oracle, subject):
        self.oracle, self.subject = oracle, subject

    def run(self, module, name, arrays, options):
        """(result as arrays, gradients of all inputs) or the exception."""
        inputs = [module.from_numpy(a.copy()).requires_grad_() for a in arrays]
        try:
            out = getattr(module.nn.functional, name)(*inputs, **options)
        except Exception as error:
            return error
        results = out if isinstance(out, tuple) else (out,)
        values = [r.detach().numpy() for r in results]
        ramp = np.cos(np.arange(values[0].size)).reshape(values[0].shape)
        results[0].backward(module.from_numpy(ramp))
        return values, [i.grad.numpy() for i in inputs]

    def compare(self, name, arrays, options):
        expected = self.run(self.oracle, name, arrays, options)
        found = self.run(self.subject, name, arrays, options)
        outcome = [repr(e) if isinstance(e, Exception) else "a result" for e in (found, expected)]
        told = f"{name} {[a.shape for a in arrays]} {options}: {outcome[0]}, PyTorch has {outcome[1]}"
        if isinstance(expected, Exception):
            assert type(found) is type(expected), told
            return False
        assert not isinstance(found, Exception), told
        for ours, theirs in zip(found[0] + found[1], expected[0] + expected[1], strict=True):
            assert ours.shape == theirs.shape, told
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9, err_msg=told)
        return True


@pytest.fixture(scope="module")
def pair(oracle, subject):
    return Pair(oracle, subject)


def drawn(seed):
    draw = random.Random(seed)
    return draw, np.random.default_rng(seed), draw.choice([1, 2, 2, 3])


def each(draw, n, *choices):
    return tuple(draw.choice(choices) for _ in range(n))


def test_convolutions(pair):
    agreed = 0
    for seed in range(CASES):
        draw, rng, n = drawn(seed)
        groups, per_in, per_out = draw.choice([1, 1, 2, 3]), draw.choice([1, 2, 5]), draw.choice([1, 2, 4])
        options = {
            "stride": each(draw, n, 1, 1, 2, 3), "padding": each(draw, n, 0, 1, 2), "dilation": each(draw, n, 1, 1, 2),
            "groups": groups,
        }  # fmt: skip
        x = rng.standard_normal((draw.choice([1, 3]), per_in * groups, *each(draw, n, 1, 3, 4, 7)))
        w = rng.standard_normal((per_out * groups, per_in, *each(draw, n, 1, 2, 3)))
        b = rng.standard_normal(per_out * groups)
        agreed += pair.compare(f"conv{n}d", [x, w, b], options)
        w = rng.standard_normal((per_in * groups, per_out, *each(draw, n, 1, 2, 3)))
        options["output_padding"] = each(draw, n, 0, 0, 1)
        agreed += pair.compare(f"conv_transpose{n}d", [x, w, b], options)
    assert agreed > CASES


@pytest.mark.parametrize("kind", ["max_pool", "avg_pool"])
def test_pools(pair, kind):
    agreed = 0
    for seed in range(CASES):
        draw, rng, n = drawn(seed)
        kernel = each(draw, n, 1, 2, 3)
        options = {
            "kernel_size": kernel, "stride": each(draw, n, 1, 2, 3), "padding": each(draw, n, 0, 0, 1),
            "ceil_mode": draw.choice([True, False]),
        }  # fmt: skip
        if kind == "max_pool":
            options |= {"dilation": each(draw, n, 1, 1, 2), "return_indices": True}
            if max(options["padding"]) and max(options["dilation"]) > 1:
                options["dilation"] = 1  # a window that sees padding only has no maximum, nor a place for it
        else:
            options["count_include_pad"] = draw.choice([True, False])
        x = rng.standard_normal((draw.choice([1, 2]), 3, *each(draw, n, 2, 3, 5, 8)))
        agreed += pair.compare(f"{kind}{n}d", [x], options)
    assert agreed > CASES // 2


@pytest.mark.parametrize("kind", ["adaptive_max_pool", "adaptive_avg_pool"])
def test_adaptive_pools(pair, kind):
    for seed in range(CASES // 3):
        draw, rng, n = drawn(seed)
        x = rng.standard_normal((2, 3, *each(draw, n, 1, 4, 5, 7)))
        assert pair.compare(f"{kind}{n}d", [x], {"output_size": each(draw, n, 1, 2, 3, 8)})


def test_resizing(pair):
    modes = {1: ["nearest", "nearest-exact", "linear", "area"], 3: ["nearest", "nearest-exact", "trilinear", "area"]}
    modes[2] = ["nearest", "nearest-exact", "bilinear", "bicubic", "area"]
    for seed in range(CASES):
        draw, rng, n = drawn(seed)
        mode = draw.choice(modes[n])
        options = {"mode": mode}
        options |= (
            {"size": each(draw, n, 1, 2, 5, 9)} if draw.random() < 0.6 else {"scale_factor": each(draw, n, 3, 0.5, 1.3)}
        )
        if "linear" in mode or "cubic" in mode:
            options["align_corners"] = draw.choice([True, False])
        x = rng.standard_normal((2, 3, *each(draw, n, 2, 4, 7)))
        scaled = zip(options.get("scale_factor", ()), x.shape[2:], strict=False)
        if mode == "nearest" and any(int(scale * size) in (size, 2 * size) for scale, size in scaled):
            continue  # where PyTorch's backward reads other places than its forward
        assert pair.compare("interpolate", [x], options)


def test_padding(pair):
    for seed in range(CASES):
        draw, rng, n = drawn(seed)
        x = rng.standard_normal((2, 3, *each(draw, n, 1, 3, 4)))
        pads = each(draw, 2 * n, 0, 1, 2, 3, -1)
        mode = draw.choice(["constant", "reflect", "replicate", "circular"])
        if mode == "circular":  # where cropping leaves less than is to be wrapped, PyTorch returns unwritten memory
            pads = tuple(max(p, 0) for p in pads)
        pair.compare("pad", [x], {"pad": pads, "mode": mode})


def test_columns(pair):
    for seed in range(CASES):
        draw, rng, _ = drawn(seed)
        options = {
            "kernel_size": each(draw, 2, 1, 2, 3), "stride": each(draw, 2, 1, 2), "padding": each(draw, 2, 0, 1),
            "dilation": each(draw, 2, 1, 2),
        }  # fmt: skip
        x = rng.standard_normal((2, 3, *each(draw, 2, 2, 4, 5)))
        if pair.compare("unfold", [x], options):
            columns = pair.run(pair.subject, "unfold", [x], options)[0][0]
            assert pair.compare("fold", [columns], {**options, "output_size": x.shape[2:]})


@pytest.mark.parametrize("shape, options", [
    ((7,), {}), ((5000,), {}), ((200_003,), {}), ((90, 1000), {}), ((90, 1000), {"dim": 1}), ((90, 1003), {"dim": -1}),
    ((10, 30, 40), {"dim": (1, 2)}),
])  # fmt: skip
def test_long_vectors_have_pytorchs_length_to_the_last_bit(oracle, subject, shape, options):
    values = np.random.default_rng(0).standard_normal(shape, np.float32)
    found, expected = (
        module.linalg.vector_norm(module.from_numpy(values), **options).numpy() for module in (subject, oracle)
    )
    near = np.prod(shape) <= 1024  # short ones are added in another order
    np.testing.assert_allclose(found, expected, rtol=2e-7 if near else 0)


def test_gradients_are_clipped_by_pytorchs_norm(oracle, subject):
    values = [np.random.default_rng(n).standard_normal(n, np.float32) for n in (100_003, 64, 4096)]
    norms = []
    for module in (subject, oracle):
        parameters = [module.nn.Parameter(module.zeros(len(v))) for v in values]
        for parameter, value in zip(parameters, values, strict=True):
            parameter.grad = module.from_numpy(value.copy())
        norms.append(module.nn.utils.clip_grad_norm_(parameters, 1.0).item())
    assert norms[0] == pytest.approx(norms[1], rel=1e-7)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize("space", [(7, 8), (3, 4, 5)])
def test_the_identity_grid_has_pytorchs_gradients_on_the_elements_themselves(
    oracle, subject, space, mode, padding_mode, align_corners
):
    if len(space) == 3 and mode == "bicubic":
        return  # refused by both
    values = np.random.default_rng(0).standard_normal((2, 2, *space), np.float32)
    gradients = []
    for module in (subject, oracle):
        F, n = module.nn.functional, len(space)
        theta = module.eye(n, n + 1).repeat(2, 1, 1).requires_grad_()
        image = module.from_numpy(values.copy()).requires_grad_()
        grid = F.affine_grid(theta, image.shape, align_corners=align_corners)
        out = F.grid_sample(image, grid, mode=mode, padding_mode=padding_mode, align_corners=align_corners)
        out.square().sum().backward()
        gradients.append([theta.grad.numpy(), image.grad.numpy()])
    for found, expected in zip(*gradients, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * abs(expected).max())
