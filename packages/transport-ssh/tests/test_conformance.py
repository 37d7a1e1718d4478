"""SSHTransport against the shared conformance suite."""

from typing import Any, ClassVar

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
    """Direct, through the jump host, for each login shell, and by a user's configuration."""

    targets: ClassVar = ("direct", "jump", "login-*", "jump-*", "noisy-*", "ssh-config")
    entry_point = "ssh"

    def make_transport(self, target: Target) -> SSHTransport:
        """Build from the user's configuration, or the endpoint and the hop before it."""
        if "ssh_config" in target.facts:
            path = target.facts["ssh_config"]
            return SSHTransport.from_ssh_config(target.facts["alias"], path=path)
        endpoint = target.facts["endpoint"]
        via = (Hop(**hop(endpoint.via)),) if endpoint.via else ()
        return SSHTransport(SSHOptions(**hop(endpoint), via=via))
