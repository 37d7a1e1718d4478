"""The report: table, lists, files; and that nothing of the other side acts on a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

from transport_testbed.conformance import _files
from transport_testbed.conformance._report import Facts, cells, headline, text
from transport_testbed.conformance._verdict import Plan, Row, Run, State, verdict

FACTS = Facts(
    suite="0.1.0",
    catalogue="abc",
    seconds=41.2,
    stack={
        "provider": "native",
        "versions": {"openssh": "9.2p1", "slurm": "22.05.8"},
        "timings": {"acquire": 0.5, "total": 1.5},
    },
    nox=True,
)


def row(clause: str, state: State, subject: str = "a@here", **more: str) -> Row:
    """One row."""
    return Row(
        subject=subject, section="S", clauses=(clause,), test="test_x", variant="test_x[y]",
        state=state, file="tests/test_a.py", **more,  # type: ignore[arg-type]
    )  # fmt: skip


ROWS = (
    row("RUN-02", State.PASSED),
    row("RUN-02", State.FAILED, reason="AssertionError: \x1b]0;owned\x07"),
    row("LIFE-01", State.PASSED),
    row("CONN-01", State.NOT_CLAIMED, reason="connection"),
    row("RUN-10", State.NOT_OFFERED, reason="slurm: none here"),
    row("ERR-01", State.ERROR, reason="setup: HarnessError: no"),
    row("ERR-02", State.FAILED, reason="AssertionError", waiver="known (issue, until 2027-01-01)"),
    row("LIFE-01", State.PASSED, "b@jump"),
)


def everything(rows: tuple[Row, ...] = ROWS) -> Run:
    """A run of two subjects."""
    plans = {name: Plan(tests=1, sections={}) for name in ("a@here", "b@jump")}
    return Run(rows=rows, plans=plans, problems=("waiver of X: expired",))


def lines(run: Run, width: int = 100) -> list[str]:
    """The whole text."""
    return text(run, verdict(run), FACTS, width=width)


def test_the_table_is_clauses_by_subjects_in_the_contracts_order() -> None:
    """One mark each: the worst of several tests, and a pass above a skip."""
    marks = cells(everything())
    assert list(marks) == ["LIFE-01", "RUN-02", "RUN-10", "ERR-01", "ERR-02", "CONN-01"]
    shown = [mark for by_subject in marks.values() for mark in by_subject.values()]
    assert shown == [".", ".", "F", "o", "E", "w", "c"]
    both = (row("RUN-01", State.PASSED), row("RUN-01", State.NOT_OFFERED))
    assert cells(everything(both))["RUN-01"]["a@here"] == "."


def test_wide_tables_number_their_subjects() -> None:
    """The legend has the names."""
    assert "a@here  b@jump" in lines(everything())[0]
    narrow = lines(everything(), width=20)
    assert "a@here" not in narrow[0]
    assert "  1  a@here" in narrow


def test_flat_lists_have_every_skip_and_failure_with_its_reason() -> None:
    """Nothing is only a mark in a table; a failure says how to run it again."""
    shown = lines(everything())
    assert "not claimed: connection [a@here] CONN-01" in shown
    assert "not offered: slurm: none here [a@here] RUN-10" in shown
    assert "error: a@here ERR-01 test_x[y]: setup: HarnessError: no" in shown
    assert any(line.startswith("waived: a@here ERR-02") for line in shown)
    assert "    nox -s conformance -- -k test_x --transport-targets a@here" in shown
    assert "not green: waiver of X: expired" in shown
    assert "stack: acquire 0.50 s, total 1.50 s" in shown


def test_the_last_line_says_it_all() -> None:
    """Word, counts, and what it was run with."""
    assert lines(everything())[-1] == (
        "NOT CONFORMANT: 2 subjects, 3 checks passed, 1 failed, 1 waived, 1 not claimed,"
        " 1 not offered, 1 errors; suite 0.1.0, stack native (OpenSSH 9.2p1, Slurm 22.05.8), 41.2 s"
    )
    run = Run(rows=(ROWS[0],))
    assert headline(run, verdict(run), Facts(suite="1", catalogue="", seconds=1)) == (
        "CONFORMANT: 1 subject, 1 checks passed, 0 failed, 0 not claimed, 0 not offered,"
        " 0 errors; suite 1, 1.0 s"
    )


def test_remote_text_is_escaped() -> None:
    """A terminal is not told what to do by what a test saw."""
    assert not [line for line in lines(everything()) if "\x1b" in line or "\x07" in line]


def test_without_nox_a_failure_is_run_again_by_pytest() -> None:
    """A guest's project need not have nox."""
    run = everything()
    facts = Facts(suite="1", catalogue="", seconds=1)
    shown = text(run, verdict(run), facts)
    line = "    python3 -m pytest tests/test_a.py -k test_x --transport-targets a@here"
    assert line in shown
    again = Facts(suite="1", catalogue="", seconds=1, options=("--transport-waivers=w 1.toml",))
    assert f"{line} '--transport-waivers=w 1.toml'" in text(run, verdict(run), again)


def test_the_files(tmp_path: Path) -> None:
    """The machine's path is guarded as well as the human's: no skip is a pass in any of them."""
    run = everything()
    _files.write(tmp_path / "new" / "folder", run, verdict(run), FACTS)
    folder = tmp_path / "new" / "folder"
    found = json.loads((folder / "conformance.json").read_text())
    assert (found["ok"], found["verdict"]) == (False, "NOT CONFORMANT")
    assert [each["state"] for each in found["rows"]].count("passed") == 3
    assert found["stack"]["versions"]["openssh"] == "9.2p1"
    assert found["rows"][1]["rerun"].startswith("nox -s conformance")
    suites = ET.parse(folder / "conformance.xml").getroot()
    assert [suite.get("name") for suite in suites] == ["a@here", "b@jump", "verdict"]
    counted = ("tests", "failures", "errors", "skipped")
    assert [suites[0].get(key) for key in counted] == ["7", "1", "1", "3"]
    assert suites[0][0].get("name") == "RUN-02 test_x[y]"
    table = (folder / "conformance.md").read_text()
    assert "| RUN-02 | F |   |" in table
    assert "\x1b" not in table
