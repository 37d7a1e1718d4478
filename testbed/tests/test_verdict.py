"""The verdict is a function of rows: its truth table."""

from __future__ import annotations

import itertools

import pytest
from transport_testbed.conformance._verdict import Plan, Row, Run, State, verdict

P, F, C, O, E = State  # noqa: E741 - the order of the enum


def row(
    state: State = P, *, section: str = "RunTests", subject: str = "a@here", **more: str
) -> Row:
    """One row, of which only the state matters."""
    return Row(
        subject=subject, section=section, clauses=("RUN-01",), test="test_x", variant="test_x",
        state=state, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def run(*rows: Row, tests: int | None = None, must: bool = True, **more: tuple[str, ...]) -> Run:
    """One subject and one section of which every transport must run something."""
    plan = Plan(tests=len(rows) if tests is None else tests, sections={"RunTests": must})
    return Run(rows=rows, plans={"a@here": plan}, **more)


@pytest.mark.parametrize(
    ("states", "word", "code"),
    [
        ((P,), "CONFORMANT", 0),
        ((P, P), "CONFORMANT", 0),
        ((P, C), "CONFORMANT", 0),
        ((P, O), "CONFORMANT", 0),
        ((P, C, O), "CONFORMANT", 0),
        ((F,), "NOT CONFORMANT", 1),
        ((P, F), "NOT CONFORMANT", 1),
        ((F, E), "NOT CONFORMANT", 1),
        ((E,), "NO VERDICT", 3),
        ((P, E), "NO VERDICT", 3),
        ((C,), "NO VERDICT", 5),
        ((O,), "NO VERDICT", 5),
        ((C, O), "NO VERDICT", 5),
        ((), "NO VERDICT", 5),
    ],
)
def test_the_truth_table(states: tuple[State, ...], word: str, code: int) -> None:
    """What every combination of states comes to."""
    found = verdict(run(*map(row, states), must=False))
    assert (found.word, found.exit_code) == (word, code)
    assert found.ok is (code == 0)
    assert bool(found.reasons) is (code != 0)


def test_green_needs_a_pass_and_nothing_failed_in_any_combination() -> None:
    """Over all sets of states: green exactly where something passed and nothing broke."""
    for size in range(len(State) + 1):
        for states in itertools.combinations(State, size):
            found = verdict(run(*map(row, states), must=False))
            assert found.ok is (P in states and not {F, E} & set(states)), states


def test_no_subjects_is_not_green() -> None:
    """A run in which nothing was found has no verdict."""
    assert verdict(Run()).exit_code == 5
    assert verdict(Run(narrowed=("--transport-targets x",))).exit_code == 5


def test_an_empty_section_is_not_green_if_every_transport_must_run_it() -> None:
    """Skips are earned test by test, and cannot empty a section that has a test for all."""
    rows = (row(P, section="Other"), row(C))
    assert verdict(run(*rows)).exit_code == 1
    assert "RunTests" in verdict(run(*rows)).reasons[0]
    assert verdict(run(*rows, must=False)).ok


def test_a_subject_that_executed_nothing_is_not_green() -> None:
    """Another subject's passes are not its own."""
    plans = {name: Plan(tests=1, sections={}) for name in ("a@here", "b@jump")}
    rows = (row(P), row(O, subject="b@jump", reason="no stack"))
    found = verdict(Run(rows=rows, plans=plans))
    assert found.exit_code == 1
    assert found.reasons == ("b@jump: nothing was executed: no stack",)
    partial = verdict(Run(rows=rows, plans=plans, narrowed=("--transport-stack=none",)))
    assert (partial.word, partial.exit_code) == ("PARTIAL", 0)


def test_tests_that_did_not_report_are_not_green() -> None:
    """Who takes tests out after they were collected is found by their number."""
    found = verdict(run(row(P), tests=2))
    assert found.exit_code == 1
    assert found.reasons == ("a@here: 1 of 2 tests did not report",)
    assert verdict(run(row(P), tests=2, narrowed=("-k x",))).word == "PARTIAL"


def test_a_run_that_did_not_come_to_its_end_has_no_verdict() -> None:
    """Although everything that ran passed; also where it was asked to leave something out."""
    for narrowed in ((), ("-k x",)):
        found = verdict(run(row(P), tests=2, narrowed=narrowed, unfinished=("stopped: enough",)))
        assert (found.word, found.exit_code) == ("NO VERDICT", 1)
        assert found.reasons == ("stopped: enough",)
    assert verdict(run(row(F), unfinished=("stopped: enough",))).word == "NOT CONFORMANT"


def test_a_problem_of_the_run_is_not_green() -> None:
    """A deleted test or a stale waiver fails a run whose tests all pass."""
    found = verdict(run(row(P), problems=("X: test_x is deleted",)))
    assert (found.word, found.exit_code) == ("NOT CONFORMANT", 1)


def test_a_waived_failure_is_green_and_never_a_pass() -> None:
    """It is counted apart and said in the word."""
    found = verdict(run(row(P), row(F, waiver="known (issue)")))
    assert (found.word, found.exit_code) == ("CONFORMANT with 1 waived failure", 0)
    assert (found.counts["passed"], found.counts["failed"], found.counts["waived"]) == (1, 0, 1)
    assert verdict(run(row(F, waiver="w"), row(F, waiver="w"))).word.endswith("2 waived failures")


def test_an_error_of_the_testbed_is_no_failure_of_the_transport() -> None:
    """It hides no failure, and is none."""
    found = verdict(run(row(P), row(E)))
    assert found.counts["failed"] == 0
    assert found.reasons == ("1 errors of the testbed, of which nothing follows",)
