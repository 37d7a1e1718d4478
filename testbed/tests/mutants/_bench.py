"""Runs the tests of some clauses on one transport, here, with a place that can be broken.

The tests are the suite's own, watchdogs and leak checks included; only pytest is left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from transport_core import Transport
from transport_core._discovery import GROUP
from transport_testbed._outside import LocalProbe
from transport_testbed.conformance import HarnessError, Target, TransportConformance
from transport_testbed.conformance._claims import Entry, catalogue
from transport_testbed.conformance._clause import Place

from . import _naive
from .connections import FACTS, VARIANTS, HeldTransport, Secret, Server

TESTS = catalogue(TransportConformance)
CLAUSES = frozenset(each for entry in TESTS.values() for each in entry.clause.ids)
"""The clauses that the suite has tests for."""

_WATCHDOG = re.compile(r"(?<=^AssertionError: )LIFE-0[56](?=:)")
_OFFERS = {"posix", "noisy-rc", "login-shell", "cut", "login-counter", "jump", "isolated"}
_OFFERS |= {"freeze", "host-keys", "new-host-key", "wrong", "asked"}


class _CountingProbe(LocalProbe):
    """Looks at this machine, and at the simulated server."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._server = server

    def logins(self) -> int | None:
        return self._server.count

    def refusals(self) -> int | None:
        return self._server.refused

    def attempts(self) -> int | None:
        return self._server.attempts

    def offers_at_hop(self, key: str) -> int | None:
        return self._server.offered_to_hop[key]

    def attempts_at_hop(self) -> int | None:
        return self._server.attempts


def failures(transport: type[Any], names: Collection[str]) -> dict[str, str]:
    """Return those of these tests that fail, and why; what is not claimed is skipped."""
    found = {name: _failure(transport, TESTS[name]) for name in names}
    return {name: reason for name, reason in found.items() if reason}


def missed(
    transport: type[Any], clauses: Collection[str], tests: Collection[str] = ()
) -> dict[str, list[str]]:
    """Return those of the clauses and tests that did not catch a transport, and what happened.

    Only an assertion of the suite catches: a test that trips over the mutant proves nothing.
    """
    left = {*clauses, *tests}
    seen: list[str] = []
    try:
        # One assertion for each clause is enough: what is left to run would only take time.
        for name in (*tests, *(name for name in TESTS if name not in tests)):
            ids = {name, *TESTS[name].clause.ids} & left
            reason = _failure(transport, TESTS[name]) if ids else ""
            if reason.startswith("AssertionError"):
                # The watchdogs around a test speak for their own clause only.
                left -= {told.group()} if (told := _WATCHDOG.search(reason)) else ids
            elif reason:
                seen.append(f"{name}: {reason}")
    finally:
        _naive.end_all()
    return dict.fromkeys(left, seen)


def _failure(transport: type[Any], entry: Entry) -> str:
    """Run one test; return the kind and text of its failure, or nothing."""
    server = Server()
    held = issubclass(transport, HeldTransport)

    def build(target: Target) -> Transport:
        return transport(server, target) if held else transport()

    offers = _OFFERS | getattr(transport, "OFFERS", set())
    root = tempfile.mkdtemp(prefix="mutant-")
    os.mkdir(os.path.join(root, "remote"))
    os.mkdir(os.path.join(root, "local"))
    target = Target(
        name="bench",
        workdir=os.path.join(root, "remote"),
        offers=frozenset(offers),
        facts={**FACTS, "secret": Secret("right"), **getattr(transport, "FACTS", {})},
        variants={**VARIANTS, **getattr(transport, "VARIANTS", {})},
        probe=_CountingProbe(server),
        faults=server,
    )
    place = Place(
        target=target,
        build=build,
        local_dir=Path(root, "local"),
        lag=0.4,
        not_claimed=_unexpected,
    )
    test: Any = entry.function
    try:
        claimed = set(entry.clause.needs) <= build(target).capabilities
        if not claimed or not set(entry.clause.offers) <= offers:
            return ""
        with _registered(transport, root):
            asyncio.run(test(TransportConformance(), transport_place=place))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        for folder, _, _ in os.walk(root):
            os.chmod(folder, 0o700)
        shutil.rmtree(os.fsencode(root), ignore_errors=True)
    return ""


@contextlib.contextmanager
def _registered(transport: type[Any], root: str) -> Iterator[None]:
    """Let a transport be found by a name, as one that is installed."""
    info = Path(root, "mutant-0.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Name: mutant\nVersion: 0\n")
    points = f"[{GROUP}]\nmutant = {transport.__module__}:{transport.__qualname__}\n"
    (info / "entry_points.txt").write_text(points)
    sys.path.append(root)
    try:
        yield
    finally:
        sys.path.remove(root)


def _unexpected(reason: str) -> None:
    raise HarnessError(f"not claimed after all: {reason}")
