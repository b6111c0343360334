"""Products of matrices small enough for the second-level cache, as parts of larger kernels.

A pass holds `ROWS` rows of the result, a few vectors wide, in registers. It runs along the depth, where each step is a
load for each vector of the right-hand matrix and a broadcast for each row of the left-hand one: enough multiplications
for each load to keep the arithmetic units busy on processors with 16 registers as with 32.
"""

from functools import cache

from wengert.kernels.cpu import native
from wengert.kernels.cpu.function import Function, module

ROWS = 4


def panel_widths(lanes):
    """In vectors, how wide a panel of the right-hand matrix may be, widest first."""
    return (4, 2, 1) if lanes == 16 else (2, 1)


def accumulate(f, sums, left, row_step, depth_step, right, right_step, depth):
    """Into the variables ``sums[row, vector]`` add left (rows × depth) · right (depth × vectors)."""
    rows, vectors = (1 + max(k) for k in zip(*sums, strict=True))
    with f.loop(0, depth) as k:
        line = f.at(right, f.mul(k, right_step))
        across = [f.load(f.at(line, v * f.lanes)) for v in range(vectors)]
        column = f.at(left, f.mul(k, depth_step))
        for r in range(rows):
            value = f.broadcast(f.load(f.at(column, f.mul(r, row_step)), "float"))
            for v in range(vectors):
                f.store(f.fused(value, across[v], f.load(sums[r, v])), sums[r, v])


def pass_function(name, vectors, adding, lanes):
    """out (ROWS × vectors) = left (ROWS × depth) · right (depth × vectors), or += if `adding`."""
    matrices, steps = "ptr left, ptr right, ptr out", "i64 row_step, i64 depth_step, i64 right_step, i64 out_step"
    f = Function(name, f"{matrices}, {steps}, i64 depth", lanes)
    places = {(r, v): f.at("%out", f.mul(r, "%out_step"), v * lanes) for r in range(ROWS) for v in range(vectors)}
    sums = {k: f.variable() for k in places}
    for k, place in places.items():
        f.store(f.load(place) if adding else "zeroinitializer", sums[k])
    accumulate(f, sums, "%left", "%row_step", "%depth_step", "%right", "%right_step", "%depth")
    for k, place in places.items():
        f.store(f.load(sums[k]), place)
    return f


def product_function(name, lanes, packed):
    """out (rows × columns) from passes @pass1, @pass2, …; `rows` counts whole passes, `columns` whole vectors."""
    matrices, steps = "ptr left, ptr right, ptr out", "i64 row_step, i64 depth_step, i64 out_step"
    f = Function(name, f"{matrices}, {steps}, i64 depth, i64 rows, i64 columns", lanes, internal=False)
    first = 0
    for vectors in panel_widths(lanes):
        width = vectors * lanes
        last = f.add(first, f.mul(f.div(f.sub("%columns", first), width), width))
        with f.loop(first, last, width) as column:
            offset, step = (f.mul(column, "%depth"), width) if packed else (column, "%columns")
            right = f.at("%right", offset)
            with f.loop(0, "%rows", ROWS) as row:
                left, out = f.at("%left", f.mul(row, "%row_step")), f.at("%out", f.mul(row, "%out_step"), column)
                f.do(f"call void @pass{vectors}(ptr {left}, ptr {right}, ptr {out}, i64 %row_step, i64 %depth_step, "
                     f"i64 {step}, i64 %out_step, i64 %depth)")  # fmt: skip
        first = last
    return f


def transpose_function(name, lanes):
    """to[j·to_step + i] = from[i·from_step + j] for i < rows, j < columns."""
    f = Function(name, "ptr source, i64 from_step, ptr to, i64 to_step, i64 rows, i64 columns", lanes, internal=False)

    def square(i, j):
        """`lanes`² values, transposed by interleaving halves."""
        corner = f.at("%source", f.mul(i, "%from_step"), j)
        rows = [f.load(f.at(corner, f.mul(k, "%from_step"))) for k in range(lanes)]
        half = lanes // 2
        masks = []
        for base in (0, half):
            indices = [n for k in range(half) for n in (base + k, lanes + base + k)]
            masks.append(f"<{lanes} x i32> <{', '.join(f'i32 {n}' for n in indices)}>")
        for _ in range(lanes.bit_length() - 1):
            rows = [
                f.op(f"shufflevector {f.vector} {rows[k]}, {f.vector} {rows[k + half]}, {mask}")
                for k in range(half)
                for mask in masks
            ]
        corner = f.at("%to", f.mul(j, "%to_step"), i)
        for k, row in enumerate(rows):
            f.store(row, f.at(corner, f.mul(k, "%to_step")))

    def one_by_one(i0, i1, j0, j1):
        with f.loop(i0, i1) as i, f.loop(j0, j1) as j:
            value = f.load(f.at("%source", f.mul(i, "%from_step"), j), "float")
            f.store(value, f.at("%to", f.mul(j, "%to_step"), i), "float")

    whole = f.mul(f.div("%rows", lanes), lanes)
    wide = f.op(f"icmp sge i64 %columns, {lanes}")
    in_squares = f.op(f"select i1 {wide}, i64 {whole}, i64 0")
    last = f.sub("%columns", lanes)
    with f.loop(0, in_squares, lanes) as i, f.loop(0, "%columns", lanes) as j:
        square(i, f.minimum(j, last))  # the last square overlaps the one before where columns are left over
    one_by_one(in_squares, "%rows", 0, "%columns")
    return f


# --- compiled once, for all kernels that need them --------------------------------------------------------------------

MULTIPLY, ADD_PRODUCT, TRANSPOSE = "wengert_multiply", "wengert_add_product", "wengert_transpose"


@cache
def address(name):
    """The address of a function that kernels call by this name.

    MULTIPLY: out (rows × columns) = left · right, with the parameters of `product_function`; `right` is packed: it lies
    in panels of `panel_widths`, one after the other, each (depth × width). ADD_PRODUCT: out += left · right, which lies
    (depth × columns). TRANSPOSE: `transpose_function`.
    """
    lanes = native.target().vector_bytes // 4
    if name == TRANSPOSE:
        functions = [transpose_function("@@shared", lanes)]
    else:
        adding = name == ADD_PRODUCT
        passes = [pass_function(f"@pass{vectors}", vectors, adding, lanes) for vectors in panel_widths(lanes)]
        functions = [*passes, product_function("@@shared", lanes, packed=not adding)]
    return native.compile_text(module(functions), ["shared"])["shared"]


def addresses(*names):
    return {name: address(name) for name in names}


def call(f, name, *arguments):
    """Write a call of a shared function; the arguments are (type, value)."""
    f.declared.add(f"declare void @{name}({', '.join(kind for kind, _ in arguments)})")
    f.do(f"call void @{name}({', '.join(f'{kind} {value}' for kind, value in arguments)})")


def transpose(f, source, from_step, to, to_step, rows, columns):
    """Write a call of TRANSPOSE."""
    numbers = [("i64", n) for n in (to_step, rows, columns)]
    call(f, TRANSPOSE, ("ptr", source), ("i64", from_step), ("ptr", to), *numbers)
