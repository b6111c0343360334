"""Measurements, and tables of them."""

import math
from collections import namedtuple

import numpy as np

__all__ = ["Compare", "Measurement", "select_unit", "trim_sigfig"]

Task = namedtuple("Task", "stmt setup label sub_label description env num_threads")
UNITS = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9))


def select_unit(t):
    """(name, size in seconds) of the unit in which `t` seconds read best."""
    return next(((name, size) for name, size in UNITS if t >= size), UNITS[-1])


def trim_sigfig(x, n):
    """`x` with `n` significant digits."""
    if x == 0:
        return 0.0
    scale = 10 ** (math.floor(math.log10(abs(x))) + 1 - n)
    return float(round(x / scale) * scale)


class Measurement:
    """How long a statement took.

    Args:
        number_per_run: runs in each block.
        raw_times: seconds for each block.
        task_spec: what was measured.
    """

    def __init__(self, number_per_run, raw_times, task_spec, metadata=None):
        self.number_per_run, self.raw_times = number_per_run, list(raw_times)
        self.task_spec, self.metadata = task_spec, metadata

    def __getattr__(self, name):
        if name in Task._fields:
            return getattr(self.task_spec, name)
        raise AttributeError(name)

    @property
    def times(self):
        """Seconds for one run, by block."""
        return [time / self.number_per_run for time in self.raw_times]

    @property
    def median(self):
        """Seconds for one run, in the median block."""
        return float(np.median(self.times))

    @property
    def mean(self):
        """Seconds for one run."""
        return float(np.mean(self.times))

    @property
    def iqr(self):
        """How much the middle half of the blocks differs, in seconds."""
        low, high = np.quantile(self.times, (0.25, 0.75))
        return float(high - low)

    @property
    def significant_figures(self):
        """How many digits of the median the blocks agree on: their spread as that of a normal distribution."""
        error = max(self.iqr / 1.3490 / math.sqrt(len(self.raw_times)), self.median * 1e-3)
        if len(self.raw_times) < 2:
            return 3
        relative = math.log10(self.median / (1.645 * error)) if error else 5
        return max(1, min(5, math.floor(relative)))

    @property
    def has_warnings(self):
        """Whether the blocks differ by more than a tenth of the median."""
        return self.iqr / self.median > 0.1

    def meets_confidence(self, threshold=0.1):
        """Whether they differ by less than `threshold` of it, there being enough of them."""
        return len(self.raw_times) > 3 and self.iqr / self.median < threshold

    @property
    def title(self):
        """What was measured."""
        return f"{self.label or self.stmt}" + (f": {self.sub_label}" if self.sub_label else "")

    @property
    def as_row_name(self):
        """Its row in a table."""
        return self.sub_label or self.stmt or "[Unknown]"

    @staticmethod
    def merge(measurements):
        """Measurements of the same statement as one each."""
        found = {}
        for each in measurements:
            found.setdefault((each.number_per_run, each.task_spec), []).extend(each.raw_times)
        return [Measurement(number, times, task) for (number, task), times in found.items()]

    def __repr__(self):
        unit, size = select_unit(self.median)
        lines = [f"<{type(self).__module__}.Measurement object at {hex(id(self))}>", self.title]
        if self.description:
            lines.append(self.description)
        if self.setup and self.setup != "pass":
            lines.append(f"setup: {self.setup}")
        blocks = len(self.raw_times)
        kind = "" if blocks < 2 else "Median: "
        lines.append(f"  {kind}{self.median / size:.2f} {unit}")
        if blocks >= 2:
            lines.append(f"  IQR:    {self.iqr / size:.2f} {unit}")
        threads = "thread" if self.num_threads == 1 else "threads"
        lines.append(
            f"  {blocks} measurement{'s' if blocks > 1 else ''}, {self.number_per_run} runs per measurement, "
            f"{self.num_threads} {threads}"
        )
        return "\n".join(lines)


class Compare:
    """Tables of measurements: one for each `label`, a row for each `sub_label`, a column for each `description`."""

    def __init__(self, results):
        self.results, self.trimmed = [], False
        self.extend_results(results)

    def extend_results(self, results):
        """Add measurements; ValueError for anything else."""
        for each in results:
            if not isinstance(each, Measurement):
                raise ValueError(f"Expected an instance of `Measurement`, got {type(each)} instead.")
        self.results.extend(results)

    def trim_significant_figures(self):
        """Show only digits that are certain."""
        self.trimmed = True

    def colorize(self, rowwise=False):
        """Ask for colors, which the table does without."""

    def highlight_warnings(self):
        """Ask for marks at measurements that differ; the table does without."""

    def print(self):
        """Print the table."""
        print(self)

    def __str__(self):
        labels = dict.fromkeys(each.label for each in self.results)
        return "\n".join(self._block(label) for label in labels)

    def _block(self, label):
        merged = Measurement.merge([each for each in self.results if each.label == label])
        unit, size = select_unit(min(each.median for each in merged))
        columns = list(dict.fromkeys(each.description or "" for each in merged))
        keys = list(dict.fromkeys((each.num_threads, each.env, each.as_row_name) for each in merged))
        cells = {(each.num_threads, each.env, each.as_row_name, each.description or ""): each for each in merged}
        name_width = max(len(name) for *_, name in keys) + 6
        width = max(12, *(len(column) + 2 for column in columns))
        rule = "-" * (name_width + (width + 3) * len(columns))
        lines = [f"[{label or ''}]".center(len(rule), "-")]
        lines.append(" " * name_width + "".join(f" | {column:>{width}}" for column in columns))
        threads = None
        for key in keys:
            if key[0] != threads:
                threads = key[0]
                lines.append(f"{threads} threads: ".ljust(len(rule), "-"))
            row = [self._cell(cells.get((*key, column)), size) for column in columns]
            name = key[2] if key[1] is None else f"({key[1]}) {key[2]}"
            lines.append(f"      {name}".ljust(name_width) + "".join(f" | {cell:>{width}}" for cell in row))
        names = {"s": "seconds (s)", "ms": "milliseconds (ms)", "us": "microseconds (us)", "ns": "nanoseconds (ns)"}
        return "\n".join([*lines, "", f"Times are in {names[unit]}.", ""])

    def _cell(self, measurement, size):
        if measurement is None:
            return ""
        time = measurement.median / size
        return f"{trim_sigfig(time, measurement.significant_figures) if self.trimmed else time:.1f}"
