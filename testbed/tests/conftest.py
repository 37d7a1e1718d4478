"""pytest's own tester for the tests of the plugin, and the sum of the mutants at the end."""

from __future__ import annotations

import pytest

pytest_plugins = ("pytester",)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many clauses are covered and broken transports caught, wherever they ran."""
    reports = terminalreporter.stats.get("passed", []) + terminalreporter.stats.get("failed", [])
    told = [dict(report.user_properties) for report in reports]
    outcomes = [each["mutant"] for each in told if "mutant" in each]
    if not outcomes:
        return
    from .mutants import TABLE  # noqa: PLC0415 - only where they were run
    from .test_mutants import score  # noqa: PLC0415

    terminalreporter.section("mutants", sep="=")
    shown = sum(int(str(each.get("shown", 0))) for each in told)
    terminalreporter.write_line(score(outcomes.count("caught"), len(TABLE), shown))
