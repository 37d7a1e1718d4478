"""Breaking a login by its server's processes on this machine: ended, stopped, with another key.

Signals nothing but one sshd of a run and its sessions. Must not know any transport.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from transport_testbed._outside import ancestors, content_of, pids, stat_of
from transport_testbed.conformance._target import HarnessError
from transport_testbed.stack import Endpoint, Stack
from transport_testbed.stack._runs import Run

_PATIENCE = 5.0
"""Seconds in which a fault has to be there, or to be healed."""

_GONE = "ZX"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """The login sessions of one user of one sshd, whose pid is ``daemon``."""

    run: Run
    daemon: int
    user: str

    @classmethod
    def of(cls, stack: Stack, endpoint: Endpoint) -> Self:
        """Return the sessions of who logs in there."""
        daemon = stack.pids[f"sshd-{endpoint.server}"]
        return cls(run=_run(stack), daemon=daemon, user=endpoint.user)

    def pids(self) -> list[int]:
        """Return their processes."""
        return [pid for pid in pids() if self._has(pid)]

    def _has(self, pid: int) -> bool:
        """Whether it is one of them: by its title, its sshd, and as proof the run's token."""
        # The title that sshd gives its session processes; sshd-session from 9.8 on.
        title = re.compile(rf"^sshd(-session)?: {re.escape(self.user)}([ @\0]|$)".encode())
        if not title.match(content_of(pid, "cmdline")):
            return False
        return self.daemon in ancestors(pid) and self.run.holds(pid)

    def signal(self, number: signal.Signals, processes: list[int], states: str) -> None:
        """Signal processes of these sessions, and return when each is in one of the states."""
        self.run.send(processes, number, self._has)
        _until(
            lambda: all(stat_of(pid)[0] in states for pid in processes),
            f"sessions {processes} do not show the effect of {number.name}",
        )

    @contextmanager
    def cut(self) -> Iterator[int]:
        """End the sessions; gives how many processes were ended. Nothing to heal after it."""
        found = self._found()
        self.signal(signal.SIGKILL, found, _GONE)
        yield len(found)

    @contextmanager
    def frozen(self) -> Iterator[int]:
        """Stop the sessions and let them go on at the end; gives how many processes it were."""
        found = self._found()
        try:
            self.signal(signal.SIGSTOP, found, "T" + _GONE)
            yield len(found)
        finally:
            # One that ended meanwhile keeps its number for as long as nobody has collected it.
            mine = [pid for pid in self.pids() if pid in found]
            self.signal(signal.SIGCONT, mine, "RSD" + _GONE)

    def _found(self) -> list[int]:
        found = self.pids()
        if not found:
            raise HarnessError(f"sshd {self.daemon} has no session of {self.user}: nothing broken")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKey:
    """The host key file of one sshd, and a spare one; the log tells when it listens."""

    run: Run
    daemon: int
    key: str
    spare: str
    log: str

    @classmethod
    def of(cls, stack: Stack, server: str) -> Self:
        """Return that of a server, by its name in ``stack.pids``."""
        return cls(
            run=_run(stack), daemon=stack.pids[server], key=stack.host_keys[server],
            spare=stack.spare_host_key, log=stack.logs[server],
        )  # fmt: skip

    @contextmanager
    def replaced(self) -> Iterator[None]:
        """Let the sshd show the spare key to who logs in from now on, and its own at the end."""
        own = self._read(self.key)
        try:
            self._show(self._read(self.spare))
            yield
        finally:
            self._show(own)

    def _read(self, key: str) -> dict[str, bytes]:
        return {suffix: Path(key + suffix).read_bytes() for suffix in ("", ".pub")}

    def _show(self, contents: dict[str, bytes]) -> None:
        """Written in place, for owner and mode; the daemon reads it when it starts again."""
        if not self._is_sshd(self.daemon):
            raise HarnessError(f"{self.daemon} is no sshd any more: its key was not changed")
        for suffix, data in contents.items():
            Path(self.key + suffix).write_bytes(data)
        before = self._starts()
        # It executes itself again: the same process, the same port, sessions go on.
        self.run.send([self.daemon], signal.SIGHUP, self._is_sshd)
        _until(lambda: self._starts() > before, f"sshd {self.daemon} did not start again")

    def _is_sshd(self, pid: int) -> bool:
        return content_of(pid, "cmdline").startswith(b"sshd: ") and self.run.holds(pid)

    def _starts(self) -> int:
        return Path(self.log).read_bytes().count(b"\nServer listening on ")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginFaults:
    """Breaks one login, the hop before it, and its server."""

    login: Sessions
    hop: Sessions | None = None
    host_key: HostKey | None = None

    @contextmanager
    def cut(self) -> Iterator[int]:
        """End the sessions."""
        with self.login.cut() as ended:
            yield ended

    @contextmanager
    def freeze(self) -> Iterator[int]:
        """Stop the sessions for as long as the context lasts."""
        with self.login.frozen() as stopped:
            yield stopped

    @contextmanager
    def freeze_hop(self) -> Iterator[int]:
        """Stop the sessions at the hop before it for as long as the context lasts."""
        if self.hop is None:
            raise HarnessError("there is no hop to freeze")
        with self.hop.frozen() as stopped:
            yield stopped

    @contextmanager
    def new_host_key(self) -> Iterator[None]:
        """Let the server show another host key for as long as the context lasts."""
        if self.host_key is None:
            raise HarnessError("this server shares its host key with other tests")
        with self.host_key.replaced():
            yield


def _run(stack: Stack) -> Run:
    return Run.recorded(Path(stack.root), stack.token)


def _until(condition: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise HarnessError(otherwise)
        time.sleep(0.002)
