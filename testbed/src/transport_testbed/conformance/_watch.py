"""What a test must not do beside its purpose: leave something behind, or block the event loop.

Measures; the caller judges. Must not know transports or pytest.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any, Self

_GRACE = 1.0
"""Seconds that a thread or child, told to end, may take to be gone."""

_TICKS = 10
"""Looks at the loop within the limit: each takes a moment from what is looked at."""

_LATE = 1.5
"""Ticks after which the watching thread was kept waiting itself."""

_POOL = "suite-pool"

_STDLIB = frozenset(sys.stdlib_module_names)


class _Pool(concurrent.futures.ThreadPoolExecutor):
    """The loop's default executor. Its threads are the loop's; work left in it is a leak."""

    def __init__(self) -> None:
        super().__init__(thread_name_prefix=_POOL)
        self.running: set[concurrent.futures.Future[Any]] = set()

    def submit(self, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        future = super().submit(*args, **kwargs)
        self.running.add(future)
        future.add_done_callback(self.running.discard)
        return future


@dataclass(frozen=True, slots=True)
class Traces:
    """What this process holds at one moment."""

    pool: _Pool
    tasks: frozenset[asyncio.Task[Any]]
    threads: frozenset[threading.Thread]
    files: frozenset[tuple[str, str]]
    children: frozenset[tuple[int, str]]

    @classmethod
    def take(cls) -> Self:
        """Note what there is, and take over the loop's executor. Called in the loop."""
        pool = _Pool()
        asyncio.get_running_loop().set_default_executor(pool)
        return cls(
            pool=pool,
            tasks=frozenset(asyncio.all_tasks()),
            threads=frozenset(threading.enumerate()),
            files=frozenset(_files()),
            children=frozenset(_children()),
        )

    async def left(self) -> list[str]:
        """Return what is there now and was not before, in words; waits a moment for it to go."""
        end = time.monotonic() + _GRACE
        while (found := list(self._more())) and time.monotonic() < end:
            await asyncio.sleep(0.005)
        self.pool.shutdown(wait=False)
        return found

    def _more(self) -> Iterator[str]:
        for task in asyncio.all_tasks() - self.tasks:
            yield f"task {task.get_name()}: {task.get_coro()}"
        for thread in set(threading.enumerate()) - self.threads:
            if not thread.name.startswith((_POOL, LoopWatch.NAME)):
                yield f"thread {thread.name}"
        if self.pool.running:
            yield f"{len(self.pool.running)} calls running in the loop's executor"
        yield from (f"descriptor {fd}: {what}" for fd, what in set(_files()) - self.files)
        yield from (f"child {pid}: {what}" for pid, what in set(_children()) - self.children)


def _files() -> Iterator[tuple[str, str]]:
    # The descriptor that lists the directory is gone before its link is read.
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            yield number, os.readlink(f"/proc/self/fd/{number}")


def _children() -> Iterator[tuple[int, str]]:
    """Yield children, those included that ended and that nobody has waited for."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return  # none: no need to look at every process that there is
    me = os.getpid()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError, ValueError, IndexError):
                with open(f"/proc/{entry}/stat", "rb") as file:
                    name, _, rest = file.read().rpartition(b")")
                if int(rest.split()[1]) == me:
                    yield int(entry), os.fsdecode(name.partition(b"(")[2])


def queued_for(thread_id: int) -> float:
    """Return the seconds that a thread was ready to run and had no processor (proc(5))."""
    try:
        with open(f"/proc/self/task/{thread_id}/schedstat", "rb") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


class LoopWatch:
    """Notices, from a thread of its own, when one callback keeps the loop from running.

    Says so only by proof: what counts is what the callback computed, and the time in which it
    waited while this thread ran on time. On a machine that keeps both waiting it says less.
    """

    NAME = "suite-loop-watch"

    def __init__(self, *, limit: float) -> None:
        self.blocked = ""
        self._limit, self._tick = limit, limit / _TICKS
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._runs = _Callbacks().__enter__()
        self._beats, self._next = 0, self._loop.call_soon(self._beat)
        self._ident = threading.get_ident()
        self._clock = time.pthread_getcpuclockid(self._ident)
        self._thread_id = threading.get_native_id()
        self._thread = threading.Thread(target=self._watch, name=self.NAME, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._next.cancel()
        self._thread.join()
        self._runs.__exit__()

    def _beat(self) -> None:
        """Show that the loop turns, again and again where its callbacks are not asyncio's own."""
        self._beats += 1
        if not self._runs.count:
            self._next = self._loop.call_later(self._tick, self._beat)

    def _watch(self) -> None:
        seen, last = (-1, -1), time.monotonic()
        idle = computed = queued = 0.0
        while not self._ended.wait(self._tick):
            now = time.monotonic()
            if (ran := self._turns()) != seen:
                seen = ran
                idle, computed = 0.0, self._cpu()
            elif self._runs.within and now - last < _LATE * self._tick and self._sleeps():
                idle += max(0.0, self._tick - (queued_for(self._thread_id) - queued))
            last, queued = now, queued_for(self._thread_id)
            longest = max(idle, self._cpu() - computed)
            if longest > self._limit and not self.blocked and self._turns() == ran:
                # The thread goes on meanwhile: its frames may come and go while they are read.
                with suppress(AttributeError):
                    self._blame(sys._current_frames().get(self._ident))  # noqa: SLF001 - the documented way
                seen = (-1, -1)

    def _turns(self) -> tuple[int, int]:
        return self._runs.count, self._beats

    def _cpu(self) -> float:
        return time.clock_gettime(self._clock)

    def _sleeps(self) -> bool:
        """Whether the loop's thread waits for something else than a processor.

        How long it waited for one is only told when it has got it.
        """
        try:
            with open(f"/proc/self/task/{self._thread_id}/stat", "rb") as file:
                return file.read().rpartition(b")")[2].split()[0] != b"R"
        except (OSError, IndexError):
            return True

    def _blame(self, frame: FrameType | None) -> None:
        """Keep where the loop's thread is, unless it is the suite that keeps it there."""
        stack, culprit = frame, frame
        if culprit is not None and culprit.f_code.co_name == "_execute_child":
            # Starting a process waits until the child has got a processor and called exec.
            return
        while culprit is not None and _module(culprit).partition(".")[0] in _STDLIB:
            # Down to the loop itself: nobody's callback is running.
            if culprit.f_code.co_name == "run_forever":
                return
            culprit = culprit.f_back
        if culprit is None or _module(culprit).startswith("transport_testbed."):
            return
        lines = "".join(traceback.format_stack(stack, limit=8))
        limit = f"{self._limit * 1000:g} ms"
        self.blocked = f"the event loop was blocked for more than {limit} in\n{lines}"


class _Callbacks:
    """Counts what the event loop of this thread runs, and tells whether it is within it.

    Counted by the loop's thread itself: another one that reads its frames all the time may meet
    one that is just being left, which CPython does not guard.
    """

    def __init__(self) -> None:
        self.count = 0
        self.within = True  # it is made by a callback

    def __enter__(self) -> Self:
        thread, self._run = threading.get_ident(), asyncio.Handle._run  # noqa: SLF001 - see above

        def run(handle: asyncio.Handle) -> None:
            if threading.get_ident() != thread:
                self._run(handle)
                return
            self.count += 1
            self.within = True
            try:
                self._run(handle)
            finally:
                self.within = False

        asyncio.Handle._run = run  # type: ignore[method-assign, assignment]  # noqa: SLF001
        return self

    def __exit__(self, *exc: object) -> None:
        asyncio.Handle._run = self._run  # type: ignore[method-assign]  # noqa: SLF001


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))
