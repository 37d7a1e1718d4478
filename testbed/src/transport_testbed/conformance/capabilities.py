"""What a transport claims, and what it denies (CAP-01)."""

from __future__ import annotations

import asyncio
import os

from transport_core import Capability, Delivery, UnsupportedOperationError

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause
from transport_testbed.conformance.samples import failure, mode_of, present, sh

_STRUCTURE = {
    Capability.STREAMING: ("stream",),
    Capability.FILE_OPERATIONS: ("stat", "scandir", "mkdir", "remove", "rename"),
}
"""Capabilities whose methods are there or not."""


class CapabilitiesTests:
    """Every skip of this suite rests on a claim, so the claims are tested."""

    @clause("CAP-01", opened=False)
    async def test_the_minimum_is_claimed(self, case: Case) -> None:
        """Less than the place's category asks for is no transport; claims do not change."""
        transport = case.make()
        claimed = transport.capabilities
        assert isinstance(claimed, frozenset)
        assert all(isinstance(one, Capability) for one in claimed)
        minimum = case.target.minimum
        assert claimed >= minimum, f"not claimed: {minimum - claimed}"
        async with transport:
            assert transport.capabilities == claimed

    @clause("CAP-01", opened=False)
    async def test_methods_are_there_exactly_where_they_are_claimed(self, case: Case) -> None:
        """Optional protocols are claimed if and only if their methods exist."""
        transport = case.make()
        wrong = []
        for capability, methods in _STRUCTURE.items():
            there = [name for name in methods if callable(getattr(transport, name, None))]
            claimed = capability in transport.capabilities
            if capability is Capability.STREAMING and Capability.RUN not in transport.capabilities:
                continue  # a class keeps its methods where a place grants files alone
            if there != (list(methods) if claimed else []):
                wrong.append(f"{capability.value}: claimed {claimed}, methods {there}")
        assert not wrong, "; ".join(wrong)

    @clause("CAP-01")
    async def test_what_is_denied_is_not_done(self, case: Case) -> None:
        """A capability that works and is denied would hide its clauses from this suite."""
        denied = set(Capability) - case.transport.capabilities
        runs = Capability.RUN not in denied
        done = [] if runs else await _commands(case)
        if runs and Capability.SIGNALS in denied:
            result = await case.transport.run(sh("kill -s TERM $$; sleep 5"))
            done += ["signals"] if result.exit_signal is not None else []
        if Capability.MODES in denied:
            source, remote = case.local("source"), case.remote("file")
            source.write_bytes(b"x")
            await asyncio.gather(
                case.transport.put(source, remote, mode=0o613), return_exceptions=True
            )
            done += ["modes"] if present(case, remote) and mode_of(case, remote) == 0o613 else []
        if Capability.SYMLINKS in denied:
            tree, remote = case.local("tree"), case.remote("tree")
            tree.mkdir()
            (tree / "link").symlink_to("target")
            (tree / "target").write_bytes(b"x")
            await asyncio.gather(case.transport.put(tree, remote), return_exceptions=True)
            done += ["symlinks"] if _kept(case, remote) else []
        if runs and Capability.STOP in denied:
            call = case.transport.run(sh("sleep 3 & sleep 3", case.marker), timeout=0.3)
            await asyncio.gather(call, return_exceptions=True)
            done += ["stop"] if not case.probe.processes(case.marker) else []
        assert not done, f"denied, and done all the same: {', '.join(done)}"


async def _commands(case: Case) -> list[str]:
    """Try what is denied; it must be refused as such, and leave no trace."""
    trace = case.remote("trace")
    call = case.transport.run(["touch", trace], timeout=10.0)
    error = await failure(UnsupportedOperationError, call)
    assert error.delivery is Delivery.NOT_SENT, "nothing ran, and it does not say so"
    return ["run"] if present(case, trace) else []


def _kept(case: Case, tree: bytes) -> bool:
    """Return whether a link arrived as a link."""
    try:
        return os.fsencode(case.probe.readlink(tree + b"/link")) == b"target"
    except OSError:
        return False
