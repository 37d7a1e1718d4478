"""Work that a cancelled call still has to finish: clean-up, and blocking work in a thread."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractContextManager
from typing import TypeVar

T = TypeVar("T")

_NOT_AGAIN = 0.01  # seconds


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
    anew. What must not be broken off is inside of ``finish``.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await finish(_stop(task, seconds))
        raise


async def _stop(task: asyncio.Future[T], seconds: float) -> None:
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=seconds)
        # Once it did not answer, nothing more is waited for: a tree may be open at many levels.
        seconds = min(seconds, _NOT_AGAIN)
    if not task.cancelled():
        task.exception()  # marks it as seen: the cancellation is what the caller hears of


async def off_loop(function: Callable[..., T], *args: object) -> T:
    """Run blocking work in a thread; a cancellation waits for the thread, so nothing is left."""
    found: list[T] = []
    await finish(asyncio.to_thread(_into, found, function, args))
    return found[0]


async def in_thread(function: Callable[..., T], *args: object) -> T:
    """Run blocking work in a thread; cancelled, it is left to itself."""
    found: list[T] = []
    await asyncio.to_thread(_into, found, function, args)
    return found[0]


def _into(found: list[T], function: Callable[..., T], args: tuple[object, ...]) -> None:
    """Call, and keep what comes beside the future: a task that waits for one shows its result."""
    found.append(function(*args))


@contextlib.asynccontextmanager
async def entered(manager: AbstractContextManager[T]) -> AsyncGenerator[T, None]:
    """Enter and leave a blocking context manager in threads, cancelled or not."""
    entering = asyncio.ensure_future(asyncio.to_thread(manager.__enter__))
    try:
        value = await finish(entering)
    except asyncio.CancelledError as error:
        if entering.done() and not entering.cancelled() and entering.exception() is None:
            await finish(asyncio.to_thread(manager.__exit__, type(error), error, None))
        raise
    try:
        yield value
    except BaseException as error:
        if not await finish(
            asyncio.to_thread(manager.__exit__, type(error), error, error.__traceback__)
        ):
            raise
    else:
        await finish(asyncio.to_thread(manager.__exit__, None, None, None))
