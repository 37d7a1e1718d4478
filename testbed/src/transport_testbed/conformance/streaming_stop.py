"""How a streamed command ends, by itself or because it has to (STRM-06 to 09)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from transport_core import (
    Capability,
    CommandFailedError,
    CommandTimeoutError,
    ConnectionLostError,
    Delivery,
    RemoteProcess,
    StreamingTransport,
    TransportClosedError,
)

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause
from transport_testbed.conformance.samples import (
    SECONDS_TO_STOP,
    STAYS,
    begun,
    content,
    cut,
    failure,
    failures,
    gone,
    sh,
    stayed,
)
from transport_testbed.conformance.streaming import (
    STREAMS,
    drained,
    ended,
    soon,
    streaming,
    until,
)

STOPS = (Capability.STREAMING, Capability.STOP)
TREE = "sleep 1000 & sleep 1000 & sh -c 'sleep 1000 & wait' & echo up; wait"


@asynccontextmanager
async def tree(case: Case, timeout: float | None = None) -> AsyncIterator[RemoteProcess]:
    """Stream a process tree that carries the marker, and has begun."""
    async with streaming(case).stream(
        sh(TREE, case.marker), env={"CONFORMANCE_MARK": case.marker}, timeout=timeout
    ) as process:
        await until(process.stdout, b"up\n")
        yield process


class StreamingStopTests:
    """When a context is over, so is its command."""

    @clause("STRM-06", needs=STREAMS)
    async def test_wait_tells_how_it_ended(self, case: Case) -> None:
        """The code, as often as it is asked; what was streamed is not in it a second time."""
        async with streaming(case).stream(sh("printf out; read -r x; exit 42")) as process:
            waiting = asyncio.create_task(process.wait())
            assert await until(process.stdout, b"out") == b"out"
            assert not waiting.done(), "it has ended before its end"
            await process.write(b"go\n")
            first, again = await soon(waiting), await ended(process)
        assert (first.exit_status, first.exit_signal) == (42, None)
        assert (first.stdout, first.stderr) == (b"", b"")
        assert (again.exit_status, again.exit_signal) == (42, None)
        assert not first.ok
        assert 0.0 < first.duration < 30.0

    @clause("STRM-06", needs=(*STREAMS, Capability.SIGNALS))
    async def test_a_signal_that_ends_a_stream_is_named(self, case: Case) -> None:
        """A signal is named, whoever sent it."""
        seen = []
        async with streaming(case).stream(sh("kill -s USR1 $$; sleep 5")) as process:
            seen.append(await ended(process))
        async with streaming(case).stream(["sleep", "1000"]) as process:
            await process.terminate()
            seen.append(await ended(process))
        async with streaming(case).stream(sh("trap '' TERM; echo up; sleep 1000")) as process:
            await until(process.stdout, b"up\n")
            await process.kill()
            seen.append(await ended(process))
            await process.kill()
            await process.terminate()
        assert [(end.exit_status, end.exit_signal) for end in seen] == [
            (None, "USR1"),
            (None, "TERM"),
            (None, "KILL"),
        ]

    @clause("STRM-06", needs=STOPS)
    async def test_a_signal_reaches_the_whole_group(self, case: Case) -> None:
        """Asked politely a program can tidy up; killed, nothing of its tree is left."""
        script = sh(
            "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.05; done", case.marker
        )
        async with streaming(case).stream(script) as process:
            out = process.stdout
            await until(out, b"up\n")
            await process.terminate()
            assert await drained(out) == b"bye\n"
            assert (await ended(process)).exit_status == 5
        async with tree(case) as process:
            await process.kill()
            assert not (await ended(process)).ok
            await gone(case)

    @clause("STRM-07", needs=STOPS)
    async def test_leaving_ends_the_whole_process_group(self, case: Case) -> None:
        """By the end of the block, by an error of its own or by cancellation, which pass."""

        async def fails() -> None:
            async with tree(case):
                raise LookupError("the caller's own")

        async def waits() -> None:
            async with tree(case) as process:
                await process.wait()

        async with tree(case) as process:
            pass
        assert not case.probe.processes(case.marker), "processes that outlive the context"
        await failure(LookupError, fails())
        assert not case.probe.processes(case.marker), "processes that outlive an error"
        waiting = asyncio.create_task(waits())
        await begun(case)
        waiting.cancel()
        await failure(asyncio.CancelledError, waiting)
        assert not case.probe.processes(case.marker), "processes that outlive the cancellation"
        calls = (process.write(b"x"), process.wait(), process.kill(), drained(process.stdout))
        await failures(*((TransportClosedError, call) for call in calls))

    @clause("STRM-07", needs=STOPS)
    async def test_leaving_is_polite_first(self, case: Case) -> None:
        """After TERM and a grace comes KILL, also where nobody reads what is written."""
        tidy = case.remote("tidied")
        polite = sh(
            "trap 'echo yes > \"$1\"; exit 0' TERM; echo up; while :; do sleep 0.05; done", tidy
        )
        writes = "dd if=/dev/zero bs=1048576 count=1 2>/dev/null; sleep 0.1"
        stubborn = sh(f"trap '' TERM; while :; do {writes}; done", case.marker)
        async with streaming(case).stream(polite) as process:
            await until(process.stdout, b"up\n")
        assert content(case, tidy) == b"yes\n"
        async with streaming(case).stream(stubborn) as process:
            await anext(process.stdout)
            started = time.monotonic()
        assert time.monotonic() - started < SECONDS_TO_STOP
        assert not case.probe.processes(case.marker)

    @clause("STRM-07", needs=STREAMS)
    async def test_what_a_finished_command_detached_stays(self, case: Case) -> None:
        """A child that lets go of its streams belongs to the user, whatever was left unread.

        It may do so a moment after its parent's end: a shell forks first, and then redirects.
        """
        end = case.remote()
        late = f"(sleep 0.1; exec 2>/dev/null; {STAYS}) </dev/null >/dev/null &"
        async with streaming(case).stream(
            sh(f"{late} echo unread >&2", end), env={"CONFORMANCE_MARK": case.marker}
        ) as process:
            await drained(process.stdout)
            await process.wait()
        assert await stayed(case, end), "the child did not stay"

    @clause("STRM-07", "STRM-08", needs=STOPS)
    async def test_what_the_block_raises_comes_through_though_time_runs_out(
        self, case: Case
    ) -> None:
        """Its time is over while what it left behind is ended: that is no timeout."""
        stubborn = "trap '' TERM; while :; do sleep 0.1; done"

        async def checks() -> None:
            started = time.monotonic()
            async with streaming(case).stream(
                sh(f"({stubborn}) & exit 3"), env={"CONFORMANCE_MARK": case.marker}, timeout=4.0
            ) as process:
                result = await process.wait()
                await asyncio.sleep(started + 2.5 - time.monotonic())
                result.check()

        error = await failure(CommandFailedError, checks())
        assert error.result is not None
        assert error.result.exit_status == 3
        assert not case.probe.processes(case.marker)

    @clause("STRM-07", needs=STOPS)
    async def test_cancelling_while_it_is_entered_leaves_nothing(self, case: Case) -> None:
        """Before, while and just after a command starts, nothing of it stays."""

        async def streams() -> None:
            async with streaming(case).stream(sh("sleep 1000", case.marker)) as process:
                await process.wait()

        for milliseconds in (0, 1, 3, 6, 10):
            call = asyncio.create_task(streams())
            await asyncio.sleep(milliseconds / 1000)
            call.cancel()
            await failure(asyncio.CancelledError, call)
        await gone(case)
        assert (await case.transport.run(["printf", "on"])).stdout == b"on"

    @clause("STRM-08", needs=STOPS)
    async def test_a_timeout_covers_the_whole_context(self, case: Case) -> None:
        """Whatever the block waits for, at the time of the error the group is gone."""

        async def reads() -> None:
            async with tree(case, timeout=1.0) as process:
                await drained(process.stdout)

        async def idles() -> None:
            async with tree(case, timeout=1.0):
                await soon(asyncio.Event().wait())

        for call in (reads, idles):
            started = time.monotonic()
            error = await failure(CommandTimeoutError, call())
            assert not case.probe.processes(case.marker), "processes that outlive the timeout"
            assert time.monotonic() - started < 1.0 + SECONDS_TO_STOP
            assert isinstance(error, TimeoutError)
            assert error.stopped

    @clause("STRM-09", needs=(*STREAMS, Capability.CONNECTION), offers=("cut",))
    async def test_a_loss_is_told_to_everyone_who_waits(self, case: Case) -> None:
        """To readers behind what has come, and to who waits; never an end without a status."""

        async def lost() -> None:
            async with tree(case) as process:
                calls = (drained(process.stdout), drained(process.stderr), process.wait())
                tasks = [asyncio.create_task(call) for call in calls]
                await asyncio.sleep(0)
                with cut(case):
                    told.extend(await failures(*((ConnectionLostError, task) for task in tasks)))

        told: list[ConnectionLostError] = []
        await lost()
        assert {error.delivery for error in told} == {Delivery.UNKNOWN}
        assert (await case.transport.run(["printf", "on"])).stdout == b"on"

    @clause("STRM-09", needs=STOPS, opened=False)
    async def test_closing_the_transport_ends_its_streams(self, case: Case) -> None:
        """Whoever holds one is told that it was closed, and nothing of it runs on."""
        transport = case.make()
        assert isinstance(transport, StreamingTransport)
        await failure(TransportClosedError, _enter(transport, case))
        reached = asyncio.Event()

        async def streams() -> None:
            async with transport.stream(sh(TREE, case.marker)) as process:
                await until(process.stdout, b"up\n")
                reached.set()
                await process.wait()

        async with transport:
            call = asyncio.create_task(streams())
            await reached.wait()
        await failure(TransportClosedError, call)
        assert not case.probe.processes(case.marker), "processes that outlive the closing"
        async with transport, transport.stream(sh(TREE, case.marker)) as process:
            await until(process.stdout, b"up\n")
            started = time.monotonic()
            await transport.aclose()
            assert time.monotonic() - started < SECONDS_TO_STOP / 2
            assert not case.probe.processes(case.marker), "processes that outlive a closing within"
            await failure(TransportClosedError, process.wait())


async def _enter(transport: StreamingTransport, case: Case) -> None:
    async with transport.stream(["touch", case.remote("trace")]):
        pass
