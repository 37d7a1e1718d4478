"""One shared SFTP session on a link, given up when calls wait for a session and it is idle.

Owns the session only; what is done over it is in _put and _get.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any, cast

import asyncssh
from transport_core import Delivery, UnsupportedOperationError
from transport_core.authoring import finish

from ._link import Link, Turn
from ._translate import LOST, lost_error

_CLOSE_SECONDS = 1.0

_Session = tuple[asyncssh.SSHWriter[Any], asyncssh.SSHReader[Any], asyncssh.SSHReader[Any]]


class SharedSFTP:
    """Opens an SFTP session when a transfer needs one; all transfers share it."""

    def __init__(self, link: Link) -> None:
        """Open nothing yet."""
        self._link = link
        self._lock = asyncio.Lock()
        self._stack = contextlib.AsyncExitStack()
        self._client: asyncssh.SFTPClient | None = None
        self._connection: asyncssh.SSHClientConnection | None = None
        self._users = 0
        self._unused = asyncio.Event()
        self._unused.set()
        self._arrivals = 0
        self._admitted = 0
        self._closing: set[asyncio.Task[None]] = set()
        link.on_refused = self._give_up_if_idle

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[asyncssh.SFTPClient]:
        """Give the session for one transfer.

        Raises:
            ConnectivityError: No connection, or it was lost during the transfer.
            UnsupportedOperationError: The server has no SFTP.
        """
        self._arrivals += 1
        mine = self._arrivals
        async with self._lock:
            if mine > self._admitted and self._link.queued:
                # Those who came before it was opened share it. Later ones queue for the next, or
                # transfers that follow each other would keep it from those who wait for ever.
                await self._unused.wait()
            client = await self._ready()
            connection = self._connection
            self._users += 1
            self._unused.clear()
        try:
            yield client
        except LOST as error:
            if self._client is client:
                self._give_up()
            raise lost_error(error, Delivery.UNKNOWN, self._link.name, connection) from error
        finally:
            self._left()

    def _left(self) -> None:
        self._users -= 1
        if self._users == 0:
            self._unused.set()
            if self._link.queued:
                self._give_up_if_idle()

    async def _ready(self) -> asyncssh.SFTPClient:
        client = self._client
        # It may be given up while it is looked at: nobody uses it yet.
        if client is not None and await self._is_alive(client) and self._client is client:
            return client
        await finish(self._end(*self._take()))
        async with contextlib.AsyncExitStack() as opened:
            turn = await opened.enter_async_context(self._link.turn())
            client = await self._open(turn, opened)
            opened.callback(client.exit)
            self._stack = opened.pop_all()
        self._client, self._admitted = client, self._arrivals
        return client

    async def _is_alive(self, client: asyncssh.SFTPClient) -> bool:
        """Tell whether it can be used: asyncssh ends one whose server breaks the protocol.

        It says so in that there is nothing to wait for then.
        """
        if self._connection is None or self._connection.is_closed():
            return False
        try:
            async with asyncio.timeout(0):
                await client.wait_closed()
        except TimeoutError:
            return True
        return False

    async def _open(self, turn: Turn, held: contextlib.AsyncExitStack) -> asyncssh.SFTPClient:
        async def opening(connection: asyncssh.SSHClientConnection) -> asyncssh.SFTPClient:
            self._connection = connection
            asked = asyncio.ensure_future(connection.open_session(subsystem="sftp", encoding=None))
            try:
                return await _start(connection, await asyncio.shield(asked))
            except asyncio.CancelledError:
                # The server may be opening it still, and counts it until it is closed: so long
                # it keeps its turn.
                leaving = self._in_background(_leave(asked, held.pop_all()))
                await finish(asyncio.wait({leaving}, timeout=_CLOSE_SECONDS))
                raise

        try:
            # Opening SFTP changes nothing on the server, so it may be repeated freely.
            return await self._link.open(opening, turn)
        except asyncssh.SFTPError as error:
            raise UnsupportedOperationError(
                "the server does not speak SFTP",
                delivery=Delivery.NOT_SENT,
                transport=self._link.name,
                hint="an rc file that prints, or a server without the sftp subsystem",
            ) from error

    def _give_up_if_idle(self) -> None:
        if self._client is not None and self._users == 0:
            self._give_up()

    def _give_up(self) -> None:
        self._in_background(self._end(*self._take()))

    def _in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do it in a task that is kept until it ends."""
        task = asyncio.create_task(work, name="give up sftp")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task

    def _take(self) -> tuple[asyncssh.SFTPClient | None, contextlib.AsyncExitStack]:
        """Take the session away at once, so that no transfer begins on one that is being closed."""
        client, self._client = self._client, None
        stack, self._stack = self._stack, contextlib.AsyncExitStack()
        return client, stack

    async def _end(
        self, client: asyncssh.SFTPClient | None, stack: contextlib.AsyncExitStack
    ) -> None:
        if client is not None:
            client.exit()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await client.wait_closed()
        await stack.aclose()

    async def close(self) -> None:
        """Close the session; one that still opens ends with the connection, if not before."""
        await self._end(*self._take())
        if self._closing:
            await asyncio.wait(self._closing, timeout=_CLOSE_SECONDS)


class _Opened:
    """A connection on which asyncssh's SFTP finds its session open already.

    asyncssh leaves a session open whose SFTP does not start, and does not say which one it is.
    """

    def __init__(self, connection: asyncssh.SSHClientConnection, session: _Session) -> None:
        self._connection = connection
        self._session = session

    async def open_session(self, **_: Any) -> _Session:
        """Return the session; how it was to be opened is what it was opened with."""
        return self._session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


async def _start(
    connection: asyncssh.SSHClientConnection, session: _Session
) -> asyncssh.SFTPClient:
    """Start SFTP on a session, or close it."""
    start = asyncssh.SSHClientConnection.start_sftp_client
    try:
        return await start(cast(Any, _Opened(connection, session)), path_encoding=None)
    except BaseException:
        session[0].channel.abort()
        raise


async def _leave(asked: asyncio.Future[_Session], held: contextlib.AsyncExitStack) -> None:
    """Close a session that was asked for once it is open; until then ``held`` is held."""
    async with held:
        with contextlib.suppress(asyncssh.Error, OSError):
            channel = (await asked)[0].channel
            channel.abort()
            async with asyncio.timeout(_CLOSE_SECONDS):
                await channel.wait_closed()
