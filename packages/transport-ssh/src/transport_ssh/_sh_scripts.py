r"""Files without SFTP: what ``sh`` is given for each step, and how its answers are read; pure.

POSIX utilities only. Paths are arguments of a script, never a part of it; none begins with a
dash (``operand``). What failed is found by testing and told by the exit status, as far as a
shell can tell; the rest is read from what a utility says in the C locale. Must not know asyncssh.

POSIX has no ``stat``: ``ls -ldn`` has type, mode and size, in fields that no name can reach.
Names come one by one from globs, each with a NUL behind it, so that any name arrives.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator

from transport_core import AlreadyExistsError, SizeMismatchError, TransferError, UnsafePathError
from transport_core.authoring import EntryKind, escape

from ._tree import Found

# n: why nothing stands at a path. u: the nearest directory above that exists. w: why writing in
# a directory failed, and a full disk is asked for last: df costs a process.
_PRELUDE = rb"""
LC_ALL=C;export LC_ALL
unset QUOTING_STYLE TIME_STYLE BLOCK_SIZE LS_BLOCK_SIZE BLOCKSIZE GLOBIGNORE
u(){ q=$1
until [ -e "$q" ];do case $q in /|.)break;;*/*)q=${q%/*};[ "$q" ]||q=/;;*)q=.;;esac;done;}
n(){ u "$1"
[ -d "$q" ]||exit 83
[ -x "$q" ]||exit 85
ls -ld "$1" >/dev/null
exit 81;}
w(){ [ -e "$1" ]||n "$1"
[ -d "$1" ]||exit 83
{ [ -w "$1" ]&&[ -x "$1" ];}||exit 85
df -Pk "$1" 2>/dev/null|{ read -r a;read -r a b c d e;[ "$d" = 0 ];}&&exit 86
exit 90;}
"""

# Gives the temporary t its name d. A rename or link moves *into* a directory of that name, and
# into one that a link of that name leads to: -T keeps from it where there is such an option, and
# elsewhere it is looked for afterwards and taken back, since nobody else has that name.
# What cleans up ignores signals: TERM goes to the whole group, and would end rm.
_PUBLISH = rb"""
g(){ b=${t##*/}
if [ "$o" ];then
[ -L "$d" ]||[ -d "$d" ]||[ -f "$d" ]||{ [ -e "$d" ]&&exit 91;}
mv -fT "$t" "$d" 2>/dev/null||{ [ -d "$d" ]&&exit 84;mv -f "$t" "$d"||w "$p";}
{ [ -e "$d/$b" ]||[ -L "$d/$b" ];}&&{ rm -f "$d/$b";exit 84;}
else
{ [ -e "$d" ]||[ -L "$d" ];}&&exit 82
ln -P "$t" "$d" 2>/dev/null||ln "$t" "$d"||{ { [ -e "$d" ]||[ -L "$d" ];}&&exit 82;w "$p";}
{ [ -e "$d/$b" ]||[ -L "$d/$b" ];}&&{ rm -f "$d/$b";exit 82;}
rm -f "$t"
fi
trap - 0
exit 0;}
c(){ trap '' 1 2 13 15
rm -f "$t";}
umask 077
trap c 0
trap 'c;exit 143' 1 2 13 15
"""

_LOOK = rb"""
p=$2
if [ "$1" ];then [ -e "$p" ]||n "$p";else [ -e "$p" ]||[ -L "$p" ]||n "$p";fi
ls "-ldn$1" "$p"||exit 90
printf '\000'
if [ -z "$1" ]&&[ -L "$p" ];then readlink "$p" 2>/dev/null;fi
printf '\000'
"""

_LIST = rb"""
d=$1
[ -e "$d" ]||n "$d"
[ -d "$d" ]||exit 83
{ [ -r "$d" ]&&[ -x "$d" ];}||exit 85
d=${d%/}
for e in "$d"/* "$d"/.[!.]* "$d"/..?*;do
[ -e "$e" ]||[ -L "$e" ]||continue
printf '%s\000' "${e##*/}"
ls -ldn "$e"
printf '\000'
if [ -L "$e" ];then readlink "$e" 2>/dev/null;fi
printf '\000'
done
exit 0
"""

_READ = rb"""
p=$1
[ -e "$p" ]||n "$p"
[ -d "$p" ]&&exit 84
[ -f "$p" ]||exit 91
[ -r "$p" ]||exit 85
exec cat "$p"
"""

# The size is told first: an early end, whoever's, is told from the end by it. Cut off in the
# middle, by TERM or by the end of its input, it takes the temporary away.
_PUT = (
    rb"""
d=$1 t=$2 p=$3 o=$4 n=$5 m=$6
"""
    + _PUBLISH
    + rb"""
set -Cf
cat >"$t"||w "$p"
set -- $(ls -ldn "$t")
[ "$5" = "$n" ]||exit 89
chmod "$m" "$t"||exit 90
g
"""
)

_LINK = (
    rb"""
d=$1 t=$2 p=$3 o=$4
"""
    + _PUBLISH
    + rb"""
ln -s -- "$5" "$t"||w "$p"
g
"""
)

_MAKE = rb"""
p=$1
umask 077
mkdir "$p" 2>/dev/null&&{ echo made;exit 0;}
if [ -d "$p" ]&&{ [ "$2" ]||[ ! -L "$p" ];};then echo there;exit 0;fi
{ [ -e "$p" ]||[ -L "$p" ];}&&exit 83
mkdir "$p"&&{ echo made;exit 0;}
w "$3"
"""

_PARENTS = rb"""
[ -d "$1" ]&&exit 0
mkdir -p "$1"&&exit 0
[ -d "$1" ]&&exit 0
[ -L "$1" ]&&exit 83
u "$1"
w "$q"
"""

_MODE = rb"""
[ -e "$2" ]||n "$2"
s=0
[ -g "$2" ]&&s=2
chmod "$s$1" "$2"||exit 90
"""

_OWN: dict[int | None, tuple[type[TransferError], str]] = {
    82: (AlreadyExistsError, "the destination exists, and overwrite is off"),
    89: (SizeMismatchError, "fewer or more bytes stand there than were announced"),
    91: (UnsafePathError, "neither file, directory nor link stands there"),
}
_STATUS: dict[int | None, tuple[int, str]] = {
    81: (errno.ENOENT, "no such file or directory"),
    83: (errno.ENOTDIR, "something else stands where a directory is needed"),
    84: (errno.EISDIR, "a directory stands where a file is needed"),
    85: (errno.EACCES, "the other side does not permit it"),
    86: (errno.ENOSPC, "no space is left on the remote disk"),
}

# What the C library says, glibc's and others'; a test of the shell cannot see these.
_TEXT: tuple[tuple[bytes, int], ...] = (
    (b"ame too long", errno.ENAMETOOLONG),
    (b"Too many levels of symbolic links", errno.ELOOP),
    (b"Symbolic link loop", errno.ELOOP),
    (b"No space left on device", errno.ENOSPC),
    (b"uota exceeded", errno.EDQUOT),
    (b"File too large", errno.EFBIG),
    (b"Read-only file system", errno.EROFS),
    (b"Permission denied", errno.EACCES),
    (b"Operation not permitted", errno.EPERM),
    (b"Not a directory", errno.ENOTDIR),
    (b"Is a directory", errno.EISDIR),
    (b"No such file or directory", errno.ENOENT),
)
# A name that seems to be missing may be one that is too long: a shell's test says no to both.
_INSTEAD_OF_MISSING = (errno.ENAMETOOLONG, errno.ELOOP)

_LINE = re.compile(
    rb"([-a-zA-Z?])([-r][-w][-xsS][-r][-w][-xsS][-r][-w][-xtT])\S?\s+\d+\s+\S+\s+\S+\s+(\d+)"
)
LONGEST_ANSWER = 64 * 1024
"""Bytes of a short answer: more than a path of 4096 bytes, twice, and what stands around it."""
_WORDS_OF_A_MEMBER = 3  # name, line of ls, target
_KINDS = {b"-": EntryKind.FILE, b"d": EntryKind.DIRECTORY, b"l": EntryKind.LINK}


def _argv(script: bytes, *words: bytes) -> tuple[bytes, ...]:
    return (b"sh", b"-c", _PRELUDE.strip() + script.rstrip(), b"sh", *words)


def operand(path: bytes) -> bytes:
    """Return a path that no utility takes for an option, without slashes at its end."""
    trimmed = path.rstrip(b"/") or b"/"
    return b"./" + trimmed if trimmed.startswith(b"-") else trimmed


def look(path: bytes, *, follow: bool) -> tuple[bytes, ...]:
    """Return the argv that tells what stands at a path."""
    # With a slash at its end, only a directory stands there.
    named = operand(path)
    if path.endswith(b"/") and named != b"/":
        named += b"/."
    return _argv(_LOOK, b"L" if follow else b"", named)


def members(path: bytes) -> tuple[bytes, ...]:
    """Return the argv that lists a directory: name, ``ls`` line and link, a NUL behind each."""
    return _argv(_LIST, operand(path))


def read(path: bytes) -> tuple[bytes, ...]:
    """Return the argv that prints a file."""
    return _argv(_READ, operand(path))


def put_file(
    target: bytes, temp: bytes, parent: bytes, *, overwrite: bool, size: int, mode: int
) -> tuple[bytes, ...]:
    """Return the argv that makes a file of its stdin."""
    names = (operand(target), operand(temp), operand(parent), b"1" if overwrite else b"")
    return _argv(_PUT, *names, b"%d" % size, b"%04o" % mode)


def put_link(
    target: bytes, temp: bytes, parent: bytes, *, overwrite: bool, points_to: bytes
) -> tuple[bytes, ...]:
    """Return the argv that makes a symbolic link."""
    names = (operand(target), operand(temp), operand(parent), b"1" if overwrite else b"")
    return _argv(_LINK, *names, points_to)


def make_directory(path: bytes, parent: bytes, *, follow: bool) -> tuple[bytes, ...]:
    """Return the argv that makes a directory, and prints whether it was there."""
    return _argv(_MAKE, operand(path), b"1" if follow else b"", operand(parent))


def make_parents(parent: bytes) -> tuple[bytes, ...]:
    """Return the argv that makes a directory and those above it."""
    return _argv(_PARENTS, operand(parent))


def set_mode(path: bytes, mode: int) -> tuple[bytes, ...]:
    """Return the argv that sets a directory's permission bits, and leaves its setgid bit."""
    return _argv(_MODE, b"%03o" % mode, operand(path))


# --- what comes back -----------------------------------------------------------------------


def failure(status: int | None, said: bytes) -> Exception:
    """Return the error that a script's end stands for; ``said`` is its stderr."""
    if status in _OWN:
        kind, text = _OWN[status]
        return kind(text)
    told = next((number for text, number in _TEXT if text in said), None)
    if status in _STATUS and told not in _INSTEAD_OF_MISSING:
        return _os_error(*_STATUS[status])
    if told is not None:
        return _os_error(told, os.strerror(told))
    return _os_error(errno.EIO, escape(said.strip()[-500:]) or f"sh ended with {status}")


def _os_error(number: int, text: str) -> OSError:
    return OSError(number, text)


def found(line: bytes, path: bytes, target: bytes) -> Found:
    """Return what an ``ls -ldn`` line says; ``target`` is what readlink printed, if there is one.

    Raises:
        FileNotFoundError: There is no line: it vanished in between.
        OSError: The line is none of POSIX's.
    """
    if not line.strip():
        raise FileNotFoundError(errno.ENOENT, "it vanished while it was looked at")
    letter = line[:1]
    read_as = _LINE.match(line)
    if letter in b"bcps" or (read_as and letter not in _KINDS):
        return Found(kind=None)
    if read_as is None:
        raise OSError(errno.EIO, f"ls printed what no ls of POSIX prints: '{escape(line[:80])}'")
    kind = _KINDS[letter]
    return Found(
        kind=kind,
        size=int(read_as[3]),
        mode=_bits(read_as[2]),
        target=_target(line, path, target) if kind is EntryKind.LINK else None,
    )


def _bits(letters: bytes) -> int:
    """Return nine letters as permission bits; what is set beside them is not copied (FILE-3)."""
    return sum(1 << (8 - place) for place, letter in enumerate(letters) if letter not in b"-ST")


def _target(line: bytes, path: bytes, told: bytes) -> bytes:
    """Return where a link points; readlink is new in POSIX, and ``ls`` has it as well."""
    if told:
        return told.removesuffix(b"\n")
    return line.partition(b" " + path + b" -> ")[2].removesuffix(b"\n")


class Members:
    """Takes the members of a directory out of a stream, wherever its pieces end."""

    def __init__(self, path: bytes) -> None:
        """Begin with none."""
        self._folder = operand(path).rstrip(b"/") + b"/"
        self._held = b""
        self._words: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[tuple[bytes, Found]]:
        """Give the members that are whole now.

        Raises:
            OSError: A word is longer than any name or path.
        """
        *whole, self._held = (self._held + data).split(b"\0")
        if len(self._held) > LONGEST_ANSWER:
            raise OSError(errno.EMSGSIZE, "the other side sends a name without end")
        self._words += whole
        while len(self._words) >= _WORDS_OF_A_MEMBER:
            name, line, target = self._words[:_WORDS_OF_A_MEMBER]
            del self._words[:_WORDS_OF_A_MEMBER]
            yield name, found(line, self._folder + name, target)
