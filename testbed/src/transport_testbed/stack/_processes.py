"""Start daemons as children of this process, each in a session of its own with its own log.

Must not know what they do; ending them is the business of _runs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

#: The kernel sends the parent-death signal when the *thread* that started a child ends. This one
#: lives as long as the process does, whatever thread start() is called in.
_starter = ThreadPoolExecutor(1, thread_name_prefix="testbed-starter")


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """A program that runs in the foreground until it is told to end."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path

    def last_output(self, lines: int = 15) -> str:
        """Return the end of the log."""
        try:
            text = self.log.read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])


def guarded(argv: tuple[str, ...], *, die_with_parent: bool, uid: int | None) -> tuple[str, ...]:
    """Prefix *argv* so that it runs without capabilities, as *uid*, and may die with its parent.

    Programs rather than a preexec hook: hooks are unsafe in a process with threads. The umask is
    a server's usual one, not that of whoever runs the tests.
    """
    prefix = ["sh", "-c", 'umask 022; exec "$@"', "sh"]
    prefix += ["setpriv", "--inh-caps=-all", "--ambient-caps=-all"]
    if die_with_parent:
        prefix += ["--pdeathsig", "TERM"]
    if uid is not None and uid != os.geteuid():
        prefix += ["--reuid", str(uid), "--regid", str(uid), "--clear-groups"]
    return (*prefix, "--", *argv)


def spawn(daemon: Daemon, *, inherit: int | None = None) -> int:
    """Start *daemon*, with file descriptor *inherit* as its descriptor 3; return its pid."""
    return _starter.submit(_spawn, daemon, inherit).result()


def _spawn(daemon: Daemon, inherit: int | None) -> int:
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(daemon.log), append, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    if inherit is not None:
        actions.append((os.POSIX_SPAWN_DUP2, inherit, 3))
    argv, environment = list(daemon.argv), dict(daemon.environment)
    return os.posix_spawnp(argv[0], argv, environment, file_actions=actions, setsid=True)


def ended(pid: int) -> bool:
    """Whether the child *pid* has ended; its status stays for whoever waits for it."""
    try:
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, pid, options) is not None
    except ChildProcessError:
        return not os.path.exists(f"/proc/{pid}")
