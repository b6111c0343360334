"""Random programs give the same tensors, the same graph and the same refusals under wengert and under PyTorch.

CONFORMANCE_PROGRAMS=20000 runs that many programs with fresh seeds; without it the programs are the same every time.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conformance import programs

FRESH = os.environ.get("CONFORMANCE_PROGRAMS")

# Lines are dropped from a failing program by `programs.reduced`, which knows that names never shift; hypothesis
# generates, remembers and replays.
every_program = settings(
    max_examples=int(FRESH or 1200),
    derandomize=FRESH is None,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@st.composite
def written(draw, torch):
    """A program drawn decision by decision."""
    length = draw(st.integers(min_value=4, max_value=18))
    return programs.write(torch, lambda options: draw(st.sampled_from(list(options))), length)


def test_random_programs_agree(subject, oracle):
    @every_program
    @given(written(oracle))
    def agrees(program):
        if programs.difference(program, subject, oracle) is not None:
            pytest.fail(programs.report(program, subject, oracle), pytrace=False)

    agrees()
