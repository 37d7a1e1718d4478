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
``:c`` the working directory is missing, ``:n`` a name of env cannot be set, ``:x N`` exec failed.
What stands before them is noise of the login's rc files (RUN-3).
On Linux ``:b`` also says which boot of which machine the PID is of, and when its process
began: by these a process is known again after the connection broke.
With ``look_up`` it ends in ``+`` if the program was found: exec itself cannot say that it worked.
"""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ._env import REFUSED, exports, own_exports, quote, shell_owned
from ._leader import BOOT

# Longer text makes the kernel refuse one word of 131,072 bytes (Linux, MAX_ARG_STRLEN), and
# 262,144 make sshd drop the whole connection (measured on OpenSSH 9.2).
_COMMAND_LIMIT = 100_000

# Exit status of our own script where the working directory is missing; its marker proves it.
_NO_DIRECTORY = 96

# Behind a marker stand a PID and what says of which boot it is; /proc/PID/stat is the longest.
_LONGEST_VALUE = 8192

_PLAIN = re.compile(rb"[ -~]*\Z")
_UNPLAIN = re.compile(rb"['!\\]")
_OCTAL_SAFE = string.ascii_letters.encode() + string.digits.encode() + b" _./:,@+=-"
_OCTAL = [bytes((n,)) if n in _OCTAL_SAFE else b"\\%03o" % n for n in range(256)]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send for one command, and how to read what comes back."""

    command: bytes = field(repr=False)
    """The exec request."""
    header: bytes = field(repr=False)
    """What stdin begins with; may be empty."""
    token: bytes
    """Begins every marker."""
    cwd: bytes | None = None
    """The directory that it enters first, for the error if it cannot."""


def plan(
    argv: Sequence[bytes],
    env: Mapping[str, bytes] | None = None,
    cwd: bytes | None = None,
    *,
    token: bytes | None = None,
    look_up: bool = False,
) -> Plan:
    """Return how to send a command whose words have been checked.

    With ``look_up`` its begin marker tells whether the program was found (``read_found``).
    """
    mark = token or _new_token()
    # "cd -- -" would go back to the last directory.
    where = b"./" + cwd if cwd is not None and cwd.startswith(b"-") else cwd
    # What is too long anyway is not written out first: that would hold up the event loop.
    if not env and sum(map(len, argv), len(where or b"")) <= _COMMAND_LIMIT:
        command = _plain(mark, argv, where, look_up=look_up)
        if command is not None and len(command) <= _COMMAND_LIMIT:
            return Plan(command, b"", mark, cwd)
    script = _script(mark, argv, env or {}, where, look_up=look_up)
    if not env and _octal_length(script) <= _COMMAND_LIMIT:
        return Plan(_octal(mark, script), b"", mark, cwd)
    return Plan(_by_stdin(mark), _one_line(script), mark, cwd)


def own(script: bytes) -> Plan:
    """Return how to send a script of ours, without quotes; its answer is behind a begin marker."""
    mark = _new_token()
    return Plan(b"exec /bin/sh -c 'echo " + mark + b":b;" + script + b"'", b"", mark)


def _new_token() -> bytes:
    return b"@" + secrets.token_hex(16).encode()


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


def _look(program: bytes) -> bytes:
    """Return the word that becomes ``+`` if a program is there: the shell's own say is not enough.

    Of a builtin it gives the bare name, and dash gives any path, a directory too.
    """
    found = b"_p=$(command -v -- " + program + b' 2>/dev/null);[ -f "$_p" ]&&[ -x "$_p" ]'
    return b' "$(' + found + b'&&echo +)"'


def _begin_out(mark: bytes, look: bytes) -> bytes:
    # The names are the token, so that they are no variable of the caller's env.
    boot, stat = (b"_" + mark.removeprefix(b"@") + end for end in (b"b", b"s"))
    read = b"{ read -r " + boot + b" <" + BOOT + b";read -r " + stat + b" </proc/$$/stat;}"
    who = b' "$$" "$' + boot + b'" "${' + stat + b'##*")"}"'
    # Quoted, since an exported IFS may hold digits; the parenthesis, since ksh93 wants it so.
    return read + b" 2>/dev/null;echo " + mark + b":b" + who + look + b"&&exec "


def _exec(mark: bytes, words: bytes, look: bytes) -> bytes:
    return _begin_out(mark, look) + words + b";exit $?"


def _plain(mark: bytes, argv: Sequence[bytes], cwd: bytes | None, *, look_up: bool) -> bytes | None:
    words = list(argv) if cwd is None else [cwd, *argv]
    text = b"".join(words)
    if not _PLAIN.match(text) or _UNPLAIN.search(text):
        return None
    body = _begin(mark) + _traps(mark)
    if cwd is not None:
        body += _enter(mark, b'"${1}"') + b"shift;"
    dashes = b"-- " if argv[0].startswith(b"-") else b""
    body += _exec(mark, dashes + b'"$@"', _look(b'"${1}"') if look_up else b"")
    quoted = b" ".join(b"'" + word + b"'" for word in words)
    return b"exec /bin/sh -c '" + body + b"' sh " + quoted


def _script(
    mark: bytes,
    argv: Sequence[bytes],
    env: Mapping[str, bytes],
    cwd: bytes | None,
    *,
    look_up: bool,
) -> bytes:
    """Return the whole as text for /bin/sh."""
    body = _traps(mark)
    if cwd is not None:
        body += _enter(mark, quote(cwd))
    words = b" ".join(quote(word) for word in argv)
    dashes = b"-- " if argv[0].startswith(b"-") else b""
    if shell_owned(env):
        look = _look(b'"${1}"') if look_up else b""
        held, last = own_exports(mark, argv[0], env, _begin_out(mark, look) + dashes)
        return body + held + exports(env) + b"set -- " + words + b";" + last
    look = _look(quote(argv[0])) if look_up else b""
    return body + exports(env) + _exec(mark, dashes + words, look)


def _octal_length(script: bytes) -> int:
    return len(script) + 3 * len(script.translate(None, _OCTAL_SAFE))


def _octal(mark: bytes, script: bytes) -> bytes:
    text = b"".join(map(_OCTAL.__getitem__, script))
    return b"exec /bin/sh -c '" + _begin(mark) + b'eval "$(printf "' + text + b'")"\''


def _by_stdin(mark: bytes) -> bytes:
    return b"exec /bin/sh -c '" + _begin(mark) + b'IFS= read -r _h&&eval "$_h"\''


def _one_line(script: bytes) -> bytes:
    if b"\n" not in script:
        return script + b"\n"
    # A newline stands only within single quotes; "$1" is short and no variable of a caller's env.
    holds = b'set -- "$(printf "\\012x")";set -- "${1%x}";'
    return holds + script.replace(b"\n", b"'\"$1\"'") + b"\n"


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
        while (start := self._held.find(self._marker)) >= 0:
            end = self._held.find(b"\n", start)
            if (len(self._held) if end < 0 else end) - start <= _LONGEST_VALUE:
                return b"" if end < 0 else self._found(start, end)
            self._drop(start + 1)  # no line of ours: it may be as endless as noise
        # Keep only what could be the beginning of a marker: noise may be endless.
        self._drop(len(self._held) - len(self._marker) + 1)
        return b""

    def _found(self, start: int, end: int) -> bytes:
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


def read_found(told: bytes | None) -> bool:
    """Return whether a begin marker tells that the program was found (``look_up``)."""
    return (told or b"").endswith(b" +")


@dataclass(frozen=True, slots=True)
class NotStarted:
    """Why the program was not started."""

    reason: str
    """``"cwd"``, ``"env"``, ``"not found"`` or ``"not executable"``."""


def read_failure(token: bytes, stderr: bytes, status: int | None) -> NotStarted | None:
    """Return why the program was not started, from the end of its stderr; None if it was."""
    if status == _NO_DIRECTORY and stderr.endswith(token + b":c\n"):
        return NotStarted("cwd")
    if status == REFUSED and stderr.endswith(token + b":n\n"):
        return NotStarted("env")
    found = re.search(rb":x (\d+)\n\Z", stderr[-256:])
    if found is None or not stderr.endswith(token + found[0]):
        return None
    return NotStarted("not found" if found[1] == b"127" else "not executable")
