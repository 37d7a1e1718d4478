"""The suite catches every deliberately broken transport, and has one for every clause it tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transport_core import Capability
from transport_local import LocalTransport

from .mutants import TABLE
from .mutants._bench import CLAUSES, TESTS, failures, missed
from .mutants.configurations import ConfiguredTransport
from .mutants.connections import HeldTransport

# Broken transports leave coroutines, files and children to the garbage collector, and Python
# says so: that is their business here.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(90)]

_COVERED = {clause for clauses in TABLE.values() for clause in clauses}


@pytest.fixture(scope="module")
def caught(request: pytest.FixtureRequest) -> Iterator[set[type[Any]]]:
    """Collect the mutants that were caught, and say at the end how many of how many."""
    found: set[type[Any]] = set()
    yield found
    plugins = request.config.pluginmanager
    terminal, capture = plugins.get_plugin("terminalreporter"), plugins.get_plugin("capturemanager")
    # A worker of xdist has seen a part only, and has no terminal.
    if terminal is None or capture is None or hasattr(request.config, "workerinput"):
        return
    with capture.global_and_fixture_disabled():
        terminal.write_line(
            f"\nclauses {len(_COVERED & CLAUSES)} of {len(CLAUSES)} covered; "
            f"broken transports {len(found)} of {len(TABLE)} caught"
        )


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in a directory of its own: a mutant that lets a shell see a word writes files."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("mutant", [pytest.param(each, id=each.__name__) for each in TABLE])
def test_a_broken_transport_is_caught(mutant: type[Any], caught: set[type[Any]]) -> None:
    """Each clause named beside it in the table catches it, by an assertion."""
    left = missed(mutant, TABLE[mutant])
    assert not left
    caught.add(mutant)


def test_every_clause_with_a_test_catches_something() -> None:
    """A clause whose tests no broken transport fails has not been shown to be able to fail."""
    assert not CLAUSES - _COVERED


def test_the_table_names_clauses_that_the_suite_tests() -> None:
    """A mutant that names a clause without a test could never be caught by it."""
    assert not _COVERED - CLAUSES


def test_every_mutant_says_what_is_wrong_with_it() -> None:
    """The docstring of a mutant is its description in the table."""
    assert not [mutant for mutant in TABLE if not (mutant.__doc__ or "").strip()]


@pytest.mark.parametrize("part", range(4))
def test_what_is_not_broken_passes(part: int) -> None:
    """What the mutants are made from fails nothing: it is the fault that is caught."""
    assert not failures(LocalTransport, sorted(TESTS)[part::4])


def test_what_is_not_broken_passes_with_a_connection() -> None:
    """The same for the simulated connection, and the tests that need one."""
    held = [name for name in TESTS if Capability.CONNECTION in TESTS[name].clause.needs]
    assert not failures(HeldTransport, held)


def test_what_is_not_broken_passes_with_a_configuration() -> None:
    """The same for the simulated configuration."""
    configured = [name for name in TESTS if "ssh-config" in TESTS[name].clause.offers]
    assert configured
    assert not failures(ConfiguredTransport, configured)
