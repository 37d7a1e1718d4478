"""A run and its verdict, for people: a table of clauses by subjects, and flat lists below it.

Builds text from values; must not know pytest, and opens no file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from shlex import quote
from typing import Any

from transport_core.authoring import escape

from transport_testbed.conformance._verdict import Row, Run, State, Verdict

_MARK = {
    State.FAILED: "F",
    State.ERROR: "E",
    State.PASSED: ".",
    State.NOT_CLAIMED: "c",
    State.NOT_OFFERED: "o",
}
"""In the order in which they win: a cell of the table is several tests."""

LEGEND = ". passed  F failed  w waived  E error of the testbed  c not claimed  o not offered"

_MANY = 12

_ORDER = ("LIFE", "RUN", "FILE", "ERR", "CONN", "DISC", "CAP")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a report says beside the verdict.

    Attributes:
        catalogue: Hash of which tests there are.
        seconds: The whole run, starting the stack included.
        nox: Whether the guest's project runs the suite by nox.
        options: What a run of one test has to be given as this one was, such as waivers.
    """

    suite: str
    catalogue: str
    seconds: float
    stack: Mapping[str, Any] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    nox: bool = False
    options: tuple[str, ...] = ()


def text(run: Run, verdict: Verdict, facts: Facts, *, width: int = 100) -> list[str]:
    """Return all of it, line by line."""
    return [
        *table(run, width=width),
        *left_out(run),
        *not_meant(run),
        *failures(run, facts),
        *(f"not green: {escape(each)}" for each in verdict.reasons),
        *(f"partial: {escape(each)}" for each in run.narrowed),
        *timings(facts),
        headline(run, verdict, facts),
    ]


def cells(run: Run) -> dict[str, dict[str, str]]:
    """Return one mark for each clause and subject that there is."""
    found: dict[str, dict[str, list[Row]]] = {}
    for row in run.rows:
        for clause in row.clauses:
            found.setdefault(clause, {}).setdefault(row.subject, []).append(row)
    return {
        clause: {subject: _mark(rows) for subject, rows in by_subject.items()}
        for clause, by_subject in sorted(found.items(), key=lambda item: clause_key(item[0]))
    }


def clause_key(clause: str) -> tuple[int, str]:
    """Sort clauses as the contract has them."""
    group = clause.partition("-")[0]
    return (_ORDER.index(group) if group in _ORDER else len(_ORDER), clause)


def _mark(rows: Iterable[Row]) -> str:
    states = {"w" if row.waiver else _MARK[row.state] for row in rows}
    return next(mark for mark in "FEw.co" if mark in states)


def table(run: Run, *, width: int) -> Iterator[str]:
    """Clauses by subjects; the subjects are numbered where their names take too much room."""
    subjects = run.subjects
    wide = 9 + sum(len(name) + 2 for name in subjects) > width
    heads = [str(n) for n, _ in enumerate(subjects, 1)] if wide else list(subjects)
    widths = [max(len(head), 2) for head in heads]
    yield f"{'':9}" + "  ".join(h.rjust(w) for h, w in zip(heads, widths, strict=True))
    for clause, marks in cells(run).items():
        shown = (marks.get(name, " ").rjust(w) for name, w in zip(subjects, widths, strict=True))
        yield f"{clause:9}" + "  ".join(shown).rstrip()
    yield LEGEND
    if wide:
        yield from (f"{n:>3}  {name}" for n, name in enumerate(subjects, 1))


def left_out(run: Run) -> Iterator[str]:
    """Everything that was skipped, by reason: a flat list, nothing hidden."""
    groups: dict[tuple[State, str], list[Row]] = {}
    for row in run.rows:
        if row.state in (State.NOT_CLAIMED, State.NOT_OFFERED):
            groups.setdefault((row.state, row.reason), []).append(row)
    for state, reason in sorted(groups, key=lambda each: (each[0].value, each[1])):
        yield f"{state.value}: {escape(reason)} {where(groups[state, reason], run.subjects)}"


def where(rows: Iterable[Row], every: tuple[str, ...]) -> str:
    """Name the subjects of rows, out of all that there are, and their clauses."""
    rows = tuple(rows)
    clauses = sorted({clause for row in rows for clause in row.clauses}, key=clause_key)
    many = f"{len(clauses)} clauses" if len(clauses) > _MANY else " ".join(clauses)
    return f"[{short({row.subject for row in rows}, every)}] {many}"


def not_meant(run: Run) -> Iterator[str]:
    """What was not run on a place that is there for something else."""
    notes: dict[str, set[str]] = {}
    for subject, plan in run.plans.items():
        if plan.note:
            notes.setdefault(plan.note, set()).add(subject)
    for note, subjects in notes.items():
        yield f"not meant for: {note} [{short(subjects, run.subjects)}]"


def short(mine: set[str], every: tuple[str, ...]) -> str:
    """Name the subjects, or say all, or all but a few."""
    rest = [name for name in every if name not in mine]
    if not rest:
        return "all subjects" if len(mine) > 1 else next(iter(mine))
    if len(rest) < len(mine):
        return f"all but {', '.join(rest)}"
    return ", ".join(name for name in every if name in mine)


def failures(run: Run, facts: Facts) -> Iterator[str]:
    """Everything that failed, and how to run it again."""
    for row in run.rows:
        if row.state not in (State.FAILED, State.ERROR):
            continue
        what = "waived" if row.waiver else row.state.value
        why = f" (waived: {escape(row.waiver)})" if row.waiver else ""
        clauses = " ".join(row.clauses)
        yield f"{what}: {row.subject} {clauses} {escape(row.variant)}: {escape(row.reason)}{why}"
        if not row.waiver:
            yield f"    {rerun(row, facts)}"


def rerun(row: Row, facts: Facts) -> str:
    """Return the command that runs a row alone."""
    # -m: what is in the current folder can be imported, as when a guest's project is not installed.
    command = "nox -s conformance --" if facts.nox else f"python3 -m pytest {quote(row.file)}"
    options = (f"-k {row.test}", f"--transport-targets {row.subject}", *map(quote, facts.options))
    return " ".join((command, *options))


def timings(facts: Facts) -> Iterator[str]:
    """One line on how long the stack took."""
    spent = facts.stack.get("timings")
    if spent:
        yield "stack: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in spent.items())
    if why := facts.stack.get("absent"):
        yield f"stack: {escape(why)}"


def headline(run: Run, verdict: Verdict, facts: Facts) -> str:
    """Return the one line that says it all."""
    counts = verdict.counts
    parts = [f"{counts['passed']} checks passed", f"{counts['failed']} failed"]
    parts += [f"{counts['waived']} waived"] if counts["waived"] else []
    parts += [f"{counts['not claimed']} not claimed", f"{counts['not offered']} not offered"]
    parts += [f"{counts['error']} errors"]
    subjects = f"{len(run.subjects)} subject{'s' * (len(run.subjects) != 1)}"
    return f"{verdict.word}: {', '.join([subjects, *parts])}; {about(facts)}"


def about(facts: Facts) -> str:
    """Say what a run was made with."""
    parts = [f"suite {facts.suite}", _stack(facts.stack), f"{facts.seconds:.1f} s"]
    return ", ".join(filter(None, parts))


def _stack(stack: Mapping[str, Any]) -> str:
    if not stack:
        return ""
    if "absent" in stack:
        return "no stack"
    names, found = {"openssh": "OpenSSH", "slurm": "Slurm"}, stack["versions"]
    versions = ", ".join(f"{names[key]} {found[key]}" for key in names if key in found)
    return f"stack {stack['provider']} ({versions})"


def printable(value: str) -> str:
    """Leave out what XML cannot hold; nothing of it should have come so far."""
    return re.sub(r"[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", value)
