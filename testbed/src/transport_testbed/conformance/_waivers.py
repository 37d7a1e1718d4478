"""Known deviations, each with a reason, an issue and a last day; a stale one is a failure.

Knows files of waivers, and no tests.
"""

from __future__ import annotations

import datetime as dt
import os
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase

from transport_testbed.conformance._verdict import Row, State


class WaiverError(Exception):
    """A file of waivers cannot be used as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """Failures of one clause that are known.

    Attributes:
        clause: Such as ``"RUN-05"``.
        subject: Pattern of the subjects it is for.
        test: Pattern of the tests it is for.
        until: The last day on which it holds.
    """

    clause: str
    reason: str
    issue: str
    until: dt.date
    subject: str = "*"
    test: str = "*"

    def covers(self, subject: str, clauses: Iterable[str], test: str) -> bool:
        """Whether it is meant for this test."""
        return (
            self.clause in clauses
            and fnmatchcase(subject, self.subject)
            and fnmatchcase(test, self.test)
        )

    def __str__(self) -> str:
        return f"waiver of {self.clause} for {self.subject}, tests {self.test} ({self.issue})"


def read(path: str | os.PathLike[str]) -> tuple[Waiver, ...]:
    """Read a file of ``[[waiver]]`` tables.

    Raises:
        WaiverError: It cannot be read, or an entry lacks a part or has an unknown one.
    """
    try:
        with open(path, "rb") as file:
            found = tomllib.load(file)
    except (OSError, ValueError) as error:
        raise WaiverError(f"waivers {os.fspath(path)}: {error}") from error
    unknown = set(found) - {"waiver"}
    entries = found.get("waiver", [])
    if unknown or not isinstance(entries, list):
        raise WaiverError(f"waivers {os.fspath(path)}: only [[waiver]] tables, not {unknown}")
    return tuple(_entry(entry, f"waiver {n}") for n, entry in enumerate(entries, 1))


def _entry(entry: dict[str, object], where: str) -> Waiver:
    known = {each.name for each in fields(Waiver)}
    missing = {"clause", "reason", "issue", "until"} - set(entry)
    if missing or set(entry) - known:
        raise WaiverError(
            f"{where}: missing {sorted(missing)}, unknown {sorted(set(entry) - known)};"
            f" the parts are {sorted(known)}"
        )
    wrong = [name for name in known - {"until"} if not isinstance(entry.get(name, ""), str)]
    if wrong or type(entry["until"]) is not dt.date:
        raise WaiverError(f"{where}: {wrong or 'until'}: texts, and a date such as 2027-01-31")
    return Waiver(**entry)  # type: ignore[arg-type]


def waived(
    waivers: Sequence[Waiver], subject: str, clauses: Sequence[str], test: str,
    *, today: dt.date,
) -> str:  # fmt: skip
    """Return why a failure of this test is put up with; empty if it is not."""
    valid = (each for each in waivers if each.until >= today)
    found = next((each for each in valid if each.covers(subject, clauses, test)), None)
    return f"{found.reason} ({found.issue}, until {found.until})" if found else ""


def stale(
    waivers: Sequence[Waiver], rows: Sequence[Row], *, today: dt.date, whole: bool
) -> tuple[str, ...]:
    """Return what is wrong with the waivers after a run; *whole* if nothing was left out of it."""
    problems = []
    for each in waivers:
        mine = [row for row in rows if each.covers(row.subject, row.clauses, row.test)]
        if each.until < today:
            problems.append(f"{each}: expired on {each.until}")
        elif not mine and whole:
            problems.append(f"{each}: matches no test")
        elif mine and all(row.state is State.PASSED for row in mine):
            problems.append(f"{each}: what it waives passes; take it out")
    return tuple(problems)
