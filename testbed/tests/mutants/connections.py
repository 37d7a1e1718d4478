"""A simulated connection over the local transport, right and broken (CONN, ERR-03, LIFE-02)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Self

from transport_core import (
    Authenticated,
    Capability,
    CommandResult,
    Connected,
    ConnectionLostError,
    Delivery,
    TransportClosedError,
)
from transport_core.authoring import emit
from transport_local import LocalTransport
from transport_testbed.conformance import HarnessError, Target

from . import _naive

VARIANTS: Mapping[str, Mapping[str, Any]] = {}
"""Ways to know the simulated server; a transport reads ``self.target.variant``."""


class Server:
    """What the simulated connections log in to; it can end them, and counts the logins."""

    def __init__(self) -> None:
        self.count = 0
        self.sessions: set[HeldTransport] = set()

    @contextlib.contextmanager
    def cut(self) -> Iterator[int]:
        """End all sessions."""
        if not self.sessions:
            raise HarnessError("there is no session to end")
        ended = len(self.sessions)
        while self.sessions:
            self.sessions.pop().lose()
        yield ended


class HeldTransport(LocalTransport):
    """Holds a login that can be lost; nothing is broken here."""

    def __init__(self, server: Server, target: Target) -> None:
        super().__init__()
        self.server = server
        self.target = target
        self._lost: asyncio.Event | None = None
        self._lock: asyncio.Lock | None = None

    @property
    def capabilities(self) -> frozenset[Capability]:
        return super().capabilities | {Capability.CONNECTION}

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._lock = asyncio.Lock()
        try:
            await self.log_in()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def aclose(self) -> None:
        self.server.sessions.discard(self)
        await super().aclose()

    async def log_in(self) -> None:
        """Make a connection."""
        self._lost = asyncio.Event()
        await asyncio.sleep(0.005)
        self.server.count += 1
        self.server.sessions.add(self)
        emit(Connected(transport=self.name, hop="fake"), None)
        emit(Authenticated(transport=self.name, hop="fake", method="none"), None)

    def lose(self) -> None:
        """End the connection."""
        if self._lost is not None:
            self._lost.set()

    async def connected(self) -> None:
        """Reconnect if it is lost; who waits shares the login."""
        assert self._lock is not None
        async with self._lock:
            if self._lost is not None and self._lost.is_set():
                await self.log_in()

    async def held(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Do a call as long as the connection holds."""
        if self._lock is None or not self._calls.is_open:
            return await call()
        await self.connected()
        assert self._lost is not None
        work = asyncio.ensure_future(call())
        lost = asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait({work, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise ConnectionLostError("lost", delivery=Delivery.UNKNOWN, transport=self.name)
            return work.result()
        finally:
            work.cancel()
            lost.cancel()
            await asyncio.gather(work, lost, return_exceptions=True)

    async def run(self, *args: Any, **options: Any) -> Any:
        return await self.held(lambda: super(HeldTransport, self).run(*args, **options))

    async def put(self, *args: Any, **options: Any) -> Any:
        return await self.held(lambda: super(HeldTransport, self).put(*args, **options))

    async def get(self, *args: Any, **options: Any) -> Any:
        return await self.held(lambda: super(HeldTransport, self).get(*args, **options))


class LogsInForEachCall(HeldTransport):
    """Every command is a login."""

    async def run(self, *args: Any, **options: Any) -> Any:
        await self.log_in()
        return await super().run(*args, **options)


class EveryWaiterLogsIn(HeldTransport):
    """After a loss, all that wait log in."""

    async def connected(self) -> None:
        if self._lost is not None and self._lost.is_set():
            self.server.count += 9
            await super().connected()


class LossIsAResult(HeldTransport):
    """A command whose end was not seen has ended."""

    async def run(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().run(*args, **options)
        except ConnectionLostError:
            return CommandResult(argv=(b"x",), exit_status=None, duration=0.1)


class LossIsFinished(HeldTransport):
    """Claims to know how a lost command ended."""

    async def run(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().run(*args, **options)
        except ConnectionLostError as error:
            error.delivery = Delivery.NOT_SENT
            raise


class RepeatsCommands(HeldTransport):
    """Sends a lost command again."""

    async def run(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().run(*args, **options)
        except ConnectionLostError:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(super().run(*args, **options), 0.3)
            raise


class LeavesWhatWasLost(HeldTransport):
    """A command whose connection broke runs on for ever."""

    async def run(self, argv: Any, *, env: Any = None, **options: Any) -> Any:
        try:
            return await super().run(argv, env=env, **options)
        except ConnectionLostError:
            _naive.start(argv, env)
            raise


class RaisesAtCloseAfterLoss(HeldTransport):
    """Cannot close what is lost."""

    async def aclose(self) -> None:
        was_lost = self._lost is not None and self._lost.is_set() and self._calls.is_open
        await super().aclose()
        if was_lost:
            raise TransportClosedError("lost already")


class LosesBytesOnTheWay(HeldTransport):
    """The hop changes what passes."""

    async def run(self, *args: Any, **options: Any) -> Any:
        found = await super().run(*args, **options)
        return replace(found, stdout=found.stdout[:1])


class TellsNobody(HeldTransport):
    """Connects without an event."""

    async def log_in(self) -> None:
        self._lost = asyncio.Event()
        self.server.count += 1
        self.server.sessions.add(self)
