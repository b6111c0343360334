"""Operations on lists of tensors."""

import pytest

CALLS = {
    "_foreach_add": ["(a, 2)", "(a, b)", "(a, b, alpha=3)", "(a, [1.0, 2.0])", "(a, [1.0])", "([], 1)", "(a, b[:1])"],
    "_foreach_sub": ["(a, 2)", "(a, b, alpha=0.5)"], "_foreach_mul": ["(a, b)", "(a, torch.tensor(2.0))", "(a, 3)"],
    "_foreach_div": ["(a, b)", "(a, [2.0, 4.0])"], "_foreach_addcmul": ["(a, b, b, value=2)", "(a, b, b, [1.0, 2.0])"],
    "_foreach_addcdiv": ["(a, b, b)", "(a, b, b, torch.tensor([1.0, 2.0]))"], "_foreach_maximum": ["(a, b)", "(a, 1)"],
    "_foreach_minimum": ["(a, b)"], "_foreach_clamp_min": ["(a, 0)"], "_foreach_clamp_max": ["(a, b)"],
    "_foreach_pow": ["(b, 2)", "(2.0, b)", "(b, [1.0, 2.0])"], "_foreach_lerp": ["(a, b, 0.25)", "(a, b, a)"],
    "_foreach_norm": ["(a)", "(a, 1)"], "_foreach_max": ["(a)"], "_foreach_zero": ["(a)"], "_foreach_copy": ["(a, b)"],
    **{f"_foreach_{name}": ["(b)"] for name in ("abs", "exp", "sqrt", "log", "neg", "sigmoid", "sign", "tanh")},
}  # fmt: skip


def outcome(torch, name, arguments):
    a = [torch.tensor([1.0, -2.0]), torch.tensor([[0.5], [3.0]])]
    b = [torch.tensor([2.0, 1.5]), torch.tensor([[1.0], [0.25]])]
    try:
        result = eval(f"torch.{name}{arguments}", {"torch": torch, "a": a, "b": b})
    except Exception as error:
        return type(error), str(error)[:40]
    return type(result), rounded(result), rounded(a), result is a


def rounded(tensors):
    return [(tuple(each.shape), [round(number, 5) for number in each.flatten().tolist()]) for each in tensors]


@pytest.mark.parametrize("ending", ["", "_"])
@pytest.mark.parametrize(("name", "arguments"), [(name, each) for name, calls in CALLS.items() for each in calls])
def test_lists_are_computed_alike(subject, oracle, name, arguments, ending):
    expected = outcome(oracle, name + ending, arguments)
    found = outcome(subject, name + ending, arguments)
    if isinstance(expected[1], str):
        assert found[0] is expected[0]
    else:
        assert found == expected
