"""``torch._functorch``: the inner works of PyTorch's transforms, of which libraries import parts."""
