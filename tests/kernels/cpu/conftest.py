"""These tests need the extra `fast`; without it there is nothing to test."""

import pytest

pytest.importorskip("llvmlite", reason="the fast kernels need llvmlite, from the extra `fast`")
