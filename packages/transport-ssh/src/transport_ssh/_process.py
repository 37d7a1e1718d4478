"""Runs one command on a link, and stops its whole process group when it must not go on.

Knows nothing of options or dialling; errors of the contract are made in _run_errors.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools

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
_CONFIRM_SECONDS = 3.0


async def run(link: Link, command: Command) -> None:
    """Run a command to its end; however this is left, nothing of it is left running.

    ``command`` knows afterwards how far it got, and ``command.stopped`` whether the end of a
    command that had to be stopped was confirmed.

    Raises:
        ConnectivityError, UnsupportedOperationError: It could not be started.
        Exception: What the caller's stdin raised.
    """
    async with link.turn() as turn:
        try:
            await link.open(
                functools.partial(_open, command),
                turn,
                sent=lambda: command.channel is not None,
                cut=command.closed.is_set,
            )
            await _finish(command)
        except BaseException:
            if command.channel is not None and not command.complete:
                command.stopped = await finish(_stop(command))
            raise
        if not command.closed.is_set():
            command.stopped = await finish(_stop(command))


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


async def _stop(command: Command) -> bool:
    """End the process group, and return whether it is known to be gone (RUN-11)."""
    channel, connection = command.channel, command.connection
    if channel is None or connection is None or connection.is_closed():
        return False
    if command.pgid is None:
        gone = await _stop_by_signal(command, ("TERM", "KILL"))
    else:
        gone = await _stop_by_group(command, connection, command.pgid)
        # The end of the session is the second witness: a group may be another's by then.
        gone = gone and await _wait_closed(command, _CLOSE_SECONDS)
        # No second session was to be had, or nobody answers: one more try, without waiting long.
        gone = gone or await _stop_by_signal(command, ("KILL",))
    if not command.closed.is_set():
        # Processes that left the group hold the streams open: the session is given up.
        channel.abort()
    return gone


async def _stop_by_group(
    command: Command, connection: asyncssh.SSHClientConnection, pgid: int
) -> bool:
    """Ask a second session to end the group: the only way that works for every login.

    sshd's own signal request has no effect where the login is root, and after the leader's end.
    On the command's own connection only: another one may lead to another machine of the name.
    """
    grace = command.request.grace
    plan = _wire.Plan(_leader.stop_script(pgid, grace), b"", b"")
    killer = Command(Request(argv=(b"kill",), plan=plan, grace=grace))
    try:
        # No turn is taken: all of them may be held by commands that hang.
        async with asyncio.timeout(_OPENING_SECONDS):
            await _open_beside(killer, connection)
        async with asyncio.timeout(grace + _CONFIRM_SECONDS):
            await _finish(killer)
    except (TimeoutError, asyncssh.Error, OSError):
        if killer.channel is not None:
            killer.channel.abort()
        return False
    return killer.raw_stdout().endswith(b"gone\n")


async def _open_beside(killer: Command, connection: asyncssh.SSHClientConnection) -> None:
    while True:
        try:
            return await _open(killer, connection)
        except asyncssh.ChannelOpenError:
            if killer.channel is not None or connection.is_closed():
                raise
        await asyncio.sleep(_ASK_AGAIN)


async def _stop_by_signal(command: Command, names: tuple[str, ...]) -> bool:
    """Ask sshd to signal the group; works while every session is in use."""
    for name in names:
        if command.channel is not None and not command.closed.is_set():
            with contextlib.suppress(OSError, asyncssh.Error):
                command.channel.send_signal(name)
        seconds = command.request.grace if name == "TERM" else _CLOSE_SECONDS
        if await _wait_closed(command, seconds):
            return command.status is not None or command.signal is not None
    return False


async def _wait_closed(command: Command, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await command.closed.wait()
    return command.closed.is_set()
