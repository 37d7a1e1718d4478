"""A guest's project, for the tests of the plugin: a small suite with the whole machinery.

Its tests are a handful, and its transports do nothing.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

SUITE = '''
from contextlib import contextmanager
import os
import pytest
from transport_core import MINIMUM, Capability
from transport_testbed.conformance import *
from transport_testbed.conformance._claims import catalogue
from transport_testbed.conformance._collect import open_place


class Fake:
    """Does nothing, in the shape that the machinery needs."""
    name, capabilities = "fake", MINIMUM
    async def __aenter__(self): return self
    async def aclose(self): pass


class OneTests:
    @clause("RUN-01")
    @pytest.mark.parametrize("word", ("x", "y-z"))
    async def test_words(self, case, word):
        assert case.transport.name != "wrong"

    @clause("RUN-05", needs=Capability.SIGNALS)
    async def test_signals(self, case):
        assert case.transport.name != "wrong"

    @clause("RUN-02", offers="login-shell")
    async def test_shells(self, case): ...


class TwoTests:
    @clause("FILE-01")
    async def test_files(self, case):
        if case.transport.name == "broken testbed":
            raise HarnessError("out of order")
        if case.transport.name == "deadly":
            os._exit(3)
        assert not case.local("x").exists() and case.probe.listdir(case.remote(".")) == []


class Suite(OneTests, TwoTests):
    targets, entry_point, label, places = ("here",), None, None, {}

    @pytest.fixture
    def transport_place(self, request):
        with open_place(request, self.make_transport) as place:
            yield place

    def make_transport(self, target):
        return Fake()

Suite.catalogue = catalogue(Suite)


@contextmanager
def away():
    raise HarnessError("the server is down")
    yield


class Wrong(Fake):
    name = "wrong"


class Able(Fake):
    capabilities = MINIMUM | {Capability.SIGNALS}
'''

GOOD = "from suite import *\nclass TestGoodConformance(Suite): pass\n"
WORKERS = pytest.mark.parametrize("workers", [(), ("-n2",)], ids=("alone", "workers"))
WAIVER = """
[[waiver]]
clause = "RUN-01"
reason = "known"
issue = "https://example.org/1"
until = 2999-01-01
"""


def make_guest(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a project that has the small suite at hand."""
    pytester.makepyfile(suite=SUITE)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))
    # A worker that dies leaves what it made in the temporary directory: here, where it is removed.
    monkeypatch.setenv("TMPDIR", str(pytester.path))


def run(pytester: pytest.Pytester, test: str, *options: str) -> pytest.RunResult:
    """Run a guest's test file in a process of its own, and write reports."""
    pytester.makepyfile(test_guest=test)
    return pytester.runpytest_subprocess("--transport-report=report", *options)


def rows(pytester: pytest.Pytester) -> dict[str, str]:
    """What each test of the report came to."""
    found = json.loads(Path(pytester.path, "report", "conformance.json").read_text())
    return {f"{row['subject']} {row['variant']}": row["state"] for row in found["rows"]}
