"""From what the operating system says of a program to the contract's errors (ERR-4).

Knows no asyncio and starts nothing.
"""

from __future__ import annotations

import errno
import os

from transport_core import (
    CommandError,
    CommandNotExecutableError,
    CommandNotFoundError,
    Delivery,
    WorkingDirectoryError,
)
from transport_core.authoring import escape, short_argv

_NOT_FOUND = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
_NOT_EXECUTABLE = (
    errno.E2BIG,
    errno.EACCES,
    errno.EPERM,
    errno.ENOEXEC,
    errno.EISDIR,
    errno.ELOOP,
    errno.ETXTBSY,
    errno.ELIBBAD,
    errno.EINVAL,
)
_HINTS = {
    errno.E2BIG: "argv and environment are too long for this system: send content by stdin",
    errno.EMFILE: "too many files are open: run fewer commands at once, or raise 'ulimit -n'",
    errno.ENFILE: "too many files are open on this machine",
    errno.EAGAIN: "too many processes: run fewer commands at once, or raise 'ulimit -u'",
    errno.ENOMEM: "this machine has no memory left for a new process",
}


def spawn_error(
    error: OSError, argv: tuple[bytes, ...], *, env: dict[str, str], cwd: bytes, name: str
) -> CommandError:
    """Return the error for a program that could not be started; the caller keeps the cause."""
    kind, text, hint = _why(error, argv, env, cwd)
    return kind(text, delivery=Delivery.NOT_SENT, transport=name, hint=hint)


def _why(
    error: OSError, argv: tuple[bytes, ...], env: dict[str, str], cwd: bytes
) -> tuple[type[CommandError], str, str | None]:
    program = short_argv(argv)
    # Asked afterwards: the same numbers come from chdir and from exec.
    if not (os.path.isdir(cwd) and os.access(cwd, os.X_OK)):
        text = f"the working directory '{escape(cwd)}' of {program} cannot be entered"
        return WorkingDirectoryError, text, None
    if error.errno in _NOT_FOUND:
        if not _stands_somewhere(argv[0], env, cwd):
            return CommandNotFoundError, f"{program} was not found", None
        text = f"{program} cannot be executed: its interpreter or loader is missing"
        return CommandNotExecutableError, text, "look at its first line"
    # A directory of PATH that may not be searched says EACCES too, of a program that is nowhere.
    searched = error.errno == errno.EACCES and b"/" not in argv[0]
    if searched and not _stands_somewhere(argv[0], env, cwd):
        return CommandNotFoundError, f"{program} was not found", None
    reason = error.strerror or str(error)
    hint = _HINTS.get(error.errno or 0)
    if error.errno in _NOT_EXECUTABLE:
        return CommandNotExecutableError, f"{program} cannot be executed: {reason}", hint
    return CommandError, f"{program} could not be started: {reason}", hint


def _stands_somewhere(program: bytes, env: dict[str, str], cwd: bytes) -> bool:
    places = [b""] if b"/" in program else [os.fsencode(place) for place in os.get_exec_path(env)]
    return any(os.path.isfile(os.path.join(cwd, place, program)) for place in places)
