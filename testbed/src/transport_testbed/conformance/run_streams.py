"""Standard input, output and error of a command (RUN-07, 08, 10, 12)."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator
from typing import Any, cast

from transport_core import Capability, OutputLimitError, TransportError

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause
from transport_testbed.conformance.samples import SECONDS_TO_STOP, differs, failure, present, sh

MIB = 1024 * 1024
EVERY_BYTE = bytes(range(256))


class RunStreamsTests:
    """Bytes in, bytes out, all of them, each in its own stream."""

    @clause("RUN-07")
    async def test_without_stdin_a_command_reads_the_end_at_once(self, case: Case) -> None:
        """No input is empty input: nothing of the caller's own stdin, and no waiting."""
        result = await case.transport.run(["cat"], timeout=10.0)
        assert (result.stdout, result.exit_status) == (b"", 0)

    @clause("RUN-07")
    async def test_stdin_comes_in_every_form(self, case: Case) -> None:
        """Bytes, text, a path, an open file and an async iterator all arrive whole."""
        data = EVERY_BYTE * 300 + b"no newline at the end"
        source = case.local("source")
        source.write_bytes(data)

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(data), 10_000):
                await asyncio.sleep(0)
                yield data[start : start + 10_000]

        with source.open("rb") as file:
            forms: list[tuple[str, Any, bytes]] = [
                ("bytes", data, data),
                ("no bytes", b"", b""),
                ("bytearray", bytearray(data), data),
                ("text", "é\r\n東", "é\r\n東".encode()),
                ("path", source, data),
                ("open file", file, data),
                ("file in memory", io.BytesIO(data), data),
                ("async iterator", pieces(), data),
            ]
            results = await asyncio.gather(
                *(case.transport.run(["cat"], stdin=form) for _, form, _ in forms)
            )
        wrong = [
            (name, len(wanted), len(result.stdout))
            for (name, _, wanted), result in zip(forms, results, strict=True)
            if result.stdout != wanted or result.exit_status != 0
        ]
        assert not wrong, "form, bytes sent, bytes that came back"

    @clause("RUN-07", about="shell")
    async def test_large_binary_input_arrives_whole(self, case: Case) -> None:
        """Input far beyond any pipe or window neither blocks nor changes."""
        data = os.urandom(3 * MIB)
        result = await case.transport.run(["cat"], stdin=data)
        assert not differs(result.stdout, data)

    @clause("RUN-07")
    async def test_a_command_need_not_read_its_input(self, case: Case) -> None:
        """Input that is left over is no error, whether none or some of it was read."""
        data = b"first\n" + b"x" * (8 * MIB)
        none, some = await asyncio.gather(
            case.transport.run(sh("exit 7"), stdin=data),
            case.transport.run(sh('read -r a; printf %s "$a"'), stdin=data),
        )
        assert (none.exit_status, none.stdout) == (7, b"")
        assert (some.exit_status, some.stdout) == (0, b"first")

    @clause("RUN-07")
    async def test_input_is_asked_for_only_as_it_is_read(self, case: Case) -> None:
        """An iterator is not drained into memory while the command does not read."""
        asked = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal asked
            # Bounded, so that a transport that drains it fails here and does not hang.
            while asked < 64 * MIB:
                asked += 65536
                yield b"x" * 65536
                await asyncio.sleep(0)

        result = await case.transport.run(sh("sleep 0.3"), stdin=endless())
        assert result.exit_status == 0
        assert asked < 32 * MIB, "bytes taken from the iterator while nobody read"

    @clause("RUN-07")
    async def test_input_that_fails_ends_the_command(self, case: Case) -> None:
        """An error of the caller's iterator comes out, and the command does not stay."""

        async def failing() -> AsyncIterator[bytes]:
            yield b"some"
            raise LookupError("the caller's own error")

        call = case.transport.run(sh("cat; sleep 1000", case.marker), stdin=failing(), timeout=20.0)
        error = await failure(Exception, call)
        causes = [error, error.__cause__]
        assert any(isinstance(cause, LookupError) for cause in causes), repr(error)
        await case.eventually(lambda: not case.probe.processes(case.marker))

    @clause("RUN-07")
    async def test_impossible_input_is_refused_and_nothing_is_sent(self, case: Case) -> None:
        """Text files, closed files and other kinds are found before the command starts."""
        source, trace = case.local("source"), case.remote("trace")
        source.write_text("text")
        closed = source.open("rb")
        closed.close()
        await failure(ValueError, case.transport.run(["touch", trace], stdin=closed))
        with source.open() as text:
            await failure(TypeError, case.transport.run(["touch", trace], stdin=cast("Any", text)))
        await failure(TypeError, case.transport.run(["touch", trace], stdin=cast("Any", [b"x"])))
        assert not present(case, trace)

    @clause("RUN-08", about="shell")
    async def test_streams_are_separate_and_binary_safe(self, case: Case) -> None:
        """Every byte value comes back in the stream it went to, ends of line as they were."""
        blob = case.remote("blob")
        case.probe.write(blob, EVERY_BYTE + b"\r\n\n\x04\x1a\x00 \n")
        wanted = case.probe.read(blob)
        result = await case.transport.run(
            sh('printf err1 >&2; cat "$1"; printf err2 >&2; cat "$1" >&2', blob)
        )
        assert result.stdout == wanted
        assert result.stderr == b"err1err2" + wanted

    @clause("RUN-08")
    async def test_much_output_on_both_streams_is_whole_and_in_order(self, case: Case) -> None:
        """10 MB on each stream, interleaved, arrive without deadlock, loss or disorder."""
        one, two = os.urandom(MIB), os.urandom(MIB)
        paths = case.remote("one"), case.remote("two")
        case.probe.write(paths[0], one)
        case.probe.write(paths[1], two)
        script = 'for i in 1 2 3 4 5; do cat "$1" "$2"; cat "$2" "$1" >&2; done; printf end'
        result = await case.transport.run(sh(script, *paths), timeout=25.0)
        assert not differs(result.stdout, (one + two) * 5 + b"end")
        assert not differs(result.stderr, (two + one) * 5)

    @clause("RUN-12")
    async def test_run_waits_for_the_end_of_both_streams(self, case: Case) -> None:
        """What a child writes after its parent has gone is still part of the result."""
        result = await case.transport.run(
            sh("(sleep 0.2; echo late; echo late >&2) & echo early"), timeout=20.0
        )
        assert (result.stdout, result.stderr) == (b"early\nlate\n", b"late\n")

    @clause("RUN-10", needs=(Capability.STOP,))
    async def test_output_past_the_limit_stops_the_command(self, case: Case) -> None:
        """Endless output on either stream ends in an error that carries what was kept."""
        line = "0123456789" * 50
        chatter = f"while :; do echo {line}; done"
        calls = [
            case.transport.run(sh(chatter, case.marker), output_limit=100_000, timeout=20.0),
            case.transport.run(
                sh(f"exec >&2; {chatter}", case.marker), output_limit=100_000, timeout=20.0
            ),
        ]
        out, err = await asyncio.gather(*(failure(OutputLimitError, call) for call in calls))
        assert out.result is not None
        assert err.result is not None
        whole = (line.encode() + b"\n") * 200
        assert out.result.stdout == whole[:100_000]
        assert err.result.stderr == whole[:100_000]
        await case.eventually(
            lambda: not case.probe.processes(case.marker), seconds=SECONDS_TO_STOP
        )

    @clause("RUN-10")
    async def test_output_up_to_the_limit_is_no_error(self, case: Case) -> None:
        """The limit counts each stream for itself, and exactly."""
        script = sh("printf 12345; printf 123 >&2")
        exact, none, without = await asyncio.gather(
            case.transport.run(script, output_limit=5),
            case.transport.run(["true"], output_limit=0),
            case.transport.run(script, output_limit=None),
        )
        assert (exact.stdout, exact.stderr, none.stdout) == (b"12345", b"123", b"")
        assert without.stdout == b"12345"
        error = await failure(OutputLimitError, case.transport.run(script, output_limit=4))
        assert isinstance(error, TransportError)
        assert error.result is not None
        assert error.result.stdout == b"1234"
