"""Both output streams of a running command: bounded, and given out as they come.

Decides when a command has to be held up, and what is discarded so that nobody waits for ever;
does no I/O. See docs/decisions/0010.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Generator

from ._errors import CommandError, Delivery, TransportClosedError

ROOM = 256 * 1024
"""Bytes of each stream that are kept for its reader before the command is held up."""


class StreamedOutput:
    """One stream: fed by a transport, iterated by one reader.

    It has the shape of BoundedOutput as well, so that one path of a transport serves both: no
    limit is ever exceeded, and nothing is kept for a result.
    """

    exceeded = False

    def __init__(self, owner: StreamedOutputs, what: str) -> None:
        """``what`` it is, for errors."""
        self._owner = owner
        self._what = what
        self._held = bytearray()
        self._arrival: asyncio.Future[None] | None = None
        self._failure: Callable[[], Exception] | None = None
        self._ended = False
        self._cut = False
        self.asked = False
        """Whether somebody means to read it."""

    # -- for the transport

    @property
    def holds(self) -> bool:
        """Whether no more is to be read from the command now."""
        return self._is_full and not self._is_let_go

    @property
    def has_come(self) -> bool:
        """Whether something is there to be read."""
        return bool(self._held)

    @property
    def _is_full(self) -> bool:
        return len(self._held) >= ROOM and not self._ended

    @property
    def _is_let_go(self) -> bool:
        """Whether somebody waits for something else, and nobody has asked for this."""
        return self._cut or (self._owner.waiting > 0 and not self.asked)

    def feed(self, data: bytes) -> bool:
        """Take what the command has written; always True, as nothing is exceeded."""
        self._cut = self._cut or (self._is_full and self._is_let_go)
        if not self._ended and not self._cut:
            self._held += data
            self._wake()
            if self._is_full:
                self._owner.changed()
        return True

    def getvalue(self) -> bytes:
        """Return nothing: what is streamed is not kept."""
        return b""

    def end(self, failure: Callable[[], Exception] | None = None) -> None:
        """No more comes; a ``failure`` is made and raised behind what has come."""
        if not self._ended:
            self._ended, self._failure = True, failure
            self._wake()

    def leave(self, failure: Callable[[], Exception]) -> None:
        """Discard what is there; whoever still reads gets the failure."""
        if self._held or not self._ended:
            self._ended, self._failure = True, failure
            self._held.clear()
            self._wake()

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    # -- for the reader

    def __aiter__(self) -> StreamedOutput:
        """Itself: there is one stream."""
        return self

    async def __anext__(self) -> bytes:
        """Wait for output; all that has come is one chunk."""
        if self._arrival is not None:
            raise RuntimeError(f"another task is reading {self._what} already")
        while not (self._held or self._ended or self._cut):
            await self._arrives()
        if self._held:
            data = bytes(self._held)
            self._held.clear()
            self._owner.changed()
            return data
        if self._cut:
            raise self._owner.cut_error(self._what)
        if self._failure is not None:
            raise self._failure()
        raise StopAsyncIteration

    async def _arrives(self) -> None:
        self._arrival = asyncio.get_running_loop().create_future()
        try:
            with self._owner.awaited():
                await self._arrival
        finally:
            self._arrival = None


class StreamedOutputs:
    """The streams of one command."""

    def __init__(self, transport: str, changed: Callable[[], None]) -> None:
        """``changed`` is called when ``holds`` of a stream may have; ``transport`` is its name."""
        self._transport = transport
        self.changed = changed
        self.waiting = 0
        """Readers that wait for output, and callers that wait for the end."""
        self.out = StreamedOutput(self, "stdout")
        self.err = StreamedOutput(self, "stderr")

    def ask(self, output: StreamedOutput) -> StreamedOutput:
        """Return a stream to somebody who is going to read it."""
        output.asked = True
        self.changed()
        return output

    @contextlib.contextmanager
    def awaited(self) -> Generator[None, None, None]:
        """Wait for something that a stream nobody has asked for must not hold up."""
        self.waiting += 1
        self.changed()
        try:
            yield
        finally:
            self.waiting -= 1
            self.changed()

    def end(self, failure: Callable[[], Exception] | None = None) -> None:
        """No more comes on either stream."""
        self.out.end(failure)
        self.err.end(failure)

    def leave(self, failure: Callable[[], Exception] | None = None) -> None:
        """Discard what nobody has read, on either stream."""
        self.out.leave(failure or self.left_error)
        self.err.leave(failure or self.left_error)
        self.changed()

    def cut_error(self, what: str) -> CommandError:
        """Return the error for whoever asks for a stream too late."""
        return CommandError(
            f"nobody read {what} while something else was waited for, and more than {ROOM} bytes"
            " of it came: what came afterwards was discarded",
            delivery=Delivery.UNKNOWN,
            transport=self._transport,
            hint=f"read {what} at the same time, from a task of its own",
        )

    def left_error(self) -> TransportClosedError:
        """Return the error for use after the context."""
        return TransportClosedError(
            "the context of the stream has been left",
            transport=self._transport,
            hint="use the process within 'async with transport.stream(…)'",
        )
