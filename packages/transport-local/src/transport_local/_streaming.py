"""One call of stream: a process in the hands of the caller, and its end however that is left."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator

from transport_core import CommandResult
from transport_core.authoring import StreamedOutputs, finish

from ._pipes import Inlet
from ._process import Process
from ._run import Order, result_of, start, timeout_error, told

_CHUNK = 64 * 1024  # written at once
# From the end of its streams to its own, or the other way round: who reads to the end may leave
# then, and what a shell sends to the background redirects its streams after the fork.
_EXIT_SECONDS = 1.0


class LocalProcess:
    """A command that runs; see :class:`transport_core.RemoteProcess`."""

    def __init__(self, order: Order) -> None:
        """Nothing is started."""
        self._order = order
        self._process: Process | None = None
        self._outputs = StreamedOutputs(order.name, self._flow)
        self._ended = asyncio.Event()
        self._is_left = False
        self._is_gone = False
        self._is_late = False

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
            inlet = self._inlet()
            if inlet.is_closed:
                raise ValueError("standard input was closed")
            if not await inlet.write(bytes(view[at : at + _CHUNK])):
                return False
        return not self._ended.is_set()

    async def close_stdin(self) -> None:
        """End its standard input; twice is silent."""
        await self._inlet().end()

    async def wait(self) -> CommandResult:
        """Wait until it has exited, and return how."""
        process = self._running()
        with self._outputs.awaited():
            await self._ended.wait()
        if process.ending is None:
            raise self._outputs.left_error()
        return told(process, self._order)

    async def terminate(self) -> None:
        """Ask its process group to end; of no effect once it has ended."""
        self._signal(signal.SIGTERM)

    async def kill(self) -> None:
        """End its process group; of no effect once it has ended."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        process = self._running()
        if process.ending is None:
            process.signal(number)

    def _running(self) -> Process:
        if self._process is None or self._is_left:
            raise self._outputs.left_error()
        return self._process

    def _inlet(self) -> Inlet:
        inlet = self._running().inlet
        assert inlet is not None  # noqa: S101 - streams are started with one
        return inlet

    # -- for the transport

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Run it as long as the context lasts; however that is left, nothing of it runs on.

        Raises:
            CommandError: Its kind says why it was not started, or that its time was over.
        """
        order = self._order
        outputs = self._outputs.out, self._outputs.err
        self._process = await start(order, subprocess.PIPE, outputs)
        self._process.on_change = self._changed
        self._changed()
        clock = asyncio.timeout(order.deadline.remaining)
        try:
            async with clock:
                try:
                    yield
                finally:
                    self._is_late = clock.expired()
                    if not self._is_late:
                        clock.reschedule(None)  # the block is over: ending the rest is no timeout
                    await finish(self.stop())
        except TimeoutError as error:
            if not clock.expired():
                raise
            result = result_of(self._process, order)
            raise timeout_error(result, order, stopped=self._is_gone) from error

    def result(self) -> CommandResult | None:
        """Return how it ended; None if it was not started, or that is not known."""
        process = self._process
        return result_of(process, self._order) if process and process.ending else None

    async def stop(self) -> None:
        """Stop it if it runs; what the caller does with it afterwards fails."""
        if self._process is None or self._is_left:
            return
        self._is_left = True
        self._ended.set()
        try:
            self._outputs.leave()
            self._is_gone = await self._end(self._process)
        except asyncio.CancelledError:  # whoever closes cannot wait any longer
            if not self._process.is_complete:
                await finish(self._process.kill())
            raise
        finally:
            await self._process.close()

    async def _end(self, process: Process) -> bool:
        # What it detached before its end belongs to the user: the group is not to be stopped.
        process.take_rest()
        are_closed = process.stdout.is_closed and process.stderr.is_closed
        if process.ending is not None or (are_closed and not self._is_late):
            await asyncio.wait({process.over}, timeout=_EXIT_SECONDS)
        return process.is_complete or await process.stop(self._order.grace)

    def _changed(self) -> None:
        process = self._process
        if process is None:
            return
        if process.stdout.is_closed:
            self._outputs.out.end()
        if process.stderr.is_closed:
            self._outputs.err.end()
        if process.ending is not None:
            self._ended.set()

    def _flow(self) -> None:
        if self._process is not None:
            self._process.stdout.hold(hold=self._outputs.out.holds)
            self._process.stderr.hold(hold=self._outputs.err.holds)
