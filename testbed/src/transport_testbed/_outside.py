"""Looking at a place by this machine's own file system and process table.

Right where the target shares both with the runner. Must not know any transport, nor the stack.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


def stat_of(pid: int) -> tuple[str, int]:
    """Return state and parent of a process; ("X", 0) if it is gone."""
    with suppress(OSError, ValueError):
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return fields[0].decode(), int(fields[1])
    return "X", 0


def ancestors(pid: int) -> Iterator[int]:
    """Yield a process, its parent, and so on."""
    while pid > 0:
        yield pid
        pid = stat_of(pid)[1]


def pids() -> list[int]:
    """Return all processes that can be seen."""
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def content_of(pid: int, what: str) -> bytes:
    """Return a file of a process, empty if it is gone.

    Read without a file object: a look through all processes takes half the time, and every test
    has some.
    """
    pieces = []
    with suppress(OSError):
        file = os.open(f"/proc/{pid}/{what}", os.O_RDONLY)
        try:
            while piece := os.read(file, 65536):
                pieces.append(piece)
        finally:
            os.close(file)
    return b"".join(pieces)


def _words(pid: int) -> bytes:
    """Return the argv and environment of a process; threads of the kernel have neither."""
    argv = content_of(pid, "cmdline")
    return argv and argv + content_of(pid, "environ")


@dataclass(frozen=True, slots=True)
class ServerLog:
    """What an sshd logs (LogLevel VERBOSE) of one user, or of all."""

    path: str
    user: str = ""

    def logins(self) -> int:
        """Count those who were let in."""
        # "Accepted key", which a verbose log has as well, is an offer and no login yet.
        return self._count(rf"^Accepted \S+ for {self._who} ")

    def refusals(self) -> int:
        """Count the attempts that were refused."""
        return self._count(rf"^Failed \S+ for (invalid user )?{self._who} ")

    def attempts(self, *, since: int = 0) -> int:
        """Count the lines that tell of somebody who said who he is; several for each attempt.

        Only of connections that began behind a position in the log: what is told of the end of an
        earlier one may come late.
        """
        name = rf"(invalid user )?{self._who} "
        said = rf"(Accepted|Failed|Postponed) \S+ for {name}|.*authenticating user {name}"
        return self._count(rf"^({said}|Invalid user {name})", since)

    def offers(self, key: str) -> int:
        """Count how often a public key, by its fingerprint, was offered; accepted or not."""
        return self._count(rf"^\w+ publickey for {self._who} .* {re.escape(key)}")

    @property
    def _who(self) -> str:
        return re.escape(self.user) or r"\S+"

    def size(self) -> int:
        """Return the position of its end."""
        return os.path.getsize(self.path)

    def _count(self, pattern: str, since: int = 0) -> int:
        """Count lines once there are no more: they are written beside what they tell of."""
        lines = re.compile(pattern.encode(), re.MULTILINE)
        before, found = -1, 0
        while found != before:
            before = found
            time.sleep(0.03)
            found = len(lines.findall(self._text(since)))
        return found

    def _text(self, since: int) -> bytes:
        """Return the log, or of what is behind a position the lines of new connections."""
        text = Path(self.path).read_bytes()[since:]
        if not since:
            return text
        new = set(re.findall(rb"^Connection from \S+ port (\d+) ", text, re.MULTILINE))
        mine = [line for line in text.splitlines() if new & set(re.findall(rb" port (\d+)", line))]
        return b"\n".join(mine)


class LocalProbe:
    """A probe of this machine.

    Args:
        uid: The login's, to whom files are given; None for ourselves.
        log: Of the server, where logins are counted.
        hop_log: The same of the hop before it.
    """

    def __init__(
        self,
        *,
        uid: int | None = None,
        log: ServerLog | None = None,
        hop_log: ServerLog | None = None,
    ) -> None:
        self._uid = uid if uid is not None and uid != os.geteuid() else None
        self._log, self._hop_log = log, hop_log
        self._since = log.size() if log else 0
        self._hop_since = hop_log.size() if hop_log else 0

    def read(self, path: bytes) -> bytes:
        """Return the content of a file."""
        with open(path, "rb") as file:
            return file.read()

    def write(self, path: bytes, data: bytes, mode: int = 0o644) -> None:
        """Make a file that belongs to the login."""
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, mode)
        self._give(path)

    def lstat(self, path: bytes) -> os.stat_result | None:
        """Return what stands at a path, or None."""
        try:
            return os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def listdir(self, path: bytes) -> list[bytes]:
        """Return the names in a directory."""
        return os.listdir(path)

    def readlink(self, path: bytes) -> bytes:
        """Return what a symbolic link holds."""
        return os.readlink(path)

    def make_dir(self, path: bytes, mode: int = 0o755) -> None:
        """Make a directory that belongs to the login."""
        os.mkdir(path)
        os.chmod(path, mode)
        self._give(path)

    def make_pipe(self, path: bytes) -> None:
        """Make a named pipe."""
        os.mkfifo(path)
        self._give(path)

    def make_link(self, target: bytes, path: bytes) -> None:
        """Make a symbolic link."""
        os.symlink(target, path)
        self._give(path)

    def _give(self, path: bytes) -> None:
        if self._uid is not None:
            os.chown(path, self._uid, self._uid, follow_symlinks=False)

    def processes(self, marker: str) -> list[int]:
        """Return live processes whose environment or argv holds the marker, the suite's apart."""
        word, spared = marker.encode(), set(ancestors(os.getpid()))
        others = [pid for pid in pids() if pid not in spared]
        found = [pid for pid in others if word in _words(pid)]
        return [pid for pid in found if stat_of(pid)[0] not in "ZX"]

    def command_lines(self) -> list[bytes]:
        """Return the argv of every process that can be seen, words apart by NUL."""
        spared = set(ancestors(os.getpid()))
        return [
            line for pid in pids() if pid not in spared and (line := content_of(pid, "cmdline"))
        ]

    def logins(self) -> int | None:
        """Count the logins in the server's log."""
        return self._log.logins() if self._log else None

    def refusals(self) -> int | None:
        """Count the refused attempts in the server's log."""
        return self._log.refusals() if self._log else None

    def attempts(self) -> int | None:
        """Count what the server's log tells of who came since this probe, and tried to log in."""
        return self._log.attempts(since=self._since) if self._log else None

    def offers_at_hop(self, key: str) -> int | None:
        """Count in the log of the hop how often a key was offered to it."""
        return self._hop_log.offers(key) if self._hop_log else None

    def attempts_at_hop(self) -> int | None:
        """Count the same in the log of the hop before it."""
        return self._hop_log.attempts(since=self._hop_since) if self._hop_log else None
