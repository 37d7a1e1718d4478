"""Construction, opening, use and closing (LIFE-01 to LIFE-07)."""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
import time
from collections.abc import Awaitable
from types import FrameType

from transport_core import Capability, TransportClosedError, TransportError

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause
from transport_testbed.conformance._watch import queued_for
from transport_testbed.conformance.samples import (
    SECONDS_TO_STOP,
    begun,
    failure,
    failures,
    sh,
    works,
)

_IO_EVENTS = ("open", "socket.", "subprocess.", "os.listdir", "os.scandir", "os.posix_spawn")


class _Watch:
    """Audit events of input and output that the code of one package causes while armed."""

    # An audit hook cannot be removed: there is one for the process, silent unless armed.
    _installed = False
    _package: str | None = None
    _seen: list[str]

    @classmethod
    def arm(cls, package: str) -> None:
        if not cls._installed:
            sys.addaudithook(cls._hook)
            cls._installed = True
        cls._seen, cls._package = [], package

    @classmethod
    def disarm(cls) -> list[str]:
        cls._package = None
        return cls._seen

    @classmethod
    def _hook(cls, event: str, args: tuple[object, ...]) -> None:
        if cls._package is None or not event.startswith(_IO_EVENTS):
            return
        frame: FrameType | None = inspect.currentframe()
        importing = False
        # What the guest's own make_transport reads, or an import, is not the constructor's.
        while frame is not None:
            name = frame.f_globals.get("__name__", "")
            importing = importing or name == "importlib._bootstrap"
            if not importing and (name == cls._package or name.startswith(f"{cls._package}.")):
                cls._seen.append(f"{event} {args!r:.80}")
                return
            frame = frame.f_back


class LifeTests:
    """One transport from its construction to its end."""

    @clause("LIFE-01", opened=False)
    async def test_construction_does_nothing(self, case: Case) -> None:
        """Constructing reads no file, opens no socket, starts no process and no thread."""
        package = type(case.make()).__module__.partition(".")[0]
        threads = set(threading.enumerate())
        _Watch.arm(package)
        try:
            transport = case.make()
        finally:
            seen = _Watch.disarm()
        assert not seen
        # One of an earlier test may end meanwhile.
        assert not set(threading.enumerate()) - threads
        assert isinstance(transport.name, str)
        assert transport.name
        assert transport.capabilities == case.make().capabilities

    @clause("LIFE-02", opened=False)
    async def test_closing_twice_is_silent(self, case: Case) -> None:
        """``async with`` gives the transport itself; closing again, or unopened, is no error."""
        transport = case.make()
        async with transport as entered:
            assert entered is transport
            assert await works(case, transport)
        for _ in range(2):
            assert await _silent(transport.aclose()), "closing again raised"
        assert await _silent(case.make().aclose()), "closing what was never opened raised"

    @clause("LIFE-02", opened=False)
    async def test_an_error_in_the_body_passes_unchanged(self, case: Case) -> None:
        """Leaving ``async with`` by an error closes, and the error is the caller's own."""

        async def body() -> None:
            async with transport:
                raise LookupError("the caller's own")

        transport = case.make()
        await failure(LookupError, body())
        await failure(TransportClosedError, transport.run(["true"]))

    @clause("LIFE-02", needs=Capability.RUN, opened=False)
    async def test_closing_is_bounded_in_time(self, case: Case) -> None:
        """Commands that would run for long do not hold up the closing."""
        transport = case.make()
        async with transport:
            calls = [
                asyncio.create_task(transport.run(sh("sleep 1000", case.marker))) for _ in range(3)
            ]
            await begun(case)
            started = time.monotonic()
        took = time.monotonic() - started
        await asyncio.gather(*calls, return_exceptions=True)
        assert took < SECONDS_TO_STOP

    @clause("LIFE-03", opened=False)
    async def test_use_before_opening_or_after_closing_is_an_error(self, case: Case) -> None:
        """All verbs refuse, and leave no trace."""
        transport = case.make()
        source, target = case.local("source"), case.local("target")
        source.write_bytes(b"x")
        remote = case.remote("remote")

        async def refused(when: str) -> None:
            errors = await failures(
                (TransportClosedError, transport.run(["touch", remote])),
                (TransportClosedError, transport.put(source, remote)),
                (TransportClosedError, transport.get(remote, target)),
            )
            safe = [error.retry_safe for error in errors]
            assert all(safe), f"{when}: nothing was sent, and it does not say so"

        await refused("before opening")
        async with transport:
            pass
        await refused("after closing")
        assert not list(case.probe.listdir(remote.rpartition(b"/")[0]))

    @clause("LIFE-03", needs=(Capability.STOP,), opened=False)
    async def test_closing_ends_the_calls_in_flight_and_their_processes(self, case: Case) -> None:
        """A call in flight fails as closed, and its command does not run on."""
        transport = case.make()
        async with transport:
            calls = [
                asyncio.create_task(
                    transport.run(
                        sh("sleep 1000 & sleep 1000", case.marker),
                        env={"CONFORMANCE_MARK": case.marker},
                    )
                )
                for _ in range(3)
            ]
            await begun(case)
        await failures(*((TransportClosedError, call) for call in calls))
        await case.eventually(lambda: not case.probe.processes(case.marker), seconds=2.0)

    @clause("LIFE-04", opened=False)
    async def test_open_use_and_close_from_different_tasks(self, case: Case) -> None:
        """Nothing is bound to the task that opened it."""
        transport = case.make()
        await asyncio.create_task(transport.__aenter__())
        try:
            found = await asyncio.gather(
                *(asyncio.create_task(works(case, transport)) for _ in range(5))
            )
        finally:
            await asyncio.create_task(transport.aclose())
        assert all(found)
        await failure(TransportClosedError, transport.run(["true"]))

    @clause("LIFE-04", opened=False)
    async def test_opening_twice_is_an_error_and_reopening_is_not(self, case: Case) -> None:
        """A second opening is refused and harms nothing; after closing it is allowed."""
        transport = case.make()
        async with transport:
            await failure(TransportError, transport.__aenter__())
            assert await works(case, transport)
        async with transport:
            assert await works(case, transport)
        await failure(TransportClosedError, transport.run(["true"]))

    @clause("LIFE-06", needs=Capability.FILES, about="files")
    async def test_the_loop_turns_during_long_work(self, case: Case) -> None:
        """Other tasks of the loop go on while commands run and files move."""
        worst, over, thread = 0.0, asyncio.Event(), threading.get_native_id()

        async def beat() -> None:
            nonlocal worst
            while not over.is_set():
                started, queued = time.monotonic(), queued_for(thread)
                await asyncio.sleep(0.01)
                waited = queued_for(thread) - queued
                worst = max(worst, time.monotonic() - started - waited)

        source = case.local("source")
        with source.open("wb") as file:
            file.truncate(8 * 1024 * 1024)
        pulse = asyncio.create_task(beat())
        await asyncio.sleep(0)  # it has begun before the work has
        try:
            if Capability.RUN in case.transport.capabilities:
                await case.transport.run(sh("sleep 0.6"), stdin=source)
            await case.transport.put(source, case.remote("file"))
            await case.transport.get(case.remote("file"), case.local("back"))
        finally:
            over.set()
            await pulse
        # Far above the promise of milliseconds: the machine under the suite is shared.
        assert worst < 0.5, "seconds for which nothing else could run"

    @clause("LIFE-07", opened=False)
    async def test_an_opening_that_is_cancelled_leaves_nothing_half_open(self, case: Case) -> None:
        """Cancelled at any moment, it is closed, and can be opened as if nothing had been."""
        transport = case.make()
        for milliseconds in (0, 2, 15):
            opening = asyncio.create_task(transport.__aenter__())
            await asyncio.sleep(milliseconds / 1000)
            if opening.cancel():
                await failure(asyncio.CancelledError, opening)
                await failure(TransportClosedError, transport.run(["true"]))
            else:
                await opening
            await transport.aclose()
        async with transport:
            assert await works(case, transport)


async def _silent(closing: Awaitable[None]) -> bool:
    """Return whether closing raised nothing."""
    found = await asyncio.gather(closing, return_exceptions=True)
    return found[0] is None
