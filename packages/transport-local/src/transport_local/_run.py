"""One call of run: from a checked order to a result or an error of the contract.

Decides when a command has to be stopped; _process does it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
import subprocess
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass

from transport_core import (
    DEFAULT_OUTPUT_LIMIT,
    CommandError,
    CommandResult,
    CommandTimeoutError,
    Delivery,
    OutputLimitError,
    Stdin,
)
from transport_core.authoring import (
    BoundedOutput,
    Deadline,
    entered,
    finish,
    short_argv,
    stdin_error,
)

from ._group import Ending, Groups
from ._pipes import Output
from ._process import Process, spawn
from ._translate import spawn_error


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A checked call of run or stream."""

    argv: tuple[bytes, ...]
    env: dict[str, str]
    """The whole environment."""
    cwd: bytes
    """Absolute."""
    deadline: Deadline
    grace: float
    """Seconds between TERM and KILL."""
    name: str
    """The transport's, for errors."""
    starting: asyncio.Lock
    """Held while a program is started: that blocks the loop for a millisecond (LIFE-6), so
    that of many at once only one may be started in each turn of the loop."""
    groups: Groups
    """Shared by all commands of a transport."""
    stdin: Stdin = None
    output_limit: int | None = DEFAULT_OUTPUT_LIMIT


async def run(order: Order) -> CommandResult:
    """Run a command to its end; however this is left, nothing of its group is left running.

    Raises:
        CommandError: Its kind says why.
        NotFoundError, PermissionDeniedError, …: The path given as stdin cannot be read.
        BaseException: What the stdin source raised.
    """
    async with _input(order) as stdin:
        outputs = BoundedOutput(order.output_limit), BoundedOutput(order.output_limit)
        process = await start(order, _descriptor(stdin), outputs)
        if not isinstance(stdin, int):
            process.feed(stdin)
        return await _attend(process, order)


def _descriptor(stdin: int | Stdin) -> int:
    if isinstance(stdin, int):
        return stdin
    return subprocess.DEVNULL if stdin is None else subprocess.PIPE


async def start(order: Order, stdin: int, outputs: tuple[Output, Output]) -> Process:
    """Start the command of an order; ``stdin`` is as for ``spawn``.

    Raises:
        CommandError: Its kind says why it was not started.
    """
    async with order.starting:
        return _start(order, stdin, outputs)


def _start(order: Order, stdin: int, outputs: tuple[Output, Output]) -> Process:
    if order.deadline.expired:
        raise _never_started(order)
    try:
        return spawn(
            order.argv, env=order.env, cwd=order.cwd, stdin=stdin, outputs=outputs,
            groups=order.groups,
        )  # fmt: skip
    except OSError as error:
        raise spawn_error(
            error, order.argv, env=order.env, cwd=order.cwd, name=order.name
        ) from error


async def _attend(process: Process, order: Order) -> CommandResult:
    stopped, timed_out = True, False
    try:
        try:
            await asyncio.wait({process.over}, timeout=order.deadline.remaining)
            timed_out = not process.over.done()
        finally:
            if not process.is_complete:
                stopped = await finish(process.stop(order.grace))
    finally:
        await finish(process.close())
    return _outcome(process, order, stopped=stopped, timed_out=timed_out)


def _outcome(process: Process, order: Order, *, stopped: bool, timed_out: bool) -> CommandResult:
    result = result_of(process, order)
    if timed_out:
        raise timeout_error(result, order, stopped=stopped)
    if process.failure is not None:
        raise process.failure
    if process.exceeded:
        raise _limit_error(process.exceeded, result, order, stopped=stopped)
    return told(process, order)


def told(process: Process, order: Order) -> CommandResult:
    """Return the result of a command that has ended.

    Raises:
        CommandError: The system did not say how.
    """
    result = result_of(process, order)
    if process.ending is None or not process.ending.is_known:
        raise CommandError(
            f"{short_argv(order.argv)} ended, and how was not told to this transport",
            result=result,
            transport=order.name,
            hint="do not ignore SIGCHLD, nor wait for every child, in this program",
        )
    return result


def result_of(process: Process, order: Order) -> CommandResult:
    """Return what is known of a command."""
    ended = process.ending or Ending()
    return CommandResult(
        argv=order.argv,
        exit_status=ended.status,
        exit_signal=ended.signal,
        stdout=process.stdout.output.getvalue(),
        stderr=process.stderr.output.getvalue(),
        duration=order.deadline.elapsed,
    )


# -- standard input


@contextlib.asynccontextmanager
async def _input(order: Order) -> AsyncGenerator[int | Stdin, None]:
    """Give what the command reads: a file's descriptor, or what has to be fed."""
    stdin = order.stdin
    if not isinstance(stdin, os.PathLike):
        yield None if isinstance(stdin, (bytes, bytearray, str)) and not stdin else stdin
        return
    path = os.fsencode(stdin)
    opened = entered(_opened(path))
    try:
        fd = await opened.__aenter__()
    except OSError as error:
        raise stdin_error(error, path, order.name) from error
    try:
        yield fd
    finally:
        await opened.__aexit__(None, None, None)


@contextlib.contextmanager
def _opened(path: bytes) -> Generator[int, None, None]:
    # Not blocking, so that a fifo without a writer is empty rather than awaited for ever.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        os.set_blocking(fd, True)
        yield fd
    finally:
        os.close(fd)


# -- errors


def _never_started(order: Order) -> CommandTimeoutError:
    return CommandTimeoutError(
        f"{short_argv(order.argv)} was not done within {order.deadline.timeout:g} s"
        " and was never started",
        delivery=Delivery.NOT_SENT,
        transport=order.name,
    )


def timeout_error(result: CommandResult, order: Order, *, stopped: bool) -> CommandTimeoutError:
    """Return the error of a command that was stopped at its deadline."""
    error = CommandTimeoutError(
        f"{short_argv(order.argv)} was not done within {order.deadline.timeout:g} s"
        f" and was stopped{_unconfirmed(stopped=stopped)}",
        result=result,
        delivery=Delivery.UNKNOWN,
        transport=order.name,
    )
    error.stopped = stopped
    return error


def _limit_error(
    stream: str, result: CommandResult, order: Order, *, stopped: bool
) -> OutputLimitError:
    error = OutputLimitError(
        f"{short_argv(order.argv)} wrote more than {order.output_limit} bytes to {stream}"
        f" and was stopped{_unconfirmed(stopped=stopped)}",
        result=result,
        delivery=Delivery.UNKNOWN,
        transport=order.name,
        hint="raise output_limit, or write to a file and get it",
    )
    error.stopped = stopped
    return error


def _unconfirmed(*, stopped: bool) -> str:
    return "" if stopped else "; its end is not confirmed, it may still run"
