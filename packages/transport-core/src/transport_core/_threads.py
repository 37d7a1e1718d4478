"""Blocking work in the threads of the event loop, which it shares with everybody else's.

Work that has begun is waited for, so that nothing is left; what still waits for a thread when
its call is cancelled is withdrawn: the threads may be busy with somebody else's work for long.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar, cast

from ._shield import finish

T = TypeVar("T")


async def off_loop(function: Callable[..., T], *args: object) -> T:
    """Run blocking work in a thread; a cancellation waits for it if it has begun."""
    return await _Job(function, *args).done()


@contextlib.contextmanager
def own_thread() -> Iterator[Callable[..., Awaitable[Any]]]:
    """Give what runs blocking work in one thread of its own; cancelled, it is left to itself.

    For work that may never end, such as reading: it must not hold a thread that others wait for.
    """
    pool = concurrent.futures.ThreadPoolExecutor(1)

    async def run(function: Callable[..., T], *args: object) -> T:
        job = _Job(function, *args)
        await asyncio.get_running_loop().run_in_executor(pool, job.work)
        return job.found[0]

    try:
        yield run
    finally:
        pool.shutdown(wait=False)


@contextlib.asynccontextmanager
async def entered(manager: AbstractContextManager[T]) -> AsyncGenerator[T, None]:
    """Enter and leave a blocking context manager in threads, cancelled or not."""
    entering = _Job(manager.__enter__)
    try:
        value = await entering.done()
    except asyncio.CancelledError as error:
        if entering.found:
            await _leave(manager, error)
        raise
    try:
        yield value
    except BaseException as error:
        if not await _leave(manager, error):
            raise
        return
    leaving = _Job(manager.__exit__, None, None, None)
    try:
        await leaving.done()
    except asyncio.CancelledError as error:
        if not leaving.has_begun:
            await _leave(manager, error)
        raise


async def _leave(manager: AbstractContextManager[T], error: BaseException) -> bool | None:
    """Clean up after an error, at once, however busy the loop's threads are."""
    with own_thread() as run:
        leaving = run(manager.__exit__, type(error), error, error.__traceback__)
        return cast("bool | None", await finish(leaving))


class _Job(Generic[T]):
    """One piece of work: it is begun, or withdrawn, by whoever is first to claim it."""

    def __init__(self, function: Callable[..., T], *args: object) -> None:
        self._function, self._args = function, args
        self._claim = threading.Lock()
        self.has_begun = False
        self.found: list[T] = []
        """What it gave, beside the future: a task that waits for one shows its result."""

    def work(self) -> None:
        if self._claim.acquire(blocking=False):
            self.has_begun = True
            self.found.append(self._function(*self._args))

    async def done(self) -> T:
        """Wait for a thread of the loop's, and for the end of the work in it."""
        working = asyncio.ensure_future(asyncio.to_thread(self.work))
        try:
            await asyncio.shield(working)
        except asyncio.CancelledError:
            if self._claim.acquire(blocking=False):
                working.cancel()
            # Marks a failure as seen: the cancellation is what the caller hears of.
            working.add_done_callback(lambda done: done.cancelled() or done.exception())
            await finish(asyncio.wait({working}))
            raise
        return self.found[0]
