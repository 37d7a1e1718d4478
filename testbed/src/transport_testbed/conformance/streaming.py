"""Streams of a command that runs: what starts, what comes out, what goes in (STRM-01 to 05)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar, cast

from transport_core import (
    Capability,
    CommandNotExecutableError,
    CommandNotFoundError,
    CommandResult,
    Delivery,
    RemoteProcess,
    StreamingTransport,
    TransportError,
    WorkingDirectoryError,
)

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause
from transport_testbed.conformance.samples import (
    WORDS,
    content,
    differs,
    failure,
    present,
    sh,
    show_words,
)

T = TypeVar("T")

MIB = 1024 * 1024
STREAMS = (Capability.STREAMING,)
SOON = 10.0
"""Seconds after which what waits for output or an end is taken to hang."""
STILL = 0.3
"""Seconds without progress after which a flow has stopped."""


def streaming(case: Case) -> StreamingTransport:
    """Return the open transport as one that streams."""
    assert isinstance(case.transport, StreamingTransport), "claimed, and not of this shape"
    return case.transport


async def soon(call: Awaitable[T]) -> T:
    """Await what must not take long; a hang is an assertion, the transport's own timeout is not."""
    clock = asyncio.timeout(SOON)
    try:
        async with clock:
            return await call
    except TimeoutError as error:
        if not clock.expired():
            raise
        raise AssertionError(f"hangs: it was not over within {SOON:g} s") from error


async def drained(stream: AsyncIterator[bytes]) -> bytes:
    """Read a stream to its end."""
    return b"".join(await soon(_chunks(stream)))


async def until(stream: AsyncIterator[bytes], end: bytes) -> bytes:
    """Read a stream until what came ends so; its own end is an assertion."""
    return await soon(_until(stream, end))


async def ended(process: RemoteProcess) -> CommandResult:
    """Wait for the end of a command."""
    return await soon(process.wait())


async def _chunks(stream: AsyncIterator[bytes]) -> list[bytes]:
    return [chunk async for chunk in stream]


async def _until(stream: AsyncIterator[bytes], end: bytes) -> bytes:
    came = b""
    async for chunk in stream:
        came += chunk
        if came.endswith(end):
            return came
    raise AssertionError(f"the stream ended with {came[-80:]!r}, and {end!r} was to come")


async def entered(stream: AbstractAsyncContextManager[RemoteProcess]) -> None:
    """Enter and leave; for streams that cannot be entered."""
    async with stream:
        pass


async def at_rest(case: Case, count: Callable[[], int]) -> int:
    """Wait until a count has not grown for a while, and return it."""
    loop = asyncio.get_running_loop()
    last, since = count(), loop.time()

    def stopped() -> bool:
        nonlocal last, since
        if (now := count()) != last:
            last, since = now, loop.time()
        return loop.time() - since > STILL

    await case.eventually(stopped, seconds=15.0)
    return last


class StreamingTests:
    """A command in the caller's hands, as long as a context lasts."""

    @clause("STRM-01", needs=STREAMS, about="shell")
    async def test_a_stream_starts_what_run_would(self, case: Case) -> None:
        """The words, the environment and the directory arrive byte for byte."""
        where, value = case.remote("d"), b"it's \xff $x\n"
        case.probe.make_dir(where)
        words = list(WORDS.values())
        async with streaming(case).stream(show_words(*words)) as process:
            assert await drained(process.stdout) == b"".join(word + b"\0" for word in words)
            assert (await ended(process)).ok
        script = sh('pwd -P; printf %s "$STREAMED"')
        async with streaming(case).stream(script, env={"STREAMED": value}, cwd=where) as process:
            found = await drained(process.stdout)
        assert found == os.path.realpath(where) + b"\n" + value

    @clause("STRM-01", needs=STREAMS, about="shell")
    async def test_what_cannot_be_started_is_told_at_entering(self, case: Case) -> None:
        """The errors are those of run, and the context is never entered."""
        plain, folder, trace = case.remote("plain"), case.remote("folder"), case.remote("trace")
        case.probe.write(plain, b"no program", 0o644)
        case.probe.make_dir(folder)
        stream = streaming(case).stream
        not_started: list[tuple[type[TransportError], Any]] = [
            (CommandNotFoundError, stream(["no-such-program-here"])),
            (CommandNotFoundError, stream([case.remote("missing"), "x"])),
            (CommandNotFoundError, stream(["./missing"], cwd=folder)),
            (CommandNotFoundError, stream(["no-such-program-here"], env={"A": "b"})),
            (CommandNotFoundError, stream([b"no\xff'such $x"])),
            (CommandNotExecutableError, stream([plain])),
            (CommandNotExecutableError, stream([folder])),
            (WorkingDirectoryError, stream(["touch", trace], cwd=case.remote("nowhere"))),
        ]
        for kind, context in not_started:
            error = await failure(kind, entered(context))
            assert error.delivery is not Delivery.UNKNOWN, "it provably did not run"
        await failure(TypeError, entered(stream(cast("Any", "ls -l"))))
        await failure(ValueError, entered(stream([])))
        await failure(ValueError, entered(stream(["touch", trace], env={"a b": "x"})))
        assert not present(case, trace)

    @clause("STRM-01", needs=STREAMS)
    async def test_a_program_that_talks_like_a_failed_start_is_started(self, case: Case) -> None:
        """Its own 126 and 127 are what it ended with."""
        for code in (126, 127):
            async with streaming(case).stream(sh(f"echo not found >&2; exit {code}")) as process:
                assert await drained(process.stderr) == b"not found\n"
                assert (await ended(process)).exit_status == code

    @clause("STRM-02", "STRM-05", needs=STREAMS)
    async def test_a_line_is_seen_while_the_command_runs(self, case: Case) -> None:
        """What one side says can depend on what the other has just said."""
        script = sh('echo begun; while read -r line; do echo "got $line"; done; echo end >&2')
        async with streaming(case).stream(script) as process:
            out = process.stdout
            assert await until(out, b"\n") == b"begun\n"
            for word in (b"one", b"two"):
                assert await process.write(word + b"\n")
                assert await until(out, b"\n") == b"got " + word + b"\n"
            await process.close_stdin()
            assert await drained(process.stderr) == b"end\n"
            assert await drained(out) == b""
            assert (await ended(process)).exit_status == 0

    @clause("STRM-02", "STRM-04", needs=STREAMS)
    async def test_both_streams_are_whole_and_in_order(self, case: Case) -> None:
        """Megabytes on each, interleaved and read at once, arrive without loss or deadlock."""
        one, two = os.urandom(MIB), os.urandom(MIB)
        paths = case.remote("one"), case.remote("two")
        case.probe.write(paths[0], one)
        case.probe.write(paths[1], two)
        script = sh('for i in 1 2; do cat "$1" "$2"; cat "$2" "$1" >&2; done; printf end', *paths)
        async with streaming(case).stream(script) as process:
            out, err = await asyncio.gather(drained(process.stdout), drained(process.stderr))
            assert (await ended(process)).ok
        assert not differs(out, (one + two) * 2 + b"end")
        assert not differs(err, (two + one) * 2)

    @clause("STRM-02", needs=STREAMS)
    async def test_what_was_written_before_the_end_is_read_after_it(self, case: Case) -> None:
        """That a command has ended takes nothing away from its readers."""
        async with streaming(case).stream(sh("printf out; printf err >&2; exit 3")) as process:
            assert (await ended(process)).exit_status == 3
            assert await drained(process.stdout) == b"out"
            assert await drained(process.stderr) == b"err"
            assert await drained(process.stdout) == b"", "the end of a stream is its end"

    @clause("STRM-03", needs=STREAMS, seconds=60.0)
    async def test_a_slow_reader_holds_the_command_up(self, case: Case) -> None:
        """While nobody takes what comes, the command waits, and nothing of it is lost."""
        block, trace = os.urandom(MIB), case.remote("trace")
        case.probe.write(case.remote("block"), block)
        script = (
            'i=0; while [ $i -lt 40 ]; do cat "$1"; i=$((i+1)); printf x >>"$2"; done; printf end'
        )

        def written() -> int:
            return len(content(case, trace)) if present(case, trace) else 0

        async with streaming(case).stream(sh(script, case.remote("block"), trace)) as process:
            out, came = process.stdout, bytearray()
            # Little by little: a reader that is always a bit late must not make it pile up.
            for _ in range(9):
                came += await soon(anext(out, b""))
                unread = await at_rest(case, written) * MIB - len(came)
                assert unread < 12 * MIB, f"{unread} bytes were written that nobody had read"
            came += await drained(out)
            assert (await ended(process)).ok
        assert not differs(bytes(came), block * 40 + b"end")

    @clause("STRM-04", needs=STREAMS)
    async def test_a_stream_that_nobody_reads_holds_nobody_up(self, case: Case) -> None:
        """Not the reader of the other one, nor who waits for the end; and the loss is told."""
        script = 'i=0; while [ $i -lt 6 ]; do cat "$1"; cat "$1" >&2; i=$((i+1)); done'
        block = case.remote("block")
        case.probe.write(block, b"x" * MIB)
        async with streaming(case).stream(sh(script, block)) as process:
            assert len(await drained(process.stdout)) == 6 * MIB
            await failure(TransportError, drained(process.stderr))
        async with streaming(case).stream(sh(script, block)) as process:
            assert (await ended(process)).exit_status == 0

    @clause("STRM-05", needs=STREAMS)
    async def test_input_arrives_whole_and_ends_when_told(self, case: Case) -> None:
        """Any bytes, of any length, no faster than they are read; the end is the caller's."""
        data = os.urandom(3 * MIB)
        async with streaming(case).stream(["cat"]) as process:
            reading = asyncio.create_task(drained(process.stdout))
            await soon(process.write(data))
            await process.write(b"")
            await process.write(cast("bytes", bytearray(b"end")))
            await failure(TypeError, process.write(cast("Any", "text")))
            await process.close_stdin()
            await process.close_stdin()
            await failure(ValueError, process.write(b"more"))
            assert not differs(await soon(reading), data + b"end")
            assert (await ended(process)).ok

    @clause("STRM-05", needs=STREAMS)
    async def test_input_is_taken_only_as_it_is_read(self, case: Case) -> None:
        """Writing waits for a command that does not read, and what it leaves is no error."""
        taken = 0
        release = case.remote("release")

        async def pour(process: RemoteProcess) -> None:
            nonlocal taken
            # Bounded, so that a transport that takes everything fails here and does not hang.
            while taken < 64 * MIB and await process.write(b"x" * 65536):
                taken += 65536
                await asyncio.sleep(0)

        script = sh('until [ -e "$1" ]; do sleep 0.05; done; exit 7', release)
        async with streaming(case).stream(script) as process:
            pouring = asyncio.create_task(pour(process))
            assert await at_rest(case, lambda: taken) < 32 * MIB, "bytes taken while nobody read"
            case.probe.write(release, b"")
            await soon(pouring)
            assert (await ended(process)).exit_status == 7
