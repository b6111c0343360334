"""Processes share tensors as under PyTorch."""

from pathlib import Path

from tests.conformance.both import assert_same


def test_processes_share_memory(oracle):
    assert_same(Path(__file__).with_name("multiprocessing_program.py"))
