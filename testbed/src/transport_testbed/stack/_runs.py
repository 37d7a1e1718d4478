"""One run of a stack on this machine: its directory, its token, and the processes that carry it.

The only module that ends processes. It must not know what they are.
"""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

TOKEN_VARIABLE = "INTERCEDE_TESTBED_TOKEN"  # noqa: S105 - a name, no secret

#: Where short names are made, as the paths that are built into some program are.
ALIASES = ("/tmp", "/var/tmp")  # noqa: S108 - see above

#: Seconds that a process may take to end after TERM, before KILL.
GRACE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run and who owns it."""

    token: str
    root: Path
    #: Clock ticks since boot: no process of this run is older.
    started: int
    owner: int
    owner_started: int
    #: The owner means to leave this run behind.
    keep: bool

    @classmethod
    def create(cls, *, keep: bool) -> Self:
        """Make the directory of a new run and record who owns it."""
        token = secrets.token_hex(16)
        root = state_directory() / token
        root.mkdir()
        # The logins may run as another user, who must pass through here.
        root.chmod(0o755)
        owner = os.getpid()
        run = cls(token=token, root=root, started=_now(), owner=owner,
                  owner_started=_started(owner) or 0, keep=keep)  # fmt: skip
        record = {**asdict(run), "root": str(root)}
        # Renamed into place, so that a sweep at the same time never reads half of it.
        (root / "run.json.new").write_text(json.dumps(record))
        (root / "run.json.new").rename(root / "run.json")
        return run

    def alias(self, target: Path, length: int) -> str:
        """Make another name for *target* of exactly *length* characters; it ends with the run."""
        for base in ALIASES:
            for _ in range(100):
                name = f".{secrets.token_hex(2)}"
                # More slashes than one are as good as one.
                path = base + "/" * (length - len(base) - len(name)) + name
                with suppress(OSError):
                    os.symlink(target, path)
                    return path
        message = f"no short name can be made in {' or '.join(ALIASES)}"
        raise PermissionError(message)

    def _remove_aliases(self) -> None:
        links = (entry for base in ALIASES for entry in os.scandir(base) if entry.is_symlink())
        for link in links:
            with suppress(OSError):
                if os.readlink(link).startswith(f"{self.root}/"):
                    os.unlink(link)

    @classmethod
    def load(cls, root: Path) -> Self:
        """Read the record of the run in *root*; OSError or ValueError when there is none."""
        facts = json.loads((root / "run.json").read_text())
        return cls(**{**facts, "root": root})

    @classmethod
    def recorded(cls, root: Path, token: str) -> Self:
        """The run called *token*, even when its directory is gone already."""
        if root.name != token:
            message = f"{root} is not the directory of run {token}"
            raise ValueError(message)
        with suppress(OSError, ValueError, TypeError):
            return cls.load(root)
        return cls(token=token, root=root, started=0, owner=0, owner_started=0, keep=False)

    @classmethod
    def of_token(cls, token: str) -> Self:
        """The run called *token* of this user; one without a record has no owner any more."""
        return cls.recorded(state_directory() / token, token)

    @property
    def orphaned(self) -> bool:
        """Whether the owner died without stopping a run that it did not mean to leave."""
        return not self.keep and _started(self.owner) != self.owner_started

    def carried_by(self, pid: int) -> bool:
        """Whether process *pid* belongs to this run, by proof and not by likeness.

        The proof is this run's whole token in its environment. sshd and slurmstepd write their
        title over theirs, so an executable inside this run's own directory is proof as well; of
        an agent, which lets nobody look at either, the name that it was called by.
        """
        started = _started(pid)
        if started is None or started < self.started:
            return False
        with suppress(OSError):
            entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            if f"{TOKEN_VARIABLE}={self.token}".encode() in entries:
                return True
        with suppress(OSError):
            return os.readlink(f"/proc/{pid}/exe").startswith(f"{self.root}/")
        with suppress(OSError):
            called = Path(f"/proc/{pid}/cmdline").read_bytes()
            return called.startswith(os.fsencode(f"{self.root}/sbin/"))
        return False

    def members(self) -> list[int]:
        """Pids of the processes that belong to this run, this process and its parents excepted."""
        spared = set(_lineage())
        return [pid for pid in _pids() if pid not in spared and self.carried_by(pid)]

    def end(self, first: Iterable[int] = ()) -> None:
        """End every process of this run, those in *first* first, and remove its directory."""
        daemons = list(first)
        self._stop(lambda: [pid for pid in daemons if self.carried_by(pid)])
        self._stop(self.members)
        self._remove_aliases()
        _remove(self.root)
        _reap(daemons)

    def _stop(self, living: Callable[[], list[int]]) -> None:
        """TERM, a bounded wait, KILL; processes that appear meanwhile get the same."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            told: set[int] = set()
            deadline = time.monotonic() + GRACE
            while (pids := living()) and time.monotonic() < deadline:
                for pid in set(pids) - told:
                    self._signal(pid, number)
                told.update(pids)
                _reap(pids)
                time.sleep(0.005)

    def _signal(self, pid: int, number: signal.Signals) -> None:
        """Signal *pid* if it belongs to this run; the pidfd holds it while that is checked."""
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            if self.carried_by(pid):
                signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)


def login_uid() -> int:
    """The uid that logins run as: ourselves, or, for root, one that no account here has."""
    if os.geteuid() != 0:
        return os.geteuid()
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    return next(uid for uid in range(31000, 60000) if uid not in taken)


def runs() -> Iterator[Run]:
    """Every run of this user that has a record."""
    for root in sorted(state_directory().iterdir()):
        # Another process may be making or removing it just now.
        with suppress(OSError, ValueError, TypeError):
            yield Run.load(root)


def sweep() -> list[str]:
    """End and remove the runs whose owner is dead; return their directories."""
    orphans = [run for run in runs() if run.orphaned]
    for run in orphans:
        run.end()
    return [str(run.root) for run in orphans]


def state_directory() -> Path:
    """Directory of all runs of this user.

    Not TMPDIR when /tmp will do: unix sockets allow 107 bytes, and a sweep has to find the
    runs of a session that had a TMPDIR of its own. The directory is checked to be ours.
    """
    base = Path("/tmp")  # noqa: S108 - see above
    if not os.access(base, os.W_OK | os.X_OK):
        base = Path(tempfile.gettempdir())
    path = base / f"intercede-testbed-{os.geteuid()}"
    with suppress(FileExistsError):
        path.mkdir(mode=0o755)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        message = f"{path} belongs to somebody else"
        raise PermissionError(message)
    path.chmod(0o755)
    return path


def _pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdecimal()]


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the third on (state, ppid, ...); None if there is no PID."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def _started(pid: int) -> int | None:
    """Start of process *pid* in clock ticks since boot; None if it is gone or a zombie."""
    fields = _stat(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[19])


def _now() -> int:
    """Clock ticks since boot, one less to be sure that what starts now is not older."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")) - 1


def _lineage() -> Iterator[int]:
    """This process, its parent, and so on."""
    pid = os.getpid()
    while pid:
        yield pid
        fields = _stat(pid)
        pid = int(fields[1]) if fields else 0


def _reap(pids: Iterable[int]) -> None:
    """Collect those of *pids* that are ended children of this process."""
    for pid in pids:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _remove(root: Path) -> None:
    """Remove a tree, even where a test has taken the write permission off a directory."""
    for _ in range(3):
        # Again if need be: a process that is just ending may still have added a file.
        for folder, names, _ in os.walk(root):
            # Parents come first, so that a directory is opened before it is looked into.
            for path in (Path(folder, name) for name in names):
                # Another process may be removing the same.
                with suppress(OSError):
                    if not path.is_symlink():
                        path.chmod(0o700)
        shutil.rmtree(root, ignore_errors=True)
        if not root.exists():
            return
