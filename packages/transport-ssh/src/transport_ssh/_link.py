"""One authenticated connection for all calls: dials, shares, notices loss, opens sessions.

Carries out what _link_state, _opens and _sessions decide. Knows neither commands nor files.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
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
    EventSink,
    Reconnecting,
    SessionGranted,
    SessionQueued,
    SessionRefused,
    UnsupportedOperationError,
)
from transport_core.authoring import emit, escape, finish

from ._backoff import Backoff
from ._dial import Dialled, dial
from ._link_state import Dial, LinkState, Loss, Phase, Refuse
from ._opens import Answer, AskAgain, GiveUp, Leave, Opens, Reason
from ._options import SSHOptions
from ._sessions import Sessions
from ._translate import lost_error

T = TypeVar("T")

OPEN_FAILED = (asyncssh.Error, OSError, ValueError, LookupError)
"""What asyncssh raises where a session is opened: the last two where an answer makes no sense."""

_CLOSE_SECONDS = 2.0


@dataclass(slots=True, eq=False)
class Turn:
    """A call's place among the sessions; ``granted`` once the server opened one for it."""

    since: float
    """When it was asked for."""
    granted: bool = False
    sent: Callable[[], bool] = lambda: False
    """Whether what is asked for may have reached the server."""


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
        backoff = Backoff(options.logins_per_minute, time.monotonic, random.random)
        self._state = LinkState(backoff, name)
        self._dialled: Dialled | None = None
        self._dialling: asyncio.Task[Dialled] | None = None
        self._held: set[Turn] = set()
        self._asking: set[Turn] = set()

    @property
    def queued(self) -> int:
        """Calls that wait for a session: in the queue, or refused one and asking again."""
        return self._sessions.waiting + len(self._asking)

    @property
    def is_open(self) -> bool:
        """Whether there is a live connection."""
        return self._state.phase is Phase.OPEN

    @property
    def held(self) -> str | None:
        """What the next login is waiting for, for people; None if it does not wait."""
        return self._state.held

    def awaited(self, *, has_turn: bool) -> str:
        """Return what a call waits for that has no session yet, for people."""
        if not has_turn:
            return f"a free session: as many as are granted are in use ({self._sessions.limit})"
        return "the server to open a session" if self.is_open else "the login"

    async def connection(self) -> asyncssh.SSHClientConnection:
        """Return the live connection; one dial serves all who wait for it.

        Raises:
            ConnectivityError, AuthenticationError, HostKeyError: It cannot be established.
            TransportClosedError: The link was closed.
        """
        decision = self._state.needed()
        if isinstance(decision, Refuse):
            raise decision.error
        if isinstance(decision, Dial):
            self._dialling = asyncio.create_task(self._dial(decision), name=f"dial {self.name}")
            # If every waiter gives up, nobody else fetches a failure.
            self._dialling.add_done_callback(lambda t: t.cancelled() or t.exception())
        assert self._dialling is not None  # noqa: S101 - Use and Wait come after a Dial
        return (await asyncio.shield(self._dialling)).target

    async def _dial(self, plan: Dial) -> Dialled:
        try:
            if plan.number > 1:
                again = Reconnecting(transport=self.name, attempt=plan.attempt, delay=plan.delay)
                emit(again, self._sink)
            await asyncio.sleep(plan.delay)
            self._state.begun()
            on_lost = functools.partial(self._lost, plan.number)
            dialled = await dial(self._options, self.name, self._sink, on_lost)
        except BaseException as error:
            self._state.failed(plan.number, error)
            raise
        if self._state.dialled(plan.number):
            self._dialled = dialled
            self.on_connected()
        else:
            self._drop(dialled)
        return dialled

    def _lost(self, number: int, hop: str, reason: Exception | None) -> None:
        """A hop ended: so do all, and the next call dials anew."""
        why = str(reason) if reason else "closed by the other side"
        if self._state.lost(number, Loss(hop, why)) and self._dialled is not None:
            dialled, self._dialled = self._dialled, None
            self._drop(dialled)

    def _drop(self, dialled: Dialled) -> None:
        loss = self._state.loss
        if loss is not None:
            dialled.mark_lost(loss.hop)
            emit(ConnectionLost(transport=self.name, hop=loss.hop, reason=loss.reason), self._sink)
        dialled.abort()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Hold one of the sessions that the server grants, waiting in a fair queue."""
        mine = Turn(since=time.monotonic())
        if not self._sessions.try_take():
            await self._queue_up()
        self._held.add(mine)
        try:
            yield mine
        finally:
            self._held.discard(mine)
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
            self._sessions.leave(mine)
            raise

    async def open(
        self,
        opening: Callable[[asyncssh.SSHClientConnection], Awaitable[T]],
        turn: Turn,
        *,
        sent: Callable[[], bool] = lambda: False,
        cut: Callable[[], bool] = lambda: False,
        log_in: bool = True,
    ) -> T:
        """Open a session; a refused or unsent open is repeated, since it ran nothing.

        Args:
            opening: Opens it on a connection.
            turn: The turn under which it is held.
            sent: Whether the request may have reached the server.
            cut: Whether the server has closed the channel of the request by itself.
            log_in: Whether to log in if there is no connection.

        Raises:
            ConnectionLostError: The connection broke after the request was sent, or again and
                again before.
            ConnectivityError: The server grants no session at all.
            UnsupportedOperationError: The server refuses such a request.
        """
        turn.sent = sent
        try:
            return await self._open(opening, turn, cut, log_in=log_in)
        finally:
            self._asking.discard(turn)

    async def _open(
        self,
        opening: Callable[[asyncssh.SSHClientConnection], Awaitable[T]],
        turn: Turn,
        cut: Callable[[], bool],
        *,
        log_in: bool,
    ) -> T:
        opens = Opens(random.random)
        while True:
            if not (log_in or self.is_open):
                raise ConnectivityError("no connection, and none is made", transport=self.name)
            connection = await self.connection()
            try:
                opened = await opening(connection)
            except OPEN_FAILED as error:
                decision = opens.failed(
                    _answer(error),
                    closed=connection.is_closed(),
                    sent=turn.sent(),
                    cut=cut(),
                    live=self._live(),
                    served=log_in and self._state.has_served,
                )
                if isinstance(decision, GiveUp):
                    raise _failure(decision, error, connection, self.name) from error
            else:
                self._granted(turn)
                return opened
            if isinstance(decision, AskAgain):
                self._refused(turn)
                await asyncio.sleep(decision.pause)
            if isinstance(decision, Leave):
                self._leave(connection)

    def _live(self) -> int:
        """Count sessions of ours that are open, or on the wire: none of them may be cut."""
        return sum(each.granted or each.sent() for each in self._held)

    def _granted(self, turn: Turn) -> None:
        turn.granted = True
        self._sessions.granted()
        self._state.served()
        waited = time.monotonic() - turn.since
        emit(SessionGranted(transport=self.name, waited=waited), self._sink)

    def _leave(self, connection: asyncssh.SSHClientConnection) -> None:
        """Give a connection up, unless another call has done so already."""
        if self._dialled is None or self._dialled.target is not connection:
            return
        dialled, self._dialled = self._dialled, None
        self._state.left()
        why = "given up: it grants no session any more, and none of ours is open"
        emit(ConnectionLost(transport=self.name, reason=why), self._sink)
        dialled.abort()

    def _refused(self, turn: Turn) -> None:
        self._asking.add(turn)
        limit = self._sessions.refused()
        emit(SessionRefused(transport=self.name, limit=limit), self._sink)
        self.on_refused()

    async def close(self) -> None:
        """Close the connection within 2 seconds, then cut it; twice is silent."""
        self._state.close()
        dialling, self._dialling = self._dialling, None
        if dialling is not None and not dialling.done():
            dialling.cancel()
            await finish(asyncio.wait({dialling}))
        dialled, self._dialled = self._dialled, None
        if dialled is not None:
            await finish(dialled.close(_CLOSE_SECONDS))


def _answer(error: Exception) -> Answer:
    """Return what a failed open says of the server."""
    if isinstance(error, asyncssh.ChannelOpenError):
        # asyncssh's code for a channel that was granted, and the request in it refused.
        return Answer.DENIED if error.code == OPEN_REQUEST_SESSION_FAILED else Answer.REFUSED
    return Answer.GARBLED if isinstance(error, asyncssh.SFTPError) else Answer.BROKEN


def _failure(
    decision: GiveUp, error: Exception, connection: asyncssh.SSHClientConnection, name: str
) -> Exception:
    if decision.reason is Reason.GARBLED:
        return error  # whoever asked for SFTP knows what that means
    if decision.reason is Reason.DENIED:
        return UnsupportedOperationError(
            "the server refuses the request",
            delivery=decision.delivery,
            transport=name,
            hint="the account may be restricted to SFTP, or to commands; see sshd_config there",
        )
    if decision.reason is Reason.NO_SESSION:
        return ConnectivityError(
            "the server lets us in and grants no session",
            delivery=decision.delivery,
            transport=name,
            hint="ask the site for MaxSessions in its sshd_config; sessions may be held by commands"
            " that could not be ended",
        )
    if isinstance(error, (ValueError, LookupError)):
        return ConnectivityError(
            f"the server's answer makes no sense: {escape(str(error))}",
            delivery=decision.delivery,
            transport=name,
            hint="open the transport anew; if that does not help, the server breaks the protocol",
        )
    return lost_error(error, decision.delivery, name, connection)
