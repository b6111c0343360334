"""Sparse tensors under both modules: the same values, coordinates, flags and gradients; Adagrad, SGD and SparseAdam on
sparse gradients to the last digits."""

import warnings

import pytest

from tests.conformance import compare

INDICES = [[0, 1, 1, 0], [2, 0, 2, 2]]

# Each takes the module, a sparse (2, 3) matrix, a sparse (3, 2) tensor of rows and a dense (3, 2) one.
PROGRAMS = {
    "coalesce": lambda torch, a, h, d: a.coalesce(),
    "coalesce rows": lambda torch, a, h, d: h.coalesce(),
    "to_dense": lambda torch, a, h, d: a.to_dense(),
    "to_sparse": lambda torch, a, h, d: d.to_sparse(),
    "to_sparse rows": lambda torch, a, h, d: d.to_sparse(1),
    "add": lambda torch, a, h, d: a + a,
    "add others": lambda torch, a, h, d: (a + a.t().t().coalesce() * 2).coalesce(),
    "add to dense": lambda torch, a, h, d: torch.ones(2, 3, dtype=torch.float64) + a,
    "sub": lambda torch, a, h, d: a - 2 * a,
    "neg": lambda torch, a, h, d: -a,
    "mul": lambda torch, a, h, d: a * 3,
    "mul dense": lambda torch, a, h, d: a * d.t(),
    "mul sparse": lambda torch, a, h, d: a.coalesce() * d.t().to_sparse(),
    "div": lambda torch, a, h, d: a / 3,
    "pow": lambda torch, a, h, d: a**2,
    "sqrt": lambda torch, a, h, d: a.sqrt(),
    "tanh": lambda torch, a, h, d: a.tanh(),
    "sum": lambda torch, a, h, d: a.sum(),
    "sparse.sum": lambda torch, a, h, d: torch.sparse.sum(a, 0),
    "sparse.sum rows": lambda torch, a, h, d: torch.sparse.sum(h, 1),
    "sparse.sum values": lambda torch, a, h, d: torch.sparse.sum(h, 0),
    "sum keepdim": lambda torch, a, h, d: a.sum(1, keepdim=True),
    "norm": lambda torch, a, h, d: a.norm(),
    "sparse.mm": lambda torch, a, h, d: torch.sparse.mm(a, d),
    "sparse.mm sparse": lambda torch, a, h, d: torch.sparse.mm(a, a.t()),
    "mm": lambda torch, a, h, d: torch.mm(a, d),
    "spmm": lambda torch, a, h, d: torch.spmm(a, d),
    "matmul": lambda torch, a, h, d: a @ d,
    "mv": lambda torch, a, h, d: a @ d[:, 0],
    "dense @ sparse": lambda torch, a, h, d: d @ a,
    "sparse.addmm": lambda torch, a, h, d: torch.sparse.addmm(d[:2], a, d, beta=2, alpha=3),
    "softmax": lambda torch, a, h, d: torch.sparse.softmax(a, 1),
    "log_softmax": lambda torch, a, h, d: torch.sparse.log_softmax(a, 0),
    "softmax of values": lambda torch, a, h, d: torch.sparse.softmax(h, 1),
    "t": lambda torch, a, h, d: a.t(),
    "transpose": lambda torch, a, h, d: a.transpose(0, 1),
    "index_select": lambda torch, a, h, d: a.coalesce().index_select(1, torch.tensor([2, 2, 0])).coalesce(),
    "index_select rows": lambda torch, a, h, d: h.index_select(0, torch.tensor([0, 0])).coalesce(),
    "select": lambda torch, a, h, d: a[1],
    "select values": lambda torch, a, h, d: h[0],
    "cat": lambda torch, a, h, d: torch.cat([a, a], 1),
    "stack": lambda torch, a, h, d: torch.stack([a, a]),
    "unsqueeze": lambda torch, a, h, d: h.unsqueeze(1),
    "values": lambda torch, a, h, d: a.coalesce().values(),
    "sparse_mask": lambda torch, a, h, d: d.t().sparse_mask(a.coalesce()),
    "float": lambda torch, a, h, d: a.float(),
    "clone": lambda torch, a, h, d: a.clone(),
}  # fmt: skip


def inputs(torch):
    """(values that require grad, the three tensors made of them)."""
    values = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64, requires_grad=True)
    rows = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], dtype=torch.float64, requires_grad=True)
    dense = torch.tensor([[1.0, 0.0], [3.0, -2.0], [0.0, 5.0]], dtype=torch.float64, requires_grad=True)
    matrix = torch.sparse_coo_tensor(INDICES, values, (2, 3))
    return (values, rows, dense), (matrix, torch.sparse_coo_tensor([[0, 2, 0]], rows, (3, 2)), dense)


def facts(result):
    """What can be seen of a result, apart from its gradients."""
    if not result.is_sparse:
        return (tuple(result.shape), compare.dtype_name(result.dtype), compare.to_numpy(result).tolist())
    return (
        tuple(result.shape), compare.dtype_name(result.dtype), result._nnz(), result.sparse_dim(), result.dense_dim(),
        result.is_coalesced(), result._indices().tolist(), result.requires_grad, result.is_leaf,
    )  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name, oracle, subject):
    seen, gradients = [], []
    for torch in (oracle, subject):
        leaves, given = inputs(torch)
        result = PROGRAMS[name](torch, *given)
        seen.append((facts(result), result))
        dense = result.to_dense() if result.is_sparse else result
        try:
            (dense.double() ** 2).sum().backward()
        except (RuntimeError, NotImplementedError):
            if torch is subject:
                raise
            gradients.append(None)  # PyTorch has no such derivative
        else:
            gradients.append([leaf.grad for leaf in leaves])
    (expected, theirs), (actual, ours) = seen
    assert actual == expected
    if theirs.is_sparse:
        compare.check_values(ours._values(), theirs._values(), "values")
    for mine, its in zip(gradients[1], gradients[0] or gradients[1], strict=True):
        assert (mine is None) == (its is None)
        if mine is not None:
            compare.check_values(mine, its.to_dense(), "gradient", normwise=True)


@pytest.mark.parametrize("options", [
    ("SGD", {}), ("SGD", {"momentum": 0.9}), ("SGD", {"momentum": 0.9, "nesterov": True}), ("SGD", {"maximize": True}),
    ("Adagrad", {}), ("Adagrad", {"lr_decay": 0.1}), ("SparseAdam", {}), ("SparseAdam", {"maximize": True}),
], ids=str)  # fmt: skip
def test_optimizer(options, oracle, subject):
    kind, keywords = options
    tables = []
    for torch in (oracle, subject):
        torch.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = torch.nn.Embedding(10, 3, padding_idx=2, sparse=True).double()
            optimizer = getattr(torch.optim, kind)(table.parameters(), lr=0.1, **keywords)
        for i in range(10):
            optimizer.zero_grad()
            (table(torch.tensor([[1, 2, 4], [i, 9 - i, 4]])) ** 2).sum().backward()
            optimizer.step()
        tables.append(table.weight)
    compare.check_values(tables[1], tables[0], "weight")
    assert facts(tables[1].grad) == facts(tables[0].grad)


def test_text(oracle, subject):
    changes = (lambda t: t.coalesce(), lambda t: t.detach().float(), lambda t: t.detach().requires_grad_())
    for change in (lambda t: t, *changes):
        assert len({str(change(inputs(torch)[1][0])) for torch in (oracle, subject)}) == 1


def test_files_go_both_ways(oracle, subject, tmp_path):
    for writer, reader in ((oracle, subject), (subject, oracle)):
        matrix = inputs(writer)[1][0].detach().coalesce()
        writer.save({"m": matrix}, tmp_path / "m.pt")
        assert facts(reader.load(tmp_path / "m.pt")["m"]) == facts(matrix)
