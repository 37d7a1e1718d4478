"""The sshd of a stack: which there are, and the configuration of each.

Must not know how they are started or which network they live in.
"""

from __future__ import annotations

from dataclasses import dataclass

from transport_testbed.stack._processes import Daemon
from transport_testbed.stack.native import keys
from transport_testbed.stack.native.site import Site

#: Lines that keep a client's failures from banning the whole loopback address (from 9.8 on).
PENALTIES = "PerSourcePenaltyExemptList 127.0.0.0/8"

#: Room for a whole test suite logging in at once, where the default drops from the tenth on.
BUSY = "MaxStartups 500:1:1000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One sshd."""

    name: str
    #: Address that it binds.
    listen: tuple[str, int]
    #: Address that a client dials, where another program takes the connection for it.
    dial: tuple[str, int]
    #: Which key opens it.
    login: str = "user"
    #: rc files that print would garble a server that the login shell starts.
    internal_sftp: bool = False
    defaults: bool = False
    #: Whether there is an SFTP subsystem.
    sftp: bool = True
    #: Lines of configuration on top.
    extra: tuple[str, ...] = ()
    #: ``Match`` blocks, which reach to the end of the file.
    blocks: tuple[str, ...] = ()

    @property
    def daemon_name(self) -> str:
        return f"sshd-{self.name}"


def daemon(site: Site, server: Server) -> Daemon:
    """Write the configuration of *server* and describe how to run it."""
    config = site.path("etc", f"{server.daemon_name}.conf")
    site.write(config, _config(site, server))
    argv = (site.own("sshd"), "-D", "-e", *_without_exec(site, server), "-f", str(config))
    return site.daemon(server.daemon_name, *argv, uid=site.uid)


def _config(site: Site, server: Server) -> str:
    host, port = server.listen
    lines = [
        f"ListenAddress {host}:{port}",
        f"HostKey {keys.host_key(site, server.name)}",
        f"HostCertificate {keys.certificate(site, server.name)}",
        # sshd takes the first value of a keyword, so what is special comes first.
        *server.extra,
        f"AuthorizedKeysFile {keys.identity(site, server.login)}.pub",
        "PidFile none",
        "UsePAM no",
        "StrictModes no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "LogLevel VERBOSE",
        "PrintMotd no",
        "" if server.defaults else BUSY,
        f"Subsystem sftp {_sftp(site, server)}" if server.sftp else "",
        f"SetEnv {_session_environment(site)}",
        *_newer(site),
        *server.blocks,
    ]
    return "\n".join(lines) + "\n"


def _sftp(site: Site, server: Server) -> str:
    return "internal-sftp" if server.internal_sftp else site.prefix.program("sftp-server")


def _session_environment(site: Site) -> str:
    """What every login finds in its environment. One SetEnv line: sshd ignores a second."""
    environment = {**site.clients, **site.names}
    return " ".join(f'"{name}={value}"' for name, value in environment.items())


def _is_split(site: Site) -> bool:
    """Whether a program of its own serves each connection, as from 9.8 on."""
    release, _, _ = site.prefix.versions["openssh"].partition("p")
    return tuple(map(int, release.split("."))) >= (9, 8)


def _without_exec(site: Site, server: Server) -> list[str]:
    """The option by which older versions serve a connection without executing sshd anew.

    That is a third of what a login costs the server. Where it lists directories itself, it has
    to be a new program: nss_wrapper would rewind what it takes for its own open file.
    """
    return [] if _is_split(site) or server.internal_sftp else ["-r"]


def _newer(site: Site) -> list[str]:
    """Lines that only newer versions understand, and need."""
    lines = [PENALTIES] if _is_split(site) else []
    parts = {"SshdSessionPath": "sshd-session", "SshdAuthPath": "sshd-auth"}
    lines += [f"{key} {site.own(name)}" for key, name in parts.items() if site.prefix.has(name)]
    return lines
