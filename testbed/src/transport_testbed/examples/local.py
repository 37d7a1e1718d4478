"""LocalTransport against the shared conformance suite."""

from __future__ import annotations

from typing import ClassVar

from transport_local import LocalTransport

from transport_testbed.conformance import Target, TransportConformance


class TestLocalConformance(TransportConformance):
    """On this machine, and within the stack."""

    targets: ClassVar = ("here", "stack")
    entry_point = "local"

    def make_transport(self, target: Target) -> LocalTransport:
        """Work in the place's directory, with its environment."""
        return LocalTransport(cwd=target.workdir, env=target.environment)
