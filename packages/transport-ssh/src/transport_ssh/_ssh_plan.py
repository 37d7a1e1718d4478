"""From the lines that hold for a name to the servers on the way to it; pure.

Owns what the values mean for us. Must not know how the lines were found (_ssh_config does), nor
which of the named files exist.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from transport_core import ConfigurationError

from ._ssh_config import Ask, Found
from ._ssh_keywords import REFUSED, UNUSED, USED
from ._ssh_lines import Line, expand, matches_any, refuse

MOST_JUMPS = 16
"""Jump hosts on one way; each is a login."""

_LAST_PORT = 65535
_DIRECTORY = "~/.ssh"
_DEFAULT_KEYS = tuple(f"{_DIRECTORY}/id_{kind}" for kind in ("rsa", "ecdsa", "ed25519"))
_DEFAULT_PINS = {
    "userknownhostsfile": (f"{_DIRECTORY}/known_hosts", f"{_DIRECTORY}/known_hosts2"),
    "globalknownhostsfile": ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"),
}
_UNSAFE = re.compile(r"[\x00-\x20\x7f]")
_JUMP = re.compile(
    r"(?:(?P<user>[^\s]+)@)?(?:\[(?P<six>[^\]\s]+)\]|(?P<host>[^:\[\]@\s]+))(?::(?P<port>[0-9]{1,9}))?"
)
_OTHERWISE = "give from_ssh_config the path of a configuration without it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """What tokens and defaults take from this side."""

    user: str
    home: str
    host: str
    """This machine's name, with its domain."""
    uid: int
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server as the configuration has it; paths may begin with ``~``."""

    alias: str
    host: str
    user: str
    port: int
    identities: tuple[str, ...]
    """Key files, the first one that exists is meant; none if keys are switched off."""
    chosen: bool
    """Whether the configuration names these keys, or they are OpenSSH's defaults."""
    named: bool
    """Whether the configuration has a block for this alias."""
    certificates: tuple[str, ...]
    known_hosts: tuple[str, ...]
    settings: Mapping[str, str | float]
    """What else is set, by the option's name."""
    unused: tuple[Line, ...]
    """Lines that are without an effect here."""


def route(
    ask: Ask, lookup: Callable[[Ask], Found], local: Local, *, direct: bool = False
) -> tuple[Server, ...]:
    """Return the servers on the way to a name, in the order in which they are reached.

    With ``direct``, jump hosts are not looked at.

    Raises:
        ConfigurationError: A line is refused or impossible, or jump hosts go round in a circle.
    """
    return _route(ask, () if direct else None, lookup, local, ())


def _route(
    ask: Ask,
    given: tuple[Ask, ...] | None,
    lookup: Callable[[Ask], Found],
    local: Local,
    before: tuple[str, ...],
) -> tuple[Server, ...]:
    """As ``ssh -J given alias`` does it: the last jump host is reached through the others."""
    trail = (*before, ask.alias)
    if ask.alias in before:
        raise ConfigurationError(
            f"ProxyJump goes round in a circle: {' -> '.join(trail)}",
            hint=f"write 'ProxyJump none' into a block for {ask.alias}, above the other",
        )
    if len(before) > MOST_JUMPS:
        raise ConfigurationError(f"ProxyJump has more than {MOST_JUMPS} jump hosts on the way")
    found = lookup(ask)
    here = server(found, local, proxied=given is not None)
    way = jumps(found, here, local) if given is None else given
    if not way:
        return (here,)
    return (*_route(way[-1], way[:-1] or None, lookup, local, trail), here)


def server(found: Found, local: Local, *, proxied: bool = False) -> Server:
    """Return what the lines say of the server itself.

    With ``proxied``, the way to it is given otherwise: its own ProxyCommand does not count.

    Raises:
        ConfigurationError: A line is refused, unknown, or its value impossible.
    """
    _check(found, {"proxycommand"} if proxied else set())
    port = _number(found, "port", 22, _LAST_PORT)
    user = _name(found, "user") or local.user
    _name(found, "hostname")
    tokens = _tokens(found, local, user, port)
    settings = _settings(found)
    return Server(
        alias=found.alias, host=found.host, user=user, port=port,
        identities=_identities(found, tokens, local),
        chosen=found.first("identityfile") is not None, named=found.named,
        certificates=_paths(found.lines.get("certificatefile", ()), tokens, local),
        known_hosts=_known_hosts(found, tokens, local), settings=settings,
        unused=_unused(found, settings),
    )  # fmt: skip


def _check(found: Found, replaced: set[str]) -> None:
    ignored = [word for line in found.lines.get("ignoreunknown", ()) for word in line.words]
    patterns = [each.lower() for word in ignored for each in word.split(",")]
    for keyword, (line, *_) in found.lines.items():
        if keyword in REFUSED:
            harmless, hint = REFUSED[keyword]
            counts = keyword not in replaced and not _overruled(found, keyword)
            if counts and " ".join(line.words).lower() not in harmless:
                refuse(line, f"{line.words[0]} is not supported", f"{hint}, or {_OTHERWISE}")
        elif keyword not in USED | UNUSED and not matches_any(keyword, patterns):
            refuse(line, "is not known", "look how it is spelled, or name it in IgnoreUnknown")


def _overruled(found: Found, keyword: str) -> bool:
    """Whether ProxyJump came first: of it and ProxyCommand one counts."""
    order = [each for each in found.lines if each in ("proxyjump", "proxycommand")]
    return keyword in order[1:]


def _unused(found: Found, settings: Mapping[str, str | float]) -> tuple[Line, ...]:
    zero = {"connecttimeout": "connect_timeout", "serveraliveinterval": "keepalive_interval"}
    return tuple(
        line
        for keyword, (line, *_) in found.lines.items()
        if keyword in UNUSED or (keyword in zero and zero[keyword] not in settings)
    )


def _word(found: Found, keyword: str) -> str | None:
    """Return the value of a keyword that takes one word."""
    line = found.first(keyword)
    if line is None:
        return None
    if len(line.words) != 1 or not line.words[0]:
        refuse(line, f"takes one word, and has {len(line.words)}: {line.rest}")
    return line.words[0]


def _name(found: Found, keyword: str) -> str | None:
    """Return a word that can be the name of a host or user."""
    word, line = _word(found, keyword), found.first(keyword)
    if word is not None and line is not None and (word.startswith("-") or _UNSAFE.search(word)):
        refuse(line, "begins with '-', or holds spaces or control characters")
    return word


def _alias(found: Found) -> str | None:
    word = _word(found, "hostkeyalias")
    return word and word.lower()


def _number(found: Found, keyword: str, default: int, last: int) -> int:
    word, line = _word(found, keyword), found.first(keyword)
    if word is None or line is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", word) or not 1 <= int(word) <= last:
        refuse(line, f"must be a number from 1 to {last}, and is {word}")
    return int(word)


_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def _seconds(found: Found, keyword: str) -> float | None:
    """Return a time such as ``1m30s``; None where none is set, or it is switched off."""
    word, line = _word(found, keyword), found.first(keyword)
    if word is None or line is None or word.lower() == "none":
        return None
    if not re.fullmatch(r"([0-9]{1,9}[smhdw]?)+", word, re.IGNORECASE):
        refuse(line, f"must be a time such as 30 or 1m30s, and is {word}")
    parts = re.findall(r"([0-9]+)([a-z]?)", word.lower())
    return float(sum(int(number) * _UNITS[unit] for number, unit in parts)) or None


def _settings(found: Found) -> dict[str, str | float]:
    settings: dict[str, str | float | None] = {
        "host_key_alias": _alias(found),
        "connect_timeout": _seconds(found, "connecttimeout"),
        "keepalive_interval": _seconds(found, "serveraliveinterval"),
    }
    if found.first("serveralivecountmax") is not None:
        settings["keepalive_count"] = _number(found, "serveralivecountmax", 3, 1000)
    return {name: value for name, value in settings.items() if value is not None}


def _tokens(found: Found, local: Local, user: str, port: int) -> dict[str, str]:
    return {
        "d": local.home,
        "h": found.host,
        "i": str(local.uid),
        "k": _alias(found) or found.host,
        "L": local.host.partition(".")[0],
        "l": local.host,
        "n": found.alias,
        "p": str(port),
        "r": user,
        "u": local.user,
    }


def _paths(lines: tuple[Line, ...], tokens: Mapping[str, str], local: Local) -> tuple[str, ...]:
    paths: list[str] = []
    for line in lines:
        if len(line.words) != 1 or not line.words[0]:
            refuse(line, f"takes one path, and has {len(line.words)}", "quote a path with spaces")
        if line.words[0].lower() != "none":
            paths.append(expand(line, line.words[0], tokens, local.env))
    return tuple(paths)


def _identities(found: Found, tokens: Mapping[str, str], local: Local) -> tuple[str, ...]:
    if (_word(found, "pubkeyauthentication") or "yes").lower() in ("no", "false"):
        return ()
    lines = found.lines.get("identityfile", ())
    return _paths(lines, tokens, local) if lines else _DEFAULT_KEYS


def _known_hosts(found: Found, tokens: Mapping[str, str], local: Local) -> tuple[str, ...]:
    paths: list[str] = []
    for keyword, default in _DEFAULT_PINS.items():
        line = found.first(keyword)
        if line is None:
            paths += default
        elif "" in line.words:
            refuse(line, "has an empty path")
        elif [word.lower() for word in line.words] != ["none"]:
            users = keyword == "userknownhostsfile"
            paths += [expand(line, w, tokens, local.env) if users else w for w in line.words]
    return tuple(paths)


def jumps(found: Found, here: Server, local: Local) -> tuple[Ask, ...]:
    """Return the jump hosts that a configuration asks for, in the order of the way."""
    word, line = _word(found, "proxyjump"), found.first("proxyjump")
    if word is None or line is None or _overruled(found, "proxyjump") or word.lower() == "none":
        return ()
    tokens = _tokens(found, local, here.user, here.port)
    # What is a path's only, such as %d, names no host.
    names = {each: tokens[each] for each in "hnpr"}
    return tuple(_jump(line, each, names) for each in word.split(","))


def _jump(line: Line, text: str, tokens: Mapping[str, str]) -> Ask:
    """Read ``[user@]host[:port]`` or ``ssh://[user@]host[:port][/]``."""
    uri = text.lower().startswith("ssh://")
    match = _JUMP.fullmatch(text[len("ssh://") :].removesuffix("/") if uri else text)
    port = int(match["port"] or 0) if match else 0
    if match is None or port > _LAST_PORT or match["port"] == "0":
        refuse(line, f"has '{text}' for a jump host", "write [user@]host[:port], or none")
    host = match["six"] or expand(line, match["host"], tokens)
    if match["user"] is None:
        return Ask(host, None, port or None)
    user = unquote(match["user"]) if uri else expand(line, match["user"], tokens)
    return Ask(host, user, port or None)
