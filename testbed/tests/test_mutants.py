"""The suite catches every deliberately broken transport, and has one for every clause it tests."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
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
from .mutants.killers import KILLERS, NOT_ON_THE_BENCH
from .mutants.slow import SlowHeldTransport, SlowTransport, StarvedOnceTransport

# Broken transports leave coroutines, files and children to the garbage collector, and Python
# says so: that is their business here.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(90)]

_COVERED = {clause for clauses in TABLE.values() for clause in clauses}


def score(caught: int, mutants: int, shown: int) -> str:
    """Return in one line what the run proves of the suite."""
    page = contract_page.clauses()
    promised = set(page.published(contract_page.text())) if page else set(CLAUSES)
    return (
        f"clauses {len(promised & CLAUSES)} of {len(promised)} covered; "
        f"broken transports {caught} of {mutants} caught, each by the clauses it names; "
        f"clauses without a killer: {len(CLAUSES - _COVERED)}; "
        f"tests {shown} of {len(TESTS) - len(NOT_ON_THE_BENCH)} shown able to fail, "
        f"and {len(NOT_ON_THE_BENCH)} cannot run on the bench"
    )


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run in a directory of its own: a mutant that lets a shell see a word writes files."""
    monkeypatch.chdir(tmp_path)
    yield
    gc.collect()  # what a mutant left is told here, and not in the next test, where it counts


@pytest.mark.parametrize("mutant", [pytest.param(each, id=each.__name__) for each in TABLE])
def test_a_broken_transport_is_caught(
    mutant: type[Any], record_property: Callable[[str, object], None]
) -> None:
    """Each clause beside it in the table, and each test that it is to show, catches it."""
    tests = [name for name, killer in KILLERS.items() if killer is mutant]
    left = missed(mutant, TABLE[mutant], tests)
    record_property("mutant", "missed" if left else "caught")
    record_property("shown", len(set(tests) - set(left)))
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


def test_every_test_is_shown_able_to_fail() -> None:
    """By a broken transport of its own choice, or there is a reason why it cannot be run here."""
    told = {**KILLERS, **NOT_ON_THE_BENCH}
    assert not set(TESTS) - set(told), "no broken transport in killers.py"
    assert not set(told) - set(TESTS), "no such test"
    assert not set(KILLERS.values()) - set(TABLE), "not in the table, so never run"


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


@pytest.mark.parametrize(
    "name",
    [
        "test_a_timeout_ends_the_whole_process_group",
        "test_a_timeout_ends_what_ignores_a_polite_request",
        "test_a_timeout_ends_the_group_though_others_wait",
        "test_delivery_is_known_where_it_is_proven",
    ],
)
def test_what_is_slow_is_not_broken(name: str) -> None:
    """Where a command has not begun when its time is over, nothing follows for one that has."""
    assert not failures(SlowTransport, [name])


def test_what_is_slow_is_not_broken_with_a_connection() -> None:
    """The same where a peer is dead: what was stopped before that may say so."""
    name = "test_a_timeout_holds_at_a_dead_peer_and_so_does_closing"
    assert not failures(SlowHeldTransport, [name])


def test_a_peer_that_was_starved_is_not_taken_for_a_loop_that_stood_still() -> None:
    """A transport that gives up a peer which truly did not answer in time has done no wrong."""
    assert not failures(StarvedOnceTransport, ["test_a_loop_that_stood_still_keeps_its_connection"])
