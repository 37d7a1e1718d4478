"""A simulated connection over the local transport, right and broken (CONN, ERR-03, LIFE-02)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from transport_core import (
    Authenticated,
    AuthenticationError,
    Capability,
    CommandResult,
    CommandTimeoutError,
    Connected,
    ConnectionLost,
    ConnectionLostError,
    ConnectivityError,
    Delivery,
    HostKeyError,
    TransportClosedError,
)
from transport_core.authoring import emit, temp_name
from transport_local import LocalTransport
from transport_testbed.conformance import HarnessError, Target
from transport_testbed.conformance.host_keys import ACCEPTED, REFUSED, REFUSED_AUTHORITY

from . import _naive


class Secret:
    """Codes that are good for one login each, or never."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.given: list[str] = []

    def __call__(self) -> str:
        self.given.append(f"{self.kind}-{secrets.token_hex(8)}")
        return self.given[-1]


FACTS: Mapping[str, Any] = {
    "host_key": "SHA256:target",
    "at": "target",
    "login_key": "SHA256:login",
    "hop_login_key": "SHA256:hop-login",
}
"""What is known of the simulated server."""

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    **{name: {"refusal": ""} for name in ACCEPTED},
    **{name: {"refusal": why} for name, why in {**REFUSED, **REFUSED_AUTHORITY}.items()},
    **{f"{name}, at the hop": {"refusal": "", "at": "hop"} for name in ACCEPTED},
    **{
        f"{name}, at the hop": {"refusal": why, "at": "hop", "host_key": "SHA256:hop"}
        for name, why in REFUSED.items()
    },
    "nothing behind the hop": {"unreachable": True},
    "impatient": {"dead_after": 0.3},
    "wrong": {"secret": Secret("wrong")},
}
"""Ways to know the simulated server; a transport reads ``self.target.variant``."""


class Server:
    """What the simulated connections log in to; it can be broken, and counts who comes."""

    def __init__(self) -> None:
        self.count = 0
        self.attempts = 0
        self.offered_to_hop: Counter[str] = Counter()
        self.changed = False
        self.refused = 0
        self.used: set[str] = set()
        self.sessions: set[HeldTransport] = set()

    def admits(self, given: str) -> bool:
        """Whether a code is good; it is good once."""
        good = given.startswith("right-") and given not in self.used
        self.used.add(given)
        self.refused += not good
        return good

    @contextlib.contextmanager
    def freeze(self, at: str = "target") -> Iterator[int]:
        """Answer nothing to those who are logged in."""
        if not self.sessions:
            raise HarnessError("there is no session to freeze")
        frozen = list(self.sessions)
        for each in frozen:
            each.freeze(at)
        yield len(frozen)
        for each in frozen:
            each.thaw()

    def freeze_hop(self) -> contextlib.AbstractContextManager[int]:
        """Pass on nothing."""
        return self.freeze("hop")

    @contextlib.contextmanager
    def new_host_key(self) -> Iterator[None]:
        """Show another key."""
        self.changed = True
        yield
        self.changed = False

    @contextlib.contextmanager
    def cut(self) -> Iterator[int]:
        """End all sessions."""
        if not self.sessions:
            raise HarnessError("there is no session to end")
        ended = len(self.sessions)
        while self.sessions:
            self.sessions.pop().lose()
        yield ended


class _HeldProcess:
    """A process whose end is not told once the connection is lost."""

    def __init__(self, inner: Any, transport: HeldTransport) -> None:
        self._inner = inner
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def wait(self) -> Any:
        return await self._transport.held(self._inner.wait)


class HeldTransport(LocalTransport):
    """Holds a login that can be lost; nothing is broken here."""

    def __init__(self, server: Server, target: Target) -> None:
        super().__init__()
        self.server = server
        self.target = target
        self._lost: asyncio.Event | None = None
        self._lock: asyncio.Lock | None = None
        self._keepalive: asyncio.TimerHandle | None = None
        self.frozen = False

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
        self.thaw()
        await super().aclose()

    async def authenticate(self) -> None:
        """Give the server a code."""
        if not self.server.admits(self.target.facts["secret"]()):
            raise AuthenticationError(
                "not let in", tried=("password",), delivery=Delivery.NOT_SENT, transport=self.name
            )

    async def log_in(self) -> None:
        """Make a connection."""
        await asyncio.sleep(0.005)
        self.check_host_key()
        self.server.attempts += 1
        self.server.offered_to_hop[self.target.facts["hop_login_key"]] += 1
        await self.authenticate()
        self.thaw()
        self._lost = asyncio.Event()
        self.server.count += 1
        self.server.sessions.add(self)
        emit(Connected(transport=self.name, hop="fake"), None)
        emit(Authenticated(transport=self.name, hop="fake", method="none"), None)

    def check_host_key(self) -> None:
        """Look at the key that is shown, before anything else."""
        facts = self.target.facts
        if reason := "changed" if self.server.changed else facts.get("refusal"):
            raise self.refusal(reason)
        if facts.get("unreachable"):
            raise ConnectivityError("gone", delivery=Delivery.NOT_SENT, hop="target")

    def refusal(self, reason: str) -> Exception:
        """Return the error of a key that is refused."""
        facts = self.target.facts
        seen = "SHA256:spare" if self.server.changed else facts["host_key"]
        pinned = facts["host_key"] if self.server.changed else "SHA256:another"
        expected = () if reason == "unknown" else (pinned,)
        text = f"seen {seen}, pinned {expected}"
        return HostKeyError(text, reason=reason, seen=seen, expected=expected, hop=facts["at"])

    def freeze(self, at: str) -> None:
        """The peer falls silent; a keepalive finds out."""
        self.frozen = True
        seconds = self.target.facts.get("dead_after", 30.0)
        self._keepalive = asyncio.get_running_loop().call_later(seconds, self.lose)

    def thaw(self) -> None:
        """The peer speaks again, or is another one."""
        self.frozen = False
        if self._keepalive is not None:
            self._keepalive.cancel()

    def lose(self) -> None:
        """End the connection."""
        if self._lost is not None and not self._lost.is_set():
            emit(ConnectionLost(transport=self.name, reason="fake"), None)
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
        work = asyncio.ensure_future(self._lost.wait() if self.frozen else call())
        lost = asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait({work, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done() or self._lost.is_set():
                raise self.lost_error()
            return work.result()
        finally:
            work.cancel()
            lost.cancel()
            await asyncio.gather(work, lost, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def stream(self, argv: Any, **options: Any) -> Any:
        if self._calls.is_open:
            await self.connected()
        async with super().stream(argv, **options) as process:
            watching = asyncio.create_task(self._end_with_the_connection(process))
            try:
                yield _HeldProcess(process, self)
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)

    async def _end_with_the_connection(self, process: Any) -> None:
        assert self._lost is not None
        await self._lost.wait()
        process._outputs.end(self.lost_error)

    def lost_error(self) -> ConnectionLostError:
        """Return the error of a loss."""
        return ConnectionLostError("lost", delivery=Delivery.UNKNOWN, transport=self.name)

    async def run(self, *args: Any, **options: Any) -> Any:
        try:
            return await self.held(lambda: super(HeldTransport, self).run(*args, **options))
        except CommandTimeoutError as error:
            error.stopped = error.stopped and not self.frozen
            raise

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


class LeavesTheTemporaryOfALoss(HeldTransport):
    """What it could not remove when the connection broke, it has forgotten."""

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        try:
            return await super().put(local, remote, **options)
        except ConnectionLostError:
            Path(os.fsdecode(remote)).with_name(temp_name().decode()).touch()
            raise


class LeavesAPartAtALoss(HeldTransport):
    """Gives a file its name before all of it has come."""

    async def put(self, local: Any, remote: Any, **options: Any) -> Any:
        try:
            return await super().put(local, remote, **options)
        except ConnectionLostError:
            Path(os.fsdecode(remote)).write_bytes(b"a part")
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
