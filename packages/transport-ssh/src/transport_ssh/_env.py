"""Environment names that a shell has a use for: set exactly, and shown in no process list; pure.

``export NAME='value'`` is right for any other name. For these a shell refuses (``UID`` in bash),
checks (``OPTIND`` in dash) or rewrites (``SHLVL`` in bash) what is assigned, each shell others.
So ``sh`` tries, and a child says whether the values arrived; else env(1) assigns them, from
copies under another name (``env -S``, GNU and BSD), since its words are in the process list;
else the command is not run. Must not know asyncssh, nor what surrounds the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

REFUSED = 95
"""Exit status of our own script where a name cannot be set; its marker proves it."""

_SHELL_OWN = re.compile(
    r"(BASH.*|UID|EUID|PPID|GROUPS|SHELLOPTS|OPTIND|RANDOM|SRANDOM|SECONDS|LINENO|EPOCH.*"
    r"|FUNCNAME|DIRSTACK|HISTCMD|PIPESTATUS|SHLVL|PWD|OLDPWD|_"
    r"|COLUMNS|LINES|TMOUT|KSH.*|PGRP|USER_ID)\Z"
)

# %(p)s begins the names of variables of our own: a caller's env may set any that is foreseen.
_HOLD = b"%(p)sa=$(command -v awk);%(p)se=$(command -v env);%(copies)s"
_TRY = (
    b"s(){ %(assign)s};"
    b't(){ exec "$@" "$%(p)sa" \'BEGIN{%(differ)sprint "y"}\';};'
    # Not in parentheses: there bash leaves SHLVL as it is, and its exec does not.
    b'if [ "$({ s;t;} 2>/dev/null)" = y ];then s;unset %(drop)s;%(execute)s"$@";exit $?;fi;'
)
_REFUSE = b"{ trap - 0;echo %(mark)s:n >&2;exit %(refused)d;};"
# Only a shell's own exec tells a program that is not there from a program's own 127, and env(1)
# is none: it is looked for first. In a subshell, whose variables are not the program's.
_BY_ENV = (
    b'[ "$(t "$%(p)se" -S \'%(split)s\' 2>/dev/null)" = y ]||' + _REFUSE + b"w()(e=127;"
    b'c(){ [ -f "$1" ]&&[ -x "$1" ]&&exit 0;[ -e "$1" ]&&e=126;};'
    b'case $1 in */*)c "$1";;*)IFS=:;set -f;p=$PATH:;for d in $p;do c "${d:-.}/$1";done;;esac;'
    b'exit $e);w "$1"||exit $?;'
    b'%(execute)s"$%(p)se" -S \'%(forget)s%(split)s\' "$@";exit $?'
)


def shell_owned(env: Mapping[str, bytes]) -> list[str]:
    """Return the names that some shell treats as its own."""
    return [name for name in env if _SHELL_OWN.match(name)]


def quote(word: bytes) -> bytes:
    """Return a word as POSIX sh reads it."""
    return b"'" + word.replace(b"'", b"'\\''") + b"'"


def exports(env: Mapping[str, bytes]) -> bytes:
    """Return the text that sets names which no shell treats as its own."""
    plain = [name for name in env if not _SHELL_OWN.match(name)]
    if not plain:
        return b""
    # bash complains of a locale that is not there, and that is not the program's output.
    each = b"".join(b"export " + name.encode() + b"=" + quote(env[name]) + b";" for name in plain)
    return b"{ " + each + b"} 2>/dev/null;"


def own_exports(
    mark: bytes, program: bytes, env: Mapping[str, bytes], execute: bytes
) -> tuple[bytes, bytes]:
    """Return what stands before the other exports, and what sets shells' own names and executes.

    The second part executes the positional parameters; ``execute`` is the text up to them.
    """
    p = b"_" + mark.removeprefix(b"@")
    names = [name.encode() for name in shell_owned(env)]
    copies = {name: p + b"%d" % index for index, name in enumerate(names)}
    values = {name: quote(env[name.decode()]) for name in names}
    differ = b'if(!("%b" in ENVIRON)||ENVIRON["%b"]""!=ENVIRON["%b"]"")exit;'
    text = _TRY + (_REFUSE if b"=" in program else _BY_ENV)  # env takes it for one more name
    parts: Mapping[bytes, bytes | int] = {
        b"p": p,
        b"mark": mark,
        b"refused": REFUSED,
        b"execute": execute,
        b"copies": b"".join(b"export %s=%s;" % (copies[name], values[name]) for name in names),
        b"assign": b"".join(_assign(*pair) for pair in copies.items()),
        b"differ": b"".join(differ % (name, name, copies[name]) for name in names),
        b"drop": b" ".join((*copies.values(), p + b"a", p + b"e")),
        b"split": b" ".join(b"%s=${%s}" % pair for pair in copies.items()),
        b"forget": b"".join(b"-u %s " % copy for copy in copies.values()),
    }
    return _HOLD % parts, text % parts


def _assign(name: bytes, copy: bytes) -> bytes:
    # Unset first, most of them lose their meaning; dash's OPTIND then takes nothing at all.
    drop = b"" if name == b"OPTIND" else b"unset %s;" % name
    return drop + b'export %s="$%s";' % (name, copy)
