"""Trees of symbols as LLVM assembly: the body of a vector loop.

`Body` turns a tree into lines that compute `lanes` elements at a time. Loads and stores know three ways in which an
operand may lie along the loop: "vector" (one element after the other), "scalar" (one element for all) and "gather" (a
stride of its own). Elements that follow each other backwards are loaded as a vector, too. The last, incomplete step
of a loop runs the same lines under a mask, so an element's value doesn't depend on where it stands.
"""

import struct

import numpy as np

from wengert.kernels.cpu import native
from wengert.kernels.cpu.expressions import BF16, BOOL, F16, F32, F64, in_order

COMPUTE = {F32: "float", F64: "double", BOOL: "i1"} | {np.dtype(f"i{n}"): f"i{8 * n}" for n in (1, 2, 4, 8)}
COMPUTE[np.dtype("u1")] = "i8"
MEMORY = COMPUTE | {BOOL: "i8", F16: "half", BF16: "i16"}
MANGLED = {"float": "f32", "double": "f64", "half": "f16"}


def literal(value, dtype):
    """A Python number in assembly."""
    if dtype.kind == "f":
        wide = float(np.asarray(value).astype(dtype))
        return "0x" + struct.pack(">d", wide).hex().upper()
    if dtype == BOOL:
        return "true" if value else "false"
    return str(int(value))


class Body:
    """Lines of straight code on vectors of `lanes` elements."""

    def __init__(self, lanes):
        self.lanes = lanes
        self.lines = []
        self.names = 0
        self.known = {}
        self.declared = set()
        self.block = None  # the label of the block in which the next line stands

    def vector(self, element):
        return f"<{self.lanes} x {element}>"

    def type_of(self, dtype):
        return self.vector(COMPUTE[dtype])

    def fresh(self, stem="v"):
        self.names += 1
        return f"%{stem}{self.names}"

    def line(self, text):
        self.lines.append(f"  {text}")

    def let(self, text):
        name = self.fresh()
        self.line(f"{name} = {text}")
        return name

    def call(self, name, result, *operands):
        """Call an intrinsic with operands (type, value)."""
        self.declared.add(f"declare {result} @{name}({', '.join(kind for kind, _ in operands)})")
        text = f"call {result} @{name}({', '.join(f'{kind} {value}' for kind, value in operands)})"
        if result == "void":
            return self.line(text)
        return self.let(text)

    def mangled(self, dtype):
        element = COMPUTE[dtype]
        return f"v{self.lanes}{MANGLED.get(element, element)}"

    def splat(self, scalar, element):
        """A scalar value in all lanes."""
        kind = self.vector(element)
        one = self.let(f"insertelement {kind} poison, {element} {scalar}, i64 0")
        return self.let(f"shufflevector {kind} {one}, {kind} poison, <{self.lanes} x i32> zeroinitializer")

    # --- memory -------------------------------------------------------------------------------------------------------

    def address(self, base, index, size):
        offset = self.let(f"mul i64 {index}, {size}")
        return self.let(f"getelementptr i8, ptr {base}, i64 {offset}")

    def load_one(self, base, dtype):
        """One element, in all lanes."""
        element = MEMORY[dtype]
        kind = self.vector(element)
        raw = self.let(f"load {element}, ptr {base}, align 1")
        return self.widened(self.splat(raw, element), dtype, kind)

    def load(self, base, index, dtype, mask=None):
        element = MEMORY[dtype]
        kind = self.vector(element)
        at = self.address(base, index, dtype.itemsize)
        if mask is None:
            raw = self.let(f"load {kind}, ptr {at}, align 1")
        else:
            raw = self.call(
                f"llvm.masked.load.v{self.lanes}{MANGLED.get(element, element)}.p0", kind,
                ("ptr", at), ("i32", 1), (self.vector("i1"), mask), (kind, "zeroinitializer"),
            )  # fmt: skip
        return self.widened(raw, dtype, kind)

    def load_backwards(self, base, index, dtype):
        """As `load` of an array whose elements follow each other towards lower addresses."""
        last = self.let(f"sub i64 {1 - self.lanes}, {index}")
        value = self.load(base, last, dtype)
        kind = self.vector(COMPUTE.get(dtype, "float"))
        order = ", ".join(f"i32 {k}" for k in reversed(range(self.lanes)))
        return self.let(f"shufflevector {kind} {value}, {kind} poison, <{self.lanes} x i32> <{order}>")

    def pointers(self, base, index, stride):
        """Where the elements from `index` on lie, `stride` bytes apart."""
        steps = ", ".join(f"i64 {i}" for i in range(self.lanes))
        wide = self.vector("i64")
        first = self.let(f"add {wide} {self.splat(index, 'i64')}, <{steps}>")
        offsets = self.let(f"mul {wide} {first}, {self.splat(stride, 'i64')}")
        return self.let(f"getelementptr i8, ptr {base}, {wide} {offsets}")

    def gather(self, base, index, stride, dtype, mask=None):
        element = MEMORY[dtype]
        kind = self.vector(element)
        places = self.pointers(base, index, stride)
        everywhere = "splat (i1 true)" if mask is None else mask
        raw = self.call(
            f"llvm.masked.gather.v{self.lanes}{MANGLED.get(element, element)}.v{self.lanes}p0", kind,
            (self.vector("ptr"), places), ("i32", 1), (self.vector("i1"), everywhere), (kind, "zeroinitializer"),
        )  # fmt: skip
        return self.widened(raw, dtype, kind)

    def widened(self, raw, dtype, kind):
        """What memory holds as what is computed with."""
        if dtype == BOOL:
            return self.let(f"icmp ne {kind} {raw}, zeroinitializer")
        if dtype == F16 and not native.target().converts_halves:
            return self.of_half_bits(self.let(f"bitcast {kind} {raw} to {self.vector('i16')}"))
        if dtype == F16:
            return self.let(f"fpext {kind} {raw} to {self.vector('float')}")
        if dtype == BF16:
            wide = self.vector("i32")
            bits = self.let(f"zext {kind} {raw} to {wide}")
            high = self.let(f"shl {wide} {bits}, splat (i32 16)")
            return self.let(f"bitcast {wide} {high} to {self.vector('float')}")
        return raw

    def narrowed(self, value, dtype):
        """The reverse of `widened`: 16-bit floats are rounded to nearest, ties to even."""
        if dtype == BOOL:
            return self.let(f"zext {self.vector('i1')} {value} to {self.vector('i8')}")
        if dtype == F16 and not native.target().converts_halves:
            return self.let(f"bitcast {self.vector('i16')} {self.half_bits(value)} to {self.vector('half')}")
        if dtype == F16:
            return self.let(f"fptrunc {self.vector('float')} {value} to {self.vector('half')}")
        if dtype == BF16:
            wide, short = self.vector("i32"), self.vector("i16")
            bits = self.let(f"bitcast {self.vector('float')} {value} to {wide}")
            odd = self.let(f"and {wide} {self.let(f'lshr {wide} {bits}, splat (i32 16)')}, splat (i32 1)")
            biased = self.let(f"add {wide} {self.let(f'add {wide} {bits}, splat (i32 32767)')}, {odd}")
            nan = self.let(f"fcmp uno {self.vector('float')} {value}, {value}")
            quiet = self.let(f"or {wide} {bits}, splat (i32 4194304)")
            chosen = self.let(f"select {self.vector('i1')} {nan}, {wide} {quiet}, {wide} {biased}")
            return self.let(f"trunc {wide} {self.let(f'lshr {wide} {chosen}, splat (i32 16)')} to {short}")
        return value

    def whole(self, operation, a, b):
        """An operation on 32-bit whole numbers, of which the second may be a Python number."""
        b = b if isinstance(b, str) else f"splat (i32 {b})"
        return self.let(f"{operation} {self.vector('i32')} {a}, {b}")

    def of_half_bits(self, bits):
        """float32 of the bits of float16: the exponent set right by a product, which is exact for subnormals, too."""
        wide, single = self.vector("i32"), self.vector("float")
        bits = self.let(f"zext {self.vector('i16')} {bits} to {wide}")
        size = self.let(f"bitcast {wide} {self.whole('shl', self.whole('and', bits, 0x7FFF), 13)} to {single}")
        scaled = self.let(f"fmul {single} {size}, splat (float {literal(2.0**112, F32)})")
        found = self.let(f"bitcast {single} {scaled} to {wide}")
        endless = self.whole("icmp uge", self.whole("and", bits, 0x7FFF), 0x7C00)
        chosen = self.let(f"select {self.vector('i1')} {endless}, {wide} {self.whole('or', found, 0x7F800000)}, "
                          f"{wide} {found}")  # fmt: skip
        sign = self.whole("shl", self.whole("and", bits, 0x8000), 16)
        return self.let(f"bitcast {wide} {self.whole('or', chosen, sign)} to {single}")

    def half_bits(self, value):
        """The bits of float16 nearest to float32, ties to even; what is subnormal is rounded by an addition of 1/2."""
        wide, single, flags = self.vector("i32"), self.vector("float"), self.vector("i1")
        choose = lambda condition, a, b: self.let(f"select {flags} {condition}, {wide} {a}, {wide} {b}")
        bits = self.let(f"bitcast {single} {value} to {wide}")
        size = self.whole("and", bits, 0x7FFFFFFF)
        odd = self.whole("and", self.whole("lshr", size, 13), 1)
        normal = self.whole("add", self.whole("add", size, 0xFFF - (112 << 23)), odd)
        raised = self.let(f"fadd {single} {self.let(f'bitcast {wide} {size} to {single}')}, "
                          f"splat (float {literal(0.5, F32)})")  # fmt: skip
        small = self.whole("sub", self.let(f"bitcast {single} {raised} to {wide}"), 126 << 23)
        found = choose(self.whole("icmp ult", size, 113 << 23), small, self.whole("lshr", normal, 13))
        large = choose(self.whole("icmp ugt", size, 0x7F800000), "splat (i32 32256)", "splat (i32 31744)")
        found = choose(self.whole("icmp uge", size, 143 << 23), large, found)
        found = self.whole("or", found, self.whole("and", self.whole("lshr", bits, 16), 0x8000))
        return self.let(f"trunc {wide} {found} to {self.vector('i16')}")

    def store(self, value, base, index, dtype, mask=None, stride=None, streamed=False):
        """Write a vector; where `streamed`, past the caches, to a place that is a multiple of its size."""
        element = MEMORY[dtype]
        kind = self.vector(element)
        value = self.narrowed(value, dtype)
        if stride is not None:
            places = self.pointers(base, index, stride)
            everywhere = "splat (i1 true)" if mask is None else mask
            name = f"llvm.masked.scatter.v{self.lanes}{MANGLED.get(element, element)}.v{self.lanes}p0"
            where = (self.vector("ptr"), places), ("i32", 1), (self.vector("i1"), everywhere)
            self.call(name, "void", (kind, value), *where)
            return
        at = self.address(base, index, dtype.itemsize)
        if mask is None and streamed:
            whole = min(64, self.lanes * dtype.itemsize)
            self.line(f"store {kind} {value}, ptr {at}, align {whole}, !nontemporal !{{i32 1}}")
        elif mask is None:
            self.line(f"store {kind} {value}, ptr {at}, align 1")
        else:
            name = f"llvm.masked.store.v{self.lanes}{MANGLED.get(element, element)}.p0"
            self.call(name, "void", (kind, value), ("ptr", at), ("i32", 1), (self.vector("i1"), mask))

    # --- computing ----------------------------------------------------------------------------------------------------

    def value(self, node):
        """The name that holds a node, computed on first need."""
        stack = [node]
        while stack:
            top = stack[-1]
            if id(top) in self.known:
                stack.pop()
                continue
            missing = [a for a in top.args if id(a) not in self.known]
            if missing:
                stack.extend(missing)
                continue
            self.known[id(top)] = (self.compute(top), top)
            stack.pop()
        return self.known[id(node)][0]

    def compute(self, node):
        op, dtype = node.op, node.dtype
        kind = self.type_of(dtype)
        v = [self.known[id(a)][0] for a in node.args]
        if op == "constant":
            return f"splat ({COMPUTE[dtype]} {literal(node.value, dtype)})"
        source = node.args[0].dtype
        floats = source.kind == "f"
        of = self.type_of(source)
        if op in ARITHMETIC:
            return self.let(f"{ARITHMETIC[op][0 if floats else 1]} {of} {v[0]}, {v[1]}")
        if op in COMPARISONS:
            signed = "s" if source.kind == "i" else "u"
            text = f"fcmp {COMPARISONS[op][0]}" if floats else f"icmp {COMPARISONS[op][1].replace('s', signed)}"
            return self.let(f"{text} {of} {v[0]}, {v[1]}")
        if op == "neg":
            return self.let(f"fneg {of} {v[0]}" if floats else f"sub {of} zeroinitializer, {v[0]}")
        if op == "select":
            return self.let(f"select {self.vector('i1')} {v[0]}, {kind} {v[1]}, {kind} {v[2]}")
        if op == "abs" and not floats:
            return self.call(f"llvm.abs.{self.mangled(dtype)}", kind, (kind, v[0]), ("i1", "false"))
        if op in INTRINSICS:
            operands = [(kind, x) for x in v]
            return self.call(f"llvm.{INTRINSICS[op]}.{self.mangled(dtype)}", kind, *operands)
        if op == "bits":
            return self.let(f"bitcast {of} {v[0]} to {kind}")
        if op == "cast":
            return self.cast(v[0], source, dtype)
        if op == "library":
            return self.each_lane(node.value, v, "splat (i1 true)", None)
        if op == "rescue":
            return self.rescue(node.value, dtype, v)
        if op == "seldom":
            return self.seldom(node, *v)
        raise NotImplementedError(op)

    def cast(self, value, source, dtype):
        of, to = self.type_of(source), self.type_of(dtype)
        if dtype == BOOL:
            if source.kind == "f":
                return self.let(f"fcmp une {of} {value}, zeroinitializer")
            return self.let(f"icmp ne {of} {value}, zeroinitializer")
        if source.kind == "f" and dtype.kind == "f":
            return self.let(f"{'fpext' if dtype == F64 else 'fptrunc'} {of} {value} to {to}")
        if source.kind == "f":
            # A number that doesn't fit is undefined in C and poison here; `freeze` makes it just some number.
            name = self.let(f"fptosi {of} {value} to {self.vector('i64' if dtype.itemsize < 4 else COMPUTE[dtype])}")
            name = self.let(f"freeze {self.vector('i64' if dtype.itemsize < 4 else COMPUTE[dtype])} {name}")
            return name if dtype.itemsize >= 4 else self.let(f"trunc {self.vector('i64')} {name} to {to}")
        signed = source.kind == "i"
        if dtype.kind == "f":
            return self.let(f"{'sitofp' if signed else 'uitofp'} {of} {value} to {to}")
        if dtype.itemsize == source.itemsize and source != BOOL:
            return value
        wider = dtype.itemsize > source.itemsize or source == BOOL
        return self.let(f"{('sext' if signed else 'zext') if wider else 'trunc'} {of} {value} to {to}")

    def each_lane(self, name, operands, mask, start):
        """A function of the C library (on float64) for each lane; those outside of the mask keep `start`."""
        wide = self.vector("double")
        self.declared.add(f"declare double @{name}({', '.join(['double'] * len(operands))})")
        before, loop, body, after, end = (self.fresh("b")[1:] for _ in range(5))
        index, lane, held, new, result = (self.fresh("l") for _ in range(5))
        start = "zeroinitializer" if start is None else start
        self.line(f"br label %{before}")
        self.lines.append(f"{before}:")
        self.line(f"br label %{loop}")
        self.lines.append(f"{loop}:")
        self.line(f"{index} = phi i64 [ 0, %{before} ], [ {lane}, %{after} ]")
        self.line(f"{held} = phi {wide} [ {start}, %{before} ], [ {new}, %{after} ]")
        flag = self.let(f"extractelement {self.vector('i1')} {mask}, i64 {index}")
        self.line(f"br i1 {flag}, label %{body}, label %{after}")
        self.lines.append(f"{body}:")
        scalars = [self.let(f"extractelement {wide} {x}, i64 {index}") for x in operands]
        got = self.let(f"call double @{name}({', '.join(f'double {s}' for s in scalars)})")
        put = self.let(f"insertelement {wide} {held}, double {got}, i64 {index}")
        self.line(f"br label %{after}")
        self.lines.append(f"{after}:")
        self.line(f"{new} = phi {wide} [ {held}, %{loop} ], [ {put}, %{body} ]")
        self.line(f"{lane} = add i64 {index}, 1")
        more = self.let(f"icmp ult i64 {lane}, {self.lanes}")
        self.line(f"br i1 {more}, label %{loop}, label %{end}")
        self.lines.append(f"{end}:")
        self.line(f"{result} = phi {wide} [ {new}, %{after} ]")
        self.block = end
        return result

    def wherever(self, mask, usual, kind, rare):
        """`usual`, but in lanes of the mask (which is usually empty) what `rare` writes down."""
        any_lane = self.call(f"llvm.vector.reduce.or.v{self.lanes}i1", "i1", (self.vector("i1"), mask))
        start, slow, end = (self.fresh("b")[1:] for _ in range(3))
        self.line(f"br label %{start}")
        self.lines.append(f"{start}:")
        self.line(f"br i1 {any_lane}, label %{slow}, label %{end}")
        self.lines.append(f"{slow}:")
        self.block = slow
        found = rare()
        last = self.block
        self.line(f"br label %{end}")
        self.lines.append(f"{end}:")
        self.block = end
        return self.let(f"phi {kind} [ {usual}, %{start} ], [ {found}, %{last} ]")

    def rescue(self, name, dtype, values):
        """A value, but in lanes of a mask the C library's function: (operands..., value, mask)."""
        *operands, value, mask = values
        kind, wide = self.type_of(dtype), self.vector("double")

        def called():
            if dtype == F64:
                return self.each_lane(name, operands, mask, value)
            *widened, held = (self.let(f"fpext {kind} {x} to {wide}") for x in (*operands, value))
            return self.let(f"fptrunc {wide} {self.each_lane(name, widened, mask, held)} to {kind}")

        return self.wherever(mask, value, kind, called)

    def seldom(self, node, mask, usual):
        """A choice of which the first tree, `node.value`, is computed where some lane of the mask wants it."""
        for part in in_order([node.value]):
            if id(part) in self.known:
                str(self.known[id(part)][0])  # what is loaded when it is first needed is needed later, too
        outside, kind = dict(self.known), self.type_of(node.dtype)

        def chosen():
            rare = self.value(node.value)
            return self.let(f"select {self.vector('i1')} {mask}, {kind} {rare}, {kind} {usual}")

        result = self.wherever(mask, usual, kind, chosen)
        self.known = outside
        return result


ARITHMETIC = {
    "add": ("fadd", "add"), "sub": ("fsub", "sub"), "mul": ("fmul", "mul"), "div": ("fdiv", "sdiv"),
    "udiv": (None, "udiv"),
    "and": (None, "and"), "or": (None, "or"), "xor": (None, "xor"),
    "shl": (None, "shl"), "ashr": (None, "ashr"), "lshr": (None, "lshr"),
}  # fmt: skip
COMPARISONS = {
    "eq": ("oeq", "eq"), "ne": ("une", "ne"), "lt": ("olt", "slt"), "le": ("ole", "sle"), "gt": ("ogt", "sgt"),
    "ge": ("oge", "sge"),
}  # fmt: skip
INTRINSICS = {
    "fma": "fma", "sqrt": "sqrt", "rint": "rint", "floor": "floor", "ceil": "ceil", "trunc": "trunc", "abs": "fabs",
    "copysign": "copysign",
}  # fmt: skip
