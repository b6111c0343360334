"""Idioms of training that go wrong, as they look in the source: each question finds the line where one stands.

What happened is known from the graph and from time; these say where the program asked for it.
"""

import ast

from wengert.lens.names import locals_of
from wengert.lens.source import (
    assigned,
    assignment_of,
    calls_in,
    enclosed,
    is_quiet,
    lines_behind,
    name_called,
    names_in,
    statement_at,
    statements,
    value_of,
)


def buffer_given(filename, kind, name):
    """(file, line) of ``register_buffer("name", ...)`` in a class."""
    for _, statement, call in calls_in([filename]):
        first = call.args[0] if call.args else None
        given = name_called(call) == "register_buffer" and isinstance(first, ast.Constant) and first.value == name
        _, above = statement_at(filename, statement.lineno) if given else (None, ())
        if any(getattr(outer, "name", None) == kind for outer in above):
            return filename, call.lineno
    return None


def rebinding_from_grad(filename, line=None):
    """The line of ``w = w - lr * w.grad``, which leaves the tensor as it is; that at `line` only, if one is given."""
    for node, _ in statements(filename):
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        name = node.targets[0].id
        own = [n for n in ast.walk(node.value) if isinstance(n, ast.Attribute) and n.attr == "grad"]
        if any(isinstance(n.value, ast.Name) and n.value.id == name for n in own) and line in (None, node.lineno):
            return node.lineno
    return None


def loop_cut_short(filename, line):
    """(file, line) of what keeps the loop around a line from its later turns; None if nothing does.

    That is a ``return`` or ``break`` without a condition, or a range or slice that leaves out some elements.
    """
    _, above = statement_at(filename, line)
    for loop in reversed(above):
        if isinstance(loop, ast.For):
            for statement in loop.body:
                if isinstance(statement, (ast.Return, ast.Break)):
                    return filename, statement.lineno
            parts = list(ast.walk(loop.iter))
            if any(isinstance(n, (ast.Slice, ast.BinOp)) for n in parts):
                return filename, loop.lineno
    return None


def marked_non_differentiable(filenames, kind):
    """(file, line) where the class of a Function marks its results as non-differentiable; None if it does not."""
    for filename, statement, call in calls_in(filenames):
        if name_called(call) == "mark_non_differentiable":
            _, above = statement_at(filename, statement.lineno)
            if any(isinstance(outer, ast.ClassDef) and outer.name == kind for outer in above):
                return filename, call.lineno
    return None


def only_freezes(filename, line):
    """Whether the function around a line does nothing but turn requires_grad on or off, for its callers."""
    _, above = statement_at(filename, line)
    function = next((outer for outer in reversed(above) if isinstance(outer, ast.FunctionDef)), None)
    if function is None or function.name == "__init__":
        return False
    simple = [n for n in ast.walk(function) if isinstance(n, ast.stmt) and not hasattr(n, "body")]
    simple = [
        n for n in simple if not isinstance(getattr(n, "value", None), ast.Constant) or not isinstance(n, ast.Expr)
    ]
    return all("requires_grad" in ast.unparse(n) or isinstance(n, (ast.Return, ast.Pass)) for n in simple)


def cache_around(filename, line):
    """(file, line) of a decorator that keeps what the function around a line returns; None if there is none."""
    _, above = statement_at(filename, line)
    for outer in reversed(above):
        for decorator in getattr(outer, "decorator_list", ()):
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if getattr(called, "attr", getattr(called, "id", "")) in ("lru_cache", "cache", "cached_property"):
                return filename, decorator.lineno
    return None


def attribute_kept(filenames, name):
    """(file, line) of the statement that gives an attribute a value to keep: the last one that is no constant."""
    found = []
    for filename in filenames:
        for node, above in statements(filename):
            targets = [t.value if isinstance(t, ast.Subscript) else t for t in getattr(node, "targets", ())]
            if any(getattr(target, "attr", None) == name for target in targets):
                begins = any(getattr(outer, "name", None) == "__init__" for outer in above)
                found.append((not isinstance(node.value, ast.Constant), not begins, filename, node.lineno))
    return max(found)[2:] if found else None


def training_guard(filenames, attribute):
    """(file, line) of the ``if`` on `training` under which alone an attribute is used; None if it is used elsewhere."""
    guards = set()
    for filename in filenames:
        for node, above in statements(filename):
            parts = [n for child in ast.iter_child_nodes(node) if not enclosed(child) for n in ast.walk(child)]
            loads = [n for n in parts if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load)]
            if all(n.attr != attribute for n in loads):
                continue
            guard = next((o for o in above if isinstance(o, ast.If) and "training" in ast.unparse(o.test)), None)
            guards.add(guard and (filename, guard.lineno))
    return guards.pop() if len(guards) == 1 else None


def zero_by_division(frames):
    """(file, line) of a division of integers that gave a variable, on which a line depends, the value 0.

    `frames` are the program's, innermost first, each at the line in question.
    """
    for frame in frames:
        filename = frame.f_code.co_filename
        behind = lines_behind(filename, frame.f_lineno)
        near = [node for node, _ in statements(filename) if node.lineno in behind and not hasattr(node, "body")]
        names = set().union(*(names_in(node) for node in near))
        for node, _ in statements(filename):
            divides = isinstance(node, ast.Assign) and any(isinstance(n, ast.FloorDiv) for n in ast.walk(node.value))
            for name in assigned(node) & names if divides else ():
                value = locals_of(frame).get(name, frame.f_globals.get(name))
                if type(value) in (int, float) and value == 0:
                    return filename, node.lineno
    return None


def loud_call(filenames, name):
    """The line of the first call of a module by this name that is in no quiet region; None if there is none."""
    for filename in filenames:
        lines = []
        for _, statement, call in calls_in([filename]):
            _, above = statement_at(filename, statement.lineno)
            items = [item.context_expr for outer in above if isinstance(outer, ast.With) for item in outer.items]
            marks = [d for outer in above for d in getattr(outer, "decorator_list", ())]
            if name_called(call) == name and not any(map(is_quiet, [*items, *marks])):
                lines.append(call.lineno)
        if lines:
            return min(lines)
    return None


def frozen_making(filenames):
    """(file, line) of ``Embedding.from_pretrained(...)``, which freezes if it is not told otherwise."""
    for filename, _, call in calls_in(filenames):
        if name_called(call) == "from_pretrained" and all(k.arg != "freeze" for k in call.keywords):
            return filename, call.lineno
    return None


def scheduler_step(filenames):
    """(file, line) of the ``step()`` of a scheduler of learning rates; None if there is none."""
    for filename in filenames:
        made = [n for n, _ in statements(filename) if isinstance(n, ast.Assign) and isinstance(n.value, ast.Call)]
        names = {ast.unparse(t) for n in made if name_called(n.value).endswith(SCHEDULERS) for t in n.targets}
        for node, _ in statements(filename):
            call = node.value if isinstance(node, ast.Expr) else None
            if isinstance(call, ast.Call) and name_called(call) == "step" and ast.unparse(call.func.value) in names:
                return filename, node.lineno
    return None


SCHEDULERS = ("LR", "Scheduler", "WarmRestarts", "ReduceLROnPlateau")


def truncated_rate(filenames):
    """(file, line) where something called a rate is computed with a division of integers, or with int()."""
    for filename in filenames:
        for node, _ in statements(filename):
            if isinstance(node, ast.Assign) and any("lr" in n or "rate" in n for n in assigned(node)):
                parts = list(ast.walk(node.value))
                cast = any(isinstance(n, ast.Call) and name_called(n) in ("int", "round") for n in parts)
                if cast or any(isinstance(n, ast.FloorDiv) for n in parts):
                    return filename, node.lineno
    return None


def alias_before(filename, line):
    """(file, line) of ``target = model``, where a line freezes the parameters of `target`; None if there is none."""
    node, above = statement_at(filename, line)
    loop = next((outer for outer in reversed(above) if isinstance(outer, ast.For)), None)
    asked = [n for n in ast.walk(loop.iter if loop is not None else node) if isinstance(n, ast.Attribute)]
    owners = {ast.unparse(n.value) for n in asked if n.attr in ("parameters", "requires_grad_", "named_parameters")}
    for other, _ in statements(filename):
        plain = isinstance(other, ast.Assign) and isinstance(other.value, (ast.Name, ast.Attribute))
        if plain and other.lineno < line and any(ast.unparse(target) in owners for target in other.targets):
            return filename, other.lineno
    return None


def looks_for_nan(filenames):
    """Whether a program looks for NaN in its data, not only in its loss: then it has some on purpose."""
    calls = [call for _, _, call in calls_in(filenames) if name_called(call) in ("isnan", "isfinite", "nan_to_num")]
    return any(not any("loss" in n or "grad" in n for n in names_in(a)) for call in calls for a in call.args)


def number_made(filename, line, deep=3):
    """(file, line) where what a statement calls a method on was made a number by item(), float() or the like."""
    node, _ = statement_at(filename, line)
    call = node.value if isinstance(node, (ast.Expr, ast.Assign)) else None
    receiver = call.func.value if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) else None
    made = assignment_of(filename, ast.unparse(receiver), line, last=True) if receiver is not None else None
    return number_in(filename, made, deep) if made is not None else None


def number_in(filename, line, deep):
    node, _ = statement_at(filename, line)
    calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)]
    if any(name_called(call) in ("item", "float", "tolist", "numpy") for call in calls):
        return filename, line
    for call in calls if deep else ():
        for function, _ in statements(filename):
            if isinstance(function, ast.FunctionDef) and function.name == name_called(call):
                for inner in ast.walk(function):
                    found = number_in(filename, inner.lineno, deep - 1) if isinstance(inner, ast.Return) else None
                    if found is not None:
                        return found
    return None


def rate_set(filenames):
    """(file, line) of ``group["lr"] = ...``; None if the program does not set it so."""
    for filename in filenames:
        for node, _ in statements(filename):
            for target in getattr(node, "targets", ()):
                key = target.slice if isinstance(target, ast.Subscript) else None
                if isinstance(key, ast.Constant) and key.value == "lr":
                    return filename, node.lineno
    return None


def not_called(filenames, method, receivers=None):
    """(file, line, guard) of a call of a method in the source, for a program that never came to one.

    `guard` is the line that keeps the program from it: an ``if`` around it, or one before it that goes on with
    something else; the line itself where there is none. None where ``opt.step`` is written without parentheses.
    """
    for filename in filenames:
        for node, above in statements(filename):
            if not isinstance(node, ast.Expr):
                continue
            named = [n for n in ast.walk(node) if isinstance(n, ast.Attribute) and n.attr == method]
            if receivers is not None:
                named = [n for n in named if getattr(n.value, "attr", getattr(n.value, "id", None)) in receivers]
            if node.value in named:
                return filename, node.lineno, None
            if any(isinstance(n, ast.Call) and n.func in named for n in ast.walk(node)):
                guard = next((outer for outer in reversed(above) if isinstance(outer, (ast.If, ast.Try))), None)
                return filename, node.lineno, guarding(node, above) or getattr(guard, "lineno", node.lineno)
    return None


LEAVING = (ast.Continue, ast.Return, ast.Break, ast.Raise)


def guarding(node, above):
    """The line of an ``if`` before a statement, in its block, that leaves the block."""
    for outer in reversed(above):
        body = getattr(outer, "body", [])
        before = body[: body.index(node)] if node in body else []
        for other in reversed(before):
            if isinstance(other, ast.If) and isinstance(
                other.body[-1], (ast.Continue, ast.Return, ast.Break, ast.Raise)
            ):
                return other.lineno
        node = outer
    return None


def grad_of_alias(filenames):
    """(file, line) of ``p.data.grad = g``, which sets an attribute of a tensor that is gone at once."""
    for filename in filenames:
        for node, _ in statements(filename):
            for target in getattr(node, "targets", ()):
                inner = target.value if isinstance(target, ast.Attribute) and target.attr == "grad" else None
                inner = inner.func if isinstance(inner, ast.Call) else inner
                if isinstance(inner, ast.Attribute) and inner.attr in ("data", "detach", "clone"):
                    return filename, node.lineno
    return None


def reset_of_grad(filenames):
    """(file, line) of a statement that sets some `.grad` to None, or to zeros; None if there is none."""
    for filename in filenames:
        for node, _ in statements(filename):
            none = isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and node.value.value is None
            if none and any(isinstance(target, ast.Attribute) and target.attr == "grad" for target in node.targets):
                return filename, node.lineno
            call = node.value if isinstance(node, ast.Expr) else None
            if isinstance(call, ast.Call) and name_called(call) == "zero_" and ".grad" in ast.unparse(call.func):
                return filename, node.lineno
    return None


def scheduler_in(filenames):
    """(file, line) where a scheduler of learning rates is made; None if none is."""
    for filename, _, call in calls_in(filenames):
        if name_called(call).endswith(SCHEDULERS):
            return filename, call.lineno
    return None


def carrier_of(filename, line, parts, filenames, deep=3):
    """(file, line) of the statement that carries a value from one turn of a loop to the next, which enters at a line.

    Where the value came in as an argument, that is the caller which gives it and takes it back:
    ``out, state = model(x, state)``. `parts` is the path of the module at work, by whose names it may be called.
    """
    node, above = statement_at(filename, line)
    function = next((outer for outer in reversed(above) if isinstance(outer, ast.FunctionDef)), None)
    arguments = {a.arg for a in function.args.args} - {"self"} if function is not None else set()
    if node is None or not deep or not names_in(value_of(node)) & arguments:
        return filename, line
    called = set(parts) if function.name in ("forward", "__call__") else {function.name}
    for file, statement, call in calls_in(dict.fromkeys([filename, *filenames])):
        given = set().union(*(names_in(argument) for argument in [*call.args, *(k.value for k in call.keywords)]))
        taken = assigned(statement) if isinstance(statement, ast.Assign) else set()
        if name_called(call) in called and statement is not node and given & taken:
            return carrier_of(file, statement.lineno, parts, filenames, deep - 1)
    return filename, line


def discards(filenames, names):
    """Whether a call of one of these names throws away a part of what it gives: ``y, _ = net(x)``, ``net(x)[0]``."""
    for _, node, call in calls_in(filenames):
        if name_called(call) in names:
            for part in ast.walk(node):
                if isinstance(part, ast.Subscript) and part.value is call:
                    return True
            targets = node.targets if isinstance(node, ast.Assign) and node.value is call else []
            parts = [p for t in targets if isinstance(t, (ast.Tuple, ast.List)) for p in t.elts]
            if any(isinstance(p, ast.Name) and p.id.startswith("_") for p in parts):
                return True
    return False
