"""From what every test came to, whether the transports conform: a pure function of rows.

Must not know pytest, files or terminals.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field


class State(enum.Enum):
    """What one test of one subject came to."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CLAIMED = "not claimed"
    """The transport does not declare what the clause needs."""
    NOT_OFFERED = "not offered"
    """The place does not have what the clause needs."""
    ERROR = "error"
    """The testbed failed: says nothing about the transport."""


EXECUTED = frozenset({State.PASSED, State.FAILED})

GREEN, RED, BROKEN, EMPTY = 0, 1, 3, 5
"""Exit codes, where pytest has the same ones: passed, failed, internal error, nothing run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One test of one subject.

    Attributes:
        subject: Such as ``"ssh@jump"``.
        section: Name of the class of the suite.
        variant: Name of the test with its parameters.
        reason: Of anything but a pass, in one line.
        waiver: Why a failure is put up with; empty if it is not.
        seconds: All phases.
        file: Of the guest's test, to run it again.
    """

    subject: str
    section: str
    clauses: tuple[str, ...]
    test: str
    variant: str
    state: State
    reason: str = ""
    waiver: str = ""
    seconds: float = 0.0
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What should have run for one subject.

    Attributes:
        tests: Number of tests that were collected.
        sections: Whether a section has tests that every transport must run everywhere.
        note: What was not meant to run there, and why.
    """

    tests: int
    sections: Mapping[str, bool]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A whole run.

    Attributes:
        narrowed: Why not everything was run, where that was asked for.
        unfinished: Why not everything was run, where nobody asked for that.
        problems: What is wrong with the run itself: deleted tests, stale waivers.
    """

    rows: tuple[Row, ...] = ()
    plans: Mapping[str, Plan] = field(default_factory=dict)
    narrowed: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def subjects(self) -> tuple[str, ...]:
        """All, in the order in which they were planned."""
        return tuple(dict.fromkeys([*self.plans, *(row.subject for row in self.rows)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the run is green, and why it is not."""

    word: str
    exit_code: int
    reasons: tuple[str, ...]
    counts: Mapping[str, int]

    @property
    def ok(self) -> bool:
        """Whether the run is green."""
        return self.exit_code == GREEN


def verdict(run: Run) -> Verdict:
    """Judge. Green is earned by tests that ran: neither skips nor silence count."""
    counts = _counts(run.rows)
    gaps = run.unfinished or _gaps(run)
    reasons = [*run.problems, *gaps]
    if counts["failed"]:
        reasons.insert(0, f"{counts['failed']} failed")
    if counts["error"]:
        reasons.append(f"{counts['error']} errors of the testbed, of which nothing follows")
    executed = counts["passed"] + counts["failed"] + counts["waived"]
    if not executed:
        reasons.append("nothing was executed" if run.subjects else "there were no subjects")
    word, code = _word(run, counts, executed=executed, gaps=bool(gaps))
    return Verdict(word=word, exit_code=code, reasons=tuple(reasons), counts=counts)


def _word(run: Run, counts: Mapping[str, int], *, executed: int, gaps: bool) -> tuple[str, int]:
    if counts["failed"] or run.problems:
        return "NOT CONFORMANT", RED
    if counts["error"]:
        return "NO VERDICT", BROKEN
    if not executed:
        return "NO VERDICT", EMPTY
    if gaps:
        return "NO VERDICT", RED
    waived = counts["waived"]
    suffix = f" with {waived} waived failure{'s' * (waived > 1)}" if waived else ""
    return ("PARTIAL" if run.narrowed else "CONFORMANT") + suffix, GREEN


def _counts(rows: Iterable[Row]) -> dict[str, int]:
    found = Counter("waived" if row.waiver else row.state.value for row in rows)
    return {name: found[name] for name in (*(state.value for state in State), "waived")}


def _gaps(run: Run) -> tuple[str, ...]:
    """What did not run although nobody asked to leave it out."""
    return () if run.narrowed else tuple(gap for each in run.plans for gap in _gaps_of(run, each))


def _gaps_of(run: Run, subject: str) -> Iterator[str]:
    plan = run.plans[subject]
    rows = [row for row in run.rows if row.subject == subject]
    if len(rows) < plan.tests:
        yield f"{subject}: {plan.tests - len(rows)} of {plan.tests} tests did not report"
    if any(row.state is State.ERROR for row in rows):
        return  # told as errors; what they kept from running is no gap of its own
    if not any(row.state in EXECUTED for row in rows):
        why = next((f": {row.reason}" for row in rows if row.reason), "")
        yield f"{subject}: nothing was executed{why}"
        return
    executed = {row.section for row in rows if row.state in EXECUTED}
    for section, must in plan.sections.items():
        if must and section not in executed:
            yield f"{subject}: no test of section {section} was executed"
