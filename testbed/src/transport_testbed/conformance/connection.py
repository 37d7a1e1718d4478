"""Transports that hold a connection: one login, losses, hops, events (CONN-01, 03, 05, 08)."""

from __future__ import annotations

import asyncio
import contextlib
import os

from transport_core import Capability, ConnectionLostError, Delivery

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause
from transport_testbed.conformance._target import HarnessError
from transport_testbed.conformance.samples import (
    begun,
    content,
    cut,
    everything_logged,
    failure,
    look,
    members,
    present,
    sh,
)

MIB = 1024 * 1024
HELD = (Capability.CONNECTION,)
HELD_RUN = (Capability.CONNECTION, Capability.RUN)


class ConnectionTests:
    """One connection for all calls, and a new one when it is lost."""

    @clause("CONN-01", needs=HELD_RUN, offers=("login-counter",), opened=False, about="files")
    async def test_all_calls_share_one_login(self, case: Case) -> None:
        """Many commands and transfers, one after another and at once, are one login."""
        source = case.local("source")
        source.write_bytes(b"x")
        before = case.probe.logins()
        async with case.make() as transport:
            await transport.run(["true"])
            await asyncio.gather(
                *(transport.run(["true"]) for _ in range(12)),
                *(transport.put(source, case.remote(f"f{n}")) for n in range(3)),
            )
            await transport.get(case.remote("f0"), case.local("back"))
        after = case.probe.logins()
        assert before is not None
        assert after is not None
        assert after - before == 1

    @clause("CONN-03", needs=HELD_RUN, offers=("cut",))
    async def test_a_call_in_flight_at_a_loss_is_lost_and_not_repeated(self, case: Case) -> None:
        """It fails with what is known, and the command is not sent a second time."""
        trace = case.remote("trace")
        script = sh('echo ran >> "$1"; sleep 20', trace, case.marker)
        call = asyncio.create_task(case.transport.run(script))
        await case.eventually(lambda: present(case, trace) and content(case, trace) == b"ran\n")
        with cut(case):
            error = await failure(ConnectionLostError, call)
        assert isinstance(error, ConnectionError)
        assert error.delivery is Delivery.UNKNOWN
        assert (await case.transport.run(["printf", "on"])).stdout == b"on"
        assert content(case, trace) == b"ran\n", "the command was repeated"

    @clause("CONN-03", needs=HELD_RUN, offers=("cut", "login-counter"))
    async def test_after_a_loss_all_that_wait_share_one_login(self, case: Case) -> None:
        """Ten calls that find the connection lost are served by one new login."""
        await case.transport.run(["true"])
        before = case.probe.logins()
        lost = asyncio.create_task(case.transport.run(sh("sleep 20", case.marker)))
        await begun(case)
        with cut(case):
            await failure(ConnectionLostError, lost)
        results = await asyncio.gather(
            *(case.transport.run(["printf", f"{n}"]) for n in range(10)), return_exceptions=True
        )
        after = case.probe.logins()
        wrong = [found for found in results if isinstance(found, BaseException)]
        assert not wrong
        assert before is not None
        assert after is not None
        assert after - before == 1

    @clause("CONN-03", "FILE-02", needs=HELD, offers=("cut",))
    async def test_a_transfer_in_flight_at_a_loss_leaves_nothing(self, case: Case) -> None:
        """A put that loses its connection is an error; neither a part nor a temporary name stays.

        What it could not remove any more is removed at the next login, where commands are allowed.
        """
        source, where = case.local("source"), case.remote("d")
        with source.open("wb") as file:
            file.truncate(32 * MIB)
        case.probe.make_dir(where)
        remote = os.path.join(where, b"file")
        tried: list[HarnessError | None] = []

        def lose(done: int, total: int | None) -> None:
            # Within the call: between two turns of the loop it might be over. One that tells of
            # the end only cannot be cut in time, and nothing is claimed of it.
            if not tried and done != total:
                tried.append(None)
                try:
                    with cut(case):
                        pass
                except HarnessError as error:  # not for the transport to hand on
                    tried[0] = error

        put = case.transport.put(source, remote, progress=lose)
        found = await asyncio.gather(put, return_exceptions=True)
        for failed in filter(None, tried):
            raise failed
        if isinstance(found[0], BaseException):
            assert isinstance(found[0], ConnectionError), repr(found[0])
        else:
            assert present(case, remote), "no error, and no file"
        assert not present(case, remote) or look(case, remote).st_size == 32 * MIB, "a part"
        if Capability.RUN in case.transport.capabilities:
            await case.transport.run(["true"])
            with contextlib.suppress(AssertionError):
                await case.eventually(lambda: members(case, where) <= {b"file"})
            assert members(case, where) <= {b"file"}

    @clause("LIFE-05", needs=(Capability.CONNECTION, Capability.STOP), offers=("cut",))
    async def test_what_a_loss_left_running_is_ended_after_the_next_login(self, case: Case) -> None:
        """A command whose connection broke does not run on once there is another one."""
        script = sh("sleep 1000 & sleep 1000", case.marker)
        lost = asyncio.create_task(
            case.transport.run(script, env={"CONFORMANCE_MARK": case.marker})
        )
        await begun(case)
        # It runs; what the other side says of that has come by the time that this one is over.
        await case.transport.run(["true"])
        with cut(case):
            await failure(ConnectionLostError, lost)
        assert (await case.transport.run(["printf", "on"])).stdout == b"on"
        with contextlib.suppress(AssertionError):
            await case.eventually(lambda: not case.probe.processes(case.marker))
        left = case.probe.processes(case.marker)
        assert not left, f"still running: {left}"

    @clause("LIFE-02", needs=HELD_RUN, offers=("cut",), opened=False)
    async def test_closing_after_a_loss_is_silent(self, case: Case) -> None:
        """A connection that is gone does not make closing fail, nor take long."""
        transport = case.make()
        await transport.__aenter__()
        call = asyncio.create_task(transport.run(sh("sleep 20", case.marker)))
        await begun(case)
        with cut(case):
            await failure(ConnectionLostError, call)
        try:
            await asyncio.wait_for(transport.aclose(), 10.0)
            await transport.aclose()
        except Exception as error:
            raise AssertionError(f"closing raised {error!r}") from error

    @clause("CONN-05", needs=HELD_RUN, offers=("jump", "isolated"))
    async def test_what_only_a_hop_reaches_is_reached_through_it(self, case: Case) -> None:
        """Commands and files pass the hop, many at once, as if it were not there."""
        source, back = case.local("source"), case.local("back")
        source.write_bytes(bytes(range(256)) * 4000)
        remote = case.remote("file")
        await case.transport.put(source, remote)
        await case.transport.get(remote, back)
        assert content(case, remote) == back.read_bytes() == source.read_bytes()
        results = await asyncio.gather(*(case.transport.run(["printf", f"{n}"]) for n in range(12)))
        assert [result.stdout for result in results] == [b"%d" % n for n in range(12)]

    @clause("CONN-05", needs=HELD_RUN, offers=("jump", "login-counter"), opened=False)
    async def test_a_hop_is_offered_nothing_of_the_target(self, case: Case) -> None:
        """The hop sees the key that is meant for it, and not the one that opens the target."""
        own, others = case.target.facts["hop_login_key"], case.target.facts["login_key"]
        before = [case.probe.offers_at_hop(key) for key in (own, others)]
        async with case.make() as transport:
            await transport.run(["true"])
        after = [case.probe.offers_at_hop(key) for key in (own, others)]
        assert after[0] != before[0], "the probe does not see what the hop is offered"
        assert after[1] == before[1], "the hop was offered the key of the target"

    @clause("CONN-08", needs=(*HELD_RUN, Capability.EVENTS), opened=False)
    async def test_what_happens_is_logged_as_typed_events(self, case: Case) -> None:
        """Connecting, commands and bytes are told to the one logger, in this order."""
        source = case.local("source")
        source.write_bytes(b"x")
        with everything_logged() as logged:
            async with case.make() as transport:
                await transport.run(["true"])
                await transport.put(source, case.remote("file"))
        ours = [text for text in logged if text.startswith("intercede.transport")]
        wanted = ["Connected(", "Authenticated(", "CommandStarted(", "CommandFinished("]
        wanted.append("BytesMoved(")
        first = [next((n for n, text in enumerate(ours) if name in text), -1) for name in wanted]
        assert -1 not in first, dict(zip(wanted, first, strict=True))
        assert first == sorted(first)
