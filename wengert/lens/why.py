"""The question: why does a parameter get no gradient, an empty one, or one that is no number? The answer in words."""

from wengert.autograd.graph import AccumulateGrad
from wengert.lens import recorder
from wengert.lens.names import name_of, name_parameters, shape_of
from wengert.lens.reasons import Reason, at
from wengert.lens.sites import leaf_site, user_frames
from wengert.lens.sizes import INFINITY, size_of
from wengert.lens.values import bad_gradient_reason, fault_reason, zero_reason
from wengert.lens.ways import birth_of, missing, no_grad_asked, walk


class Answer(str):
    """A sentence, with `kind`, and `file` and `line` of what it blames (or None)."""

    kind: str
    file: str | None
    line: int | None

    def __repr__(self):
        return str(self)


def why(parameter, loss, optimizer=None):
    """Why `parameter` gets no gradient from `loss`, in words.

    Ask where the program has them at hand, inside or after `lens.record()`: without a record the lines are not known.

    Args:
        parameter: the tensor whose `.grad` is None, zero or not finite.
        loss: the tensor on which backward is (or was) called.
        optimizer: also say so if this optimizer does not hold the parameter.

    Returns an `Answer`: a sentence, with `kind`, `file` and `line`.
    """
    frames = user_frames(2)
    names = name_parameters(frames)
    name = names[id(parameter)][0] if id(parameter) in names else name_of(parameter, frames) or "this parameter"
    loss_name = name_of(loss, frames)
    reason = reason_for(parameter, loss, recorder.current or recorder.last, optimizer)
    said = reason.said_of([f"`{name}` (shape {shape_of(parameter)})"], f"`{loss_name}`" if loss_name else "the loss")
    answer = Answer(said)
    answer.kind, answer.file, answer.line = reason.kind, reason.file, reason.line
    return answer


def reason_for(parameter, loss, record, optimizer=None):
    """The `Reason` for what `parameter.grad` is after (or before) the backward pass of `loss`."""
    node = parameter._node
    if node is None:
        return no_grad_asked(parameter)
    if type(node) is not AccumulateGrad:
        site = parameter._origin
        made = f"{site.operation} at {at(site.place)}" if site is not None else node.name()
        tail = f"is not a leaf but the result of {made}: backward gives gradients to leaves; keep the leaf, or call "
        return Reason("not a leaf", f"{tail}retain_grad()", None if site is None else site.place, rank=3)
    root = loss._node
    order, leaves = walk([root]) if root is not None else ([], {})
    if node not in leaves:
        leaf = leaf_site(parameter)
        if leaf is None:
            return Reason("never used", "{gets} no gradient: no recorded operation used {them}", rank=1)
        return missing(leaf, loss._origin, record)
    fault = fault_reason(loss._origin)
    grad = node.grad
    if grad is None:
        return none_after(node, order, record)
    size = size_of(grad)
    if not size < INFINITY:
        bad = record.bad_gradient if record is not None else None
        if fault is None and bad is not None:
            fault = bad_gradient_reason(bad[0])
        if fault is None:
            return Reason("not finite", "{gets} a gradient that is infinite or NaN", rank=2)
        return Reason(
            "not finite", f"{{gets}} a gradient that is infinite or NaN: {fault.tail}", at=(fault.file, fault.line)
        )
    if size == 0:
        return zero_reason(node, order)
    held = record.holders_of(parameter) if record is not None else None
    if optimizer is not None:
        held = [optimizer] if any(p is parameter for g in optimizer.param_groups for p in g["params"]) else []
    norm = f"{{gets}} a gradient of norm {size**0.5:.3g}"
    if held == []:
        return Reason(
            "not held",
            f"{norm}, but no optimizer holds {{them}}, so {{it}} {{is}} never updated",
            birth_of(leaf_site(parameter)),
        )
    return Reason("arrives", norm, rank=0)


def none_after(node, order, record):
    """The reason why a leaf that `order` leads to has no `.grad`."""
    ran = [n for n in order if n.site_ is not None and n.site_.visited]
    if not ran:
        return Reason("no backward", "has no gradient yet: backward was not called on {loss}", rank=1)
    stopped = zero_reason(node, order)
    if stopped.kind == "cut":
        return stopped
    last = max(n.site_.visited for n in ran)
    resets = [place for place, passes, _ in (record.resets if record is not None else ()) if passes >= last]
    if resets:
        return Reason(
            "reset", f"got a gradient, and zero_grad at {at(resets[-1])} dropped it afterwards", resets[-1], rank=3
        )
    return Reason(
        "reset", "got a gradient, and it was dropped afterwards (`.grad = None`, or autograd.grad was asked)", rank=2
    )
