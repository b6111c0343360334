"""An answer in words: what kind of thing happened to a parameter, at which line, and the sentence that says so."""

from wengert.lens.sites import short, source_line


class Reason:
    """One answer: what kind of thing happened, at which line, and the sentence's end that follows "`w` …".

    Attributes:
        kind: "cut", "unused", "frozen", "not a leaf", "no backward", "reset", "zero", "not finite", "arrives", ...
        file, line: the line that did it; None where no line is to blame.
        tail: what follows the parameter's name.
        rank: how much it explains; of several reasons the one with the highest rank is told.
    """

    def __init__(self, kind, tail, place=None, at=None, rank=0):
        self.kind, self.tail, self.rank = kind, tail, rank
        self.lost = None  # what became of a result that never enters the loss: a `Fate`
        self.by_number = False  # a zero that came of a number of the program
        self.part = None  # the module in which ended what was computed from the parameter
        self.behind = frozenset()  # for a zero that follows from others: the lines of what it was computed from
        known = place is not None and place.frames
        self.file, self.line = at if at is not None else (place.file, place.line) if known else (None, None)

    def said_of(self, names, loss):
        """The whole sentence about the parameters of these names (with their shapes)."""
        many = len(names) > 1
        words = PLURAL if many else SINGULAR
        tail = self.tail
        for word in WORDS:
            tail = tail.replace(f"{{{word}}}", words[word])
        shown_names = names if len(names) <= 4 else [*names[:3], f"{len(names) - 3} more"]
        subject = ", ".join(shown_names[:-1]) + (" and " if many else "") + shown_names[-1]
        return f"{subject} {tail.replace('{loss}', loss)}."

    def __repr__(self):
        return f"<{self.kind} at {self.file and short(self.file)}:{self.line}>"


WORDS = ("gets", "its", "it", "them", "is", "moves", "computes")


PLURAL = {
    "gets": "get",
    "its": "their",
    "it": "they",
    "them": "them",
    "is": "are",
    "moves": "move",
    "computes": "compute",
}
SINGULAR = {**{word: word for word in WORDS}, "them": "it"}


def shown(file, line, text=None):
    """``train.py:42 (`h = h.detach()`)``"""
    text = (source_line(file, line) if text is None else text).partition("  #")[0]
    return f"{short(file)}:{line}" + (f" (`{text}`)" if text else "")


def at(place):
    return shown(place.file, place.line, place.text) if place.frames else "an unrecorded line"


def near(site):
    """``MulBackward0 (train.py:43)``"""
    return f"{site.operation} ({site.place})" if site.place.frames else site.operation


# How a cut is said: what it is called, in the middle of a sentence.
CUTS = {
    "detach": "detach()",
    "detach_": "detach_()",
    "data": ".data",
    "item": "turning it into a Python number",
    "tolist": "tolist()",
    "numpy": "numpy()",
    "no_grad": "no_grad",
    "inference_mode": "inference_mode",
    "integer cast": "a cast to integers",
    "requires_grad_(False)": "requires_grad_(False)",
    "torch.tensor(x)": "torch.tensor(x), which copies the numbers only",
    "Parameter(x)": "Parameter(x), which takes the numbers only",
    "autograd.grad": "autograd.grad without create_graph=True, whose results are numbers only,",
}
