"""Where the tests are collected and run: subjects, and the places that they are run at.

Works in every process of a run; what a test came to is _rows'.
"""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pytest
from transport_core import Capability, Transport
from transport_core.authoring import escape

from transport_testbed.conformance import _claims
from transport_testbed.conformance._clause import PLACE, Place, clause_of
from transport_testbed.conformance._target import HarnessError, NotOfferedError, Target
from transport_testbed.conformance._verdict import State
from transport_testbed.conformance._waivers import Waiver

ALONE = frozenset({"cut", "freeze", "login-counter", "new-host-key"})
"""What a test needs that cannot share a server with another: it would be cut or counted too."""


class Places(Protocol):
    """Opens the places that the testbed has."""

    names: tuple[str, ...]
    aspects: Mapping[str, str]
    """Places that differ from another in one aspect only: they run the tests about it."""

    def open(self, name: str, *, alone: bool) -> AbstractContextManager[Target]:
        """Open a fresh place, alone on its server if need be.

        Raises:
            NotOfferedError: There is no such place here.
            HarnessError: There should be.
        """
        ...


@dataclass(slots=True)
class Session:
    """What this process knows of the run."""

    places: Places
    only: str = ""
    lag: float = 0.1
    waivers: tuple[Waiver, ...] = ()
    #: Tests collected, by subject.
    collected: dict[str, int] = field(default_factory=dict)
    #: The class that goes by a label; a second one is a problem.
    labels: dict[str, type] = field(default_factory=dict)
    problems: dict[type, tuple[str, ...]] = field(default_factory=dict)
    #: Its places, by class, and what is meant for each of them: asked for with every test.
    names: dict[type, list[str]] = field(default_factory=dict)
    meant: dict[tuple[type, str], Mapping[str, _claims.Entry]] = field(default_factory=dict)


SESSION = pytest.StashKey[Session]()
SUBJECT = pytest.StashKey[tuple[str, str]]()
"""Of a test: its subject, and the name of its place."""
SKIPPED = pytest.StashKey[tuple[State, str]]()
"""Of a test that the suite has skipped: as what, and why."""
MINIMUM_OF_PLACE = pytest.StashKey[frozenset[Capability]]()
"""Of a test: what its place demands of every transport."""


def suite_of(cls: Any) -> Any:
    """Return the class of the suite that a guest's class is derived from."""
    return next(base for base in reversed(cls.__mro__) if PLACE in vars(base))


def parametrize(metafunc: pytest.Metafunc, session: Session) -> None:
    """Give a test of the suite one subject for each place of its class."""
    cls: Any = metafunc.cls
    if wrong := _wrong_targets(cls, session):
        # Not a UsageError: of a collector's errors pytest shows the text alone, and once.
        raise pytest.Collector.CollectError(wrong)
    label = _claims.label_of(cls)
    if cls not in session.problems:
        first = session.labels.setdefault(label, cls)
        found = list(_claims.problems(cls, suite_of(cls)))
        if first is not cls:
            found.append(f"{first.__name__} and {cls.__name__} are both called {label}")
        found += _unknown(cls, session)
        session.problems[cls] = tuple(found)
    names = for_test(metafunc.function, expand(cls, session), session)
    metafunc.parametrize(PLACE, names, ids=[f"{label}@{name}" for name in names], indirect=True)


def expand(cls: Any, session: Session) -> list[str]:
    """Return the places of a class, its patterns expanded, each once."""
    if cls not in session.names:
        known = [*cls.places, *session.places.names]
        found = (n for each in cls.targets for n in known if fnmatchcase(n, each))
        session.names[cls] = list(dict.fromkeys(found))
    return session.names[cls]


def for_test(function: object, names: list[str], session: Session) -> list[str]:
    """Leave out the places that are there for their login shell if the test is not about it."""
    says = clause_of(function)
    aspects = session.places.aspects
    if says is None or all(name in aspects for name in names):
        return names
    return [name for name in names if name not in aspects or aspects[name] in says.about]


def _wrong_targets(cls: Any, session: Session) -> str:
    """Say what is wrong with the targets of a class for which no test can be made, and try what."""
    given: Any = cls.targets
    what = f"{cls.__name__}: targets = {given!r}"
    if not isinstance(given, tuple | list) or not all(isinstance(each, str) for each in given):
        words = given if isinstance(given, str) else "here"
        return f'{what} is no tuple of names; try: targets = ("{words}",)'
    if not given:
        return f'{what} names no place; try: targets = ("here",)'
    return "" if expand(cls, session) else "; ".join(_unknown(cls, session))


def _unknown(cls: Any, session: Session) -> list[str]:
    known = [*cls.places, *session.places.names]
    return [
        f"{cls.__name__}: no place is called {each}; there are: {', '.join(known)}"
        for each in cls.targets
        if not any(fnmatchcase(name, each) for name in known)
    ]


def note_subject(item: pytest.Item, session: Session) -> None:
    """Note a test of the suite when it is collected, before anybody can take it out."""
    if clause_of(getattr(item, "function", None)) is None:
        return
    name = item.callspec.params[PLACE]  # type: ignore[attr-defined]
    subject = f"{_claims.label_of(item.cls)}@{name}"  # type: ignore[attr-defined]
    item.stash[SUBJECT] = (subject, name)
    session.collected[subject] = session.collected.get(subject, 0) + 1


def unwanted(item: pytest.Item, session: Session) -> bool:
    """Whether a test is of a subject that ``--transport-targets`` leaves out."""
    subject, name = item.stash.get(SUBJECT, ("", ""))
    patterns = [each for each in session.only.split(",") if each]
    return bool(subject and patterns) and not any(
        fnmatchcase(subject, each) or fnmatchcase(name, each) for each in patterns
    )


@contextmanager
def open_place(
    request: pytest.FixtureRequest, build: Callable[[Target], Transport]
) -> Iterator[Place]:
    """Open the place of a test, or skip it with the reason; what goes wrong is the testbed's."""
    session = request.config.stash[SESSION]
    says = clause_of(request.node.function)
    if says is None:
        raise HarnessError(f"{request.node.name} has no clause")
    name: str = request.param
    try:
        with (
            tempfile.TemporaryDirectory(prefix="transport-local-") as local,
            _place(request.cls, session, name, alone=bool(ALONE & set(says.offers))) as target,
        ):
            request.node.stash[MINIMUM_OF_PLACE] = target.minimum
            missing = [fact for fact in says.offers if fact not in target.offers]
            if missing:
                skip(request.node, State.NOT_OFFERED, f"{missing[0]}: {target.why_not(missing[0])}")
            yield Place(
                target=target,
                build=partial(_built, request.cls, build),
                local_dir=Path(local).resolve(),
                lag=session.lag,
                not_claimed=lambda reason: skip(request.node, State.NOT_CLAIMED, reason),
            )
    except NotOfferedError as error:
        skip(request.node, State.NOT_OFFERED, str(error))


def _built(cls: Any, build: Callable[[Target], Transport], target: Target) -> Transport:
    """Return a new transport; what is none is said once, rather than by whatever it lacks first."""
    found: Any = build(target)
    if found is None or inspect.iscoroutine(found):
        what = "None" if found is None else "a coroutine"
        if found is not None:
            found.close()  # nobody will await it
        pytest.fail(
            f"{cls.__name__}.make_transport returned {what}; try: a plain def (it does no input or"
            " output) that ends in: return MyTransport(...)",
            pytrace=False,
        )
    transport: Transport = found
    return transport


def _place(cls: Any, session: Session, name: str, *, alone: bool) -> AbstractContextManager[Target]:
    own: Mapping[str, Callable[[], AbstractContextManager[Target]]] = cls.places
    return own[name]() if name in own else session.places.open(name, alone=alone)


def skip(item: pytest.Item, state: State, reason: str) -> None:
    """Skip in a way that the report can tell from a skip that nobody earned."""
    item.stash[SKIPPED] = (state, reason)
    pytest.skip(f"{state.value}: {escape(reason)}")
