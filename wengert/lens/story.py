"""What happened to one leaf of a program, and what is remembered of an optimizer: notes that a witness keeps."""

import weakref

from wengert.lens.names import shape_of
from wengert.lens.sizes import size_of
from wengert.tensor import Parameter


class Story:
    """What happened to one leaf."""

    def __init__(self, site, tensor):
        self.site = site
        self.tensor = weakref.ref(tensor)
        self.key = id(tensor)  # which names it after it is gone, too
        self.name = None
        self.shape = shape_of(tensor)
        self.size = tensor._array.size
        self.is_parameter = isinstance(tensor, Parameter)
        self.holders = {}  # the optimizers that were given it, each a `Holder`, in order
        self.held_since = None  # how many passes had run when an optimizer got it
        self.held = False
        self.group = None  # (optimizer, number of its group, whether that has a rate of its own)
        self.reached = self.zero = self.faulty = 0
        self.steps = self.empty_steps = self.moved = self.unmoved = 0
        self.last_reached = self.last_got = self.last_step = -1
        self.norm = None  # of its gradient after the last pass that reached it
        self.asked = False  # its gradient was asked for by autograd.grad
        self.resets = self.unreset = 0  # zero_grads; passes that found the gradient there that a step had used
        self.was_reset = False  # its gradient was seen to be gone when a pass began
        self.reset_beside = None  # the place of the zero_grad before such a pass, which was not for this leaf
        self.after_pass = None  # its fingerprint at the end of the last pass that was looked at
        self.lost = []  # places where its gradient was dropped between backward and step
        self.used_at = None  # the place of an operation that used it, in the first pass that reached it
        self.beside_chosen = False  # an optimizer was given some parameters of the same modules, not whole modules
        self.unregistered = False  # it is used in a module that does not know it
        self.feeds = None  # as yet, only features for what is trained were computed with it: see `layout`
        self.changed = False  # its numbers were seen to change
        self.of_module = False  # a module that was called knows it
        self.reached_at = None  # the place of the first backward pass that reached it
        self.resting = False  # its module was seen in evaluation mode
        self.reason = None
        self.latest = -1, None  # the number of the last pass that was asked why it did not come here, and the answer
        self.settled = False  # the reason is that of a pass after which its optimizer stepped
        self.zero_reason = None
        self.print = fingerprint(tensor)
        self.size_at_first = size_of(tensor._array)
        self.requires_grad = tensor.requires_grad
        self.ever_required = tensor.requires_grad

    @property
    def said(self):
        return f"`{self.name or 'a tensor'}` ({self.shape})"

    def fingerprint_now(self):
        tensor = self.tensor()
        return None if tensor is None else fingerprint(tensor)

    def passes_since(self, passes):
        """How many of so many passes have run since an optimizer held it."""
        return passes - (self.held_since or 0)

    @property
    def has_moved(self):
        tensor = self.tensor()
        return tensor is not None and fingerprint(tensor) != self.print

    def blame(self, reason, passes):
        """Note why the pass of this number did not reach the leaf; of several reasons the strongest is kept."""
        self.latest = (passes, reason)
        if not self.settled and (self.reason is None or reason.rank > self.reason.rank):
            self.reason = reason

    def settle(self, passes):
        """An optimizer that holds the leaf steps: it was the pass before that should have reached it."""
        if not self.settled and self.latest[0] == passes:
            self.reason, self.settled = self.latest[1], True


def fingerprint(tensor):
    """A few of a tensor's numbers, to see later whether they changed."""
    return tensor._array.reshape(-1)[:512].tobytes() if tensor._array.size else b""


def is_sampled(number):
    """Whether the expensive questions are asked the n-th time: the first times, then ever more rarely."""
    return number <= 6 or number & (number - 1) == 0 or (number % 3 == 0 and (number // 3) & (number // 3 - 1) == 0)


class Holder:
    """What is remembered of an optimizer, which most programs make in a function and drop at its end."""

    def __init__(self, kind, place, made):
        self.kind, self.place = kind, place
        self.made = made  # how many sites there were when it was met first
        self.name = ""
        self.idle_steps = 0  # with a learning rate of 0
        self.lr = self.lr_at_first = None
        self.steps = 0
