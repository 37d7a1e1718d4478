"""Opens and authenticates the hops, one through the other; nothing is left open on failure."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import asyncssh
from transport_core import Authenticated, Connected, EventSink, Warned
from transport_core.authoring import emit

from . import _hostkeys, _quickack
from ._keys import load_key
from ._known_hosts import read_known_hosts
from ._options import Hop, SSHOptions
from ._translate import connect_error

# AES-GCM is several times faster than asyncssh's first choice, chacha20, on CPUs with AES
# instructions; "^" puts them first, and all that asyncssh offers by default stays offered.
_CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"

# An RSA key signs with SHA-2 (RFC 8332); its own name would mean SHA-1.
_SIGNATURES = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}


@dataclass(frozen=True, slots=True)
class Dialled:
    """An authenticated connection to the target, and the hops below it, outermost first."""

    connections: tuple[asyncssh.SSHClientConnection, ...]

    @property
    def target(self) -> asyncssh.SSHClientConnection:
        """The connection on which sessions are opened."""
        return self.connections[-1]

    async def close(self, seconds: float) -> None:
        """Close all, the target first; after ``seconds`` they are cut."""
        for connection in reversed(self.connections):
            connection.close()
        try:
            async with asyncio.timeout(seconds):
                for connection in reversed(self.connections):
                    await connection.wait_closed()
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        """Cut all at once."""
        for connection in reversed(self.connections):
            connection.abort()


class _Client(asyncssh.SSHClient):
    """Decides on the host key of one hop, and hears of its loss."""

    def __init__(
        self, hop: Hop, pins: tuple[_hostkeys.Pin, ...], on_lost: Callable[[Exception | None], None]
    ) -> None:
        self._name = hop.host_key_alias or hop.host
        self._port = 22 if hop.host_key_alias else hop.port
        self._pins = pins
        self._on_lost = on_lost
        self.verdict: _hostkeys.Verdict | None = None

    @property
    def host_key_algs(self) -> str | tuple[()]:
        """What is asked for: pinned types first, then the rest.

        The rest stays, so that a host that now shows another type is a changed key, with its
        fingerprint, and not a failed negotiation.
        """
        kinds = _hostkeys.preferred_kinds(self._pins, self._name, self._port)
        algs = [alg for kind in kinds for alg in _SIGNATURES.get(kind, (kind,))]
        return "^" + ",".join(algs) if algs else ()

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        """Let asyncssh ask us: it trusts no key by itself."""
        self.verdict = _hostkeys.judge(self._pins, self._name, self._port, key.public_data)
        return self.verdict.trusted

    def validate_host_ca_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Decide on the signer of a host certificate."""
        self.verdict = _hostkeys.judge_authority(
            self._pins, self._name, self._port, key.public_data
        )
        return self.verdict.trusted

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the link."""
        self._on_lost(exc)


async def dial(
    options: SSHOptions,
    name: str,
    sink: EventSink | None,
    on_lost: Callable[[Exception | None], None],
) -> Dialled:
    """Open the connection through all hops.

    Raises:
        ConnectivityError, AuthenticationError, HostKeyError: At the hop that ``hop`` names.
        ConfigurationError: A key or known_hosts file cannot be used.
    """
    opened: list[asyncssh.SSHClientConnection] = []
    hops = options.hops
    try:
        for index, hop in enumerate(hops):
            where = f"hop {index + 1} of {len(hops)}: {hop.label}"
            opened.append(
                await _open_hop(hop, where, opened, name=name, sink=sink, on_lost=on_lost)
            )
    except BaseException:
        # What was opened is cut, not closed: a failed start must not wait on a peer.
        Dialled(tuple(opened)).abort()
        raise
    return Dialled(tuple(opened))


async def _open_hop(
    hop: Hop,
    where: str,
    below: list[asyncssh.SSHClientConnection],
    *,
    name: str,
    sink: EventSink | None,
    on_lost: Callable[[Exception | None], None],
) -> asyncssh.SSHClientConnection:
    pins, malformed = await asyncio.to_thread(read_known_hosts, hop.known_hosts)
    if malformed:
        lines = ", ".join(malformed)
        emit(Warned(transport=name, message=f"{where}: known_hosts {lines} skipped"), sink)
    key = await asyncio.to_thread(load_key, hop.auth)
    client = _Client(hop, pins, on_lost)
    try:
        async with asyncio.timeout(hop.connect_timeout):
            connection = await _connect(hop, client, key, below)
    except (asyncssh.Error, OSError, ValueError) as error:
        failure = connect_error(error, hop, where, client.verdict)
        failure.transport = name
        raise failure from error
    emit(Connected(transport=name, hop=where), sink)
    emit(Authenticated(transport=name, hop=where, method="publickey"), sink)
    return connection


async def _connect(
    hop: Hop,
    client: _Client,
    key: asyncssh.SSHKey,
    below: list[asyncssh.SSHClientConnection],
) -> asyncssh.SSHClientConnection:
    sock = None if below else await _quickack.connect(hop.host, hop.port)
    try:
        connection, _ = await asyncssh.create_connection(
            lambda: client,
            hop.host,
            hop.port,
            options=_connection_options(hop, client, key),
            **({"tunnel": below[-1]} if below else {"sock": sock}),
        )
    except BaseException:
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.close()
        raise
    return connection


def _connection_options(
    hop: Hop, client: _Client, key: asyncssh.SSHKey
) -> asyncssh.SSHClientConnectionOptions:
    """Return options under which asyncssh reads nothing of the user's and offers one key."""
    return asyncssh.SSHClientConnectionOptions(
        config=None,
        username=hop.user,
        client_keys=[key],
        agent_path=None,
        agent_forwarding=False,
        password=None,
        preferred_auth=["publickey"],
        known_hosts=([], [], []),
        server_host_key_algs=client.host_key_algs,
        encryption_algs=_CIPHERS,
        compression_algs=["none"],
        x509_trusted_certs=None,
        disable_trivial_auth=True,
        login_timeout=hop.connect_timeout,
        keepalive_interval=hop.keepalive_interval,
        keepalive_count_max=hop.keepalive_count,
    )
