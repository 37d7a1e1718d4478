"""The watchdog on the event loop: it tells one long callback, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from transport_testbed.conformance._watch import LoopWatch

pytestmark = pytest.mark.asyncio

_LIMIT = 0.1


def _compute(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


async def _at_once() -> None:
    _compute(3 * _LIMIT)


async def _later() -> None:
    for _ in range(3):
        await asyncio.sleep(0.01)
    _compute(3 * _LIMIT)


async def _and_goes_on() -> None:
    await _later()
    await asyncio.sleep(0.01)


async def _in_pieces() -> None:
    for _ in range(15):
        _compute(0.2 * _LIMIT)
        await asyncio.sleep(0)


async def _waits() -> None:
    await asyncio.sleep(5 * _LIMIT)


@pytest.mark.parametrize("work", [_at_once, _later, _and_goes_on])
async def test_a_callback_that_computes_for_too_long_is_told(
    work: Callable[[], Awaitable[None]],
) -> None:
    """Also where it is the first, before the loop has turned once, or the last."""
    with LoopWatch(limit=_LIMIT) as watch:
        await work()
    assert "_compute" in watch.blocked


@pytest.mark.parametrize("work", [_in_pieces, _waits])
async def test_short_callbacks_and_an_idle_loop_are_not(
    work: Callable[[], Awaitable[None]],
) -> None:
    """However much they compute together, and however long it waits for something."""
    with LoopWatch(limit=_LIMIT) as watch:
        await work()
    assert not watch.blocked
