"""The catalogue of the suite, and whether a guest's class still is the whole of it.

Must not run anything.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from transport_core import MINIMUM, Capability, names

from transport_testbed.conformance._clause import PLACE, Clause, clause_of


@dataclass(frozen=True, slots=True)
class Entry:
    """One test of the catalogue."""

    section: str
    clause: Clause
    function: object

    def unconditional(self, minimum: frozenset[Capability] = MINIMUM) -> bool:
        """Whether every transport must run it at every place of this category."""
        return not self.clause.offers and set(self.clause.needs) <= minimum


def catalogue(suite: type) -> Mapping[str, Entry]:
    """Return the tests that the sections of a suite define, by name."""
    found: dict[str, Entry] = {}
    for section in suite.__mro__:
        for name, function in vars(section).items():
            says = clause_of(function)
            if says is None:
                continue
            if name in found:
                raise TypeError(f"two sections have a test {name}: one would hide the other")
            found[name] = Entry(section.__name__, says, function)
    return MappingProxyType(found)


def fingerprint(tests: Mapping[str, Entry]) -> str:
    """Return a short hash of which tests there are, and for which clauses."""
    lines = sorted(f"{name} {' '.join(entry.clause.ids)}" for name, entry in tests.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def sections(
    tests: Mapping[str, Entry], minimum: frozenset[Capability] = MINIMUM
) -> dict[str, bool]:
    """Return the sections, and whether each has tests that nobody is excused from."""
    found: dict[str, bool] = {}
    for entry in tests.values():
        found[entry.section] = found.get(entry.section, False) or entry.unconditional(minimum)
    return found


def label_of(cls: type) -> str:
    """Return the name of a guest's transport in reports."""
    given = getattr(cls, "label", None)
    name = given or cls.__name__.removeprefix("Test").removesuffix("Conformance") or cls.__name__
    return re.sub(r"[^a-z0-9_.]+", "_", name.lower()).strip("_")


def problems(cls: type, suite: Any) -> tuple[str, ...]:
    """Return how a guest's class falls short of the whole suite."""
    found = []
    tests: Mapping[str, Entry] = suite.catalogue
    for name, entry in tests.items():
        mine = getattr(cls, name, None)
        if mine is None:
            found.append(f"{cls.__name__}: {name} ({', '.join(entry.clause.ids)}) is deleted")
        elif mine is not entry.function:
            found.append(f"{cls.__name__}: {name} ({', '.join(entry.clause.ids)}) is overridden")
    if next(base for base in cls.__mro__ if PLACE in vars(base)) is not suite:
        found.append(f"{cls.__name__}: the fixture {PLACE} is overridden")
    found = [f"{each}; a known deviation is a waiver, not an override" for each in found]
    entry_point = getattr(cls, "entry_point", None)
    if entry_point is not None and entry_point not in names():
        found.append(f"{cls.__name__}: no transport is registered as {entry_point} here")
    return tuple(found)
