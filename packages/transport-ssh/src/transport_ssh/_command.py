"""The session of one command: what was asked, what came back, and how far it got.

Called by asyncssh, opens and stops nothing. What the bytes mean is in _wire.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import asyncssh
from asyncssh.constants import EXTENDED_DATA_STDERR, OPEN_REQUEST_SESSION_FAILED
from transport_core import DEFAULT_OUTPUT_LIMIT, CommandResult, Stdin
from transport_core.authoring import BoundedOutput, Deadline, StreamedOutput, stdin_chunks

from . import _leader, _wire

Output: TypeAlias = BoundedOutput | StreamedOutput
"""Where a stream goes: kept for a result, or given out as it comes."""

_TAIL = 1024  # bytes: more than any marker, and enough of what a login says
_LAST_WORDS = 0.1  # seconds


class SecretBytes(bytes):
    """An exec request; asyncssh logs it, and a log must not show its words (ERR-5)."""

    def __str__(self) -> str:
        """Say only how long it is."""
        return f"<{len(self)} bytes>"

    __repr__ = __str__

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Say the same: asyncssh decodes what it logs."""
        return str(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A checked call of ``run`` or ``stream``."""

    argv: tuple[bytes, ...] = field(repr=False)
    plan: _wire.Plan
    stdin: Stdin = field(default=None, repr=False)
    deadline: Deadline = field(default_factory=lambda: Deadline(None))
    output_limit: int | None = DEFAULT_OUTPUT_LIMIT
    grace: float
    """Seconds between TERM and KILL."""


class Command(asyncssh.SSHClientSession[bytes]):
    """The session of one command: hands on what comes, and knows how far it got."""

    def __init__(
        self, request: Request, out: Output | None = None, err: Output | None = None
    ) -> None:
        """Wait for the channel; without outputs what comes is kept up to the request's limit."""
        self.request = request
        self.on_change: Callable[[], None] = lambda: None
        """Called when anything came, and at its end."""
        self.channel: asyncssh.SSHClientChannel[bytes] | None = None
        self.connection: asyncssh.SSHClientConnection | None = None
        self.has_turn = False
        """Whether its call was let through to ask for a session."""
        self.abandoned = False
        """Whether its call was given up; a channel that opens afterwards is closed unused."""
        self.status: int | None = None
        self.signal: str | None = None
        self.closed = asyncio.Event()
        self.broken: Exception | None = None
        self.stopped: bool | None = None
        """Whether its end was confirmed, once it was asked to stop."""
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # If the call is cancelled first, nobody else fetches a failure of its stdin.
        self.over.add_done_callback(lambda future: future.cancelled() or future.exception())
        self.eof = False
        """Whether both streams are at their end."""
        self.tail = b""
        """The end of what came on stderr."""
        self._writable = asyncio.Event()
        self._writable.set()
        token = request.plan.token
        self.begin = _wire.Unmarker(token + b":b")
        self._begin_err = _wire.Unmarker(token + b":e")
        self.out: Output = out or BoundedOutput(request.output_limit)
        self.err: Output = err or BoundedOutput(request.output_limit)

    # -- callbacks of asyncssh

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """The server opened a channel; the exec request goes out next.

        Raises:
            ChannelOpenError: Nobody waits for it any more, so that none goes out.
        """
        if self.abandoned:
            chan.close()
            raise asyncssh.ChannelOpenError(OPEN_REQUEST_SESSION_FAILED, "given up")
        self.channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Keep what is the command's own."""
        if datatype != EXTENDED_DATA_STDERR:
            if not self.out.feed(self.begin.feed(data)):
                self._end()
        else:
            self._stderr_received(self._begin_err.feed(data))
        self.on_change()

    def _stderr_received(self, data: bytes) -> None:
        self.tail = (self.tail + data[-_TAIL:])[-_TAIL:]
        known = self.err.exceeded
        if not self.err.feed(data) and not known:
            # It may be the shell's own words of a program that is not there: they count to no
            # limit, and the marker that says so comes right behind them.
            asyncio.get_running_loop().call_later(_LAST_WORDS, self._end)

    def eof_received(self) -> bool:
        """Both streams ended; keep our side open until the channel closes."""
        self.eof = True
        self.on_change()
        return True

    def exit_status_received(self, status: int) -> None:
        """The command exited."""
        self.status = status
        self.on_change()

    def exit_signal_received(
        self,
        signal: str,
        core_dumped: bool,  # noqa: FBT001 - asyncssh's signature
        msg: str,
        lang: str,
    ) -> None:
        """A signal ended the command."""
        self.signal = signal
        self.on_change()

    def pause_writing(self) -> None:
        """The other side is slower than stdin."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Go on feeding."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is closed, by its end or with the connection."""
        # asyncssh says nothing of a connection that either side ended in an orderly way. By then
        # that has no socket any more, and is not yet closed.
        connection = self.connection
        if exc is None and connection is not None and connection.get_extra_info("socket") is None:
            exc = asyncssh.ConnectionLost("Connection lost")
        self.broken = exc
        self.closed.set()
        self._writable.set()
        self._end()
        self.on_change()

    def _end(self, error: BaseException | None = None) -> None:
        if not self.over.done():
            if error is None:
                self.over.set_result(None)
            else:
                self.over.set_exception(error)

    # -- what the call asks

    @property
    def pgid(self) -> int | None:
        """The remote process group, once the begin marker told it."""
        return _leader.read_group(self.begin.value)

    @property
    def orphan(self) -> _leader.Leader | None:
        """Its process, if it was begun and nobody saw it end: it may run on without us."""
        return None if self.is_told or self.stopped else self.leader

    @property
    def leader(self) -> _leader.Leader | None:
        """The process that it began as, where the begin marker tells exactly who that is."""
        return _leader.read_leader(self.begin.value)

    @property
    def complete(self) -> bool:
        """Whether it ended, and all of its output came."""
        return self.is_told and self.closed.is_set() and (self.broken is None or self.eof)

    @property
    def is_told(self) -> bool:
        """Whether the other side told how it ended."""
        return self.status is not None or self.signal is not None

    @property
    def exceeded(self) -> str | None:
        """The stream that wrote more than the limit."""
        if self.out.exceeded:
            return "stdout"
        return "stderr" if self.err.exceeded else None

    def rc_output(self) -> bytes:
        """Return what came before the begin marker, on either stream."""
        return self.begin.rest() + self._begin_err.rest()

    def result(self) -> CommandResult:
        """Return what is known so far."""
        return CommandResult(
            argv=self.request.argv,
            exit_status=self.status if self.signal is None else None,
            exit_signal=self.signal,
            stdout=self.out.getvalue(),
            stderr=self.err.getvalue(),
            duration=self.request.deadline.elapsed,
        )

    async def feed(self) -> None:
        """Send the header and stdin, no faster than they are read; then end of file."""
        try:
            for source in (self.request.plan.header, self.request.stdin):
                if not await self.pour(source):
                    return
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            self._end(error)  # raised by the caller's own iterator
        except Exception as error:  # noqa: BLE001 - the caller's own stdin failed: he gets it
            self._end(error)
        else:
            self.end_input()

    async def pour(self, source: Stdin) -> bool:
        """Send all of a source, no faster than it is read; return whether anybody may read it."""
        async with contextlib.aclosing(stdin_chunks(source)) as chunks:
            async for chunk in chunks:
                if not await self.send(chunk):
                    return False
        return True

    async def send(self, data: bytes) -> bool:
        """Send input once there is room for it; return whether anybody may read it."""
        await self._writable.wait()
        return self._write(data)

    def end_input(self) -> None:
        """Send the end of the input."""
        if self.channel is not None:
            with contextlib.suppress(OSError):
                self.channel.write_eof()

    def cut_input(self) -> None:
        """Do nothing: the command is to be stopped, and an end would make a part look whole."""

    def _write(self, data: bytes) -> bool:
        """Send; a command that does not read it all, or has ended, is no error (RUN-7)."""
        if self.channel is None or self.closed.is_set():
            return False
        try:
            self.channel.write(data)
        except OSError:
            return False
        return True
