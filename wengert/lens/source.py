"""Questions to a program's source: in which block a line stands, where a name was given its value or a list grew."""

import ast
import functools
import linecache

from wengert.lens.sites import parsed

QUIET = ("no_grad", "inference_mode", "set_grad_enabled")


def statements(filename):
    """All statements of a file with the chain of those that enclose them, outermost first."""
    tree = parsed(filename)
    stack = [(node, ()) for node in (tree.body if tree else [])]
    while stack:
        node, above = stack.pop()
        yield node, above
        for child in ast.iter_child_nodes(node):
            stack += [(c, (*above, node)) for c in enclosed(child)]


def enclosed(node):
    """The statements in a node that are not inside of another statement of it."""
    if isinstance(node, (ast.stmt, ast.excepthandler, ast.match_case)):
        return [node]
    return []


def statement_at(filename, line):
    """The innermost statement that covers a line, and those that enclose it; (None, ()) if there is none."""
    best = (None, ())
    for node, above in statements(filename):
        covers = isinstance(node, ast.stmt) and first_line(node) <= line <= node.end_lineno
        if covers and (best[0] is None or len(above) >= len(best[1])):
            best = (node, above)
    return best


def first_line(node):
    decorators = getattr(node, "decorator_list", ())
    return min([node.lineno, *(d.lineno for d in decorators)])


def is_quiet(expression):
    """Whether an expression makes a region in which nothing is recorded."""
    called = expression.func if isinstance(expression, ast.Call) else expression
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    if name == "set_grad_enabled":
        arguments = expression.args if isinstance(expression, ast.Call) else ()
        return not (arguments and isinstance(arguments[0], ast.Constant) and arguments[0].value is True)
    return name in QUIET


def quiet_region(place):
    """(file, line) of the `with no_grad()` or the decorator that was in force at a place; None if it isn't found."""
    frames = [(place.file, place.line)] + [(file, line) for file, line, _ in place.callers]
    for file, line in frames:
        node, above = statement_at(file, line)
        for outer in reversed((*above, node)):
            if isinstance(outer, (ast.With, ast.AsyncWith)):
                for item in outer.items:
                    if is_quiet(item.context_expr):
                        return file, item.context_expr.lineno
            for decorator in getattr(outer, "decorator_list", ()):
                if is_quiet(decorator):
                    return file, decorator.lineno
    for file, _ in frames:  # set as a function, for all that follows
        for node, _ in statements(file):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and is_quiet(node.value):
                return file, node.lineno
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                called = node.value.func
                if isinstance(called, ast.Attribute) and called.attr == "__enter__" and is_quiet(called.value):
                    return file, node.lineno
    return None


def growth_of(filenames, name):
    """(file, line) of the statement that makes `name` hold more: an append, ``+=``, an assignment of an element."""
    found = []
    for filename in filenames:
        for node, above in statements(filename):
            rank = growth_rank(node, name)
            if rank:
                looped = any(isinstance(outer, (ast.For, ast.While, ast.FunctionDef)) for outer in above)
                found.append((rank + looped / 2, filename, node.lineno))
    return max(found, key=lambda item: item[0])[1:] if found else None


def giver_of(filenames, place, name):
    """(file, line) of the call that gives a container what it keeps, where a method of its own does so; else `place`.

    `place` is the statement by which `name` (``meter.sum``) grew; the method only keeps what it was given.
    """
    node, above = statement_at(*place)
    function = next((outer for outer in reversed(above) if isinstance(outer, ast.FunctionDef)), None)
    arguments = [a.arg for a in function.args.args] if function is not None else []
    if arguments[:1] != ["self"] or "self" not in ast.unparse(node):
        return place
    kept = names_in(node) - {"self"}
    if not kept & set(arguments) or any(assigned(n) & kept for n in ast.walk(function) if isinstance(n, ast.Assign)):
        return place
    owner = name.partition("[")[0].rpartition(".")[0].rpartition(".")[2]
    calls = [(file, call) for file, _, call in calls_in(filenames) if name_called(call) == function.name]
    mine = [(file, call) for file, call in calls if likeness(getattr(call.func, "value", call), owner)]
    chosen = mine or (calls if len(calls) == 1 else [])
    return (chosen[0][0], chosen[0][1].lineno) if chosen else place


def growth_rank(node, name):
    """How sure it is that a statement adds to what `name` names; 0 if it does not."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        called = node.value.func
        if isinstance(called, ast.Attribute) and called.attr in GROWING:
            alike = likeness(called.value, name)
            return alike and 10 * alike + 6
    if isinstance(node, ast.AugAssign):
        alike = likeness(node.target, name)
        return alike and 10 * alike + 5
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Subscript) and likeness(target.value, name):
                return 10 * likeness(target.value, name) + 4
            mentioned = any(isinstance(n, ast.expr) and likeness(n, name) > 1 for n in ast.walk(node.value))
            if mentioned and likeness(target, name):
                return 10 * likeness(target, name) + 3
    return 0


def likeness(expression, name):
    """How well an expression fits a name as the search found it: the same; the same attribute of an object; no (0)."""
    text = ast.unparse(expression)
    if text == name:
        return 3
    base, other = text.partition("[")[0], name.partition("[")[0]
    same_end = base.rpartition(".")[2] == other.rpartition(".")[2] and ("." in base) == ("." in other)
    if same_end and text.partition("[")[2] == name.partition("[")[2]:
        return 2
    return 1 if same_end and (base == other or "." in base) else 0


GROWING = frozenset({"append", "extend", "add", "insert", "appendleft", "update", "setdefault", "push", "put"})


def assignment_of(filename, name, before=None, last=False):
    """The line that first (or `last`) gave a variable (or attribute) its value; None if the source does not show it."""
    lines = []
    for node, _ in statements(filename):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            parts = target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]
            lines += [node.lineno for part in parts if isinstance(part, ast.expr) and ast.unparse(part) == name]
    lines = [line for line in lines if before is None or line < before] or lines
    return (max if last else min)(lines, default=None)


def text_of(filename):
    return "".join(linecache.getlines(filename))


def texts_match(filenames, pattern):
    return any(pattern.search(text_of(filename)) for filename in filenames)


def words_behind(place):
    """The strings in the statements that a line's values come from, as names are picked by: ``"bias" in name``."""
    if not place.frames:
        return []
    lines = lines_behind(place.file, place.line)
    nodes = [node for node, _ in statements(place.file) if node.lineno in lines and not hasattr(node, "body")]
    constants = [n for node in nodes for n in ast.walk(node) if isinstance(n, ast.Constant)]
    return [n.value for n in constants if isinstance(n.value, str)]


def attribute_given(filenames, name):
    """(file, line) of the first statement that gives an attribute of this name a value; None if there is none."""
    for filename in filenames:
        lines = [
            node.lineno
            for node, _ in statements(filename)
            if isinstance(node, ast.Assign) and any(getattr(target, "attr", None) == name for target in node.targets)
        ]
        if lines:
            return filename, min(lines)
    return None


def assignment_in_class(filename, kind, attribute):
    """(file, line) where the first method of a class gives an attribute of `self` its value."""
    lines = [
        node.lineno
        for node, above in statements(filename)
        if any(isinstance(outer, ast.ClassDef) and outer.name == kind for outer in above)
        and isinstance(node, ast.Assign)
        and any(ast.unparse(target) == f"self.{attribute}" for target in node.targets)
    ]
    return (filename, min(lines)) if lines else None


def receivers_at(place):
    """The names that the statement at a place gives to what it makes: ``self.opt = Adam(...)`` → opt."""
    node, _ = statement_at(place.file, place.line) if place.frames else (None, ())
    targets = node.targets if isinstance(node, ast.Assign) else ()
    parts = [p for t in targets for p in (t.elts if isinstance(t, ast.Tuple) else [t])]
    return {getattr(part, "attr", getattr(part, "id", None)) for part in parts}


def calls_in(filenames):
    """(file, statement, call) for each call in some files."""
    for filename in filenames:
        for node, _ in statements(filename):
            if not hasattr(node, "body"):
                for part in ast.walk(node):
                    if isinstance(part, ast.Call):
                        yield filename, node, part


def name_called(call):
    """The last name of what is called: `StepLR` of ``optim.lr_scheduler.StepLR(...)``."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


@functools.lru_cache(maxsize=256)
def attributes(filename):
    """The names of attributes that a file gives values to, and of those that it reads."""
    tree = parsed(filename)
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)] if tree else []
    made = {node.attr for node in found if isinstance(node.ctx, ast.Store)}
    return made, {node.attr for node in found if isinstance(node.ctx, ast.Load)}


def attribute_is_made(filenames, name):
    return any(name in attributes(filename)[0] for filename in filenames)


def attribute_is_used(filenames, name):
    return any(name in attributes(filename)[1] for filename in filenames)


def names_in(node):
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def lines_behind(filename, line, depth=6):
    """The lines of the same function whose values flow into a line, by the names that they assign and it uses."""
    node, above = statement_at(filename, line)
    if node is None:
        return set()
    scope = next((outer for outer in reversed(above) if isinstance(outer, (ast.FunctionDef, ast.Lambda))), None)
    body = list(ast.walk(scope)) if scope is not None else [n for n, _ in statements(filename)]
    wanted, found = names_in(value_of(node)), {node.lineno, line}
    for _ in range(depth):
        before = len(found)
        for other in body:
            if isinstance(other, (ast.Assign, ast.AugAssign, ast.AnnAssign)) and assigned(other) & wanted:
                found.update(range(other.lineno, other.end_lineno + 1))
                wanted |= names_in(value_of(other))
            elif isinstance(other, ast.Expr) and isinstance(other.value, ast.Call):
                called = other.value.func
                if isinstance(called, ast.Attribute) and called.attr in GROWING and names_in(called.value) & wanted:
                    found.update(range(other.lineno, other.end_lineno + 1))
                    wanted |= names_in(other.value)
            elif isinstance(other, ast.For) and names_in(other.target) & wanted:
                wanted |= names_in(other.iter)
        if len(found) == before:
            break
    return found


def value_of(node):
    return getattr(node, "value", None) or node


def assigned(node):
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return set().union(*(names_in(target) for target in targets))


def return_line(function):
    """(file, line) of the last ``return`` of a function."""
    code = function.__code__
    node, _ = None, ()
    for candidate, _ in statements(code.co_filename):
        if isinstance(candidate, (ast.FunctionDef, ast.AsyncFunctionDef)) and (
            first_line(candidate) <= code.co_firstlineno <= candidate.lineno and candidate.name == code.co_name
        ):
            node = candidate
    if node is None:
        return code.co_filename, code.co_firstlineno
    returns = [n.lineno for n in ast.walk(node) if isinstance(n, ast.Return)]
    return code.co_filename, max(returns, default=code.co_firstlineno)
