"""Views of little memory: one element, a part of more, gaps; the layout of what comes of them."""

import pytest

from tests.conformance.expressions import assert_same, lines

VIEWS = lines("""
    torch.view_as_real(torch.tensor(1 + 2j))
    torch.view_as_real(torch.ones(1, dtype=torch.cfloat))
    torch.view_as_real(torch.ones(3, dtype=torch.cfloat)[1:2])
    torch.view_as_real(torch.ones(4, dtype=torch.cfloat)[::2])
    torch.view_as_complex(torch.ones(2))
    torch.tensor(1 + 2j).real
    torch.ones(1, dtype=torch.cfloat).imag
    torch.ones(4).as_strided((1,), (1,), 3)
    torch.ones(4)[:1].as_strided((4,), (1,), 0)
    torch.arange(6.0)[1:2].as_strided((3,), (2,), 0)
    torch.arange(6.0)[2].as_strided((3,), (2,), 0)
    torch.tensor([1], dtype=torch.int32).view(torch.int8)
    torch.tensor(1.0).view(torch.int32)
    torch.ones(2, 4, dtype=torch.int8)[:1].view(torch.int32)
    torch.arange(4).unfold(0, 4, 1)
    torch.arange(9).view(3, 3)[:1].diagonal()
    torch.arange(9).view(3, 3)[:1, :1].expand(3, 3)
    torch.empty_strided((2, 1), (1, 7)).stride()
    torch.empty_strided((0, 3), (1, 1)).stride()
    torch.arange(6.0)[1:2].untyped_storage().nbytes()
    torch.from_numpy(np.arange(10.0)[::2]).untyped_storage().nbytes()
    torch.from_numpy(np.arange(10.0)[1::3]).as_strided((2,), (1,))
    torch.arange(8.0).view(2, 4)[:, :1].view(2)
    torch.arange(8.0)[3:4].resize_(2)
    torch.arange(8.0)[3:4].view(torch.uint8)
    torch.arange(4.0).view(2, 2).t()[:1].as_strided((2, 2), (1, 2))
""")


@pytest.mark.parametrize("expression", VIEWS)
def test_views(oracle, subject, expression):
    assert_same(oracle, subject, expression)
