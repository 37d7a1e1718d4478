"""What the suite measures of its own memory is the test's, and nobody else's."""

from __future__ import annotations

import gc

import pytest
from transport_testbed.conformance._memory import memory, peak_reset

MIB = 1024 * 1024


def test_what_others_left_to_be_collected_hides_nothing() -> None:
    """Garbage counted before and collected meanwhile would make room for 64 MiB unseen."""
    gc.disable()
    try:
        left: list[object] = [b"x" * (64 * MIB)]
        left.append(left)
        del left
        if not peak_reset():
            pytest.skip("only Linux tells a peak from now on")
        before = memory("VmRSS")
        gc.collect()
        held = b"y" * (64 * MIB)
        assert memory("VmHWM") - before > 48 * MIB
        del held
    finally:
        gc.enable()
