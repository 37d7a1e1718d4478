"""The catalogue, and what a guest may not do to it."""

from __future__ import annotations

from typing import Any

import pytest
from transport_core import FILES_MINIMUM, Capability
from transport_testbed.conformance import Case, TransportConformance, clause
from transport_testbed.conformance._claims import (
    catalogue,
    fingerprint,
    label_of,
    problems,
    sections,
)


class Guest(TransportConformance):
    """Changes nothing."""


def test_a_guest_that_changes_nothing_is_whole() -> None:
    """Nothing is said of it."""
    assert problems(Guest, TransportConformance) == ()


def test_deleted_and_overridden_tests_are_found() -> None:
    """Also those that a mixin between hides."""
    first, second, *_ = TransportConformance.catalogue

    class Mixin:
        pass

    setattr(Mixin, second, lambda self: None)

    class Bad(Mixin, TransportConformance):
        pass

    setattr(Bad, first, None)
    found = problems(Bad, TransportConformance)
    assert [first in found[0], "deleted" in found[0]] == [True, True]
    assert [second in found[1], "overridden" in found[1]] == [True, True]


def test_a_test_deleted_in_the_suite_itself_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalogue was fixed when the suite was loaded."""
    name, entry = next(iter(TransportConformance.catalogue.items()))
    section = next(each for each in TransportConformance.__mro__ if each.__name__ == entry.section)
    monkeypatch.setattr(section, name, None)
    assert "deleted" in problems(Guest, TransportConformance)[0]


def test_an_overridden_place_is_found() -> None:
    """The fixture decides on skips."""

    class Bad(TransportConformance):
        transport_place: Any = None

    assert "transport_place" in problems(Bad, TransportConformance)[0]


def test_an_entry_point_has_to_be_registered() -> None:
    """Who says that it can be found is found."""

    class Bad(TransportConformance):
        entry_point = "no-such"

    assert "no-such" in problems(Bad, TransportConformance)[0]


def test_every_section_of_a_place_for_all_has_a_test_that_nobody_is_excused_from() -> None:
    """So no transport can empty a section by what it denies."""
    must = sections(TransportConformance.catalogue)
    assert {name for name, needed in must.items() if not needed} == {
        "ConnectionTests",
        "DeadPeersTests",
        "HostKeysTests",
        "LoginTests",
        "SSHConfigTests",
        "SlurmTests",
        "StreamingStopTests",
        "StreamingTests",
    }


def test_two_sections_cannot_have_a_test_of_the_same_name() -> None:
    """One would never run."""

    class A:
        @clause("RUN-01")
        async def test_x(self, case: Case) -> None: ...

    class B(A):
        @clause("RUN-02")
        async def test_x(self, case: Case) -> None: ...

    with pytest.raises(TypeError, match="test_x"):
        catalogue(B)


def test_the_fingerprint_changes_with_the_tests() -> None:
    """A report says which tests it is about."""
    tests = dict(TransportConformance.catalogue)
    before = fingerprint(tests)
    tests.popitem()
    assert len(before) == 12
    assert fingerprint(tests) != before


def test_labels() -> None:
    """From the name of the class, or given; fit for a test id."""
    named = {name: label_of(type(name, (), {})) for name in ("TestSSHConformance", "TestX Y@z")}
    assert named == {"TestSSHConformance": "ssh", "TestX Y@z": "x_y_z"}
    assert label_of(type("TestX", (), {"label": "own"})) == "own"


def test_needs_beyond_the_minimum_are_a_condition() -> None:
    """What every transport must declare excuses nobody."""

    class A:
        @clause("RUN-01", needs=Capability.RUN)
        async def test_a(self, case: Case) -> None: ...

        @clause("RUN-02", needs=(Capability.STOP,))
        async def test_b(self, case: Case) -> None: ...

        @clause("RUN-03", offers="slurm")
        async def test_c(self, case: Case) -> None: ...

    assert [entry.unconditional() for entry in catalogue(A).values()] == [True, False, False]


def test_where_files_alone_are_granted_commands_are_a_condition() -> None:
    """A section of commands may stay empty there, and nowhere else; one of files may not."""
    tests = TransportConformance.catalogue
    there, anywhere = sections(tests, FILES_MINIMUM), sections(tests)
    excused = {name for name, needed in anywhere.items() if needed and not there[name]}
    assert excused == {
        "RunArgvTests",
        "RunErrorsTests",
        "RunLimitsTests",
        "RunStopTests",
        "RunStreamsTests",
        "SessionsTests",
    }
