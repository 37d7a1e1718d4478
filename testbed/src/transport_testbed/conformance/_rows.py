"""What each test came to: a row that its report carries to the process that judges the run.

Works in every process of a run; what becomes of the rows is _gather's.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

import pytest
from transport_core import MINIMUM
from transport_core.authoring import escape

from transport_testbed.conformance import _claims
from transport_testbed.conformance._clause import clause_of
from transport_testbed.conformance._collect import (
    MINIMUM_OF_PLACE,
    SKIPPED,
    SUBJECT,
    Session,
    expand,
    for_test,
    suite_of,
)
from transport_testbed.conformance._target import HarnessError
from transport_testbed.conformance._verdict import State
from transport_testbed.conformance._waivers import waived

ROW = "transport_row"
"""Key under which a report carries what is known of its test, as JSON."""


def add_row(
    item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, session: Session,
) -> None:  # fmt: skip
    """Put into a report what its phase came to; a waived failure no longer counts for pytest."""
    says = clause_of(item.function)  # type: ignore[attr-defined]
    if says is None or SUBJECT not in item.stash:
        return
    suite = suite_of(item.cls)  # type: ignore[attr-defined]
    name: str = item.originalname  # type: ignore[attr-defined]
    subject = item.stash[SUBJECT][0]
    state, reason = _came_to(item, call, report)
    why = ""
    if state is State.FAILED:
        today = dt.datetime.now(tz=dt.UTC).date()
        why = waived(session.waivers, subject, says.ids, item.name, today=today)
    if why and report.failed:
        report.outcome, report.wasxfail = "skipped", f"waived: {why}"
    row: dict[str, Any] = {
        "subject": subject,
        "section": suite.catalogue[name].section if name in suite.catalogue else suite.__name__,
        "clauses": says.ids,
        "test": name,
        "variant": variant(item.name, subject),
        "state": state.name,
        "reason": reason,
        "waiver": why,
        "file": item.nodeid.partition("::")[0],
    }
    if report.when == "setup":
        row["plan"] = _plan(item, suite.catalogue, session)
    # A list of its own: the item's would carry the rows of the earlier phases along.
    report.user_properties = [*report.user_properties, (ROW, json.dumps(row))]


def _plan(
    item: pytest.Item, tests: Mapping[str, _claims.Entry], session: Session
) -> dict[str, Any]:
    """Return what was to be run at the place of a test."""
    least = item.stash.get(MINIMUM_OF_PLACE, MINIMUM)
    return {
        "tests": session.collected[item.stash[SUBJECT][0]],
        "sections": _claims.sections(_meant_for(item, tests, session), least),
        "note": _note(item, tests, session),
        "problems": session.problems.get(item.cls, ()),  # type: ignore[attr-defined]
    }


def _meant_for(
    item: pytest.Item, tests: Mapping[str, _claims.Entry], session: Session
) -> Mapping[str, _claims.Entry]:
    """Return the tests that are meant for the place of a test."""
    mine: str = item.stash[SUBJECT][1]
    cls: type = item.cls  # type: ignore[attr-defined]
    if (cls, mine) not in session.meant:
        names = expand(cls, session)
        session.meant[cls, mine] = {
            name: entry
            for name, entry in tests.items()
            if mine in for_test(entry.function, names, session)
        }
    return session.meant[cls, mine]


def _note(item: pytest.Item, tests: Mapping[str, _claims.Entry], session: Session) -> str:
    """Say what was not meant to run there: nothing is left out in silence."""
    rest = len(tests) - len(_meant_for(item, tests, session))
    aspect = session.places.aspects.get(item.stash[SUBJECT][1])
    return f"{rest} tests that are not about its {aspect}" if rest else ""


def variant(name: str, subject: str) -> str:
    """Return the name of a test with its parameters, its subject left out."""
    return name.replace(f"[{subject}]", "").replace(f"[{subject}-", "[")


def _came_to(
    item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
) -> tuple[State, str]:
    error = call.excinfo.value if call.excinfo else None
    text = escape(f"{type(error).__name__}: {error}".partition("\n")[0]) if error else ""
    if report.passed:
        return State.PASSED, ""
    if report.skipped:
        unearned = f"skipped without being entitled to it: {escape(str(error or ''))}"
        return item.stash.get(SKIPPED, (State.FAILED, unearned))
    if report.when != "call" or isinstance(error, HarnessError):
        return State.ERROR, f"{report.when}: {text}"
    return State.FAILED, text
