"""This machine's process table: who is there, since when, below whom.

Ends nothing, and must not know what a run is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path


def pids() -> list[int]:
    """Every process that can be seen."""
    return [int(entry) for entry in os.listdir("/proc") if entry.isdecimal()]


def started(pid: int) -> int | None:
    """Start of process *pid* in clock ticks since boot; None if it is gone or a zombie."""
    fields = _stat(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[19])


def lineage(pid: int) -> Iterator[int]:
    """A process, its parent, and so on."""
    while pid:
        yield pid
        fields = _stat(pid)
        pid = int(fields[1]) if fields else 0


def now() -> int:
    """Clock ticks since boot, one less to be sure that what starts now is not older."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")) - 1


def boot() -> str:
    """Name of this boot: starts of processes are told from its beginning."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def numbers() -> str:
    """Name of who numbers processes as this one sees them: a machine, and a namespace on it.

    The same after a new boot, if the machine has a name: what was left before is ours to remove.
    """
    return f"{_machine()}:{os.readlink('/proc/self/ns/pid')}"


def _machine() -> str:
    with suppress(OSError):
        if name := Path("/etc/machine-id").read_text().strip():
            return name
    return boot()


def reap(pids: Iterable[int]) -> None:
    """Collect those of *pids* that are ended children of this process."""
    for pid in pids:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the third on (state, ppid, ...); None if there is no PID."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
