"""The witness: a record that also keeps the story of each leaf of a program.

Which optimizer holds it, how often a gradient reached it, how often that was zero, whether it ever moved. When the
program has ended, what never worked is a *finding*: a parameter that ought to learn and can't, memory that grows, a
number that is none. A cut that costs no gradient is the program's own business.
"""

import weakref
from collections import deque
from itertools import pairwise

from wengert.autograd.graph import AccumulateGrad
from wengert.kernels.shape import root_of
from wengert.lens import source
from wengert.lens.memory import leak_of, live_nodes, size_kept
from wengert.lens.names import name_parameters, reachable, shape_of
from wengert.lens.recorder import INFINITY, Record, place_here, size_of
from wengert.lens.sites import NOWHERE, kept_by, short, user_frames
from wengert.lens.why import (
    NEVER_ASKED,
    Reason,
    at,
    bad_gradient_reason,
    fault_reason,
    leaf_site,
    missing,
    no_grad_asked,
    sent,
    shown,
    walk,
    zero_reason,
)
from wengert.optim.optimizer import Optimizer
from wengert.tensor import Parameter, Tensor


class Story:
    """What happened to one leaf."""

    def __init__(self, site, tensor):
        self.site = site
        self.tensor = weakref.ref(tensor)
        self.name = None
        self.shape = shape_of(tensor)
        self.size = tensor._array.size
        self.is_parameter = isinstance(tensor, Parameter)
        self.holders = {}  # the optimizers that were given it, each a `Holder`, in order
        self.held_since = None  # how many passes had run when an optimizer got it
        self.held = False
        self.reached = self.zero = self.faulty = 0
        self.steps = self.empty_steps = self.moved = self.unmoved = 0
        self.last_reached = self.last_got = self.last_step = -1
        self.norm = None  # of its gradient after the last pass that reached it
        self.asked = False  # its gradient was asked for by autograd.grad
        self.lost = []  # places where its gradient was dropped between backward and step
        self.feeds = None  # as yet, only features for what is trained were computed with it: see `layout`
        self.changed = False  # its numbers were seen to change
        self.of_module = False  # a module that was called knows it
        self.reached_at = None  # the place of the first backward pass that reached it
        self.resting = False  # its module was seen in evaluation mode
        self.reason = None
        self.zero_reason = None
        self.print = fingerprint(tensor)
        self.size_at_first = size_of(tensor._array)
        self.replaced_by = None
        self.requires_grad = tensor.requires_grad
        self.ever_required = tensor.requires_grad

    @property
    def said(self):
        return f"`{self.name or 'a tensor'}` ({self.shape})"

    def blame(self, reason):
        if reason is not None and (self.reason is None or reason.rank > self.reason.rank):
            self.reason = reason


def fingerprint(tensor):
    """A few of a tensor's numbers, to see later whether they changed."""
    return tensor._array.reshape(-1)[:512].tobytes() if tensor._array.size else b""


def is_sampled(number):
    """Whether the expensive questions are asked the n-th time: the first times, then ever more rarely."""
    return number <= 6 or number & (number - 1) == 0 or (number % 3 == 0 and (number // 3) & (number // 3 - 1) == 0)


class Holder:
    """What is remembered of an optimizer, which most programs make in a function and drop at its end."""

    def __init__(self, kind, place):
        self.kind, self.place = kind, place
        self.name = ""
        self.lr = None
        self.steps = 0


class Finding:
    """One thing that is wrong: its kind (one of `KINDS` or "error"), the sentence, and the line to blame."""

    def __init__(self, kind, sentence, file=None, line=None):
        self.kind, self.sentence, self.file, self.line = kind, sentence, file, line

    @property
    def where(self):
        return f"{short(self.file)}:{self.line}" if self.file else None


class Calls:
    """The backward passes that one line of the program called."""

    def __init__(self):
        self.count = 0
        self.since = [0, 0]  # how many sites there were at the last two
        self.samples = []


class Witness(Record):
    """A record that keeps the story of a training: what was trained, what got no gradient, what stayed in memory."""

    def __init__(self):
        super().__init__()
        self.stories = {}  # id of a leaf's site -> its story
        self.gone = {}  # stories of leaves that are gone, by the line that made them
        self.callers = {}  # place of a backward call -> Calls
        self.holders = []  # what is known of each optimizer, gone or not
        self.holder_of = weakref.WeakKeyDictionary()
        self.fault = None
        self.leaks = {}
        self.notes = []  # (reason, stories) of what is worth a word but no finding
        self.graph_size = []  # (pass, nodes, bytes) of sampled graphs
        self.cut_places = {}  # (place, kind) -> [times, the latest cut]
        self.secret = {}  # id of memory written through .data -> (weak reference, site of the .data, place, when)
        self.hazards = {}
        self.now = None
        self.loss_name = None
        self.previous_print = {}
        self.last_walk = None  # of the last pass: its nodes and its place
        self.pass_starts = deque(maxlen=64)  # of each pass: how many sites there were, its place

    # --- stories ----------------------------------------------------------------------------------------------------

    def story(self, tensor):
        """The story of a leaf tensor."""
        site = leaf_site(tensor)
        if site is None:
            site = self.leaf(tensor)
        found = self.stories.get(id(site))
        if found is None:
            found = self.stories[id(site)] = Story(site, tensor)
        return found

    def holder(self, optimizer):
        """The `Holder` of an optimizer."""
        found = self.holder_of.get(optimizer)
        if found is None:
            found = Holder(type(optimizer).__name__, self.optimizers.get(optimizer, NOWHERE))
            self.holder_of[optimizer] = found
            self.holders.append(found)
        return found

    def give_names(self, frames):
        """Name the leaves that the frames know, and see which modules are trained."""
        for name, tensor in name_parameters(frames).values():
            if tensor._node is None or type(tensor._node) is AccumulateGrad:
                known = tensor._origin is not None and id(leaf_site(tensor)) in self.stories
                if known:
                    story = self.story(tensor)
                    story.name = story.name or name

    def note_optimizer(self, optimizer):
        super().note_optimizer(optimizer)
        holder = self.holder(optimizer)
        frames = user_frames(2)
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p._node is None or type(p._node) is AccumulateGrad:
                    story = self.story(p)
                    story.held = True
                    story.holders[holder] = None
                    if story.held_since is None:
                        story.held_since = self.passes
        self.give_names(frames)

    # --- passes -----------------------------------------------------------------------------------------------------

    def note_pass(self, nodes, wanted, over):
        if not over and self.calls.passes == 0:
            super().note_pass(nodes, wanted, over)
            self.begin(nodes, wanted)
            return
        if over and self.calls.passes == 1 and self.now is not None:
            self.end(nodes, wanted)
        super().note_pass(nodes, wanted, over)

    def begin(self, nodes, wanted):
        self.bad_gradient = None
        place = place_here(self.places, 3)
        calls = self.callers.setdefault(place.shown[:2], Calls())
        calls.count += 1
        order, leaves = walk(nodes)
        self.now = order, leaves, place
        self.last_walk = order, place
        self.pass_starts.append((self.count, place))
        fresh = False
        for node in leaves:
            tensor = node._variable()
            if tensor is not None:
                site = leaf_site(tensor)
                fresh = fresh or site is None or id(site) not in self.stories
                self.story(tensor)
        sampled = is_sampled(self.passes) or is_sampled(calls.count)
        frames = user_frames(3) if sampled or (fresh and calls.count < 50) else ()
        if frames:
            self.give_names(frames)
            self.loss_name = name_of_root(nodes, frames) or self.loss_name
        root = self.site(nodes[0])
        loss_finite = root is None or root.fault is None
        if not loss_finite and self.fault is None:
            reason = fault_reason(root)
            if reason is not None:
                self.fault = (self.divergence(reason) or reason, self.passes, "loss", place)
        if sampled:
            self.note_layout(order, leaves)
            self.question_unreached(nodes, leaves, wanted)
            if wanted is None:
                self.measure(order, calls, frames)
        self.look_for_secret_writes(order)
        calls.since = [calls.since[1], self.count]

    def divergence(self, reason):
        """The reason for a loss that overflowed because the parameters had grown and grown; None if they had not."""
        for story in self.stories.values():
            tensor, holder = story.tensor(), next(iter(story.holders), None)
            if tensor is None or holder is None or not story.size_at_first:
                continue
            size = size_of(tensor._array)
            growth = (size / story.size_at_first) ** 0.5
            if not growth < 1e3:
                place = holder.place
                tail = (
                    f"training diverged: {story.said} grew to {growth:.0e} times its size under the optimizer made at "
                    f"{at(place)} (lr={holder.lr:g}); {reason.tail}"
                )
                return Reason("not finite", tail, place, rank=5)
        return None

    def note_layout(self, order, leaves):
        """For each leaf that no optimizer holds: does it only compute features for what is trained?"""
        stories = {leaf: self.story(t) for leaf in leaves if (t := leaf._variable()) is not None}
        known = {id(p) for module in self.modules for p in module.parameters()}
        for leaf, story in stories.items():
            story.of_module = story.of_module or id(leaf._variable()) in known
        loose = {leaf: story for leaf, story in stories.items() if not story.held}
        if not loose or len(loose) == len(stories):
            for story in loose.values():
                story.feeds = False
        else:
            trained = {leaf for leaf, story in stories.items() if story.held}
            behind, before = layout(order, trained)
            for leaf, story in loose.items():
                nodes = [node for node, _ in leaves[leaf]]
                features = all(node not in behind and node in before for node in nodes)
                story.feeds = features and story.feeds is not False and not self.is_unregistered(leaf, nodes)
        for story in loose.values():
            tensor = story.tensor()
            story.changed = story.changed or fingerprint(tensor) != story.print
            story.resting = story.resting or self.is_resting(tensor)

    def is_unregistered(self, leaf, nodes):
        """Whether a leaf was used in the forward of a module that does not know it: a layer in a plain list."""
        tensor = leaf._variable()
        parts = {n.site_.part.whole for n in nodes if n.site_ is not None and n.site_.part is not None}
        return any(all(p is not tensor for p in whole.module.parameters()) for whole in parts if whole.module)

    def question_unreached(self, nodes, leaves, wanted):
        """For each leaf that an optimizer holds and that no pass has reached yet: why not this one?"""
        if wanted is not None:
            return
        root = self.site(nodes[0])
        for story in list(self.stories.values()):
            tensor = story.tensor()
            if tensor is None or not story.held or story.reached or tensor._node in leaves:
                continue
            if tensor._node is not None:
                story.blame(missing(story.site, root, self))

    def end(self, nodes, wanted):
        order, leaves, place = self.now
        self.now = None
        faulty = False
        for leaf, edges in leaves.items():
            tensor = leaf._variable()
            if tensor is None:
                site = leaf.site_
                if site is not None and site.place.frames and site.is_parameter and id(site) not in self.stories:
                    self.gone.setdefault(site.place, set()).add(self.passes)
                continue
            story = self.story(tensor)
            story.ever_required = True
            if wanted is not None:
                story.asked = story.asked or leaf in wanted
                if leaf not in wanted:
                    continue
            sizes = [sent(node, i) for node, i in edges]
            unknown = [node for (node, i), size in zip(edges, sizes, strict=True) if size is None]
            if unknown and all(s is None for s in sizes):
                reason = zero_reason(leaf, order)
                if reason.kind == "cut":
                    story.blame(reason)
                    continue
            story.reached += 1
            story.reached_at = story.reached_at or place.shown[:2]
            story.last_reached = self.passes
            known = [s for s in sizes if s is not None]
            arrived = any(known) and (leaf.grad is None or leaf.grad._array.any())  # and did not cancel out
            story.last_got = self.passes if arrived else -1
            if leaf.grad is not None:
                story.norm = size_of(leaf.grad._array) ** 0.5
            if known and len(known) == len(sizes):
                if all(s == 0 for s in known) or (leaf.hooks is not None and self.made_zero(leaf)):
                    story.zero += 1
                    if story.zero_reason is None or is_sampled(story.zero):
                        story.zero_reason = zero_reason(leaf, order)
                elif not all(s < INFINITY for s in known):
                    story.faulty += 1
                    faulty = True
        if faulty and self.fault is None and self.bad_gradient is not None:
            self.fault = (bad_gradient_reason(self.bad_gradient[0]), self.passes, "gradient", None)
        self.forget_the_gone()

    def made_zero(self, leaf):
        return leaf.hooks.tensor and leaf.grad is not None and not leaf.grad._array.any()

    def forget_the_gone(self):
        """Leaves that no longer exist are remembered by the line that made them only."""
        for key, story in list(self.stories.items()):
            if story.tensor() is None:
                del self.stories[key]
                if not story.held and story.reached >= 3 and story.is_parameter:
                    self.stories[key] = story  # trained for a while, in a function that has returned
                elif not story.held and story.reached and story.is_parameter and story.site.place.frames:
                    self.gone.setdefault(story.site.place, set()).add(self.passes)
                elif story.held:
                    self.stories[key] = story  # an optimizer's business even so
        if len(self.stories) > 20_000:
            self.stories.clear()

    # --- writes behind the graph's back -----------------------------------------------------------------------------

    def note_write(self, tensor, site):
        super().note_write(tensor, site)
        data = tensor._origin if site is None else site.parents[0]
        while data is not None and data.operation != "data":
            data = data.parents[0] if data.operation in WINDOWS and data.parents else None
        if data is not None and data.cut is not None:
            node = data.cut.node
            if node is not None and type(node) is not AccumulateGrad:
                root = root_of(tensor._array)
                self.secret[id(root)] = (weakref.ref(root), data, place_here(self.places, 2), self.count)
                if len(self.secret) > 256:
                    del self.secret[next(iter(self.secret))]

    def look_for_secret_writes(self, order):
        if not self.secret:
            return
        for node in order:
            site = node.site_
            if site is None:
                continue
            for array in kept_by(node):
                written = self.secret.get(id(root_of(array)))
                if written is not None and written[0]() is not None and site.seq < written[3]:
                    self.hazards.setdefault(written[2].shown[:2], (written[2], written[1], site))
        self.secret.clear()

    # --- steps ------------------------------------------------------------------------------------------------------

    def before_step(self, optimizer, args, kwargs):
        super().before_step(optimizer, args, kwargs)
        holder = self.holder(optimizer)
        holder.steps = count = holder.steps + 1
        holder.lr = float(optimizer.param_groups[0].get("lr", 0))
        frames = user_frames(2) if is_sampled(count) else ()
        if frames:
            self.give_names(frames)
            for name, value in reachable(frames, (Optimizer,)):
                if value is optimizer:
                    holder.name = holder.name or name
        self.previous_print = {}
        for group in optimizer.param_groups:
            for p in group["params"]:
                story = self.story(p)
                story.held = True
                story.steps += 1
                grad = p.grad
                got = story.last_got > story.last_step
                if grad is None or (got and not grad._array.any()):
                    story.empty_steps += 1
                    if got:
                        self.note_loss_of_gradient(story, grad)
                elif is_sampled(count):
                    self.previous_print[id(p)] = fingerprint(p)
                story.last_step = self.passes

    def note_loss_of_gradient(self, story, grad):
        """A gradient had come, and at the step it is gone: who dropped it?"""
        place = None
        if grad is not None and grad._counter is not None:
            place = getattr(grad._counter, "written", None)
        if place is None:
            later = [r[0] for r in self.resets if r[1] >= story.last_reached]
            place = later[-1] if later else None
        story.lost.append(place)

    def after_step(self, optimizer, args, kwargs):
        super().after_step(optimizer, args, kwargs)
        for group in optimizer.param_groups:
            for p in group["params"]:
                before = self.previous_print.get(id(p))
                if before is not None:
                    story = self.story(p)
                    if fingerprint(p) != before:
                        story.moved += 1
                    elif p.grad is not None and p.grad._array.any() and not group.get("lr", 1):
                        story.unmoved += 1

    # --- memory -----------------------------------------------------------------------------------------------------

    def measure(self, order, calls, frames):
        """How large the graph is, and whether graphs of steps long past are still there, and who holds them."""
        if len(self.graph_size) < 200:
            self.graph_size.append((self.passes, len(order), size_kept(order)))
        if calls.count < 4 or not frames:
            return
        limit = calls.since[0]
        running = set(order)
        old = [n for n in live_nodes() if n.site_ is not None and 0 < n.site_.seq <= limit and n.site_.place.frames]
        kept = [n for n in old if n not in running]
        carried = [n for n in old if n in running]
        for how, nodes in (("kept", kept), ("carried", carried)):
            graphs = {n.site_.pass_number for n in nodes}
            if len(graphs) < 2:
                continue
            samples = [s for s in calls.samples if s["how"] == how]
            sample = {"how": how, "count": calls.count, "graphs": len(graphs), "pass": self.passes, "nodes": len(nodes)}
            if len(samples) < 6 or len(graphs) > max(s["graphs"] for s in samples):
                sample["leak"] = leak_of(nodes, frames)
            newest = sorted((n.site_ for n in nodes), key=lambda s: s.seq)
            sample["sites"] = newest[-8:] + newest[:8]
            calls.samples.append(sample)
            if len(calls.samples) > 64:
                del calls.samples[1]

    # --- cuts -------------------------------------------------------------------------------------------------------

    def cut(self, kind, site, node, result):
        super().cut(kind, site, node, result)
        key = (site.place, kind)
        known = self.cut_places.get(key)
        if known is None:
            self.cut_places[key] = [1, site.cut]
        else:
            known[0] += 1
            known[1] = site.cut

    # --- what came of it --------------------------------------------------------------------------------------------

    def findings(self, ended_early=False):
        """Everything that is wrong, the worst first; little is sure where the program ended before its time."""
        found = self.of_fault() + self.of_parameters(ended_early)
        if not ended_early:
            found += self.of_leaks()
        found += self.of_hazards()
        lines = [(f.file, f.line) for f in found]
        return [f for i, f in enumerate(found) if lines[i] == (None, None) or lines[i] not in lines[:i]]

    def of_fault(self):
        if self.fault is None:
            return []
        reason, number, what, _ = self.fault
        subject = (
            f"`{self.loss_name}`"
            if what == "loss" and self.loss_name
            else "The loss"
            if what == "loss"
            else "A gradient"
        )
        sentence = f"{subject} is infinite or NaN from backward pass {number} on: {reason.tail}."
        return [Finding("nan", sentence, reason.file, reason.line)]

    def of_hazards(self):
        """Writes behind the graph's back; where nothing is trained they are the program's own business."""
        return (
            []
            if not self.holders
            else [
                Finding(
                    "in-place",
                    f"{at(place)} writes through .data into a value that {site.operation} (made at {at(site.place)}) "
                    "had saved for its derivative: autograd can't see it, and the gradient is wrong without an error.",
                    place.file,
                    place.line,
                )
                for place, _, site in self.hazards.values()
            ]
        )

    def of_leaks(self):
        found = {}
        for calls in self.callers.values():
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
        for story in self.stories.values():
            reason = self.verdict(story)
            if reason is None or (ended_early and reason.kind not in CERTAIN):
                continue
            key = (reason.kind, reason.file, reason.line, reason.tail if reason.file is None else None)
            groups.setdefault(key, (reason, []))[1].append(story)
        self.notes = [group for group in groups.values() if group[0].kind == "features"]
        groups = [group for group in groups.values() if group[0].kind != "features"]
        lost = {(r.file, r.line) for r, _ in groups if r.kind == "zero"}
        groups = [(r, stories) for r, stories in groups if not (r.kind == "zero" and (r.behind & lost))]
        found = self.of_wrong_optimizer(groups)
        for reason, stories in groups:
            loss = f"`{self.loss_name}`" if self.loss_name else "the loss"
            names = [s.said for s in stories]
            found.append(Finding("no-grad", reason.said_of(names, loss), reason.file, reason.line))
        for place, passes in self.gone.items():
            if len(passes) >= 2 and self.holders:
                sentence = (
                    f"The module made at {at(place)} is made anew in every step: its parameters get gradients, but no "
                    "optimizer ever holds them. Make it once, in __init__."
                )
                found.append(Finding("no-grad", sentence, place.file, place.line))
        return found

    def of_wrong_optimizer(self, groups):
        """An optimizer that was given another network than the one in use, or not all: taken out of `groups`."""
        roots = {root_name(s) for s in self.stories.values() if s.held}
        left_out = [g for g in groups if g[0].kind == "not held" and root_name(g[1][0]) not in roots]
        if not left_out or not self.holders:
            return []
        idle = [g for g in groups if g[0].kind == "never used"]
        stories = [s for _, members in left_out for s in members]
        names = f"{listing([s.said for s in stories])} {'get' if len(stories) > 1 else 'gets'}"
        places = self.makers([s for _, members in idle for s in members], root_name(stories[0]))
        place = places[0]
        for group in left_out + idle:
            groups.remove(group)
        sentence = f"{names} gradients, but no optimizer holds {'them' if len(stories) > 1 else 'it'}"
        if idle:
            unused = [s.said for _, members in idle for s in members]
            sentence += f". The one made at {at(place)} holds {listing(unused)}, which no recorded operation used"
        else:
            sentence += f": the one made at {at(place)} was not given {'them' if len(stories) > 1 else 'it'}"
        return [Finding("no-grad", sentence + ".", place.file, place.line)]

    def makers(self, idle, wanted):
        """The places where optimizers were made, first those that hold `idle` leaves, or ones that others hold."""
        holders = {}
        for story in self.stories.values():
            for holder in story.holders:
                holders.setdefault(holder, []).append(story)

        def suspicion(item):
            holder, stories = item
            doubled = sum(len(s.holders) > 1 for s in stories)
            return (sum(s in idle for s in stories), doubled, doubled and is_called_after(holder.name, wanted))

        ranked = sorted(holders.items(), key=suspicion, reverse=True)
        if ranked and not any(suspicion(ranked[0])):
            ranked = ranked[::-1]
        return [holder.place for holder, _ in ranked] or [holder.place for holder in self.holders]

    def verdict(self, story):
        """The reason why a leaf does not learn; None if it does, or is not meant to."""
        tensor = story.tensor()
        if not story.held:
            return self.verdict_unheld(story, tensor)
        if self.passes == 0:
            if not self.steps:
                return None
            place = self.steps[-1][0]
            tail = f"never {{gets}} a gradient: the optimizer steps at {at(place)}, but backward is never called"
            return Reason("no backward", tail.replace("never {gets}", "{gets} never"), place)
        if not story.ever_required and not (tensor is not None and tensor.requires_grad):
            return self.verdict_frozen(story, tensor)
        if tensor is not None and not tensor.requires_grad and not story.reached:
            return None  # frozen on purpose
        if not story.reached:
            renewed = self.renewed(story, tensor)
            return (
                renewed or story.reason or Reason("never used", "{gets} no gradient: no recorded operation used {it}")
            )
        if story.zero == story.reached and (story.zero >= 2 or self.passes == 1):
            return story.zero_reason
        if story.faulty or self.fault is not None:
            return None
        if story.lost and len(story.lost) >= min(story.steps, 2) and not story.moved:
            place = next((p for p in story.lost if p is not None), None)
            line = (place.file, place.line) if place is not None else source.reset_of_grad(self.files())
            by = f"it is dropped at {shown(*line)}" if line is not None else "it is dropped"
            tail = f"{{gets}} a gradient, but {by}, before the optimizer steps: {{it}} never {{moves}}"
            return Reason("reset", tail, at=line)
        if not story.steps and not self.has_moved(story, tensor):
            place = self.made(story)
            where = f" (made at {at(place)})" if place is not None else ""
            backward = story.reached_at
            tail = f"{{gets}} a gradient, but the optimizer that holds {{them}}{where} never steps"
            if backward is not None:
                tail += f" after backward at {shown(backward[0].co_filename, backward[1])}"
            return Reason("no step", tail, at=(backward[0].co_filename, backward[1]) if backward else None)
        if story.steps and not story.moved and story.empty_steps == story.steps:
            place = self.steps[-1][0]
            tail = f"{{gets}} a gradient, but {{its}} gradient is None at every step of the optimizer, at {at(place)}"
            return Reason("reset", tail, place)
        if story.unmoved and not story.moved:
            place = self.made(story)
            where = f" made at {at(place)}" if place is not None else ""
            tail = (
                f"{{gets}} a gradient, but the steps of the optimizer{where} leave {{them}} as {{it}} {{is}}: lr is 0"
            )
            return Reason("not moved", tail, place)
        return None

    def verdict_unheld(self, story, tensor):
        if not self.holders or story.reached < 2 or story.changed or self.has_moved(story, tensor):
            return None
        if tensor is None and not story.is_parameter:
            return None
        held = [s for s in self.stories.values() if s.held]
        of_modules = [s for s in held if s.is_parameter and (s.of_module or not (s.reached and story.of_module))]
        if story.is_parameter and not of_modules:
            return None  # nothing of a module is trained: an image, or an input, is
        if story.zero == story.reached or story.asked:
            return None
        if not story.is_parameter and not self.is_forgotten(story):
            return None
        if story.resting or self.is_resting(tensor):
            return None
        if story.feeds and not any(len(s.holders) > 1 for s in held):  # then one optimizer got another's network
            tail = (
                f"{{gets}} a gradient in {story.reached} passes and no optimizer holds {{them}}: {{it}} only "
                "{computes} features for what is trained. If that is meant, requires_grad_(False) saves the work"
            )
            return Reason("features", tail)
        place = story.site.place if story.site.place.frames else None
        made = f" (made at {at(place)})" if place is not None else ""
        tail = f"{{gets}} a gradient in {story.reached} passes, but no optimizer holds {{them}}{made}, so {{it}} never "
        return Reason("not held", f"{tail}{{moves}}", place)

    def is_forgotten(self, story):
        """Whether a plain leaf that gets gradients and never moves looks like a parameter: small, named, used often."""
        return (
            story.reached >= 3
            and story.name is not None
            and "[" not in story.name
            and story.last_reached == self.passes
        )

    def is_resting(self, tensor):
        """Whether the module of a parameter was put into evaluation mode, so that it is not meant to learn."""
        for module in self.modules:
            for below in module.modules():
                if any(p is tensor for p in below._parameters.values()):
                    return not below.training
        return False

    def has_moved(self, story, tensor):
        return tensor is not None and fingerprint(tensor) != story.print

    def made(self, story):
        return next((holder.place for holder in story.holders if holder.place.frames), None)

    def verdict_frozen(self, story, tensor):
        """An optimizer holds what never asked for gradients: meant so for a frozen part, not for a whole optimizer."""
        if story.is_parameter:
            return None
        reason = no_grad_asked(tensor) if tensor is not None else Reason("frozen", NEVER_ASKED, rank=2)
        if reason.file is None and story.name is not None:
            for filename in self.files():
                line = source.assignment_of(filename, story.name)
                if line is not None:
                    where = shown(filename, line)
                    tail = f"{{gets}} no gradient: {{it}} {{is}} made without requires_grad=True at {where}"
                    return Reason("frozen", tail, at=(filename, line))
        return reason

    def files(self):
        return list(dict.fromkeys(code.co_filename for code, _ in self.callers))

    def renewed(self, story, tensor):
        """The reason of a parameter that the model replaced after the optimizer was made."""
        if story.name is None or "." not in story.name:
            return None
        for other in self.stories.values():
            if other is not story and other.name == story.name and other.reached and not other.held:
                place = other.site.place if other.site.place.frames else None
                where = f" at {at(place)}" if place is not None else ""
                tail = f"{{gets}} no gradient: the model replaced {{them}}{where} after the optimizer was made"
                return Reason("replaced", tail, place)
        return None


CERTAIN = ("cut", "zero", "replaced")  # what may be said of a parameter though the program ended before its time


def is_called_after(variable, name):
    """Whether an optimizer's variable seems to speak of a network's, as `opt_g` does of `gen`."""
    words = variable.lower().rpartition(".")[2].split("_")
    name = name.lower()
    return any(word and (name.startswith(word) or name.endswith(word)) for word in words)


def root_name(story):
    return (story.name or "?").removeprefix("self.").partition(".")[0]


def layout(order, trained):
    """Where the nodes of a graph stand to the leaves in `trained`: (those fed by one, those that feed one's user)."""
    behind, before = set(), set()
    ordered = sorted(order, key=lambda node: -node.seq)  # in order of time; leaves last, which lead nowhere
    users = {node for node in order if any(edge in trained for edge in node.edges)}
    for node in ordered:
        if any(edge in behind or edge in users for edge in node.edges):
            behind.add(node)
    for node in reversed(ordered):
        if node in before or node in users:
            before.update(edge for edge in node.edges if edge is not None)
    return behind, before


def listing(names):
    shown_names = names if len(names) <= 4 else [*names[:3], f"{len(names) - 3} more"]
    return ", ".join(shown_names[:-1]) + (" and " if len(names) > 1 else "") + shown_names[-1]


WINDOWS = frozenset(
    {"select", "slice", "view", "as_strided", "transpose", "t", "unsqueeze", "squeeze", "expand", "permute"}
)


def thinned(samples):
    return (
        samples
        if len(samples) <= 4
        else [samples[0], samples[len(samples) // 3], samples[2 * len(samples) // 3], samples[-1]]
    )


def is_library(frame):
    from wengert.lens.recorder import is_ours

    return is_ours(frame.f_code)


def name_of_root(nodes, frames):
    for name, tensor in reachable(frames, (Tensor,)):
        if tensor._node is nodes[0]:
            return name
    return None
