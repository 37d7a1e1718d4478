"""Opens and authenticates the hops, one through the other; nothing is left open on failure."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import getpass
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import asyncssh
from asyncssh.encryption import get_encryption_algs
from asyncssh.kex import get_kex_algs
from asyncssh.mac import get_mac_algs
from asyncssh.public_key import get_certificate_algs, get_public_key_algs
from transport_core import Authenticated, ConfigurationError, Connected, EventSink, Warned
from transport_core.authoring import emit

from . import _algorithms, _hostkeys, _quickack
from ._keys import load_key
from ._options import Hop, KnownHosts, SSHOptions
from ._translate import LOST_HOP, connect_error

_HOST_KEYS = (*get_certificate_algs(), *get_public_key_algs())


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

    def mark_lost(self, hop: str) -> None:
        """Note which hop ended, for the errors of the calls in flight."""
        self.target.set_extra_info(**{LOST_HOP: hop})

    def abort(self) -> None:
        """Cut all at once."""
        for connection in reversed(self.connections):
            connection.abort()


class _Client(asyncssh.SSHClient):
    """Decides on the host key of one hop, and hears of its loss."""

    def __init__(
        self, hop: Hop, pins: tuple[_hostkeys.Pin, ...], on_lost: Callable[[Exception | None], None]
    ) -> None:
        self._name, self._port = _known_as(hop)
        self._pins = pins
        self._on_lost = on_lost
        self._shown = b""
        self.verdict: _hostkeys.Verdict | None = None

    @property
    def host_key_algs(self) -> tuple[str, ...]:
        """What is asked for: what can be judged by the pins comes first."""
        known = (self._pins, self._name, self._port)
        kinds, certified = _hostkeys.preferred_kinds(*known), _hostkeys.has_authority(*known)
        return _algorithms.host_keys(kinds, certified=certified)

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """Keep what the server shows: of a certificate, asyncssh tells us only who signed it.

        Not kept, for whatever reason, no certificate is accepted.
        """
        validate = conn.validate_server_host_key

        def kept(data: bytes) -> asyncssh.SSHKey:
            self._shown = data
            return validate(data)

        conn.validate_server_host_key = kept  # type: ignore[method-assign,assignment]

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        """Let asyncssh ask us: it trusts no key by itself."""
        self.verdict = _hostkeys.judge(self._pins, self._name, self._port, key.public_data)
        return self.verdict.trusted

    def validate_host_ca_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Decide on the signer of a host certificate, and on the key in it."""
        signed = _hostkeys.certified_key(self._shown)
        self.verdict = _hostkeys.judge_authority(
            self._pins, self._name, self._port, key.public_data, signed
        )
        return self.verdict.trusted

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the link."""
        self._on_lost(exc)


async def dial(
    options: SSHOptions,
    name: str,
    sink: EventSink | None,
    on_lost: Callable[[str, Exception | None], None],
) -> Dialled:
    """Open the connection through all hops; ``on_lost`` hears which hop ended, and why.

    Raises:
        ConnectivityError, AuthenticationError, HostKeyError: At the hop that ``hop`` names.
        ConfigurationError: A key or known_hosts file cannot be used; our own account has no name.
    """
    _check_account()
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


def _check_account() -> None:
    """Tell in time what asyncssh would fail on: it wants a name for the account that we run as."""
    try:
        getpass.getuser()
    except (KeyError, OSError) as error:
        raise ConfigurationError(
            f"uid {os.getuid()}, which this program runs as, has no name",
            hint="set USER in the environment, to anything: asyncssh asks for it",
        ) from error


async def _open_hop(
    hop: Hop,
    where: str,
    below: list[asyncssh.SSHClientConnection],
    *,
    name: str,
    sink: EventSink | None,
    on_lost: Callable[[str, Exception | None], None],
) -> asyncssh.SSHClientConnection:
    pins, malformed = await asyncio.to_thread(_read_pins, hop)
    if malformed:
        lines = ", ".join(map(str, malformed))
        emit(Warned(transport=name, message=f"{where}: known_hosts line {lines} skipped"), sink)
    key = await asyncio.to_thread(load_key, hop.auth)
    client = _Client(hop, pins, functools.partial(on_lost, where))
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
    seconds, questions = hop.keepalive
    return asyncssh.SSHClientConnectionOptions(
        config=None,
        username=hop.user,
        client_keys=[key],
        agent_path=None,
        agent_forwarding=False,
        password=None,
        preferred_auth=["publickey"],
        known_hosts=([], [], []),
        # Under which a host certificate has to be made out.
        host_key_alias=hop.host_key_alias,
        server_host_key_algs=_available(client.host_key_algs, _HOST_KEYS),
        kex_algs=_available(_algorithms.KEY_EXCHANGES, get_kex_algs()),
        encryption_algs=_available(_algorithms.CIPHERS, get_encryption_algs()),
        mac_algs=_available(_algorithms.MACS, get_mac_algs()),
        signature_algs=_available(_algorithms.SIGNATURES, _HOST_KEYS),
        compression_algs=["none"],
        x509_trusted_certs=None,
        disable_trivial_auth=True,
        login_timeout=hop.connect_timeout,
        keepalive_interval=seconds,
        keepalive_count_max=questions,
    )


def _available(wanted: Iterable[str], known: Iterable[bytes]) -> list[str]:
    """Return what asyncssh has of a list here: the newest needs newer libraries below it."""
    there = {each.decode() for each in known}
    return [each for each in wanted if each in there]


def _known_as(hop: Hop) -> tuple[str, int]:
    """Return host and port under which a hop stands in known_hosts."""
    return (hop.host_key_alias, 22) if hop.host_key_alias else (hop.host, hop.port)


def _read_pins(hop: Hop) -> tuple[tuple[_hostkeys.Pin, ...], tuple[int, ...]]:
    """Return the pins of a hop, and which lines were skipped. Blocking: a site's file is long."""
    pins, malformed = _hostkeys.parse(_known_hosts(hop.known_hosts))
    return _hostkeys.lookup(pins, *_known_as(hop)), malformed


def _known_hosts(source: KnownHosts) -> str:
    if source.text is not None:
        return source.text
    path = Path(source.path or "").expanduser()
    try:
        # Byte for byte: the end of a line is the parser's business.
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise ConfigurationError(
            f"known_hosts '{path}' cannot be read: {error.strerror}",
            hint="write the site's host key into it; there is no trust on first use",
        ) from error
