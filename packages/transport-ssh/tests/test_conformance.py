"""SSHTransport against the shared conformance suite."""

from typing import Any, ClassVar

from transport_core import Capability
from transport_ssh import Hop, KnownHosts, PrivateKey, SSHOptions, SSHTransport
from transport_testbed.conformance import Target, TransportConformance

KEEPALIVES = 4
"""Times that a peer is silent before it is taken for dead: three questions, and the first wait."""


def hop(endpoint: Any, dead_after: float | None = None) -> dict[str, Any]:
    """Return the options of one server of the stack."""
    patience = {"keepalive_interval": dead_after / KEEPALIVES} if dead_after else {}
    return {
        **patience,
        "host": endpoint.host,
        "port": endpoint.port,
        "user": endpoint.user,
        "auth": PrivateKey(endpoint.identity),
        "known_hosts": KnownHosts(text=endpoint.known_hosts),
    }


class TestSSHConformance(TransportConformance):
    """Direct, through the jump host, for each login shell, without SFTP, and with SFTP alone."""

    targets: ClassVar = (
        "direct", "jump", "login-*", "jump-*", "noisy-*", "one-session", "no-sftp", "sftp-only",
    )  # fmt: skip
    entry_point = "ssh"

    def make_transport(self, target: Target) -> SSHTransport:
        """Build from the endpoint that the target stands for, and the hop before it."""
        endpoint, dead_after = target.facts["endpoint"], target.facts.get("dead_after")
        via = (Hop(**hop(endpoint.via, dead_after)),) if endpoint.via else ()
        commands = Capability.RUN in target.minimum
        return SSHTransport(SSHOptions(**hop(endpoint, dead_after), via=via, commands=commands))
