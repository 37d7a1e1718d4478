"""LocalTransport against the shared conformance suite."""

from typing import ClassVar

from transport_local import LocalTransport
from transport_testbed.conformance import Target, TransportConformance


class TestLocalConformance(TransportConformance):
    targets: ClassVar = ("here", "stack")
    entry_point = "local"

    def make_transport(self, target: Target) -> LocalTransport:
        return LocalTransport(cwd=target.workdir, env=target.environment)
