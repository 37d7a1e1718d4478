"""Runs one command on a link, and stops its whole process group when it must not go on.

Knows nothing of options or dialling; errors of the contract are made in _run_errors.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncGenerator

import asyncssh
from transport_core.authoring import finish

from . import _leader, _wire
from ._command import Command, Request, SecretBytes
from ._link import Link

# How long an open that was already under way is awaited when its call is cancelled.
_OPENING_SECONDS = 1.0
_CLOSE_SECONDS = 1.0
_ASK_AGAIN = 0.02
# What the script may take to see the group end, above the grace: it waits 2 seconds after KILL.
_CONFIRM_SECONDS = 4.0


async def run(link: Link, command: Command, *, log_in: bool = True) -> None:
    """Run a command to its end, or until it must be stopped; ``log_in`` as in ``Link.open``.

    ``command`` knows afterwards how far it got, and ``command.stopped`` whether the end of a
    command that had to be stopped was confirmed.

    Raises:
        ConnectivityError, UnsupportedOperationError: It could not be started.
        Exception: What the caller's stdin raised.
    """
    async with started(link, command, log_in=log_in):
        await _finish(command)


@contextlib.asynccontextmanager
async def started(
    link: Link, command: Command, *, log_in: bool = True
) -> AsyncGenerator[None, None]:
    """Send a command; however the context is left, nothing of it is left running.

    Raises:
        ConnectivityError, UnsupportedOperationError: It could not be sent.
    """
    async with link.turn() as turn:
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
                command.stopped = await finish(stop(command))
            raise
        if not command.closed.is_set():
            command.stopped = await finish(stop(command))


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


async def stop(command: Command) -> bool:
    """End the process group, and return whether it is known to be gone (RUN-11)."""
    channel, connection = command.channel, command.connection
    if channel is None or connection is None or connection.is_closed():
        return False
    command.cut_input()
    gone = False
    if command.pgid is None:
        # Its begin marker may be on the way: signals reach no child whose parent has gone.
        gone = await _stop_by_signal(command, ("TERM", "KILL"), until_begun=True)
    if command.pgid is not None:
        grace = command.request.grace
        seen = await _stop_by_group(connection, command.pgid, command.leader, grace)
        if seen is None:
            # No session but this one is to be had. It ends, by signals, to make room for one
            # that sees whether all of the group are gone.
            await _stop_by_signal(command, ("TERM", "KILL"))
            channel.abort()
            seen = await _stop_by_group(connection, command.pgid, command.leader, 0.0)
        # The end of the session is the second witness: a group may be another's by then.
        gone = seen is True and await wait_closed(command, _CLOSE_SECONDS)
        # Nobody answers: one more try, without waiting long.
        gone = gone or await _stop_by_signal(command, ("KILL",))
    if not command.closed.is_set():
        # Processes that left the group hold the streams open: the session is given up.
        channel.abort()
    return gone


async def _stop_by_group(
    connection: asyncssh.SSHClientConnection,
    pgid: int,
    leader: _leader.Leader | None,
    grace: float,
) -> bool | None:
    """Ask a second session to end the group, and return whether it is gone; None without one.

    The only way that works for every login: sshd's own signal request has no effect where the
    login is root, and after the leader's end. On the command's own connection only: another one
    may lead to another machine of the name.
    """
    script = _leader.stop_script(pgid, grace, leader)
    killer = await _beside(script, connection, grace + _CONFIRM_SECONDS)
    return None if killer is None else killer.raw_stdout().endswith(b"gone\n")


async def signal(command: Command, name: str) -> None:
    """Send a signal to the process group; of no effect once its leader has ended."""
    channel, connection = command.channel, command.connection
    if channel is None or connection is None or command.is_told or command.closed.is_set():
        return
    if command.pgid is not None:
        script = _leader.signal_script(command.pgid, name)
        killer = await _beside(script, connection, _CONFIRM_SECONDS)
        if killer is not None and killer.is_told:
            return
    with contextlib.suppress(OSError, asyncssh.Error):
        channel.send_signal(name)


async def _beside(
    script: bytes, connection: asyncssh.SSHClientConnection, seconds: float
) -> Command | None:
    """Run a script in a second session; return it, ended or given up, or None without one."""
    request = Request(argv=(b"kill",), plan=_wire.Plan(script, b"", b""), grace=0.0)
    killer = Command(request)
    try:
        # No turn is taken: all of them may be held by commands that hang.
        async with asyncio.timeout(2 * _OPENING_SECONDS):
            if not await _open_beside(killer, connection):
                return None
        async with asyncio.timeout(seconds):
            await _finish(killer)
    except (TimeoutError, asyncssh.Error, OSError):
        if killer.channel is not None:
            killer.channel.abort()
    return killer


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
    for name in names:
        if command.channel is not None and not command.closed.is_set():
            with contextlib.suppress(OSError, asyncssh.Error):
                command.channel.send_signal(name)
        seconds = command.request.grace if name == "TERM" else _CLOSE_SECONDS
        if until_begun:
            await _wait_begun(command, seconds)
            if command.pgid is not None:
                return False
            seconds = 0.0
        if await wait_closed(command, seconds):
            return command.is_told
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
