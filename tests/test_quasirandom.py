"""Sobol's sequence: PyTorch's points."""

import pytest

import wengert as torch

pytest.importorskip("scipy", reason="the direction numbers come from SciPy, an extra")

from wengert.quasirandom import SobolEngine


def test_the_first_points_halve_the_cube_again_and_again():
    points = SobolEngine(2).draw(4)
    assert points.tolist() == [[0, 0], [0.5, 0.5], [0.75, 0.25], [0.25, 0.75]]
    assert points.dtype is torch.float32 and SobolEngine(2).draw(1, dtype=torch.float64).dtype is torch.float64


def test_each_dimension_has_one_point_in_every_interval():
    for engine in (SobolEngine(5), SobolEngine(5, scramble=True, seed=3)):
        cells = (engine.draw_base2(4) * 16).long()
        assert cells.sort(0).values.equal(torch.arange(16)[:, None].expand(16, 5))


def test_scrambled_points_are_those_of_pytorch():
    points = SobolEngine(3, scramble=True, seed=7).draw(2, dtype=torch.float64)
    again = SobolEngine(3, scramble=True, seed=7)
    assert again.draw(2, dtype=torch.float64).equal(points) and not points.equal(SobolEngine(3).draw(2))
    assert again.reset().fast_forward(1).draw(1, dtype=torch.float64).equal(points[1:])
    expected = [  # by PyTorch
        [0.19947312772274017, 0.17093220353126526, 0.7493569254875183],
        [0.6922082901000977, 0.711494917050004, 0.48982980754226446],
    ]
    assert points.allclose(torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-9)


def test_what_cannot_be_drawn():
    with pytest.raises(ValueError, match="Supported range of dimensionality"):
        SobolEngine(0)
    engine = SobolEngine(2)
    engine.draw(3)
    with pytest.raises(ValueError, match="n to be a power of 2"):
        engine.draw_base2(2)
    assert repr(SobolEngine(2, scramble=True, seed=1)) == "SobolEngine(dimension=2, scramble=True, seed=1)"
