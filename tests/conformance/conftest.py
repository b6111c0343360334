"""Comparison with PyTorch: what this folder needs, and which module it judges.

These are the only tests that import torch. Without it they are skipped, with the reason, so that the rest of
the suite runs where PyTorch is not. CONFORMANCE_SUBJECT names the module
to judge ("torch" judges the tests themselves).
"""

import importlib.util

import pytest


def pytest_collection_modifyitems(items):
    if importlib.util.find_spec("torch") is None:
        reason = "PyTorch, the oracle, is not installed: `make conformance` installs it"
        for item in items:
            if "conformance" in item.path.parts:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def oracle():
    """PyTorch on one thread: sums in one order, and no threads to carry into forked processes."""
    torch = pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed")
    torch.set_num_threads(1)
    return torch


@pytest.fixture(scope="session")
def subject():
    """The module that is judged."""
    from tests.conformance.compare import subject_module

    return subject_module()


def pytest_terminal_summary(terminalreporter, config):
    """The walk's report, where the walk has run."""
    from tests.conformance.report import REPORT

    if REPORT in config.stash:
        terminalreporter.section("wengert beside PyTorch, by PyTorch's operator database")
        terminalreporter.write_line(config.stash[REPORT])
