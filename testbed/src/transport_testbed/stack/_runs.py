"""One run of a stack on this machine: its directory, its token, and the processes that carry it.

The only module that signals processes, those of a run alone. It must not know what they are.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import secrets
import signal
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from transport_testbed.stack import _proc
from transport_testbed.stack._provider import StackError
from transport_testbed.stack._trees import remove

TOKEN_VARIABLE = "INTERCEDE_TESTBED_TOKEN"  # noqa: S105 - a name, no secret

_TOKEN = re.compile(r"[0-9a-f]{32}")

#: Where short names are made, as the paths that are built into some program are.
ALIASES = ("/tmp", "/var/tmp")  # noqa: S108 - see above

#: Seconds that a process may take to end after TERM, before KILL.
GRACE = 0.5
#: Processes that are held at once: each takes a descriptor.
_AT_ONCE = 128
#: Seconds that the kernel may take to end what was killed; a loaded machine needs some.
PATIENCE = 5.0


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
    #: The boot and the namespace in which these numbers of processes and ticks mean anything.
    boot: str
    numbers: str

    @classmethod
    def create(cls, *, keep: bool) -> Self:
        """Make the directory of a new run and record who owns it."""
        token = secrets.token_hex(16)
        root = state_directory() / token
        root.mkdir()
        # The logins may run as another user, who must pass through here.
        root.chmod(0o755)
        owner = os.getpid()
        run = cls(token=token, root=root, started=_proc.now(), owner=owner,
                  owner_started=_proc.started(owner) or 0, keep=keep,
                  boot=_proc.boot(), numbers=_proc.numbers())  # fmt: skip
        # Renamed into place, so that a sweep at the same time never reads half of it.
        (root / "run.json.new").write_text(run.record())
        (root / "run.json.new").rename(root / "run.json")
        return run

    def record(self) -> str:
        """Write down all of it, in one line."""
        return json.dumps({**asdict(self), "root": str(self.root)})

    @classmethod
    def from_record(cls, text: str) -> Self:
        """Read what ``record`` wrote; ValueError or TypeError if it did not write that."""
        run = cls(**json.loads(text))
        numbers = (run.started, run.owner, run.owner_started, run.keep)
        words = (run.token, run.root, run.boot, run.numbers)
        if not (all(isinstance(each, int) for each in numbers)
                and all(isinstance(each, str) for each in words)):  # fmt: skip
            message = "a run's record has values of other types"
            raise TypeError(message)
        # What stands there is removed with the run.
        root = Path(run.root)
        if not _TOKEN.fullmatch(run.token) or root.name != run.token:
            message = f"{root} is not the directory of run {run.token}"
            raise ValueError(message)
        return replace(run, root=root)

    @classmethod
    def load(cls, root: Path) -> Self:
        """Read the record of the run in *root*; OSError, ValueError or TypeError without one."""
        run = cls.from_record((root / "run.json").read_text())
        return replace(run, root=root)

    @classmethod
    def recorded(cls, root: Path, token: str) -> Self:
        """The run called *token*, even when its record is gone: for who knows that he may end it.

        Nothing is swept by that: without a record, nobody knows whether it has an owner.
        """
        if root.name != token:
            message = f"{root} is not the directory of run {token}"
            raise ValueError(message)
        with suppress(OSError, ValueError, TypeError):
            return cls.load(root)
        return cls(token=token, root=root, started=0, owner=0, owner_started=0, keep=True,
                   boot=_proc.boot(), numbers=_proc.numbers())  # fmt: skip

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

    @property
    def orphaned(self) -> bool:
        """Whether the owner died without stopping a run that it did not mean to leave.

        By proof: an owner that cannot be looked up from here may live.
        """
        if self.keep or self.numbers != _proc.numbers():
            return False
        return self.boot != _proc.boot() or _proc.started(self.owner) != self.owner_started

    def carried_by(self, pid: int) -> bool:
        """Whether process *pid* belongs to this run, by proof and not by likeness.

        The proof is this run's whole token in its environment. sshd and slurmstepd write their
        title over theirs, so an executable inside this run's own directory is proof as well; of
        an agent, which lets nobody look at either, the name that it was called by.
        """
        started = _proc.started(pid)
        if self.boot != _proc.boot() or started is None or started < self.started:
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

    def holds(self, pid: int) -> bool:
        """Whether process *pid* or one that it descends from belongs to this run.

        In a container, a server that has written over its environment has nothing of its own to
        show; what started it has.
        """
        return any(self.carried_by(each) for each in _proc.lineage(pid))

    def members(self) -> list[int]:
        """Pids of the processes that belong to this run, this process and its parents excepted."""
        spared = set(_proc.lineage(os.getpid()))
        return [pid for pid in _proc.pids() if pid not in spared and self.carried_by(pid)]

    def end(self, first: Iterable[int] = ()) -> None:
        """End every process of this run, those in *first* first, and remove its directory.

        Raises:
            StackError: One does not end. The directory stays, by which the next sweep finds it.
        """
        daemons = list(first)
        self._stop(lambda: [pid for pid in daemons if self.carried_by(pid)])
        self._stop(self.members)
        _proc.reap(daemons)
        if left := self.members():
            hint = f"see {', '.join(f'/proc/{pid}/stack' for pid in left)}"
            raise StackError("stack", f"processes that were killed did not end: {left}", hint=hint)
        self._remove_aliases()
        remove(self.root)

    def _stop(self, living: Callable[[], list[int]]) -> None:
        """TERM, a bounded wait, KILL, another; processes that appear meanwhile get the same."""
        for number, seconds in ((signal.SIGTERM, GRACE), (signal.SIGKILL, PATIENCE)):
            told: set[int] = set()
            deadline = 0.0
            while pids := living():
                now = [pid for pid in pids if pid not in told][:_AT_ONCE]
                self.send(now, number)
                told.update(now)
                _proc.reap(pids)
                # From the first signal on: to look for whom to send it to may take long.
                deadline = deadline or time.monotonic() + seconds
                if time.monotonic() > deadline:
                    break
                time.sleep(0.005)

    def send(
        self,
        pids: Iterable[int],
        number: signal.Signals,
        proof: Callable[[int], bool] | None = None,
    ) -> None:
        """Signal those of *pids* that belong to this run; pidfds hold them while that is checked.

        *proof* is asked in place of ``carried_by``.
        """
        with ExitStack() as held:
            handles: dict[int, int] = {}
            for pid in pids:
                with suppress(ProcessLookupError):
                    handles[pid] = os.pidfd_open(pid)
                    held.callback(os.close, handles[pid])
            # All before one is signalled: what ends may be what another is known by.
            proven = [each for pid, each in handles.items() if (proof or self.carried_by)(pid)]
            for handle in proven:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, number)


def login_uid() -> int:
    """The uid that logins run as: ourselves, or, for root, one that no account here has."""
    if os.geteuid() != 0:
        return os.geteuid()
    return next(uid for uid in range(31000, 60000) if not _has_account(uid))


def _has_account(uid: int) -> bool:
    # Asked one by one: a directory service names its users to who asks, and lists none.
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def runs() -> Iterator[Run]:
    """Every run of this user that has a record."""
    for root in sorted(state_directory().iterdir()):
        # Another process may be making or removing it just now.
        with suppress(OSError, ValueError, TypeError):
            yield Run.load(root)


def sweep() -> list[str]:
    """End and remove the runs whose owner is dead; return their directories."""
    removed = []
    for run in [run for run in runs() if run.orphaned]:
        # What does not end is no reason to start nothing any more.
        with suppress(StackError, OSError):
            run.end()
            removed.append(str(run.root))
    return removed


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
