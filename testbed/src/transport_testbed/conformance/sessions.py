"""More calls than the server takes at once: they wait, fairly, and none fails (RUN-13)."""

from __future__ import annotations

import asyncio

from transport_core import Capability

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause
from transport_testbed.conformance.samples import content, present, sh, timed_out

_CALLERS = 100


class SessionsTests:
    """A crowd on one transport, where the server grants few sessions or only one."""

    @clause("RUN-13")
    async def test_more_commands_than_the_server_takes_at_once_all_succeed(
        self, case: Case
    ) -> None:
        """Calls beyond what is granted wait for their turn, and none fails or is mixed up."""
        calls = []
        for n in range(30):
            call = case.transport.run(sh('sleep 0.1; printf %s "$1"', f"{n}"))
            calls.append(asyncio.create_task(call))
            # Thirty starts in one turn of the loop would be the test's way of blocking it.
            await asyncio.sleep(0)
        results = await asyncio.gather(*calls, return_exceptions=True)
        wrong = {
            n: found
            for n, found in enumerate(results)
            if isinstance(found, BaseException) or found.stdout != b"%d" % n
        }
        assert not wrong

    @clause("RUN-13", about="sessions")
    async def test_no_caller_is_starved_by_the_others(self, case: Case) -> None:
        """Of callers who each call again and again, everyone gets a turn."""
        turns = [0] * 14

        async def call_again(caller: int) -> None:
            while sum(turns) < 60:
                await case.transport.run(sh("sleep 0.01"))
                turns[caller] += 1

        await asyncio.gather(*map(call_again, range(len(turns))))
        # At the end everyone had a call under way: a starved one has that and no more.
        assert min(turns) > 1, f"turns of each caller: {turns}"

    @clause("RUN-13", about="sessions")
    async def test_a_hundred_callers_at_once_are_all_served(self, case: Case) -> None:
        """Commands, puts and gets in one crowd: no errors, and everyone gets his own."""
        source = case.local("source")
        source.write_bytes(b"content")
        await case.transport.put(source, case.remote("there"))

        async def call(n: int) -> bytes:
            if n % 5 == 3:
                await case.transport.put(source, case.remote(f"put-{n}"))
                return content(case, case.remote(f"put-{n}"))
            if n % 5 == 4:
                await case.transport.get(case.remote("there"), case.local(f"got-{n}"))
                return case.local(f"got-{n}").read_bytes()
            return (await case.transport.run(["printf", "%s", f"{n}"])).stdout

        calls = []
        for n in range(_CALLERS):
            calls.append(asyncio.create_task(call(n)))
            await asyncio.sleep(0)  # as above
        found = await asyncio.gather(*calls, return_exceptions=True)
        wanted = [b"content" if n % 5 > 2 else b"%d" % n for n in range(_CALLERS)]
        assert found == wanted, [(f, w) for f, w in zip(found, wanted, strict=True) if f != w]

    @clause("RUN-13", about="sessions")
    async def test_a_command_gets_its_turn_among_transfers_without_end(self, case: Case) -> None:
        """Transfers that follow each other do not keep the one session from a command."""
        source = case.local("source")
        source.write_bytes(b"x")
        over = asyncio.Event()

        async def put_again(n: int) -> None:
            while not over.is_set():
                await case.transport.put(source, case.remote(f"{n}"))

        putting = [asyncio.create_task(put_again(n)) for n in range(3)]
        try:
            await case.eventually(lambda: present(case, case.remote("2")))
            call = asyncio.create_task(case.transport.run(["printf", "on"]))
            in_time, _ = await asyncio.wait({call}, timeout=5.0)
        finally:
            over.set()
            await asyncio.gather(*putting)
        result = await call
        assert in_time, "the command waited until there were no transfers"
        assert result.stdout == b"on"

    @clause("RUN-11", needs=(Capability.STOP,), about="sessions")
    async def test_a_timeout_ends_the_group_though_others_wait(self, case: Case) -> None:
        """Politely first, then its child that will not go; who has waited goes on."""
        tidy = case.remote("tidied")
        child = "(trap '' TERM; exec sleep 1000) &"
        begins = f'{child} echo begun; : > "$1"; sleep 1000 & wait'
        script = f"trap 'echo yes > \"$2\"; exit 0' TERM; {begins}"
        others: list[asyncio.Task[object]] = []

        async def crowded(seconds: float, ready: bytes) -> object:
            words = sh(script, ready, tidy, case.marker)
            late = asyncio.create_task(case.transport.run(words, timeout=seconds))
            await case.eventually(lambda: late.done() or present(case, ready), seconds=20.0)
            others.extend(asyncio.create_task(case.transport.run(["true"])) for _ in range(12))
            return await late

        error = await timed_out(case, crowded, 1.5)
        assert not case.probe.processes(case.marker), "processes that outlive the timeout"
        assert error.stopped
        assert error.result is not None
        assert error.result.stdout == b"begun\n"
        assert content(case, tidy) == b"yes\n"
        await asyncio.gather(*others)
