"""Corners of single functions: numbers beside tensors, dtypes that don't go together, arguments that make no sense."""

import pytest

from tests.conformance.expressions import assert_same, lines

CORNERS = lines("""
    torch.clamp(torch.arange(4.0), 1, torch.tensor(2.5))
    torch.clamp(torch.arange(4.0), torch.tensor(1.0), 2)
    torch.clamp(torch.arange(4.0), 1.5, torch.tensor([3]))
    torch.clamp(torch.arange(4), torch.tensor(0.5), 2)
    torch.addmm(torch.ones(2, 2).int(), torch.ones(2, 2), torch.ones(2, 2))
    torch.addmv(torch.ones(2).int(), torch.ones(2, 2), torch.ones(2))
    torch.baddbmm(torch.ones(1, 2, 2).double(), torch.ones(1, 2, 2), torch.ones(1, 2, 2))
    torch.addr(torch.ones(2, 2).int(), torch.ones(2), torch.ones(2))
    torch.prod(torch.tensor(2.0), dim=1)
    torch.any(torch.tensor([[1, 0]]), dim=())
    torch.all(torch.tensor([[1, 0]]), dim=(), keepdim=True)
    torch.aminmax(torch.ones(2, 3), dim=(0, 1))
    torch.ones(2).masked_fill(torch.tensor([True, False]), torch.tensor(3 + 0j))
    torch.ones(2).masked_fill(torch.tensor([True, False]), torch.tensor(3 + 1j))
    torch.addcdiv(torch.ones(2), torch.ones(2).int(), torch.ones(2).int())
    torch.cross(torch.ones(3), torch.ones(3).double(), dim=0)
    torch.tensor([1j]) < torch.tensor([2j])
    torch.tensor([1j]) < 2
    torch.tensor([1j]).ge_(2)
    torch.triu_indices(3, 3, dtype=torch.float32)
    torch.empty_strided((2, 3), (1, 2, 3))
    torch.range(3, 0)
    torch.range(3, 0, -1)
    torch.diag_embed(torch.tensor(1.0))
    torch.ones(5).tensor_split(torch.tensor([[1, 3]]))
    torch.broadcast_shapes((-1,), (3,))
    torch.unravel_index(torch.tensor([5.0]), (2, 3))
    torch.func.jvp(lambda x: torch.linalg.vector_norm(x, 3.5), (torch.zeros(3),), (torch.ones(3),))
    torch.utils.checkpoint.checkpoint_sequential(nn.Sequential(nn.ReLU()), 2, torch.ones(2), use_reentrant=False)
    (torch.typename(nn.Linear), torch.typename(nn.ReLU()), torch.typename(3), torch.typename(len))
    torch.compile(nn.Linear(2, 2))._get_name()
""")


@pytest.mark.parametrize("expression", CORNERS)
def test_corners(oracle, subject, expression):
    assert_same(oracle, subject, expression)
