"""Broken from construction to closing (LIFE), by shape (DISC) or by claim (CAP)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any, Self

from transport_core import Capability, TransportClosedError, TransportError
from transport_core.authoring import temp_name
from transport_local import LocalTransport
from transport_testbed._outside import LocalProbe
from transport_testbed.conformance.samples import SECONDS_TO_STOP

from . import _naive


class ReadsAtConstruction(LocalTransport):
    """Reads a file before it is opened."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        with open(os.devnull, "rb") as file:
            file.read()


class ThreadsAtConstruction(LocalTransport):
    """Starts a thread before it is opened."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._thread = threading.Timer(1.0, lambda: None)
        self._thread.start()


class RaisesWhenClosedTwice(LocalTransport):
    """Takes a second closing for an error."""

    _closed = False

    async def aclose(self) -> None:
        if self._closed:
            raise TransportClosedError("closed already")
        self._closed = True
        await super().aclose()


class EntersAsAnother(LocalTransport):
    """``async with`` gives something else than the transport."""

    async def __aenter__(self) -> Any:
        await super().__aenter__()
        return _Proxy()


class _Proxy:
    """Stands for a transport, and is none."""


class SwallowsErrorsOfTheBody(LocalTransport):
    """An error of the caller's own ends with ``async with``."""

    async def __aexit__(self, *exc: object) -> Any:
        await self.aclose()
        return True


class WaitsForCommandsAtClose(LocalTransport):
    """Closing gives what runs more time than anybody has."""

    _running = 0

    async def run(self, *args: Any, **options: Any) -> Any:
        self._running += 1
        try:
            return await super().run(*args, **options)
        finally:
            self._running -= 1

    async def aclose(self) -> None:
        if self._running:
            await asyncio.sleep(SECONDS_TO_STOP + 0.1)
        await super().aclose()


class OpensItself(LocalTransport):
    """Use before opening or after closing opens it silently."""

    async def run(self, *args: Any, **options: Any) -> Any:
        if not self._calls.is_open:
            await self.__aenter__()
        return await super().run(*args, **options)


class ClosesAsCommandFailure(LocalTransport):
    """Calls in flight at the closing end as if the command had failed."""

    async def run(self, *args: Any, **options: Any) -> Any:
        opened = True
        try:
            return await super().run(*args, **options)
        except TransportClosedError as error:
            raise (TransportError("ended") if opened else error) from error


class LeavesCommandsAtClose(LocalTransport):
    """Closing ends the calls, and their processes run on."""

    async def run(self, argv: Any, **options: Any) -> Any:
        checked = await super().run(["true"])
        if b"sleep 1000" not in b" ".join(os.fsencode(word) for word in argv):
            return await super().run(argv, **options)
        try:
            _naive.start(argv, options.get("env"))
            return await super().run(["sleep", "900"])
        finally:
            del checked


class BoundToItsTask(LocalTransport):
    """Works only in the task that opened it."""

    _owner: asyncio.Task[Any] | None = None

    async def __aenter__(self) -> Self:
        self._owner = asyncio.current_task()
        await super().__aenter__()
        return self

    async def aclose(self) -> None:
        # The suite itself closes from where it likes: only the explicit case is refused.
        assert self._owner in (None, asyncio.current_task()), "closed in another task"
        await super().aclose()


class OpensTwice(LocalTransport):
    """Takes a second opening for another reference."""

    async def __aenter__(self) -> Self:
        try:
            await super().__aenter__()
        except TransportError:
            return self
        return self


class OpensOnce(LocalTransport):
    """Cannot be opened again after closing."""

    _used = False

    async def __aenter__(self) -> Self:
        if self._used:
            raise AssertionError("opened before")
        self._used = True
        await super().__aenter__()
        return self


class LeavesATask(LocalTransport):
    """A task goes on after closing."""

    async def run(self, *args: Any, **options: Any) -> Any:
        self._task = asyncio.create_task(asyncio.sleep(30))
        return await super().run(*args, **options)


class LeavesAProcess(LocalTransport):
    """What runs when it is closed is told to end and does not."""

    async def run(self, argv: Any, **options: Any) -> Any:
        if b"sleep 5" in b" ".join(map(os.fsencode, argv)):
            _naive.start(argv, None)
        return await super().run(argv, **options)


class LeavesTemporaryFiles(LocalTransport):
    """Every transfer leaves the name under which it wrote."""

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        found = await super().put(local, remote, **options)
        Path(os.fsdecode(remote)).with_name(temp_name().decode()).touch()
        return found


class KillsDetached(LocalTransport):
    """After a command, ends all that it has left behind."""

    async def run(self, argv: Any, **options: Any) -> Any:
        result = await super().run(argv, **options)
        await end_marked(options.get("env"))
        return result


async def end_marked(env: Any) -> None:
    """End what carries the marker that a test has put into an environment."""
    if mark := (env or {}).get("CONFORMANCE_MARK"):
        probe = LocalProbe()
        while found := probe.processes(mark):
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.01)


class BlocksTheLoop(LocalTransport):
    """Waits without letting the loop turn."""

    async def run(self, *args: Any, **options: Any) -> Any:
        time.sleep(0.7)
        return await super().run(*args, **options)


class HalfOpen(LocalTransport):
    """Stays open when its opening is cancelled."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        await asyncio.sleep(0.05)
        return self


class LacksAnOption(LocalTransport):
    """Has the verbs, and not their options."""

    async def run(self, argv: Any, *, stdin: Any = None, env: Any = None) -> Any:  # type: ignore[override]
        return await super().run(argv, stdin=stdin, env=env)


class IsNotAsync(LocalTransport):
    """Has a verb that is no coroutine function."""

    def get(self, *args: Any, **options: Any) -> Any:
        return super().get(*args, **options)


class OverwritesNever(LocalTransport):
    """Has another default than the contract."""

    async def put(self, local: Any, remote: Any, *, overwrite: bool = False, **options: Any) -> Any:
        return await super().put(local, remote, overwrite=overwrite, **options)


class TakesAnyOption(LocalTransport):
    """Is built from options, and passes over those that it does not know."""

    @classmethod
    def from_options(cls, options: Any) -> Self:
        return cls()


class ClaimsTooLittle(LocalTransport):
    """Denies what every transport has to do."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        return super().capabilities - {Capability.FILES}


class DeniesSignals(LocalTransport):
    """Denies what it does, so that its clauses are skipped."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        return super().capabilities - {Capability.SIGNALS}


class DeniesModesAndLinks(LocalTransport):
    """Denies what it does with files."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        return super().capabilities - {Capability.MODES, Capability.SYMLINKS}


class ClaimsStreaming(LocalTransport):
    """Claims a protocol that it has not."""

    stream: Any = None


class DeniesStreaming(LocalTransport):
    """Has a protocol and denies it, so that its clauses are skipped."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        return super().capabilities - {Capability.STREAMING}


class ChangesItsClaims(LocalTransport):
    """Claims less once it is open."""

    _opened = False

    async def __aenter__(self) -> Self:
        self._opened = True
        await super().__aenter__()
        return self

    @property
    def capabilities(self) -> frozenset[Capability]:
        found = super().capabilities
        return found - {Capability.STOP} if self._opened else found
