"""The ledger: what became of each gradient between the pass that brought it and the step that should use it.

A pass whose gradients were all dropped before any optimizer stepped was for nothing; a gradient that is still there
when the next pass begins, though a step has used it, is added to and used again.
"""

from collections import Counter

from wengert.lens.sizes import size_of

MOST_OPEN = 512  # passes of which it is not known yet what became of them
LOOKED_AT = 8  # leaves of a pass whose gradients are looked at


class Passed:
    """A backward pass: where it was called, and how many of its gradients still wait for a step."""

    __slots__ = ("place", "open", "used")

    def __init__(self, place):
        self.place, self.open, self.used = place, 0, False


class Tally:
    """What became of the passes that one line called: how many were used, dropped, and by which lines."""

    def __init__(self, place):
        self.place = place
        self.used = self.dropped = 0
        self.droppers = Counter()  # place of a zero_grad -> passes dropped by it


class Ledger:
    """The books of one program: `tallies` by line of backward."""

    def __init__(self):
        self.waiting = {}  # story -> the `Passed`s whose gradients it holds
        self.tallies = {}  # (code, line) of backward -> Tally
        self.last_resets = []  # places of the resets since the last pass

    def enter(self, place, stories, aside):
        """A pass brought gradients to the leaves of these stories; `aside`: to others too, which no optimizer holds."""
        passed = Passed(place)
        passed.used = aside
        for story in stories:
            passed.open += 1
            self.waiting.setdefault(story, []).append(passed)
            if len(self.waiting[story]) > MOST_OPEN:
                self.close(self.waiting[story].pop(0), False, None)
        self.last_resets = []

    def settle(self, stories, used, place):
        """An optimizer stepped with the gradients of these leaves (`used`), or they were dropped at a place."""
        if not used:
            self.last_resets.append(place)
        for story in stories:
            if not used:
                story.resets += 1
            for passed in self.waiting.pop(story, ()):
                self.close(passed, used, place)

    def close(self, passed, used, place):
        passed.open -= 1
        passed.used = passed.used or used
        if passed.open:
            return
        tally = self.tallies.setdefault(passed.place.shown[:2], Tally(passed.place))
        if passed.used:
            tally.used += 1
        else:
            tally.dropped += 1
            tally.droppers[place] += 1

    # --- gradients that stay ------------------------------------------------------------------------------------------

    def look_before(self, pairs):
        """A pass begins: are the gradients still there that a step has used since the last one? (story, leaf) pairs."""
        for story, leaf in pairs[:LOOKED_AT]:
            held = leaf.grad is not None and size_of(leaf.grad) > 0
            if story.after_pass is None:
                continue
            before, story.after_pass = story.after_pass, None
            if not held:
                story.was_reset = True
            elif story.fingerprint_now() != before:
                story.unreset += 1
                story.reset_beside = self.last_resets[-1] if self.last_resets else None

    def look_after(self, pairs):
        """A pass is over: remember the leaves as they are now."""
        for story, leaf in pairs[:LOOKED_AT]:
            if leaf.grad is not None and size_of(leaf.grad):
                story.after_pass = story.fingerprint_now()
