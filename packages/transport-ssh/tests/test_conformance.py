"""SSHTransport against the shared conformance suite."""

from typing import Any, ClassVar

from transport_core import Capability
from transport_ssh import Hop, KnownHosts, PrivateKey, SSHOptions, SSHTransport
from transport_testbed.conformance import Target, TransportConformance


def hop(endpoint: Any) -> dict[str, Any]:
    """Return the options of one server of the stack."""
    return {
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
        endpoint = target.facts["endpoint"]
        via = (Hop(**hop(endpoint.via)),) if endpoint.via else ()
        commands = Capability.RUN in target.minimum
        return SSHTransport(SSHOptions(**hop(endpoint), via=via, commands=commands))
