"""Several reports beside each other: one table, and what came out differently, with its reason.

Builds text from values and judges no test again; must not know pytest, nor any stack.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from transport_core.authoring import escape

from transport_testbed._reports import Report
from transport_testbed.conformance._report import about, short, where
from transport_testbed.conformance._verdict import Row, Run, State, verdict

HEAD = ("subject", "passed", "failed", "waived", "errors", "not claimed", "not offered", "report")
_COUNTS = ("passed", "failed", "waived", "error", "not claimed", "not offered")
_NOT_RUN = "not run"
_LEFT_OUT = frozenset({State.NOT_CLAIMED.value, State.NOT_OFFERED.value, _NOT_RUN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One test of one subject that did not come to the same everywhere.

    Attributes:
        told: What it came to, report by report.
        explained: Whether reasons that the reports have leave nothing that differs.
    """

    row: Row
    told: str
    explained: bool


def text(reports: Sequence[Report]) -> tuple[list[str], bool]:
    """Return all of it, line by line, and whether it is green."""
    rest, ok = _findings(reports)
    lines = [*_heads(reports), "", *_aligned(list(table(reports))), "", *rest]
    return [escape(line, len(line)) for line in lines], ok


def markdown(reports: Sequence[Report]) -> str:
    """Return the same as Markdown."""
    rest, _ = _findings(reports)
    lines = [f"- {_code(line)}" for line in _heads(reports)] + [""]
    for n, cells in enumerate(table(reports)):
        lines.append(f"| {' | '.join(escape(cell).replace('|', '/') for cell in cells)} |")
        lines += [f"|---|{'--:|' * len(_COUNTS)}---|"] if n == 0 else []
    lines += ["", *(f"- {_code(line)}" for line in rest[:-1]), "", f"**{escape(rest[-1])}**"]
    return "\n".join(lines) + "\n"


def _code(line: str) -> str:
    return f"`{escape(line, len(line)).replace('`', chr(39))}`"


def _heads(reports: Iterable[Report]) -> Iterator[str]:
    for each in reports:
        yield f"{each.name}: {each.word}; {about(each.facts)}"
        yield from (f"{each.name}: not green: {reason}" for reason in each.reasons)
        yield from (f"{each.name}: partial: {asked}" for asked in each.run.narrowed)


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """The last column is left ragged: it has names, and names may be long."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *counts, last in rows:
        cells = [cell.rjust(width) for cell, width in zip(counts, widths[1:-1], strict=True)]
        yield "  ".join((first.ljust(widths[0]), *cells, last))


def _findings(reports: Sequence[Report]) -> tuple[list[str], bool]:
    found, missing = tuple(differences(reports)), tuple(absences(reports))
    red = [each.name for each in reports if not each.ok]
    bare = sum(not each.explained for each in found) + sum(not why for _, why in missing)
    lines = [_same(reports, found), *_grouped(reports, found), *(line for line, _ in missing)]
    why = [f"{', '.join(red)} not green"] if red else []
    why += [f"{bare} difference{'s' * (bare > 1)} without an explanation"] if bare else []
    end = f"NOT GREEN: {'; '.join(why)}" if why else "GREEN: no difference without an explanation"
    return [*lines, f"{end}; {len(reports)} reports"], not why


def _shared(reports: Sequence[Report]) -> tuple[str, ...]:
    """Return the subjects that stand in more than one report."""
    counts = {name: sum(name in each.run.subjects for each in reports)
              for name in _subjects(reports)}  # fmt: skip
    return tuple(name for name, count in counts.items() if count > 1)


def _same(reports: Sequence[Report], found: Iterable[Difference]) -> str:
    subjects = _shared(reports)
    if not subjects:
        return "nothing to compare: no subject stands in more than one report"
    rows = [row for each in reports for row in each.run.rows if row.subject in subjects]
    pairs = _pairs(rows)
    same = len(pairs - _pairs(each.row for each in found))
    many = f"{len({clause for _, clause in pairs})} clauses on {len(subjects)} subjects"
    part = "" if same == len(pairs) else f"{same} of {len(pairs)} pairs of "
    return f"same verdicts: {part}{many}"


def _pairs(rows: Iterable[Row]) -> set[tuple[str, str]]:
    return {(row.subject, clause) for row in rows for clause in row.clauses}


def _grouped(reports: Sequence[Report], found: Iterable[Difference]) -> Iterator[str]:
    """One line for all that came to the same, for the same reason."""
    groups: dict[tuple[bool, str], list[Row]] = {}
    for each in found:
        groups.setdefault((each.explained, each.told), []).append(each.row)
    for explained, told in sorted(groups, reverse=True):
        rows, word = groups[explained, told], "explained" if explained else "UNEXPLAINED"
        many = f"{len(rows)} tests" if len(rows) > 1 else rows[0].variant
        yield f"{word}: {told} {where(rows, _shared(reports))} {many}"


def table(reports: Sequence[Report]) -> Iterator[tuple[str, ...]]:
    """Yield a line for each subject, reports with the same counts in one, and one for each report.

    A report that says something else about a subject has a line of its own.
    """
    yield HEAD
    for subject in _subjects(reports):
        same: dict[tuple[str, ...], list[str]] = {}
        for report in reports:
            if rows := [row for row in report.run.rows if row.subject == subject]:
                same.setdefault(_counts(rows), []).append(report.name)
        yield from ((subject, *counts, ", ".join(names)) for counts, names in same.items())
    for report in reports:
        many = f"all {len(report.run.subjects)}"
        yield (many, *_counts(report.run.rows), f"{report.name}: {report.word}")


def _subjects(reports: Iterable[Report]) -> tuple[str, ...]:
    return tuple(sorted({name for report in reports for name in report.run.subjects}))


def _counts(rows: Iterable[Row]) -> tuple[str, ...]:
    counts = verdict(Run(rows=tuple(rows))).counts
    return tuple(str(counts[name] or "-") for name in _COUNTS)


def differences(reports: Sequence[Report]) -> Iterator[Difference]:
    """Yield every test that has not one outcome, of the subjects that a report shares."""
    found: dict[tuple[str, str], dict[str, Row]] = {}
    for report in reports:
        for row in report.run.rows:
            found.setdefault((row.subject, row.variant), {})[report.name] = row
    for (subject, _), rows in sorted(found.items()):
        sides = [(each.name, *_outcome(rows.get(each.name), each)) for each in reports
                 if subject in each.run.subjects]  # fmt: skip
        if len({word for _, word, _ in sides}) > 1:
            row = next(iter(rows.values()))
            yield Difference(row=row, told=_told(sides), explained=_explained(sides))


def _outcome(row: Row | None, report: Report) -> tuple[str, str]:
    """Return the word for what a test came to, and the reason."""
    if row is None:
        return _NOT_RUN, report.partial
    return ("waived", row.waiver) if row.waiver else (row.state.value, row.reason)


def _told(sides: Iterable[tuple[str, str, str]]) -> str:
    names: dict[str, list[str]] = {}
    for name, word, why in sides:
        names.setdefault(f"{word}: {why}" if why else word, []).append(name)
    return "; ".join(f"{', '.join(each)}: {what}" for what, each in names.items())


def _explained(sides: Iterable[tuple[str, str, str]]) -> bool:
    """Whether one outcome is left where those that have a reason for being none are taken out."""
    left = {word for _, word, why in sides if not (why and word in _LEFT_OUT)}
    return len(left) <= 1 and _NOT_RUN not in left


def absences(reports: Sequence[Report]) -> Iterator[tuple[str, bool]]:
    """Yield a line for the subjects that a report lacks and another has, and if it is explained."""
    every = _subjects(reports)
    for report in reports:
        groups: dict[str, set[str]] = {}
        for subject in every:
            if subject not in report.run.subjects:
                groups.setdefault(_why_absent(subject, report, reports), set()).add(subject)
        for why, subjects in groups.items():
            names = f"{len(subjects)} of {len(every)} subjects [{short(subjects, every)}]"
            yield f"not in {report.name}: {why or 'no report says why'}: {names}", bool(why)


def _why_absent(subject: str, report: Report, reports: Iterable[Report]) -> str:
    ran = {row.file for row in report.run.rows}
    files = {row.file for each in reports for row in each.run.rows if row.subject == subject}
    # A file that it ran something of should have brought the subject along.
    nothing = "" if files & ran else f"it ran nothing of {', '.join(sorted(files))}"
    return "; ".join(filter(None, (nothing, report.partial)))
