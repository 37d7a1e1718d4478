"""Commands where it gets long, much or little: words, output, limits and input (RUN-01, 06-10)."""

from __future__ import annotations

import asyncio
import os
import select

from transport_core import (
    Capability,
    CommandNotExecutableError,
    CommandNotFoundError,
    CommandResult,
    Delivery,
    OutputLimitError,
)

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause
from transport_testbed.conformance._memory import memory, peak_reset
from transport_testbed.conformance.samples import differs, failure, sh, show_words

MIB = 1024 * 1024
LONGEST_WORD = 131_071
"""What Linux takes in one word, its NUL not counted (MAX_ARG_STRLEN)."""


class RunLimitsTests:
    """What is still possible is done exactly; what is not is said so, and harms nothing else."""

    @clause("RUN-01")
    async def test_as_many_words_as_the_system_takes_arrive(self, case: Case) -> None:
        """1.9 MiB of words where the target takes as much, the longest among them, arrive whole."""
        told = await case.transport.run(["getconf", "ARG_MAX"], check=True)
        most = min(int(told.stdout) * 95 // 100, 19 * MIB // 10)
        many = [b"%d it's\n" % n + b"x" * 1000 for n in range((most - LONGEST_WORD) // 1024)]
        words = [b"y" * LONGEST_WORD, *many]
        result = await case.transport.run(show_words(*words), timeout=25.0)
        assert not differs(result.stdout, b"\0".join(words) + b"\0")

    @clause("RUN-06")
    async def test_words_that_no_system_takes_are_an_error_of_their_own(self, case: Case) -> None:
        """A program that cannot be given its words was not run, and no other call suffers."""
        found, beside = await asyncio.gather(
            case.transport.run(["true", b"z" * 300_000]),
            case.transport.run(sh("sleep 0.2; printf on")),
            return_exceptions=True,
        )
        if isinstance(found, CommandNotExecutableError):
            assert found.delivery is Delivery.NOT_SENT, "it provably did not run"
        else:  # some systems take a word of any length
            assert isinstance(found, CommandResult), repr(found)
            assert found.ok
        assert isinstance(beside, CommandResult), repr(beside)
        assert beside.stdout == b"on"

    @clause("RUN-08", seconds=60.0)
    async def test_a_hundred_megabytes_on_both_streams_arrive(self, case: Case) -> None:
        """100 MB on each stream, interleaved, arrive without deadlock, loss or disorder."""
        block = os.urandom(MIB)
        path = case.remote("block")
        case.probe.write(path, block)
        script = 'i=0; while [ $i -lt 96 ]; do cat "$1"; cat "$1" >&2; i=$((i+1)); done'
        result = await case.transport.run(sh(script, path), output_limit=None)
        for stream in (result.stdout, result.stderr):
            assert len(stream) == 96 * MIB
            assert all(stream.startswith(block, n) for n in range(0, len(stream), MIB))
            await asyncio.sleep(0)

    @clause("RUN-10", needs=(Capability.STOP,))
    async def test_memory_stays_within_the_output_limit(self, case: Case) -> None:
        """Endless output costs the limit and no multiple of it, the error's copy included."""
        limit = 48 * MIB
        told = peak_reset()  # only Linux tells a peak from now on; elsewhere it cannot be seen
        before = memory("VmRSS") if told else 0
        call = case.transport.run(["dd", "if=/dev/zero", "bs=65536"], output_limit=limit)
        error = await failure(OutputLimitError, call)
        peak = memory("VmHWM") if told else 0
        assert error.result is not None
        assert len(error.result.stdout) == limit
        assert peak - before < limit + 32 * MIB

    @clause("RUN-10")
    async def test_a_limit_of_nothing_is_a_limit(self, case: Case) -> None:
        """Without room for a byte, silence is a result, and one byte is an error."""
        quiet, spoken = case.transport.run(["true"], output_limit=0), sh("printf x >&2; sleep 0.3")
        assert (await quiet).ok
        error = await failure(OutputLimitError, case.transport.run(spoken, output_limit=0))
        assert error.result is not None
        assert (error.result.stdout, error.result.stderr) == (b"", b"")

    @clause("RUN-06", "RUN-10", about="shell")
    async def test_what_did_not_start_has_passed_no_limit(self, case: Case) -> None:
        """A missing program is one however small the limit: no word about it is its output."""
        folder = case.remote("folder")
        case.probe.make_dir(folder)
        missing: list[str | bytes] = ["no-such-program-here", folder + b"/missing"]
        for limit in (0, 5):
            for program in missing:
                call = case.transport.run([program], output_limit=limit)
                error = await failure(CommandNotFoundError, call)
                assert error.delivery is Delivery.NOT_SENT
            call = case.transport.run([folder], output_limit=limit)
            await failure(CommandNotExecutableError, call)

    @clause("RUN-07")
    async def test_input_waits_for_a_command_that_reads_late(self, case: Case) -> None:
        """Input far beyond any buffer, unread for a while, is all there when it is read."""
        data = os.urandom(3 * MIB)
        late = asyncio.create_task(case.transport.run(sh("sleep 0.6; cat"), stdin=data))
        beside = await case.transport.run(["cat"], stdin=b"not held up", timeout=10.0)
        assert beside.stdout == b"not held up"
        assert not differs((await late).stdout, data)

    @clause("RUN-07")
    async def test_a_pipe_as_input_gives_what_it_has(self, case: Case) -> None:
        """What is written arrives before the end; afterwards nobody reads it but its owner."""
        inside, outside = os.pipe()
        with open(inside, "rb") as source, open(outside, "wb", buffering=0) as writer:
            writer.write(b"first\n")
            for script in ("read -r line; printf %s $line", "printf first"):
                call = case.transport.run(sh(script), stdin=source, timeout=3.0)
                (found,) = await asyncio.gather(call, return_exceptions=True)
                assert isinstance(found, CommandResult), repr(found)
                assert found.stdout == b"first"
            writer.write(b"mine")
            for _ in range(10):  # in which a reader that was left behind would take it
                await asyncio.sleep(0.05)
                assert select.select([source], [], [], 0)[0], "somebody reads the pipe still"
