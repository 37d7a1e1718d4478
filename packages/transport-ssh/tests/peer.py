"""An SSH server in this process, for tests of what it shows and of what is told of it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from transport_core import Delivery, Event, HostKeyError
from transport_ssh import KnownHosts, PrivateKey, SSHOptions, SSHTransport

HOST = "127.0.0.1"
KIND = "ssh-ed25519"

USER = asyncssh.generate_private_key(KIND)
KEY = asyncssh.generate_private_key(KIND)
OTHER = asyncssh.generate_private_key(KIND)
AUTHORITY = asyncssh.generate_private_key(KIND)


def public(key: asyncssh.SSHKey) -> str:
    """Return type and key as they stand in known_hosts."""
    return " ".join(key.export_public_key().decode().split()[:2])


class Peer:
    """A server of this process: how many it has let in, and how to know it."""

    def __init__(self) -> None:
        self.port = 0
        self.logins = 0
        self.tried: list[str] = []

    def line(self, key: asyncssh.SSHKey, marker: str = "") -> str:
        """Return a known_hosts line for its address."""
        return f"{marker} [{HOST}]:{self.port} {public(key)}\n".lstrip()

    def options(self, known: str | Path | KnownHosts, **more: Any) -> SSHOptions:
        """Return options that know it by a text, or by a file."""
        pins = KnownHosts(text=known) if isinstance(known, str) else known
        return SSHOptions(
            known_hosts=pins if isinstance(pins, KnownHosts) else KnownHosts(pins),
            **{
                "auth": PrivateKey(data=USER.export_private_key()),
                "host": HOST,
                "port": self.port,
                "user": "u",
                "connect_timeout": 10.0,
                **more,
            },
        )

    def transport(
        self, known: str | Path | KnownHosts, events: list[Event] | None = None, **options: Any
    ) -> SSHTransport:
        """Return a transport to it."""
        on_event = events.append if events is not None else None
        return SSHTransport(self.options(known, **options), on_event=on_event)

    async def opens(self, known: str | Path | KnownHosts, **options: Any) -> None:
        """Log in, and out."""
        async with self.transport(known, **options):
            pass

    async def refuses(
        self, known: str | Path | KnownHosts, reason: str, **options: Any
    ) -> HostKeyError:
        """Return the error of a key that is not trusted; nobody has tried to log in by then."""
        before = list(self.tried)
        with pytest.raises(HostKeyError) as caught:
            await self.opens(known, **options)
        assert caught.value.reason == reason
        assert caught.value.delivery is Delivery.NOT_SENT
        assert caught.value.hop
        assert self.tried == before
        return caught.value


@contextlib.asynccontextmanager
async def server(
    *keys: Any, factory: Any = asyncssh.SSHServer, **options: Any
) -> AsyncIterator[Peer]:
    """Listen, showing these keys; a key may be a pair of a key and its certificate."""
    peer = Peer()

    class Server(factory):  # type: ignore[misc]
        def begin_auth(self, username: str) -> bool:
            peer.tried.append(username)
            return True

        def auth_completed(self) -> None:
            peer.logins += 1

    accepted = asyncssh.import_authorized_keys(USER.export_public_key().decode())
    listener = await asyncssh.listen(
        HOST, 0, server_factory=Server, server_host_keys=list(keys) or [KEY],
        authorized_client_keys=accepted, **options,
    )  # fmt: skip
    peer.port = listener.get_port()
    try:
        yield peer
    finally:
        listener.close()
        await listener.wait_closed()
