"""All parameters of a model at once: used, reached by the gradient, how large it is, updated or not, and why not."""

from wengert.lens import recorder
from wengert.lens.names import name_of, shape_of
from wengert.lens.sites import leaf_site, short, user_frames
from wengert.lens.sizes import size_of
from wengert.lens.ways import ancestry, walk
from wengert.lens.why import reason_for

HEADINGS = ("parameter", "shape", "used", "reached", "gradient", "optimizer", "where")


class Row:
    """One parameter: its name and shape; whether it was used, reached, held (None: not known); its gradient's norm.

    Where something is wrong, `reason` says what (see `reasons.Reason`), and `where` is the line to blame.
    """

    def __init__(self, name, shape, used, reached, norm, held, reason=None, where=None):
        self.name, self.shape, self.used, self.reached = name, shape, used, reached
        self.norm, self.held, self.reason, self.where = norm, held, reason, where

    @property
    def cells(self):
        norm = "—" if self.norm is None else f"{self.norm:.3g}"
        return (self.name, self.shape, said(self.used), said(self.reached), norm, said(self.held), self.where or "")


def said(answer):
    return {True: "yes", False: "no", None: "?"}.get(answer, answer)


class Check:
    """A table of parameters. Print it, or look at its `rows`; `ok` if every one is used, reached, and held.

    `show()` prints it by rich where that is installed (the extra `cli`), and as plain text otherwise.
    """

    def __init__(self, rows, loss):
        self.rows, self.loss = rows, loss

    @property
    def ok(self):
        return all(row.reason is None for row in self.rows)

    @property
    def sentences(self):
        """What is wrong, parameters with the same reason in one sentence."""
        groups = {}
        for row in self.rows:
            if row.reason is not None:
                reason = row.reason
                groups.setdefault((reason.kind, reason.file, reason.line, reason.tail), []).append(row)
        return [rows[0].reason.said_of([f"`{r.name}`" for r in rows], self.loss) for rows in groups.values()]

    def __str__(self):
        lines = [HEADINGS, *(row.cells for row in self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(HEADINGS))]
        text = ["  ".join(f"{cell:{width}}" for cell, width in zip(line, widths)).rstrip() for line in lines]
        return "\n".join([*text, *self.sentences])

    __repr__ = __str__

    def __rich__(self):
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text  # nothing of a program's names is markup

        table = Table(*HEADINGS)
        for row in self.rows:
            table.add_row(*map(Text, row.cells), style="red" if row.reason else None)
        return Group(table, *map(Text, self.sentences))

    def show(self):
        """Print the table, in colour where rich is installed."""
        try:
            from rich import print as show
        except ImportError:
            show = print
        show(self)


def check(model, loss, optimizer=None):
    """How each parameter of `model` fares with the gradient of `loss`, as a `Check`.

    Ask after ``loss.backward()``, inside or after `lens.record()` for the lines to be known.

    Args:
        model: the module whose parameters are looked at.
        loss: the tensor on which backward was called.
        optimizer: whether it holds each parameter; None for all optimizers made while recording.
    """
    record = recorder.current or recorder.last
    loss_name = name_of(loss, user_frames(2))
    leaves = walk([loss._node])[1] if loss._node is not None else {}
    behind = ancestry(loss._origin) if loss._origin is not None else set()
    rows = []
    for name, parameter in model.named_parameters():
        site = leaf_site(parameter)
        reached = parameter._node in leaves
        used = reached or (site in behind if record is not None else None)
        grad = parameter._node.grad if parameter._node is not None else None
        norm = None if grad is None else size_of(grad) ** 0.5
        held = held_by(parameter, optimizer, record)
        reason = reason_for(parameter, loss, record, optimizer)
        row = Row(name, shape_of(parameter), used, reached, norm, held)
        if reason.kind != "arrives":
            row.reason = reason
            row.where = f"{short(reason.file)}:{reason.line}" if reason.file else reason.kind
        rows.append(row)
    return Check(rows, f"`{loss_name}`" if loss_name else "the loss")


def held_by(parameter, optimizer, record):
    if optimizer is not None:
        return any(p is parameter for group in optimizer.param_groups for p in group["params"])
    holders = record.holders_of(parameter) if record is not None else None
    return None if holders is None else bool(holders)


def check_of(witness):
    """The same table for a program that has ended, from what its `Witness` saw of each leaf."""
    from wengert.lens.verdict import Judge

    judge, rows = Judge(witness), []
    for story in witness.stories.values():
        if not (story.held or story.is_parameter):
            continue
        reason = judge.verdict(story)
        reached = f"{story.reached} of {witness.passes}"
        held = next((holder.kind for holder in story.holders), story.held)
        row = Row(story.name or "?", story.shape, bool(story.reached) or None, reached, story.norm, held)
        if reason is not None:
            row.reason = reason
            row.where = f"{short(reason.file)}:{reason.line}" if reason.file else reason.kind
        rows.append(row)
    return Check(rows, f"`{witness.loss_name}`" if witness.loss_name else "the loss")


def run_with_check(run):
    """Run a program and print, when it has ended, how its parameters fared; what it raises goes on."""
    from wengert.lens.witness import Witness

    witness = Witness()
    try:
        with witness:
            run()
    finally:
        print()
        check_of(witness).show()
