"""A tour of the autograd graph and of `detach()`, the scissors that cut it.

    python examples/detach_tour.py         with PyTorch
    wengert run examples/detach_tour.py    with wengert

Both print the same text. docs/detach.md tells the story around it.
"""

import weakref

import torch
import torch.nn as nn


def title(number, words):
    print(f"\n{number}. {words}")


def attempt(action, gist):
    """Do what must fail, and print the error's class and the part of its sentence that says why."""
    try:
        action()
    except Exception as error:
        said = gist if gist in " ".join(str(error).split()) else str(error)
        print(f"   {type(error).__name__}: {said}")
    else:
        print("   no error")


def the_graph():
    title(1, "The graph: leaves, what is computed from them, the root")
    x = torch.tensor([2.0, 3.0], requires_grad=True)
    y = x * x
    z = y.sum()
    for name, tensor in (("x", x), ("y = x * x", y), ("z = y.sum()", z)):
        node = type(tensor.grad_fn).__name__ if tensor.grad_fn is not None else "none"
        print(f"   {name:<12} {tensor.is_leaf!s:<6} leaf, grad_fn {node}")
    print("  ", y)
    (product, _), (leaf, _) = z.grad_fn.next_functions[0], y.grad_fn.next_functions[0]
    print("   backward goes", " -> ".join(type(node).__name__ for node in (z.grad_fn, product, leaf)), "-> x.grad")
    z.backward()
    print("   after z.backward(), x.grad =", x.grad, "and y.grad is kept only on request")


def gradients_accumulate():
    title(2, "Gradients accumulate until they are cleared")
    w = torch.tensor([1.0], requires_grad=True)
    for _ in range(3):
        (w * 2).backward()
        print("   w.grad =", w.grad)
    w.grad.zero_()
    (w * 2).backward()
    print("   after zero_():", w.grad)


def a_detached_tensor():
    title(3, "detach(): the same numbers, no history")
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x * 2
    d = y.detach()
    print("   y =", y)
    print("   d =", d)
    print("   d.requires_grad, d.grad_fn, d.is_leaf:", d.requires_grad, d.grad_fn, d.is_leaf)
    print("   one memory:", d.data_ptr() == y.data_ptr())
    d[0] = 100.0
    print("   written through d, seen in y:", y)
    with torch.no_grad():
        y[1] = -1.0
    print("   written through y, seen in d:", d)
    later = d * 5 + 1
    print("   later operations are not recorded:", later, later.grad_fn)


def a_new_leaf():
    title(4, "requires_grad_() on it starts a new graph")
    x = torch.tensor([3.0], requires_grad=True)
    d = (x * x).detach().requires_grad_()
    (d * 10).sum().backward()
    print("   d is a leaf:", d.is_leaf, "with gradient", d.grad, "while x.grad is", x.grad)


class Watched(torch.autograd.Function):
    """The identity; its node carries a token, so that a weak reference tells whether the graph is alive."""

    @staticmethod
    def forward(ctx, x, token):
        ctx.token = token
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


class Token:
    pass


def logging_the_loss():
    title(5, "A log of losses over 10,000 steps: what keeps the graphs alive")
    w = torch.ones(3, requires_grad=True)

    def one_step(keep):
        token = Token()
        loss = (Watched.apply(w, token) ** 2).sum()
        return keep(loss), weakref.ref(token)

    for name, keep in (
        ("loss", lambda loss: loss),
        ("loss.detach()", lambda loss: loss.detach()),
        ("loss.item()", lambda loss: loss.item()),
    ):
        history = [one_step(keep) for _ in range(10_000)]
        alive = sum(token() is not None for _, token in history)
        print(f"   keeping {name:<14} graphs alive: {alive}")


def one_branch():
    title(6, "Cutting one branch leaves the other")
    a = torch.tensor([1.0], requires_grad=True)
    b = a * 2
    c = b.detach()
    d = c * 3  # through the cut: nothing
    e = b * 4  # past the cut: 2 * 4
    (d + e).sum().backward()
    print("   d =", d, " e =", e)
    print("   a.grad =", a.grad, "(with both branches it would be 14)")


def actor_and_critic():
    title(7, "Actor and critic: a cut in each direction")
    torch.manual_seed(0)
    actor, critic = nn.Linear(4, 2), nn.Linear(4, 1)
    state, reward, action = torch.ones(1, 4), 1.0, 0

    def who_learns(loss):
        actor.zero_grad()
        critic.zero_grad()
        loss.backward()
        reached = ["no" if model.weight.grad is None else "yes" for model in (actor, critic)]
        return f"actor {reached[0]}, critic {reached[1]}"

    def advantage():
        return reward - critic(state).squeeze()

    def log_probability():
        return torch.log_softmax(actor(state), dim=1)[0, action]

    print("   -log p * advantage            gradient to:", who_learns(-log_probability() * advantage()))
    print("   -log p * advantage.detach()   gradient to:", who_learns(-log_probability() * advantage().detach()))
    print("   advantage ** 2                gradient to:", who_learns(advantage() ** 2))
    features = torch.tanh(actor(state))
    head = nn.Linear(2, 1)
    print("   head(features.detach()) ** 2  gradient to:", who_learns(head(features.detach()).sum() ** 2))


def writing_into_an_alias():
    title(8, "Writing into a detached alias of what backward needs is caught; a clone is free")
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = x.exp()  # the derivative of exp is exp: backward needs y
    y.detach().mul_(10)
    attempt(
        lambda: y.sum().backward(),
        "one of the variables needed for gradient computation has been modified by an inplace operation",
    )
    y = x.exp()
    y.detach().clone().mul_(10)
    y.sum().backward()
    print("   with a clone: x.grad =", x.grad)


def writing_through_data():
    title(9, ".data is the same memory without the safety net")
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = x.exp()
    versions = y._version, y.detach()._version
    y.data.mul_(10)
    print("   version before and after:", versions[0], y._version)
    y.sum().backward()
    print("   no error, and a wrong gradient: x.grad =", x.grad)


def to_numpy():
    title(10, "NumPy sees detached tensors only")
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    attempt(y.numpy, "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
    array = y.detach().numpy()
    array[0] = 7.0
    print("   y.detach().numpy() shares memory:", y)


def a_number():
    title(11, "item() takes the number and leaves the graph alone")
    x = torch.tensor([3.0], requires_grad=True)
    loss = (x**2).sum()
    print("   loss.item() =", loss.item(), "of", loss)
    loss.backward()
    print("   x.grad =", x.grad)


def no_grad_and_detach():
    title(12, "no_grad() doesn't record; detach() forgets one tensor's record")
    x = torch.tensor([2.0], requires_grad=True)
    with torch.no_grad():
        unrecorded = x * 3
    y = x * 3
    cut = y.detach()
    print("   inside no_grad:", unrecorded, unrecorded.requires_grad)
    print("   y.detach():    ", cut, cut.requires_grad)
    print("   y itself:      ", y)
    y.backward()
    print("   the original graph still works: x.grad =", x.grad)


def in_place():
    title(13, "detach_() cuts the tensor itself")
    x = torch.tensor([2.0], requires_grad=True)
    y = x * 3
    same = y.detach_()
    print("   the same object:", same is y, " leaf:", y.is_leaf, " grad_fn:", y.grad_fn)


def nothing_to_go_back_to():
    title(14, "backward() needs a graph")
    a = torch.tensor([1.0], requires_grad=True)
    d = (a * 2).detach() * 3
    attempt(d.backward, "element 0 of tensors does not require grad and does not have a grad_fn")
    e = (a * a).sum()
    e.backward()
    attempt(e.backward, "Trying to backward through the graph a second time")
    attempt((a.expand(2) * 2).backward, "grad can be implicitly created only for scalar outputs")
    attempt(lambda: a.add_(1), "a leaf Variable that requires grad is being used in an in-place operation.")


TOUR = (
    the_graph,
    gradients_accumulate,
    a_detached_tensor,
    a_new_leaf,
    logging_the_loss,
    one_branch,
    actor_and_critic,
    writing_into_an_alias,
    writing_through_data,
    to_numpy,
    a_number,
    no_grad_and_detach,
    in_place,
    nothing_to_go_back_to,
)

if __name__ == "__main__":
    print("The autograd graph, and what detach() does to it")
    for stop in TOUR:
        stop()
