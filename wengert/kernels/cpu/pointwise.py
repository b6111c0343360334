"""Elementwise kernels: a formula becomes one loop, run by all threads.

A `Kernel` stands for a formula and its reference (the same function with NumPy's arrays). Called with arrays, it looks
up a plan for their dtypes, shapes and strides: the compiled loop, how to walk the arrays, and how the result lies. The
first call for a layout makes the plan; where none can be made (a dtype without vectors, a formula that can't be
recorded), the plan is the reference.

The loop nest: dimensions over which all arrays advance alike are joined, what is left is `rows` of `inner` elements;
rows or parts of rows are tasks.
"""

import ctypes
from functools import partial
from math import prod

import numpy as np

from wengert.kernels import choices
from wengert.kernels.cpu import native
from wengert.kernels.cpu.assembly import Body
from wengert.kernels.cpu.expressions import F32, HALVES, SUPPORTED, Symbol, Unrecordable, cast, in_order
from wengert.kernels.cpu.streaming import DATA_OFFSET, Streaming, worthwhile
from wengert.kernels.overlap import same_place

DEPTH = 6  # dimensions that remain outside of the inner loop, at most
TASKS = 6  # where a layout has the number of tasks
HEADER = 7  # rows, inner, rows per task, inner per task, parts of a row, outer dimensions, tasks
TASK = 1 << 14  # elements of a task: a few microseconds of work
SHORTEST = 16  # inner loops shorter than this are left to NumPy
MOST_PLANS = 2048
HEAVY = 80  # nodes of a formula of which only one copy is compiled, always under a mask
NEAR = 64  # bytes between elements that share cache lines


def readable():
    """Whether arrays are laid out as compiled code expects them (they are, but for Pythons without a GIL)."""
    array = np.arange(3.0)
    return ctypes.c_void_p.from_address(id(array) + DATA_OFFSET).value == array.ctypes.data


# --- the loop as text -------------------------------------------------------------------------------------------------


def lanes_for(trees):
    """How many elements a step takes: two registers of the widest dtype within."""
    widest, seen, stack = 1, set(), list(trees)
    while stack:
        node = stack.pop()
        if id(node) not in seen:
            seen.add(id(node))
            widest = max(widest, node.dtype.itemsize)
            stack += node.args
    return max(2 * native.target().vector_bytes // max(widest, 2), 4)


def loop_text(arguments, dtypes, ways, trees, outputs, out_ways, streamed=False):
    """The module for a loop: `arguments` are the leaves of `trees`, of `dtypes` in memory and lying in `ways`. Results
    are `streamed` past the caches or not.

    Entry: ``void loop(ptr layout, ptr array, ..., ptr result, ...)``, arrays as Python objects.
    """
    lanes = lanes_for(trees)
    count = len(arguments)
    total = count + len(trees)
    every = [*ways, *out_ways]
    pointers = ", ".join(f"ptr %p{k}" for k in range(total))
    strides = ", ".join(f"i64 %s{k}" for k in range(total))
    masked = step_text(arguments, dtypes, ways, trees, outputs, out_ways, "%t", lanes, streamed)
    declared = masked.declared
    inner = [
        f"define internal void @inner(i64 %lo, i64 %hi, {pointers}, {strides}) alwaysinline {{",
        "entry:", "  br label %test",
    ]  # fmt: skip
    if sum(1 for _ in in_order(trees)) > HEAVY:
        inner += [
            "test:", f"  %t = phi i64 [ %lo, %entry ], [ %next, %{masked.block or 'part'} ]",
            f"  %next = add i64 %t, {lanes}", "  %some = icmp slt i64 %t, %hi",
            "  br i1 %some, label %part, label %end",
            "part:", *masked.lines, "  br label %test",
        ]  # fmt: skip
    else:
        whole = step_text(arguments, dtypes, ways, trees, outputs, out_ways, "%i", lanes, streamed)
        declared |= whole.declared
        inner += [
            "test:", f"  %i = phi i64 [ %lo, %entry ], [ %next, %{whole.block or 'step'} ]",
            f"  %next = add i64 %i, {lanes}", "  %whole = icmp sle i64 %next, %hi",
            "  br i1 %whole, label %step, label %more",
            "step:", *whole.lines, "  br label %test",
            "more:", "  %t = phi i64 [ %i, %test ]", "  %some = icmp slt i64 %t, %hi",
            "  br i1 %some, label %part, label %end",
            "part:", *masked.lines, "  br label %end",
        ]  # fmt: skip
    inner += ["end:", "  ret void", "}"]
    return "\n".join([
        "declare void @wengert_parallel(ptr, ptr, i64)", "declare i64 @llvm.smin.i64(i64, i64)", *sorted(declared),
        *inner, *task_text(total, every), *entry_text(total),
    ])  # fmt: skip


def step_text(arguments, dtypes, ways, trees, outputs, out_ways, index, lanes, streamed):
    """The body for the elements from `index` on: ``%i``, where as many as there are lanes are left, or ``%t``."""
    body = Body(lanes)
    mask = None
    if index == "%t":
        body.names = 100_000  # beyond those of the other body
        rest = body.let("sub i64 %hi, %t")
        short = body.let(f"trunc i64 {rest} to i32")
        places = ", ".join(f"i32 {j}" for j in range(lanes))
        mask = body.let(f"icmp ult <{lanes} x i32> <{places}>, {body.splat(short, 'i32')}")
    for k, (leaf, dtype, way) in enumerate(zip(arguments, dtypes, ways, strict=True)):
        if way == "scalar":
            name = body.load_one(f"%p{k}", dtype)
        elif way == "vector":
            name = body.load(f"%p{k}", index, dtype, mask)
        elif way == "backwards" and mask is None:
            name = body.load_backwards(f"%p{k}", index, dtype)
        else:
            name = body.gather(f"%p{k}", index, f"%s{k}", dtype, mask)
        body.known[id(leaf)] = (name, leaf)
    for k, (tree, dtype, way) in enumerate(zip(trees, outputs, out_ways, strict=True), len(arguments)):
        stride = f"%s{k}" if way == "gather" else None
        body.store(body.value(tree), f"%p{k}", index, dtype, mask, stride, streamed)
    return body


def task_text(total, ways):
    """One task: its rows, and in each its part. Where a row lies is worked out from its number for the first, and
    whenever the last of the outer dimensions begins again; in between all arrays move on by a stride.
    """
    lines = ["define internal void @task(ptr %job, i64 %index) {", "entry:", "  %layout = load ptr, ptr %job"]
    add = lines.append

    def field(name, place):
        add(f"  %{name}_p = getelementptr i64, ptr %layout, i64 {place}")
        add(f"  %{name} = load i64, ptr %{name}_p")

    for place, name in enumerate(("rows", "inner", "rows_each", "inner_each", "parts", "ndim")):
        field(name, place)
    for k in range(total):
        add(f"  %d{k}_p = getelementptr ptr, ptr %job, i64 {k + 1}")
        add(f"  %d{k} = load ptr, ptr %d{k}_p")
        field(f"s{k}", HEADER + DEPTH + total * DEPTH + k)
    lines += [
        "  %block = udiv i64 %index, %parts", "  %part = urem i64 %index, %parts",
        "  %row0 = mul i64 %block, %rows_each", "  %row1 = add i64 %row0, %rows_each",
        "  %row_end = call i64 @llvm.smin.i64(i64 %row1, i64 %rows)",
        "  %lo = mul i64 %part, %inner_each", "  %hi0 = add i64 %lo, %inner_each",
        "  %hi = call i64 @llvm.smin.i64(i64 %hi0, i64 %inner)",
        "  %last = sub i64 %ndim, 1", "  %any = icmp sgt i64 %ndim, 0",
        f"  %turn_at = add i64 %last, {HEADER}", "  %turn_p = getelementptr i64, ptr %layout, i64 %turn_at",
        "  %turn0 = load i64, ptr %turn_p", "  %turn = select i1 %any, i64 %turn0, i64 1",
    ]  # fmt: skip
    for k in range(total):
        lines += [
            f"  %move_at{k} = add i64 %last, {HEADER + DEPTH + k * DEPTH}",
            f"  %move_p{k} = getelementptr i64, ptr %layout, i64 %move_at{k}", f"  %move{k} = load i64, ptr %move_p{k}",
        ]  # fmt: skip
    lines += [
        "  br label %row_test", "row_test:", "  %row = phi i64 [ %row0, %entry ], [ %row_next, %run ]",
        "  %more = icmp slt i64 %row, %row_end", "  br i1 %more, label %start, label %end",
        "start:", "  %passed = urem i64 %row, %turn", "  %to_turn = sub i64 %turn, %passed",
        "  %turns_at = add i64 %row, %to_turn",
        "  %stop = call i64 @llvm.smin.i64(i64 %turns_at, i64 %row_end)", "  br label %dim_test",
        "dim_test:", "  %dim = phi i64 [ %last, %start ], [ %dim_next, %dim_step ]",
        "  %left = phi i64 [ %row, %start ], [ %quotient, %dim_step ]",
    ]  # fmt: skip
    lines += [f"  %b{k} = phi ptr [ %d{k}, %start ], [ %c{k}, %dim_step ]" for k in range(total)]
    lines += [
        "  %is_dim = icmp sge i64 %dim, 0", "  br i1 %is_dim, label %dim_step, label %begin", "dim_step:",
        f"  %extent_at = add i64 %dim, {HEADER}", "  %extent_p = getelementptr i64, ptr %layout, i64 %extent_at",
        "  %extent = load i64, ptr %extent_p", "  %place = urem i64 %left, %extent",
        "  %quotient = udiv i64 %left, %extent",
    ]  # fmt: skip
    for k in range(total):
        lines += [
            f"  %at{k} = add i64 %dim, {HEADER + DEPTH + k * DEPTH}",
            f"  %sp{k} = getelementptr i64, ptr %layout, i64 %at{k}", f"  %st{k} = load i64, ptr %sp{k}",
            f"  %o{k} = mul i64 %place, %st{k}", f"  %c{k} = getelementptr i8, ptr %b{k}, i64 %o{k}",
        ]  # fmt: skip
    pointers = ", ".join(f"ptr %x{k}" for k in range(total))
    strides = ", ".join(f"i64 %s{k}" for k in range(total))
    lines += ["  %dim_next = sub i64 %dim, 1", "  br label %dim_test", "begin:", "  br label %run", "run:",
              "  %this = phi i64 [ %row, %begin ], [ %row_next, %run ]"]  # fmt: skip
    lines += [f"  %x{k} = phi ptr [ %b{k}, %begin ], [ %y{k}, %run ]" for k in range(total)]
    lines.append(f"  call void @inner(i64 %lo, i64 %hi, {pointers}, {strides})")
    lines += [f"  %y{k} = getelementptr i8, ptr %x{k}, i64 %move{k}" for k in range(total)]
    lines += [
        "  %row_next = add i64 %this, 1", "  %same = icmp slt i64 %row_next, %stop",
        "  br i1 %same, label %run, label %row_test", "end:", "  ret void", "}",
    ]  # fmt: skip
    return lines


def entry_text(total):
    """What Python calls: the arrays' addresses are read from the objects, and the tasks handed out."""
    parameters = ", ".join(f"ptr %a{k}" for k in range(total))
    lines = [f"define void @@loop(ptr %layout, {parameters}) {{", f"  %job = alloca [{total + 1} x ptr]",
             "  store ptr %layout, ptr %job"]  # fmt: skip
    for k in range(total):
        lines += [
            f"  %q{k} = getelementptr i8, ptr %a{k}, i64 {DATA_OFFSET}", f"  %d{k} = load ptr, ptr %q{k}",
            f"  %j{k} = getelementptr ptr, ptr %job, i64 {k + 1}", f"  store ptr %d{k}, ptr %j{k}",
        ]  # fmt: skip
    return [*lines, f"  %tasks_p = getelementptr i64, ptr %layout, i64 {TASKS}",
            "  %tasks = load i64, ptr %tasks_p",
            "  call void @wengert_parallel(ptr @task, ptr %job, i64 %tasks)", "  ret void", "}"]  # fmt: skip


# --- how arrays are walked --------------------------------------------------------------------------------------------


def is_one_step(tree):
    """Whether a tree is a single operation on arrays and numbers, for which NumPy has a loop."""
    return all(not a.args for a in tree.args)


class Layout:
    """A loop nest over arrays: outer extents and strides, the inner extent, each array's way along it."""

    def __init__(self, shape, strides, sizes):
        dims = [(n, tuple(s[axis] for s in strides)) for axis, n in enumerate(shape) if n != 1]
        # Outermost first by the strides of the last array, the result.
        dims.sort(key=lambda dim: -abs(dim[1][-1]))
        joined = []
        for n, steps in dims:
            if joined and all(outer == n * step for outer, step in zip(joined[-1][1], steps, strict=True)):
                joined[-1] = (joined[-1][0] * n, steps)
            else:
                joined.append((n, steps))
        inner, steps = joined.pop() if joined else (1, (0,) * len(sizes))
        self.inner, self.steps = inner, steps
        self.outer = joined
        self.rows = prod(n for n, _ in joined)
        self.ways = tuple(
            {0: "scalar", size: "vector", -size: "backwards"}.get(s, "gather")
            for s, size in zip(steps, sizes, strict=True)
        )

    def scattered(self):
        """Whether some array's elements lie apart along the inner loop, but near each other."""
        return any(way == "gather" and abs(s) <= NEAR for way, s in zip(self.ways, self.steps, strict=True))

    def possible(self):
        return len(self.outer) <= DEPTH and (self.inner >= SHORTEST or not self.outer)

    def streams(self, results, size):
        """Whether the `results` among the arrays are written past the caches; `size` is that of one, in bytes."""
        return worthwhile(size, [steps[k] for _, steps in self.outer for k in results]) and len(results) > 0

    def packed(self):
        """As the compiled loop reads it."""
        total = len(self.steps)
        each = max(1, TASK // max(self.inner, 1))
        part = self.inner if self.inner <= 2 * TASK else TASK
        parts = max(1, -(-self.inner // part))
        tasks = -(-self.rows // each) * parts
        header = [self.rows, self.inner, each, part, parts, len(self.outer), tasks]
        extents = [n for n, _ in self.outer] + [0] * (DEPTH - len(self.outer))
        strides = []
        for k in range(total):
            strides += [steps[k] for _, steps in self.outer] + [0] * (DEPTH - len(self.outer))
        values = [*header, *extents, *strides, *self.steps]
        return (ctypes.c_int64 * len(values))(*values)


class Plan:
    """What to do with arrays of one layout: the loop, its walk, and how to make the result."""

    __slots__ = ("run", "layout", "address", "shape", "dtype", "order", "takes")

    def __init__(self, run, layout, shape, dtype, order, takes):
        self.run, self.layout, self.shape, self.dtype, self.order = run, layout, shape, dtype, order
        self.address = ctypes.addressof(layout)
        self.takes = takes  # positions of the arguments that are arrays


class Kernel:
    """A formula on corresponding elements, for large arrays.

    Args:
        name: for reports.
        reference: the function on NumPy arrays that decides what the result is.
        formula: the function to record on symbols; the reference itself unless given.
        stepwise: whether the reference rounds 16-bit floats after each step; a formula of several is left to it then.
        identity: whether the formula may be no more than its argument.
    """

    def __init__(self, name, reference, formula=None, stepwise=False, identity=False):
        self.name, self.reference, self.stepwise, self.identity = name, reference, stepwise, identity
        self.formula = formula or reference
        self.plans = {}
        self.loops = {}
        self.refusals = {}

    def __call__(self, *args, **options):
        key = tuple([
            (a.dtype, a.shape, a.strides) if type(a) is np.ndarray else (type(a), repr(a)) for a in args
        ])  # fmt: skip
        if options:
            key += (repr(options),)
        plan = self.plans.get(key)
        if plan is None:
            plan = self.make(key, args, options)
        if plan is self.reference:
            return plan(*args, **options)
        out = np.empty(plan.shape, plan.dtype)
        if plan.order is not None:
            out = out.transpose(plan.order)
        if len(plan.takes) == 1:
            plan.run(plan.address, id(args[plan.takes[0]]), id(out))
        else:
            plan.run(plan.address, *[id(args[k]) for k in plan.takes], id(out))
        return out

    def into(self, out, *args, **options):
        """Compute into `out`, which may be one of the arguments; False if that isn't possible."""
        key = (*[(a.dtype, a.shape, a.strides) if type(a) is np.ndarray else (type(a), repr(a)) for a in args],
               ("out", out.dtype, out.shape, out.strides))  # fmt: skip
        if options:
            key += (repr(options),)
        plan = self.plans.get(key)
        if plan is None:
            plan = self.make(key, args, options, out)
        if plan is self.reference:
            return False
        for k in plan.takes:
            a = args[k]
            if a is not out and np.may_share_memory(a, out) and not same_place(a, out):
                return False  # what is written would be read again
        plan.run(plan.address, *[id(args[k]) for k in plan.takes], id(out))
        return True

    def make(self, key, args, options, out=None):
        """The plan for arguments laid out like these."""
        try:
            plan = self.plan_for(args, options, out)
        except Unrecordable as why:
            self.refusals[str(why)] = key
            plan = self.reference
        if len(self.plans) >= MOST_PLANS:
            self.plans.clear()
        self.plans[key] = plan
        return plan

    def plan_for(self, args, options, out):
        takes = [k for k, a in enumerate(args) if isinstance(a, np.ndarray)]
        arrays = [args[k] for k in takes]
        if not arrays:
            raise Unrecordable("no array")
        for a in arrays:
            if a.dtype not in SUPPORTED or not a.dtype.isnative:
                raise Unrecordable(f"dtype {a.dtype}")
        shape = np.broadcast_shapes(*[a.shape for a in arrays])
        if 0 in shape:
            raise Unrecordable("no element")
        leaves, tree, dtype = self.record(args, options, takes)
        if out is not None:
            if out.shape != shape or out.dtype not in SUPPORTED or not out.flags.writeable:
                raise Unrecordable("the destination's shape")
            strides, order = out.strides, None
            tree, dtype = cast(tree, F32 if out.dtype in HALVES else out.dtype), out.dtype
        else:
            strides, order = self.placement(shape, arrays, dtype)
        walk = [np.broadcast_to(a, shape).strides for a in arrays]
        layout = Layout(shape, [*walk, strides], [*(a.dtype.itemsize for a in arrays), dtype.itemsize])
        if not layout.possible():
            raise Unrecordable("rows too short")
        if "gather" in layout.ways and layout.scattered() and not choices.FROM and is_one_step(tree):
            raise Unrecordable("one step on elements apart, which NumPy takes one by one more quickly")
        *ways, out_way = layout.ways
        if out_way == "scalar" and layout.inner > 1:
            raise Unrecordable("a result written more than once")
        out_way = "vector" if out_way in ("vector", "scalar") else "gather"
        streams = out is None and out_way == "vector" and layout.streams([len(takes)], prod(shape) * dtype.itemsize)
        run = self.loop(args, options, takes, leaves, tree, dtype, tuple(ways), out_way, streams)
        made = shape if order is None else tuple(shape[i] for i in np.argsort(order))
        return Plan(run, layout.packed(), made, dtype, order, takes)

    def placement(self, shape, arrays, dtype):
        """(strides, order) of the result: None for rows one after the other, else the axes of those as transposed."""
        size = dtype.itemsize
        standard = tuple(size * prod(shape[i + 1 :]) for i in range(len(shape)))
        if all(a.flags.c_contiguous or a.size == 1 for a in arrays if a.shape == shape or a.size == 1) and any(
            a.shape == shape for a in arrays
        ) and all(a.shape == shape or a.size == 1 for a in arrays):
            return standard, None
        made = np.nditer(
            (*arrays, None), ["zerosize_ok", "refs_ok"], [["readonly"]] * len(arrays) + [["writeonly", "allocate"]],
            op_dtypes=[None] * len(arrays) + [f"V{size}"],
        ).operands[-1]  # fmt: skip
        if made.strides == standard:
            return standard, None
        axes = sorted(range(len(shape)), key=lambda i: -made.strides[i])  # outermost first, in memory
        order = tuple(int(i) for i in np.argsort(axes))
        dense = np.empty([shape[i] for i in axes], np.int8).transpose(order)
        if tuple(s * size for s in dense.strides) != made.strides:
            raise Unrecordable("a result with gaps")
        return made.strides, order

    def record(self, args, options, takes):
        """(leaves, tree, dtype of the result in memory)."""
        leaves, given = [], list(args)
        for k in takes:
            dtype = args[k].dtype
            given[k] = Symbol("argument", (), F32 if dtype in HALVES else dtype, dtype)
            leaves.append(given[k])
        try:
            tree = self.formula(*given, **options)
        except Unrecordable:
            raise
        except Exception as error:  # whatever a formula does with what isn't an array
            raise Unrecordable(f"{type(error).__name__}: {error}") from None
        if not isinstance(tree, Symbol) or (tree.op in ("argument", "constant") and not self.identity):
            raise Unrecordable("nothing to compute")
        if self.stepwise and not is_one_step(tree) and any(args[k].dtype in HALVES for k in takes):
            raise Unrecordable("16-bit floats, which are rounded after each step")
        dtype = tree.dtype
        # A number beside an array, in float32 so that it isn't rounded first, leaves the array's 16 bits.
        beside = [k for k in takes if args[k].ndim] or takes
        floats = {args[k].dtype for k in beside if args[k].dtype.kind in "fV"}
        if dtype == F32 and floats and all(t in HALVES for t in floats):
            dtype = floats.pop() if len(floats) == 1 else F32
        return leaves, tree, dtype

    def loop(self, args, options, takes, leaves, tree, dtype, ways, out_way, streams):
        numbers = (*(repr(a) for k, a in enumerate(args) if k not in takes), repr(options))
        key = (tuple(args[k].dtype for k in takes), tuple(takes), ways, out_way, dtype, numbers, streams)
        run = self.loops.get(key)
        if run is None:
            if len(self.loops) > 64:
                raise Unrecordable("more variants than are worth compiling")
            dtypes = [args[k].dtype for k in takes]

            def compiled(streamed=False):
                return entry(loop_text(leaves, dtypes, ways, [tree], [dtype], [out_way], streamed), len(takes) + 1)

            run = Streaming(partial(compiled, True), compiled, [len(takes)]) if streams else compiled()
            self.loops[key] = run
        return run


def entry(text, arrays, others=native.NOTHING):
    """A compiled loop as a Python function of the layout and the arrays' ids."""
    address = native.compile_text(text, ["loop"], others)["loop"]
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (arrays + 1))(address)
