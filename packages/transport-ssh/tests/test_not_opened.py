"""What is told of a hop that could not be opened: whose doing it was, and what to look at."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from peer import HOST, KEY, Peer, public, server
from transport_core import (
    ConfigurationError,
    ConnectionLostError,
    ConnectivityError,
    Delivery,
    Event,
    Warned,
)
from transport_ssh import KnownHosts, Password

pytestmark = pytest.mark.asyncio


async def test_a_host_that_is_not_pinned_is_told_with_what_to_do(tmp_path: Path) -> None:
    """Where it was looked for, and how to see and check the key that it shows."""
    path = tmp_path / "a\x1bb"
    path.touch()
    async with server() as peer:
        error = await peer.refuses(path, "unknown")
        assert f"in '{tmp_path}/a\\x1bb'" in str(error)
        assert f"ssh-keyscan -p {peer.port} {HOST} | ssh-keygen -lf -" in str(error.hint)
        assert "in the given text" in str(await peer.refuses("", "unknown"))
        error = await peer.refuses("", "unknown", host_key_alias="cluster")
        assert "under the name cluster" in str(error.hint)
        error = await peer.refuses(f"@revoked * {public(KEY)}", "revoked")
        assert "keyscan" not in str(error.hint)


async def test_a_path_is_harmless_to_show(tmp_path: Path) -> None:
    """In the error for a file that is not there, and the warning for one with a bad line."""
    path = tmp_path / "\x1b[2J"
    events: list[Event] = []
    async with server() as peer:
        with pytest.raises(ConfigurationError) as caught:
            await peer.opens(path)
        path.write_text("bad\n" + peer.line(KEY))
        async with peer.transport(KnownHosts([path, tmp_path / "none"]), events):
            pass
    assert "\x1b" not in f"{caught.value}{events}"
    assert any(isinstance(event, Warned) for event in events)


async def test_what_does_not_speak_ssh_was_reached() -> None:
    """As a web server on the port: neither name nor network is at fault."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(talk, HOST, 0) as listener:
        peer = Peer()
        peer.port = listener.sockets[0].getsockname()[1]
        with pytest.raises(ConnectivityError, match=r"was reached, and .* speaks SSH") as caught:
            await peer.opens("")
    assert "cannot be reached" not in str(caught.value)


async def test_a_server_that_does_not_wait_for_a_callback_was_reached() -> None:
    """Somebody has typed too slowly: nothing is wrong with host and port."""
    connections: list[asyncssh.SSHServerConnection] = []

    class Asks(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            connections.append(conn)

        def password_auth_supported(self) -> bool:
            return True

    async def late() -> str:
        connections[0].abort()
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    async with server(factory=Asks) as peer:
        with pytest.raises(ConnectivityError, match="before the password callback") as caught:
            await peer.opens(peer.line(KEY), auth=Password(late))
    assert "cannot be reached" not in str(caught.value)


async def test_a_hop_that_ends_while_the_next_one_is_opened_is_the_one_that_is_named() -> None:
    """The target has done nothing, and its host and port are right."""
    bastions: list[asyncssh.SSHServerConnection] = []

    class Bastion(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            bastions.append(conn)

        def connection_requested(self, *_: Any) -> bool:
            return True

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        for each in bastions:
            each.abort()
        writer.close()

    async with (
        await asyncio.start_server(cut, HOST, 0) as listener,
        server(factory=Bastion) as gate,
    ):
        target = Peer()
        target.port = listener.sockets[0].getsockname()[1]
        hop = gate.options(gate.line(KEY))
        with pytest.raises(ConnectionLostError) as caught:
            await target.opens("", via=[hop])
    assert str(caught.value.hop).startswith("hop 1 of 2")
    assert caught.value.delivery is Delivery.NOT_SENT
    assert caught.value.transport
