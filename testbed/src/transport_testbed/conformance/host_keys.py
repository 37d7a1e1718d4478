"""Servers whose host key is pinned, in many ways, and those whose key is not (CONN-04, CONN-05)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from transport_core import (
    Capability,
    ConnectivityError,
    Delivery,
    HostKeyError,
    TransportClosedError,
)

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause
from transport_testbed.conformance.samples import cut, failure, faults

HELD = (Capability.CONNECTION,)

ACCEPTED = (
    "hashed name",
    "wildcards",
    "a negation of another",
    "signed by the authority",
    "an old key beside it",
    "revoked keys of others",
    "malformed lines before it",
    "comments and blank lines",
)
"""Variants of a place that pin the key which its server shows."""

REFUSED: Mapping[str, str] = {
    "no pins": "unknown",
    "pinned in a comment": "unknown",
    "pinned for another port": "unknown",
    "pinned for no port": "unknown",
    "negated name": "unknown",
    "changed": "changed",
    "authority as a plain pin": "changed",
    "revoked": "revoked",
    "revoked, signed by the authority": "revoked",
}
"""Variants that do not, and why not."""

REFUSED_AUTHORITY: Mapping[str, str] = {
    "revoked authority": "revoked",
    "another authority": "changed",
}
"""Variants whose authority is at fault: it is the key that is shown in the error."""


class HostKeysTests:
    """Whose host key is not the pinned one is told nothing."""

    @clause("CONN-04", needs=HELD, offers=("host-keys",), opened=False)
    async def test_a_pinned_host_key_is_found_however_it_is_written(self, case: Case) -> None:
        """Hashed names, patterns, negations, authorities; malformed lines do not matter."""
        await _accepted(case, ACCEPTED)

    @clause("CONN-04", "CONN-05", needs=HELD, offers=("host-keys", "jump"), opened=False)
    async def test_the_host_key_of_a_hop_is_pinned_like_any_other(self, case: Case) -> None:
        """A hop has known hosts of its own, and the same ways to write them."""
        await _accepted(case, [f"{each}, at the hop" for each in ACCEPTED])

    @clause(
        "CONN-04", "ERR-01", needs=HELD, offers=("host-keys", "login-counter"), opened=False,
    )  # fmt: skip
    async def test_a_host_key_that_is_not_pinned_is_refused(self, case: Case) -> None:
        """Unknown, changed and revoked are told apart; nobody has tried to log in by then."""
        before = case.probe.attempts()
        assert before is not None
        for variant, reason in {**REFUSED, **REFUSED_AUTHORITY}.items():
            error = await _refused(case, variant, reason)
            if variant in REFUSED:
                assert error.seen == case.target.facts["host_key"], variant
        assert case.probe.attempts() == before, "who was not known was told who we are"

    @clause(
        "CONN-04", "CONN-05", needs=HELD, offers=("host-keys", "jump", "login-counter"),
        opened=False,
    )  # fmt: skip
    async def test_a_host_key_that_is_not_pinned_is_refused_at_a_hop(self, case: Case) -> None:
        """It is checked at every hop, and the error says at which; nothing is sent to either."""
        target = await _refused(case, "changed", "changed")
        before = (case.probe.attempts(), case.probe.attempts_at_hop())
        assert None not in before
        for variant, reason in REFUSED.items():
            name = f"{variant}, at the hop"
            error = await _refused(case, name, reason)
            assert error.seen == case.target.as_variant(name).facts["host_key"], name
            assert error.hop != target.hop, f"{name}: the error does not tell the hops apart"
        after = (case.probe.attempts(), case.probe.attempts_at_hop())
        assert after == before, "who was not known was told who we are"

    @clause("CONN-04", needs=HELD, offers=("host-keys", "new-host-key", "cut"))
    async def test_the_host_key_is_checked_at_every_reconnect(self, case: Case) -> None:
        """A server that comes back with another key is refused, as long as it shows that one."""
        await case.transport.run(["true"])
        with faults(case).new_host_key():
            with cut(case):
                pass
            before = case.probe.attempts()
            error = await failure(HostKeyError, case.transport.run(["true"]))
            assert case.probe.attempts() == before, "who was not known was told who we are"
        assert error.reason == "changed"
        assert error.delivery is Delivery.NOT_SENT
        assert error.expected == (case.target.facts["host_key"],)
        assert error.seen not in (None, *error.expected)
        assert (await case.transport.run(["printf", "back"])).stdout == b"back"

    @clause("CONN-05", "ERR-01", needs=HELD, offers=("host-keys", "jump"), opened=False)
    async def test_a_target_that_a_hop_cannot_reach_is_named(self, case: Case) -> None:
        """It is no failure of the hop, and the error names the target."""
        transport = case.make("nothing behind the hop")
        error = await failure(ConnectivityError, transport.__aenter__())
        assert error.delivery is Delivery.NOT_SENT
        assert error.hop, "the error names no hop"
        other = await _refused(case, "changed, at the hop", "changed")
        assert error.hop != other.hop, "the error names the hop that is there"


async def _accepted(case: Case, variants: Iterable[str]) -> None:
    for variant in variants:
        try:
            async with case.make(variant) as transport:
                assert (await transport.run(["printf", "in"])).stdout == b"in"
        except HostKeyError as error:
            raise AssertionError(f"refused, and pinned all the same: {variant}: {error}") from error


async def _refused(case: Case, variant: str, reason: str) -> HostKeyError:
    """Return the error of a variant that must be refused, and be closed afterwards."""
    transport = case.make(variant)
    found = await asyncio.gather(transport.__aenter__(), return_exceptions=True)
    error = found[0]
    assert isinstance(error, HostKeyError), f"{variant}: not refused as a host key: {error!r}"
    assert error.reason == reason, variant
    assert error.delivery is Delivery.NOT_SENT, variant
    assert error.seen, f"{variant}: the error does not say what was seen"
    assert error.hop, f"{variant}: the error names no hop"
    expected = reason == "changed"
    assert bool(error.expected) == expected or not expected, f"{variant}: nothing was expected"
    assert all(each in str(error) for each in (error.seen, *error.expected)), f"{variant}: {error}"
    await failure(TransportClosedError, transport.run(["true"]))
    return error
