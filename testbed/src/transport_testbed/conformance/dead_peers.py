"""Peers that answer no more, and a loop that only looked as if they did not (CONN-02)."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractContextManager

from transport_core import Capability, CommandTimeoutError, ConnectionLostError, Delivery, Transport

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause
from transport_testbed.conformance._target import HarnessError
from transport_testbed.conformance.samples import (
    SECONDS_TO_STOP,
    begun,
    everything_logged,
    failure,
    faults,
    sh,
)

HELD = (Capability.CONNECTION,)

_SLACK = 2.0
"""Seconds above the bound that a busy machine may take."""


class DeadPeersTests:
    """A peer that is dead is noticed, and one that is not is kept."""

    @clause("CONN-02", needs=HELD, offers=("freeze",), opened=False)
    async def test_a_dead_peer_is_noticed_with_and_without_a_call(self, case: Case) -> None:
        """A command in flight is lost within the bound; the next call finds a new connection."""
        await _noticed(case, faults(case).freeze())

    @clause("CONN-02", needs=HELD, offers=("freeze", "jump"), opened=False)
    async def test_a_dead_hop_is_noticed_with_and_without_a_call(self, case: Case) -> None:
        """What is reached through a hop is lost with it, and as soon."""
        await _noticed(case, faults(case).freeze_hop())

    @clause("CONN-02", needs=HELD, offers=("freeze",), opened=False)
    async def test_a_call_to_a_dead_peer_ends_within_the_bound(self, case: Case) -> None:
        """Begun while nobody knows yet, it is lost or served anew; closing is no slower."""
        transport = await _impatient(case)
        with faults(case).freeze():
            call = asyncio.create_task(transport.run(["true"]))
            await asyncio.wait({call}, timeout=_bound(case))
            assert call.done(), "the call waited longer than the bound"
            await asyncio.gather(call, return_exceptions=True)
            started = time.monotonic()
            await transport.aclose()
            closed = time.monotonic() - started
        assert closed < SECONDS_TO_STOP, "closing waited for a peer that is dead"

    @clause("CONN-02", "RUN-11", needs=HELD, offers=("freeze",))
    async def test_a_timeout_holds_at_a_dead_peer_and_so_does_closing(self, case: Case) -> None:
        """The call ends, without claiming that its command has; nor does closing wait for it."""
        for seconds in (1.0, 4.0, 10.0):
            # Its time begins later than this: what is frozen before then was alive at the call.
            over = time.monotonic() + seconds
            words = sh("sleep 20", case.marker)
            call = asyncio.create_task(case.transport.run(words, timeout=seconds))
            await _at_work(case, call)
            with faults(case).freeze():
                if not call.done() and time.monotonic() < over:
                    error = await failure(CommandTimeoutError, call)
                    late = time.monotonic() - over
                    await case.transport.aclose()
                    closed = time.monotonic() - over - late
                    break
            # On a slow place it was stopped before it was frozen, and may say so.
            await failure(CommandTimeoutError, call)
            assert time.monotonic() > over - 0.1 * seconds, "the timeout came early"
        else:
            raise HarnessError(f"freezing the place takes more than {seconds} s")
        assert late > -0.1 * seconds, "the timeout came early"
        assert late < SECONDS_TO_STOP, "the timeout waited for a peer that is dead"
        assert closed < SECONDS_TO_STOP, "closing waited for a peer that is dead"
        assert error.delivery is not Delivery.NOT_SENT
        assert error.stopped is not True, "it claims an end that nobody can have seen"

    @clause("CONN-02", needs=HELD, offers=("freeze", "login-counter"), opened=False)
    async def test_a_loop_that_stood_still_keeps_its_connection(self, case: Case) -> None:
        """A program that blocks its loop for longer than the bound finds the peer alive."""
        transport = await _impatient(case)
        # The peer may be starved for as long as that on a machine that is busy: hardly twice.
        for _ in range(2):
            before = case.probe.logins()
            # For long, and then again and again, with one turn of the loop in between.
            for share in (1.2, 0.4, 0.4, 0.4):
                _stand_still(share * _dead_after(case))
                await asyncio.sleep(0)
            assert (await transport.run(["printf", "on"])).stdout == b"on"
            if case.probe.logins() == before:
                return
        raise AssertionError("a living connection was given up, twice")


async def _noticed(case: Case, broken: AbstractContextManager[int]) -> None:
    """One transport is in a call, one is idle; nobody tells either that its peer is dead."""
    busy, idle = await _impatient(case), await _impatient(case)
    call = asyncio.create_task(busy.run(sh("sleep 20", case.marker)))
    await begun(case)
    with everything_logged() as logged, broken:
        await asyncio.wait({call}, timeout=_bound(case))
        assert call.done(), "a call in flight was not told within the bound"
        error = await failure(ConnectionLostError, call)
        if Capability.EVENTS in idle.capabilities:
            await case.eventually(
                lambda: sum("ConnectionLost(" in text for text in logged) >= 2, seconds=_SLACK
            )
        results = await asyncio.gather(*(each.run(["printf", "on"]) for each in (busy, idle)))
    assert error.delivery is Delivery.UNKNOWN
    assert [result.stdout for result in results] == [b"on", b"on"]


async def _at_work(case: Case, call: asyncio.Task[object]) -> None:
    """Wait until a command is seen from outside, or is over before that."""
    await case.eventually(lambda: call.done() or bool(case.probe.processes(case.marker)), 15.0)


async def _impatient(case: Case) -> Transport:
    """Return an open transport that is to notice a dead peer soon."""
    transport = case.make("impatient")
    await transport.__aenter__()
    assert (await transport.run(["printf", "on"])).stdout == b"on"
    return transport


def _stand_still(seconds: float) -> None:
    """Do what a host program does that is no friend of its loop."""
    time.sleep(seconds)


def _dead_after(case: Case) -> float:
    return float(case.target.as_variant("impatient").facts["dead_after"])


def _bound(case: Case) -> float:
    return _dead_after(case) + _SLACK
