"""The calls in flight of one open transport: closing stops them and turns them into one error.

Owns the states closed, open and closing (LIFE-2, LIFE-3, LIFE-4); knows no I/O.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Generator
from typing import TypeAlias

from ._errors import Delivery, TransportClosedError

Stop: TypeAlias = Callable[[], Awaitable[object]]


class Calls:
    """Counts a transport's calls; each runs in the task of its caller."""

    def __init__(self, name: str) -> None:
        """``name`` is the transport's, for errors."""
        self._name = name
        self._open = False
        self._tasks: dict[asyncio.Task[object], int] = {}
        self._stopped: set[asyncio.Task[object]] = set()
        self._stops: dict[asyncio.Task[object], list[Stop]] = {}
        self._forgotten = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_open(self) -> bool:
        """Whether calls are let in."""
        return self._open

    @property
    def is_stranded(self) -> bool:
        """Whether the event loop on which it was opened is over, and with it all that was left."""
        return self._loop is not None and self._loop.is_closed()

    def open(self) -> None:
        """Let calls in.

        Raises:
            TransportClosedError: It is open already; a transport has one owner.
        """
        if self.is_stranded:
            self._strand()
        if self._open:
            raise TransportClosedError(
                "the transport is open already",
                delivery=Delivery.NOT_SENT,
                transport=self._name,
                hint="open it once, and share it between tasks",
            )
        if self._tasks:
            raise TransportClosedError(
                "the transport is still being closed",
                delivery=Delivery.NOT_SENT,
                transport=self._name,
                hint="wait until aclose has returned",
            )
        self._open = True
        # An event belongs to the first loop that waits for it.
        self._loop, self._forgotten = asyncio.get_running_loop(), asyncio.Event()

    def _strand(self) -> None:
        """Forget what a loop has left that is over: none of it can be waited for."""
        self._open, self._loop = False, None
        self._tasks, self._stops, self._stopped = {}, {}, set()

    def check_loop(self) -> None:
        """Check that this is the event loop on which it was opened.

        Raises:
            TransportClosedError: It is another.
        """
        if self._loop not in (None, asyncio.get_running_loop()):
            raise TransportClosedError(
                "the transport was opened on another event loop",
                delivery=Delivery.NOT_SENT,
                transport=self._name,
                hint="open it and use it within one asyncio.run",
            )

    @contextlib.contextmanager
    def track(self, stop: Stop | None = None) -> Generator[None, None, None]:
        """Hold one call; if the transport is closed meanwhile, it ends as TransportClosedError.

        A call during which its own task goes on, and may close, gives ``stop``: its end without
        cancellation.

        Raises:
            TransportClosedError: The transport is not open, was opened on another event loop, or
                was closed during the call.
        """
        self.check_loop()
        if not self._open:
            raise TransportClosedError(
                "the transport is not open",
                delivery=Delivery.NOT_SENT,
                transport=self._name,
                hint="use it within 'async with transport:'",
            )
        task = asyncio.current_task()
        if task is None:  # pragma: no cover - a coroutine of asyncio always has a task
            raise RuntimeError("a transport is used within asyncio")
        self._tasks[task] = self._tasks.get(task, 0) + 1
        stops = self._stops.setdefault(task, [])
        if stop is not None:
            stops.append(stop)
        try:
            yield
        except asyncio.CancelledError as error:
            if task in self._stopped and task.uncancel() == 0:
                raise TransportClosedError(
                    "the transport was closed during the call", transport=self._name
                ) from error
            raise
        finally:
            if stop is not None:
                stops.remove(stop)
            self._forget(task)

    def _forget(self, task: asyncio.Task[object]) -> None:
        self._tasks[task] -= 1
        if not self._tasks[task]:
            del self._tasks[task], self._stops[task]
            self._stopped.discard(task)
        self._forgotten.set()

    async def close(self, seconds: float, *, closer: asyncio.Task[object] | None = None) -> bool:
        """Let no more calls in, cancel those in flight, and wait for them at most ``seconds``.

        ``closer`` is the task that closes, where it is not this one: it cannot be waited for.
        Returns whether it was open and all others ended.

        Raises:
            TransportClosedError: It was opened on another event loop, which still runs.
        """
        if self.is_stranded:
            self._strand()
        self.check_loop()
        was_open, self._open = self._open, False
        mine = closer or asyncio.current_task()
        for task in list(self._tasks):
            if task is not mine and task not in self._stopped:
                self._stopped.add(task)
                task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                # At once: the time is for all of them together.
                stops = self._stops.get(mine, ()) if mine else ()
                ends = await asyncio.gather(*(stop() for stop in stops), return_exceptions=True)
                for end in ends:
                    if isinstance(end, BaseException):
                        raise end
                while not self._tasks.keys() <= {mine}:
                    self._forgotten.clear()
                    await self._forgotten.wait()
        if self._tasks.keys() <= {mine}:
            self._loop = None
            return was_open
        return False
