"""Why a leaf of a program does not learn, of all that a witness saw of it; or that it does, or is not meant to.

An optimizer holds it and no gradient reaches it; one does and is zero, or dropped, or no step follows; the step leaves
it as it is. Or no optimizer holds it, which may be a choice, and may be an oversight.
"""

import re

from wengert.lens import idioms, source
from wengert.lens.oversights import LEFT_ALONE
from wengert.lens.reasons import Reason, at, shown
from wengert.lens.sites import source_line
from wengert.lens.ways import NEVER_ASKED, frozen_at, no_grad_asked


class Leaves:
    """Judges the leaves that `seen`, a `Witness`, has seen.

    `wasted` are the lines of backward, each as (code, line), whose gradients are dropped.
    """

    def __init__(self, seen):
        self.seen = seen
        self.wasted = set()

    def verdict(self, story):
        """The reason why a leaf does not learn; None if it does, or is not meant to."""
        tensor = story.tensor()
        if not story.held:
            return self.verdict_unheld(story, tensor)
        if not story.reached and story.moved:
            return None  # the program gives it its gradient
        if self.seen.passes == 0:
            if not self.seen.steps:
                return self.never_come_to("backward", "backward")
            unsaid = idioms.not_called(self.files() or self.seen.files_seen, "backward")
            if unsaid is not None and unsaid[2] is None:
                return self.never_come_to("backward", "")
            place = self.seen.steps[-1][0]
            tail = f"never {{gets}} a gradient: the optimizer steps at {at(place)}, but backward is never called"
            return Reason("no backward", tail.replace("never {gets}", "{gets} never"), place)
        if not story.ever_required and not (tensor is not None and tensor.requires_grad):
            return self.verdict_frozen(story, tensor)
        if tensor is not None and not tensor.requires_grad and not story.reached:
            again = self.frozen_again(tensor)
            if again is not None:
                return frozen_at(again, ", for a while, and never back on")
            whole = any(h.steps and all(is_still(s) for s in self.stories if h in s.holders) for h in story.holders)
            return no_grad_asked(tensor) if whole else None  # a part may be frozen on purpose, not all of it
        if not story.reached:
            return self.renewed(story, tensor) or self.verdict_unreached(story, tensor)
        if story.zero == story.reached and (story.zero >= 2 or self.seen.passes == 1):
            return story.zero_reason
        if story.faulty or self.seen.fault is not None:
            return None
        if story.zero >= 2 and story.steps >= 2 and not story.moved and story.zero_reason.file is not None:
            return story.zero_reason  # what else it got was for another optimizer
        own = story.settled and story.reason.kind in NO_WAY and story.empty_steps == story.steps
        if own and story.reached_at not in self.wasted:  # what it got was meant for another optimizer
            return story.reason
        if story.lost and len(story.lost) >= min(story.steps, 2) and not story.moved:
            return self.dropped(story)
        if not story.steps and not story.has_moved:
            return self.no_step(story)
        if story.steps and not story.moved and story.empty_steps == story.steps:
            place = self.seen.steps[-1][0]
            tail = f"{{gets}} a gradient, but {{its}} gradient is None at every step of the optimizer, at {at(place)}"
            return Reason("reset", tail, place)
        if story.unmoved and not story.moved:
            place = self.made(story)
            where = f" made at {at(place)}" if place is not None else ""
            tail = (
                f"{{gets}} a gradient, but the steps of the optimizer{where} leave {{them}} as {{it}} {{is}}: lr is 0"
            )
            truncated = idioms.truncated_rate(self.files(story))
            if truncated is not None:
                return Reason("not moved", f"{tail}, for {shown(*truncated)} cuts off what is below 1", at=truncated)
            schedule = idioms.rate_set(self.files(story)) or idioms.scheduler_in(self.files(story))
            if schedule is not None and any(holder.lr_at_first for holder in story.holders):
                return Reason("not moved", f"{tail}, as scheduled at {shown(*schedule)}", at=schedule)
            return Reason("not moved", tail, place)
        return self.stopped(story)

    def frozen_again(self, tensor):
        """Where a leaf was frozen, if others are frozen there again and again, and thawed, while training goes on."""
        site = tensor._origin
        if site is None or site.cut is None or site.cut.kind != "requires_grad_(False)":
            return None
        return site.place if self.seen.freezes.get(site.place.shown[:2], 0) else None

    def stopped(self, story):
        """The reason of a leaf that a schedule keeps as it is for most of the steps: its learning rate is 0."""
        for holder in story.holders:
            if holder.idle_steps >= max(3, holder.steps / 2) and holder.lr == 0:
                schedule = idioms.rate_set(self.files(story)) or idioms.scheduler_in(self.files(story))
                if schedule is not None:
                    tail = (
                        f"{{gets}} a gradient, but lr is 0 at {holder.idle_steps} of {holder.steps} steps, as "
                        f"scheduled at {shown(*schedule)}"
                    )
                    return Reason("not moved", tail, at=schedule)
        return None

    def no_step(self, story):
        """The reason of a leaf whose optimizer never steps: another one does in its place, or none is come to."""
        place = self.made(story)
        where = f" (made at {at(place)})" if place is not None else ""
        tail = f"{{gets}} a gradient, but the optimizer that holds {{them}}{where} never steps"
        backward = story.reached_at
        if backward is None:
            return Reason("no step", tail)
        tail += f" after backward at {shown(backward[0].co_filename, backward[1])}"
        other = self.seen.stepped_after.get(backward)
        if other is not None and self.steps_elsewhere(other):
            return Reason("no step", f"{tail}: another one steps there, at {at(other)}", other)
        schedule = idioms.scheduler_step(self.files(story))
        if schedule is not None and not self.seen.steps:
            return Reason("no step", f"{tail}: only the schedule does, at {shown(*schedule)}", at=schedule)
        receivers = set().union(*(source.receivers_at(holder.place) for holder in story.holders))
        return self.never_come_to("step", tail, "no step", receivers) or Reason(
            "no step", tail, at=(backward[0].co_filename, backward[1])
        )

    def steps_elsewhere(self, place):
        """Whether the optimizer that steps at a place steps at another one, too."""
        mine = {owner() for step, _, owner in self.seen.steps if step is place}
        return any(step is not place and owner() in mine for step, _, owner in self.seen.steps)

    def never_come_to(self, method, tail, kind="no backward", receivers=None):
        """The reason where the source has a call of `backward` or `step`, and the program never came to it."""
        found = idioms.not_called(self.files() or self.seen.files_seen, method, receivers)
        if found is None:
            return None
        if kind == "no backward":
            tail = "{gets} no gradient"
        filename, line, guard = found
        if guard is None:
            return Reason(kind, f"{tail}: {shown(filename, line)} names it without calling it", at=(filename, line))
        tail += f": {shown(filename, line)} is never come to"
        if guard != line:
            tail += f", because of {shown(filename, guard)}"
        return Reason(kind, tail, at=(filename, guard))

    def dropped(self, story):
        """The reason of a leaf whose gradient is gone when its optimizer steps."""
        place = next((p for p in story.lost if p is not None), None)
        line = (place.file, place.line) if place is not None else idioms.reset_of_grad(self.files())
        if line is None and story.asked:
            line = idioms.grad_of_alias(self.files())
            if line is None:
                line = (self.seen.steps[-1][0].file, self.seen.steps[-1][0].line)
            tail = f"{{gets}} a gradient by autograd.grad, and nothing puts it into `.grad`: see {shown(*line)}"
            return Reason("reset", tail, at=line)
        by = f"it is dropped at {shown(*line)}" if line is not None else "it is dropped"
        tail = f"{{gets}} a gradient, but {by}, before the optimizer steps: {{it}} never {{moves}}"
        return Reason("reset", tail, at=line)

    def verdict_unreached(self, story, tensor):
        """The reason of a leaf that no pass has reached: it is out of the way, or the way was not taken."""
        reason = story.reason or Reason("never used", "{gets} no gradient: no recorded operation used {them}")
        if reason.kind == "never used" and (short := self.loop_cut_short(story)) is not None:
            tail = f"{{gets}} no gradient: the loop at {shown(*short)} never comes to {{them}}"
            return Reason("unused", tail, at=short)
        used = self.seen.inside.get(id(tensor))
        if reason.kind == "never used" and used is not None and used[0]() is tensor:
            places = [(used[1].file, used[1].line), *(caller[:2] for caller in used[1].callers)]
            outer = next((place for place in places if "checkpoint" in source_line(*place)), places[0])
            tail = (
                f"{{gets}} no gradient: {{it}} {{is}} used at {shown(*outer)} inside of the forward of a Function, "
                "none of whose inputs requires grad (a reentrant checkpoint is one: use_reentrant=False sees more)"
            )
            return Reason("cut", tail, at=outer)
        if reason.lost is not None and reason.lost.culprit != (reason.lost.file, reason.lost.line):
            return reason
        discarded = reason.kind == "unused" and reason.part is not None
        if discarded and idioms.discards(self.files(), set(reason.part.path.split("."))):
            return Reason("left aside", reason.tail, at=(reason.file, reason.line))
        owner = (story.name or "").rpartition(".")[0]
        beside = owner and any(s.reached and (s.name or "").rpartition(".")[0] == owner for s in self.stories)
        if reason.kind == "unused" and beside:  # as a last bias in the derivative of an energy
            return Reason("left aside", reason.tail, at=(reason.file, reason.line))
        parts = [part for part in re.split(r"[.\[\]]", story.name or "")[1:] if part.isidentifier()]
        guard = idioms.training_guard(self.files(story), parts[0]) if parts else None
        if guard is not None:
            tail = f"{{gets}} no gradient: {{it}} {{is}} used only where {shown(*guard)} allows it, not in training"
            return Reason("unused", tail, at=guard)
        if reason.kind == "never used" and (idle := self.of_idle_optimizer(story)) is not None:
            return idle
        if reason.kind == "never used" and self.is_optional(story):
            return Reason("left aside", reason.tail + " in this run, though the program would, some other time")
        return reason

    def of_idle_optimizer(self, story):
        """The reason of a leaf whose optimizer steps and never has a gradient to step with: copies are trained."""
        mates = [s for s in self.stories if set(s.holders) & set(story.holders)]
        if any(s.reached or s.moved for s in mates) or not any(holder.steps for holder in story.holders):
            return None
        like = [s for s in self.stories if s not in mates and s.reached and s.held and s.shape == story.shape]
        copied = next((s for s in like if "copy" in s.site.place.text), None)
        place = copied.site.place if copied is not None else None
        if place is None:
            return None
        tail = f"{{gets}} no gradient: trained is a copy, made at {at(place)}, of which its optimizer knows nothing"
        return Reason("copied", tail, place)

    def loop_cut_short(self, story):
        """(file, line) of what keeps a loop over numbered parts from this one, if it comes to others in every pass."""
        like = [s for s in self.stories if s is not story and numbered_as(s, story) and s.reached and s.used_at]
        if not like or any(s.reached < story.passes_since(self.seen.passes) for s in like):
            return None
        place = like[0].used_at
        return idioms.loop_cut_short(place.file, place.line)

    def is_optional(self, story):
        """Whether a leaf that was not used is one of several to choose from, or stands in a branch not taken."""
        name = story.name or ""
        kind = re.sub(r"\d+", "#", name)
        if kind != name and any(s.reached and re.sub(r"\d+", "#", s.name or "") == kind for s in self.stories):
            return True
        parts = [part for part in re.split(r"[.\[\]]", name)[1:] if part.isidentifier()]
        made = [part for part in parts if source.attribute_is_made(self.files(story), part)]
        return bool(made) and all(source.attribute_is_used(self.files(story), part) for part in made)

    @property
    def stories(self):
        return self.seen.stories.values()

    def verdict_unheld(self, story, tensor):
        if not self.seen.holders and story.reached >= 3 and not story.has_moved and not story.changed:
            return self.verdict_by_hand()
        if not self.seen.holders or story.reached < 2 or story.changed or story.has_moved:
            return None
        if tensor is None and not (story.is_parameter or "." in (story.name or "")):
            return None
        held = [s for s in self.seen.stories.values() if s.held]
        of_modules = [s for s in held if s.is_parameter and (s.of_module or not (s.reached and story.of_module))]
        if story.is_parameter and not of_modules:
            return None  # nothing of a module is trained: an image, or an input, is
        if story.zero == story.reached or story.asked:
            return None
        if not story.is_parameter and not self.is_forgotten(story):
            return None
        if story.resting or self.seen.is_resting(tensor):
            return None
        chosen = not self.is_oversight(story, held)
        if chosen and story.beside_chosen and all(s.reached for s in held):
            tail = (
                f"{{gets}} a gradient in {story.reached} passes and no optimizer holds {{them}}: it was given some "
                "parameters of the same modules, by choice it seems. Then requires_grad_(False) saves the work"
            )
            return Reason("by choice", tail)
        separate = story.feeds and self.seen.is_set_apart(story)  # trained in turn, it seems, not left as it is
        if chosen and story.feeds and not separate and not any(len(s.holders) > 1 for s in held):
            tail = (
                f"{{gets}} a gradient in {story.reached} passes and no optimizer holds {{them}}: {{it}} only "
                "{computes} features for what is trained. If that is meant, requires_grad_(False) saves the work"
            )
            return Reason("features", tail)
        if story.unregistered and story.name is None and story.site.place.callers:
            outer = next((c[:2] for c in story.site.place.callers if c[2] == "__init__"), None)
            if outer is not None:
                tail = (
                    f"{{gets}} a gradient in {story.reached} passes, but {shown(*outer)} makes {{them}} where no "
                    "module knows of {them}, as in a plain function or list: no optimizer was given {them}"
                )
                return Reason("no parameter", tail, at=outer)
        if not story.is_parameter and "." in (story.name or "") and story.site.place.frames:
            tail = (
                f"{{gets}} a gradient in {story.reached} passes, but {{it}} {{is}} made as a plain tensor at "
                f"{at(story.site.place)}: no module knows of {{them}}, and no optimizer was given {{them}}"
            )
            return Reason("no parameter", tail, story.site.place)
        holder = self.holder_beside(story)
        if holder is not None:
            tail = (
                f"{{gets}} a gradient in {story.reached} passes, but no optimizer holds {{them}}: the one made at "
                f"{at(holder.place)} was given other parameters, so {{it}} never {{moves}}"
            )
            return Reason("not held", tail, holder.place)
        place = self.place_of_list(story) or (story.site.place if story.site.place.frames else None)
        made = f" (made at {at(place)})" if place is not None else ""
        tail = f"{{gets}} a gradient in {story.reached} passes, but no optimizer holds {{them}}{made}, so {{it}} never "
        return Reason("not held", f"{tail}{{moves}}", place)

    def verdict_by_hand(self):
        """The reason of a leaf that gets gradients and that no optimizer holds: an update that changes a copy only."""
        for filename in self.files():
            line = idioms.rebinding_from_grad(filename)
            if line is not None:
                tail = (
                    f"{{gets}} a gradient and never {{moves}}: {shown(filename, line)} gives a name to a new tensor, "
                    "and leaves {them} as {it} {is}. Write in place"
                )
                return Reason("not moved", tail, at=(filename, line))
        return None

    def is_oversight(self, story, held):
        """Whether what an optimizer was not given was forgotten, and not left as it is by choice.

        Who trains some parameters among many takes few, by name or by class; who trains what lies behind features takes
        features that were trained before, or a new head in the place of another. And programs say so.
        """
        names = [text for holder in self.seen.holders for text in source.words_behind(holder.place)]
        if any(text and text in (story.name or "") for text in names):
            return False
        if source.texts_match(self.files(story), LEFT_ALONE) or re.search("load|copy", story.site.made.text):
            return False
        if story.beside_chosen:
            beside = [s for s in self.stories if s.beside_chosen and not s.held]
            return sum(s.size for s in beside) < sum(s.size for s in held)
        inside = story.site.place.function == "__init__"
        return not (inside and held and all(s.site.place.function != "__init__" for s in held))

    def holder_beside(self, story):
        """The optimizer that holds parameters of the same network and was made when this one was there already."""
        if story.unregistered or not story.of_module:
            return None
        root = root_name(story)
        beside = [h for s in self.stories if s.held and root_name(s) == root for h in s.holders if h.place.frames]
        return next((holder for holder in beside if story.site.seq <= holder.made), None)

    def place_of_list(self, story):
        """The place where a plain list (tuple, dictionary) of modules was made, of which their owner does not know."""
        if not story.unregistered or "[" not in (story.name or "") or not story.site.place.frames:
            return None
        attribute = story.name.partition("[")[0].rpartition(".")[2]
        if re.search(rf"\b{attribute}\b", story.site.place.text):  # born where it is put there
            return None
        filename = story.site.place.file
        line = source.assignment_of(filename, f"self.{attribute}") or source.assignment_of(filename, attribute)
        return None if line is None else story.site.place.at_line(line)

    def is_forgotten(self, story):
        """Whether a plain leaf that gets gradients and never moves looks like a parameter: small, named, used often."""
        return (
            story.reached >= 3
            and story.name is not None
            and "[" not in story.name
            and story.last_reached == self.seen.passes
        )

    def made(self, story):
        return next((holder.place for holder in story.holders if holder.place.frames), None)

    def verdict_frozen(self, story, tensor):
        """An optimizer holds what never asked for gradients: meant so for a frozen part, not for a whole optimizer."""
        if story.is_parameter:
            return self.of_frozen_group(story)
        reason = no_grad_asked(tensor) if tensor is not None else Reason("frozen", NEVER_ASKED, rank=2)
        if reason.file is None and story.name is not None:
            for filename in self.files():
                line = source.assignment_of(filename, story.name)
                if line is not None:
                    where = shown(filename, line)
                    tail = f"{{gets}} no gradient: {{it}} {{is}} made without requires_grad=True at {where}"
                    return Reason("frozen", tail, at=(filename, line))
        return reason

    def of_frozen_group(self, story):
        """The reason of a leaf in a group of an optimizer that has a rate of its own, and is frozen as a whole."""
        mates = [s for s in self.stories if s.group is not None and s.group == story.group]
        others = [s for s in self.stories if s.held and s not in mates]
        if not mates or not others or not story.group[2] or not all(is_still(s) for s in mates):
            return None
        made = idioms.frozen_making(self.files(story))
        if made is None:
            return None
        tail = f"{{gets}} no gradient, though the optimizer has a group for {{them}}: {shown(*made)} freezes {{them}}"
        return Reason("frozen", tail, at=made)

    def files(self, story=None):
        """The files of the program that called backward, and the one in which the module of a leaf was made."""
        found = [code.co_filename for code, _ in self.seen.callers]
        if story is not None and story.site.place.frames:
            found.append(story.site.place.file)
        return list(dict.fromkeys(found))

    def renewed(self, story, tensor):
        """The reason of a parameter that the model replaced after the optimizer was made."""
        if story.name is None or "." not in story.name:
            return None
        for other in self.seen.stories.values():
            if other is not story and other.name == story.name and other.reached and not other.held:
                place = other.site.place if other.site.place.frames else None
                where = f" at {at(place)}" if place is not None else ""
                tail = f"{{gets}} no gradient: the model replaced {{them}}{where} after the optimizer was made"
                return Reason("replaced", tail, place)
        return None


# Kinds of reasons why no gradient came to a leaf.
NO_WAY = ("never used", "unused", "cut")


def numbered_as(story, other):
    """Whether two names differ in their numbers only: layers.0.weight, layers.3.weight."""
    names = [re.sub(r"\d+", "#", s.name or "") for s in (story, other)]
    return names[0] == names[1] and "#" in names[0]


def is_still(story):
    """Whether a leaf does not require grad, and never got a gradient."""
    tensor = story.tensor()
    return not story.reached and tensor is not None and not tensor.requires_grad


def root_name(story):
    """The name of the outermost module or variable by which a leaf is known."""
    return (story.name or "?").removeprefix("self.").partition(".")[0]
