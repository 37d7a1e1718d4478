"""Stopping commands, those that stay, and many at once (RUN-11, 12, 13; LIFE-05)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from functools import partial

from transport_core import Capability, CommandTimeoutError

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause
from transport_testbed.conformance.samples import (
    DETACHED,
    SECONDS_TO_STOP,
    begun,
    content,
    failure,
    gone,
    sh,
    stayed,
    timed_out,
)

TREES = {
    "a child in the background": "sleep 1000 & sleep 1000",
    "a grandchild": "sh -c 'sleep 1000 & wait' & wait",
    "children whose parent has gone": "sleep 1000 & sleep 1000 & exit 0",
    "a pipeline": "sleep 1000 | cat",
}
"""Process trees of which nothing may be left; the marker is in their environment."""


def _left(case: Case, marks: dict[str, str]) -> dict[str, list[int]]:
    left = {name: list(case.probe.processes(mark)) for name, mark in marks.items()}
    return {name: pids for name, pids in left.items() if pids}


class RunStopTests:
    """When a call is over, so is its command."""

    @clause("RUN-11", needs=(Capability.STOP,), about="shell")
    async def test_a_timeout_ends_the_whole_process_group(self, case: Case) -> None:
        """At the time of the error nothing of the tree is left, and the output is kept."""
        marks = {name: f"{case.marker}-{index}" for index, name in enumerate(TREES)}

        def tree(name: str, seconds: float, ready: bytes) -> Awaitable[object]:
            script = f'echo begun; echo err >&2; : > "$1"; {TREES[name]}'
            return case.transport.run(
                sh(script, ready, marks[name]),
                env={"CONFORMANCE_MARK": marks[name]},
                timeout=seconds,
            )

        errors = await asyncio.gather(
            *(timed_out(case, partial(tree, name), 1.0) for name in TREES)
        )
        assert not _left(case, marks), "processes that outlive the timeout"
        for name, error in zip(TREES, errors, strict=True):
            assert isinstance(error, TimeoutError)
            assert error.stopped, name
            assert error.result is not None, name
            assert (error.result.stdout, error.result.stderr) == (b"begun\n", b"err\n"), name

    @clause("RUN-11", needs=(Capability.STOP,))
    async def test_a_timeout_ends_what_ignores_a_polite_request(self, case: Case) -> None:
        """After TERM and a grace comes KILL; a polite program has had the time to tidy up."""
        tidy = case.remote("tidied")

        def stubborn(seconds: float, ready: bytes) -> Awaitable[object]:
            script = "trap '' TERM HUP INT; : > \"$1\"; sleep 1000; sleep 1000"
            return case.transport.run(sh(script, ready, case.marker), timeout=seconds)

        def polite(seconds: float, ready: bytes) -> Awaitable[object]:
            script = 'trap \'echo yes > "$2"; exit 0\' TERM; : > "$1"; sleep 1000 & wait'
            return case.transport.run(sh(script, ready, tidy, case.marker), timeout=seconds)

        await asyncio.gather(timed_out(case, stubborn, 0.5), timed_out(case, polite, 0.5))
        assert not case.probe.processes(case.marker)
        assert content(case, tidy) == b"yes\n"

    @clause("RUN-11", needs=(Capability.STOP,))
    async def test_a_timeout_counts_all_waiting(self, case: Case) -> None:
        """Input that nobody reads does not keep a timeout from being kept."""
        call = case.transport.run(
            sh("sleep 1000", case.marker), stdin=b"x" * (8 * 1024 * 1024), timeout=0.3
        )
        started = time.monotonic()
        await failure(CommandTimeoutError, call)
        assert time.monotonic() - started < 0.3 + SECONDS_TO_STOP
        assert not case.probe.processes(case.marker)

    @clause("RUN-11", needs=(Capability.STOP,), about="shell")
    async def test_cancelling_ends_the_whole_process_group(self, case: Case) -> None:
        """Cancelling a call ends its command first, and is then let through."""
        marks = {name: f"{case.marker}-{index}" for index, name in enumerate(TREES)}
        calls = [
            asyncio.create_task(
                case.transport.run(sh(TREES[name], mark), env={"CONFORMANCE_MARK": mark})
            )
            for name, mark in marks.items()
        ]
        for mark in marks.values():
            await begun(case, mark)
        for call in calls:
            call.cancel()
        await asyncio.gather(*(failure(asyncio.CancelledError, call) for call in calls))
        assert not _left(case, marks), "processes that outlive the cancellation"

    @clause("RUN-11", needs=(Capability.STOP,))
    async def test_cancelling_at_any_moment_leaves_nothing(self, case: Case) -> None:
        """Before, while and just after a command starts, a cancelled call leaves no process."""
        for milliseconds in (0, 1, 3, 6, 10):
            call = asyncio.create_task(case.transport.run(sh("sleep 1000", case.marker)))
            await asyncio.sleep(milliseconds / 1000)
            call.cancel()
            await failure(asyncio.CancelledError, call)
        # A command that was on its way when its call ended may be seen for an instant.
        await gone(case)
        assert (await case.transport.run(["printf", "on"])).stdout == b"on"

    @clause("RUN-12", about="shell")
    async def test_a_background_child_does_not_delay_the_result(self, case: Case) -> None:
        """A child whose streams are redirected stays behind; the call is over without it."""
        end, started = case.remote(), time.monotonic()
        await case.transport.run(
            sh(DETACHED, end), env={"CONFORMANCE_MARK": case.marker}, timeout=20.0
        )
        assert time.monotonic() - started < 10.0
        assert await stayed(case, end), "the child did not stay"

    @clause("LIFE-05", needs=Capability.RUN, opened=False)
    async def test_a_detached_child_outlives_run_and_close(self, case: Case) -> None:
        """A child that a finished command has detached belongs to the user, not to us."""
        end = case.remote()
        async with case.make() as transport:
            await transport.run(sh(DETACHED, end), env={"CONFORMANCE_MARK": case.marker})
        assert await stayed(case, end), "closing ended a child that belongs to the user"

    @clause("LIFE-05", needs=Capability.RUN, opened=False)
    async def test_nothing_is_left_after_failures(self, case: Case) -> None:
        """After successes and errors of every kind, no process and no file of ours is left."""
        source = case.local("source")
        source.write_bytes(b"x")
        async with case.make() as transport:
            await transport.put(source, case.remote("there"))
            calls = {
                "no program": transport.run(["/no/such/program", case.marker]),
                "no directory": transport.run(["true", case.marker], cwd="/no/such/place"),
                "exit 3": transport.run(sh("exit 3", case.marker), check=True),
                "no source": transport.get(case.remote("missing"), case.local("missing")),
            }
            found = await asyncio.gather(*calls.values(), return_exceptions=True)
            pending = asyncio.create_task(transport.run(sh("sleep 5", case.marker)))
            await begun(case)
        await asyncio.gather(pending, return_exceptions=True)
        wrong = [n for n, each in zip(calls, found, strict=True) if not isinstance(each, Exception)]
        assert not wrong, f"these did not fail: {wrong}"
        await gone(case, seconds=3.0)
