"""SSHTransport against the shared conformance suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from transport_core import Capability
from transport_ssh import (
    Agent,
    Hop,
    KeyboardInteractive,
    KnownHosts,
    Password,
    PrivateKey,
    SSHOptions,
    SSHTransport,
)

from transport_testbed.conformance import Target, TransportConformance

KEEPALIVES = 4
"""Times that a peer is silent before it is taken for dead: three questions, and the first wait."""


def auth(endpoint: Any, secret: Callable[[], str]) -> Any:
    """Return how one logs in to a server of the stack."""
    codes = KeyboardInteractive(lambda _name, _text, prompts: [secret() for _ in prompts])
    match endpoint.login:
        case "agent":
            return Agent(endpoint.identity, socket=endpoint.agent)
        case "password":
            return Password(secret)
        case "totp":
            return codes
        case "two-factors":
            return PrivateKey(endpoint.identity), codes
        case _:
            certificate = endpoint.certificate or None
            return PrivateKey(endpoint.identity, passphrase=secret, certificate=certificate)


def hop(endpoint: Any, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of one server of the stack."""
    dead_after = facts.get("dead_after")
    patience = {"keepalive_interval": dead_after / KEEPALIVES} if dead_after else {}
    return {
        **patience,
        "host": endpoint.host,
        "port": endpoint.port,
        "user": endpoint.user,
        "auth": auth(endpoint, facts["secret"]),
        "known_hosts": KnownHosts(text=endpoint.known_hosts),
    }


class TestSSHConformance(TransportConformance):
    """Direct, through the jump host, for each login shell, each way to log in, each to files."""

    targets: ClassVar = (
        "direct", "jump", "login-*", "jump-*", "noisy-*", "one-session", "auth-*",
        "no-sftp", "sftp-only", "ssh-config",
    )  # fmt: skip
    entry_point = "ssh"

    def make_transport(self, target: Target) -> SSHTransport:
        """Build from the user's configuration, or the endpoint and the hop before it."""
        if "ssh_config" in target.facts:
            path = target.facts["ssh_config"]
            return SSHTransport.from_ssh_config(target.facts["alias"], path=path)
        endpoint = target.facts["endpoint"]
        via = (Hop(**hop(endpoint.via, target.facts)),) if endpoint.via else ()
        commands = Capability.RUN in target.minimum
        return SSHTransport(SSHOptions(**hop(endpoint, target.facts), via=via, commands=commands))
