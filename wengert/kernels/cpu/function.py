"""Functions in LLVM's assembly language, written instruction by instruction from Python.

    f = Function("@double", "ptr values, i64 count", lanes=16)
    with f.loop(0, "%count", f.lanes) as i:
        place = f.at("%values", i)
        f.store(f.times(2, f.load(place)), place)

Loop counters and accumulators are variables in memory; LLVM puts them into registers. Vectors are of `lanes` float32.
Elementwise formulas (`wengert.kernels.cpu.mathematics`) are written in line by `apply`.
"""

import ctypes
import re

import numpy as np

from wengert.kernels.cpu.assembly import Body
from wengert.kernels.cpu.expressions import F32, Symbol
from wengert.kernels.cpu.pointwise import TASKS, entry, entry_text

INTRINSICS = """\
declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
"""


class Function:
    """The text of one function. `internal` functions are for others of the module, and kept out of line."""

    def __init__(self, name, parameters, lanes, internal=True):
        self.lanes, self.vector, self.mask = lanes, f"<{lanes} x float>", f"<{lanes} x i1>"
        self.lines, self.entry, self.count, self.names = [], [], 0, 0
        self.declared = set()
        listed = re.sub(r"\b(\w+)(?=,|$)", r"%\1", parameters)
        self.head = f"define {'internal ' * internal}void {name}({listed}){' noinline' * internal} {{"

    def text(self):
        return "\n".join([self.head, "entry:", *self.entry, "  br label %begin", "begin:", *self.lines, "  ret void",
                          "}"])  # fmt: skip

    def do(self, instruction):
        self.lines.append(f"  {instruction}")

    def op(self, instruction):
        self.count += 1
        self.do(f"%t{self.count} = {instruction}")
        return f"%t{self.count}"

    def intrinsic(self, name, result, *operands):
        """Call and declare an intrinsic with operands (type, value)."""
        self.declared.add(f"declare {result} @llvm.{name}({', '.join(kind for kind, _ in operands)})")
        call = f"call {result} @llvm.{name}({', '.join(f'{kind} {value}' for kind, value in operands)})"
        return self.do(call) if result == "void" else self.op(call)

    def label(self):
        self.count += 1
        return f"l{self.count}"

    def variable(self, kind=None):
        """A place for one value, of vectors unless `kind` says otherwise."""
        self.count += 1
        self.entry.append(f"  %t{self.count} = alloca {kind or self.vector}, align 64")
        return f"%t{self.count}"

    # --- whole numbers ------------------------------------------------------------------------------------------------

    def add(self, a, b):
        return self.op(f"add i64 {a}, {b}")

    def sub(self, a, b):
        return self.op(f"sub i64 {a}, {b}")

    def mul(self, a, b):
        return self.op(f"mul i64 {a}, {b}")

    def div(self, a, b):
        return self.op(f"sdiv i64 {a}, {b}")

    def rem(self, a, b):
        return self.op(f"srem i64 {a}, {b}")

    def minimum(self, a, b):
        return self.op(f"call i64 @llvm.smin.i64(i64 {a}, i64 {b})")

    # --- memory: a pointer to float32, moved by so many elements ------------------------------------------------------

    def at(self, pointer, *offsets):
        for offset in offsets:
            pointer = self.op(f"getelementptr float, ptr {pointer}, i64 {offset}")
        return pointer

    def load(self, pointer, kind=None):
        return self.op(f"load {kind or self.vector}, ptr {pointer}, align 4")

    def store(self, value, pointer, kind=None):
        self.do(f"store {kind or self.vector} {value}, ptr {pointer}, align 4")

    def prefetch(self, pointer):
        """Have the line of memory at `pointer`, which need not be anybody's, brought to the caches."""
        self.intrinsic("prefetch.p0", "void", ("ptr", pointer), ("i32", 0), ("i32", 3), ("i32", 1))

    def first(self, count):
        """The mask of the first `count` lanes."""
        places = ", ".join(f"i32 {j}" for j in range(self.lanes))
        return self.op(f"icmp slt <{self.lanes} x i32> <{places}>, {self.everywhere(count)}")

    def everywhere(self, number):
        """A whole number in all lanes, in 32 bits."""
        kind = f"<{self.lanes} x i32>"
        one = self.op(f"insertelement {kind} poison, i32 {self.op(f'trunc i64 {number} to i32')}, i64 0")
        return self.op(f"shufflevector {kind} {one}, {kind} poison, {kind} zeroinitializer")

    def load_some(self, pointer, mask):
        """Load where the mask is, zero elsewhere."""
        return self.intrinsic(f"masked.load.v{self.lanes}f32.p0", self.vector, ("ptr", pointer), ("i32", 4),
                              (self.mask, mask), (self.vector, "zeroinitializer"))  # fmt: skip

    def store_some(self, value, pointer, mask):
        self.intrinsic(f"masked.store.v{self.lanes}f32.p0", "void", (self.vector, value), ("ptr", pointer), ("i32", 4),
                       (self.mask, mask))  # fmt: skip

    # --- vectors ------------------------------------------------------------------------------------------------------

    def broadcast(self, scalar):
        one = self.op(f"insertelement {self.vector} poison, float {scalar}, i64 0")
        return self.op(f"shufflevector {self.vector} {one}, {self.vector} poison, "
                       f"<{self.lanes} x i32> zeroinitializer")  # fmt: skip

    def plus(self, a, b):
        return self.op(f"fadd contract {self.vector} {a}, {b}")

    def minus(self, a, b):
        return self.op(f"fsub contract {self.vector} {a}, {b}")

    def product(self, a, b):
        return self.op(f"fmul contract {self.vector} {a}, {b}")

    def fused(self, a, b, c):
        """a · b + c, rounded once."""
        return self.intrinsic(f"fma.v{self.lanes}f32", self.vector, *((self.vector, x) for x in (a, b, c)))

    def number(self, value):
        """A number in all lanes."""
        return f"splat (float 0x{np.float64(np.float32(float(value))).view(np.uint64):016X})"

    def times(self, number, a):
        return self.product(self.number(number), a)

    def apply(self, formula, *vectors):
        """A formula of elementwise operations on vectors."""
        return self.apply_all(lambda *leaves: [formula(*leaves)], *vectors)[0]

    def apply_all(self, formula, *vectors):
        """A formula with several results, which share what they have in common."""
        body = Body(self.lanes)
        body.names = self.names
        leaves = [Symbol("array", (), F32) for _ in vectors]
        body.known.update({id(leaf): (name, leaf) for leaf, name in zip(leaves, vectors, strict=True)})
        results = [body.value(tree) for tree in formula(*leaves)]
        self.lines += body.lines
        self.names, self.declared = body.names, self.declared | body.declared
        return results

    # --- control ------------------------------------------------------------------------------------------------------

    def loop(self, start, end, step=1):
        return Loop(self, start, end, step)

    def where(self, condition, then, otherwise=None):
        """Run `then` where the condition holds, else `otherwise`: both write instructions."""
        yes, no, end = self.label(), self.label(), self.label()
        self.do(f"br i1 {condition}, label %{yes}, label %{no}")
        for name, body in ((yes, then), (no, otherwise)):
            self.lines.append(f"{name}:")
            if body:
                body()
            self.do(f"br label %{end}")
        self.lines.append(f"{end}:")


class Loop:
    """``with f.loop(0, n, step) as i``: the body, for i = 0, step, 2·step, … below n."""

    def __init__(self, f, start, end, step):
        self.f, self.start, self.end, self.step = f, start, end, step
        self.place = f.variable("i64")
        self.head, self.body, self.out = f.label(), f.label(), f.label()

    def __enter__(self):
        f = self.f
        f.store(self.start, self.place, "i64")
        f.do(f"br label %{self.head}")
        f.lines.append(f"{self.head}:")
        self.i = f.load(self.place, "i64")
        more = f.op(f"icmp slt i64 {self.i}, {self.end}")
        f.do(f"br i1 {more}, label %{self.body}, label %{self.out}")
        f.lines.append(f"{self.body}:")
        return self.i

    def __exit__(self, *_):
        f = self.f
        f.store(f.add(self.i, self.step), self.place, "i64")
        f.do(f"br label %{self.head}")
        f.lines.append(f"{self.out}:")


class Fields:
    """Names for the numbers in the array of 64-bit integers that is a task's ``%argument``."""

    def __init__(self, f, names):
        self.f, self.places = f, {name: k for k, name in enumerate(names)}

    def __getitem__(self, name):
        pointer = self.f.op(f"getelementptr i64, ptr %argument, i64 {self.places[name]}")
        return self.f.op(f"load i64, ptr {pointer}, align 8")

    def pointer(self, name):
        return self.f.op(f"inttoptr i64 {self[name]} to ptr")


# --- functions of arrays, shared out ----------------------------------------------------------------------------------


def task(fields, arrays, lanes):
    """The function that runs one of the tasks of a kernel: (function, its plan's fields, pointers to the arrays).

    `fields` names the numbers of the plan, of which the seventh is called "tasks" and says how many there are; the
    task's own number is ``%task``. `entry` makes the kernel of it.
    """
    if fields[TASKS] != "tasks":
        raise ValueError(f"the number of tasks must be in place {TASKS} of a plan")
    f = Function("@task", "ptr job, i64 task", lanes)
    at = lambda k: f.op(f"load ptr, ptr {f.op(f'getelementptr ptr, ptr %job, i64 {k}')}")
    f.do(f"%argument = getelementptr i8, ptr {at(0)}, i64 0")
    return f, Fields(f, fields), [at(k) for k in range(1, 1 + arrays)]


def kernel(functions, arrays, **others):
    """``run(plan, id(array), ...)``, which hands out the tasks of the function that `task` began.

    `others` are addresses of functions that the kernel calls and that were compiled before.
    """
    text = "\n".join(["declare void @wengert_parallel(ptr, ptr, i64)", module(functions), *entry_text(arrays)])
    return entry(text, arrays, others)


def plan(*numbers):
    """The plan of a kernel, as compiled code reads it."""
    return (ctypes.c_int64 * len(numbers))(*numbers)


def module(functions):
    """The text of a module of functions."""
    declared = set().union(*(f.declared for f in functions))
    return "\n\n".join([INTRINSICS + "\n".join(sorted(declared)), *(f.text() for f in functions)])
