r"""The command form: argv, env and cwd -> bytes to send; what came back -> the command's own; pure.

Only POSIX ``sh`` is needed on the other side, no Python and no helper (RUN-4). The login shell
sees one word list that means the same in bash, dash, zsh, tcsh, fish and busybox sh; everything
else is read by ``/bin/sh``. Must not know asyncssh.

Three forms, by what is sent (measured facts are in docs/decisions/0003):

* plain: all words printable ASCII without ``' ! \``, as arguments of ``sh -c``;
* octal: anything else, the script as ``\ooo`` in a ``printf``;
* by stdin: env values (a process list must not show them, RUN-9) and what is too long for a
  command line, as one header line that ``sh`` reads before the program's own stdin.

Markers hold a random token: ``:e`` begins stderr, ``:b PID`` begins stdout (next is exec),
``:c`` the working directory is missing, ``:x N`` exec failed. What stands before them is noise
of the login's rc files (RUN-3). On Linux ``:b`` also says which boot of which machine the PID is
of, and when its process began: by these a process is known again after the connection broke.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ._leader import BOOT

# Longer text makes the kernel refuse one word of 131,072 bytes (Linux, MAX_ARG_STRLEN), and
# 262,144 make sshd drop the whole connection (measured on OpenSSH 9.2).
_COMMAND_LIMIT = 100_000

# Exit status of our own script where the working directory is missing; its marker proves it.
_NO_DIRECTORY = 96

_PLAIN = re.compile(rb"[ -~]*\Z")
_UNPLAIN = re.compile(rb"['!\\]")
_OCTAL_SAFE = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _./:,@+=-")

# What a shell treats specially when assigned: read-only in bash (UID ...), checked in dash
# (OPTIND), rewritten by the shell itself. These go through env(1), which assigns nothing.
_SHELL_OWN = re.compile(
    r"(BASH.*|UID|EUID|PPID|GROUPS|SHELLOPTS|OPTIND|RANDOM|SRANDOM|SECONDS|LINENO|EPOCH.*"
    r"|FUNCNAME|DIRSTACK|HISTCMD|PIPESTATUS|SHLVL|PWD|OLDPWD|_)\Z"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send for one command, and how to read what comes back."""

    command: bytes
    """The exec request."""
    header: bytes
    """What stdin begins with; may be empty."""
    token: bytes
    """Begins every marker."""


def plan(
    argv: Sequence[bytes],
    env: Mapping[str, bytes] | None = None,
    cwd: bytes | None = None,
    *,
    token: bytes | None = None,
) -> Plan:
    """Return how to send a command whose words have been checked."""
    if cwd is not None and cwd.startswith(b"-"):
        cwd = b"./" + cwd  # "cd -- -" would go back to the last directory
    mark = token or b"@" + secrets.token_hex(16).encode()
    if not env:
        command = _plain(mark, argv, cwd)
        if command is None:
            command = _octal(mark, argv, cwd)
        if len(command) <= _COMMAND_LIMIT:
            return Plan(command, b"", mark)
    script = _script(mark, argv, env or {}, cwd)
    return Plan(_by_stdin(mark), _one_line(mark, script), mark)


def _begin(mark: bytes) -> bytes:
    return b"echo " + mark + b":e >&2;"


def _traps(mark: bytes) -> bytes:
    # An EXIT trap alone does not fire in bash when exec fails: execfail and the trailing
    # "exit $?" of _exec mend it.
    return (
        b"f(){ echo " + mark + b":x $? >&2;};trap f 0;"
        b"${BASH_VERSION:+shopt -s execfail} 2>/dev/null;"
    )


def _enter(mark: bytes, where: bytes) -> bytes:
    # CDPATH would make cd print, and go elsewhere.
    missing = b"{ trap - 0;echo " + mark + b":c >&2;exit %d;}" % _NO_DIRECTORY
    return b"CDPATH= cd -- " + where + b"||" + missing + b";"


def _exec(mark: bytes, words: bytes) -> bytes:
    # The names are the token, so that they are no variable of the caller's env.
    boot, stat = (b"_" + mark.removeprefix(b"@") + end for end in (b"b", b"s"))
    look = b"{ read -r " + boot + b" <" + BOOT + b";read -r " + stat + b" </proc/$$/stat;}"
    who = b' "$$" "$' + boot + b'" "${' + stat + b'##*)}"'
    # Quoted, since an exported IFS may hold digits.
    return look + b" 2>/dev/null;echo " + mark + b":b" + who + b"&&exec " + words + b";exit $?"


def _plain(mark: bytes, argv: Sequence[bytes], cwd: bytes | None) -> bytes | None:
    words = list(argv) if cwd is None else [cwd, *argv]
    if not all(_PLAIN.match(word) and not _UNPLAIN.search(word) for word in words):
        return None
    body = _begin(mark) + _traps(mark)
    if cwd is not None:
        body += _enter(mark, b'"${1}"') + b"shift;"
    dashes = b"-- " if argv[0].startswith(b"-") else b""
    body += _exec(mark, dashes + b'"$@"')
    quoted = b" ".join(b"'" + word + b"'" for word in words)
    return b"exec /bin/sh -c '" + body + b"' sh " + quoted


def _script(
    mark: bytes, argv: Sequence[bytes], env: Mapping[str, bytes], cwd: bytes | None
) -> bytes:
    """Return the whole as text for /bin/sh."""
    own = {name: value for name, value in env.items() if _SHELL_OWN.match(name)}
    body = _traps(mark)
    if cwd is not None:
        body += _enter(mark, _quote(cwd))
    plain = [name.encode() + b"=" + _quote(env[name]) for name in env if name not in own]
    if plain:
        # bash complains of a locale that is not there, and that is not the program's output.
        body += b"{ " + b"".join(b"export " + each + b";" for each in plain) + b"} 2>/dev/null;"
    words = list(argv)
    dashes = b"-- " if argv[0].startswith(b"-") else b""
    if own:
        # Only a shell tells "not found" from a program's own 127, so it is asked first.
        body += b"command -v " + dashes + _quote(argv[0]) + b" >/dev/null 2>&1||exit 127;"
        assigned = [name.encode() + b"=" + value for name, value in own.items()]
        words, dashes = [b"env", *assigned, *argv], b""
    return body + _exec(mark, dashes + b" ".join(_quote(word) for word in words))


def _quote(word: bytes) -> bytes:
    return b"'" + word.replace(b"'", b"'\\''") + b"'"


def _octal(mark: bytes, argv: Sequence[bytes], cwd: bytes | None) -> bytes:
    script = _script(mark, argv, {}, cwd)
    text = b"".join(bytes((c,)) if c in _OCTAL_SAFE else b"\\%03o" % c for c in script)
    return b"exec /bin/sh -c '" + _begin(mark) + b'eval "$(printf "' + text + b'")"\''


def _by_stdin(mark: bytes) -> bytes:
    return b"exec /bin/sh -c '" + _begin(mark) + b'IFS= read -r _h&&eval "$_h"\''


def _one_line(mark: bytes, script: bytes) -> bytes:
    if b"\n" not in script:
        return script + b"\n"
    # A newline stands only within single quotes, and becomes a variable that holds one; its name
    # is the token, since a caller's env may set any name that could be foreseen.
    name = b"_" + mark.removeprefix(b"@")
    holds = name + b'=$(printf "\\012x");' + name + b"=${" + name + b"%x};"
    return holds + script.replace(b"\n", b"'\"$" + name + b"\"'") + b"\n"


# --- what comes back -----------------------------------------------------------------------


class Unmarker:
    """Takes noise before a marker off a stream; gives the marker's value and the rest."""

    __slots__ = ("_held", "_marker", "noise", "value")

    def __init__(self, marker: bytes) -> None:
        """``marker`` begins a line of its own."""
        self._marker = marker
        self._held = b""
        self.value: bytes | None = None
        """What stands behind the marker in its line; None until it was seen."""
        self.noise = b""
        """The last bytes before the marker, at most 4096."""

    def feed(self, data: bytes) -> bytes:
        """Return what belongs to the command."""
        if self.value is not None:
            return data
        self._held += data
        start = self._held.find(self._marker)
        if start < 0:
            # Keep only what could be the beginning of a marker: noise may be endless.
            keep = len(self._marker) - 1
            self._drop(len(self._held) - keep)
            return b""
        end = self._held.find(b"\n", start)
        if end < 0:
            return b""
        self._drop(start)
        value, rest = self._held[: end - start], self._held[end - start + 1 :]
        self.value = value[len(self._marker) :].strip()
        self._held = b""
        return rest

    def _drop(self, count: int) -> None:
        if count > 0:
            self.noise = (self.noise + self._held[:count])[-4096:]
            self._held = self._held[count:]

    def rest(self) -> bytes:
        """Return what came if no marker did, for an error's text."""
        return (self.noise + self._held)[-4096:]


@dataclass(frozen=True, slots=True)
class NotStarted:
    """Why the program was not started."""

    reason: str
    """``"cwd"``, ``"not found"`` or ``"not executable"``."""


def read_failure(token: bytes, stderr: bytes, status: int | None) -> NotStarted | None:
    """Return why the program was not started, from the end of its stderr; None if it was."""
    if status == _NO_DIRECTORY and stderr.endswith(token + b":c\n"):
        return NotStarted("cwd")
    found = re.search(re.escape(token) + rb":x (\d+)\n\Z", stderr[-256:])
    if found is None:
        return None
    return NotStarted("not found" if found[1] == b"127" else "not executable")
