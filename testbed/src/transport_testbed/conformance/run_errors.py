"""How commands end: codes, signals, and commands that never start (RUN-05, 06)."""

from __future__ import annotations

import asyncio

import pytest
from transport_core import (
    Capability,
    CommandFailedError,
    CommandNotExecutableError,
    CommandNotFoundError,
    Delivery,
    WorkingDirectoryError,
)

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause
from transport_testbed.conformance.samples import failure, present, sh

# 96 and 255 are what transports use among themselves, 126 to 143 what shells do.
CODES = (0, 1, 42, 96, 126, 127, 128, 143, 254, 255)


class RunErrorsTests:
    """An end is reported as it was, and what did not start is said not to have started."""

    @clause("RUN-05", about="shell")
    async def test_every_exit_code_arrives_as_it_is(self, case: Case) -> None:
        """Codes that shells and transports use for themselves are the program's all the same."""
        results = await asyncio.gather(
            *(case.transport.run(sh(f"exit {code}"), check=False) for code in CODES)
        )
        seen = {code: result.exit_status for code, result in zip(CODES, results, strict=True)}
        assert seen == {code: code for code in CODES}
        assert [result.ok for result in results] == [code == 0 for code in CODES]
        assert {result.exit_signal for result in results} == {None}

    @clause("RUN-05", needs=(Capability.SIGNALS,), about="shell")
    async def test_death_by_signal_is_no_exit_code(self, case: Case) -> None:
        """A signal is named; the same number as an exit code stays a code."""
        names = ("TERM", "KILL", "INT", "HUP", "SEGV", "USR1", "ABRT")
        script = "ulimit -c 0; printf out; kill -s {} $$; printf ' ignored'"
        results = await asyncio.gather(
            *(case.transport.run(sh(script.format(name))) for name in names)
        )
        # Whoever starts the suite by nohup or in the background ignores these, and hands it on.
        ignored = {"INT", "HUP"}
        seen = {
            name: name
            if name in ignored and result.stdout == b"out ignored"
            else result.exit_signal
            for name, result in zip(names, results, strict=True)
        }
        assert seen == {name: name for name in names}
        died = [result for result in results if result.stdout == b"out"]
        assert len(died) >= len(names) - len(ignored)
        assert {result.exit_status for result in died} == {None}
        assert not any(result.ok for result in died)

    @clause("RUN-05")
    async def test_failure_is_an_error_only_when_asked(self, case: Case) -> None:
        """``check=True`` and ``check()`` raise with the whole result; success returns it."""
        script = sh("printf out; printf err >&2; exit 42")
        error = await failure(CommandFailedError, case.transport.run(script, check=True))
        assert error.result is not None
        assert error.result.exit_status == 42
        assert (error.result.stdout, error.result.stderr) == (b"out", b"err")
        assert error.delivery is Delivery.FINISHED
        result = await case.transport.run(script)
        assert result.exit_status == 42
        with pytest.raises(CommandFailedError) as later:
            result.check()
        assert later.value.result == result
        good = await case.transport.run(["true"], check=True)
        assert good.check() is good
        assert 0.0 < good.duration < 30.0

    @clause("RUN-06", about="shell")
    async def test_a_program_that_does_not_exist_is_an_error_of_its_own(self, case: Case) -> None:
        """By name, by absolute and by relative path: not found, and never a result."""
        where = case.remote("d")
        case.probe.make_dir(where)
        missing: list[str | bytes] = [
            "no-such-program-here",
            where + b"/missing",
            "./missing",
            b"no\xff'such $x",
        ]
        for program in missing:
            error = await failure(
                CommandNotFoundError, case.transport.run([program, "x"], cwd=where)
            )
            assert error.delivery is not Delivery.UNKNOWN, "it provably did not run"

    @clause("RUN-06", about="shell")
    async def test_a_program_that_cannot_be_executed_is_an_error_of_its_own(
        self, case: Case
    ) -> None:
        """A file without the permission and a directory exist, and cannot be run."""
        plain, folder = case.remote("plain"), case.remote("folder")
        case.probe.write(plain, b"#!/bin/sh\necho ran\n", 0o644)
        case.probe.make_dir(folder)
        for program in (plain, folder):
            error = await failure(CommandNotExecutableError, case.transport.run([program]))
            assert error.delivery is not Delivery.UNKNOWN, "it provably did not run"

    @clause("RUN-06", about="shell")
    async def test_a_directory_that_cannot_be_entered_is_an_error_of_its_own(
        self, case: Case
    ) -> None:
        """Missing, or a file: the command is not started anywhere else."""
        plain, trace = case.remote("plain"), case.remote("trace")
        case.probe.write(plain, b"")
        for place in (case.remote("missing"), plain, b"-", b"no/such"):
            call = case.transport.run(["touch", trace], cwd=place)
            error = await failure(WorkingDirectoryError, call)
            assert error.delivery is not Delivery.UNKNOWN, "it provably did not run"
        assert not present(case, trace), "the command ran in another directory"

    @clause("RUN-06", about="shell")
    async def test_a_program_that_talks_like_a_failed_start_is_a_result(self, case: Case) -> None:
        """Its own 127 and 126, with a shell's very words, are not taken for a failed start."""
        words = {
            127: "sh: 1: exec: tool: not found",
            126: "sh: 1: exec: tool: Permission denied",
            96: "sh: 1: cd: can't cd to /x",
        }
        for code, text in words.items():
            result = await case.transport.run(sh(f'echo "$1" >&2; exit {code}', text))
            assert result.exit_status == code
            assert result.stderr == text.encode() + b"\n"
        inner = await case.transport.run(sh("exec /no/such/program"))
        assert inner.exit_status == 127

    @clause("RUN-06")
    async def test_a_missing_program_leaves_the_transport_usable(self, case: Case) -> None:
        """After a command that did not start, the next one runs as if nothing had been."""
        await failure(CommandNotFoundError, case.transport.run(["no-such-program-here"]))
        assert (await case.transport.run(["printf", "on"])).stdout == b"on"
