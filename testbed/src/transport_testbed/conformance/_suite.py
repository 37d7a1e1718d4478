"""The class that a guest subclasses: all sections at once, so that none can be left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import ClassVar

import pytest
from transport_core import Transport

from transport_testbed.conformance._claims import Entry, catalogue
from transport_testbed.conformance._clause import Place
from transport_testbed.conformance._collect import open_place
from transport_testbed.conformance._target import Target
from transport_testbed.conformance.bad_input import BadInputTests
from transport_testbed.conformance.capabilities import CapabilitiesTests
from transport_testbed.conformance.connection import ConnectionTests
from transport_testbed.conformance.dead_peers import DeadPeersTests
from transport_testbed.conformance.discovery import DiscoveryTests
from transport_testbed.conformance.errors import ErrorsTests
from transport_testbed.conformance.files import FilesTests
from transport_testbed.conformance.files_atomic import FilesAtomicTests
from transport_testbed.conformance.files_meanwhile import FilesMeanwhileTests
from transport_testbed.conformance.files_names import FilesNamesTests
from transport_testbed.conformance.files_sizes import FilesSizesTests
from transport_testbed.conformance.files_trees import FilesTreesTests
from transport_testbed.conformance.host_keys import HostKeysTests
from transport_testbed.conformance.life import LifeTests
from transport_testbed.conformance.login import LoginTests
from transport_testbed.conformance.run_argv import RunArgvTests
from transport_testbed.conformance.run_errors import RunErrorsTests
from transport_testbed.conformance.run_limits import RunLimitsTests
from transport_testbed.conformance.run_stop import RunStopTests
from transport_testbed.conformance.run_streams import RunStreamsTests
from transport_testbed.conformance.sessions import SessionsTests
from transport_testbed.conformance.slurm import SlurmTests
from transport_testbed.conformance.ssh_config import SSHConfigTests
from transport_testbed.conformance.streaming import StreamingTests
from transport_testbed.conformance.streaming_stop import StreamingStopTests


class TransportConformance(
    LifeTests,
    RunArgvTests,
    RunStreamsTests,
    RunStopTests,
    SessionsTests,
    RunErrorsTests,
    RunLimitsTests,
    StreamingTests,
    StreamingStopTests,
    FilesTests,
    FilesNamesTests,
    FilesSizesTests,
    FilesAtomicTests,
    FilesTreesTests,
    FilesMeanwhileTests,
    BadInputTests,
    ErrorsTests,
    ConnectionTests,
    HostKeysTests,
    DeadPeersTests,
    LoginTests,
    SSHConfigTests,
    DiscoveryTests,
    CapabilitiesTests,
    SlurmTests,
):
    """Subclass it as ``Test…`` in a test file, and give ``make_transport``; nothing else."""

    targets: ClassVar[tuple[str, ...]] = ("here",)
    """Where this transport can run, by names, or patterns such as ``"login-*"``."""

    entry_point: ClassVar[str | None] = None
    """Its name in the group ``intercede.transports``; None if it is not registered."""

    label: ClassVar[str | None] = None
    """Its name in reports; None takes it from the class, ``kubectl`` of TestKubectlConformance."""

    places: ClassVar[Mapping[str, Callable[[], AbstractContextManager[Target]]]] = {}
    """Places of the guest's own, by name; each opens a fresh target for one test."""

    catalogue: ClassVar[Mapping[str, Entry]]
    """All tests, fixed when this module was loaded: what a guest changes is compared with it."""

    def make_transport(self, target: Target) -> Transport:
        """Return a new transport to the target, not open. Does no input or output."""
        raise NotImplementedError(
            f"{type(self).__name__} must say how its transport is made:\n"
            "    def make_transport(self, target):\n"
            "        return MyTransport(...)  # not open; target.facts and target.environment help"
        )

    @pytest.fixture
    def transport_place(self, request: pytest.FixtureRequest) -> Iterator[Place]:
        """Where this test runs; skipped, with the reason, where it cannot."""
        with open_place(request, self.make_transport) as place:
            yield place


TransportConformance.catalogue = catalogue(TransportConformance)
