"""LocalTransport against the shared suite: the class is one of the testbed's examples."""

from transport_testbed.examples.local import TestLocalConformance

__all__ = ["TestLocalConformance"]
