"""Compressed sparse matrices beside PyTorch: parts, products, printed text, refusals."""

import pytest

from tests.conformance.expressions import lines, outcome

MATRIX = "torch.sparse_csr_tensor([0, 2, 3], [0, 1, 1], [1.0, 2.0, 3.0])"
EXPRESSIONS = lines("""
    C
    C.t()
    C.to_sparse_csc()
    C.to_sparse()
    C.to_dense()
    C @ torch.ones(2, 2)
    C @ torch.ones(2)
    torch.ones(2, 2) @ C
    C @ C
    C + C
    C * 2
    C * C
    -C
    C.sin()
    C.double()
    C.sum()
    torch.ones(2, 2) + C
    C + torch.ones(2, 2)
    torch.sparse.mm(C, torch.ones(2, 2))
    torch.addmm(torch.ones(2, 2), C, torch.ones(2, 2))
    torch.zeros_like(C)
    (C.crow_indices(), C.col_indices(), C.values(), C._nnz(), C.layout, C.is_sparse, C.is_sparse_csr)
    torch.eye(2).to_sparse(layout=torch.sparse_csc)
    torch.sparse_csc_tensor([0, 1, 2], [0, 1], [1.0, 2.0])
    torch.sparse_compressed_tensor([0, 1, 2], [0, 1], [1.0, 2.0], layout=torch.sparse_csc)
    C.coalesce()
    C.indices()
    C.is_coalesced()
    C.numpy()
    C.stride()
    C.ccol_indices()
    torch.ones(2).crow_indices()
    torch.sparse_csr_tensor([0, 1], [5], [1.0], (1, 2), check_invariants=True)
    torch.sparse_csr_tensor([0, 2], [0, 0], [1.0, 2.0], check_invariants=True)
""")


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_same_text_or_the_same_refusal(oracle, subject, expression):
    expression = f"(lambda C: {expression})({MATRIX})"
    expected, found = outcome(oracle, expression), outcome(subject, expression)
    if isinstance(expected, Exception):
        assert type(found).__name__ == type(expected).__name__, repr(found)
    else:
        assert str(found) == str(expected)
