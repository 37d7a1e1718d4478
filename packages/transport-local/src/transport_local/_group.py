"""How a child ended, and whether anything of its process group still lives.

Looks only: signals and reaps nothing. Must not know commands or errors of the contract.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from dataclasses import dataclass

_DEAD = (b"Z", b"X", b"x")
_AT_ONCE = 64  # entries of /proc read between two turns of the event loop: about 1 ms


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended; neither is set if somebody else took the answer."""

    status: int | None = None
    signal: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether the system told us."""
        return self.status is not None or self.signal is not None


def signal_name(number: int) -> str:
    """Return a signal's name without ``SIG``; its number where Python has no name for it."""
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return str(number)


def ending(child: subprocess.Popen[bytes]) -> Ending | None:
    """Return how a child ended, None while it runs; it is left to be reaped.

    As long as it is not reaped its number, which is its group's too, is given to nobody else:
    signals to the group cannot hit a stranger.
    """
    if not hasattr(os, "waitid"):  # macOS before Python 3.13
        code = child.poll()
        return None if code is None else _from_returncode(code)
    try:
        info = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        # SIGCHLD is ignored, or somebody waits for every child: subprocess would say 0 here.
        return Ending()
    if info is None:
        return None
    if info.si_code == os.CLD_EXITED:
        return Ending(status=info.si_status)
    return Ending(signal=signal_name(info.si_status))


def _from_returncode(code: int) -> Ending:
    return Ending(status=code) if code >= 0 else Ending(signal=signal_name(-code))


class Groups:
    """Which process groups live. Many who ask at once share one look at /proc."""

    def __init__(self) -> None:
        """Look at nothing yet."""
        self._looking: asyncio.Future[frozenset[bytes]] | None = None

    async def is_alive(self, group: int) -> bool:
        """Return whether a process of the group lives; zombies do not.

        ``killpg(group, 0)`` cannot tell: it counts zombies, which stay for ever in a container
        whose first process reaps nothing.
        """
        if self._looking is not None:
            # It may have begun before there was a process of the group.
            await asyncio.wait({self._looking})
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(_live_groups())
        try:
            return str(group).encode() in await asyncio.shield(self._looking)
        except OSError:
            return _answers(group)


async def _live_groups() -> frozenset[bytes]:
    """Return the groups of all living processes, as /proc writes their numbers."""
    found = set()
    for index, pid in enumerate(name for name in os.listdir("/proc") if name.isdigit()):
        if index % _AT_ONCE == _AT_ONCE - 1:
            await asyncio.sleep(0)
        found.add(_live_group(pid))
    return frozenset(found)


def _live_group(pid: str) -> bytes:
    """Return the group of a process, empty if it does not live."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            text = file.read(1024)
    except OSError:
        return b""  # it ended meanwhile
    # pid (name) state parent group …; the name may itself hold parentheses and spaces.
    fields: list[bytes] = text.rpartition(b")")[2].split(None, 3)
    state, _, group, *_ = (*fields, b"", b"", b"")
    return b"" if state in _DEAD else group


def _answers(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
