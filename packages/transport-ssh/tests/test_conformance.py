"""SSHTransport against the shared conformance suite."""

from transport_ssh import Hop, KnownHosts, PrivateKey, SSHOptions, SSHTransport
from transport_testbed.conformance import Target, TransportConformance


class TestSSHConformance(TransportConformance):
    """Direct, through the jump host, and for each login shell."""

    targets = ("direct", "jump", "login-*", "jump-*", "noisy-*")
    entry_point = "ssh"

    def make_transport(self, target: Target) -> SSHTransport:
        """Build from the endpoint's facts."""
        *via, last = target.facts["hops"]
        hops = [
            {
                "host": hop.host,
                "port": hop.port,
                "user": hop.user,
                "auth": PrivateKey(hop.identity),
                "known_hosts": KnownHosts(text=hop.known_hosts),
            }
            for hop in (*via, last)
        ]
        *before, target_hop = hops
        return SSHTransport(SSHOptions(**target_hop, via=tuple(Hop(**hop) for hop in before)))
