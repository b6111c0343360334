"""Writes into memory that the same operation reads: refused where PyTorch refuses them, done where it does them."""

import pytest
import torch

import wengert

# Each on x of six elements, a mask b of as many, a square matrix m, and rows and columns of these.
WRITES = """
x[1:].add_(x[:-1])  x[1:].exp_()  x[::2].add_(x[1::2])  x[::2].add_(x[:3])  x[1:].copy_(x[:-1])
x[1:].lerp_(x[:-1], .5)  x[1:].addcmul_(x[:-1], x[:-1])  x[1:].clamp_(x[:-1])  x[1:].pow_(x[:-1])
x[1:].atan2_(x[:-1])  x[1:].lt_(x[:-1])  b[1:].logical_and_(b[:-1])  x.mul_(x)  x.mul_(x[0])  x[1:].sub_(x[0])
x[1:].sub_(x[2])  x.clamp_(min=x[0])  x.lerp_(x[0], .5)  x.add_(x.detach())  x.copy_(x.flip(0))
x[1:].copy_(x[1:])  x[1:].add_(x[:-1].double())  m.add_(m.t())  m.copy_(m.t())  m.T.add_(m)  m.add_(m[0])
m.sub_(m[:, :1])  m.div_(m.diagonal())  m[0].add_(m[1])  m[0].add_(m[0])  m[:2].add_(m[1:3])
m[:, :2].add_(m[:, 1:3])  m[0].fill_(m[0, 0])  m.sub_(m[0, 0])  m[::2].copy_(m[1::2])
m.view(16).add_(m.view(-1))  m.view(2, 8).add_(m.view(2, 8))  m.addmm_(m, m)  x[:4].addmv_(m, x[1:5])
x[1:].masked_fill_(x[:-1] > 0, 1)  x.masked_fill_(b, x[0])  x[1:].masked_scatter_(b[1:], x[:-1])
x.index_fill_(0, one, x[1])  x.scatter_(0, one, x[1:3])  x.scatter_add_(0, one, x[1:3])
x[1:].index_add_(0, one, x[:2])  x[1:].index_copy_(0, one, x[:2])  x.index_put_((one,), x[2:4])
x.put_(one, x[2:4])  torch.add(x[:-1], x[:-1], out=x[1:])  torch.sigmoid(x[1:], out=x[:-1])
torch.cumsum(x[1:], 0, out=x[:-1])  torch.take(x, one, out=x[:2])  torch.mm(m, m, out=m)
torch._foreach_add_([x[1:]], [x[:-1]])
"""
ASSIGNMENTS = """
x[1:] = x[:-1]  x[:] = x  x[:3] = x[3:]  x[:3] = x[0]  x[0] = x[1]  x[b] = x[0]  x[b] = x[:1]  x[one] = x[0]
x[one] = x[2:4]  m[0] = m[1]  m[:, 0] = m[0]  m[:, 1:] = m[:, :-1]  m[1:] = m[:-1]  m[b[:4]] = m[0]
m[0, b[:4]] = m[1, 0]  m[one, one] = m[2, 2]  m[one] = m[2]  m[:, one] = m[:, 2:]  m[0, one] = m[1, :2]
m[:1] += m[:1]  m[None] = m  m[()] -= m  m.t()[:] = m  x[1:][:] = x[:-1]  x[1:][0] = x[1]
"""
# Not refused, as one operand has gaps: what PyTorch computes depends on the order of its writes.
IN_SOME_ORDER = {"x[::2].add_(x[:3])", "m.sub_(m[:, :1])", "m.div_(m.diagonal())", "m.addmm_(m, m)",
                 "torch.mm(m, m, out=m)", "m[:, 1:] = m[:, :-1]"}  # fmt: skip
STATEMENTS = [part for line in (WRITES + ASSIGNMENTS).splitlines() if line for part in line.split("  ")]


def outcome(module, statement):
    """What is refused and how, or what the memory holds afterwards."""
    module.manual_seed(0)
    x, m = module.randn(6), module.randn(4, 4)
    names = {"torch": module, "x": x, "m": m, "b": module.randn(6) > 0, "one": module.tensor([0, 1])}
    try:
        exec(statement, names)
    except RuntimeError as error:
        return str(error).partition(".")[0]
    return x.tolist(), m.tolist(), names["b"].tolist()


@pytest.mark.parametrize("statement", STATEMENTS)
def test_as_pytorch(statement):
    ours, theirs = outcome(wengert, statement), outcome(torch, statement)
    assert type(ours) is type(theirs)
    if isinstance(ours, str):
        assert ours == theirs
    elif statement not in IN_SOME_ORDER:
        for a, b in zip(ours, theirs, strict=True):
            assert torch.tensor(a).equal(torch.tensor(b)) or torch.allclose(torch.tensor(a), torch.tensor(b))
