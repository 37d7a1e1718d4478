"""One authenticated connection for all calls: dials, shares, notices loss, opens sessions.

Executes what _sessions and _backoff decide. Knows neither commands nor files.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import asyncssh
from asyncssh.constants import OPEN_REQUEST_SESSION_FAILED
from transport_core import (
    ConnectionLost,
    ConnectivityError,
    Delivery,
    EventSink,
    Reconnecting,
    SessionGranted,
    SessionQueued,
    SessionRefused,
    TransportClosedError,
    UnsupportedOperationError,
)
from transport_core.authoring import emit, finish

from ._backoff import Backoff
from ._dial import Dialled, dial
from ._options import SSHOptions
from ._sessions import Sessions
from ._translate import lost_error

T = TypeVar("T")

_CLOSE_SECONDS = 2.0
# A refused open is asked again after 5, 10, 20 … 500 ms: sshd frees a session some
# milliseconds after the client has seen its end.
_ASK_AGAIN_FIRST = 0.005
_ASK_AGAIN_LONGEST = 0.5
_MOST_REFUSALS = 12  # about 2 seconds of asking
_MOST_LOSSES = 3


@dataclass(slots=True)
class Turn:
    """A call's place among the sessions; ``granted`` once the server opened one for it."""

    granted: bool = False


def _is_final(error: Exception) -> bool:
    """Whether the channel was granted and the request in it refused: asking again is useless."""
    return getattr(error, "code", None) == OPEN_REQUEST_SESSION_FAILED


class Link:
    """The connection to the target; re-established by the next call after a loss."""

    def __init__(self, options: SSHOptions, name: str, sink: EventSink | None) -> None:
        """Do no I/O yet."""
        self.name = name
        self.on_refused: Callable[[], None] = lambda: None
        """Called when the server refuses a session: who holds an idle one may give it up."""
        self.on_connected: Callable[[], None] = lambda: None
        """Called after each login."""
        self._options = options
        self._sink = sink
        self._sessions = Sessions(options.max_sessions)
        self._backoff = Backoff(options.logins_per_minute, time.monotonic, random.random)
        self._dialled: Dialled | None = None
        self._dialling: asyncio.Task[Dialled] | None = None
        self._dial_count = 0
        self._live = 0
        self._closed = False

    @property
    def queued(self) -> int:
        """Calls that wait for a session."""
        return self._sessions.waiting

    @property
    def is_open(self) -> bool:
        """Whether there is a live connection."""
        return self._dialled is not None and not self._dialled.target.is_closed()

    async def connection(self) -> asyncssh.SSHClientConnection:
        """Return the live connection; one dial serves all who wait for it.

        Raises:
            ConnectivityError, AuthenticationError, HostKeyError: It cannot be established.
            TransportClosedError: The link was closed.
        """
        if self._closed:
            raise TransportClosedError("the transport was closed", transport=self.name)
        if self._dialled is not None and self.is_open:
            return self._dialled.target
        if self._dialling is None or self._dialling.done():
            self._dialling = asyncio.create_task(self._dial(), name=f"dial {self.name}")
            # If every waiter gives up, nobody else fetches a failure.
            self._dialling.add_done_callback(lambda t: t.cancelled() or t.exception())
        return (await asyncio.shield(self._dialling)).target

    async def _dial(self) -> Dialled:
        delay = self._backoff.delay()
        if delay:
            emit(
                Reconnecting(transport=self.name, attempt=self._backoff.failures, delay=delay),
                self._sink,
            )
            await asyncio.sleep(delay)
        self._backoff.attempted()
        mine = self._dial_count = self._dial_count + 1
        try:
            dialled = await dial(
                self._options, self.name, self._sink, lambda reason: self._lost(mine, reason)
            )
        except BaseException:
            self._backoff.failed()
            raise
        self._backoff.succeeded()
        self._dialled = dialled
        self.on_connected()
        return dialled

    def _lost(self, dial_count: int, reason: Exception | None) -> None:
        """A hop ended: so do all, and the next call dials anew."""
        if dial_count != self._dial_count or self._dialled is None:
            return  # late news of an older connection must not end the new one
        dialled, self._dialled = self._dialled, None
        dialled.abort()
        if not self._closed:
            why = str(reason) if reason else "closed by the other side"
            emit(ConnectionLost(transport=self.name, reason=why), self._sink)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Hold one of the sessions that the server grants, waiting in a fair queue."""
        started = time.monotonic()
        if not self._sessions.try_take():
            await self._queue_up()
        mine = Turn()
        try:
            emit(SessionGranted(transport=self.name, waited=time.monotonic() - started), self._sink)
            yield mine
        finally:
            self._live -= mine.granted
            self._sessions.give_back()

    async def _queue_up(self) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sessions.wait(mine)
        emit(SessionQueued(transport=self.name, waiting=self._sessions.waiting), self._sink)
        self.on_refused()
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._sessions.give_back()
            raise

    async def open(
        self,
        opening: Callable[[asyncssh.SSHClientConnection], Awaitable[T]],
        turn: Turn,
        *,
        sent: Callable[[], bool] = lambda: False,
        cut: Callable[[], bool] = lambda: False,
    ) -> T:
        """Open a session; a refused or unsent open is repeated, since it ran nothing.

        Args:
            opening: Opens it on a connection.
            turn: The turn under which it is held.
            sent: Whether the request may have reached the server.
            cut: Whether the server has closed the channel of the request by itself.

        Raises:
            ConnectionLostError: The connection broke after the request was sent, or again and
                again before.
            ConnectivityError: The server grants no session at all.
            UnsupportedOperationError: The server refuses such a request.
        """
        losses = refusals = 0
        while True:
            connection = await self.connection()
            try:
                opened = await opening(connection)
            except (asyncssh.Error, OSError) as error:
                closed = connection.is_closed()
                failure = self._failure(error, closed=closed, sent=sent(), cut=cut())
                losses += closed
                if failure is not None or losses > _MOST_LOSSES:
                    raise failure or lost_error(error, Delivery.NOT_SENT, self.name) from error
            else:
                turn.granted = True
                self._live += 1
                self._sessions.granted()
                return opened
            if not closed:
                refusals += 1
                await self._refused(refusals)

    def _failure(
        self, error: Exception, *, closed: bool, sent: bool, cut: bool
    ) -> Exception | None:
        """Return why an open is not to be asked again; None if it ran nothing and may succeed."""
        refused = isinstance(error, asyncssh.ChannelOpenError)
        if sent and (closed or cut or not refused):
            return lost_error(error, Delivery.UNKNOWN, self.name)
        if sent or (refused and not closed and _is_final(error)):
            return UnsupportedOperationError(
                "the server refuses the request",
                delivery=Delivery.NOT_SENT,
                transport=self.name,
                hint="the account may be restricted to SFTP, or to commands; see sshd_config there",
            )
        if closed or refused:
            return None
        return (
            error
            if isinstance(error, asyncssh.SFTPError)
            else lost_error(error, Delivery.NOT_SENT, self.name)
        )

    async def _refused(self, refusals: int) -> None:
        limit = self._sessions.refused()
        emit(SessionRefused(transport=self.name, limit=limit), self._sink)
        self.on_refused()
        # With none of ours open, no end of ours can free one: it is not a matter of waiting.
        if self._live == 0 and refusals >= _MOST_REFUSALS:
            raise ConnectivityError(
                "the server lets us in and grants no session",
                delivery=Delivery.NOT_SENT,
                transport=self.name,
                hint="ask the site for MaxSessions in its sshd_config",
            )
        pause = min(_ASK_AGAIN_FIRST * 2.0 ** (refusals - 1), _ASK_AGAIN_LONGEST)
        await asyncio.sleep(pause * (0.5 + random.random() / 2))  # noqa: S311 - jitter

    async def close(self) -> None:
        """Close the connection within 2 seconds, then cut it; twice is silent."""
        self._closed = True
        dialling, self._dialling = self._dialling, None
        if dialling is not None and not dialling.done():
            dialling.cancel()
            await finish(asyncio.wait({dialling}))
        dialled, self._dialled = self._dialled, None
        if dialled is not None:
            await finish(dialled.close(_CLOSE_SECONDS))
