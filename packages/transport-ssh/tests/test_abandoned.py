"""Opens that are cancelled half-way: what the server opens all the same is closed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hostile_server as hostile
import pytest
from hostile_server import CLOSE, OPEN, Lies, file, folder
from transport_core import TransferTimeoutError
from transport_ssh import SSHTransport

pytestmark = pytest.mark.asyncio

# Longer than a cancelled transfer waits for what it has begun.
_SLOW = 2.0


@dataclass
class Slow:
    """How slow the server is, and what it has open."""

    granting: float = 0
    greeting: float = 0
    opening: float = 0
    begun: int = 0
    granted: int = 0
    live: set[object] = field(default_factory=set)


class _SlowSession(hostile._LyingSession):  # the one that speaks SFTP
    """Answers late, in order."""

    def __init__(self, lies: Lies, slow: Slow) -> None:
        super().__init__(lies)
        self._slow = slow
        self._until = 0.0

    def connection_made(self, chan: Any) -> None:
        super().connection_made(chan)
        self._slow.granted += 1
        self._slow.live.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._slow.live.discard(self)

    def _answer(self, body: bytes) -> None:
        loop = asyncio.get_running_loop()
        delay = 0.0
        if not self._greeted:
            delay = self._slow.greeting
        elif body[0] == OPEN:
            delay, self._slow.opening = self._slow.opening, 0.0
        self._until = max(self._until, loop.time() + delay)
        loop.call_at(self._until, self._say, body)

    def _say(self, body: bytes) -> None:
        if self in self._slow.live:
            super()._answer(body)


@contextlib.asynccontextmanager
async def server(slow: Slow, lies: Lies, **options: Any) -> AsyncIterator[SSHTransport]:
    """Give an open transport to a server that is slow."""

    async def granted() -> _SlowSession:
        await asyncio.sleep(slow.granting)
        return _SlowSession(lies, slow)

    class Server(hostile.AnybodyIsWelcome):
        def session_requested(self) -> Any:
            slow.begun += 1
            return granted() if slow.granting else _SlowSession(lies, slow)

    async with (
        hostile.listening(Server) as port,
        SSHTransport(hostile.options(port, **options)) as transport,
    ):
        yield transport


async def until(true: Callable[[], bool]) -> None:
    """Wait for it."""
    async with asyncio.timeout(_SLOW + 3):
        while not true():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("sessions", [1, 10])
@pytest.mark.parametrize("late", ["granting", "greeting"])
async def test_after_a_transfer_cancelled_while_sftp_starts_the_next_succeeds(
    tmp_path: Path, late: str, sessions: int
) -> None:
    """The session that was opening is closed, and nobody hears of it (ERR-04)."""
    slow = Slow()
    setattr(slow, late, _SLOW)
    lies = Lies(folder((b"file", file(b"content"))))
    async with server(slow, lies, max_sessions=sessions) as ssh:
        with pytest.raises(TransferTimeoutError):
            await ssh.get("/root/file", tmp_path / "first", timeout=0.2)
        assert not (tmp_path / "first").exists()
        await ssh.get("/root/file", tmp_path / "second", timeout=_SLOW + 8)
        assert (tmp_path / "second").read_bytes() == b"content"
        await until(lambda: (slow.granted, len(slow.live)) == (2, 1))
    await until(lambda: not slow.live)


async def test_a_transport_closes_soon_while_an_abandoned_start_hangs(tmp_path: Path) -> None:
    """The start ends with the connection."""
    slow = Slow(granting=60)
    async with asyncio.timeout(10), server(slow, Lies(folder())) as ssh:
        with pytest.raises(TransferTimeoutError):
            await ssh.get("/root/file", tmp_path / "file", timeout=0.2)
        await ssh.aclose()
        own = [task for task in asyncio.all_tasks() if task.get_name() == "give up sftp"]
        if own:
            await asyncio.wait(own, timeout=1)
        assert all(task.done() for task in own)


async def test_a_file_that_opens_after_its_transfer_was_cancelled_is_closed(tmp_path: Path) -> None:
    """The session lives on, so its handles would stay with the server."""
    slow = Slow(opening=0.5)
    lies = Lies(folder((b"file", file(b"content"))))
    async with server(slow, lies) as ssh:
        getting = asyncio.create_task(ssh.get("/root/file", tmp_path / "first"))
        await until(lambda: not slow.opening)  # the request is with the server
        getting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await getting
        await ssh.get("/root/file", tmp_path / "second")
        assert (tmp_path / "second").read_bytes() == b"content"
        await until(lambda: lies.asked.count(CLOSE) == lies.asked.count(OPEN) == 2)
        assert slow.begun == 1
