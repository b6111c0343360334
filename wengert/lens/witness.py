"""The witness: a record that also keeps the story of each leaf of a program.

Which optimizer holds it, how often a gradient reached it, how often that was zero, whether it ever moved. When the
program has ended, what never worked is a *finding*: a parameter that ought to learn and can't, memory that grows, a
number that is none. A cut that costs no gradient is the program's own business.
"""

import sys
import weakref
from bisect import bisect
from collections import deque

from wengert.autograd.graph import AccumulateGrad, grad_mode
from wengert.kernels.shape import root_of
from wengert.lens import idioms
from wengert.lens.idle import IdleValues
from wengert.lens.ledger import Ledger
from wengert.lens.memory import leak_of, live_nodes, size_kept
from wengert.lens.names import name_parameters, reachable
from wengert.lens.oversights import Oversights
from wengert.lens.places import place_here
from wengert.lens.reasons import Reason, at, shown
from wengert.lens.recorder import Record
from wengert.lens.sites import NOWHERE, WINDOWS, kept_by, leaf_site, user_frames
from wengert.lens.sizes import INFINITY, size_of
from wengert.lens.story import Holder, Story, fingerprint, is_sampled
from wengert.lens.values import bad_gradient_reason, fault_reason, zero_reason
from wengert.lens.ways import ancestry, idle_term, missing, real, sent, walk
from wengert.optim.optimizer import Optimizer
from wengert.tensor import Tensor


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
        self.ledger = Ledger()
        self.oversights = Oversights()
        self.idle_values = IdleValues()
        self.stale = {}  # id of the site of a value computed before a step and used after it -> (site, passes, leaves)
        self.stepped_after = {}  # line of backward -> the place of the first step that ever followed it
        self.files_seen = []  # files of the program that made optimizers
        self.failed = deque(maxlen=8)  # findings of passes that ended with an error, which the program may catch
        self.idle_terms = {}  # line of a cut -> (times, where the term is added, the cut, what it cut off)
        self.in_closure = False  # an optimizer runs its closure: the passes are its own
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
        self.since_pass = []  # of each call of a module since the last pass: how many sites there were
        self.unfinished = deque(maxlen=64)  # (pass, leak, sites) of graphs kept of calls since the last pass
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

    @property
    def files(self):
        """The files of the program that called backward."""
        return list(dict.fromkeys(code.co_filename for code, _ in self.callers if code is not None))

    def holder(self, optimizer):
        """The `Holder` of an optimizer."""
        found = self.holder_of.get(optimizer)
        if found is None:
            found = Holder(type(optimizer).__name__, self.optimizers.get(optimizer, NOWHERE), self.count)
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
        holder.lr_at_first = holder.lr_at_first or optimizer.param_groups[-1].get("lr")
        frames = user_frames(2)
        self.files_seen = list(dict.fromkeys([*self.files_seen, *(frame.f_code.co_filename for frame in frames)]))
        rates = {group.get("lr") for group in optimizer.param_groups}
        for number, group in enumerate(optimizer.param_groups):
            for p in group["params"]:
                if p._node is None or type(p._node) is AccumulateGrad:
                    story = self.story(p)
                    story.held = True
                    story.group = holder, number, len(rates) > 1
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
        if not over and wanted is None:
            self.note_inner(nodes)
        if over and self.calls.passes == 1 and self.now is not None:
            error = sys.exc_info()[1]  # on its way through the engine, to the program
            if error is None:
                self.end(nodes, wanted)
            else:
                self.note_failure(error)
        super().note_pass(nodes, wanted, over)

    def note_failure(self, error):
        """A pass ends with an error: say what is to say of it now, for nothing of it may be kept."""
        from wengert.lens.errors import told_of_pass

        self.failed += told_of_pass(self, error, user_frames(3)[::-1])

    def note_inner(self, nodes):
        """A pass inside of another, as reentrant checkpoints run them: the leaves that it reaches are reached."""
        place = self.now[2] if self.now is not None else NOWHERE
        for leaf in walk(nodes)[1]:
            tensor = leaf._variable()
            if tensor is not None:
                story = self.story(tensor)
                story.reached += 1
                story.reached_at = story.reached_at or place.shown[:2]
                story.last_reached = story.last_got = self.passes

    def note_call(self):
        """The program calls a module: are the graphs of the calls since the last pass still there?"""
        if grad_mode.enabled and not self.calls.passes:
            self.since_pass.append(self.count)
            number = len(self.since_pass)
            if number >= 8 and number & (number - 1) == 0:
                self.measure_unfinished()

    def measure_unfinished(self):
        """Who keeps graphs on which, perhaps, backward is never called: asked when many calls have been made."""
        starts = self.since_pass
        nodes = [n for n in live_nodes() if n.site_ is not None and n.site_.seq > starts[0] and n.site_.place.frames]
        if len({bisect(starts, n.site_.seq) for n in nodes}) >= 6:
            leak = leak_of(nodes, user_frames(3), of=lambda node: bisect(starts, node.site_.seq))
            enough = 6 if leak.several else 64  # a state handed on from call to call may well be forgotten in the end
            if leak.name is not None and leak.graphs >= enough:
                self.unfinished.append((self.passes, leak, [node.site_ for node in nodes[:64]]))

    def begin(self, nodes, wanted):
        self.since_pass.clear()
        self.bad_gradient = None
        place = place_here(self.places, 3)
        calls = self.callers.setdefault(place.shown[:2], Calls())
        calls.count += 1
        order, leaves = walk(nodes)
        self.now = order, leaves, place
        self.pass_place = place
        if wanted is None:
            self.ledger.look_before(self.known_of(leaves))
        self.last_walk = order, place
        self.pass_starts.append((self.count, place))
        fresh = False
        for node in leaves:
            tensor = node._variable()
            if tensor is not None:
                site = leaf_site(tensor)
                fresh = fresh or site is None or id(site) not in self.stories
                self.story(tensor)
        self.idle_values.settle(self)
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
            self.oversights.look_at(self.modules)
            self.question_unreached(nodes, leaves, wanted)
            if wanted is None:
                self.note_idle_term(order, root)
                if self.passes <= 6 and root is not None and len(self.pass_starts) > 1:
                    self.idle_values.look(self, root, order, self.pass_starts[-2][0], place, self.files)
                self.measure(order, calls, frames)
        self.look_for_secret_writes(order)
        self.note_stale(order)
        calls.since = [calls.since[1], self.count]

    def divergence(self, reason):
        """The reason for a loss that overflowed because the parameters had grown and grown; None if they had not."""
        for story in self.stories.values():
            tensor, holder = story.tensor(), next(iter(story.holders), None)
            if tensor is None or holder is None or not 0 < story.size_at_first < INFINITY or not holder.steps:
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
                story.unregistered = story.unregistered or self.is_unregistered(leaf, nodes)
                story.feeds = features and story.feeds is not False and not story.unregistered
            chosen = {id(s.tensor()) for s in self.stories.values() if s.held}
            beside = beside_chosen(self.modules, chosen)
            for leaf, story in loose.items():
                story.beside_chosen = id(leaf._variable()) in beside
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
        """For each leaf that an optimizer holds and never moved: why does this pass not reach it?"""
        if wanted is not None:
            return
        root = self.site(nodes[0])
        for story in list(self.stories.values()):
            tensor = story.tensor()
            if tensor is None or not story.held or story.moved or tensor._node in leaves:
                continue
            if tensor._node is not None:
                story.blame(missing(story.site, root, self), self.passes)

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
                    story.blame(reason, self.passes)
                    continue
            story.reached += 1
            story.reached_at = story.reached_at or place.shown[:2]
            if story.used_at is None:
                story.used_at = next((n.site_.place for n, _ in edges if n.site_ is not None), None)
            story.last_reached = self.passes
            known = [s for s in sizes if s is not None]
            arrived = any(known) and (leaf.grad is None or size_of(leaf.grad))  # and did not cancel out
            story.last_got = self.passes if arrived else -1
            if leaf.grad is not None:
                story.norm = size_of(leaf.grad) ** 0.5
            if known and len(known) == len(sizes):
                if all(s == 0 for s in known) or (leaf.hooks is not None and self.made_zero(leaf)):
                    story.zero += 1
                    if story.zero_reason is None or is_sampled(story.zero):
                        story.zero_reason = self.number_behind(zero_reason(leaf, order))
                elif not all(s < INFINITY for s in known):
                    story.faulty += 1
                    faulty = True
        if wanted is None:
            self.enter_gradients(leaves, place)
        if faulty and self.fault is None and self.bad_gradient is not None:
            self.fault = (bad_gradient_reason(self.bad_gradient[0]), self.passes, "gradient", None)
        self.forget_the_gone()

    def known_of(self, leaves):
        """(story, leaf) for those leaves that have a story."""
        return [(story, leaf) for leaf in leaves if (story := self.stories.get(id(leaf.site_))) is not None]

    def enter_gradients(self, leaves, place):
        """Book what a pass brought: it waits for a step."""
        known = self.known_of(leaves)
        held = [story for story, _ in known if story.held]
        aside = self.in_closure or any(not (story.held or story.is_parameter) for story, _ in known)
        self.ledger.enter(place, held, aside)
        if is_sampled(self.passes):
            self.ledger.look_after(known)

    def note_reset(self, owner):
        super().note_reset(owner)
        groups = owner.param_groups if isinstance(owner, Optimizer) else ({"params": owner.parameters()},)
        known = [self.stories.get(id(leaf_site(p))) for group in groups for p in group["params"]]
        self.ledger.settle([story for story in known if story is not None], False, self.resets[-1][0])

    def number_behind(self, reason):
        """The same reason, or, where it is a number of the program that is zero, what made it so."""
        line = idioms.zero_by_division(user_frames(3)) if reason.by_number else None
        if line is None:
            return reason
        return Reason("zero", f"{reason.tail}: to blame is the division of integers at {shown(*line)}", at=line, rank=3)

    def made_zero(self, leaf):
        return leaf.hooks.tensor and leaf.grad is not None and not size_of(leaf.grad)

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

    def is_resting(self, tensor):
        """Whether the module of a parameter was put into evaluation mode, so that it is not meant to learn."""
        for module in self.modules:
            for below in module.modules():
                if any(p is tensor for p in below._parameters.values()):
                    return not below.training
        return False

    def is_set_apart(self, story):
        """Whether a value computed from a leaf was also cut off and handed on, so that others train without it."""
        for _, cut in self.cut_places.values():
            used = cut.kind in APART and any("Backward" in site.operation for site in cut.took)
            if used and story.site in ancestry(cut.site):
                return True
        return False

    def note_idle_term(self, order, root):
        """A term of the loss that no gradient goes through."""
        found = idle_term(root, {node.site_ for node in order}) if root is not None and root.shape == () else None
        if found is not None:
            times = self.idle_terms.get(found[1].place.shown[:2], (0,))[0]
            self.idle_terms[found[1].place.shown[:2]] = (times + 1, *found)

    def note_stale(self, order):
        """Values that were computed from parameters which have been updated since, and are used all the same."""
        old = {node for node in order if node.site_ is not None and node.site_.visited}
        if not old:
            return
        edges = (real(edge) for node in order if node not in old for edge in node.edges)
        for entry in {edge for edge in edges if edge in old and type(edge) is not AccumulateGrad}:
            site = entry.site_
            below = [story for story, _ in self.known_of(walk([entry])[1])]
            updated = [story for story in below if story.moved and story.last_step >= site.visited]
            if updated:
                self.stale.setdefault(id(site), (site, set(), updated))[1].add(self.passes)

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
        if self.pass_place is not None:
            self.stepped_after.setdefault(self.pass_place.shown[:2], self.steps[-1][0])
        self.in_closure = closed = len(args) > 1 or kwargs.get("closure") is not None
        holder.lr = float(optimizer.param_groups[0].get("lr", 0))
        holder.idle_steps += not any(group.get("lr", 1) for group in optimizer.param_groups)
        frames = user_frames(2) if is_sampled(count) else ()
        if frames:
            self.give_names(frames)
            for name, value in reachable(frames, (Optimizer,)):
                if value is optimizer:
                    holder.name = holder.name or name
        self.previous_print = {}
        stories = []
        for group in optimizer.param_groups:
            for p in group["params"]:
                story = self.story(p)
                stories.append(story)
                story.held = True
                story.steps += 1
                if not story.moved:
                    story.settle(self.passes)
                grad = p.grad
                got = story.last_got > story.last_step
                if closed:
                    self.previous_print[id(p)] = fingerprint(p)
                elif grad is None or (got and not size_of(grad)):
                    story.empty_steps += 1
                    if got:
                        self.note_loss_of_gradient(story, grad)
                elif is_sampled(count):
                    self.previous_print[id(p)] = fingerprint(p)
                story.last_step = self.passes
        self.ledger.settle(stories, True, self.steps[-1][0])

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
        self.in_closure = False
        for group in optimizer.param_groups:
            for p in group["params"]:
                before = self.previous_print.get(id(p))
                if before is not None:
                    story = self.story(p)
                    if fingerprint(p) != before:
                        story.moved += 1
                    elif p.grad is None:
                        story.empty_steps += 1
                        if story.last_reached == self.passes:
                            self.note_loss_of_gradient(story, None)
                    elif p.grad is not None and size_of(p.grad) and not group.get("lr", 1):
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


APART = ("detach", "data", "no_grad", "requires_grad_(False)")


def beside_chosen(modules, chosen):
    """ids of the parameters of modules that an optimizer was given in part: `chosen` (ids) splits what they own.

    So are the adapters of a frozen network picked out, or all biases; whole submodules left out are an oversight.
    """
    found = set()
    for module in modules:
        for part in module.modules():
            some = any(id(p) in chosen for p in part._parameters.values())
            if some and any(p.requires_grad and id(p) not in chosen for p in part.parameters()):
                break
        else:
            if not is_chosen_by_class(module, chosen):
                continue
        found |= {id(p) for p in module.parameters() if id(p) not in chosen}
    return found


def is_chosen_by_class(module, chosen):
    """Whether `chosen` are the parameters of all modules, two or more, of one class inside of a module."""
    picked, waiting = [], [module]
    while waiting:
        part = waiting.pop()
        own = [id(p) for p in part.parameters()]
        if own and all(p in chosen for p in own):
            picked.append(part)
        elif any(p in chosen for p in own):
            waiting += part.children()
    kinds = {type(part) for part in picked}
    if len(picked) < 2 or len(kinds) != 1 or module in picked:
        return False
    (kind,) = kinds
    return sum(type(part) is kind for part in module.modules()) == len(picked)


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


def name_of_root(nodes, frames):
    for name, tensor in reachable(frames, (Tensor,)):
        if tensor._node is nodes[0]:
            return name
    return None
