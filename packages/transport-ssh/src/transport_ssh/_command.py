"""The session of one command: what was asked, what came back, and how far it got.

Called by asyncssh, opens and stops nothing. What the bytes mean is in _wire.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

import asyncssh
from asyncssh.constants import EXTENDED_DATA_STDERR, OPEN_REQUEST_SESSION_FAILED
from transport_core import DEFAULT_OUTPUT_LIMIT, CommandResult, Stdin
from transport_core.authoring import BoundedOutput, Deadline, stdin_chunks

from . import _leader, _wire


class SecretBytes(bytes):
    """An exec request; asyncssh logs it, and a log must not show its words (ERR-5)."""

    def __str__(self) -> str:
        """Say only how long it is."""
        return f"<{len(self)} bytes>"

    __repr__ = __str__


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A checked call of ``run``."""

    argv: tuple[bytes, ...]
    plan: _wire.Plan
    stdin: Stdin = None
    deadline: Deadline = field(default_factory=lambda: Deadline(None))
    output_limit: int | None = DEFAULT_OUTPUT_LIMIT
    grace: float
    """Seconds between TERM and KILL."""


class Command(asyncssh.SSHClientSession[bytes]):
    """The session of one command: collects what comes, and knows how far it got."""

    def __init__(self, request: Request) -> None:
        """Wait for the channel."""
        self.request = request
        self.channel: asyncssh.SSHClientChannel[bytes] | None = None
        self.connection: asyncssh.SSHClientConnection | None = None
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
        self._eof = False
        self._writable = asyncio.Event()
        self._writable.set()
        token = request.plan.token
        self.begin = _wire.Unmarker(token + b":b")
        self._begin_err = _wire.Unmarker(token + b":e")
        self.out = BoundedOutput(request.output_limit)
        self.err = BoundedOutput(request.output_limit)

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
        if datatype == EXTENDED_DATA_STDERR:
            kept = self.err.feed(self._begin_err.feed(data))
        else:
            kept = self.out.feed(self.begin.feed(data))
        if not kept:
            self._end()

    def eof_received(self) -> bool:
        """Both streams ended; keep our side open until the channel closes."""
        self._eof = True
        return True

    def exit_status_received(self, status: int) -> None:
        """The command exited."""
        self.status = status

    def exit_signal_received(
        self,
        signal: str,
        core_dumped: bool,  # noqa: FBT001 - asyncssh's signature
        msg: str,
        lang: str,
    ) -> None:
        """A signal ended the command."""
        self.signal = signal

    def pause_writing(self) -> None:
        """The other side is slower than stdin."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Go on feeding."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is closed, by its end or with the connection."""
        self.broken = exc
        self.closed.set()
        self._writable.set()
        self._end()

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
        return _leader.read_pid(self.begin.value)

    @property
    def orphan(self) -> _leader.Leader | None:
        """Its leader, if it was begun and nobody saw it end: it may run on without us."""
        ended = self.status is not None or self.signal is not None
        return None if ended or self.stopped else _leader.read_leader(self.begin.value)

    @property
    def complete(self) -> bool:
        """Whether it ended, with all of its output, on a living connection."""
        ended = self.status is not None or self.signal is not None
        return ended and self.closed.is_set() and (self.broken is None or self._eof)

    @property
    def exceeded(self) -> str | None:
        """The stream that wrote more than the limit."""
        if self.out.exceeded:
            return "stdout"
        return "stderr" if self.err.exceeded else None

    def raw_stdout(self) -> bytes:
        """Return what came on stdout if no marker was awaited."""
        return self.begin.rest()

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
        channel = self.channel
        assert channel is not None  # noqa: S101 - feed runs after open
        if self.request.plan.header:
            self._write(self.request.plan.header)
        try:
            async for chunk in stdin_chunks(self.request.stdin):
                await self._writable.wait()
                if not self._write(chunk):
                    return
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            self._end(error)  # raised by the caller's own iterator
        except Exception as error:  # noqa: BLE001 - the caller's own stdin failed: he gets it
            self._end(error)
        else:
            with contextlib.suppress(OSError):
                channel.write_eof()

    def _write(self, data: bytes) -> bool:
        """Send; a command that does not read it all, or has ended, is no error (RUN-7)."""
        if self.channel is None or self.closed.is_set():
            return False
        try:
            self.channel.write(data)
        except OSError:
            return False
        return True
