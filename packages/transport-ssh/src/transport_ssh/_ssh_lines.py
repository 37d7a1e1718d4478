"""The format of OpenSSH's client configuration: a text -> its settings, patterns and tokens; pure.

Must not know what any keyword means, nor open a file.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

from transport_core import ConfigurationError
from transport_core.authoring import escape

_LINE = re.compile(r'[ \t\r]*([^ \t\r="]*)[ \t\r]*=?[ \t\r]*(.*)', re.DOTALL)
_PIECE = re.compile(
    r"""\\(['"\\ ])"""
    r"""|"((?:\\['"\\]|[^"\\]|\\(?!['"\\]))*)\""""
    r"""|'((?:\\['"\\]|[^'\\]|\\(?!['"\\]))*)'"""
    r"""|([^ \t"'])"""
)
_ESCAPED = re.compile(r"""\\(['"\\])""")
_TOKEN = re.compile(r"%(.?)|\$\{([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Source:
    """One text of configuration."""

    name: str
    """Its path, for people."""
    text: str
    user: bool = True
    """Whether it is the user's: names in it are relative to ``~/.ssh``, not to the system's."""


@dataclass(frozen=True, slots=True)
class Line:
    """One setting, and where it stands."""

    where: str
    """``file:line``."""
    name: str
    """The keyword as it is written."""
    words: tuple[str, ...]
    rest: str
    """All that follows the keyword, unsplit."""

    @property
    def keyword(self) -> str:
        """The keyword, which is the same in any case."""
        return self.name.lower()


def refuse(line: Line, problem: str, hint: str | None = None) -> NoReturn:
    """Say what is wrong with a line, and where it stands."""
    raise ConfigurationError(escape(f"{line.where}: {line.name} {problem}"), hint=hint)


def parse(source: Source) -> Iterator[Line]:
    """Yield the settings of a text.

    Raises:
        ConfigurationError: A keyword has no value, or a quote no end.
    """
    for number, text in enumerate(source.text.removeprefix("\ufeff").split("\n"), 1):
        match = _LINE.match(text.rstrip(" \t\r\f"))
        name, rest = match.groups() if match else ("", "")
        if name.startswith("#") or not name + rest:
            continue
        words = _words(rest)
        line = Line(f"{source.name}:{number}", name, tuple(words or ()), rest)
        if "\0" in text:
            refuse(line, "holds NUL")
        if words is None:
            refuse(line, "has a quote without an end")
        if not words:
            refuse(line, "has no value")
        yield line


def _words(text: str) -> list[str] | None:
    """Split as OpenSSH does: quotes of both kinds, a few escapes, a comment at the end."""
    words: list[str] = []
    text, at = text.lstrip(" \t"), 0
    while at < len(text) and text[at] != "#":
        word = ""
        while at < len(text) and text[at] not in " \t":
            piece = _PIECE.match(text, at)
            if piece is None:
                return None
            escaped, double, single, plain = piece.groups()
            word += escaped or plain or _ESCAPED.sub(r"\1", double or single or "")
            at = piece.end()
        words.append(word)
        at = len(text) - len(text[at:].lstrip(" \t"))
    return words


def matches(text: str, pattern: str) -> bool:
    """Whether a name fits a pattern, in which only ``*`` and ``?`` are wild."""
    return fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))


def matches_any(text: str, patterns: Iterable[str]) -> bool:
    """Whether a name fits one of the patterns, and none of those that begin with ``!``."""
    found = False
    for pattern in patterns:
        if matches(text, pattern.removeprefix("!")):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def expand(
    line: Line, text: str, tokens: Mapping[str, str], env: Mapping[str, str] | None = None
) -> str:
    """Replace ``%x`` by its token, and ``${NAME}`` by the environment where there is one.

    Raises:
        ConfigurationError: A token is not known here, or a variable not set.
    """

    def value(match: re.Match[str]) -> str:
        letter, variable = match.groups()
        if letter is not None:
            if letter not in {"%", *tokens}:
                known = ", ".join(f"%{each}" for each in ("%", *sorted(tokens)))
                refuse(line, f"has %{letter}, which is not supported here", f"there are {known}")
            return tokens.get(letter, "%")
        if env is None:
            return match.group()
        if variable not in env:
            refuse(line, f"needs the environment variable {variable}, which is not set")
        return env[variable]

    return _TOKEN.sub(value, text)
