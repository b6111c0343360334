"""Write docs/derivatives.md and its Chinese translation: every operation beside its derivative, as declared.

    python tools/make_derivatives.py             write them
    python tools/make_derivatives.py --check     fail if they are not what would be written

The formulas are the declarations' own: each lambda is found in its source file by the position of its code, and shown
with operations under their public names. Functions that a formula calls are shown whole below the tables. A family is a
module of `wengert.ops`, a section one of its comment headings; the titles of both are in the tables here, so that a new
family is met with an error until it has been named in both languages.
"""

import ast
import importlib
import inspect
import pkgutil
import re
import sys
import textwrap
import types
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import wengert.ops  # noqa: E402
from wengert.ops.declare import DECLARED, FUNCTIONS, Choice, Composite, Operation, Primitive, Variadic  # noqa: E402
from wengert.ops.emit import formula_parameters, is_formula  # noqa: E402

PAGES = {"en": "docs/derivatives.md", "zh": "docs/derivatives.zh-CN.md"}

FAMILIES = {  # module -> its title; the order is the page's
    "pointwise": ("Functions of corresponding elements", "逐元素函数"),
    "reductions": ("Reductions, scans, softmax", "归约、前缀累积与 softmax"),
    "shape": ("Views, rearrangements, joins", "视图、重排与拼接"),
    "arrangement": ("Diagonals, stacks, grids", "对角线、堆叠与网格"),
    "indexing": ("Indexing", "索引"),
    "sorting": ("Sorting and selection", "排序与选取"),
    "linalg": ("Products of matrices and vectors", "矩阵与向量的乘积"),
    "einsum": ("Einstein's summation", "爱因斯坦求和"),
    "products": ("Products over chosen dimensions", "指定维度上的乘积"),
    "decompositions": ("Linear algebra", "线性代数"),
    "fourier": ("Fourier transforms", "傅里叶变换"),
    "spectral": ("Short-time Fourier transforms", "短时傅里叶变换"),
    "calculus": ("Differences, integrals, statistics", "差分、积分与统计"),
    "comparison": ("Equality and extremes", "相等与极值"),
    "special": ("Special functions", "特殊函数"),
    "activation": ("Activations", "激活函数"),
    "linear": ("Linear layers", "线性层"),
    "attention": ("Attention", "注意力"),
    "convolution": ("Convolutions", "卷积"),
    "pooling": ("Pools", "池化"),
    "normalization": ("Normalization", "归一化"),
    "embedding": ("Embeddings", "嵌入"),
    "padding": ("Padding", "填充"),
    "resampling": ("Resizing and rearranging images", "图像的缩放与重排"),
    "dropout": ("Dropout", "随机失活"),
    "losses": ("Losses", "损失函数"),
    "distance": ("Distances", "距离"),
    "core_names": ("Functions of networks under `torch` itself", "直接在 `torch` 名下的网络函数"),
    "random": ("Random numbers", "随机数"),
    "creation": ("Creation and conversion", "创建与转换"),
    "asarray": ("Creation from other libraries' arrays", "由其他库的数组创建"),
    "windows": ("Windows", "窗函数"),
    "sparse": ("Sparse tensors", "稀疏张量"),
    "inspection": ("Questions about tensors", "关于张量的查询"),
}
WORDS = {
    "title": ("Derivatives", "导数一览"),
    "other language": ("[中文](derivatives.zh-CN.md)", "[English](derivatives.md)"),
    "header": ("| operation | with respect to | gradient | keeps |", "| 运算 | 对谁求导 | 梯度 | 保存 |"),
    "undifferentiated": ("Without derivative: ", "没有导数："),
    "composed": ("Said with other operations, which have their derivatives: ", "由其他运算写成，导数由它们而来："),
    "helpers": ("The functions named in these formulas", "公式中用到的函数"),
    "nodes": ("Nodes", "节点索引"),
    "contents": ("Contents", "目录"),
    "separator": (", ", "、"),
    "stop": (".", "。"),
}
INTRODUCTION = {
    "en": """\
        Every operation of wengert with its derivative, as it is declared in `wengert/ops/`: the formulas on this page
        are the ones that run. The page is generated (`make stubs`) and `make lint` fails when it is stale.

        **Reading a line.** `g` is the gradient of the result, and the formula says what it contributes to the gradient
        of the argument in the second column. Where an operation has several results, `g_values` is the gradient of the
        one called `values`. Names of arguments stand for the arguments, `out` for the result, `input.shape` for a
        shape. Formulas are Python, and the functions in them are operations of `torch`; `where(c, a, b)` is `a` where
        `c` holds.

        **What is kept.** The last column lists the tensors that stay in memory until `backward`, for this derivative
        alone: an operation whose other inputs need no gradient keeps less. Shapes and plain arguments cost nothing and
        are not listed. A dash means that nothing is kept: `a + b` holds on to neither.

        **Broadcasting.** Pointwise formulas are written for operands of one shape. Where an operand was broadcast, its
        gradient is summed over the dimensions along which it was repeated, by the machinery and not by the formulas.

        **Complex numbers.** Formulas are written for real numbers. For complex ones the machinery conjugates `g` on the
        way in and the gradient on the way out, which is right for holomorphic functions and gives PyTorch's convention.
        A formula marked ℂ deals with complex numbers itself.

        **At kinks and ties** the formulas choose as PyTorch does: `relu` has slope 0 at 0, `maximum` gives each of two
        equal operands half, `amax` shares equally among all that attain the maximum, `max(dim)` gives all to the one
        whose index it returned.

        **Other derivatives.** Second derivatives are the derivatives of these formulas, which are themselves made of
        operations. Forward mode uses them too: pointwise formulas with the tangent for `g`, the others by
        differentiating the formula in `g`, in which it is linear.
        """,
    "zh": """\
        wengert 的每个运算和它的导数，都照 `wengert/ops/` 中的声明列在这里：页上的公式就是实际运行的公式。本页由
        `make stubs` 生成，一旦过期，`make lint` 就会报错。

        **怎样读一行。** `g` 是结果的梯度，公式算出它传给第二列那个参数的梯度。运算有多个结果时，`g_values` 是名为
        `values` 的结果的梯度。参数名代表参数本身，`out` 代表结果，`input.shape` 代表形状。公式是 Python 代码，其中
        的函数都是 `torch` 的运算；`where(c, a, b)` 在 `c` 成立处取 `a`，否则取 `b`。

        **保存什么。** 最后一列是为这个导数留在内存里、直到 `backward` 才释放的张量。别的输入若不需要梯度，保存的就
        更少。形状和普通参数不占内存，不列出。短横线表示什么也不保存：`a + b` 两个操作数都不留。

        **广播。** 逐元素公式按形状相同的操作数书写。操作数若被广播，梯度会沿重复的维度求和，由框架统一完成，公式里
        不写。

        **复数。** 公式按实数书写。遇到复数时，框架先对 `g` 取共轭，再对算出的梯度取共轭；对全纯函数这是正确的，结果
        也与 PyTorch 的约定一致。标有 ℂ 的公式自己处理复数。

        **折点与并列处** 的取值与 PyTorch 相同：`relu` 在 0 处斜率为 0；`maximum` 的两个操作数相等时各得一半；`amax`
        由所有达到最大值的元素均分；`max(dim)` 全部给返回下标所指的那一个。

        **其他导数。** 公式本身由运算组成，二阶导数就是对公式再求导。前向模式用的也是它们：逐元素公式以切向量代替
        `g`，其余公式对 `g` 是线性的，对 `g` 求导即可。
        """,
}
SECTIONS = {  # comment headings of the modules, in Chinese
    "what is done to the values": "对值所做的运算",
    "arithmetic": "算术",
    "one argument": "一元函数",
    "two arguments": "二元函数",
    "choices by element": "逐元素选择",
    "questions, whose answers have no derivative": "没有导数的判断",
    "Python's operators": "Python 运算符",
    "shapes": "形状",
    "rearrangements": "重排",
    "joins and splits": "拼接与切分",
    "an index per element: gather and scatter": "逐元素下标：gather 与 scatter",
    "an index per slice": "逐切片下标",
    "the tensor as one vector": "视为一维向量",
    "masks": "掩码",
    "a part of a tensor replaced": "替换张量的一部分",
    "index tensors: x[i], x[mask], x[i, :, j] = values": "下标张量：x[i]、x[mask]、x[i, :, j] = values",
    "sorting": "排序",
    "selection by rank": "按名次选取",
    "distinct values": "去重",
    "questions and bins, which have no derivative": "没有导数的查询与分箱",
    "inverses, determinants, solutions": "逆、行列式、方程求解",
    "LU": "LU 分解",
    "LDL": "LDL 分解",
    "Cholesky": "Cholesky 分解",
    "QR": "QR 分解",
    "eigenvalues": "特征值",
    "singular values": "奇异值",
    "powers, products": "幂与乘积",
    "embeddings": "嵌入",
    "the bracket": "方括号",
    "vectors": "向量",
    "distances": "距离",
    "the three maps; what follows the tensors is one int per axis of space": "三个线性映射；张量之后每个空间轴一个整数",
    "the operation that users meet": "面向用户的运算",
    "reading at positions and writing to them": "按位置读取与写入",
    "averages": "平均池化",
    "unpooling": "反池化",
    "resizing: one linear map per axis": "缩放：每个轴一个线性映射",
    "windows as columns": "窗口展成列",
    "pixels between channels and space": "像素在通道与空间之间的移动",
    "sampling at given places": "按给定位置取样",
    "losses of corresponding elements": "逐元素损失",
    "classification by class index": "按类别下标的分类损失",
    "connectionist temporal classification": "CTC 损失",
    "conversions": "转换",
    "writes": "写入",
    "norms": "范数",
    "the gamma function and its kin": "伽马函数及同族",
    "error functions": "误差函数",
    "Bessel functions": "贝塞尔函数",
    "orthogonal polynomials": "正交多项式",
}


@dataclass
class Row:
    """One derivative of one operation, or of several that share it."""

    names: list[str]
    nodes: list[str]
    respect: tuple[str, ...]
    formula: str
    keeps: tuple[str, ...]
    complex: bool
    bound: str  # the operation's name in its module


@dataclass
class Section:
    title: str | None
    rows: list[Row] = field(default_factory=list)
    undifferentiated: list[str] = field(default_factory=list)
    composed: list[str] = field(default_factory=list)


# --- what is declared, and where --------------------------------------------------------------------------------------


def load_everything():
    for module in pkgutil.iter_modules(wengert.ops.__path__):
        importlib.import_module(f"wengert.ops.{module.name}")
    for name in {*dir(wengert)} - {*FUNCTIONS[""]}:
        getattr(wengert, name, None)


@cache
def tree_of(file):
    return ast.parse(Path(file).read_text(encoding="utf-8"))


@cache
def headings_of(file):
    """(line, heading) of the comment headings of a file."""
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    return [(n, m[1]) for n, line in enumerate(lines, 1) if (m := re.match(r"# --- (.*?) -*$", line))]


def heading_at(file, line):
    found = None
    for start, title in headings_of(file):
        if start <= line:
            found = title
    return found


def home_of(operation):
    """(module, line) where the operation is declared: its formula's place, or that of the name it is bound to."""
    formulas = formulas_of(operation)
    for formula in formulas.values():
        if formula.__name__ == "<lambda>" and formula.__module__.startswith("wengert.ops."):
            return formula.__module__, formula.__code__.co_firstlineno
    kernel = operation.kernel
    if getattr(kernel, "__module__", "") in bound_names() and isinstance(kernel, types.FunctionType):
        return kernel.__module__, kernel.__code__.co_firstlineno
    return next(((module, line) for module, _, line in bindings_of(operation)), None)


def bindings_of(operation):
    """(module, name, line) of each assignment that binds the operation."""
    for module, names in bound_names().items():
        for name, line in names.items():
            if vars(sys.modules[module]).get(name) is operation:
                yield module, name, line


@cache
def bound_names():
    """Of each module of `wengert.ops`, the names that it binds at its top level, and in which line."""
    found = {}
    for name, module in sorted(sys.modules.items()):
        if name.startswith("wengert.ops."):
            names = found[name] = {}
            for node in tree_of(module.__file__).body:
                for target in getattr(node, "targets", []):
                    for leaf in ast.walk(target):
                        if isinstance(leaf, ast.Name):
                            names.setdefault(leaf.id, node.lineno)
                if isinstance(node, ast.FunctionDef):
                    names.setdefault(node.name, node.lineno)
    return found


def formulas_of(operation):
    """The formula for each input (for several at once: their names, as one tuple)."""
    if isinstance(operation, Variadic):
        return {(next(iter(operation.signature)),): operation.formula} if operation.formula else {}
    if not isinstance(operation, Primitive):
        return {}
    found = dict(operation.derivatives)
    joint, joint_of = found.pop("joint", None), found.pop("joint_of", ())
    found = {(name,): formula for name, formula in found.items() if formula is not None}
    return found | ({tuple(joint_of): joint} if joint else {})


def public_names(operation):
    """The names under which users call the operation, `torch.` left out, the shortest form of its own name first."""
    names = [
        f"{namespace}.{name}" if namespace else name
        for namespace, functions in FUNCTIONS.items()
        for name, found in functions.items()
        if found is operation
    ]
    return sorted(names, key=lambda name: (name.rpartition(".")[2] != operation.name, name.count("."), name))


# --- a formula as text ------------------------------------------------------------------------------------------------

CONSTANTS = {"PI": "π", "LN2": "ln2", "LN10": "ln10"}
PLAIN_FUNCTIONS = {"math.sqrt": "sqrt", "math.nan": "nan", "math.inf": "inf", "math.log": "log", "math.pi": "π"}


def lambda_of(formula):
    """The syntax tree of a lambda, found by the position of its code."""
    positions = [p for p in formula.__code__.co_positions() if p[2] is not None and p[0] is not None]
    lines = [(p[0], p[2]) for p in positions if p[3] > p[2] or p[1] > p[0]]
    first, last = min(lines), max(lines)
    candidates = [
        node
        for node in ast.walk(tree_of(formula.__code__.co_filename))
        if isinstance(node, ast.Lambda)
        and (node.lineno, node.col_offset) <= first
        and last <= (node.end_lineno, node.end_col_offset)
    ]
    return max(candidates, key=lambda node: (node.lineno, node.col_offset))


class Public(ast.NodeTransformer):
    """Operations under their public names, constants as signs, shapes as attributes."""

    def __init__(self, formula):
        cells = dict(zip(formula.__code__.co_freevars, formula.__closure__ or (), strict=True))
        self.names = formula.__globals__ | {name: cell.cell_contents for name, cell in cells.items()}
        self.closed = cells
        self.parameters = set(formula_parameters(formula))

    def visit_Call(self, node):
        if isinstance(node.func, ast.Name) and node.func.id == "zeros_of":
            return ast.Constant(0)
        return self.generic_visit(node)

    def visit_Attribute(self, node):
        dotted = ast.unparse(node)
        return ast.Name(PLAIN_FUNCTIONS[dotted]) if dotted in PLAIN_FUNCTIONS else self.generic_visit(node)

    def visit_Name(self, node):
        name = node.id
        if name in self.parameters:
            return ast.Name(f"{name[:-6]}.shape") if name.endswith("_shape") else node
        if name in CONSTANTS:
            return ast.Name(CONSTANTS[name])
        value = self.names.get(name)
        if isinstance(value, Operation):
            return ast.Name(value.name)
        if name in self.closed:
            if isinstance(value, (int, float, str, tuple)):
                return ast.Constant(value)
            if isinstance(value, types.FunctionType):
                return ast.Name(value.__name__)
        return node


def text_of(formula):
    if formula.__name__ != "<lambda>":
        shown = [f"{p[:-6]}.shape" if p.endswith("_shape") else p for p in formula_parameters(formula)]
        return f"{formula.__name__}({', '.join(shown)})"
    tree = ast.parse(ast.unparse(lambda_of(formula)), mode="eval").body  # a copy, for the tree is shared
    return as_products(ast.unparse(ast.fix_missing_locations(Public(formula).visit(tree.body))))


def as_products(source):
    """`times(a, b)`, which lets large products take the fast kernel, as what it is: ``a @ b``."""
    return re.sub(r"\btimes\(([\w.]+), ([\w.]+)\)", r"\1 @ \2", source)


def functions_in(formula):
    """The functions written in `wengert.ops` that a formula calls, and those that these call."""
    closed = [cell.cell_contents for cell in formula.__closure__ or ()]
    named = [formula.__globals__.get(name) for name in formula.__code__.co_names]
    for value in named + closed:
        if not isinstance(value, types.FunctionType) or value.__name__ == "times":  # shown as a product
            continue
        if is_formula(value) and "kernels" not in value.__module__:
            yield value
            yield from functions_in(value)


def source_text(function):
    """The source of a function that formulas call, operations under their public names here as well."""
    names = {name for name in function.__code__.co_names if isinstance(function.__globals__.get(name), Operation)}
    source = textwrap.dedent(inspect.getsource(function)).rstrip()
    for name in names:
        public = "zeros_like" if name == "zeros_of" else function.__globals__[name].name
        source = re.sub(rf"(?<![\w.]){name}\(", f"{public}(", source)
    return as_products(source)


# --- the page ---------------------------------------------------------------------------------------------------------


# Arguments that reach some kernels as plain arrays: no part of the graph, but of its memory.
ARRAYS = {"target", "weight", "mean", "rstd", "indices", "kept", "places"}


def kept_by(operation, formula):
    """The tensors and arrays that this formula keeps."""
    tensors = operation.tensors if isinstance(operation, Primitive) else ("tensors",)
    results = (getattr(operation, "outputs", None) or ("out",)) + tuple(getattr(operation, "residuals", ()))
    return tuple(name for name in formula_parameters(formula) if name in {*tensors, *results, *ARRAYS})


def names_of(operation):
    """The public names of an operation; else the name that it bears, which its relatives may bear too."""
    prefix, _, rest = operation.name.partition("_")
    own = f"{prefix}.{rest}" if rest and prefix in FUNCTIONS else operation.name
    return public_names(operation) or [own]


def rows_of(operation):
    names = names_of(operation)
    nodes = [operation.node_name]
    for extra in ("full_node", "scalar_node"):
        if (other := getattr(operation, extra, None)) and other not in nodes:
            nodes.append(other)
    own = not getattr(operation, "holomorphic", True)
    bound = next((name for _, name, _ in bindings_of(operation)), "")
    for respect, formula in formulas_of(operation).items():
        yield Row(names, nodes, respect, text_of(formula), kept_by(operation, formula), own, bound)


@cache
def families():
    """Module → (sections by heading, functions that its formulas name), from all the operations there are."""
    load_everything()
    homes = {}
    for operation in DECLARED:
        if home := home_of(operation):
            homes[id(operation)] = (*home, operation)
    found, helpers = {}, {}
    shown = {name for *_, operation in homes.values() if formulas_of(operation) for name in names_of(operation)}
    for module, line, operation in sorted(homes.values(), key=lambda entry: (*entry[:2], entry[2].name)):
        family = module.rpartition(".")[2]
        title = heading_at(sys.modules[module].__file__, line)
        section = found.setdefault(family, {}).setdefault(title, Section(title))
        names = public_names(operation)
        if formulas_of(operation):
            add_rows(section.rows, rows_of(operation))
            for formula in formulas_of(operation).values():
                for helper in ([] if formula.__name__ == "<lambda>" else [formula]) + list(functions_in(formula)):
                    helpers.setdefault(helper, None)
        elif isinstance(operation, (Composite, Choice)):
            section.composed += [f"`{name}`" for name in names[:1] if name not in shown]
        else:
            section.undifferentiated += [f"`{name}`" for name in names[:1] if name not in shown]
    return found, list(helpers)


def said_by(row):
    return row.respect, row.formula, row.keeps


def stem(name):
    """What the names of one thing for one, two and three axes, or of its several kinds, have in common."""
    return re.sub(r"(\dd|_[a-z])$", "", name)


def add_rows(rows, new):
    """Append rows; one that says the same as an earlier one joins it."""
    for row in new:
        for known in rows:
            if said_by(known) == said_by(row) and stem(known.names[0]) == stem(row.names[0]):
                known.nodes += [node for node in row.nodes if node not in known.nodes]
                known.names += [name for name in row.names if name not in known.names]
                break
        else:
            rows.append(row)


def shared_names(sections):
    """Names that several operations of a family bear; these show the name that each has in its module, too."""
    bearers = {}
    for section in sections.values():
        for row in section.rows:
            bearers.setdefault(row.names[0], set()).add(row.bound)
    return {name for name, bound in bearers.items() if len(bound) > 1}


def table(rows, language, ambiguous):
    lines = [word("header", language), "|---|---|---|---|"]
    before = None
    for row in rows:
        first, before = (row.names, row.bound) != before, (row.names, row.bound)
        name = "<br>".join(f"`{name}`" for name in row.names) if first else ""
        if first and row.names[0] in ambiguous and row.bound:
            name += f" ({row.bound})"
        if first and row.complex:
            name += " ℂ"
        respect = ", ".join(f"`{name}`" for name in row.respect)
        kept = ", ".join(f"`{name}`" for name in row.keeps) or "–"
        lines.append(f"| {name} | {respect} | `{escaped(row.formula)}` | {kept} |")
    return lines


def escaped(code):
    return code.replace("|", "\\|")


def word(key, language):
    return WORDS[key][0 if language == "en" else 1]


def titled(family, language):
    return FAMILIES[family][0 if language == "en" else 1]


def section_title(section, language):
    if language == "en":
        return section.title[0].upper() + section.title[1:]
    return SECTIONS[section.title]


def page(language):
    found, helpers = families()
    unnamed = [family for family in found if family not in FAMILIES]
    if unnamed:
        sys.exit(f"tools/make_derivatives.py: families without a title: {', '.join(unnamed)}")
    found = {family: found[family] for family in FAMILIES if family in found}
    lines = [f"# {word('title', language)}", "", word("other language", language), ""]
    lines += textwrap.dedent(INTRODUCTION[language]).rstrip().split("\n") + ["", f"## {word('contents', language)}", ""]
    lines += [f"- [{titled(family, language)}](#{family})" for family in found]
    lines += [f"- [{word('nodes', language)}](#nodes)", ""]
    for family, sections in found.items():
        lines += [f'<a id="{family}"></a>', "", f"## {titled(family, language)}", ""]
        lines += family_page(sections, language)
        lines += source_of([h for h in helpers if h.__module__ == f"wengert.ops.{family}"], language)
    lines += ['<a id="nodes"></a>', "", f"## {word('nodes', language)}", "", *index_of_nodes(found, language)]
    return "\n".join(lines).rstrip() + "\n"


def family_page(sections, language):
    lines, ambiguous = [], shared_names(sections)
    with_rows = [s for s in sections.values() if s.rows]
    for section in sections.values():
        if section.rows and section.title and len(with_rows) > 1:
            lines += [f"### {section_title(section, language)}", ""]
        if section.rows:
            lines += [*table(section.rows, language, ambiguous), ""]
    for kind in ("undifferentiated", "composed"):
        names = [name for section in sections.values() for name in getattr(section, kind)]
        if names:
            lines += [word(kind, language) + word("separator", language).join(dict.fromkeys(names))
                      + word("stop", language), ""]  # fmt: skip
    return lines


def source_of(helpers, language):
    """The functions that formulas name, in the order of their file."""
    if not helpers:
        return []
    helpers = sorted(helpers, key=lambda helper: helper.__code__.co_firstlineno)
    sources = [source_text(helper) for helper in helpers]
    summary = f"<details><summary>{word('helpers', language)}</summary>"
    return [summary, "", "```python", "\n\n".join(sources), "```", "", "</details>", ""]


def index_of_nodes(found, language):
    """The classes of `grad_fn`, each with the operation that makes it and a link to its family."""
    places = {}
    for family, sections in found.items():
        for section in sections.values():
            for row in section.rows:
                for node in row.nodes:
                    places.setdefault(node, (row.names[0], family))
    return [f"- `{node}`: [`{name}`](#{family})" for node, (name, family) in sorted(places.items())]


def main():
    stale = []
    for language, path in PAGES.items():
        text, file = page(language), ROOT / path
        if "--check" not in sys.argv[1:]:
            file.write_text(text, encoding="utf-8")
            print(f"{path}: {len(re.findall(r'^[|] .*[|]$', text, re.MULTILINE))} lines of tables")
        elif not file.exists() or file.read_text(encoding="utf-8") != text:
            stale.append(path)
    if stale:
        sys.exit(f"stale pages: {', '.join(stale)}; run `make stubs` and commit what it writes")
    if "--check" in sys.argv[1:]:
        print("Pages of derivatives are fresh.")


if __name__ == "__main__":
    main()
