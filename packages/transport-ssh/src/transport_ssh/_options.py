"""What a user says of an SSH connection: frozen, checked at construction, no I/O (LIFE-1).

Secrets are in no repr. Must not know asyncssh.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal, get_args

from transport_core import ConfigurationError
from transport_core.authoring import check_options, check_timeout, escape

from ._auth import Agent, Auth, PrivateKey, check_auth, check_path
from ._ssh_config import Ask
from ._ssh_files import read_options

_Path = str | os.PathLike[str]
_LAST_PORT = 65535
# A host name has at most 253 characters (RFC 1035), and no user name is longer.
_LONGEST_NAME = 255
FileWay = Literal["auto", "sftp", "exec"]
_FILE_WAYS = get_args(FileWay)
_FEWEST_QUESTIONS = 2


@dataclass(frozen=True, slots=True)
class KnownHosts:
    """The pinned host keys, in OpenSSH's known_hosts format; there is no default (CONN-4)."""

    path: _Path | Sequence[_Path] | None = None
    """The file; read at each connect. Of several files, as OpenSSH has them, those that do not
    exist are left out as long as one does."""
    _: KW_ONLY
    text: str | None = field(default=None, repr=False)
    """The lines themselves, in place of a file."""

    def __post_init__(self) -> None:
        """Check that there is exactly one source.

        Raises:
            ConfigurationError: Both or neither of ``text`` and ``path``, or no file at all.
        """
        if (self.path is None) == (self.text is None):
            raise ConfigurationError("KnownHosts takes either text or a path")
        if self.text is not None and not isinstance(self.text, str):
            raise ConfigurationError("KnownHosts: text must be a str")
        if isinstance(self.path, (list, tuple)):
            object.__setattr__(self, "path", tuple(self.path))
            if not self.path:
                raise ConfigurationError("KnownHosts needs at least one path")
        several = self.path if isinstance(self.path, tuple) else (self.path,)
        for path in several if self.text is None else ():
            check_path("KnownHosts: path", path, "give text=…, the lines themselves")

    @property
    def paths(self) -> tuple[_Path, ...]:
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
    auth: Auth | tuple[Auth, ...]
    """How to log in; a tuple holds the factors that the server asks for, in its order, such as
    ``(PrivateKey(…), KeyboardInteractive(…))``. Nothing else is offered (CONN-6)."""
    known_hosts: KnownHosts
    port: int = 22
    host_key_alias: str | None = None
    """Look the key up under this name in place of ``host``."""
    connect_timeout: float = 30.0
    """Seconds for this hop, with TCP, key exchange and login, and the callbacks, agent and files
    of this side that they need."""
    keepalive_interval: float = 7.5
    """Seconds without traffic until the peer is asked whether it lives; sooner if only one
    question may stay unanswered."""
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
        if self.host_key_alias is not None:
            _check_name("host_key_alias", self.host_key_alias)
        _check_host(self.host)
        _check_int("port", self.port)
        if not 1 <= self.port <= _LAST_PORT:
            raise ConfigurationError(f"port must be 1 to 65535, and is {self.port}")
        check_auth(self.auth)
        if not isinstance(self.known_hosts, KnownHosts):
            raise ConfigurationError("known_hosts must be a KnownHosts")
        for what in ("connect_timeout", "keepalive_interval"):
            _check_seconds(what, getattr(self, what))
        _check_int("keepalive_count", self.keepalive_count)

    @property
    def keepalive(self) -> tuple[float, int]:
        """Seconds between two questions, and how many may stay unanswered.

        The bound is the configured one. At least two are asked: a loop that stood still misses
        the answer to one, though it is there, and must not take the peer for dead (CONN-2).
        """
        count = max(self.keepalive_count, _FEWEST_QUESTIONS)
        return self.keepalive_interval * (self.keepalive_count + 1) / (count + 1), count

    @property
    def known_as(self) -> tuple[str, int]:
        """Host and port under which it stands in known_hosts."""
        return (self.host_key_alias, 22) if self.host_key_alias else (self.host, self.port)

    @property
    def factors(self) -> tuple[Auth, ...]:
        """The methods of ``auth``, in the order in which the server asks for them."""
        return check_auth(self.auth)

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
    files: FileWay = "auto"
    """By which way files go; ``"sftp"``, ``"exec"`` (by ``sh`` and the POSIX utilities), or
    ``"auto"``, which is by SFTP, and by ``sh`` where the server has none."""
    commands: bool = True
    """False for an account that may move files only, such as one that is forced to
    ``internal-sftp``: ``run`` is then no capability, and sends nothing."""

    def __post_init__(self) -> None:
        """Check as ``Hop`` does, and the rest.

        Raises:
            ConfigurationError: A value is impossible; which one is said.
        """
        Hop.__post_init__(self)
        object.__setattr__(self, "via", _checked_via(self.via))
        for what in ("max_sessions", "logins_per_minute"):
            _check_int(what, getattr(self, what))
        _check_seconds("kill_grace", self.kill_grace)
        _check_ways(self.files, self.commands)

    @property
    def hops(self) -> tuple[Hop, ...]:
        """All servers in the order in which they are reached; the target is last."""
        return (*self.via, self)

    @classmethod
    def from_mapping(cls, options: Mapping[str, Any]) -> SSHOptions:
        """Build from plain values, as from a configuration file.

        ``identity`` is the path of the private key, ``certificate`` that of its certificate;
        ``agent`` says in their place which key of the agent is offered; ``auth`` takes the values
        that need callbacks. ``known_hosts`` is the path of the pins; ``via`` is a list of such
        mappings.

        Raises:
            ConfigurationError: An option is unknown (the known ones are listed), missing or
                impossible.
        """
        values = _hop_values("ssh", options, cls)
        via = values.get("via", ())
        if isinstance(via, str) or not isinstance(via, Sequence):
            raise ConfigurationError("ssh: via must be a list of hops")
        values["via"] = tuple(
            hop if isinstance(hop, Hop) else Hop(**_hop_values(f"ssh, via[{index}]", hop, Hop))
            for index, hop in enumerate(via)
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
        _check_host(alias)
        if path is not None:
            check_path("from_ssh_config: path", path, "write the text into a file")
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
    check_options(owner, options, (*fields, "identity", "certificate", "agent"))
    values = _with_auth(owner, dict(options))
    if isinstance(values.get("known_hosts"), (str, os.PathLike, list, tuple)):
        values["known_hosts"] = KnownHosts(path=values["known_hosts"])
    needed = [n for n, f in fields.items() if f.default is dataclasses.MISSING and n not in values]
    if needed:
        shown = ["identity (or agent, or auth)" if name == "auth" else name for name in needed]
        raise ConfigurationError(f"{owner}: missing option: {', '.join(shown)}")
    return values


def _checked_via(via: object) -> tuple[Hop, ...]:
    if isinstance(via, Sequence) and all(isinstance(hop, Hop) for hop in via):
        return tuple(via)
    raise ConfigurationError("via must be a sequence of Hop values")


def _with_auth(owner: str, values: dict[str, Any]) -> dict[str, Any]:
    """Make ``auth`` of the plain values that stand for it."""
    given = [name for name in ("identity", "agent", "auth") if name in values]
    if len(given) > 1:
        raise ConfigurationError(f"{owner}: give only one of {', '.join(given)}")
    certificate = values.pop("certificate", None)
    if certificate is not None and given != ["identity"]:
        raise ConfigurationError(f"{owner}: certificate needs identity, the private key's path")
    if "identity" in values:
        values["auth"] = PrivateKey(values.pop("identity"), certificate=certificate)
    if "agent" in values:
        values["auth"] = Agent(values.pop("agent"))
    return values


def _check_name(what: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{what} must be a non-empty str")
    spaces = any(map(str.isspace, value))
    if value.startswith("-") or len(value) > _LONGEST_NAME or spaces or escape(value) != value:
        raise ConfigurationError(
            f"{what} must not begin with '-', hold spaces or control characters, "
            "or be longer than 255 characters"
        )


def _check_host(host: str) -> None:
    """Refuse what is a URL, or ``user@host`` and ``host:port`` in one."""
    if set("@/[]") & set(host) or host.count(":") == 1:
        raise ConfigurationError(
            f"host must be a name or an address, and is '{host}'",
            hint="give user, host and port as separate options",
        )


def _check_ways(files: object, commands: object) -> None:
    if files not in _FILE_WAYS:
        raise ConfigurationError(f"files must be one of {', '.join(_FILE_WAYS)}")
    if not isinstance(commands, bool):
        raise ConfigurationError(f"commands must be a bool, not {type(commands).__name__}")
    if files == "exec" and not commands:
        raise ConfigurationError("files by exec need commands")


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
