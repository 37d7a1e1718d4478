"""The two directions of a child's pipes on the event loop: drain one, feed the other.

Owns their descriptors; must not know processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable

from transport_core import Stdin
from transport_core.authoring import BoundedOutput, stdin_chunks

_READ = 64 * 1024  # what a pipe holds
_REST = 64  # reads at most after the end: what a pipe can still hold, enlarged to 1 MiB, and more


class Drain:
    """Reads a pipe to its end into a bounded collector."""

    def __init__(self, fd: int, output: BoundedOutput, changed: Callable[[], None]) -> None:
        """Begin; ``changed`` is called at the end of the stream and when the limit is passed."""
        self._fd = fd
        self._changed = changed
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


class Feed:
    """Writes a command's stdin into a pipe, as fast as it is read (RUN-7)."""

    def __init__(self, fd: int, stdin: Stdin, failed: Callable[[BaseException], None]) -> None:
        """Begin; ``failed`` is called with what the source raised."""
        self._fd = fd
        self._failed = failed
        self._leaving = False
        self._loop = asyncio.get_running_loop()
        os.set_blocking(fd, False)
        self._task = self._loop.create_task(self._run(stdin))

    async def _run(self, stdin: Stdin) -> None:
        try:
            async with contextlib.aclosing(stdin_chunks(stdin)) as chunks:
                async for chunk in chunks:
                    if not await self._write(chunk):
                        break
        except BaseException as error:
            # The pipe stays open: a program must not take half of its input for the whole.
            if not self._leaving:
                self._failed(error)
            if not isinstance(error, Exception):
                raise
        else:
            self._close()

    async def _write(self, chunk: bytes) -> bool:
        """Write a chunk, and return whether anybody reads."""
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
        ready = self._loop.create_future()

        def writable() -> None:
            self._loop.remove_writer(self._fd)
            if not ready.done():
                ready.set_result(None)

        self._loop.add_writer(self._fd, writable)
        try:
            await ready
        finally:
            self._loop.remove_writer(self._fd)

    async def leave(self, seconds: float) -> None:
        """End the source, waiting at most ``seconds`` for its clean-up, and close the pipe."""
        self._leaving = True
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=seconds)
        if self._task.done() and not self._task.cancelled():
            self._task.exception()
        self._close()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
