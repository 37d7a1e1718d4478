"""Work that a cancelled call still has to finish: its clean-up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")

_NOT_AGAIN = 0.01  # seconds
_GIVEN_UP = 10.0
"""Seconds after which clean-up that nothing can break off goes on without being waited for: the
thread of a hung disk ends when the disk answers, and cleans up then."""


async def finish(work: Awaitable[T]) -> T:
    """Wait for ``work`` to its end even if cancelled meanwhile, then let the cancellation go on.

    ``work`` has to be bounded in time by itself.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
        except BaseException:  # noqa: BLE001, S110 - raised below, by result()
            pass
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # marks it as seen: the cancellation is what the caller hears of
        raise cancelled
    return task.result()


async def stoppable(work: Awaitable[T], seconds: float) -> T:
    """Run ``work``; if it is cancelled, its clean-up has ``seconds``, and is then broken off.

    For clean-up that asks the other side, which may be silent: every wait in it is cancelled
    anew. What must not be broken off is inside of ``finish``, and is waited for 10 seconds.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await finish(_stop(task, seconds))
        raise


async def _stop(task: asyncio.Future[T], seconds: float) -> None:
    # Marks a failure as seen: the cancellation is what the caller hears of.
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    end = time.monotonic() + _GIVEN_UP
    while not task.done() and time.monotonic() < end:
        task.cancel()
        await asyncio.wait({task}, timeout=seconds)
        # Once it did not answer, nothing more is waited for: a tree may be open at many levels.
        seconds = min(seconds, _NOT_AGAIN)
