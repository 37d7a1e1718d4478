"""Ways to log in besides a plain key: their accounts, their servers, and what a client needs.

Certificate, agent, encrypted key and password are sshd's own affair; what asks for codes is PAM,
and pam.py's. Must not know how sshd is started.
"""

from __future__ import annotations

import ctypes
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from transport_testbed.stack._logins import BY_PAM, BY_SSHD, ENCRYPTED, KEYS, Secrets, completed
from transport_testbed.stack._processes import Daemon, spawn
from transport_testbed.stack._ready import until, until_success
from transport_testbed.stack._spec import Endpoint
from transport_testbed.stack.native import keys, pam, sshd
from transport_testbed.stack.native.shells import Account
from transport_testbed.stack.native.site import Site
from transport_testbed.stack.native.sshd import Server

AGENT = "ssh-agent"

_MATCH = {
    "certificate": "AuthorizedKeysFile none\nTrustedUserCAKeys {signer}.pub",
    "agent": "AuthorizedKeysFile {user}.pub",
    "encrypted-key": "AuthorizedKeysFile {encrypted}.pub",
    "password": "PasswordAuthentication yes\nAuthenticationMethods password",
    "totp": "KbdInteractiveAuthentication yes\nAuthenticationMethods keyboard-interactive:pam",
    "two-factors": "KbdInteractiveAuthentication yes\n"
    "AuthenticationMethods publickey,keyboard-interactive:pam",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Logins:
    """The accounts of one run, by kind, and the secrets that were made for it."""

    accounts: Mapping[str, Account]
    secrets: Secrets = field(default_factory=Secrets)

    @classmethod
    def of(cls, site: Site) -> Self:
        """Think of an account for each kind; nothing is written."""
        shell = site.spec.shells[0]
        return cls(
            accounts={
                kind: Account(user=f"l_{kind}", login_shell=shell, noisy=False,
                              home=str(site.root / "home" / f"l_{kind}"))
                for kind in (*BY_SSHD, *BY_PAM)
            }
        )  # fmt: skip

    def servers(self, site: Site, ports: tuple[int, int]) -> tuple[Server, Server]:
        """Describe the two servers; each account can be logged in to in one way only."""
        names = (*KEYS, ENCRYPTED, "user")
        paths = {name: str(keys.identity(site, name)) for name in names}
        made = []
        for name, port, kinds in zip(("logins", "codes"), ports, (BY_SSHD, BY_PAM), strict=True):
            here = ("127.0.0.1", port)
            blocks = tuple(
                f"Match User {self.accounts[kind].user}\n{_MATCH[kind].format(**paths)}"
                for kind in kinds
            )
            made.append(Server(name=name, listen=here, dial=here, blocks=blocks))
        plain, asking = made
        return plain, replace(asking, extra=("UsePAM yes",))

    def daemons(self, site: Site, servers: tuple[Server, Server]) -> Iterator[Daemon]:
        """Write what the two servers need, and describe how to run them."""
        shadow = site.write(site.path("shadow"), self._shadow())
        site.give(shadow, 0o600)
        plain, asking = (sshd.daemon(site, server) for server in servers)
        names = {**plain.environment, "NSS_WRAPPER_SHADOW": str(shadow)}
        yield replace(plain, environment=names)
        users = [self.accounts[kind].user for kind in BY_PAM]
        libraries = pam.configure(site, users, self.secrets.codes)
        path = f"{libraries}:{asking.environment['LD_LIBRARY_PATH']}"
        yield replace(asking, environment={**asking.environment, "LD_LIBRARY_PATH": path})

    def _shadow(self) -> str:
        return f"{self.accounts['password'].user}:{_crypt(self.secrets.password)}:1::::::\n"

    def endpoint(self, site: Site, kind: str, plain: Endpoint) -> Endpoint:
        """Complete an endpoint by what its kind of login takes."""
        keys_of_run = keys.identity(site, ENCRYPTED).parent
        return completed(kind, plain, keys_of_run, _socket(site), self.secrets)


def launch_agent(site: Site) -> tuple[Daemon, int]:
    """Start an agent of the user who runs the tests."""
    agent = site.daemon(AGENT, site.own("ssh-agent"), "-D", "-a", str(_socket(site)))
    return agent, spawn(agent)


def fill_agent(site: Site, agent: tuple[Daemon, int]) -> None:
    """Put two keys into it, the one that is let in second."""
    until(_socket(site).exists, *agent, awaiting="its socket")
    both = (str(keys.identity(site, name)) for name in ("stranger", "user"))
    add = site.daemon("ssh-add", site.prefix.program("ssh-add"), "-q", *both)
    add = replace(add, environment={**add.environment, "SSH_AUTH_SOCK": str(_socket(site))})
    until_success(add, spawn(add))


def certify(site: Site, logins: Logins) -> None:
    """Sign the certified key for its account twice: by who may, and by a stranger."""
    key = keys.identity(site, "certified")
    other = key.with_name(f"{key.name}-stranger")
    shutil.copy(key.with_suffix(".pub"), other.with_suffix(".pub"))
    user = logins.accounts["certificate"].user
    signers = {key: "signer", other: "stranger"}
    daemons = [
        site.daemon(f"certify-{signer}", site.prefix.program("ssh-keygen"), "-q", "-I", user,
                    "-n", user, "-s", str(keys.identity(site, signer)), f"{each}.pub")
        for each, signer in signers.items()
    ]  # fmt: skip
    for daemon, pid in [(daemon, spawn(daemon)) for daemon in daemons]:
        until_success(daemon, pid)


def _socket(site: Site) -> Path:
    return site.root / "agent.sock"


def _crypt(password: str) -> str:
    """Hash a password as a shadow file has it; Python's own crypt is gone since 3.13."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    hashed: bytes = crypt(password.encode(), f"$6${secrets.token_hex(8)}$".encode())
    return hashed.decode()
