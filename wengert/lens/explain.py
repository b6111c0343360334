"""`wengert explain`: a whole program under the eyes of a recorder, and afterwards what it did, in plain words.

A `Witness` is a record that also keeps the story of each leaf: which optimizer holds it, how often a gradient reached
it, how often that was zero, whether it ever moved. When the program has ended, what never worked is told: a *finding*
is a parameter that ought to learn and can't, memory that grows, a number that is none. Cuts are listed too, but a cut
that costs no gradient is the program's own business.
"""

import sys
import traceback
import weakref
from collections import deque

from wengert.autograd.graph import AccumulateGrad, Output
from wengert.kernels.shape import root_of
from wengert.lens import source
from wengert.lens.memory import amount, leak_of, live_nodes, plural, size_kept
from wengert.lens.names import name_parameters, reachable, shape_of
from wengert.lens.recorder import INFINITY, Record, place_here
from wengert.lens.sites import Leaf, kept_by, is_installed, short, source_line, user_frames
from wengert.lens.why import (
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
from wengert.nn.modules.module import Module
from wengert.optim.optimizer import Optimizer
from wengert.tensor import Parameter, Tensor

KINDS = ("no-grad", "leak", "nan", "in-place")  # what `--fail-on` may name


class Story:
    """What happened to one leaf."""

    def __init__(self, site, tensor):
        self.site = site
        self.tensor = weakref.ref(tensor)
        self.name = None
        self.shape = shape_of(tensor)
        self.size = tensor._array.size
        self.is_parameter = isinstance(tensor, Parameter)
        self.optimizers = weakref.WeakSet()
        self.held_since = None  # how many passes had run when an optimizer got it
        self.held = False
        self.reached = self.zero = self.faulty = 0
        self.steps = self.empty_steps = self.moved = self.unmoved = 0
        self.last_reached = self.last_step = -1
        self.asked = False  # its gradient was asked for by autograd.grad
        self.lost = []  # places where its gradient was dropped between backward and step
        self.trained = False  # it belongs to a module that ran in training mode
        self.reason = None
        self.zero_reason = None
        self.print = fingerprint(tensor)
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
    return number <= 6 or number & (number - 1) == 0 or number % 3 == 0 and (number // 3) & (number // 3 - 1) == 0


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
        self.optimizer_names = weakref.WeakKeyDictionary()
        self.optimizer_steps = {}  # id of an optimizer -> steps made
        self.fault = None
        self.leaks = {}
        self.graph_size = []  # (pass, nodes, bytes) of sampled graphs
        self.cut_places = {}  # (place, kind) -> [times, the latest cut]
        self.secret = {}  # id of memory written through .data -> (weak reference, site of the .data, place, when)
        self.hazards = {}
        self.modules = weakref.WeakKeyDictionary()  # modules called on their own -> whether ever in training mode
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
        frames = user_frames(2)
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p._node is None or type(p._node) is AccumulateGrad:
                    story = self.story(p)
                    story.held = True
                    story.optimizers.add(optimizer)
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
                self.fault = (reason, self.passes, "loss", place)
        if sampled:
            self.question_unreached(nodes, leaves, wanted)
            if wanted is None:
                self.measure(order, calls, frames)
        self.look_for_secret_writes(order)
        calls.since = [calls.since[1], self.count]

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
        order, leaves, _ = self.now
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
            story.last_reached = self.passes
            known = [s for s in sizes if s is not None]
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
                if not story.held and story.reached and story.is_parameter and story.site.place.frames:
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
        count = self.optimizer_steps[id(optimizer)] = self.optimizer_steps.get(id(optimizer), 0) + 1
        frames = user_frames(2) if is_sampled(count) else ()
        if frames:
            self.give_names(frames)
            for name, value in reachable(frames, (Optimizer,)):
                if value is optimizer:
                    self.optimizer_names.setdefault(optimizer, name)
        self.previous_print = {}
        for group in optimizer.param_groups:
            for p in group["params"]:
                story = self.story(p)
                story.held = True
                story.steps += 1
                grad = p.grad
                got = story.last_reached > story.last_step and story.zero < story.reached
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
                    elif p.grad is not None and p.grad._array.any():
                        story.unmoved += 1
                        if group["lr"] == 0 if isinstance(group.get("lr"), (int, float)) else False:
                            story.blame(Reason("not moved", "learning rate", rank=0))

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

    def findings(self, error=None):
        """Everything that is wrong, the worst first."""
        found = [*(self.of_error(error) if error is not None else ()), *self.of_fault()]
        found += self.of_parameters(ended_early=error is not None)
        if error is None:
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
        return [
            Finding(
                "in-place",
                f"{at(place)} writes through .data into a value that {site.operation} (made at {at(site.place)}) had "
                "saved for its derivative: autograd can't see it, and the gradient is wrong without an error.",
                place.file,
                place.line,
            )
            for place, _, site in self.hazards.values()
        ]

    def of_leaks(self):
        found = {}
        for place, calls in self.callers.items():
            for how in ("kept", "carried"):
                samples = [s for s in calls.samples if s["how"] == how]
                if how == "kept":
                    samples = [s for s in samples if not any(site.visited > s["pass"] for site in s["sites"])]
                    grown = samples and max(s["graphs"] for s in samples) >= 3
                else:
                    sizes = [s["graphs"] for s in samples]
                    grown = (
                        len(sizes) >= 2
                        and sizes[-1] >= 3
                        and all(b > a for a, b in zip(sizes, sizes[1:], strict=False))
                    )
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
        groups = list(groups.values())
        lost = {(r.file, r.line) for r, _ in groups if r.kind == "zero"}
        groups = [(r, stories) for r, stories in groups if not (r.kind == "zero" and (r.behind & lost))]
        found = self.of_wrong_optimizer(groups)
        for reason, stories in groups:
            loss = f"`{self.loss_name}`" if self.loss_name else "the loss"
            names = [s.said for s in stories]
            found.append(Finding("no-grad", reason.said_of(names, loss), reason.file, reason.line))
        for place, passes in self.gone.items():
            if len(passes) >= 2 and self.optimizers:
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
        if not left_out or not self.optimizers:
            return []
        idle = [g for g in groups if g[0].kind == "never used"]
        stories = [s for _, members in left_out for s in members]
        names = f"{listing([s.said for s in stories])} {'get' if len(stories) > 1 else 'gets'}"
        places = self.makers([s for _, members in idle for s in members])
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

    def makers(self, idle):
        """The places where optimizers were made, the likeliest to be at fault first: holds idle leaves, holds doubly."""
        holders = {}
        for story in self.stories.values():
            for optimizer in story.optimizers:
                holders.setdefault(optimizer, []).append(story)

        def suspicion(item):
            optimizer, stories = item
            return (sum(s in idle for s in stories), sum(len(s.optimizers) > 1 for s in stories))

        ranked = sorted(holders.items(), key=suspicion, reverse=True)
        if ranked and suspicion(ranked[0]) == (0, 0):
            ranked = ranked[::-1]
        return [self.optimizers[o] for o, _ in ranked if o in self.optimizers] or list(self.optimizers.values())

    def verdict(self, story):
        """The reason why a leaf does not learn; None if it does, or is not meant to."""
        tensor = story.tensor()
        steps = self.optimizer_steps
        if not story.held:
            return self.verdict_unheld(story, tensor)
        if self.passes == 0:
            if not steps:
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
            by = f"it is dropped at {at(place)}" if place is not None else "it is dropped"
            tail = f"{{gets}} a gradient, but {by}, before the optimizer steps: {{it}} never {{moves}}"
            return Reason("reset", tail, place)
        if not story.steps and not self.has_moved(story, tensor):
            place = self.made(story)
            where = f" (made at {at(place)})" if place is not None else ""
            backward = next(iter(self.callers), None)
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
            tail = f"{{gets}} a gradient, but the steps of the optimizer{where} do not change {{them}}: the learning rate is 0"
            return Reason("not moved", tail, place)
        return None

    def verdict_unheld(self, story, tensor):
        if not self.optimizers or story.reached < 2 or tensor is None or self.has_moved(story, tensor):
            return None
        holders = [s for s in self.stories.values() if s.held]
        if not any(s.is_parameter for s in holders) and story.is_parameter:
            return None  # nothing of a module is trained: an image, or an input, is
        if story.zero == story.reached or story.asked:
            return None
        if not story.is_parameter and not self.is_forgotten(story):
            return None
        if self.is_resting(tensor):
            return None
        place = story.site.place if story.site.place.frames else None
        made = f", made at {at(place)}," if place is not None else ""
        tail = f"{{gets}} a gradient in {story.reached} passes, but no optimizer holds {{them}}{made} so {{it}} never {{moves}}"
        return Reason(
            "not held",
            tail.replace(f"{{them}}{made} so", f"{{them}} (made at {at(place)}), so" if place else "{them}, so"),
            place,
        )

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
        for module in list(self.tables):
            for below in module.modules():
                if any(p is tensor for p in below._parameters.values()):
                    return not below.training
        return False

    def has_moved(self, story, tensor):
        return tensor is not None and fingerprint(tensor) != story.print

    def made(self, story):
        for optimizer in story.optimizers:
            place = self.optimizers.get(optimizer)
            if place is not None:
                return place
        return None

    def verdict_frozen(self, story, tensor):
        """An optimizer holds what never asked for gradients: meant so for a frozen part, not for a whole optimizer."""
        if tensor is None:
            return None
        if story.is_parameter:
            return None
        reason = no_grad_asked(tensor)
        if reason.file is None and story.name is not None:
            for filename in self.files():
                line = source.assignment_of(filename, story.name)
                if line is not None:
                    tail = f"{{gets}} no gradient: {{it}} {{is}} made without requires_grad=True at {shown(filename, line)}"
                    return Reason("frozen", tail, at=(filename, line))
        return reason

    def files(self):
        return list(dict.fromkeys(code.co_filename for code, _ in self.callers)) or [sys.argv[0]]

    def renewed(self, story, tensor):
        """The reason of a parameter that the model replaced after the optimizer was made."""
        if story.name is None or "." not in story.name:
            return None
        for other in self.stories.values():
            if other is not story and other.name == story.name and other.reached and not other.held:
                place = other.site.place if other.site.place.frames else None
                where = f" at {at(place)}" if place is not None else ""
                tail = f"{{gets}} no gradient: {{it}} {{is}} the old one; the model got a new one{where} after the optimizer was made"
                return Reason("replaced", tail, place)
        return None

    # --- an error ended the program ---------------------------------------------------------------------------------

    def of_error(self, error):
        """What can be said of the exception that ended the program."""
        frames = [f for f, _ in traceback.walk_tb(error.__traceback__)]
        own = [f for f in frames if not is_installed(f.f_code.co_filename) and not is_library(f)]
        return [] if not own else [f for f in (tell(self, error, own) for tell in ERRORS) if f is not None][:1]


CERTAIN = ("cut", "zero", "replaced")  # what may be said of a parameter though the program ended before its time


def root_name(story):
    return (story.name or "?").partition(".")[0]


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


# --- errors -------------------------------------------------------------------------------------------------------------


def local(error, function, name):
    """What a variable of one of this library's functions held when `error` passed through it; None if it did not."""
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        if is_library(frame) and frame.f_code.co_name == function and name in frame.f_locals:
            return frame.f_locals[name]
    return None


def line_in(error, frame):
    """The line of `frame` that the error came through."""
    return next(line for f, line in reversed(list(traceback.walk_tb(error.__traceback__))) if f is frame)


def no_way_at_all(witness, error, own):
    """``element 0 of tensors does not require grad``: where was the loss cut from what should be trained?"""
    if "does not require grad and does not have a grad_fn" not in str(error):
        return None
    tensors, number = local(error, "roots_of", "tensors"), local(error, "roots_of", "number")
    tensor = tensors[number or 0]
    name = name_of_value(tensor, own)
    root = tensor._origin
    loss = f"`{name}`" if name else "the loss"
    witness.give_names(own[::-1])
    reasons = {}
    sites = {story.site: story for story in witness.stories.values()}
    if root is not None:
        from wengert.lens.why import ancestry

        sites = {s: witness.stories.get(id(s)) for s in ancestry(root) if isinstance(s, Leaf)} or sites
    for site, story in sites.items():
        if site is root:
            continue
        reason = missing(site, root, witness)
        said = story.said if story is not None else f"`{name_of_leaf(site, own)}` ({memory_shape(site)})"
        reasons.setdefault((reason.rank, reason.file, reason.line), (reason, []))[1].append(said)
    line = line_in(error, own[-1])
    here = shown(own[-1].f_code.co_filename, line)
    if reasons:
        reason, names = reasons[max(reasons, key=lambda key: (key[0], len(reasons[key][1])))]
        if reason.rank > 1 or root is not None:
            sentence = f"backward at {here} fails, for {loss} has no way back to any parameter: "
            return Finding(
                "no-grad",
                sentence + reason.said_of(names, loss),
                reason.file or own[-1].f_code.co_filename,
                reason.line or line,
            )
    frozen = next((s for s in map(frozen_site, tensors_seen(own)) if s is not None), None)
    if frozen is not None:
        sentence = f"backward at {here} fails: nothing that {loss} was computed from requires grad; it was turned off at {at(frozen.place)}."
        return Finding("no-grad", sentence, frozen.file, frozen.line)
    plain = plain_leaf(own, tensor)
    if plain is not None:
        sentence = f"backward at {here} fails: nothing that {loss} was computed from requires grad; `{plain[0]}` is made without requires_grad=True at {shown(*plain[1:])}."
        return Finding("no-grad", sentence, *plain[1:])
    sentence = f"backward at {here} fails: {loss} was not computed from any tensor that requires grad."
    return Finding("no-grad", sentence, own[-1].f_code.co_filename, line)


def memory_shape(site):
    return "×".join(map(str, site.shape)) or "()"


def name_of_leaf(site, own):
    tensor = site.tensor
    names = name_parameters(own[::-1])
    return names[id(tensor)][0] if id(tensor) in names else "a tensor"


def tensors_seen(own):
    return [tensor for _, tensor in reachable(own[::-1], (Tensor,))] + [
        p for _, module in reachable(own[::-1], (Module,)) for p in module.parameters()
    ]


def frozen_site(tensor):
    site = tensor._origin
    return site if site is not None and site.cut is not None and site.cut.kind == "requires_grad_(False)" else None


def plain_leaf(own, loss):
    """(name, file, line) of a variable that the program seems to train and that does not require grad."""
    frame = own[-1]
    filename = frame.f_code.co_filename
    behind = source.lines_behind(filename, line_of_frame(frame))
    for name, tensor in reachable(own[::-1], (Tensor,)):
        if tensor is loss or tensor._node is not None or not tensor.dtype.is_floating_point:
            continue
        line = source.assignment_of(filename, name)
        text = source_line(filename, line) if line else ""
        if line and any(word in text for word in ("randn", "rand", "zeros", "ones", "tensor", "empty", "full")):
            uses = f"{name}.grad" in "".join(open_lines(filename)) or f"[{name}" in "".join(open_lines(filename))
            if uses:
                return name, filename, line
    return None


def open_lines(filename):
    import linecache

    return linecache.getlines(filename)


def line_of_frame(frame):
    return frame.f_lineno


def name_of_value(tensor, own):
    for name, other in reachable(own[::-1], (Tensor,)):
        if other is tensor:
            return name
    return None


def modified(witness, error, own):
    """``modified by an inplace operation``: the operation that saved, the line that wrote."""
    if "modified by an inplace operation" not in str(error):
        return None
    node = local(error, "verify", "node") or local(error, "check", "self")
    started = witness.pass_starts[-2][0] if len(witness.pass_starts) > 1 else 0
    if node is not None and node.site_ is not None and node.site_.visited and node.site_.seq <= started:
        return second_time(witness, error, own, node)  # the write is only how it shows
    tensor = local(error, "verify", "tensor")
    written = getattr(tensor._counter, "written", None) if tensor is not None and tensor._counter is not None else None
    if node is None or written is None:
        return None
    site = node.site_
    saved = f"{node.name()} at {at(site.place)}" if site is not None else node.name()
    sentence = (
        f"{at(written)} changes in place a value that {saved} had saved for its derivative, so backward refuses. Write "
        "out of place there, or after backward."
    )
    return Finding("in-place", sentence, written.file, written.line)


def second_time(witness, error, own, node=None):
    """``backward through the graph a second time``: which old graph, and where it enters the new one."""
    if witness.last_walk is None or (node is None and "backward through the graph a second time" not in str(error)):
        return None
    order, place = witness.last_walk
    kept = node is not None
    node = node or local(error, "verify", "node") or local(error, "apply", "self")
    started = witness.pass_starts[-2][0] if len(witness.pass_starts) > 1 else 0
    new_nodes = [n for n in order if n.site_ is not None and n.site_.seq > started]
    crossing = [
        n
        for n in new_nodes
        if any(
            e is not None and e.site_ is not None and type(e) is not AccumulateGrad and e.site_.seq <= started
            for e in map(real, n.edges)
        )
    ]
    before = witness.pass_starts[-2][1] if len(witness.pass_starts) > 1 else None
    freed = (
        f"the backward pass at {at(before)}"
        if before is not None and before is not place
        else "an earlier backward pass"
    )
    made = (
        f"{node.name()} (made at {at(node.site_.place)})" if node is not None and node.site_ is not None else "a graph"
    )
    sentence = f"backward at {at(place)} goes through {made} a second time, which {freed} had {'run through' if kept else 'freed'}"
    if kept:
        sentence += ", and what it saved has been written since"
    if crossing:
        entry = min(crossing, key=lambda n: n.site_.seq).site_
        sentence += (
            f". The old graph enters the new one at {at(entry.place)}: detach there what is carried over from step to "
            "step, or keep the graph with retain_graph=True if both passes are meant."
        )
        return Finding("error", sentence, entry.file, entry.line)
    sentence += ": call it once, on the sum of the losses, or with retain_graph=True the first time."
    return Finding("error", sentence, place.file, place.line)


def real(edge):
    return edge.parent if type(edge) is Output else edge


def leaf_written(witness, error, own):
    text = str(error)
    if "leaf Variable that requires grad" not in text:
        return None
    line = line_in(error, own[-1])
    where = own[-1].f_code.co_filename, line
    sentence = f"{shown(*where)} writes in place into a leaf that requires grad: do it inside torch.no_grad(), or out of place."
    return Finding("in-place", sentence, *where)


def not_a_leaf(witness, error, own):
    if "can't optimize a non-leaf Tensor" not in str(error):
        return None
    tensor = local(error, "_check_params", "param")
    site = None if tensor is None else tensor._origin
    if site is None:
        return None
    name = name_of_value(tensor, own)
    made = f"`{name}`" if name else "A tensor"
    sentence = (
        f"{made} given to the optimizer is not a leaf: it is the result of {site.operation} at {at(site.place)}. Make it "
        "a leaf there (create it so, or end with .detach().requires_grad_())."
    )
    return Finding("no-grad", sentence, site.file, site.line)


def none_grad(witness, error, own):
    """``NoneType`` where a `.grad` was expected."""
    if "NoneType" not in str(error) and not isinstance(error, (TypeError, AttributeError)):
        return None
    frame = own[-1]
    filename, line = frame.f_code.co_filename, line_in(error, frame)
    node, _ = source.statement_at(filename, line)
    if node is None:
        return None
    import ast

    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and part.attr == "grad":
            tensor = value_in(part.value, frame)
            if isinstance(tensor, Tensor) and (
                tensor._node is None or tensor.__dict__.get("_grad") is None and tensor_grad(tensor) is None
            ):
                return of_none_grad(witness, tensor, ast.unparse(part.value), (filename, line), own)
    return None


def tensor_grad(tensor):
    return tensor._node.grad if type(tensor._node) is AccumulateGrad else tensor._grad


def value_in(expression, frame):
    """The value of a name, attribute or constant subscript in a frame; None if it is anything else."""
    import ast

    if isinstance(expression, ast.Name):
        return frame.f_locals.get(expression.id, frame.f_globals.get(expression.id))
    if isinstance(expression, ast.Attribute):
        value = value_in(expression.value, frame)
        return None if value is None else getattr(value, expression.attr, None)
    if isinstance(expression, ast.Subscript):
        value, key = value_in(expression.value, frame), expression.slice
        key = key.value if isinstance(key, ast.Constant) else value_in(key, frame)
        try:
            return value[key]
        except Exception:
            return None
    return None


def of_none_grad(witness, tensor, name, where, own):
    site = tensor._origin
    node = tensor._node
    start = f"`{name}.grad` is None at {shown(*where)}"
    if node is not None and type(node) is not AccumulateGrad:
        made = f"{site.operation} at {at(site.place)}" if site is not None else node.name()
        sentence = (
            f"{start}, for `{name}` is not a leaf: it is the result of {made}, and backward keeps gradients of leaves only. "
            "Make it a leaf, update it in place inside no_grad, or call retain_grad()."
        )
        return Finding("no-grad", sentence, *((site.file, site.line) if site is not None else where))
    if node is None:
        reason = no_grad_asked(tensor)
        if site is not None and site.cut is not None and site.cut.kind != "requires_grad_(False)":
            reason = Reason(
                "cut", f"{{gets}} no gradient: {{it}} {{is}} cut off by {site.cut.kind} at {at(site.place)}", site.place
            )
        elif reason.file is None:
            line = source.assignment_of(where[0], name, where[1])
            if line is not None:
                reason = Reason(
                    "frozen",
                    f"{{gets}} no gradient: {{it}} {{is}} made without requires_grad at {shown(where[0], line)}",
                    at=(where[0], line),
                )
        return Finding(
            "no-grad",
            f"{start}: " + reason.said_of([f"`{name}`"], "the loss"),
            reason.file or where[0],
            reason.line or where[1],
        )
    story = witness.stories.get(id(leaf_site(tensor)))
    if story is not None and story.reason is None and witness.last_walk is not None and not story.reached:
        order, place = witness.last_walk
        story.blame(missing(story.site, witness.site(order[0]), witness))
    if story is not None and story.reason is not None and not story.reached:
        reason = story.reason
        loss = f"`{witness.loss_name}`" if witness.loss_name else "the loss"
        return Finding(
            "no-grad",
            f"{start}: " + reason.said_of([f"`{name}`"], loss),
            reason.file or where[0],
            reason.line or where[1],
        )
    if witness.passes == 0:
        return Finding("no-grad", f"{start}: no backward pass had run yet.", *where)
    resets = [place for place, passes, _ in witness.resets if passes >= witness.passes]
    if story is not None and story.reached and resets:
        return Finding(
            "no-grad",
            f"{start}: a gradient had come, and zero_grad at {at(resets[-1])} dropped it.",
            resets[-1].file,
            resets[-1].line,
        )
    return Finding("no-grad", f"{start}.", *where)


def not_used(witness, error, own):
    """`autograd.grad` of something that the outputs do not depend on."""
    text = str(error)
    if "appears to not have been used in the graph" in text:
        tensor, outputs = local(error, "grad", "tensor"), local(error, "grad", "outputs")
        if tensor is None or not outputs:
            return None
        reason = (
            missing(leaf_site(tensor) or tensor._origin, outputs[0]._origin, witness)
            if tensor._origin is not None
            else None
        )
        if reason is None:
            return None
        name, out = name_of_value(tensor, own), name_of_value(outputs[0], own)
        return Finding(
            "no-grad",
            reason.said_of([f"`{name or 'the input'}`"], f"`{out or 'the output'}`"),
            reason.file,
            reason.line,
        )
    if "One of the differentiated Tensors does not require grad" in text:
        tensor = local(error, "node_wanted", "tensor")
        if tensor is None:
            return None
        name = name_of_value(tensor, own) or "the input"
        return of_none_grad(witness, tensor, name, (own[-1].f_code.co_filename, line_in(error, own[-1])), own)
    return None


def numpy_refused(witness, error, own):
    if "Can't call numpy() on Tensor that requires grad" not in str(error):
        return None
    where = own[-1].f_code.co_filename, line_in(error, own[-1])
    sentence = f"{shown(*where)} asks for the NumPy array of a tensor in the graph: NumPy can't carry gradients. Use .detach().numpy() for looking at it, tensor operations for computing with it."
    return Finding("no-grad", sentence, *where)


def not_scalar(witness, error, own):
    if "grad can be implicitly created only for scalar outputs" not in str(error):
        return None
    where = own[-1].f_code.co_filename, line_in(error, own[-1])
    return Finding(
        "error",
        f"{shown(*where)} calls backward on a tensor of several elements: reduce it with .sum() or .mean().",
        *where,
    )


ERRORS = [
    no_way_at_all,
    modified,
    second_time,
    leaf_written,
    not_a_leaf,
    not_used,
    numpy_refused,
    not_scalar,
    none_grad,
]


# --- the report -------------------------------------------------------------------------------------------------------


def report(witness, program, error=None, width=100):
    """The text that `wengert explain` prints, and the findings in it."""
    findings = witness.findings(error)
    lines = [f"wengert explain: {program}", ""]
    lines += trained(witness)
    for finding in findings:
        lines.append("")
        lines += paragraph(f"✗ {TITLES[finding.kind]}  ", finding.sentence, width)
        if finding.file and finding.line:
            text = source_line(finding.file, finding.line)
            if text:
                lines.append(f"    {finding.where} │ {text}")
    if error is not None and not findings:
        lines += [
            "",
            f"✗ the program ended with {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
        ]
    lines += listed_cuts(witness, findings)
    lines += remembered(witness)
    lines.append("")
    if not findings and error is None:
        lines.append("✓ nothing wrong was found")
    else:
        lines.append(f"{len(findings) or 1} finding{'s' * ((len(findings) or 1) != 1)}")
    return "\n".join(lines), findings


TITLES = {"no-grad": "no gradient", "leak": "leak", "nan": "not finite", "in-place": "in place", "error": "error"}


def paragraph(head, text, width):
    """Wrapped text under a hanging head."""
    import textwrap

    return textwrap.wrap(
        text, width, initial_indent=head, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )


def trained(witness):
    """What was trained, by which optimizer, how often."""
    lines = []
    for optimizer, place in list(witness.optimizers.items()):
        stories = [s for s in witness.stories.values() if optimizer in s.optimizers]
        steps = witness.optimizer_steps.get(id(optimizer), 0)
        lines.append(
            f"trained     {names_of(stories)} by {type(optimizer).__name__} ({place}), {plural(steps, 'step')}"
        )
    if not lines:
        moved = [s for s in witness.stories.values() if s.reached]
        lines.append(f"trained     {names_of(moved)}, without an optimizer" if moved else "trained     nothing")
    passes = f"backward    {plural(witness.passes, 'pass').replace('passs', 'passes')}"
    where = [
        f"{short(code.co_filename)}:{line} ({calls.count})"
        for (code, line, *_), calls in list(witness.callers.items())[:4]
    ]
    lines.append(passes + (f": {', '.join(where)}" if where else ""))
    return lines


def names_of(stories):
    """``model (4 parameters, 1,234 numbers)``"""
    roots = list(dict.fromkeys((s.name or "?").partition(".")[0] for s in stories))
    total = sum(s.size for s in stories)
    shown_roots = ", ".join(roots[:3]) + (", …" if len(roots) > 3 else "")
    return f"{shown_roots} ({plural(len(stories), 'tensor')}, {plural(total, 'number')})"


def listed_cuts(witness, findings):
    """Each cut of the program, with what it separates; those that a finding blames are marked."""
    blamed = {(f.file, f.line) for f in findings}
    rows = []
    seen = {}
    for (place, kind), (times, cut) in witness.cut_places.items():
        if is_bookkeeping(cut):
            continue
        key = (place.file, place.line, kind)
        if key in seen:
            seen[key][0] += times
            continue
        seen[key] = [times, cut]
    for (file, line, kind), (times, cut) in seen.items():
        before = cut.source
        origin = "a leaf" if isinstance(before, Leaf) else before.operation if before is not None else "a value"
        after = next((s for s in cut.took), None)
        to = f" → {after.operation} ({after.place})" if after is not None else ""
        mark = "✗" if (file, line) in blamed else " "
        rows.append((file, line, mark, kind, f"{origin}{to}", times))
    if not rows:
        return []
    rows.sort(key=lambda r: (r[0], r[1]))
    lines = ["", f"cuts        {plural(len(rows), 'place')} where values leave the graph"]
    for file, line, mark, kind, what, times in rows[:30]:
        lines.append(f"  {mark} {short(file)}:{line}  {kind:18} {what}  ×{times}")
    if len(rows) > 30:
        lines.append(f"    and {len(rows) - 30} more")
    return lines


def is_bookkeeping(cut):
    """Whether a cut is of no interest: inside of the library or of an installed package, or a leaf looked at."""
    return is_installed(cut.site.file) or (
        isinstance(cut.source, Leaf) and cut.kind in ("data", "no_grad") and not cut.took
    )


def remembered(witness):
    """The size of one step's graph, and whether graphs of past steps stay."""
    if not witness.graph_size:
        return []
    sizes = witness.graph_size
    _, nodes, size = max(sizes, key=lambda s: s[2])
    first, last = sizes[0], sizes[-1]
    line = f"memory      a step's graph: up to {plural(nodes, 'node')}, {amount(size)} kept for backward"
    if len(sizes) > 2:
        line += f"; {first[1]} nodes at first, {last[1]} at last"
    return ["", line]


def watch_program(program, arguments=(), kind="script"):
    """Run a program under the lens. Returns the report, the findings, and the status with which the program ended."""
    from wengert import cli

    witness = Witness()
    error, status = None, 0
    with witness:
        try:
            cli.run(program, arguments, kind)
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
            if isinstance(ended.code, str):
                print(ended.code, file=sys.stderr)
        except BaseException as caught:
            error, status = caught, 1
    if error is not None:
        traceback.print_exception(type(error), error, cli.frames_of_the_program(error.__traceback__))
    text, findings = report(witness, program, error)
    return text, findings, status


def explain(program, arguments=(), kind="script", fail_on=()):
    """Run a program under the lens and print what it did; the exit status for the command line is returned.

    Args:
        program, arguments, kind: as for `wengert.cli.run`.
        fail_on: kinds of findings (of "no-grad", "leak", "nan", "in-place") that make the exit status 3.
    """
    text, findings, status = watch_program(program, arguments, kind)
    sys.stdout.flush()
    sys.stderr.flush()
    print(f"\n{text}")
    if status == 0 and any(f.kind in fail_on for f in findings):
        status = 3
    return status
