"""What works behind an open transport: one link, commands and files over it.

The only door to the modules that import asyncssh, so that whoever only lists transports does
not pay for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from dataclasses import replace
from typing import BinaryIO

import asyncssh
from transport_core import (
    CommandResult,
    CommandTimeoutError,
    Delivery,
    EventSink,
    Stdin,
    TransferError,
    TransferResult,
    TransferTimeoutError,
    TransportError,
)
from transport_core.authoring import Deadline, entered, open_source, stdin_error, stoppable

from . import _run_errors, _wire
from ._command import Command, Request
from ._file_errors import typed
from ._files import Files
from ._get import get
from ._link import Link
from ._options import SSHOptions
from ._orphans import Orphans
from ._process import run
from ._put import put
from ._remote import RemoteFiles
from ._streaming import SSHProcess
from ._transfer import CallerError, Transfer

# What a transfer that is stopped may take to close and remove on the server what it had opened.
_CLEAN_SECONDS = 1.0


class Engine:
    """An open transport's works."""

    def __init__(self, options: SSHOptions, name: str, sink: EventSink | None) -> None:
        """Do no I/O yet."""
        self._name = name
        self._grace = options.kill_grace
        self._link = Link(options, name, sink)
        self._orphans = Orphans(self._link, options.kill_grace)
        left = self._orphans.add_file if options.commands else _forget
        self._files = Files(self._link, options, sink, left)

    async def open(self) -> None:
        """Connect."""
        await self._link.connection()

    async def close(self) -> None:
        """Close the sessions, then the connection."""
        try:
            await self._orphans.close()
            await self._files.close()
        finally:
            await self._link.close()

    async def run(
        self,
        argv: tuple[bytes, ...],
        plan: _wire.Plan,
        stdin: Stdin,
        deadline: Deadline,
        output_limit: int | None,
    ) -> CommandResult:
        """Run a command to its result or error."""
        request = Request(
            argv=argv,
            plan=plan,
            stdin=stdin,
            deadline=deadline,
            output_limit=output_limit,
            grace=self._grace,
        )
        async with contextlib.AsyncExitStack() as stack:
            if isinstance(stdin, os.PathLike):
                # Opened here, so that a path that is not there is told before anything is sent.
                opening = stack.enter_async_context(entered(_opened(stdin, self._name)))
                request = replace(request, stdin=await self._in_time(opening, request))
            return await self._run(Command(request), deadline)

    async def _in_time(self, opening: Awaitable[BinaryIO], request: Request) -> BinaryIO:
        try:
            async with asyncio.timeout(request.deadline.remaining):
                return await opening
        except TimeoutError as error:
            raise _run_errors.timeout_error(
                Command(request), self._name, awaited="its stdin to be opened", held=None
            ) from error

    async def _run(self, command: Command, deadline: Deadline) -> CommandResult:
        clock = asyncio.timeout(deadline.remaining)
        try:
            async with clock:
                await run(self._link, command)
        except TimeoutError as error:
            if not clock.expired():
                raise
            if command.stopped is not None or not command.complete:
                raise self._command_timeout(command) from error
        finally:
            if orphan := command.orphan:
                self._orphans.add(orphan)
        return _run_errors.outcome(command, self._name)

    @contextlib.asynccontextmanager
    async def stream(
        self, argv: tuple[bytes, ...], plan: _wire.Plan, deadline: Deadline
    ) -> AsyncGenerator[SSHProcess, None]:
        """Run a command as long as the context lasts."""
        request = Request(argv=argv, plan=plan, deadline=deadline, grace=self._grace)
        process = SSHProcess(request, self._name)
        clock = asyncio.timeout(deadline.remaining)
        try:
            async with clock, process.running(self._link):
                try:
                    yield process
                finally:
                    process.is_late = clock.expired()
                    if not process.is_late:
                        clock.reschedule(None)  # the block is over: ending the rest is no timeout
        except TimeoutError as error:
            if not clock.expired():
                raise
            raise self._command_timeout(process.command) from error
        finally:
            if orphan := process.command.orphan:
                self._orphans.add(orphan)

    def _command_timeout(self, command: Command) -> CommandTimeoutError:
        awaited = self._link.awaited(has_turn=command.has_turn)
        return _run_errors.timeout_error(command, self._name, awaited=awaited, held=self._link.held)

    async def put(self, transfer: Transfer) -> TransferResult:
        """Copy there."""
        return await self._transfer(put, transfer)

    async def get(self, transfer: Transfer) -> TransferResult:
        """Copy here."""
        return await self._transfer(get, transfer)

    async def _transfer(
        self,
        work: Callable[[RemoteFiles, Transfer], Awaitable[TransferResult]],
        transfer: Transfer,
    ) -> TransferResult:
        clock = asyncio.timeout(transfer.deadline.remaining)
        try:
            async with clock, self._files.remote() as remote:
                return await stoppable(work(remote, transfer), _CLEAN_SECONDS)
        except CallerError as error:
            raise error.error from error.error.__cause__
        except TransportError as error:
            raise typed(error, transfer, self._name) from error.__cause__
        except TimeoutError as error:
            if not clock.expired():
                raise typed(error, transfer, self._name) from error
            raise self._timeout(transfer) from error
        # asyncssh decodes answers where they are awaited: what cannot be decoded is a ValueError
        # or LookupError there.
        except (asyncssh.Error, OSError, ValueError, LookupError) as error:
            raise typed(error, transfer, self._name) from error

    def _timeout(self, transfer: Transfer) -> TransferTimeoutError:
        return TransferTimeoutError(
            f"the transfer was not done within {transfer.deadline.timeout:g} s",
            local=transfer.local,
            remote=transfer.remote,
            delivery=Delivery.UNKNOWN,
            transport=self._name,
            hint=self._link.held,
        )


def _forget(path: bytes) -> None:
    """Leave a temporary file of a lost connection: nothing but a command could remove it."""


@contextlib.contextmanager
def _opened(path: os.PathLike[str] | os.PathLike[bytes], name: str) -> Iterator[BinaryIO]:
    """Open a stdin. Blocking."""
    try:
        file = open_source(path)
    except OSError as error:
        raise stdin_error(error, path, name) from error
    with file:
        if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
            raise TransferError(
                "stdin is a named pipe", local=path, side="local", delivery=Delivery.NOT_SENT,
                transport=name, hint="give an async iterator that reads it",
            )  # fmt: skip
        yield file
