"""The decorator of every test of the suite: which clause it proves, and what it needs for that.

Runs the test between the watchdogs. Must not decide what a skip is worth: _verdict does.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import pytest
from transport_core import Capability, Transport

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._target import Target
from transport_testbed.conformance._watch import LoopWatch, Traces

P = ParamSpec("P")
T = TypeVar("T")

PLACE = "transport_place"
"""Name of the fixture, on TransportConformance, that a test of the suite is run with."""

_IDENTIFIER = re.compile(r"[A-Z]+-[0-9]{2}")

_NEEDED = {"RUN": Capability.RUN, "FILE": Capability.FILES}
"""What the clauses of a section are about, and who does not declare it cannot be asked for."""

_SECONDS_TO_CLOSE = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """What a test says of itself."""

    ids: tuple[str, ...]
    needs: tuple[Capability, ...]
    offers: tuple[str, ...]
    opened: bool
    seconds: float
    about: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one test runs, and how its transport is made.

    Attributes:
        lag: Seconds that the transport may keep the event loop from running.
        not_claimed: Called, to skip, with what the transport does not declare.
    """

    target: Target
    build: Callable[[Target], Transport]
    local_dir: Path
    lag: float
    not_claimed: Callable[[str], None]


def clause(
    *ids: str,
    needs: Capability | tuple[Capability, ...] = (),
    offers: str | tuple[str, ...] = (),
    opened: bool = True,
    seconds: float = 30.0,
    about: str | tuple[str, ...] = (),
) -> Callable[
    [Callable[Concatenate[Any, Case, P], Awaitable[None]]], Callable[..., Awaitable[None]]
]:
    """Mark ``async def test_x(self, case: Case)`` as a proof of clauses of the contract.

    Args:
        ids: The clauses, such as ``"RUN-01"``.
        needs: What the transport must declare; otherwise the clause is "not claimed". A clause of
            commands (RUN) or files (FILE) needs that capability without being told.
        offers: What the target must offer; otherwise the clause is "not offered".
        opened: Whether ``case.transport`` is opened before the test.
        seconds: After which the test is taken to hang.
        about: The aspects that what it proves depends on, such as ``"shell"`` for the login shell:
            a place that differs from another in one aspect runs the tests about that only. A
            clause of files is about ``"files"`` without being told.
    """
    sections = {each.partition("-")[0] for each in ids}
    says = Clause(
        ids=_checked(ids),
        needs=_with(
            (needs,) if isinstance(needs, Capability) else tuple(needs),
            (_NEEDED[each] for each in _NEEDED if each in sections),
        ),
        offers=(offers,) if isinstance(offers, str) else tuple(offers),
        about=_with(
            (about,) if isinstance(about, str) else tuple(about),
            ("files",) if "FILE" in sections else (),
        ),
        opened=opened,
        seconds=seconds,
    )

    def decorate(test: Callable[Concatenate[Any, Case, P], Awaitable[None]]) -> Callable[..., Any]:
        @functools.wraps(test)
        async def within(self: Any, **given: Any) -> None:
            place: Place = given.pop(PLACE)
            await _run(says, place, functools.partial(test, self, **given))

        within.__signature__ = _signature(test)  # type: ignore[attr-defined]
        within.__clause__ = says  # type: ignore[attr-defined]
        # The explicit scope is what makes it run in a strict configuration too; the signal is a
        # last resort above our own limit, and ends the test without ending the process.
        last_resort = pytest.mark.timeout(seconds + 2 * _SECONDS_TO_CLOSE, method="signal")
        marked: Callable[..., Any] = last_resort(pytest.mark.asyncio(loop_scope="function")(within))
        return marked

    return decorate


def clause_of(test: object) -> Clause | None:
    """Return what a test of the suite says of itself; None for anything else."""
    found = getattr(test, "__clause__", None)
    return found if isinstance(found, Clause) else None


def _with(given: tuple[T, ...], more: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys((*more, *given)))


def _checked(ids: tuple[str, ...]) -> tuple[str, ...]:
    wrong = [each for each in ids if not _IDENTIFIER.fullmatch(each)]
    if wrong or not ids:
        message = f"a test names the clauses it proves, such as RUN-01; not {wrong or 'none'}"
        raise ValueError(message)
    return ids


def _signature(test: Callable[..., Any]) -> inspect.Signature:
    """The test's own, with the place where the case stands: pytest reads fixtures from it."""
    found = inspect.signature(test)
    own, case, *others = found.parameters.values()
    return found.replace(parameters=[own, case.replace(name=PLACE), *others])


async def _run(says: Clause, place: Place, test: Callable[[Case], Awaitable[None]]) -> None:
    """Open, test, close; then nothing of it may be left, and the loop was never blocked."""
    claimed = place.build(place.target).capabilities
    if missing := set(says.needs) - claimed:
        place.not_claimed(", ".join(sorted(each.value for each in missing)))
    case = Case(place.target, place.build, place.local_dir)
    traces = Traces.take()
    with LoopWatch(limit=place.lag) as watch:
        try:
            async with _limit(says.seconds, "the test"):
                if says.opened:
                    await case.open()
                await test(case)
        except BaseException as error:
            await _close_after(case, error)
            raise
        async with _limit(_SECONDS_TO_CLOSE, "closing"):
            await case.close()
        left = await traces.left()
        if not {"cut", "freeze"} & set(
            says.offers
        ):  # nobody can tidy up where nobody gets any more
            left += await case.left(processes=Capability.STOP in claimed)
    assert not left, "LIFE-05: left behind after closing: " + "; ".join(left)
    assert not watch.blocked, "LIFE-06: " + watch.blocked


async def _close_after(case: Case, error: BaseException) -> None:
    """Close after a failure: what goes wrong now is a note to it, not a failure instead of it."""
    try:
        async with _limit(_SECONDS_TO_CLOSE, "closing"):
            await case.close()
    except Exception as second:  # noqa: BLE001 - told, below the failure that matters
        error.add_note(f"and closing failed: {type(second).__name__}: {second}")


class _limit:  # noqa: N801 - reads as the function it stands for
    """Fail, rather than time out, what does not end; name it."""

    def __init__(self, seconds: float, what: str) -> None:
        self._seconds, self._what = seconds, what
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, *exc: Any) -> None:  # noqa: PYI036 - handed on as they are
        try:
            await self._timeout.__aexit__(*exc)
        except TimeoutError as error:
            if not self._timeout.expired():
                raise
            message = f"hangs: {self._what} did not end within {self._seconds:g} s"
            raise AssertionError(message) from error
