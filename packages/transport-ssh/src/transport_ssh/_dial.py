"""Opens and authenticates the hops, one through the other; nothing is left open on failure."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import getpass
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import asyncssh
from asyncssh.encryption import get_encryption_algs
from asyncssh.kex import get_kex_algs
from asyncssh.mac import get_mac_algs
from asyncssh.public_key import get_certificate_algs, get_public_key_algs
from transport_core import (
    Authenticated,
    ConfigurationError,
    Connected,
    ConnectivityError,
    EventSink,
    TransportError,
    Warned,
)
from transport_core.authoring import emit, escape

from . import _algorithms, _hostkeys, _quickack
from ._ask import Clock, in_thread
from ._client import Client
from ._keys import offered
from ._known_hosts import read_known_hosts
from ._options import Hop, SSHOptions
from ._translate import LOST_HOP, connect_error, lost_below, timeout_error

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
        async with contextlib.AsyncExitStack() as stack:
            # All that can be found wrong here is, before a byte is sent to the first hop.
            clients = [
                await _prepare(
                    hop, _where(hops, index), stack, name=name, sink=sink, on_lost=on_lost
                )
                for index, hop in enumerate(hops)
            ]
            for index, (hop, client) in enumerate(zip(hops, clients, strict=True)):
                where = _where(hops, index)
                with _blamed(name, hops, clients[:index]), _told(name, where):
                    opened.append(await _log_in(hop, where, client, opened))
                emit(Connected(transport=name, hop=where), sink)
                method = "+".join(client.steps.tried)
                emit(Authenticated(transport=name, hop=where, method=method), sink)
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


def _where(hops: tuple[Hop, ...], index: int) -> str:
    return f"hop {index + 1} of {len(hops)}: {hops[index].label}"


@contextlib.contextmanager
def _told(name: str, where: str) -> Iterator[None]:
    """Say in an error whose it is, and at which hop."""
    try:
        yield
    except TransportError as error:
        error.transport, error.hop = name, where
        raise


@contextlib.contextmanager
def _blamed(name: str, hops: tuple[Hop, ...], below: list[Client]) -> Iterator[None]:
    """Say of a hop that was not reached if one below it has ended."""
    try:
        yield
    except ConnectivityError as error:
        for index, client in enumerate(below):
            if client.lost:
                with _told(name, where := _where(hops, index)):
                    raise lost_below(client.why_lost, where, hops[len(below)]) from error
        raise


async def _prepare(
    hop: Hop,
    where: str,
    stack: contextlib.AsyncExitStack,
    *,
    name: str,
    sink: EventSink | None,
    on_lost: Callable[[str, Exception | None], None],
) -> Client:
    """Read what a hop's login needs, anew for each connection."""
    clock = Clock(hop.connect_timeout)
    with _told(name, where):
        try:
            async with clock.running():
                with clock.waiting_for("the disk with known_hosts"):
                    pins, malformed = await in_thread(_read_pins, hop)
                if malformed:
                    message = f"{where}: known_hosts {escape(', '.join(malformed))} skipped"
                    emit(Warned(transport=name, message=message), sink)
                with clock.waiting_for("the disk with the key"):
                    offer = await stack.enter_async_context(offered(hop.factors, clock))
        except TimeoutError as error:
            raise timeout_error(hop, where, clock.pending) from error
        return Client(hop, pins, offer, clock, functools.partial(on_lost, where))


async def _log_in(
    hop: Hop, where: str, client: Client, below: list[asyncssh.SSHClientConnection]
) -> asyncssh.SSHClientConnection:
    try:
        async with client.clock.running():
            return await _connect(hop, client, below)
    except (asyncssh.Error, OSError, ValueError) as error:
        if client.failure is not None:
            raise client.failure from client.failure.__cause__
        raise connect_error(error, hop, where, client) from error


async def _connect(
    hop: Hop, client: Client, below: list[asyncssh.SSHClientConnection]
) -> asyncssh.SSHClientConnection:
    sock = None if below else await _quickack.connect(hop.host, hop.port)
    try:
        connection, _ = await asyncssh.create_connection(
            lambda: client,
            hop.host,
            hop.port,
            options=_connection_options(hop, client),
            **({"tunnel": below[-1]} if below else {"sock": sock}),
        )
    except BaseException:
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.close()
        raise
    return connection


def _connection_options(hop: Hop, client: Client) -> asyncssh.SSHClientConnectionOptions:
    """Return options under which asyncssh reads nothing of the user's, and asks us.

    No key is among them: ``client`` offers the one there is, if it is its turn.
    """
    seconds, questions = hop.keepalive
    return asyncssh.SSHClientConnectionOptions(
        config=None,
        username=hop.user,
        client_keys=None,
        agent_path=None,
        agent_forwarding=False,
        pkcs11_provider=None,
        password=None,
        gss_kex=False,
        gss_auth=False,
        host_based_auth=False,
        preferred_auth=list(client.steps.methods),
        known_hosts=([], [], []),
        # Under which a host certificate has to be made out; OpenSSH's are in lower case.
        host_key_alias=(hop.host_key_alias or hop.host).lower(),
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


def _read_pins(hop: Hop) -> tuple[tuple[_hostkeys.Pin, ...], tuple[str, ...]]:
    """Return the pins of a hop, and which lines were skipped. Blocking: a site's file is long."""
    pins, skipped = read_known_hosts(hop.known_hosts)
    return _hostkeys.lookup(pins, *hop.known_as), skipped
