"""The verdict: of all that a witness saw, what is wrong.

A parameter that ought to learn and can't, memory that grows, a number that is none: each is a `Finding`, with the line
to blame. What is merely unusual, and may well be meant, becomes a note. A cut that costs no gradient is the program's
own business.
"""

import re
from itertools import pairwise

from wengert.lens import idioms, source
from wengert.lens.leaves import NO_WAY, Leaves, root_name
from wengert.lens.reasons import at, shown
from wengert.lens.sites import short
from wengert.lens.ways import of_cut


class Finding:
    """One thing that is wrong: its kind (one of `KINDS` or "error"), the sentence, and the line to blame."""

    def __init__(self, kind, sentence, file=None, line=None):
        self.kind, self.sentence, self.file, self.line = kind, sentence, file, line

    @property
    def where(self):
        return f"{short(self.file)}:{self.line}" if self.file else None


class Judge:
    """Judges what `seen`, a `Witness`, has seen.

    `notes` are (reason, stories) of what is worth a word but no finding.
    """

    def __init__(self, seen):
        self.seen = seen
        self.notes = []
        self.leaves = Leaves(seen)

    def findings(self, ended_early=False):
        """Everything that is wrong, the worst first; little is sure where the program ended before its time."""
        dropped = [] if ended_early else self.of_dropped_gradients()
        found = self.of_fault() + self.of_parameters(ended_early)
        if not ended_early:
            failed = self.seen.failed if self.seen.holders else ()
            if len(failed) >= 2 or (failed and not self.seen.steps):
                found = [f for f in found if f.kind != "no-grad"] + list(failed)[:1]
            odd = self.seen.oversights.findings(self.files, {s.key for s in self.stories if s.moved})
            found += [Finding(kind, sentence, *place) for kind, sentence, place in odd]
        if not found and not ended_early:
            found += dropped + self.of_kept_gradients() + self.of_stale_values()
            found += self.of_idle_terms() or self.of_idle_values()
        if not ended_early:
            found += self.of_leaks()
        found += self.of_hazards()
        lines = [(f.file, f.line) for f in found]
        return [f for i, f in enumerate(found) if lines[i] == (None, None) or lines[i] not in lines[:i]]

    def of_fault(self):
        if self.seen.fault is None:
            return []
        reason, number, what, _ = self.seen.fault
        subject = (
            f"`{self.seen.loss_name}`"
            if what == "loss" and self.seen.loss_name
            else "The loss"
            if what == "loss"
            else "A gradient"
        )
        sentence = f"{subject} is infinite or NaN from backward pass {number} on: {reason.tail}."
        return [Finding("nan", sentence, reason.file, reason.line)]

    def of_kept_gradients(self):
        """Gradients that no one ever sets back: each pass adds to those that the steps have used already."""
        kept = [s for s in self.stories if s.unreset >= 3 and not (s.resets or s.was_reset)]
        if not kept:
            return []
        made = kept[0].reached_at
        backward = made[0].co_filename, made[1]
        start = f"{listing([s.said for s in kept])} {'keep' if len(kept) > 1 else 'keeps'} the gradients of all passes"
        beside = kept[0].reset_beside
        if beside is not None and all(s.reset_beside is beside for s in kept):
            sentence = f"{start}: zero_grad at {at(beside)}, before backward at {shown(*backward)}, is for others."
            return [Finding("no-grad", sentence, beside.file, beside.line)]
        unsaid = idioms.not_called(self.files, "zero_grad")
        if unsaid is not None and unsaid[2] is None:
            sentence = f"{start}: {shown(*unsaid[:2])} names zero_grad without calling it."
            return [Finding("no-grad", sentence, *unsaid[:2])]
        sentence = (
            f"{start}: backward at {shown(*backward)} adds to gradients that a step has used already, for nothing sets "
            "them back. Call zero_grad() once for each step."
        )
        return [Finding("no-grad", sentence, *backward)]

    def of_dropped_gradients(self):
        """Passes whose gradients zero_grad drops before any step, most of the time."""
        found = []
        if any(source.attribute_is_used([code.co_filename], "grad") for code, _ in self.seen.callers):
            return found  # the program makes something of them itself
        for tally in self.seen.ledger.tallies.values():
            if tally.dropped < 3 or tally.dropped < 2 * tally.used:
                continue
            ((by, _),) = tally.droppers.most_common(1)
            total = tally.dropped + tally.used
            sentence = (
                f"Of {total} passes by backward at {at(tally.place)}, {tally.dropped} are for nothing: zero_grad at "
                f"{at(by)} drops their gradients before any step"
            )
            place = by
            self.leaves.wasted.add(tally.place.shown[:2])
            if tally.used and self.seen.steps:
                place = self.seen.steps[-1][0]
                sentence += f". The optimizer steps too rarely, at {at(place)}"
            found.append(Finding("no-grad", f"{sentence}.", place.file, place.line))
        return found

    def of_stale_values(self):
        """Values computed once from parameters that steps have changed since."""
        return [
            Finding(
                "no-grad",
                f"What {at(site.place)} computes from {listing([s.said for s in stories])} is computed once and used in"
                f" {len(passes)} passes: the steps change these, and never what was computed. Do it in every pass.",
                site.file,
                site.line,
            )
            for site, passes, stories in self.seen.stale.values()
            if len(passes) >= 3
        ]

    def of_idle_terms(self):
        """Terms of the loss that train nothing."""
        found = []
        for times, added, cut, before in self.seen.idle_terms.values():
            if times >= 2 and any(s.held and s.reached for s in self.stories):
                text, (file, line) = of_cut(cut, before, ())
                sentence = (
                    f"The term that is added to the loss at {at(added.place)} trains nothing: it is cut by {text}."
                )
                found.append(Finding("no-grad", sentence, file, line))
        return found

    def of_idle_values(self):
        """Terms that are computed in every step and never read."""
        return [
            Finding(
                "no-grad",
                f"`{fate.name}`, computed at {shown(fate.file, fate.line)}, is never read: {shown(*fate.culprit)} goes "
                "on without it, so it trains nothing.",
                *fate.culprit,
            )
            for times, fate in self.seen.idle_values.found.values()
            if times >= 3
        ]

    def of_hazards(self):
        """Writes behind the graph's back; where nothing is trained they are the program's own business."""
        return (
            []
            if not self.seen.holders
            else [
                Finding(
                    "in-place",
                    f"{at(place)} writes through .data into a value that {site.operation} (made at {at(site.place)}) "
                    "had saved for its derivative: autograd can't see it, and the gradient is wrong without an error.",
                    place.file,
                    place.line,
                )
                for place, _, site in self.seen.hazards.values()
            ]
        )

    def of_leaks(self):
        found = {}
        for calls in self.seen.callers.values():
            for how in ("kept", "carried"):
                samples = [s for s in calls.samples if s["how"] == how]
                if how == "kept":
                    samples = [s for s in samples if not any(site.visited > s["pass"] for site in s["sites"])]
                    grown = samples and max(s["graphs"] for s in samples) >= 3
                else:
                    sizes = [s["graphs"] for s in samples]
                    grown = len(sizes) >= 2 and sizes[-1] >= 3 and all(a < b for a, b in pairwise(sizes))
                if not grown:
                    continue
                with_leak = [s for s in samples if "leak" in s]
                if not with_leak:
                    continue
                leak = max(with_leak, key=lambda s: s["graphs"])["leak"]
                key = (leak.file, leak.line)
                if key not in found or found[key][1].graphs < leak.graphs:
                    found[key] = (samples, leak)
        for last, leak, sites in self.seen.unfinished:
            if last == self.seen.passes > 0 and not any(site.visited for site in sites):
                found[leak.file, leak.line] = ([{"graphs": leak.graphs}], leak)
        return [
            Finding(
                "leak",
                f"Memory grows: {leak}."
                + f" Graphs of past steps alive: {', then '.join(str(s['graphs']) for s in thinned(samples))}.",
                leak.file,
                leak.line,
            )
            for samples, leak in found.values()
        ]

    def of_parameters(self, ended_early=False):
        """The leaves that do not learn, those with the same reason together."""
        groups = {}
        for story in self.seen.stories.values():
            reason = self.verdict(story)
            if reason is None or (ended_early and not (reason.kind in CERTAIN and story.steps)):
                continue
            key = (reason.kind, reason.file, reason.line, reason.tail if reason.file is None else None)
            groups.setdefault(key, (reason, []))[1].append(story)
        self.notes = [group for group in groups.values() if group[0].kind in MEANT]
        groups = [group for group in groups.values() if group[0].kind not in MEANT]
        blamed = {(r.file, r.line) for r, _ in groups if r.kind == "not held"}
        groups = [  # what an optimizer holds that was given the wrong parameters follows from that
            (r, stories)
            for r, stories in groups
            if r.kind != "frozen" or not any((h.place.file, h.place.line) in blamed for h in stories[0].holders)
        ]
        lost = {(r.file, r.line) for r, _ in groups if r.kind == "zero"}
        groups = [
            (r, stories) for r, stories in groups if not (r.kind == "zero" and ((r.behind - {(r.file, r.line)}) & lost))
        ]
        found = self.of_wrong_optimizer(groups)
        for reason, stories in groups:
            loss = f"`{self.seen.loss_name}`" if self.seen.loss_name else "the loss"
            names = [s.said for s in stories]
            found.append(Finding("no-grad", reason.said_of(names, loss), reason.file, reason.line))
        for place, passes in self.seen.gone.items():
            if len(passes) >= 2 and self.seen.holders:
                sentence = (
                    f"The module made at {at(place)} is made anew in every step: its parameters get gradients, but no "
                    "optimizer ever holds them. Make it once, in __init__."
                )
                found.append(Finding("no-grad", sentence, place.file, place.line))
        return found

    def of_wrong_optimizer(self, groups):
        """An optimizer that was given another network than the one in use, or not all: taken out of `groups`."""
        roots = {root_name(s) for s in self.seen.stories.values() if s.held}
        left_out = [g for g in groups if g[0].kind == "not held" and root_name(g[1][0]) not in roots]
        if not left_out or not self.seen.holders:
            return []
        held = [s for s in self.stories if s.held]
        idlers = {h for s in held for h in s.holders if not any(other.reached for other in held if h in other.holders)}
        idle = [g for g in groups if g[0].kind in NO_WAY and all(s.held and idlers.issuperset(s.holders) for s in g[1])]
        stories = [s for _, members in left_out for s in members]
        names = f"{listing([s.said for s in stories])} {'get' if len(stories) > 1 else 'gets'}"
        places = self.makers([s for _, members in idle for s in members], root_name(stories[0]))
        place = places[0]
        if idle and STAND_IN.search(root_name(stories[0])) and stories[0].used_at is not None:
            place = stories[0].used_at  # not the optimizer is wrong: this network is not meant to be trained
            called = idioms.loud_call(self.files, root_name(stories[0]))
            place = place if called is None else place.at_line(called)
        for group in left_out + idle:
            groups.remove(group)
        sentence = f"{names} gradients, but no optimizer holds {'them' if len(stories) > 1 else 'it'}"
        if idle:
            unused = [s.said for _, members in idle for s in members]
            sentence += (
                f". The one made at {at(places[0])} holds {listing(unused)}, of which nothing enters the loss"
                if place is places[0]
                else f", and what is used at {at(place)} stands in for {listing(unused)}, which the one made at "
                f"{at(places[0])} holds"
            )
        else:
            sentence += f": the one made at {at(place)} was not given {'them' if len(stories) > 1 else 'it'}"
        return [Finding("no-grad", sentence + ".", place.file, place.line)]

    def makers(self, idle, wanted):
        """The places where optimizers were made, first those that hold `idle` leaves, or ones that others hold."""
        holders = {}
        for story in self.seen.stories.values():
            for holder in story.holders:
                holders.setdefault(holder, []).append(story)

        def suspicion(item):
            holder, stories = item
            doubled = sum(len(s.holders) > 1 for s in stories)
            later = self.seen.holders.index(holder) if doubled else 0
            return (sum(s in idle for s in stories), doubled, doubled and is_called_after(holder.name, wanted), later)

        ranked = sorted(holders.items(), key=suspicion, reverse=True)
        if ranked and not any(suspicion(ranked[0])):
            ranked = ranked[::-1]
        return [holder.place for holder, _ in ranked] or [holder.place for holder in self.seen.holders]

    def verdict(self, story):
        """The `Reason` why a leaf does not learn; None if it does, or is not meant to."""
        return self.leaves.verdict(story)

    @property
    def stories(self):
        return self.seen.stories.values()

    @property
    def files(self):
        """The files of the program that called backward."""
        return self.seen.files


# Kinds of reasons that may well be meant: they make notes.
MEANT = ("features", "by choice", "left aside")

# What networks are called that are not trained themselves.
STAND_IN = re.compile("target|teacher|ema|old|frozen|reference|average|swa|momentum", re.IGNORECASE)

CERTAIN = ("cut", "zero", "replaced")  # what may be said of a parameter though the program ended before its time


def is_called_after(variable, name):
    """Whether an optimizer's variable seems to speak of a network's, as `opt_g` does of `gen`."""
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]", variable.rpartition(".")[2])]
    name = name.lower()
    return any((name.startswith(word) or name.endswith(word)) for word in words)


def listing(names):
    shown_names = names if len(names) <= 4 else [*names[:3], f"{len(names) - 3} more"]
    return ", ".join(shown_names[:-1]) + (" and " if len(names) > 1 else "") + shown_names[-1]


def thinned(samples):
    return (
        samples
        if len(samples) <= 4
        else [samples[0], samples[len(samples) // 3], samples[2 * len(samples) // 3], samples[-1]]
    )
