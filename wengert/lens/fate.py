"""What a program does with a value once a line has made it, as its source says: who reads it, or nobody?

A result that never enters the loss was meant to. The line that made it did its work; to blame is the one that should
have taken it in and took something else, or wrote over it. Graph and time say which value is lost and which lines the
loss came through; names, shapes and the order of statements say which of these lines went on without it.
"""

import ast
import re
from collections import namedtuple

from wengert.lens import source
from wengert.lens.sites import parsed

Fate = namedtuple("Fate", "kind file line name culprit")
"""What became of a value: the statement (file, line) in which it is lost, and the line to blame.

kind: "thrown away", "overwritten" (by the culprit), "overwritten in turn" (by the next turn of the same loop), "unread"
(the culprit went on without it).
"""

LOOKS = frozenset({"item", "detach", "shape", "size", "data", "cpu", "numpy", "tolist", "dtype", "dim", "ndim"})
TELLS = frozenset({"print", "float", "int", "str", "len", "repr", "format", "round", "info", "debug", "warning", "log",
                   "write", "add_scalar", "set_postfix", "set_description"})  # fmt: skip


class Search:
    """The way of a lost value through the source.

    Args:
        parts: the path of the module in which the value was made, by whose names callers may call it.
        flow: a `Flow`, which knows what the loss was computed from.
    """

    def __init__(self, parts, flow):
        self.parts, self.flow = parts, flow
        self.seen = set()

    def at(self, filename, line):
        """The `Fate` of what the statement at a line made; None if it is read, or the source does not say."""
        node, above = source.statement_at(filename, line)
        return None if node is None else self.of_statement(filename, node, above)

    def of_statement(self, filename, node, above):
        """The fate of the value that a statement makes, or hands on."""
        if (filename, node) in self.seen or len(self.seen) > 12:
            return None
        self.seen.add((filename, node))
        if isinstance(node, ast.Return):
            return self.of_returned(filename, node, above)
        if isinstance(node, ast.Expr):
            if grown := grown_by(node):
                return self.of_name(filename, node, above, grown, set())
            return None if is_look(node) else Fate("thrown away", filename, node.lineno, None, (filename, node.lineno))
        names = [name for name in assigned_by(node) if not name.startswith("_")]
        found = (self.of_name(filename, node, above, name, set(names) - {name}) for name in names)
        return next((fate for fate in found if fate is not None), None)

    def of_returned(self, filename, node, above):
        """Where the callers of a function leave what it returned."""
        function = scope_of(above)
        if not isinstance(function, ast.FunctionDef):
            return None
        index = index_in(node.value, self.parts)
        called = {*self.parts} if function.name in ("forward", "__call__") else {function.name}
        for file, statement, call in source.calls_in(dict.fromkeys([filename, *self.flow.files])):
            if source.name_called(call) not in called or statement is node:
                continue
            _, outer = source.statement_at(file, statement.lineno)
            if function in outer:
                continue
            found = self.of_call(file, statement, outer, call, index)
            if found is not None:
                return found
        return None

    def of_call(self, filename, node, above, call, index):
        """Where a statement leaves what a call in it gave; `index` says which element of that is meant."""
        inside = next((c for c in calls_of_program(node, self.files(filename)) if call in c.args), None)
        if inside is not None:
            return self.of_argument(inside, inside.args.index(call), filename)
        if isinstance(node, ast.Return) and node.value is call:
            return self.of_returned(filename, node, above)
        if not (isinstance(node, ast.Assign) and node.value is call):
            return None
        (target, *_) = node.targets
        if isinstance(target, ast.Tuple) and index is None:
            return self.of_statement(filename, node, above)
        if isinstance(target, ast.Tuple) and isinstance(index, int) and index < len(target.elts):
            name = name_text(target.elts[index])
            others = set(assigned_by(node)) - {name}
            return self.of_name(filename, node, above, name, others) if name and not name.startswith("_") else None
        if isinstance(target, ast.Name):
            return self.of_name(filename, node, above, target.id, set(), index)
        return None

    def of_argument(self, call, position, filename):
        """What a function of the program does with an argument: a number, or the name of a keyword."""
        file, function = definition(self.files(filename), source.name_called(call))
        if function is None or function in self.seen:
            return None
        self.seen.add(function)
        names = [argument.arg for argument in function.args.args]
        if names and names[0] == "self":
            names = names[1:]
        if isinstance(position, int):
            if position >= len(names):
                return None
            position = names[position]
        if position not in names:
            return None
        return self.of_reads(file, function, (function,), position, set(), None, function.lineno)

    def files(self, filename):
        return list(dict.fromkeys([filename, *self.flow.files]))

    def of_name(self, filename, node, above, name, together, index=None):
        """What becomes of the variable (or ``self.attribute``) that the statement `node` gave a value."""
        return self.of_reads(filename, node, above, name, together, index, node.end_lineno)

    def of_reads(self, filename, node, above, name, together, index, end):
        """The same, for a name that has its value from line `end` on: of a variable, or an argument."""
        scope = scope_of(above) or parsed(filename)
        body = parsed(filename) if "." in name else scope  # an attribute may be read from any method
        used = list(readings(body, name, node, index))
        loop = next((outer for outer in reversed(above) if isinstance(outer, (ast.For, ast.While))), None)
        after = [(use, around) for use, around in used if use.lineno > end or isinstance(node, ast.FunctionDef)]
        inside = [one for one in used if loop is not None and loop.lineno <= one[0].lineno <= loop.end_lineno]
        place = (filename, node.lineno)
        if not isinstance(node, ast.FunctionDef):
            writer = overwriting(node, above, name)
            between = any(end < use.lineno <= writer.end_lineno for use, _ in used) if writer is not None else True
            if index is None and not between:
                return Fate("overwritten", *place, name, (filename, writer.lineno))
            if after and loop is not None and not inside and "." not in name:
                return Fate("overwritten in turn", *place, name, place)
        further = [self.of_read(filename, use, around) for use, around in {*after, *inside}]
        if None in further or ("." in name and used):
            return None
        if further:
            return min(further, key=lambda fate: fate.line)
        called = index if isinstance(index, str) else name
        return Fate("unread", *place, name, self.flow.passing_by(filename, node, above, called, together) or place)

    def of_read(self, filename, use, around):
        """What becomes of a value that is read where it is only handed on: given a name, packed, passed, returned."""
        above = [outer for outer in around if isinstance(outer, (ast.stmt, ast.Lambda))]
        if not above or not isinstance(above[-1], (ast.Assign, ast.Return, ast.Expr)):
            return None
        statement = above.pop()
        calls = calls_of_program(statement, self.files(filename))
        for outer in reversed(around[around.index(statement) :]):
            call = next((call for call in calls if outer is call or outer in call.keywords), None)
            if call is not None:
                (place,) = [*(i for i, a in enumerate(call.args) if a is use), *named(call, use)][:1] or (None,)
                return None if place is None else self.of_argument(call, place, filename)
            grows = isinstance(outer, ast.Call) and isinstance(statement, ast.Expr) and grown_by(statement)
            if not isinstance(outer, (*PACKS, ast.stmt)) and not grows:
                return None
        return self.of_statement(filename, statement, tuple(above))


PACKS = (ast.Tuple, ast.List, ast.Dict, ast.IfExp)


def named(call, use):
    return [keyword.arg for keyword in call.keywords if keyword.value is use]


def calls_of_program(node, files):
    """The calls in a statement that call a function which the program defines itself."""
    calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)]
    return [call for call in calls if definition(files, source.name_called(call))[1] is not None]


def definition(files, name):
    """(file, node) of the function of this name; (None, None) if there is none or it is a module's forward."""
    for filename in files:
        for node, _ in source.statements(filename):
            if isinstance(node, ast.FunctionDef) and node.name == name:
                return filename, node
    return None, None


def index_in(value, parts):
    """Which element of a returned tuple (or dictionary) a value made in a module of this path is; None if not known."""
    keys = range(len(value.elts)) if isinstance(value, ast.Tuple) else ()
    elements = value.elts if isinstance(value, ast.Tuple) else ()
    if isinstance(value, ast.Dict):
        keys, elements = [getattr(key, "value", None) for key in value.keys], value.values
    for key, element in zip(keys, elements, strict=True):
        if any(isinstance(n, ast.Attribute) and n.attr in parts for n in ast.walk(element)):
            return key
    return None


def scope_of(above):
    return next((outer for outer in reversed(above) if isinstance(outer, (ast.FunctionDef, ast.Lambda))), None)


def targets_of(node):
    """The names to which a statement gives values, by target: variables, and attributes of `self`."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    for target in targets:
        parts = target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]
        yield [text for part in parts if part is not None and (text := name_text(part))]


def name_text(expression):
    if isinstance(expression, ast.Name):
        return expression.id
    if (
        isinstance(expression, ast.Attribute)
        and isinstance(expression.value, ast.Name)
        and expression.value.id == "self"
    ):
        return f"self.{expression.attr}"
    return None


def grown_by(node):
    """The variable that a statement such as ``outputs.append(x)`` adds to."""
    call = node.value
    grows = isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in source.GROWING
    return name_text(call.func.value) if grows else None


def readings(body, name, but, index=None):
    """(node, those around it) where a variable is read in earnest, outside of the statement `but`: not just shown."""
    for node, above in nodes_below(body):
        apart = but in above and but is not body
        if name_text(node) != name or not isinstance(node.ctx, ast.Load) or apart:
            continue
        if not is_looked_at(node, above) and not is_other_element(node, above, index):
            yield node, above


def nodes_below(body):
    """(node, those around it) for all nodes below one."""
    stack = [(child, (body,)) for child in ast.iter_child_nodes(body)] if body is not None else []
    while stack:
        node, above = stack.pop()
        yield node, above
        stack += [(child, (*above, node)) for child in ast.iter_child_nodes(node)]


def is_looked_at(node, above):
    """Whether an expression only serves to show the value: its number, its shape, a line of a log."""
    inner = node
    for outer in reversed(above):
        if isinstance(outer, ast.Attribute) and outer.attr in LOOKS:
            return True
        if isinstance(outer, ast.FormattedValue) or (
            isinstance(outer, ast.Call) and source.name_called(outer) in TELLS
        ):
            return inner is not getattr(outer, "func", None)
        if isinstance(outer, ast.stmt):
            return False
        inner = outer
    return False


def is_look_at(filename, line):
    """Whether the statement at a line only shows a value."""
    node, _ = source.statement_at(filename, line)
    return isinstance(node, ast.Expr) and is_look(node)


def is_look(node):
    call = node.value
    return isinstance(call, ast.Call) and source.name_called(call) in TELLS


def is_other_element(node, above, index):
    """Whether what is read is another element than the one with this index: ``out[0]``."""
    outer = above[-1]
    if index is None or not (isinstance(outer, ast.Subscript) and outer.value is node):
        return False
    return isinstance(outer.slice, ast.Constant) and outer.slice.value != index


def overwriting(node, above, name):
    """The next statement, in the block of `node` or one around it, that gives `name` another value without reading."""
    for block in blocks_around(node, above):
        for other in block:
            reads = any(name_text(n) == name and isinstance(n.ctx, ast.Load) for n, _ in nodes_below(other))
            if reads:
                return None
            if isinstance(other, (ast.Assign, ast.AnnAssign)) and [name] in list(targets_of(other)):
                return other
            if any(name_text(n) == name for n, _ in nodes_below(other)):
                return None  # perhaps, in a branch
    return None


def blocks_around(node, above):
    """The statements that follow `node` in its block, then those that follow the block's owner, out to the function."""
    inner = node
    for outer in (*reversed(above), None):
        if outer is None or isinstance(inner, (ast.For, ast.While, ast.FunctionDef)):
            return
        for field in ("body", "orelse", "finalbody"):
            block = getattr(outer, field, None)
            if isinstance(block, list) and inner in block:
                yield block[block.index(inner) + 1 :]
        inner = outer


# --- who went on without it -------------------------------------------------------------------------------------------


class Flow:
    """What a loss was computed from: the lines that its value came through.

    Args:
        sites: what the loss was computed from, as recorded; lost: the site whose value is lost, or None.
        place: where backward was called, with its callers: from there the source is followed back, too.
    """

    def __init__(self, sites, lost=None, place=None, files=()):
        self.files, self.lost = files, lost
        self.at = {}
        for site in sites:
            self.at.setdefault(site.file, {}).setdefault(site.line, []).append(site)
        self.behind = {}
        frames = [(place.file, place.line), *((file, line) for file, line, _ in place.callers)] if place else ()
        for file, line in frames:
            self.behind.setdefault(file, set()).update(source.lines_behind(file, line))

    def comes_through(self, filename, node):
        lines = range(node.lineno, node.end_lineno + 1)
        return any(line in self.at.get(filename, ()) or line in self.behind.get(filename, ()) for line in lines)

    def passing_by(self, filename, node, above, name, together):
        """The statement after `node` that should have read `name`, it seems: (file, line), or None."""
        found = []
        scope = node if isinstance(node, ast.FunctionDef) else scope_of(above)
        for other in ast.walk(scope) if scope is not None else ():
            if isinstance(other, ast.Return):
                self.behind.setdefault(filename, set()).update(source.lines_behind(filename, other.lineno))
        after = node.lineno if isinstance(node, ast.FunctionDef) else node.end_lineno
        for other, outer in source.statements(filename):
            simple = isinstance(other, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.Expr))
            if not simple or scope_of(outer) is not scope or other.lineno <= after or is_backward(other):
                continue
            if self.comes_through(filename, other):
                score = self.kinship(filename, node, other, name, together)
                found.append((score, -other.lineno if score else other.lineno, other))
        return (filename, max(found)[2].lineno) if found else None

    def kinship(self, filename, node, other, name, together):
        """How much a statement looks as if it had meant to read `name`, and read something like it."""
        read = source.names_in(source.value_of(other))
        words, others = words_of(name), [words_of(n) for n in read - together]
        score = 4 * any(set(words) & set(words_of(n)) - SOME_LOSS for n in assigned_by(other))
        score += 3 * any(words[0] == w[0] for w in others) + 2 * any(words[-1] == w[-1] for w in others)
        score += 3 * self.is_of_data(filename, other)
        given = {word for n in assigned_by(other) for word in words_of(n)} - set(words)
        score -= 2 * any(given & set(w) for w in others)  # ``t = softmax(t_out)`` takes what it should
        related = (source.names_in(source.value_of(node)) | together) & read
        return score + 2 * (bool(related) and self.fits(filename, other))

    def is_of_data(self, filename, node):
        """Whether a statement computes a term of a loss, by its name, in which no parameter takes part."""
        lines = self.at.get(filename, {})
        if any(line in lines for line in range(node.lineno, node.end_lineno + 1)):
            return False
        calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)]
        return any(LOSSES.search(source.name_called(call)) for call in calls)

    def fits(self, filename, node):
        """Whether something of the lost value's shape came into a statement: it could stand there."""
        if self.lost is None:
            return True
        lines = self.at.get(filename, {})
        sites = [site for line in range(node.lineno, node.end_lineno + 1) for site in lines.get(line, ())]
        return any(shape == self.lost.shape for site in sites for shape in site.inputs)


LOSSES = re.compile(r"loss|entropy|mse|nll|bce|kl_?div|criterion|huber|similarity", re.IGNORECASE)


SOME_LOSS = {"loss", "total"}  # words that say nothing of which


def is_backward(node):
    return any(isinstance(n, ast.Call) and source.name_called(n) == "backward" for n in ast.walk(node))


def assigned_by(node):
    return [name for target in targets_of(node) for name in target]


def words_of(name):
    """``h2`` → h, 2; ``pred_b`` → pred, b; ``lossD`` → loss, d"""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", name.removeprefix("self."))] or [name]
