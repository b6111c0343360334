"""Whether cuDNN is there: it is not."""

from contextlib import contextmanager

enabled = True  # programs set these; without the library they choose nothing
benchmark = False
benchmark_limit = None
deterministic = False
allow_tf32 = True
fp32_precision = "none"


class rnn:
    """Settings for recurrent networks."""

    fp32_precision = "none"


class conv:
    """Settings for convolutions."""

    fp32_precision = "none"


def version():
    """None: there is no such library here."""


def is_available():
    """False."""
    return False


def is_acceptable(tensor):
    """False: the library computes no tensor."""
    return False


def set_flags(_enabled=None, _benchmark=None, _benchmark_limit=None, _deterministic=None, _allow_tf32=None):
    """Change the settings that are given; returns all as they were."""
    names = ("enabled", "benchmark", "benchmark_limit", "deterministic", "allow_tf32")
    values = (_enabled, _benchmark, _benchmark_limit, _deterministic, _allow_tf32)
    before = tuple(globals()[name] for name in names)
    globals().update({name: value for name, value in zip(names, values) if value is not None})
    return before


@contextmanager
def flags(enabled=False, benchmark=False, benchmark_limit=10, deterministic=False, allow_tf32=True):
    """Change the settings inside a ``with`` block."""
    before = set_flags(enabled, benchmark, benchmark_limit, deterministic, allow_tf32)
    try:
        yield
    finally:
        set_flags(*before)
        globals()["benchmark_limit"] = before[2]
