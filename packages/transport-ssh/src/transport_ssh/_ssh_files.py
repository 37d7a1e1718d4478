"""Reads a user's own OpenSSH configuration, and gives it as plain options. Blocking.

Owns which files are read and which of the named keys exist; what the lines mean, _ssh_config and
_ssh_plan know. Must not know asyncssh.
"""

from __future__ import annotations

import glob
import logging
import os
import pwd
import socket
import stat
from collections.abc import Collection, Iterable
from typing import Any

from transport_core import ConfigurationError
from transport_core.authoring import escape

from ._ssh_config import Ask, Found, lookup
from ._ssh_lines import Line, Source
from ._ssh_plan import Local, Server, route

_USER_DIRECTORY = "~/.ssh"
_SYSTEM_DIRECTORY = "/etc/ssh"

_logger = logging.getLogger("intercede.transport.ssh_config")


def read_options(
    ask: Ask, path: str | os.PathLike[str] | None, given: Collection[str]
) -> dict[str, Any]:
    """Return the options of a name, as ``SSHOptions.from_mapping`` takes them.

    ``given`` are the options that come from elsewhere: what they replace is not looked for.

    Raises:
        ConfigurationError: A file cannot be read, or what it says cannot be followed.
    """
    sources = tuple(_sources(path))
    local = _local()

    def look(each: Ask) -> Found:
        return lookup(sources, each, local.user, _included)

    *hops, target = route(ask, look, local, direct="via" in given)
    options = _options_of(target, given)
    return options if "via" in given else {**options, "via": [_options_of(h, ()) for h in hops]}


def _local() -> Local:
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user is in no database
        user = os.environ.get("USER", "")
    return Local(
        user=user, home=_home(), host=socket.gethostname(), uid=os.getuid(), env=dict(os.environ)
    )


def _home() -> str:
    """Return the home that OpenSSH means by ``~``: the account's, whatever HOME says."""
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return os.path.expanduser("~")


def _absolute(path: str) -> str:
    """Return where a path of a configuration leads now; options may be used elsewhere."""
    if path == "~" or path.startswith("~/"):
        path = _home() + path[1:]
    path = os.path.expanduser(path)
    if os.path.isabs(path):
        return path
    try:
        return os.path.join(os.getcwd(), path)
    except OSError as error:
        raise ConfigurationError(
            f"'{escape(path)}' leads nowhere: this process's working directory is gone",
            hint="change to another directory, or name the whole path",
        ) from error


# -- texts


def _sources(path: str | os.PathLike[str] | None) -> Iterable[Source]:
    """Yield the file that is named, or those that OpenSSH reads."""
    if path is not None:
        # Not in a file: here ~ is what a shell takes it for.
        named = os.path.expanduser(path)
        yield Source(named, _read(named))
        return
    users = _absolute(f"{_USER_DIRECTORY}/config")
    if os.path.exists(users):
        yield Source(users, _read(users, trusted=False))
    systems = f"{_SYSTEM_DIRECTORY}/ssh_config"
    if os.path.exists(systems):
        yield Source(systems, _read(systems), user=False)


def _included(pattern: str, user: bool) -> Iterable[Source]:  # noqa: FBT001 - Include's shape
    """Yield the files that an Include names; none is no error."""
    base = _USER_DIRECTORY if user else _SYSTEM_DIRECTORY
    whole = _absolute(pattern if pattern.startswith("~") else os.path.join(base, pattern))
    for name in sorted(glob.glob(whole), key=os.fsencode):
        yield Source(name, _read(name, trusted=False), user=user)


def _read(path: str, *, trusted: bool = True) -> str:
    """Return a text; what others may write decides no login, unless it was named for that."""
    try:
        with open(path, "rb") as file:
            info = os.fstat(file.fileno())
            data = file.read()
    except OSError as error:
        raise ConfigurationError(
            f"ssh_config '{escape(path)}' cannot be read: {error.strerror}",
            hint="give the path of the configuration, or none for ~/.ssh/config",
        ) from error
    others = info.st_uid not in (0, os.geteuid()) or stat.S_IMODE(info.st_mode) & 0o022
    if others and not trusted:
        raise ConfigurationError(
            f"ssh_config '{escape(path)}' can be written by others",
            hint=f"chmod go-w '{escape(path)}'",
        )
    return data.decode("utf-8", "surrogateescape")


# -- keys, and the options of one server


def _options_of(server: Server, given: Collection[str]) -> dict[str, Any]:
    _tell(server.alias, server.unused)
    options: dict[str, Any] = {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        **server.settings,
    }
    if "known_hosts" not in given:
        options["known_hosts"] = _pins(server)
    if not {"auth", "identity", "agent"} & set(given):
        options["identity"] = identity = _identity(server)
        certificate = _certificate(server, identity)
        if certificate is not None:
            options["certificate"] = certificate
    return options


def _tell(alias: str, lines: Iterable[Line]) -> None:
    """Say which settings are without effect: a user may have counted on one."""
    shown = ", ".join(f"{line.name} ({line.where})" for line in lines)
    if shown:
        _logger.info("ssh_config for %s: without effect here: %s", alias, shown)


def _pins(server: Server) -> tuple[str, ...]:
    if not server.known_hosts:
        raise ConfigurationError(
            f"ssh_config for {server.alias} names no known_hosts file",
            hint="name one with UserKnownHostsFile; there is no trust on first use",
        )
    return tuple(map(_absolute, server.known_hosts))


def _identity(server: Server) -> str:
    """Return the one key that is offered.

    Raises:
        ConfigurationError: There is none, or it is not said which.
    """
    there = _existing(server.identities)
    spelled = "" if server.named else f"look whether {server.alias} is spelled as in a Host line, "
    if not there:
        looked = _shown(map(_absolute, server.identities)) or "keys are switched off"
        raise ConfigurationError(
            f"ssh_config for {server.alias}: there is no key to log in with ({looked})",
            hint=f"{spelled}name one with IdentityFile, or give auth= to from_ssh_config",
        )
    if len(there) > 1 and not server.chosen:
        raise ConfigurationError(
            f"ssh_config for {server.alias} names no IdentityFile, and there are several keys: "
            + _shown(there),
            hint=f"{spelled}name one with IdentityFile, or give identity= to from_ssh_config",
        )
    if len(there) > 1:
        _logger.warning(
            "ssh_config for %s: %s is offered, and no other; not %s",
            server.alias, _shown(there[:1]), _shown(there[1:]),
        )  # fmt: skip
    return there[0]


def _certificate(server: Server, identity: str) -> str | None:
    """Return the certificate that goes with the key: one that is named, or ``<key>-cert.pub``."""
    there = _existing(server.certificates)
    if server.certificates and not there:
        raise ConfigurationError(
            f"ssh_config for {server.alias}: no CertificateFile is there: "
            + _shown(map(_absolute, server.certificates))
        )
    return next(iter(there or _existing((f"{identity}-cert.pub",))), None)


def _existing(paths: Iterable[str]) -> list[str]:
    return [path for path in map(_absolute, paths) if os.path.exists(path)]


def _shown(paths: Iterable[str]) -> str:
    return ", ".join(map(escape, paths))
