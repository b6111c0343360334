"""Functions of functions: values, shapes, random streams and refusals as PyTorch's."""

import pytest

from tests.conformance.expressions import assert_same, lines

VMAP = lines("""
    torch.vmap(torch.mul, (0, 1))(torch.arange(6.0).view(2, 3), torch.arange(6.0).view(3, 2))
    torch.vmap(torch.mul, (0, None))(torch.arange(3.0), 2)
    torch.vmap(torch.vmap(torch.mul, (1, 0)), (1, 2))(torch.ones(5, 2, 3), torch.rand(3, 5, 2)).contiguous()
    torch.vmap(lambda x: x, out_dims=-1)(torch.arange(30.0).view(2, 3, 5))
    torch.vmap(lambda x: x, 2, 1)(torch.arange(30.0).view(2, 3, 5))
    torch.vmap(lambda x: x[:, 1:])(torch.arange(30.0).view(2, 3, 5))
    torch.vmap(lambda x: x, out_dims=(1,))(torch.arange(6.0).view(2, 3))
    torch.vmap(lambda x: (x, "a", [x * 2]), out_dims=(0, None, 1))(torch.arange(6.0).view(2, 3))
    torch.vmap(lambda x: torch.arange(3), out_dims=None)(torch.ones(2))
    torch.vmap(lambda x: x, out_dims=None)(torch.arange(2.0))
    torch.vmap(lambda x: {"a": x.sin(), "b": (x,)})(torch.ones(2))
    torch.vmap(lambda z: z[0] + z[1], in_dims=([0, None],))([torch.ones(2), torch.ones(3)])
    torch.vmap(torch.sin)(torch.ones(0, 3))
    torch.vmap(lambda x: x.sum(), out_dims=0)(torch.ones(3, 0))
    torch.vmap(lambda x: (x.sum(), x[None]), out_dims=(0, 2))(torch.ones(0, 3))
    torch.vmap(torch.mul, [0, 0])(torch.ones(2), torch.ones(2))
    torch.vmap(torch.mul, "ab")(torch.ones(2), torch.ones(2))
    torch.vmap(torch.mul, (0,))(torch.ones(2), torch.ones(2))
    torch.vmap(torch.mul, (0, 5))(torch.ones(2), torch.ones(2))
    torch.vmap(torch.mul, (0, 0))(torch.ones(2), 3)
    torch.vmap(torch.mul)(torch.ones(2), torch.ones(3))
    torch.vmap(lambda x: x, (None,))(torch.ones(2))
    torch.vmap(lambda: 1)()
    torch.vmap(lambda x: 3)(torch.ones(2))
    torch.vmap(lambda x: x, out_dims=3)(torch.ones(2, 2))
    torch.vmap(lambda x: x, out_dims=-4)(torch.ones(2, 2))
    torch.vmap(lambda x: x, out_dims="a")(torch.ones(2, 2))
    torch.vmap(lambda x: (x, x), out_dims=(0,))(torch.ones(2, 2))
    torch.vmap(lambda x: x, randomness="other")(torch.ones(2, 2))
    torch.vmap(lambda x: x, chunk_size=0)(torch.ones(2, 2))
    torch.vmap(lambda x: x + torch.randn(3))(torch.ones(2, 3))
""")
# What is drawn for each example is what one draw for all of them gives.
DRAWN = lines("""
    torch.vmap(lambda x: x + torch.randn(3), randomness="different")(torch.zeros(4, 3))
    torch.vmap(lambda x: x + torch.randn(20), randomness="different")(torch.zeros(4, 20))
    torch.vmap(lambda x: (torch.rand(2), torch.randn(17), torch.rand(3)), randomness="different")(torch.zeros(4))
    torch.vmap(lambda x: F.dropout(x + 1), randomness="different")(torch.zeros(4, 5))
    torch.vmap(lambda x: torch.randint(10, (3,)), randomness="different")(torch.zeros(4))
    torch.vmap(lambda x: torch.rand_like(x), randomness="different")(torch.zeros(4, 3))
    torch.vmap(torch.vmap(lambda x: x + torch.randn(20), randomness="different"), randomness="different")(
        torch.zeros(2, 3, 20))
    torch.vmap(lambda x: x + torch.randn(3), randomness="same")(torch.zeros(4, 3))
    (torch.vmap(lambda x: x + torch.randn(3), randomness="same")(torch.zeros(4, 3)), torch.rand(2))
    (torch.vmap(lambda x: x + torch.randn(3), randomness="different")(torch.zeros(4, 3)), torch.rand(2))
""".replace("(\n        ", "("))
DERIVATIVES = lines("""
    torch.func.grad(lambda x: (x.sum(), 1), has_aux=True)(torch.ones(2))
    torch.func.grad(lambda x: (x.sum() ** 2, {"a": x * 2}), has_aux=True)(torch.ones(2))[1]
    torch.func.grad(lambda x: x)(torch.ones(2))
    torch.func.jacrev(lambda x, y: (x + y, x * y), argnums=(0, 1))(torch.ones(2), torch.arange(2.0))
    torch.func.jacfwd(lambda x: {"a": x.sin(), "b": (x,)})(torch.ones(2))
    torch.func.jacrev(torch.sin, argnums=(0, 0))(torch.ones(2))
    torch.func.hessian(lambda a, b: (a * b * a).sum(), argnums=(0, 1))(torch.ones(2), torch.arange(2.0))
    torch.func.jvp(torch.sin, (torch.ones(2),), (torch.ones(2), torch.ones(2)))
    torch.vmap(torch.func.jacrev(torch.sin))(torch.arange(6.0).view(2, 3))
""")


@pytest.mark.parametrize("expression", VMAP + DRAWN + DERIVATIVES)
def test_expressions(oracle, subject, expression):
    assert_same(oracle, subject, expression)
