"""The report as files: JSON for programs, JUnit's XML for CI, a table in Markdown for people.

Must not decide anything: what it writes is _report's and _verdict's.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from transport_testbed.conformance._report import (
    LEGEND,
    Facts,
    cells,
    failures,
    headline,
    left_out,
    not_meant,
    printable,
    rerun,
)
from transport_testbed.conformance._verdict import Row, Run, State, Verdict

NAME = "conformance"


def prepare(folder: Path) -> None:
    """Make the directory, and remove an earlier run's report: this one may be killed.

    Raises:
        OSError: It cannot be a directory.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for suffix in ("json", "md", "xml"):
            (folder / f"{NAME}.{suffix}").unlink(missing_ok=True)
    except OSError as error:
        raise OSError(f"--transport-report={folder}: {error.strerror}; try: a directory") from error


def write(folder: Path, run: Run, verdict: Verdict, facts: Facts) -> None:
    """Write all three into a directory, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    document = json.dumps(as_document(run, verdict, facts), indent=1, ensure_ascii=True)
    (folder / f"{NAME}.json").write_text(document + "\n", encoding="utf-8")
    (folder / f"{NAME}.md").write_text(as_markdown(run, verdict, facts), encoding="utf-8")
    tree = ET.ElementTree(as_junit(run, verdict, facts))
    ET.indent(tree)
    tree.write(folder / f"{NAME}.xml", encoding="utf-8", xml_declaration=True)


def as_document(run: Run, verdict: Verdict, facts: Facts) -> dict[str, Any]:
    """Return the report as plain values. ``format`` grows when a reader would break."""
    return {
        "format": 1,
        "verdict": verdict.word,
        "ok": verdict.ok,
        "reasons": list(verdict.reasons),
        "counts": dict(verdict.counts),
        "narrowed": list(run.narrowed),
        "not_meant": {name: plan.note for name, plan in run.plans.items() if plan.note},
        "subjects": list(run.subjects),
        **asdict(facts),
        "rows": [_plain(row, facts) for row in run.rows],
    }


def _plain(row: Row, facts: Facts) -> dict[str, Any]:
    again = {"rerun": rerun(row, facts)} if row.state is State.FAILED else {}
    return {**asdict(row), "state": row.state.value, **again}


def as_markdown(run: Run, verdict: Verdict, facts: Facts) -> str:
    """Return the table of clauses by subjects, and the lists."""
    subjects = run.subjects
    lines = [
        f"**{headline(run, verdict, facts)}**",
        "",
        f"| clause | {' | '.join(subjects)} |",
        f"|---|{'---|' * len(subjects)}",
    ]
    for clause, marks in cells(run).items():
        lines.append(f"| {clause} | {' | '.join(marks.get(name, ' ') for name in subjects)} |")
    lines += ["", LEGEND, ""]
    lists = [
        *left_out(run),
        *not_meant(run),
        *failures(run, facts),
        *verdict.reasons,
        *run.narrowed,
    ]
    lines += [f"- `{line.strip().replace('`', chr(39))}`" for line in lists]
    return "\n".join(lines) + "\n"


def as_junit(run: Run, verdict: Verdict, facts: Facts) -> ET.Element:
    """Return one test suite for each subject, its cases named by their clauses."""
    root = ET.Element("testsuites", name=printable(headline(run, verdict, facts)))
    for subject in run.subjects:
        rows = [row for row in run.rows if row.subject == subject]
        counts = {
            "tests": len(rows),
            "failures": sum(row.state is State.FAILED and not row.waiver for row in rows),
            "errors": sum(row.state is State.ERROR for row in rows),
            "skipped": sum(_skipped(row) for row in rows),
        }
        suite = ET.SubElement(root, "testsuite", name=subject, time=f"{_sum(rows):.3f}")
        suite.attrib.update({key: str(count) for key, count in counts.items()})
        for row in rows:
            _case(suite, row)
    if verdict.reasons:
        # What is wrong with the run itself has to turn a CI red as well.
        suite = ET.SubElement(root, "testsuite", name="verdict", tests="1", failures="1")
        case = ET.SubElement(suite, "testcase", classname="verdict", name=verdict.word)
        ET.SubElement(case, "failure", message=printable("; ".join(verdict.reasons)))
    return root


def _sum(rows: list[Row]) -> float:
    return sum(row.seconds for row in rows)


def _skipped(row: Row) -> bool:
    return bool(row.waiver) or row.state in (State.NOT_CLAIMED, State.NOT_OFFERED)


def _case(suite: ET.Element, row: Row) -> None:
    name = printable(f"{' '.join(row.clauses)} {row.variant}")
    case = ET.SubElement(
        suite, "testcase", classname=row.subject, name=name, time=f"{row.seconds:.3f}"
    )
    if _skipped(row):
        why = f"waived: {row.waiver}" if row.waiver else f"{row.state.value}: {row.reason}"
        ET.SubElement(case, "skipped", message=printable(why))
    elif row.state in (State.FAILED, State.ERROR):
        tag = "failure" if row.state is State.FAILED else "error"
        ET.SubElement(case, tag, message=printable(row.reason))
