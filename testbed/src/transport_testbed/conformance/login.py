"""Logging in: exactly what is configured, asked for anew each time (CONN-06).

The places differ in how one logs in to them; the tests are the same, looked at from the server.
"""

from __future__ import annotations

import asyncio

from transport_core import (
    AuthenticationError,
    Capability,
    ConnectionLostError,
    Delivery,
    Transport,
    TransportError,
)

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause
from transport_testbed.conformance._target import HarnessError
from transport_testbed.conformance.samples import begun, cut, everything_logged, failure, sh

HELD = (Capability.CONNECTION,)


def _seen(case: Case) -> tuple[int, int]:
    """Return what the server has let in and refused so far."""
    logins, refusals = case.probe.logins(), case.probe.refusals()
    if logins is None or refusals is None:
        raise HarnessError(f"{case.target.name} offers 'login-counter' and does not count")
    return logins, refusals


async def _lose(case: Case, number: int = 0) -> None:
    """End the connection of the test under a command, which is told from the one before."""
    marker = f"{case.marker}-{number}"
    lost = asyncio.create_task(case.transport.run(sh("sleep 20", marker)))
    await begun(case, marker)
    with cut(case):
        await failure(ConnectionLostError, lost)


async def _is_let_in(transport: Transport) -> None:
    """Run a command, for which the transport may have to log in."""
    try:
        result = await transport.run(["printf", "in"])
    except TransportError as error:
        raise AssertionError(f"not let in: {error}") from error
    assert result.stdout == b"in"


class LoginTests:
    """One way in, and no other is tried."""

    @clause("CONN-06", needs=HELD, offers=("login-counter",), opened=False, about="login")
    async def test_what_is_configured_logs_in_and_nothing_else_is_offered(self, case: Case) -> None:
        """One login, and the server has refused nothing on the way to it."""
        before = _seen(case)
        async with case.make() as transport:
            await _is_let_in(transport)
        logins, refusals = _seen(case)
        assert refusals == before[1], "something was offered that is not let in"
        assert logins == before[0] + 1

    @clause("CONN-06", needs=HELD, offers=("cut", "login-counter"), about="login")
    async def test_after_a_loss_it_logs_in_the_same_way(self, case: Case) -> None:
        """The new login is like the first: at once, and nothing else is offered."""
        before = _seen(case)
        await _lose(case)
        await _is_let_in(case.transport)
        logins, refusals = _seen(case)
        assert refusals == before[1], "something was offered that is not let in"
        assert logins == before[0] + 1

    @clause("CONN-06", needs=HELD, offers=("cut", "asked"), about="login")
    async def test_secrets_are_asked_for_anew_at_each_login(self, case: Case) -> None:
        """What was good once may not be good again: a code is not, and no copy of it is kept."""
        secret = case.target.facts["secret"]
        for number in range(2):
            asked = len(secret.given)
            await _lose(case, number)
            await _is_let_in(case.transport)
            assert len(secret.given) == asked + 1, "not asked once for each login"

    @clause("CONN-06", "ERR-01", needs=HELD, offers=("wrong", "login-counter"), opened=False,
            about="login")  # fmt: skip
    async def test_what_is_not_let_in_is_offered_once(self, case: Case) -> None:
        """An authentication error, at once: sites lock accounts after a few attempts."""
        before = _seen(case)
        error = await failure(AuthenticationError, case.make("wrong").__aenter__())
        logins, refusals = _seen(case)
        assert refusals == before[1] + 1, "not one attempt"
        assert logins == before[0]
        assert error.delivery is Delivery.NOT_SENT
        assert error.tried, "which methods were tried is not told"

    @clause("CONN-06", "ERR-05", needs=HELD, offers=("wrong", "asked"), opened=False,
            about="login")  # fmt: skip
    async def test_no_secret_is_in_what_a_login_tells(self, case: Case) -> None:
        """Neither a login that fails nor one that does not shows what was given for it."""
        with everything_logged() as logged:
            async with case.make() as transport:
                told = [repr(transport)]
            wrong = case.make("wrong")
            error = await failure(AuthenticationError, wrong.__aenter__())
        told += [repr(wrong), str(error), repr(error), str(error.__cause__), *logged]
        given = [
            *case.target.facts["secret"].given,
            *case.target.as_variant("wrong").facts["secret"].given,
        ]
        assert not [text for text in told for each in given if each in text]
