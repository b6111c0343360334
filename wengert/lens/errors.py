"""What can be said of the exception that ended a program, when a witness was there: the line that is to blame."""

import ast
import inspect
import linecache
import traceback

from wengert.autograd.graph import AccumulateGrad, Node
from wengert.lens import idioms, source
from wengert.lens.names import locals_of, name_parameters, reachable
from wengert.lens.places import is_nobodys, is_ours
from wengert.lens.reasons import Reason, at, near, shown
from wengert.lens.sites import Leaf, Place, leaf_site, source_line
from wengert.lens.verdict import Finding
from wengert.lens.ways import ancestry, missing, no_grad_asked, of_cut, real
from wengert.nn.modules.module import Module
from wengert.tensor import Tensor


def told_of(witness, error):
    """The `Finding` for the exception that ended the program, in a list; an empty one if nothing can be added to it."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    own = [frame for frame in frames if not is_nobodys(frame.f_code)]
    found = (tell(witness, error, own) for tell in ERRORS) if own else iter(())
    first = next((finding for finding in found if finding is not None), None)
    return [] if first is None else [first]


def told_of_pass(witness, error, own):
    """The same for an error on its way out of a backward pass that the frames `own` (outermost first) called."""
    found = (tell(witness, error, own) for tell in (modified, second_time))
    return [finding for finding in found if finding is not None][:1]


def local(error, function, name):
    """What a variable of one of this library's functions held when `error` passed through it; None if it did not."""
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        if is_nobodys(frame.f_code) and frame.f_code.co_name == function and name in (held := locals_of(frame)):
            return held[name]
    return None


def line_in(error, frame):
    """The line of `frame` that the error came through."""
    return next(line for f, line in reversed(list(traceback.walk_tb(error.__traceback__))) if f is frame)


def place_of(error, own):
    """(file, line) of the program's statement that raised."""
    return own[-1].f_code.co_filename, line_in(error, own[-1])


def no_way_at_all(witness, error, own):
    """``element 0 of tensors does not require grad``: where was the loss cut from what should be trained?"""
    if "does not require grad and does not have a grad_fn" not in str(error):
        return None
    tensor = local(error, "roots_of", "tensors")[local(error, "roots_of", "number") or 0]
    name = name_of_value(tensor, own)
    loss = f"`{name}`" if name else "the loss"
    where = place_of(error, own)
    start = f"backward at {shown(*where)} fails"
    witness.give_names(own[::-1])
    witness.pass_place = Place(tuple((frame.f_code, frame.f_lasti) for frame in reversed(own)))
    reason, names = strongest_reason(witness, tensor._origin, own)
    if reason is not None and (reason.rank > 1 or tensor._origin is not None):
        sentence = f"{start}, for {loss} has no way back to any parameter: {reason.said_of(names, loss)}"
        return Finding("no-grad", sentence, reason.file or where[0], reason.line or where[1])
    start += f": nothing that {loss} was computed from requires grad"
    frozen = next((site for site in map(frozen_site, tensors_seen(own)) if site is not None), None)
    if frozen is not None:
        return Finding("no-grad", f"{start}; it was turned off at {at(frozen.place)}.", frozen.file, frozen.line)
    plain = plain_leaf(own, tensor)
    if plain is not None:
        made = f"`{plain[0]}` is made without requires_grad=True at {shown(*plain[1:])}"
        return Finding("no-grad", f"{start}; {made}.", *plain[1:])
    line = source.assignment_of(where[0], name, where[1], last=True) if name else None
    if line is not None:
        return Finding("no-grad", f"{start}; it is computed at {shown(where[0], line)}.", where[0], line)
    return Finding("no-grad", f"{start}.", *where)


def strongest_reason(witness, root, own):
    """Of the reasons why leaves get nothing from `root`, that which explains most, and the leaves that it holds for."""
    behind = () if root is None else sorted(ancestry(root), key=lambda site: site.seq)
    leaves = [site for site in behind if isinstance(site, Leaf) and site is not root]
    reasons = {}
    held = [story.site for story in witness.stories.values() if story.held]
    for leaf in [leaf for leaf in leaves if not held or leaf in held] or held or known_leaves(witness):
        reason = missing(leaf, root, witness)
        story = witness.stories.get(id(leaf))
        said = story.said if story is not None else said_of_leaf(leaf, own)
        reasons.setdefault((reason.rank, reason.file, reason.line), (reason, []))[1].append(said)
    if not reasons:
        return None, []
    return reasons[max(reasons, key=lambda key: (key[0], len(reasons[key][1])))]


def known_leaves(witness):
    return [story.site for story in witness.stories.values()]


def said_of_leaf(site, own):
    names = name_parameters(own[::-1])
    name = names[id(site.tensor)][0] if id(site.tensor) in names else "a tensor"
    return f"`{name}` ({'×'.join(map(str, site.shape)) or '()'})"


def tensors_seen(own):
    """The tensors, and the parameters of the modules, that the program's frames know."""
    parameters = [p for _, module in reachable(own[::-1], (Module,)) for p in module.parameters()]
    return [tensor for _, tensor in reachable(own[::-1], (Tensor,))] + parameters


def frozen_site(tensor):
    site = tensor._origin
    return site if site is not None and site.cut is not None and site.cut.kind == "requires_grad_(False)" else None


MAKERS = ("randn", "rand", "zeros", "ones", "tensor", "empty", "full")


def plain_leaf(own, loss):
    """(name, file, line) of a variable that the program seems to train and that does not require grad."""
    filename = own[-1].f_code.co_filename
    text = "".join(linecache.getlines(filename))
    for name, tensor in reachable(own[::-1], (Tensor,)):
        if tensor is loss or tensor._node is not None or not tensor.dtype.is_floating_point:
            continue
        line = source.assignment_of(filename, name)
        made = source_line(filename, line) if line else ""
        if any(word in made for word in MAKERS) and (f"{name}.grad" in text or f"[{name}" in text):
            return name, filename, line
    return None


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
    if node is not None and node.site_ is not None and node.site_.seq <= started:
        carried = second_time(witness, error, own, node)
        if carried is not None:
            return carried  # the write is only how it shows
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
    started, before = witness.pass_starts[-2] if len(witness.pass_starts) > 1 else (0, None)
    crossings = [
        (n.site_, edge.site_)
        for n in order
        if n.site_ is not None and n.site_.seq > started
        for edge in map(real, n.edges)
        if edge is not None and edge.site_ is not None and not isinstance(edge, AccumulateGrad)
        if edge.site_.seq <= started
    ]
    other = before is not None and before is not place
    freed = f"the backward pass at {at(before)}" if other else "an earlier backward pass"
    made = (
        f"{node.name()} (made at {at(node.site_.place)})" if node is not None and node.site_ is not None else "a graph"
    )
    did = "run through" if kept else "freed"
    sentence = f"backward at {at(place)} goes through {made} a second time, which {freed} had {did}"
    if kept:
        sentence += ", and what it saved has been written since"
    if crossings:
        entry, old = min(crossings, key=lambda pair: pair[0].seq)
        return Finding("error", *of_crossing(witness, own, sentence, entry, old, started, other))
    if kept:
        return None
    sentence += ": call it once, on the sum of the losses, or with retain_graph=True the first time."
    return Finding("error", sentence, place.file, place.line)


def of_crossing(witness, own, sentence, entry, old, started, other):
    """(sentence, file, line) for a graph of an `old` value that an earlier pass ran through and a new one `entry`s."""
    first = taken_in_vain(witness, old, started) if other else None
    if first is not None:
        sentence += (
            f". The earlier one had no need to: no optimizer that stepped after it holds anything there. Detach where "
            f"the value enters its loss, at {at(first.place)}."
        )
        return sentence, first.file, first.line
    keeper = idioms.cache_around(old.file, old.line) or kept_in(witness, own, old, other)
    if keeper is not None:
        sentence += f". {near(old)} is kept from an earlier step by {shown(*keeper)}, and enters at {at(entry.place)}."
        return sentence, *keeper
    if not other and old.place.frames and not any(s.seq > started and s.line == old.line for s in witness.sites):
        sentence += (
            f". {near(old)} was computed once, at {at(old.place)}, and enters each new graph at {at(entry.place)}: "
            "compute it anew for every pass."
        )
        return sentence, old.file, old.line
    where = idioms.carrier_of(entry.file, entry.line, entry.module.split("."), witness.files)
    sentence += (
        f". The old graph enters the new one at {at(entry.place)}"
        + (f", brought by {shown(*where)}" if where != (entry.file, entry.line) else "")
        + ": detach there what is carried over from step to step, or keep the graph with retain_graph=True if both "
        "passes are meant."
    )
    return sentence, *where


def kept_in(witness, own, old, other):
    """(file, line) that gives an attribute of some object the value which holds on to the graph of an `old` one.

    Or a variable the old value itself, unless it is an`other` line that ran the earlier pass.
    """
    for name, tensor in reachable(own[::-1], (Tensor,)):
        base = name.partition("[")[0]
        if name.isidentifier() and tensor._origin is old and not other:
            filename = own[-1].f_code.co_filename
            line = source.assignment_of(filename, name, own[-1].f_lineno)
            if line is not None:
                return filename, line
        inner = "." in base and tensor._node is not None and type(tensor._node) is not AccumulateGrad
        if inner and tensor._origin is not None and old in ancestry(tensor._origin):
            return idioms.attribute_kept(witness.files, base.rpartition(".")[2])
    return None


def taken_in_vain(witness, old, started):
    """The site where the value made at `old` entered the pass before this one, if none of its leaves stepped then."""
    number = witness.passes - 1
    steppers = [optimizer() for _, passes, optimizer in witness.steps if passes == number]
    held = {id(p) for o in steppers if o is not None for group in o.param_groups for p in group["params"]}
    leaves = [site.tensor for site in ancestry(old) if isinstance(site, Leaf)]
    if not held or any(id(leaf) in held for leaf in leaves):
        return None
    users = [site for site in witness.sites if old in site.parents and site.visited == number]
    return min(users, key=lambda site: site.seq, default=None)


def leaf_written(witness, error, own):
    if "leaf Variable that requires grad" not in str(error):
        return None
    where = place_of(error, own)
    remedy = "do it inside torch.no_grad(), or out of place"
    return Finding("in-place", f"{shown(*where)} writes in place into a leaf that requires grad: {remedy}.", *where)


def not_a_leaf(witness, error, own):
    if "can't optimize a non-leaf Tensor" not in str(error):
        return None
    tensor = local(error, "_check_params", "param")
    site = None if tensor is None else tensor._origin
    if site is None:
        return None
    name = name_of_value(tensor, own)
    sentence = (
        f"{f'`{name}`' if name else 'A tensor'} given to the optimizer is not a leaf: it is the result of "
        f"{site.operation} at {at(site.place)}. Make it a leaf there (create it so, or end with "
        ".detach().requires_grad_())."
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
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and part.attr == "grad":
            tensor = value_in(part.value, frame)
            if isinstance(tensor, Tensor) and (
                tensor._node is None or (tensor.__dict__.get("_retained") is None and tensor_grad(tensor) is None)
            ):
                return of_none_grad(witness, tensor, ast.unparse(part.value), (filename, line), own)
    return None


def tensor_grad(tensor):
    return tensor._node.grad if type(tensor._node) is AccumulateGrad else tensor._retained


def value_in(expression, frame):
    """The value of a name, attribute or constant subscript in a frame; None if it is anything else."""
    if isinstance(expression, ast.Name):
        return locals_of(frame).get(expression.id, frame.f_globals.get(expression.id))
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
    """The finding for ``name.grad`` that is None at (file, line) `where`."""
    start = f"`{name}.grad` is None at {shown(*where)}"
    reason = reason_of_none(witness, tensor, name, where)
    if reason is None:
        return Finding("no-grad", f"{start}.", *where)
    loss = f"`{witness.loss_name}`" if witness.loss_name else "the loss"
    sentence = f"{start}: {reason.said_of([f'`{name}`'], loss)}"
    return Finding("no-grad", sentence, reason.file or where[0], reason.line or where[1])


def reason_of_none(witness, tensor, name, where):
    site, node = tensor._origin, tensor._node
    if node is not None and type(node) is not AccumulateGrad:
        made = f"{site.operation} at {at(site.place)}" if site is not None else node.name()
        tail = (
            f"{{is}} not a leaf: {{it}} {{is}} the result of {made}, and backward keeps gradients of leaves only. Make "
            "it a leaf, update it in place inside no_grad, or call retain_grad()"
        )
        return Reason("not a leaf", tail, None if site is None else site.place)
    if node is None:
        if site is not None and site.cut is not None and site.cut.kind != "requires_grad_(False)":
            tail = f"{{gets}} no gradient: {{it}} {{is}} cut off by {site.cut.kind} at {at(site.place)}"
            return Reason("cut", tail, site.place)
        line = source.assignment_of(where[0], name, where[1])
        if site is None and line is not None:
            tail = f"{{gets}} no gradient: {{it}} {{is}} made without requires_grad at {shown(where[0], line)}"
            return Reason("frozen", tail, at=(where[0], line))
        return no_grad_asked(tensor)
    if witness.passes == 0:
        return Reason("no backward", "{gets} a gradient by backward, and no pass has run yet", at=where)
    story = witness.story(tensor)
    if not story.reached:
        if story.reason is None and witness.last_walk is not None:
            story.blame(missing(story.site, witness.site(witness.last_walk[0][0]), witness), witness.passes)
        return story.reason
    resets = [place for place, passes, _ in witness.resets if passes >= witness.passes]
    if resets:
        return Reason("reset", f"got a gradient, and zero_grad at {at(resets[-1])} dropped it", resets[-1])
    return None


def not_used(witness, error, own):
    """`autograd.grad` of something that the outputs do not depend on."""
    if "appears to not have been used in the graph" in str(error):
        tensor, outputs = local(error, "grad", "tensor"), local(error, "grad", "outputs")
        if tensor is None or not outputs or tensor._origin is None:
            return None
        reason = missing(leaf_site(tensor), outputs[0]._origin, witness)
        name, out = name_of_value(tensor, own) or "the input", name_of_value(outputs[0], own) or "the output"
        return Finding("no-grad", reason.said_of([f"`{name}`"], f"`{out}`"), reason.file, reason.line)
    if "One of the differentiated Tensors does not require grad" in str(error):
        tensor = local(error, "node_wanted", "tensor")
        if tensor is not None:
            name = name_of_value(tensor, own) or "the input"
            return of_none_grad(witness, tensor, name, place_of(error, own), own)
    return None


def inference_saved(witness, error, own):
    """A tensor of inference mode in a graph: where was it made?"""
    if "Inference tensors cannot be saved for backward" not in str(error):
        return None
    sites = [cut.site for cut in witness.cuts if cut.kind == "inference_mode" and cut.source is not None]
    if not sites:
        return None
    text, where = of_cut(sites[-1], sites[-1].parents[0], ())
    sentence = f"{shown(*place_of(error, own))} takes in a tensor that was made in inference mode: by {text}"
    return Finding("no-grad", f"{sentence}.", *where)


def wrong_gradients(witness, error, own):
    """A Function whose backward gives other gradients than its forward had inputs."""
    if not any(words in str(error) for words in ("returned an incorrect number", "returned an invalid gradient")):
        return None
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    nodes = [value for frame in frames for value in locals_of(frame).values() if isinstance(value, Node)]
    functions = [f for f in (getattr(node, "function", None) for node in nodes) if inspect.isclass(f)]
    if not functions:
        return None
    line = source.return_line(functions[-1].backward)
    return Finding("error", f"{shown(*line)}: {str(error).splitlines()[0]}.", *line)


def number_without_backward(witness, error, own):
    """``'float' object has no attribute 'backward'``: where did the loss become a number?"""
    if not isinstance(error, AttributeError) or "has no attribute 'backward'" not in str(error):
        return None
    where = place_of(error, own)
    line = idioms.number_made(*where)
    if line is None:
        return None
    sentence = f"{shown(*where)} calls backward on a number: {shown(*line)} makes it one, outside of the graph."
    return Finding("no-grad", sentence, *line)


def nothing_to_train(witness, error, own):
    """``optimizer got an empty parameter list``: where are the layers that the module does not know of?"""
    if "empty parameter list" not in str(error):
        return None
    where = place_of(error, own)
    for name, module in reachable(own[::-1], (Module,)):
        for key, value in vars(module).items():
            items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
            if not key.startswith("_") and any(isinstance(item, (Module, Tensor)) for item in items):
                line = source.attribute_given([where[0], *witness.files_seen], key)
                if line is not None:
                    sentence = (
                        f"`{name}` has no parameters: {shown(*line)} keeps its layers where it does not know of them. "
                        "Use nn.ModuleList, nn.ModuleDict or nn.ParameterList."
                    )
                    return Finding("no-grad", sentence, *line)
    return None


def at_least_where(witness, error, own):
    """Of any other error that this library raised: the line of the program that it came from."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if not is_ours(frames[-1].f_code):
        return None
    nodes = [value for frame in frames for value in locals_of(frame).values() if isinstance(value, Node)]
    known = [node.site_.place for node in nodes if type(node) is not AccumulateGrad and node.site_ is not None]
    inner = max(i for i, frame in enumerate(frames) if frame is own[-1])
    at_node = known and known[-1].frames and not any(is_ours(frame.f_code) for frame in frames[:inner])
    where = (known[-1].file, known[-1].line) if at_node else place_of(error, own)
    text = str(error).strip().splitlines()
    said = f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
    return Finding("error", f"{shown(*where)} raised {said}.", *where)


def numpy_refused(witness, error, own):
    if "Can't call numpy() on Tensor that requires grad" not in str(error):
        return None
    where = place_of(error, own)
    sentence = (
        f"{shown(*where)} asks for the NumPy array of a tensor in the graph: NumPy can't carry gradients. Use "
        ".detach().numpy() for looking at it, tensor operations for computing with it."
    )
    return Finding("no-grad", sentence, *where)


def not_scalar(witness, error, own):
    if "grad can be implicitly created only for scalar outputs" not in str(error):
        return None
    where = place_of(error, own)
    remedy = "reduce it with .sum() or .mean()"
    return Finding("error", f"{shown(*where)} calls backward on a tensor of several elements: {remedy}.", *where)


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
    inference_saved,
    wrong_gradients,
    number_without_backward,
    nothing_to_train,
    at_least_where,
]
