"""PyTorch's operator database: nothing fails that `known_gaps.toml` doesn't list, and nothing listed passes.

CONFORMANCE_SAMPLES=all takes every sample. The report is printed at the end of the run.
"""

import os

import pytest

from tests.conformance import report


@pytest.fixture(scope="module")
def verdicts(oracle, subject, request):
    from tests.conformance import opdb

    every = os.environ.get("CONFORMANCE_SAMPLES") == "all"
    found = list(opdb.walk(list(opdb.entries()), every_sample=every, patience=600 if every else 60))
    request.config.stash[report.REPORT] = "\n\n".join([report.details(found), report.summary(found)])
    return found


def test_the_list_of_known_gaps_is_true(verdicts):
    complaints = report.judged(verdicts)
    if complaints:
        pytest.fail("\n".join(complaints), pytrace=False)


def test_the_walk_reached_every_entry(verdicts):
    from tests.conformance import opdb

    assert {v.name for v in verdicts} == set(opdb.entries())
