"""What a user says of an SSH connection: frozen, checked at construction, no I/O (LIFE-1).

Secrets are in no repr. Must not know asyncssh.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from transport_core import ConfigurationError
from transport_core.authoring import check_options, check_timeout

from ._ssh_config import Ask
from ._ssh_files import read_options

_LAST_PORT = 65535
# A host name has at most 253 characters (RFC 1035), and no user name is longer.
_LONGEST_NAME = 255
_UNSAFE = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """Log in with exactly this private key; no other is offered, no agent is asked."""

    path: str | os.PathLike[str] | None = None
    """The key file; it must be readable by its owner only. Read at each connect."""
    data: bytes | None = field(default=None, repr=False)
    """The key itself, in place of a path."""
    passphrase: Callable[[], str] | None = field(default=None, repr=False)
    """Called at each connect if the key is encrypted."""

    def __post_init__(self) -> None:
        """Check that there is exactly one source.

        Raises:
            ConfigurationError: Both or neither of ``path`` and ``data``.
        """
        if (self.path is None) == (self.data is None):
            raise ConfigurationError("PrivateKey takes either a path or data")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownHosts:
    """The pinned host keys, in OpenSSH's known_hosts format; there is no default (CONN-4)."""

    text: str | None = field(default=None, repr=False)
    """The lines themselves."""
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None
    """A file, in place of text; read at each connect. Of several files, as OpenSSH has them, those
    that do not exist are left out as long as one does."""

    def __post_init__(self) -> None:
        """Check that there is exactly one source.

        Raises:
            ConfigurationError: Both or neither of ``text`` and ``path``, or no file at all.
        """
        if (self.path is None) == (self.text is None):
            raise ConfigurationError("KnownHosts takes either text or a path")
        if self.path is not None and not isinstance(self.path, (str, os.PathLike)):
            object.__setattr__(self, "path", tuple(self.path))
            if not self.path:
                raise ConfigurationError("KnownHosts needs at least one path")

    @property
    def paths(self) -> tuple[str | os.PathLike[str], ...]:
        """The files, none if there is text."""
        if self.path is None:
            return ()
        return (self.path,) if isinstance(self.path, (str, os.PathLike)) else tuple(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One SSH server: the target, or a jump host before it."""

    host: str
    """Name or address; resolved on the hop before (CONN-5)."""
    user: str
    auth: PrivateKey
    known_hosts: KnownHosts
    port: int = 22
    host_key_alias: str | None = None
    """Look the key up under this name in place of ``host``."""
    connect_timeout: float = 30.0
    """Seconds for this hop: TCP, key exchange and login."""
    keepalive_interval: float = 7.5
    """Seconds without traffic until the peer is asked whether it lives."""
    keepalive_count: int = 3
    """Unanswered questions that are waited for; a dead peer is noticed after
    ``keepalive_interval * (keepalive_count + 1)`` seconds, 30 by default."""

    def __post_init__(self) -> None:
        """Check what can be checked without I/O.

        Raises:
            ConfigurationError: A value is impossible; which one is said.
        """
        for what, value in (("host", self.host), ("user", self.user)):
            _check_name(what, value)
        _check_int("port", self.port)
        if not 1 <= self.port <= _LAST_PORT:
            raise ConfigurationError(f"port must be 1 to 65535, and is {self.port}")
        for what, kind in (("auth", PrivateKey), ("known_hosts", KnownHosts)):
            if not isinstance(getattr(self, what), kind):
                raise ConfigurationError(f"{what} must be a {kind.__name__}")
        for what in ("connect_timeout", "keepalive_interval"):
            _check_seconds(what, getattr(self, what))
        _check_int("keepalive_count", self.keepalive_count)

    @property
    def label(self) -> str:
        """``user@host:port``, for people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SSHOptions(Hop):
    """The target, the way to it, and how its connection is used."""

    via: tuple[Hop, ...] = ()
    """Jump hosts, in the order in which they are passed."""
    max_sessions: int = 10
    """Sessions tried at once until the server refuses; OpenSSH's default MaxSessions is 10."""
    logins_per_minute: int = 10
    """Budget of logins, so that a site does not lock the account."""
    kill_grace: float = 2.0
    """Seconds between TERM and KILL at timeout and cancel."""

    def __post_init__(self) -> None:
        """Check as ``Hop`` does, and the rest.

        Raises:
            ConfigurationError: A value is impossible; which one is said.
        """
        Hop.__post_init__(self)
        object.__setattr__(self, "via", tuple(self.via))
        if not all(isinstance(hop, Hop) for hop in self.via):
            raise ConfigurationError("via must hold Hop values")
        for what in ("max_sessions", "logins_per_minute"):
            _check_int(what, getattr(self, what))
        _check_seconds("kill_grace", self.kill_grace)

    @property
    def hops(self) -> tuple[Hop, ...]:
        """All servers in the order in which they are reached; the target is last."""
        return (*self.via, self)

    @classmethod
    def from_mapping(cls, options: Mapping[str, Any]) -> SSHOptions:
        """Build from plain values, as from a configuration file.

        ``identity`` is the path of the private key and ``known_hosts`` the path of the pins;
        ``via`` is a list of such mappings.

        Raises:
            ConfigurationError: An option is unknown (the known ones are listed), missing or
                impossible.
        """
        values = _hop_values("ssh", options, cls)
        values["via"] = tuple(
            hop if isinstance(hop, Hop) else Hop(**_hop_values(f"ssh, via[{index}]", hop, Hop))
            for index, hop in enumerate(values.get("via", ()))
        )
        return cls(**values)

    @classmethod
    def from_ssh_config(
        cls, alias: str, *, path: str | os.PathLike[str] | None = None, **overrides: Any
    ) -> SSHOptions:
        """Build from a user's own OpenSSH configuration, as ``ssh alias`` reads it (CONN-7).

        Reads files: call it where blocking is allowed. ``path`` is read in place of
        ``~/.ssh/config`` and ``/etc/ssh/ssh_config``. ``overrides`` are options of the target, as
        ``from_mapping`` takes them; they come before the configuration, as the command line does
        for ``ssh``. What is without effect here is told to the logger
        ``intercede.transport.ssh_config``.

        Raises:
            ConfigurationError: A file cannot be read; a line is wrong, or is not supported and
                would change where the login goes or how it is checked (file and line are said);
                there is no key to log in with.
        """
        _check_name("alias", alias)
        ask = Ask(alias, overrides.get("user"), overrides.get("port"))
        if ask.user is not None:
            _check_name("user", ask.user)
        if ask.port is not None:
            _check_int("port", ask.port)
        return cls.from_mapping({**read_options(ask, path, overrides), **overrides})


def _hop_values(owner: str, options: Mapping[str, Any], cls: type[Hop]) -> dict[str, Any]:
    if not isinstance(options, Mapping):
        raise ConfigurationError(f"{owner}: options must be a mapping")
    fields = {f.name: f for f in dataclasses.fields(cls)}
    check_options(owner, options, (*fields, "identity"))
    values = dict(options)
    if "identity" in values:
        if "auth" in values:
            raise ConfigurationError(f"{owner}: give either identity or auth")
        values["auth"] = PrivateKey(values.pop("identity"))
    if isinstance(values.get("known_hosts"), (str, os.PathLike, list, tuple)):
        values["known_hosts"] = KnownHosts(path=values["known_hosts"])
    needed = [n for n, f in fields.items() if f.default is dataclasses.MISSING and n not in values]
    if needed:
        shown = ["identity" if name == "auth" else name for name in needed]
        raise ConfigurationError(f"{owner}: missing option: {', '.join(shown)}")
    return values


def _check_name(what: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{what} must be a non-empty str")
    if value.startswith("-") or _UNSAFE.search(value) or len(value) > _LONGEST_NAME:
        raise ConfigurationError(
            f"{what} must not begin with '-', hold spaces or control characters, "
            "or be longer than 255 characters"
        )
    if what in ("host", "alias") and "@" in value:
        raise ConfigurationError(
            f"{what} must not hold '@'", hint="give user, host and port as separate options"
        )


def _check_int(what: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigurationError(f"{what} must be an int, not {type(value).__name__}")
    if value < 1:
        raise ConfigurationError(f"{what} must be at least 1, and is {value}")


def _check_seconds(what: str, value: float) -> None:
    try:
        seconds = check_timeout(value, what)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(str(error)) from error
    if seconds is None:
        raise ConfigurationError(f"{what} must be a finite number of seconds")
