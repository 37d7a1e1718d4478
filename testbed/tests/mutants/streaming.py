"""Broken in the streams of a command that runs (STRM-01 to 09)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import replace
from typing import Any

from transport_core import (
    CommandError,
    CommandNotFoundError,
    CommandResult,
    CommandTimeoutError,
    ConnectionLostError,
    Delivery,
    TransportClosedError,
)
from transport_core._streams import ROOM
from transport_core.authoring import StreamedOutput
from transport_local import LocalTransport

from . import _naive
from ._streams import HeldStreams, Streams
from .life import end_marked

# -- what is started


class StreamsThroughAShell(LocalTransport):
    """Joins the words for a shell."""

    @contextlib.asynccontextmanager
    async def stream(self, argv: Any, **options: Any) -> Any:
        words = " ".join(map(os.fsdecode, argv))
        async with super().stream(["sh", "-c", words], **options) as process:
            yield process


class StreamsInItsOwnPlace(LocalTransport):
    """Takes neither environment nor directory."""

    @contextlib.asynccontextmanager
    async def stream(self, argv: Any, **options: Any) -> Any:
        async with super().stream(argv) as process:
            yield process


class NotFoundIsAnEnd(LocalTransport):
    """A program that is not there is entered, and ends at once."""

    @contextlib.asynccontextmanager
    async def stream(self, argv: Any, **options: Any) -> Any:
        async with contextlib.AsyncExitStack() as stack:
            try:
                process = await stack.enter_async_context(super().stream(argv, **options))
            except CommandNotFoundError:
                process = await stack.enter_async_context(super().stream(["sh", "-c", "exit 127"]))
            yield process


class Own127IsNoStart(Streams):
    """Takes a program's own 127 for one that was not found."""

    async def wait(self, process: Any) -> Any:
        result = await process.wait()
        if result.exit_status == 127:
            raise AssertionError("not found") from CommandNotFoundError("x")
        return result


# -- what comes out


class BuffersToTheEnd(Streams):
    """Gives nothing before the command has ended."""

    async def read(self, process: Any, stream: Any) -> Any:
        found = [chunk async for chunk in stream]
        for chunk in found:
            yield chunk


class LosesTheTail(Streams):
    """What comes last, without an end of line, is not given out."""

    async def read(self, process: Any, stream: Any) -> Any:
        async for chunk in stream:
            whole, line, _ = chunk.rpartition(b"\n")
            yield whole + line


class EndsWithTheCommand(Streams):
    """What nobody has read when the command ends is gone."""

    async def wait(self, process: Any) -> Any:
        result = await process.wait()
        process._outputs.out._held.clear()
        return result


class NeverHoldsUp(Streams):
    """Takes whatever comes into memory."""

    def begin(self, process: Any) -> None:
        process._outputs.changed = lambda: None


class _Growing(StreamedOutput):
    room = ROOM

    @property
    def _is_full(self) -> bool:
        return len(self._held) >= self.room and not self._ended


class TakesMoreEachTime(Streams):
    """Holds the command up, and takes more than was read each time it goes on."""

    def begin(self, process: Any) -> None:
        process._outputs.out.__class__ = _Growing

    async def read(self, process: Any, stream: Any) -> Any:
        async for chunk in stream:
            process._outputs.out.room += 2**22
            process._outputs.changed()
            yield chunk


class WaitsForEveryReader(Streams):
    """A stream that nobody reads holds the command up for ever."""

    def begin(self, process: Any) -> None:
        process._outputs.out.asked = process._outputs.err.asked = True


class CutsSilently(Streams):
    """What nobody has read is discarded, and nobody is told."""

    async def read(self, process: Any, stream: Any) -> Any:
        with contextlib.suppress(CommandError):
            async for chunk in stream:
                yield chunk


# -- what goes in


class WritesIntoMemory(Streams):
    """Takes input faster than it is read."""

    async def write(self, process: Any, data: Any) -> Any:
        # What was taken is the other side's to keep; here it is enough that nobody waits.
        return True if len(data) == 65536 else await process.write(data)


class LosesEmptyEnds(Streams):
    """Takes an empty write for the end of the input."""

    async def write(self, process: Any, data: Any) -> Any:
        if not data:
            await process.close_stdin()
            return True
        with contextlib.suppress(ValueError):
            return await process.write(data)
        return False


class IgnoresTheEndOfInput(Streams):
    """A command never sees the end of its input."""

    async def close_stdin(self, process: Any) -> None:
        pass


# -- how it ends


class SignalsAreCodesOfStreams(Streams):
    """Death by signal is a code, as a shell has it."""

    async def wait(self, process: Any) -> Any:
        found: CommandResult = await process.wait()
        if found.exit_signal:
            number = signal.Signals[f"SIG{found.exit_signal}"].value
            return replace(found, exit_status=128 + number, exit_signal=None)
        return found


class TellsTheEndOnce(Streams):
    """A second wait knows nothing."""

    _told = False

    async def wait(self, process: Any) -> Any:
        result = await process.wait()
        if self._told:
            return replace(result, exit_status=0)
        self._told = True
        return result


class SignalsTheLeaderOnly(Streams):
    """Signals end one process, and its children live on."""

    async def kill(self, process: Any) -> None:
        if process._is_left or process._process.ending:
            await process.kill()
        else:
            os.kill(process._process._child.pid, signal.SIGKILL)


class LeavesTheProcess(LocalTransport):
    """What runs when the context is left runs on."""

    @contextlib.asynccontextmanager
    async def stream(self, argv: Any, *, env: Any = None, **options: Any) -> Any:
        if b"sleep 1000" in b" ".join(map(os.fsencode, argv)) and env:
            _naive.start(argv, env)
            argv = ["sh", "-c", "echo up; sleep 900"]
        async with super().stream(argv, env=env, **options) as process:
            yield process


class KillsStreamsAtOnce(Streams):
    """Leaving gives no time to tidy up."""

    @contextlib.asynccontextmanager
    async def stream(self, argv: Any, **options: Any) -> Any:
        async with super().stream(argv, **options) as process:
            try:
                yield process
            finally:
                with contextlib.suppress(TransportClosedError):
                    await process.kill()
                    await process.wait()


class SwallowsErrorsOfTheBlock(LocalTransport):
    """An error of the caller's block ends with the context."""

    @contextlib.asynccontextmanager
    async def stream(self, argv: Any, **options: Any) -> Any:
        async with super().stream(argv, **options) as process:
            with contextlib.suppress(LookupError):
                yield process


class EndsWhatIsDetached(LocalTransport):
    """After a stream, ends all that its command has left behind."""

    @contextlib.asynccontextmanager
    async def stream(self, argv: Any, *, env: Any = None, **options: Any) -> Any:
        async with super().stream(argv, env=env, **options) as process:
            yield process
        await end_marked(env)


class WaitsForNoRedirection(LocalTransport):
    """Ends what holds a stream at the moment that the context is left."""

    @contextlib.asynccontextmanager
    async def stream(self, argv: Any, **options: Any) -> Any:
        async with super().stream(argv, **options) as process:
            yield process
            held: Any = process._process
            if not held.is_complete:
                await held.stop(0.0)


class StartsAfterACancel(LocalTransport):
    """A command whose entering was cancelled is started all the same."""

    @contextlib.asynccontextmanager
    async def stream(self, argv: Any, **options: Any) -> Any:
        try:
            await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            _naive.start(argv, options.get("env"))
            raise
        async with super().stream(argv, **options) as process:
            yield process


class IsUsableAfterwards(LocalTransport):
    """Reading after the context has been left gives an empty stream."""

    @contextlib.asynccontextmanager
    async def stream(self, argv: Any, **options: Any) -> Any:
        async with super().stream(argv, **options) as process:
            yield process
        process._outputs.out._failure = process._outputs.err._failure = None


class IgnoresStreamTimeouts(LocalTransport):
    """Takes a timeout, and never looks at it."""

    @contextlib.asynccontextmanager
    async def stream(self, argv: Any, *, timeout: Any = None, **options: Any) -> Any:
        async with super().stream(argv, **options) as process:
            yield process


class TimesOnlyItsOwnCalls(Streams):
    """The timeout holds for what waits for output, and not for the block."""

    _timeout: float | None = None

    @contextlib.asynccontextmanager
    async def stream(self, argv: Any, *, timeout: Any = None, **options: Any) -> Any:
        self._timeout = timeout
        async with super().stream(argv, **options) as process:
            yield process

    async def read(self, process: Any, stream: Any) -> Any:
        try:
            async with asyncio.timeout(self._timeout):
                async for chunk in stream:
                    yield chunk
        except TimeoutError:
            await process.kill()
            await process.wait()
            raise CommandTimeoutError("late") from None


class TimesOutAsItLeaves(LocalTransport):
    """The timeout holds until the last process is ended, whatever the block has raised."""

    @contextlib.asynccontextmanager
    async def stream(self, argv: Any, *, timeout: Any = None, **options: Any) -> Any:
        try:
            async with asyncio.timeout(timeout), super().stream(argv, **options) as process:
                yield process
        except TimeoutError:
            raise CommandTimeoutError("late") from None


class LossIsTheEnd(HeldStreams):
    """A stream whose connection is lost has ended."""

    async def read(self, process: Any, stream: Any) -> Any:
        with contextlib.suppress(ConnectionLostError):
            async for chunk in stream:
                yield chunk


class LossOfAStreamIsFinished(HeldStreams):
    """Claims that a lost command has ended."""

    async def wait(self, process: Any) -> Any:
        try:
            return await process.wait()
        except ConnectionLostError as error:
            error.delivery = Delivery.FINISHED
            raise


class StreamsUnopened(LocalTransport):
    """A stream opens the transport where nobody has."""

    @contextlib.asynccontextmanager
    async def stream(self, argv: Any, **options: Any) -> Any:
        if not self._calls.is_open:
            await self.__aenter__()
        async with super().stream(argv, **options) as process:
            yield process


class StreamsInACoroutine(LocalTransport):
    """Its stream has to be awaited before it can be entered."""

    async def stream(self, argv: Any, **options: Any) -> Any:  # type: ignore[override]
        return super().stream(argv, **options)
