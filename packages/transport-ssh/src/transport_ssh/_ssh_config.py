"""OpenSSH's client configuration: texts and a name -> the lines that hold for it; pure.

Owns the rules that ssh_config(5) has: Host, Match, Include, the first value of a keyword. Must not
know what any other keyword means for us (_ssh_plan does), nor open a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ._ssh_lines import Line, Source, expand, matches_any, parse, refuse

DEPTH = 16
"""Includes within includes, as in OpenSSH."""

ACCUMULATED = frozenset({"identityfile", "certificatefile"})
"""Of these all lines count, of the others the first."""

_NAMES = ("host", "originalhost")
_HOST_CRITERIA = (*_NAMES, "user", "localuser")
_PASS_CRITERIA = ("final", "canonical")


@dataclass(frozen=True, slots=True)
class Ask:
    """What would stand on the command line of ``ssh``: these come before any file."""

    alias: str
    user: str | None = None
    port: int | None = None

    def lines(self) -> Iterator[Line]:
        """Yield what is given as if it stood in a file."""
        given = {"User": self.user, "Port": None if self.port is None else str(self.port)}
        for name, value in given.items():
            if value is not None:
                yield Line(f"what was asked for {self.alias}", name, (value,), value)


@dataclass(frozen=True, slots=True)
class Found:
    """The lines that hold for a name."""

    alias: str
    host: str
    """The name or address to connect to: HostName, or the alias."""
    lines: Mapping[str, tuple[Line, ...]]
    """By keyword, in the order in which they were obtained."""
    named: bool
    """Whether a block is for this name, and not just for all."""

    def first(self, keyword: str) -> Line | None:
        """Return the line that sets a keyword."""
        return self.lines.get(keyword, (None,))[0]


Include = Callable[[str, bool], Iterable[Source]]
"""From a pattern, and whether it stands in a user's file, to the files that match it."""


def lookup(sources: Iterable[Source], ask: Ask, local_user: str, include: Include) -> Found:
    """Return the lines that hold for a name.

    Raises:
        ConfigurationError: A line cannot be read; its file and number are said.
    """
    search = _Search(ask=ask, local_user=local_user, include=include, host=ask.alias)
    for line in ask.lines():
        search.obtain(line)
    known = tuple(sources)
    for source in known:
        search.walk(source, 0, never=False)
    if search.wants_final:
        # "Match final" reads everything again, with the host that was found for the alias.
        host = search.target()
        search.obtained["hostname"] = [Line("HostName", "HostName", (host,), host)]
        search.host, search.final = host, True
        for source in known:
            search.walk(source, 0, never=False)
    lines = {keyword: tuple(found) for keyword, found in search.obtained.items()}
    return Found(ask.alias, search.target(), lines, search.named)


@dataclass(slots=True)
class _Search:
    """One way through all the texts."""

    ask: Ask
    local_user: str
    include: Include
    host: str
    """What the patterns of ``Host`` are held against."""
    final: bool = False
    wants_final: bool = False
    named: bool = False
    obtained: dict[str, list[Line]] = field(default_factory=dict)

    def walk(self, source: Source, depth: int, *, never: bool) -> None:
        """Obtain from one text; with ``never``, no block of it can hold."""
        active = not never
        for line in parse(source):
            if line.keyword == "host":
                active = not never and matches_any(self.host, line.words)
                self.named |= active and "*" not in line.words
            elif line.keyword == "match":
                active = self._match(line, never=never)
                self.named |= active and any(name in _NAMES for _, name, _ in _criteria(line))
            elif line.keyword == "include":
                self._include(line, source, depth, active=active)
            elif active:
                self.obtain(line)

    def obtain(self, line: Line) -> None:
        """Keep the first value, or all where they accumulate."""
        found = self.obtained.setdefault(line.keyword, [])
        again = any(line.words == each.words for each in found)
        if not found or (line.keyword in ACCUMULATED and not again):
            found.append(line)

    def target(self) -> str:
        """Return the host as far as it is known: names in lower case, as OpenSSH has them."""
        line = self.obtained.get("hostname", [None])[0]
        if line is None:
            host = self.host
        elif self.final:
            host = line.words[0]
        else:
            host = expand(line, line.words[0], {"h": self.host})
        return host if ":" in host else host.lower()

    def _include(self, line: Line, source: Source, depth: int, *, active: bool) -> None:
        for pattern in line.words:
            if not source.user and pattern.startswith("~"):
                refuse(line, "is relative to a home, in a file of the system")
            if active and ("%" in pattern or "${" in pattern):
                refuse(line, "has tokens, which are not supported there", "write the whole path")
            for each in self.include(pattern, source.user):
                if depth >= DEPTH:
                    refuse(
                        line,
                        f"is nested more than {DEPTH} deep",
                        f"look whether {each.name} includes itself",
                    )
                self.walk(each, depth + 1, never=not active)

    def _match(self, line: Line, *, never: bool) -> bool:
        """Decide on ``Match``; what is not supported counts only if all the rest holds."""
        open_: list[str] = []
        holds = True
        for negated, name, argument in _criteria(line):
            self.wants_final |= name == "final"
            known = self._holds(name, argument)
            if known is None:
                open_.append(name)
            elif known == negated:
                holds = False
        if holds and open_ and not never:
            refuse(
                line,
                f"{open_[0]} is not supported, and whether the block holds depends on it",
                "give from_ssh_config the path of a configuration without it",
            )
        return holds and not never

    def _holds(self, name: str, argument: str) -> bool | None:
        """Decide on one criterion; None if we cannot."""
        if name == "all":
            return True
        if name in _PASS_CRITERIA:
            return self.final
        if name not in _HOST_CRITERIA:
            return None
        patterns = argument.split(",")
        if name in ("user", "localuser"):
            remote = self.obtained.get("user")
            asked = remote[0].words[0] if name == "user" and remote else self.local_user
            return matches_any(asked, patterns)
        host = self.target() if name == "host" else self.ask.alias
        return matches_any(host.lower(), [each.lower() for each in patterns])


def _criteria(line: Line) -> Iterator[tuple[bool, str, str]]:
    """Yield each criterion: whether it is negated, its name, and its argument."""
    words = list(line.words)
    before = 0
    while words:
        name, equals, argument = words.pop(0).partition("=")
        negated, name = name.startswith("!"), name.removeprefix("!").lower()
        if name == "all" and (words or before > 1):
            refuse(line, "has 'all' together with other criteria")
        if name not in ("all", *_PASS_CRITERIA) and not equals:
            if not words or not words[0]:
                refuse(line, f"has nothing after '{name}'")
            argument = words.pop(0)
        before += 1
        yield negated, name, argument
