"""SSHTransport against the shared suite: the class is one of the testbed's examples."""

from transport_testbed.examples.ssh import TestSSHConformance

__all__ = ["TestSSHConformance"]
