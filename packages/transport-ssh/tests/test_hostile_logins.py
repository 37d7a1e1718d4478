"""A hostile server before and around login: bounded, typed, with the hop; and it opens nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncssh
import hostile_server as hostile
import pytest
from transport_core import (
    ConnectivityError,
    ConnectTimeoutError,
    Delivery,
    TransportError,
)
from transport_ssh import SSHTransport

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]

_TIMEOUT = 1.0
_SLACK = 4.0
_MOST_MEMORY = 24 * 1024 * 1024

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def saying(data: bytes, *, again: bool = False, pause: float = 0.0) -> Talk:
    """Say this, once or for ever, and then wait."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        while again:
            await writer.drain()
            await asyncio.sleep(pause)
            writer.write(data)
        await asyncio.Event().wait()

    return talk


async def leaving(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close at once."""


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One byte of the version now and then."""
    for byte in b"SSH-2.0-" + b"x" * 200:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.05)


VERSION = b"SSH-2.0-hostile\r\n"
TALKS: dict[str, tuple[Talk, bool]] = {
    "lines without end": (saying(b"hello\r\n" * 1000, again=True), False),
    "a line without end": (saying(b"x" * 100_000, again=True), False),
    "a version without end": (saying(b"SSH-2.0-" + b"x" * 100_000, again=True), False),
    "a version byte by byte": (dripping, True),
    "lines now and then": (saying(b"hello\r\n", again=True, pause=0.02), False),
    "HTTP": (saying(b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n"), True),
    "SSH 1.5": (saying(b"SSH-1.5-old\r\n"), False),
    "a huge packet length": (saying(VERSION + b"\xff\xff\xff\xff" + bytes(1000)), False),
    "a packet of 2 GiB": (saying(VERSION + b"\x7f\xff\xff\xff" + bytes(1000)), False),
    "a packet of no length": (saying(VERSION + bytes(4000)), False),
    "random bytes": (saying(os.urandom(100_000)), False),
    "random bytes after a version": (saying(VERSION + b"\0\0\4\0" + os.urandom(100_000)), False),
    "random bytes without end": (saying(b"\xf0\x9f" * 50_000, again=True), False),
    "ESC in a version": (saying(b"SSH-2.0-\x1b]0;owned\x07\r\n"), True),
    "ignored packets without end": (
        saying(VERSION + (struct.pack(">IBBI", 12, 6, 2, 0) + bytes(6)) * 100, again=True),
        False,
    ),
    "a reason to leave": (
        saying(
            VERSION
            + struct.pack(">IBB", 44, 6, 1)
            + struct.pack(">II", 2, 20)
            + b"\x1b]0;owned\x07" + b"\r\n" + b"x" * 8
            + struct.pack(">I", 0)
            + bytes(9)
        ),
        False,
    ),
    "nothing": (saying(b""), True),
    "a version and nothing": (saying(VERSION), True),
    "nothing, and it leaves": (leaving, False),
}  # fmt: skip


@contextlib.asynccontextmanager
async def talking(talk: Talk) -> AsyncIterator[int]:
    """Give the port of a server that talks like this."""
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("name", TALKS)
async def test_a_server_that_does_not_speak_ssh_is_a_bounded_connectivity_error(name: str) -> None:
    """In time, with the hop, nothing sent, nothing kept, and no way to act on a terminal."""
    talk, late = TALKS[name]
    async with talking(talk) as port:
        transport = SSHTransport(hostile.options(port, connect_timeout=_TIMEOUT))
        held, started = hostile.memory(), time.monotonic()
        with pytest.raises(ConnectivityError) as caught:
            async with transport:
                pass
        assert time.monotonic() - started < _TIMEOUT + _SLACK
        assert hostile.memory() - held < _MOST_MEMORY
    error = caught.value
    assert isinstance(error, ConnectTimeoutError) == late or not late, repr(error)
    assert error.hop == f"hop 1 of 1: victim@127.0.0.1:{port}"
    assert error.delivery is Delivery.NOT_SENT
    assert not {"\x1b", "\x07", "\r", "\n"} & set(str(error)), repr(str(error))


async def test_a_server_that_stalls_the_login_is_a_timeout() -> None:
    """Keys were exchanged, and the answer to the login never comes."""

    class Server(hostile.AnybodyIsWelcome):
        async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:  # type: ignore[override]
            await asyncio.sleep(60)
            return True

    async with hostile.listening(Server) as port:
        started = time.monotonic()
        with pytest.raises(ConnectTimeoutError) as caught:
            async with SSHTransport(hostile.options(port, connect_timeout=_TIMEOUT)):
                pass
        assert time.monotonic() - started < _TIMEOUT + _SLACK
    assert caught.value.delivery is Delivery.NOT_SENT


async def test_a_banner_flood_at_login_is_bounded() -> None:
    """However much a server has to say before it lets us in, or not."""

    class Server(hostile.AnybodyIsWelcome):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            self._conn = conn

        def begin_auth(self, username: str) -> bool:
            for _ in range(500):
                self._conn.send_auth_banner("\x1b]0;owned\x07" + "x" * 20_000)
            return True

    held = hostile.memory()
    async with hostile.listening(Server) as port:
        with contextlib.suppress(TransportError):
            async with SSHTransport(hostile.options(port, connect_timeout=5.0)):
                pass
    assert hostile.memory() - held < 2 * _MOST_MEMORY


_TCP = hostile.text(b"127.0.0.1") + struct.pack(">I", 22) + hostile.text(b"a")
CHANNELS: dict[str, bytes] = {
    "session": b"",
    "forwarded-tcpip": _TCP + struct.pack(">I", 1),
    "direct-tcpip": _TCP + struct.pack(">I", 1),
    "x11": hostile.text(b"a") + struct.pack(">I", 1),
    "auth-agent@openssh.com": b"",
    "forwarded-streamlocal@openssh.com": hostile.text(b"/tmp/s") + hostile.text(b""),
    "tun@openssh.com": struct.pack(">II", 1, 0),
    "unheard-of": b"",
}


@pytest.mark.parametrize("kind", CHANNELS)
async def test_a_channel_that_the_server_opens_is_refused(kind: str) -> None:
    """No forwarding, no X11, no agent: they were not asked for, and are not there."""
    met: list[asyncssh.SSHServerConnection] = []

    class Server(hostile.AnybodyIsWelcome):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            met.append(conn)

    async with (
        hostile.listening(Server) as port,
        SSHTransport(hostile.options(port)) as transport,
    ):
        channel: Any = met[0].create_tcp_channel(encoding=None)
        with pytest.raises(asyncssh.ChannelOpenError):
            await channel._open(kind.encode(), CHANNELS[kind])
        assert not met[0].is_closed()
        assert "open" in repr(transport)
