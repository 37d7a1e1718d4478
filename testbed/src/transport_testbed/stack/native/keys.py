"""Throw-away keys of one run: host keys and the authority over them, a key per kind of login.

Made by ssh-keygen. Must not know which sshd uses which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from transport_testbed.stack._processes import Daemon, spawn
from transport_testbed.stack._ready import until_success
from transport_testbed.stack.native.site import Site

#: In the place of a server's name: a host key that none of them shows.
SPARE = "spare"


def host_key(site: Site, server: str) -> Path:
    """Path of the private host key of *server*."""
    return site.path("keys", f"host-{server}")


def identity(site: Site, login: str) -> Path:
    """Path of the private key of a kind of *login*, such as "user" or "hop"."""
    return site.path("keys", login)


def authority(site: Site) -> Path:
    """Path of the private key that signs the host keys of this run."""
    return site.path("keys", "authority")


def certificate(site: Site, server: str) -> Path:
    """Path of the certificate of the host key of *server*."""
    key = host_key(site, server)
    return key.with_name(f"{key.name}-cert.pub")


def create(
    site: Site, servers: Mapping[str, str], logins: Iterable[str], encrypted: Mapping[str, str]
) -> None:
    """Make all keys at once; the servers' are readable by the user that sshd runs as.

    *servers* has the address under which each is known, to which its certificate is bound. The
    keys in *encrypted* get their passphrase, with the fewest rounds: it guards nothing.
    """
    hosts = [host_key(site, server) for server in (*servers, SPARE)]
    people = [identity(site, login) for login in (*logins, *encrypted)]
    made = [authority(site), *hosts, *people]
    keygen = site.prefix.program("ssh-keygen")
    daemons = [
        site.daemon(f"keygen-{key.name}", keygen, "-q", "-t", "ed25519", "-a", "1", "-C", key.name,
                    "-N", encrypted.get(key.name, ""), "-f", str(key))
        for key in made
    ]  # fmt: skip
    _run_all(daemons)
    _run_all(
        site.daemon(f"certify-{name}", keygen, "-q", "-s", str(authority(site)), "-h", "-I", name,
                    "-n", address, f"{host_key(site, name)}.pub")
        for name, address in servers.items()
    )  # fmt: skip
    for key in made:
        key.with_suffix(".pub").chmod(0o644)
    for key in hosts:
        site.give(key, 0o600)


def _run_all(programs: Iterable[Daemon]) -> None:
    """Run programs that end by themselves, all at once; StackError when one fails."""
    for daemon, pid in [(daemon, spawn(daemon)) for daemon in programs]:
        until_success(daemon, pid)


def client_tools(site: Site) -> None:
    """Put OpenSSH's own client beside the keys, for looking at the stack from outside."""
    for tool in ("ssh", "scp", "sftp"):
        site.shim("openssh", tool)
