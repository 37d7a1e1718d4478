"""An SSH server on loopback whose sessions run nothing: they say what a test tells them to say."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import asyncssh
import hostile_server as hostile
from transport_core import Event
from transport_ssh import SSHTransport

BOOT = b"0bd8a5e3-7b0c-4f6e-9a3c-0123456789ab"


class Session(asyncssh.SSHServerSession[bytes]):
    """One exec request."""

    def __init__(self, server: Sessions) -> None:
        self._server = server
        self.command = b""
        self.signals: list[str] = []

    def connection_made(self, chan: Any) -> None:
        self.chan = chan
        self.connection = chan.get_extra_info("connection")

    def exec_requested(self, command: str) -> Any:
        self.command = command.encode()
        return None if self._server.delays(self) else True

    def accept(self) -> None:
        """Answer a request that was delayed."""
        self.chan._report_response(True)

    def session_started(self) -> None:
        self._server.seen.append(self)
        self._server.act(self)

    def signal_received(self, signal: str) -> None:
        self.signals.append(signal)

    def eof_received(self) -> bool:
        return True

    @property
    def token(self) -> bytes:
        """What begins the markers of the request."""
        found = re.search(rb"@[0-9a-f]{32}", self.command)
        assert found is not None
        return found[0]

    @property
    def is_beside(self) -> bool:
        """Whether it is a script of the transport's own, that ends or signals a command."""
        return b"kill -s" in self.command

    def begin(self, pid: int = 4242) -> None:
        """Say that the command begins."""
        stat = b"S 1 %d %d" % (pid, pid) + b" 0" * 15 + b" 777 1 1"
        self.chan.write_stderr(self.token + b":e\n")
        self.chan.write(self.token + b":b %d %s %s +\n" % (pid, BOOT, stat))

    def answer(self, said: bytes, status: int) -> None:
        """Answer as a script of the transport's own does, behind what the login prints."""
        self.chan.write(b"host:blue\ngone\n" + self.token + b":b\n" + said)
        self.chan.exit(status)

    def tell(self, status: int) -> None:
        """Say how it ended, and nothing else: the streams stay open."""
        self.chan._send_request(b"exit-status", asyncssh.packet.UInt32(status))

    def disconnect(self, code: int) -> None:
        """End the connection in an orderly way, and close no channel before it."""
        self.connection._send_disconnect(code, "bye", "en")
        asyncio.get_running_loop().call_soon(self.connection.abort)


@dataclass
class Sessions:
    """What a server does with sessions, and what came."""

    act: Callable[[Session], None]
    grants: Callable[[Server], Any] = lambda server: True
    """Asked for each session, with the connection that wants it; may take its time."""
    delays: Callable[[Session], bool] = lambda session: False
    """Asked for each exec request: whether its answer has to wait for ``accept``."""
    seen: list[Session] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    logins: int = 0

    @contextlib.asynccontextmanager
    async def transport(self, **options: Any) -> AsyncIterator[SSHTransport]:
        """Give an open transport to the server."""
        async with hostile.listening(lambda: Server(self)) as port:
            chosen = hostile.options(port, **{"kill_grace": 0.2, **options})
            async with SSHTransport(chosen, on_event=self.events.append) as transport:
                yield transport


class Server(hostile.AnybodyIsWelcome):
    """One connection."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self.held = False
        """For a test to keep."""

    def connection_made(self, conn: Any) -> None:
        self.connection = conn
        self._sessions.logins += 1

    def session_requested(self) -> Any:
        granted = self._sessions.grants(self)
        if asyncio.iscoroutine(granted):
            return self._after(granted)
        return Session(self._sessions) if granted else False

    async def _after(self, granted: Any) -> Session:
        await granted
        return Session(self._sessions)
