"""Reports beside each other: what is the same, what has a reason, and what has none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transport_testbed import cli
from transport_testbed._compare import differences, markdown, text
from transport_testbed._reports import Report, ReportError, read
from transport_testbed.conformance import _files
from transport_testbed.conformance._report import Facts
from transport_testbed.conformance._verdict import Plan, Row, Run, State, verdict

P, F, C, O, E = State  # noqa: E741 - the order of the enum
FILE = "tests/test_a.py"


def row(
    state: State = P, reason: str = "", *, subject: str = "a@jump", test: str = "test_x",
    clauses: tuple[str, ...] = ("RUN-01",), waiver: str = "", file: str = FILE,
) -> Row:  # fmt: skip
    """One row."""
    return Row(
        subject=subject, section="S", clauses=clauses, test=test, variant=test, state=state,
        reason=reason, waiver=waiver, file=file,
    )  # fmt: skip


def report(name: str, *rows: Row, narrowed: tuple[str, ...] = ()) -> Report:
    """One report with the verdict that its rows have."""
    run = Run(rows=rows, narrowed=narrowed)
    found = verdict(run)
    stack = {"provider": name, "versions": {"openssh": "9.2p1"}}
    return Report(
        name=name, word=found.word, ok=found.ok, reasons=found.reasons, run=run,
        facts=Facts(suite="0.1.0", catalogue="c", seconds=1, stack=stack),
    )  # fmt: skip


NOT_RUN = None
WAIVED = row(F, "AssertionError", waiver="known")


@pytest.mark.parametrize(
    ("sides", "explained"),
    [
        ((row(P), row(P)), None),
        ((row(F), row(F, "another")), None),
        ((row(O, "x: here"), row(O, "x: there")), None),
        ((row(P), row(O, "no x")), True),
        ((row(P), row(C, "stop")), True),
        ((row(C, "stop"), row(O, "no x")), True),
        ((row(F), row(O, "no x")), True),
        ((row(P), row(O)), False),
        ((row(P), row(F, "AssertionError")), False),
        ((row(P), WAIVED), False),
        ((row(F), WAIVED), False),
        ((WAIVED, WAIVED), None),
        ((row(P), row(E, "setup")), False),
        ((row(P), NOT_RUN), False),
        ((row(O, "no x"), NOT_RUN), False),
        ((row(P), row(F), row(O, "no x")), False),
        ((row(P), row(P), row(O, "no x")), True),
    ],
)
def test_what_explains_a_difference(sides: tuple[Row | None, ...], explained: bool | None) -> None:
    """A reason to leave a test out does; nothing makes up for a pass beside a failure."""
    also = row(test="test_y")
    reports = [report(f"r{n}", *([also, each] if each else [also])) for n, each in enumerate(sides)]
    assert [each.explained for each in differences(reports)] == (
        [explained] * (explained is not None)
    )
    for found in (reports, reports[::-1]):
        ok = explained is not False and not any(each and each.state in (F, E) and not each.waiver
                                                for each in sides)  # fmt: skip
        assert text(found)[1] is ok


def test_a_run_that_was_asked_to_be_partial_explains_what_it_lacks() -> None:
    """Tests and whole subjects, in the words that asked for it."""
    whole = report("native", row(), row(test="test_y"), row(subject="b@jump"))
    lines, ok = text([whole, report("part", row(), narrowed=("-k x",))])
    assert ok
    assert "explained: native: passed; part: not run: partial: -k x [a@jump] RUN-01 test_y" in lines
    assert "not in part: partial: -k x: 1 of 2 subjects [b@jump]" in lines
    assert "part: partial: -k x" in lines


def test_one_reason_is_one_line_with_a_count_and_names() -> None:
    """However many tests it explains."""
    native = [row(test=f"test_{n}", clauses=(f"RUN-{n:02}",)) for n in range(30)]
    other = [row(O, "freeze: no", test=each.test, clauses=each.clauses) for each in native[1:]]
    lines, ok = text([report("native", *native), report("containers", native[0], *other)])
    assert ok
    told = "explained: native: passed; containers: not offered: freeze: no [a@jump] 29 clauses"
    assert [line for line in lines if line.startswith("explained")] == [f"{told} 29 tests"]
    assert "same verdicts: 1 of 30 pairs of 30 clauses on 1 subjects" in lines


def test_the_table_has_a_line_for_all_reports_with_the_same_counts() -> None:
    """Reports that differ about a subject have a line each; each has one for itself."""
    native = report("native", row(), row(subject="b@here", test="test_y"))
    other = report("containers", row(F, "x"), row(subject="b@here", test="test_y"))
    lines, _ = text([native, other])
    assert lines[:3] == [
        "native: CONFORMANT; suite 0.1.0, stack native (OpenSSH 9.2p1), 1.0 s",
        "containers: NOT CONFORMANT; suite 0.1.0, stack containers (OpenSSH 9.2p1), 1.0 s",
        "containers: not green: 1 failed",
    ]
    shown = [line.split() for line in lines[5:10]]
    assert shown == [
        ["a@jump", "1", "-", "-", "-", "-", "-", "native"],
        ["a@jump", "-", "1", "-", "-", "-", "-", "containers"],
        ["b@here", "1", "-", "-", "-", "-", "-", "native,", "containers"],
        ["all", "2", "2", "-", "-", "-", "-", "-", "native:", "CONFORMANT"],
        ["all", "2", "1", "1", "-", "-", "-", "-", "containers:", "NOT", "CONFORMANT"],
    ]
    told = "UNEXPLAINED: native: passed; containers: failed: x [a@jump] RUN-01 test_x"
    assert told in lines
    end = "NOT GREEN: containers not green; 1 difference without an explanation; 2 reports"
    assert lines[-1] == end


def test_a_subject_that_one_report_lacks_is_named_with_the_reason() -> None:
    """It ran nothing of the file; a file of which it ran something explains nothing."""
    native = report("native", row(), row(subject="b@here", file="other.py"))
    lines, ok = text([native, report("inside", row(subject="b@here", file="other.py"))])
    assert ok
    assert f"not in inside: it ran nothing of {FILE}: 1 of 2 subjects [a@jump]" in lines
    assert lines[-1] == "GREEN: no difference without an explanation; 2 reports"
    only = report("inside", row(subject="b@here", file="other.py"), narrowed=("-k x",))
    both = f"not in inside: it ran nothing of {FILE}; partial: -k x: 1 of 2 subjects [a@jump]"
    assert both in text([native, only])[0]
    lines, ok = text([native, report("inside", row(subject="c@here"))])
    assert not ok
    assert "not in inside: no report says why: 1 of 3 subjects [a@jump]" in lines
    assert "nothing to compare: no subject stands in more than one report" in lines


def test_the_markdown_is_the_same_and_neither_acts_on_a_terminal() -> None:
    """A report may come from anywhere; a bar is no new cell."""
    reports = [report("a|b", row()), report("c", row(F, "\x1b]0;`owned\x07"))]
    shown = markdown(reports)
    assert "| a@jump | 1 | - | - | - | - | - | a/b |" in shown
    assert "UNEXPLAINED: a|b: passed; c: failed: \\x1b]0;'owned\\x07" in shown
    assert shown.endswith("explanation; 2 reports**\n")
    assert not {"\x1b", "\x07"} & set(shown + "".join(text(reports)[0]))


def write(folder: Path, *rows: Row) -> str:
    """Write a report as a run does, and return its path."""
    run = Run(rows=rows, plans={"a@jump": Plan(tests=len(rows), sections={})})
    _files.write(folder, run, verdict(run), Facts(suite="0.1.0", catalogue="c", seconds=1))
    return str(folder / "conformance.json")


def test_what_a_run_wrote_is_read_back(tmp_path: Path) -> None:
    """Every row, the verdict, and a name; what a later version adds is no harm."""
    rows = (row(), row(F, "x", test="test_y"), row(F, waiver="w", test="test_z"))
    path = Path(write(tmp_path / "native", *rows))
    path.write_text(json.dumps({**json.loads(path.read_text()), "later": 1}))
    copy = tmp_path / "mine.json"
    copy.write_text(path.read_text())
    found, mine = read([str(path), str(copy)])
    assert (found.name, found.word, found.ok) == ("native", "NOT CONFORMANT", False)
    assert (found.run.rows, found.reasons, found.partial) == (rows, ("1 failed",), "")
    assert mine.name == "mine"
    same = write(tmp_path / "other" / "native", *rows)
    assert [each.name for each in read([str(path), same])] == [str(path), same]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "no report of the suite: JSONDecodeError"),
        ("[]", "no report of the suite: TypeError"),
        ("{}", "no report of the suite: KeyError: 'format'"),
        ('{"format": 2}', "format 2, and format 1 is known here"),
        ('{"format": 1, "rows": [{"state": "odd", "clauses": []}]}', "'odd' is not a valid State"),
    ],
)
def test_what_is_no_report_is_told(tmp_path: Path, content: str, what: str) -> None:
    """What, where, and what to try."""
    path = tmp_path / "conformance.json"
    path.write_text(content)
    with pytest.raises(ReportError, match="try: give a") as caught:
        read([str(path)])
    assert str(caught.value).startswith(f"{path}: ")
    assert what in str(caught.value)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its exit code says whether all is green; the Markdown is added to what is there."""
    first, second = write(tmp_path / "one", row()), write(tmp_path / "two", row())
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    assert cli.main(["compare", first, second, "--markdown", str(summary)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert "same verdicts: 1 clauses on 1 subjects" in printed
    assert printed[-1].startswith("GREEN")
    assert summary.read_text().startswith("before\n- `one: CONFORMANT; suite")
    assert cli.main(["compare", first, write(tmp_path / "red", row(F, "x"))]) == 1
    capsys.readouterr()
    missing = str(tmp_path / "none" / "conformance.json")
    for words, told in (
        ((first, missing), "none/conformance.json: no report can be read there: No such file"),
        ((first, first), "given twice"),
        ((first, "--markdown", str(tmp_path)), "cannot be written"),
    ):
        assert cli.main(["compare", *words]) == 2
        shown = capsys.readouterr()
        assert told in shown.err
        assert "try: " in shown.err
        assert not shown.out
