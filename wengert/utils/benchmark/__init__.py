"""``torch.utils.benchmark``: how long a statement takes, measured with care and compared in tables."""

from wengert.absent import refuses
from wengert.utils.benchmark.measurement import Compare, Measurement, select_unit, trim_sigfig
from wengert.utils.benchmark.timer import Language, Timer, timer

__all__ = ["Compare", "Language", "Measurement", "Timer", "select_unit", "timer", "trim_sigfig"]

refuses(
    globals(),
    classes=("CallgrindStats", "CopyIfCallgrind", "FunctionCounts", "FuzzedParameter", "FuzzedSparseTensor",
             "FuzzedTensor", "Fuzzer", "ParameterAlias"),
    why="counts no instructions and makes no random operands",
)  # fmt: skip
