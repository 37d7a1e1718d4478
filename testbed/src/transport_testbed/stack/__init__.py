"""Bring up real servers to test against: sshd, a jump host, Slurm.

Knows nothing of transports or of the conformance suite.
"""

from transport_testbed.stack._provider import Provider, StackError, providers
from transport_testbed.stack._spec import Endpoint, Stack, StackSpec

__all__ = ["Endpoint", "Provider", "Stack", "StackError", "StackSpec", "providers"]
