"""DataPipes by themselves and through a loader, with and without workers: what both print must be equal."""

from pathlib import Path

from tests.conformance.both import assert_same


def test_same_samples_in_the_same_order():
    assert_same(Path(__file__).with_name("datapipe_program.py"))
