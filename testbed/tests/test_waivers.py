"""Waivers: what a file may hold, what they cover, and when they are stale."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from transport_testbed.conformance._verdict import Row, State
from transport_testbed.conformance._waivers import Waiver, WaiverError, read, stale, waived

TODAY = dt.date(2026, 6, 1)
GOOD = """
[[waiver]]
clause = "RUN-05"
subject = "ssh@*"
reason = "server hides signals"
issue = "https://example.org/1"
until = 2026-12-31
"""


def waiver(**more: str) -> Waiver:
    """One that holds today."""
    return Waiver(clause="RUN-05", reason="r", issue="i", until=dt.date(2026, 6, 1), **more)


def row(state: State = State.FAILED, subject: str = "ssh@jump") -> Row:
    """One row that it may cover."""
    return Row(
        subject=subject, section="S", clauses=("RUN-05", "RUN-06"), test="test_x",
        variant="test_x", state=state,
    )  # fmt: skip


def test_a_file_is_read(tmp_path: Path) -> None:
    """Every part arrives; the subject may be left out."""
    (tmp_path / "w.toml").write_text(GOOD + GOOD.replace('subject = "ssh@*"\n', ""))
    first, second = read(tmp_path / "w.toml")
    assert (first.clause, first.subject, first.until) == ("RUN-05", "ssh@*", dt.date(2026, 12, 31))
    assert second.subject == "*"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('reason = "server hides signals"\n', "", "reason"),
        ("until = 2026-12-31", 'until = "2026-12-31"', "until"),
        ("until = 2026-12-31", "until = 2026-12-31T00:00:00", "until"),
        ("clause =", "klause =", "klause"),
        ("[[waiver]]", "[[waivers]]", "waivers"),
        ("[[waiver]]", "[[", "w.toml"),
        ('"RUN-05"', "5", "clause"),
    ],
)
def test_a_file_that_says_less_or_other_is_refused(
    tmp_path: Path, before: str, after: str, said: str
) -> None:
    """A waiver without a reason, an issue or a last day is none; a misspelt part is told."""
    (tmp_path / "w.toml").write_text(GOOD.replace(before, after))
    with pytest.raises(WaiverError, match=said):
        read(tmp_path / "w.toml")
    with pytest.raises(WaiverError, match="missing"):
        read(tmp_path / "missing.toml")


def test_what_is_covered() -> None:
    """Clause, subject and test have to match, and the day must not be over."""

    def why(given: Waiver, today: dt.date = TODAY) -> str:
        return waived([given], "ssh@jump", ("RUN-05",), "test_x", today=today)

    assert why(waiver()) == "r (i, until 2026-06-01)"
    assert why(waiver(subject="ssh@*", test="test_x*"))
    assert not why(waiver(subject="local@*"))
    assert not why(waiver(test="test_y"))
    assert not why(waiver(), TODAY + dt.timedelta(days=1))


def test_stale_ones() -> None:
    """Expired, matching nothing, or passing; a partial run may miss what it would match."""
    later = TODAY + dt.timedelta(days=1)
    passed, failed = row(State.PASSED), row()
    assert stale([waiver()], [failed, passed], today=TODAY, whole=True) == ()
    assert "expired" in stale([waiver()], [failed], today=later, whole=True)[0]
    assert "matches no test" in stale([waiver()], [], today=TODAY, whole=True)[0]
    assert stale([waiver()], [], today=TODAY, whole=False) == ()
    assert "passes" in stale([waiver()], [passed], today=TODAY, whole=False)[0]
