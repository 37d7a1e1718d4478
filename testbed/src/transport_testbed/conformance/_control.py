"""One pytest process of a run: its state, and the hooks that are in use once there is a test.

In the controlling process it starts the stack, gathers the rows, judges and prints.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import pytest

from transport_testbed import __version__
from transport_testbed.conformance import _claims, _collect, _files, _gather, _report, _rows
from transport_testbed.conformance._verdict import RED, Run, Verdict
from transport_testbed.conformance._waivers import WaiverError, read

_JUDGED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
"""Outcomes of pytest that the verdict may replace."""


class StartedPlaces(_collect.Places, Protocol):
    """Places of which some have to be started."""

    def start(self, wanted: Iterable[str]) -> None:
        """Start what these places need."""
        ...

    def stop(self) -> None:
        """Stop what was started."""
        ...

    def facts(self) -> dict[str, Any]:
        """Return what a report says of what was started."""
        ...


class Control:
    """The hooks that a run with tests of the suite needs."""

    def __init__(self, config: pytest.Config, places: StartedPlaces, *, began: float) -> None:
        self._config, self._places, self._began = config, places, began
        self._worker = hasattr(config, "workerinput")
        option = config.option
        try:
            waivers = read(option.transport_waivers) if option.transport_waivers else ()
            lag = float(config.getini("transport_loop_lag")) / 1000
            if option.transport_report and not (self._worker or option.collectonly):
                _files.prepare(Path(option.transport_report))
        except (WaiverError, ValueError, OSError) as error:
            raise pytest.UsageError(str(error)) from error
        self._session = _collect.Session(
            places=places, only=option.transport_targets, lag=lag, waivers=waivers
        )
        config.stash[_collect.SESSION] = self._session
        self._gathered = _gather.Gathered()
        self._suite: Any = None
        self._interrupted = ""
        self._outcome: tuple[Run, Verdict, _report.Facts] | None = None
        self._asked = bool(option.transport_targets or option.transport_report or waivers)

    def parametrize(self, metafunc: pytest.Metafunc) -> None:
        """Give a test its subjects."""
        _collect.parametrize(metafunc, self._session)

    def note(self, item: pytest.Item) -> None:
        """Count a test."""
        _collect.note_subject(item, self._session)

    def add_row(
        self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
    ) -> None:
        """Add to a report what its phase came to."""
        _rows.add_row(item, call, report, self._session)

    def start_for(self, ids: Iterable[str]) -> None:
        """Start the stack if one of these tests needs it."""
        tests = [each for each in ids if "@" in each]
        # Now rather than at the end: what judges has to be what was run.
        self._suite = _gather.suite() if tests else None
        names = self._places.names
        self._places.start([n for n in names if any(f"@{n}]" in t or f"@{n}-" in t for t in tests)])

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out subjects that were not asked for."""
        out = [item for item in items if _collect.unwanted(item, self._session)]
        if out:
            self._config.hook.pytest_deselected(items=out)
            items[:] = [item for item in items if item not in set(out)]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Start the stack before the first test runs."""
        distributed = getattr(self._config.option, "numprocesses", None)
        if not (self._worker or distributed or self._config.option.collectonly):
            self.start_for(item.nodeid for item in session.items)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather what a test came to."""
        if not self._worker:
            self._gathered.add(report)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note by what the run was stopped: a person, pytest, or a worker of xdist's."""
        self._interrupted = str(excinfo.value) or "interrupted"

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Judge; the exit code of the run is the verdict's."""
        option = self._config.option
        mine = self._asked or self._gathered.rows or self._session.collected
        if self._worker or option.collectonly or not mine:
            return
        facts = self._facts()
        run, verdict = _gather.conclude(
            self._gathered,
            self._session.waivers,
            narrowed=_gather.narrowing(self._config, stackless=bool(facts.stack.get("absent"))),
            unfinished=_gather.unfinished(session, interrupted=self._interrupted),
        )
        self._outcome = run, verdict, facts
        session.exitstatus = _exit_code(int(session.exitstatus), verdict)
        if option.transport_report:
            _files.write(Path(option.transport_report), *self._outcome)

    def _facts(self) -> _report.Facts:
        packages = {}
        for name in ("transport-core", "transport-local", "transport-ssh"):
            try:
                packages[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        nox = _by_nox(self._config.rootpath)
        return _report.Facts(
            suite=__version__,
            catalogue=_claims.fingerprint((self._suite or _gather.suite()).catalogue),
            seconds=round(time.monotonic() - self._began, 2),
            stack=self._places.facts(),
            packages=packages,
            nox=nox,
            options=_options(self._config, nox=nox),
        )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table and the verdict, last."""
        if self._outcome is None:
            return
        run, verdict, facts = self._outcome
        terminalreporter.section("conformance", sep="=")
        *lines, last = _report.text(run, verdict, facts, width=terminalreporter._tw.fullwidth)  # noqa: SLF001
        for line in lines:
            terminalreporter.write_line(line)
        terminalreporter.write_line(last, bold=True, **{"green" if verdict.ok else "red": True})

    def close(self) -> None:
        """Stop what this process started."""
        self._places.stop()


def _by_nox(root: Path) -> bool:
    """Whether a project has a session of nox for the suite: it may have others only."""
    with suppress(OSError, ValueError):
        return "def conformance(" in (root / "noxfile.py").read_text(encoding="utf-8")
    return False


def _options(config: pytest.Config, *, nox: bool) -> tuple[str, ...]:
    """Return the options that change what a test comes to; the stack is a session's own choice."""
    stack, waivers = config.option.transport_stack, config.option.transport_waivers
    return (
        *((f"--transport-stack={stack}",) if stack != "auto" and not nox else ()),
        *((f"--transport-waivers={waivers}",) if waivers else ()),
    )


def _exit_code(found: int, verdict: Verdict) -> int:
    """Failures of other tests, interruptions and pytest's own troubles stay what they are."""
    if found not in _JUDGED:
        return found
    # A waived failure is none for pytest: what it still calls one is not the verdict's to pardon.
    failed = found == pytest.ExitCode.TESTS_FAILED
    return RED if verdict.ok and failed else verdict.exit_code
