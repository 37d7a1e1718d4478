"""One call of stream: a command in the hands of the caller, and its end however that is left.

What comes is bounded in transport_core's StreamedOutputs; this holds the channel up for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

from transport_core import CommandResult, Delivery
from transport_core.authoring import StreamedOutputs, finish

from . import _process, _run_errors, _wire
from ._command import Command, Request
from ._link import Link
from ._translate import lost_error

_CHUNK = 64 * 1024  # written at once
# How long a program of which the shell cannot say that it is there is given to fail.
_SETTLE_SECONDS = 5.0
# From the end of a command to the end of its session; what was not read comes in between.
_EXIT_SECONDS = 1.0


class SSHProcess:
    """A command that runs; see :class:`transport_core.RemoteProcess`."""

    def __init__(self, request: Request, name: str) -> None:
        """Nothing is sent."""
        self._name = name
        self._outputs = StreamedOutputs(name, self._flow)
        self.command = Command(request, self._outputs.out, self._outputs.err)
        self.command.on_change = self._changed
        self._news = asyncio.Event()
        self._is_held = False
        self._is_input_ended = False
        self._is_loss_known = False
        self._is_left = False
        self.is_late = False
        """Whether its time was over before its context was left."""

    # -- for the caller

    @property
    def stdout(self) -> AsyncIterator[bytes]:
        """What it writes to standard output, in chunks as they come."""
        return self._outputs.ask(self._outputs.out)

    @property
    def stderr(self) -> AsyncIterator[bytes]:
        """What it writes to standard error, in chunks as they come."""
        return self._outputs.ask(self._outputs.err)

    async def write(self, data: bytes) -> bool:
        """Send to its standard input; return whether it may be read."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data must be bytes, not {type(data).__name__}")
        view = memoryview(data).cast("B")
        for at in range(0, max(1, len(view)), _CHUNK):
            self._check_left()
            if self._is_input_ended:
                raise ValueError("standard input was closed")
            if not await self.command.send(bytes(view[at : at + _CHUNK])):
                break
        if self._is_lost:
            raise self._lost()
        return not self.command.is_told

    async def close_stdin(self) -> None:
        """End its standard input; twice is silent."""
        self._check_left()
        if not self._is_input_ended:
            self._is_input_ended = True
            self.command.end_input()

    async def wait(self) -> CommandResult:
        """Wait until it has exited, and return how."""
        self._check_left()
        command = self.command
        with self._outputs.awaited():
            while not (command.is_told or command.closed.is_set() or self._is_left):
                await self._next()
            if _run_errors.may_not_have_started(command):
                await self._settle()
        if self._is_lost:
            raise self._lost()
        if not command.is_told:
            raise self._outputs.left_error()
        return _run_errors.ending(command, self._name)

    async def terminate(self) -> None:
        """Ask its process group to end; of no effect once it has ended."""
        self._check_left()
        await _process.signal(self.command, "TERM")

    async def kill(self) -> None:
        """End its process group; of no effect once it has ended."""
        self._check_left()
        await _process.signal(self.command, "KILL")

    def _check_left(self) -> None:
        if self._is_left:
            raise self._outputs.left_error()

    # -- for the transport

    @contextlib.asynccontextmanager
    async def running(self, link: Link) -> AsyncGenerator[None, None]:
        """Run it as long as the context lasts; however that is left, nothing of it runs on.

        Raises:
            CommandError: Its kind says why it was not started.
            ConnectivityError: It could not be sent, or the connection broke and nobody was told.
        """
        async with _process.started(link, self.command):
            try:
                await self.command.pour(self.command.request.plan.header)
                await self._begun()
                yield
                if self._is_lost and not self._is_loss_known:
                    raise self._lost()
            finally:
                await finish(self._leave())

    async def stop(self) -> None:
        """Stop it if it runs; what the caller does with it afterwards fails."""
        await self._leave()
        if not self.command.closed.is_set():
            await _process.stop(self.command)

    def result(self) -> CommandResult | None:
        """Return how it ended; None if that is not known."""
        return self.command.result() if self.command.is_told else None

    async def _begun(self) -> None:
        """Wait until it was started, which exec cannot say: found, or writing, or not ended soon.

        Raises:
            TransportError: It was not.
        """
        command = self.command
        while command.begin.value is None and not command.closed.is_set():
            await self._next()
        if not _wire.read_found(command.begin.value):
            await self._settle()
        failure = _run_errors.start_error(command, self._name)
        if failure is not None:
            raise failure

    async def _settle(self) -> None:
        """Wait for the end of the session, or a sign that the command was started."""
        out = self._outputs.out
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_SECONDS):
                while not (
                    self.command.closed.is_set() or out.has_come or self._is_held or self._is_left
                ):
                    await self._next()

    async def _leave(self) -> None:
        """Let go of what was not read, and of the session if the command has ended."""
        if self._is_left:
            return
        self._is_left = True
        self._news.set()
        self._outputs.leave()
        self._hold()
        # What it detached before its end belongs to the user: the group is not to be stopped.
        if self.command.is_told or (self.command.eof and not self.is_late):
            await _process.wait_closed(self.command, _EXIT_SECONDS)

    @property
    def _is_lost(self) -> bool:
        """Whether the session ended, and its command's end was not told."""
        return self.command.closed.is_set() and not self.command.is_told and not self._is_left

    def _lost(self) -> Exception:
        self._is_loss_known = True
        delivery = Delivery.FINISHED if self.command.is_told else Delivery.UNKNOWN
        return lost_error(self.command.broken, delivery, self._name, self.command.connection)

    async def _next(self) -> None:
        self._news.clear()
        await self._news.wait()

    def _changed(self) -> None:
        command = self.command
        if command.eof or (command.closed.is_set() and command.complete):
            self._outputs.end()
        elif command.closed.is_set():
            self._outputs.end(self._lost)
        self._news.set()

    def _flow(self) -> None:
        """Hold the channel up, or go on, in the next turn of the loop.

        Not at once: asyncssh grants a new window with the first piece that it delivers of what it
        has kept, so that the rest of it has to be taken in the same turn. Otherwise a reader that
        is always a little slow would make it keep more and more.
        """
        if self._wants_hold != self._is_held:
            asyncio.get_running_loop().call_soon(self._hold)

    @property
    def _wants_hold(self) -> bool:
        return self._outputs.out.holds or self._outputs.err.holds

    def _hold(self) -> None:
        channel, hold = self.command.channel, self._wants_hold
        if channel is None or self.command.closed.is_set() or hold == self._is_held:
            return
        self._is_held = hold
        self._news.set()
        if hold:
            channel.pause_reading()
        else:
            channel.resume_reading()
