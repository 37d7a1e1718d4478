"""What the controlling process learns from reports, wherever the tests ran, and its verdict.

Must not run tests, nor print.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

import pytest

from transport_testbed.conformance._rows import ROW, variant
from transport_testbed.conformance._verdict import Plan, Row, Run, State, Verdict, verdict
from transport_testbed.conformance._waivers import Waiver, stale

_SUBJECT_IN_ID = re.compile(r"(?P<test>\w+)\[(?P<subject>[a-z0-9_.]+@[\w-]+?)(-|\])")

# A failure says more than what went wrong around it, and anything says more than a pass.
_WEIGHT = (State.PASSED, State.NOT_OFFERED, State.NOT_CLAIMED, State.ERROR, State.FAILED)


@dataclass(slots=True)
class Gathered:
    """All rows so far, by node id."""

    rows: dict[str, Row] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    problems: dict[str, None] = field(default_factory=dict)

    def add(self, report: pytest.TestReport) -> None:
        """Take in the report of one phase of a test."""
        told = [json.loads(str(text)) for key, text in report.user_properties if key == ROW]
        # xdist's own phase, of a report that it writes in the place of a dead worker.
        died = str(report.when) == "???"
        lost = _SUBJECT_IN_ID.search(report.nodeid) if died else None
        if told:
            self._add(report.nodeid, told[-1], report.duration)
        elif lost:
            self.rows[report.nodeid] = _lost(lost["subject"], lost["test"], report)

    def _add(self, node: str, told: dict[str, Any], seconds: float) -> None:
        plan = told.pop("plan", None)
        if plan is not None:
            self.problems |= dict.fromkeys(plan.pop("problems"))
            self.plans.setdefault(told["subject"], Plan(**plan))
        told["state"], told["clauses"] = State[told["state"]], tuple(told["clauses"])
        now, before = Row(**told), self.rows.get(node)
        if before is not None:
            seconds += before.seconds
            now = max(before, now, key=lambda row: _WEIGHT.index(row.state))
        self.rows[node] = replace(now, seconds=round(seconds, 4))


def _lost(subject: str, test: str, report: pytest.TestReport) -> Row:
    """Stand in for a test whose process ended under it: nobody knows at whose fault."""
    entry = suite().catalogue.get(test)
    return Row(
        subject=subject,
        section=entry.section if entry else "?",
        clauses=entry.clause.ids if entry else ("?",),
        test=test,
        variant=variant(report.nodeid.rpartition("::")[2], subject),
        state=State.ERROR,
        reason="the process that ran it ended",
        file=report.nodeid.partition("::")[0],
    )


def suite() -> Any:
    """Return the class with all sections; it is loaded only in a run that has to do with it."""
    return import_module("transport_testbed.conformance._suite").TransportConformance


def conclude(
    gathered: Gathered,
    waivers: tuple[Waiver, ...],
    *,
    narrowed: tuple[str, ...],
    unfinished: tuple[str, ...],
) -> tuple[Run, Verdict]:
    """Judge what was gathered."""
    rows = tuple(gathered.rows.values())
    today, whole = dt.datetime.now(tz=dt.UTC).date(), not (narrowed or unfinished)
    problems = (*gathered.problems, *stale(waivers, rows, today=today, whole=whole))
    plans = dict(sorted(gathered.plans.items()))
    run = Run(
        rows=rows, plans=plans, narrowed=narrowed, unfinished=unfinished, problems=problems
    )  # fmt: skip
    return run, verdict(run)


def narrowing(config: pytest.Config, *, stackless: bool) -> tuple[str, ...]:
    """Return how a run was asked not to be whole, in the words that asked for it."""
    option = config.option
    asked: Mapping[str, object] = {
        "-k": option.keyword,
        "-m": option.markexpr,
        "--deselect": option.deselect,
        "--lf": getattr(option, "lf", False),
        "--sw": getattr(option, "stepwise", False),
        "--transport-targets": option.transport_targets,
        "a test by name": [each for each in config.args if "::" in str(each)],
        "--transport-stack=none": stackless and option.transport_stack == "none",
    }
    return tuple(f"{name} {value}".removesuffix(" True") for name, value in asked.items() if value)


def unfinished(session: pytest.Session, *, interrupted: str) -> tuple[str, ...]:
    """Return what kept a run from its end: it was stopped, or files of tests were not read."""
    stopped = session.shouldstop or session.shouldfail or interrupted
    printed: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    errors = printed.stats.get("error", []) if printed else []
    unread = {each.nodeid: None for each in errors if isinstance(each, pytest.CollectReport)}
    told = (f"stopped: {stopped}",) if stopped else ()
    return (*told, *(f"{node}: could not be collected" for node in unread))
