"""Runs one command on a link, and stops its whole process group when it must not go on.

Knows nothing of options or dialling; errors of the contract are made in _run_errors.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import functools
import time
from collections.abc import AsyncGenerator

import asyncssh
from transport_core.authoring import finish

from . import _leader, _wire
from ._command import Command, Request, SecretBytes
from ._link import OPEN_FAILED, Link, Turn

# How long an open that was already under way is awaited when its call is cancelled.
_OPENING_SECONDS = 1.0
_CLOSE_SECONDS = 1.0
_ASK_AGAIN = 0.02
# A login that takes longer to get to our script is not waited for with TERM.
_SLOW_LOGIN = 1.0
# What the script may take to see the group end, above the grace: it waits 2 seconds after KILL.
_CONFIRM_SECONDS = 4.0


async def run(link: Link, command: Command) -> None:
    """Run a command to its end, or until it must be stopped.

    ``command`` knows afterwards how far it got, and ``command.stopped`` whether the end of a
    command that had to be stopped was confirmed.

    Raises:
        ConnectivityError, UnsupportedOperationError: It could not be started.
        Exception: What the caller's stdin raised.
    """
    async with started(link, command):
        await _finish(command)


async def run_if_connected(link: Link, command: Command, seconds: float) -> None:
    """Run a command where nobody has to log in for it; its seconds begin with its turn.

    Raises:
        ConnectivityError, UnsupportedOperationError: It could not be started.
        TimeoutError: It was not done; it was stopped.
    """
    async with (
        link.turn() as turn,
        asyncio.timeout(seconds),
        _held(link, turn, command, log_in=False),
    ):
        await _finish(command)


@contextlib.asynccontextmanager
async def started(link: Link, command: Command) -> AsyncGenerator[None, None]:
    """Send a command; however the context is left, nothing of it is left running.

    Raises:
        ConnectivityError, UnsupportedOperationError: It could not be sent.
    """
    async with link.turn() as turn, _held(link, turn, command, log_in=True):
        yield


@contextlib.asynccontextmanager
async def _held(
    link: Link, turn: Turn, command: Command, *, log_in: bool
) -> AsyncGenerator[None, None]:
    command.has_turn = True
    try:
        await link.open(
            functools.partial(_open, command),
            turn,
            sent=lambda: command.channel is not None,
            cut=command.closed.is_set,
            log_in=log_in,
        )
        yield
    except BaseException:
        if command.channel is not None and not command.complete:
            await finish(stop(command))
        raise
    if not command.closed.is_set():
        await finish(stop(command))


async def _open(command: Command, connection: asyncssh.SSHClientConnection) -> None:
    """Send the exec request; cancelled, it is not sent, or can be stopped afterwards."""
    command.connection = connection
    request = SecretBytes(command.request.plan.command)
    creating = asyncio.ensure_future(
        connection.create_session(lambda: command, request, encoding=None)  # type: ignore[arg-type]
    )
    try:
        await asyncio.shield(creating)
    except asyncio.CancelledError:
        # Not yet opened, it gives the channel back when it opens. Opened, the exec request may
        # be on its way, and only an open channel can be stopped.
        command.abandoned = True
        creating.add_done_callback(lambda done: done.cancelled() or done.exception())
        await finish(asyncio.wait({creating}, timeout=_OPENING_SECONDS))
        raise


async def _finish(command: Command) -> None:
    """Feed stdin, and wait until it has ended, or must be stopped."""
    feeding = asyncio.create_task(command.feed())
    try:
        await asyncio.shield(command.over)
    finally:
        feeding.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await finish(feeding)


async def stop(command: Command) -> None:
    """End the process group; ``command.stopped`` says whether it is known to be gone (RUN-11)."""
    if not command.stopped:
        command.stopped = await _stop(command)


async def _stop(command: Command) -> bool:
    channel, connection = command.channel, command.connection
    if channel is None or connection is None or connection.is_closed():
        return False
    command.cut_input()
    gone = False
    if command.pgid is None:
        # Its begin marker may be on the way: signals reach no child whose parent has gone.
        gone = await _stop_by_signal(command, ("TERM", "KILL"), until_begun=True)
    if command.pgid is not None:
        gone = await _stop_group(command, connection, command.pgid)
    if not command.closed.is_set():
        # Processes that left the group hold the streams open: the session is given up.
        channel.abort()
    return gone


async def _stop_group(
    command: Command, connection: asyncssh.SSHClientConnection, pgid: int
) -> bool:
    seen = await _stop_from_beside(command, connection, pgid, command.request.grace)
    if seen is _Seen.NO_SESSION:
        # No session but this one is to be had. It ends, by signals, to make room for one
        # that sees whether all of the group are gone.
        await _stop_by_signal(command, ("TERM", "KILL"))
        if command.channel is not None:
            command.channel.abort()
        seen = await _stop_from_beside(command, connection, pgid, 0.0)
    if seen is _Seen.LEFT:
        _send_signal(command, "KILL")  # the server may be allowed what the login is not
        return False
    # The end of the session is the second witness: a group may be another's by then.
    if seen is _Seen.GONE and await wait_closed(command, _CLOSE_SECONDS):
        return True
    # The server's signal has to do: as the first that the group hears, or without waiting long.
    names = ("TERM", "KILL") if seen is _Seen.SPARED else ("KILL",)
    return await _stop_by_signal(command, names)


class _Seen(enum.Enum):
    """What a second session has seen of a process group that it was to end."""

    GONE = "nothing of it is left"
    LEFT = "some of it could not be ended"
    SPARED = "it is in the group itself, and sent it nothing"
    NOTHING = "it did not answer, or could not say"
    NO_SESSION = "the server granted none"


async def _stop_from_beside(
    command: Command, connection: asyncssh.SSHClientConnection, pgid: int, grace: float
) -> _Seen:
    """Have a second session end the group, and return what that has seen.

    The only way that works for every login: sshd's own signal request has no effect where the
    login is root, and after the leader's end. On the command's own connection only: another one
    may lead to another machine of the name.
    """
    killer = _script(_leader.stop_script(pgid, grace, command.leader))
    # Not at once: a second TERM would end what a polite program has started to tidy up.
    meanwhile = asyncio.get_running_loop().call_later(_SLOW_LOGIN, _term_meanwhile, command, killer)
    try:
        if not await _beside(killer, connection, grace + _CONFIRM_SECONDS):
            return _Seen.NO_SESSION
    finally:
        meanwhile.cancel()
    if _is_answered(killer) and killer.out.getvalue().startswith(b"gone\n"):
        return _Seen.GONE
    told = {1: _Seen.LEFT, 2: _Seen.SPARED}
    return told.get(killer.status or 0, _Seen.NOTHING) if _is_answered(killer) else _Seen.NOTHING


def _term_meanwhile(command: Command, killer: Command) -> None:
    """Have the server send TERM, while the login of the second session takes its time."""
    if killer.channel is not None and killer.begin.value is None:
        _send_signal(command, "TERM")


async def signal(command: Command, name: str) -> None:
    """Send a signal to the process group; of no effect once its leader has ended."""
    connection = command.connection
    if connection is None or command.is_told or command.closed.is_set():
        return
    if command.pgid is not None:
        killer = _script(_leader.signal_script(command.pgid, name))
        await _beside(killer, connection, _CONFIRM_SECONDS)
        if _is_answered(killer) and killer.status == 0:
            return
    _send_signal(command, name)


def _send_signal(command: Command, name: str) -> None:
    """Ask the server to signal the group of a command's session; it does not say if it did."""
    if command.channel is not None and not command.closed.is_set():
        with contextlib.suppress(OSError, asyncssh.Error):
            command.channel.send_signal(name)


def _script(script: bytes) -> Command:
    return Command(Request(argv=(b"kill",), plan=_wire.own(script), grace=0.0))


def _is_answered(killer: Command) -> bool:
    """Whether it was the script that ended, and not the login before it."""
    return killer.is_told and killer.begin.value is not None


async def _beside(
    killer: Command, connection: asyncssh.SSHClientConnection, seconds: float
) -> bool:
    """Run a script in a second session, until it ends or is given up; False if there is none."""
    try:
        # No turn is taken: all of them may be held by commands that hang.
        async with asyncio.timeout(2 * _OPENING_SECONDS):
            if not await _open_beside(killer, connection):
                return False
        async with asyncio.timeout(seconds):
            await _finish(killer)
    except (TimeoutError, *OPEN_FAILED):
        pass
    if killer.channel is not None and not killer.closed.is_set():
        killer.channel.abort()
    return True


async def _open_beside(killer: Command, connection: asyncssh.SSHClientConnection) -> bool:
    """Open a session, asking again for a second; return whether one was granted."""
    end = time.monotonic() + _OPENING_SECONDS
    while True:
        try:
            await _open(killer, connection)
        except asyncssh.ChannelOpenError:
            if killer.channel is not None or connection.is_closed():
                raise
            if time.monotonic() > end:
                return False
        else:
            return True
        await asyncio.sleep(_ASK_AGAIN)


async def _stop_by_signal(
    command: Command, names: tuple[str, ...], *, until_begun: bool = False
) -> bool:
    """Ask sshd to signal the group; works while every session is in use.

    ``until_begun`` waits no longer than until the begin marker tells the group.
    """
    was_told = command.is_told
    for name in names:
        _send_signal(command, name)
        seconds = command.request.grace if name == "TERM" else _CLOSE_SECONDS
        if until_begun:
            await _wait_begun(command, seconds)
            if command.pgid is not None:
                return False
            seconds = 0.0
        if await wait_closed(command, seconds):
            # Once its leader has ended, no signal reaches the rest of the group.
            return command.is_told and not was_told
    return False


async def _wait_begun(command: Command, seconds: float) -> None:
    """Wait until a command is known to have begun, or its session ends."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while command.pgid is None and not await wait_closed(command, _ASK_AGAIN):
                pass


async def wait_closed(command: Command, seconds: float) -> bool:
    """Wait for the end of a session; return whether it came."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await command.closed.wait()
    return command.closed.is_set()
