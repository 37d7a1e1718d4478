"""The two directions of a child's pipes on the event loop: drain one, feed the other.

Owns their descriptors; must not know processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import TypeAlias

from transport_core import Stdin
from transport_core.authoring import BoundedOutput, StreamedOutput, stdin_chunks

Output: TypeAlias = BoundedOutput | StreamedOutput
"""Where a stream goes: kept for a result, or given out as it comes."""

_READ = 64 * 1024  # what a pipe holds
_REST = 64  # reads at most after the end: what a pipe can still hold, enlarged to 1 MiB, and more


class Drain:
    """Reads a pipe to its end into an output."""

    def __init__(self, fd: int, output: Output, changed: Callable[[], None]) -> None:
        """Begin; ``changed`` is called at the end of the stream and when the limit is passed."""
        self._fd = fd
        self._changed = changed
        self._is_held = False
        self._loop = asyncio.get_running_loop()
        self.output = output
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._ready)

    @property
    def is_closed(self) -> bool:
        """Whether the stream has ended, or was given up."""
        return self._fd < 0

    def _ready(self) -> bool:
        """Read once, and return whether more may come at once."""
        try:
            data = os.read(self._fd, _READ)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self.close()
            self._changed()
        elif not self.output.feed(data):
            self._changed()
        return bool(data)

    def hold(self, *, hold: bool) -> None:
        """Stop reading for now, so that the command is held up; or go on."""
        if self.is_closed or hold == self._is_held:
            return
        self._is_held = hold
        if hold:
            self._loop.remove_reader(self._fd)
        else:
            self._loop.add_reader(self._fd, self._ready)

    def take_rest(self) -> None:
        """Read what the pipe still holds, without waiting."""
        for _ in range(_REST):
            if self.is_closed or not self._ready():
                return

    def close(self) -> None:
        """Stop reading; twice is silent."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1


class Inlet:
    """Writes into a pipe, no faster than it is read."""

    def __init__(self, fd: int) -> None:
        """Take over the descriptor."""
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._writing = asyncio.Lock()
        self._ready: asyncio.Future[None] | None = None
        os.set_blocking(fd, False)

    @property
    def is_closed(self) -> bool:
        """Whether it is at its end."""
        return self._fd < 0

    async def write(self, chunk: bytes) -> bool:
        """Write a chunk, and return whether anybody reads."""
        async with self._writing:
            rest = memoryview(chunk)
            while rest:
                try:
                    rest = rest[os.write(self._fd, rest) :]
                except BlockingIOError:
                    await self._writable()
                except OSError:
                    return False  # EPIPE: a command that does not read it all is no error
        await asyncio.sleep(0)  # a fast reader must not keep the loop from the others
        return True

    async def _writable(self) -> None:
        ready = self._ready = self._loop.create_future()
        self._loop.add_writer(self._fd, self._go_on)
        try:
            await ready
        finally:
            self._go_on()

    def _go_on(self) -> None:
        if self._fd >= 0:
            self._loop.remove_writer(self._fd)
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    async def end(self) -> None:
        """Close it behind what is being written."""
        async with self._writing:
            self.close()

    def close(self) -> None:
        """Close it, whoever writes: that is told that nobody reads; twice is silent."""
        self._go_on()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Feed:
    """Writes a command's stdin into a pipe, as fast as it is read (RUN-7)."""

    def __init__(self, inlet: Inlet, stdin: Stdin, failed: Callable[[BaseException], None]) -> None:
        """Begin; ``failed`` is called with what the source raised."""
        self._inlet = inlet
        self._failed = failed
        self._leaving = False
        self._task = asyncio.get_running_loop().create_task(self._run(stdin))

    async def _run(self, stdin: Stdin) -> None:
        try:
            async with contextlib.aclosing(stdin_chunks(stdin)) as chunks:
                async for chunk in chunks:
                    if not await self._inlet.write(chunk):
                        break
        except BaseException as error:
            # The pipe stays open: a program must not take half of its input for the whole.
            if not self._leaving:
                self._failed(error)
            if not isinstance(error, Exception):
                raise
        else:
            self._inlet.close()

    async def leave(self, seconds: float) -> None:
        """End the source, waiting at most ``seconds`` for its clean-up."""
        self._leaving = True
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=seconds)
        if self._task.done() and not self._task.cancelled():
            self._task.exception()
