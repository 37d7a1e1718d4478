"""Throw-away keys of one run: a host key per sshd, one client key per kind of login.

Made by ssh-keygen. Must not know which sshd uses which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from transport_testbed.stack._processes import spawn
from transport_testbed.stack._ready import until_success
from transport_testbed.stack.native.site import Site


def host_key(site: Site, server: str) -> Path:
    """Path of the private host key of *server*."""
    return site.path("keys", f"host-{server}")


def identity(site: Site, login: str) -> Path:
    """Path of the private key of a kind of *login*, such as "user" or "hop"."""
    return site.path("keys", login)


def create(
    site: Site, servers: Iterable[str], logins: Iterable[str], encrypted: Mapping[str, str]
) -> None:
    """Make all keys at once; the servers' are readable by the user that sshd runs as.

    Those in *encrypted* get their passphrase, with the fewest rounds: it guards nothing.
    """
    hosts = [host_key(site, server) for server in servers]
    made = [*hosts, *(identity(site, login) for login in (*logins, *encrypted))]
    keygen = site.prefix.program("ssh-keygen")
    daemons = [
        site.daemon(f"keygen-{key.name}", keygen, "-q", "-t", "ed25519", "-a", "1", "-C", key.name,
                    "-N", encrypted.get(key.name, ""), "-f", str(key))
        for key in made
    ]  # fmt: skip
    for daemon, pid in [(daemon, spawn(daemon)) for daemon in daemons]:
        until_success(daemon, pid)
    for key in made:
        key.with_suffix(".pub").chmod(0o644)
    for key in hosts:
        site.give(key, 0o600)


def known_hosts(site: Site, server: str, host: str, port: int) -> str:
    """The known_hosts line that pins *server* at this address."""
    kind, key = host_key(site, server).with_suffix(".pub").read_text().split()[:2]
    return f"[{host}]:{port} {kind} {key}\n"


def client_tools(site: Site) -> None:
    """Put OpenSSH's own client beside the keys, for looking at the stack from outside."""
    for tool in ("ssh", "scp", "sftp"):
        site.shim("openssh", tool)
