"""The suite catches every deliberately broken transport, and has one for every clause it tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transport_core import Capability
from transport_local import LocalTransport

from . import contract_page
from .mutants import TABLE
from .mutants._bench import CLAUSES, TESTS, failures, missed
from .mutants.configurations import ConfiguredTransport
from .mutants.connections import HeldTransport

# Broken transports leave coroutines, files and children to the garbage collector, and Python
# says so: that is their business here.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(90)]

_COVERED = {clause for clauses in TABLE.values() for clause in clauses}


def score(caught: int, mutants: int) -> str:
    """Return in one line what the run proves of the suite."""
    page = contract_page.clauses()
    promised = set(page.published(contract_page.text())) if page else set(CLAUSES)
    return (
        f"clauses {len(promised & CLAUSES)} of {len(promised)} covered; "
        f"broken transports {caught} of {mutants} caught, each by the clauses it names; "
        f"clauses without a killer: {len(CLAUSES - _COVERED)}"
    )


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in a directory of its own: a mutant that lets a shell see a word writes files."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("mutant", [pytest.param(each, id=each.__name__) for each in TABLE])
def test_a_broken_transport_is_caught(
    mutant: type[Any], record_property: Callable[[str, object], None]
) -> None:
    """Each clause named beside it in the table catches it, by an assertion."""
    left = missed(mutant, TABLE[mutant])
    record_property("mutant", "missed" if left else "caught")
    assert not left


def test_the_published_contract_and_the_suite_are_in_step() -> None:
    """A clause without a test, and a test without a clause, is told by its number."""
    page = contract_page.clauses()
    if page is None:
        pytest.skip("the contract is published in the repository only")
    assert not list(page.differences(contract_page.text(), CLAUSES))


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
