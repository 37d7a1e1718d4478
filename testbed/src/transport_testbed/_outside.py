"""Looking at a place, and breaking it, by this machine's own file system and process table.

Right where the target shares both with the runner. Must not know any transport, nor the stack.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from transport_testbed.conformance._target import HarnessError


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


def _pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _of(pid: int, what: str) -> bytes:
    with suppress(OSError), open(f"/proc/{pid}/{what}", "rb") as file:
        return file.read()
    return b""


class LocalProbe:
    """A probe of this machine.

    Args:
        uid: The login's, to whom files are given; None for ourselves.
        log: Of the server, where logins are counted.
    """

    def __init__(self, *, uid: int | None = None, log: str | None = None) -> None:
        self._uid = uid if uid is not None and uid != os.geteuid() else None
        self._log = log

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
        others = [pid for pid in _pids() if pid not in spared]
        found = [pid for pid in others if word in _of(pid, "cmdline") + _of(pid, "environ")]
        return [pid for pid in found if stat_of(pid)[0] not in "ZX"]

    def command_lines(self) -> list[bytes]:
        """Return the argv of every process that can be seen, words apart by NUL."""
        spared = set(ancestors(os.getpid()))
        return [line for pid in _pids() if pid not in spared and (line := _of(pid, "cmdline"))]

    def logins(self) -> int | None:
        """Count the logins in the server's log, once it is quiet: it is written beside them."""
        if self._log is None:
            return None
        size, text = -1, b""
        while len(text) != size:
            size = len(text)
            time.sleep(0.03)
            text = self.read(os.fsencode(self._log))
        # "Accepted key", which a verbose log has as well, is an offer and no login yet.
        return len(re.findall(rb"^Accepted \S+ for ", text, re.MULTILINE))


class SessionFaults:
    """Ends login sessions of one user of one sshd.

    Args:
        daemon: Its pid.
        user: Whose sessions are ended.
    """

    def __init__(self, *, daemon: int, user: str) -> None:
        self._daemon = daemon
        # The title that sshd gives its session processes, filled up with NUL; sshd-session from
        # 9.8 on. One that only forwards has no "@notty" behind the name.
        title = rf"^sshd(-session)?: {re.escape(user)}( |@|\0|$)"
        self._title = re.compile(title.encode())

    @contextmanager
    def cut(self) -> Iterator[int]:
        """End the sessions; gives how many processes were ended. Nothing to heal after it."""
        sessions = self._sessions()
        if not sessions:
            raise HarnessError(f"no session of sshd {self._daemon} to end: nothing was cut")
        for pid in sessions:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._await_end(sessions)
        yield len(sessions)

    def _sessions(self) -> list[int]:
        return [
            pid
            for pid in _pids()
            if self._title.match(_of(pid, "cmdline")) and self._daemon in ancestors(pid)
        ]

    def _await_end(self, sessions: list[int]) -> None:
        end = time.monotonic() + 5
        while any(stat_of(pid)[0] not in "ZX" for pid in sessions):
            if time.monotonic() > end:
                raise HarnessError(f"sessions {sessions} did not end: nothing was cut")
            time.sleep(0.002)
