"""Ends what ran on while the connection was lost, at the next login (LIFE-05, FILE-02).

A session whose end nobody saw leaves its command running, and a transfer its temporary file: only
another login can end it. A command is ended only if it is provably the same process; the name of a
temporary file is given once. Knows nothing of dialling.
"""

from __future__ import annotations

import asyncio
import contextlib

from transport_core import TransportError
from transport_core.authoring import finish

from . import _leader, _process, _wire
from ._command import Command, Request
from ._link import Link

# More are forgotten, the oldest first: each costs a session after a loss.
_MOST = 256
# What one may take above the grace: a turn, a session, and an end that is seen.
_SECONDS = 15.0


class Orphans:
    """What lost connections left, until it is ended."""

    def __init__(self, link: Link, grace: float) -> None:
        """Watch a link; ``grace`` is the seconds between TERM and KILL."""
        self._link = link
        self._grace = grace
        self._left: list[_wire.Plan] = []
        self._ending: asyncio.Task[None] | None = None
        self._is_due = False
        link.on_connected = self._start

    def add(self, leader: _leader.Leader) -> None:
        """Note a command whose connection broke; it is ended when there is another one."""
        self._add(_wire.Plan(_leader.reap_script(leader, self._grace), b"", b""))

    def add_file(self, path: bytes) -> asyncio.Task[None] | None:
        """Note a temporary file that is left; removed likewise, or now by what is returned."""
        return self._add(_wire.plan([b"rm", b"-f", b"--", path]))

    def _add(self, plan: _wire.Plan) -> asyncio.Task[None] | None:
        self._left = [*self._left[1 - _MOST :], plan]
        if self._link.is_open:
            self._start()
            return self._ending
        return None

    def _start(self) -> None:
        self._is_due = True
        if self._left and (self._ending is None or self._ending.done()):
            self._ending = asyncio.create_task(self._end(), name="end orphans")

    async def _end(self) -> None:
        """Try once for each login, one that comes while an earlier try fails included."""
        while self._is_due and self._left:
            self._is_due = False
            await self._end_all()

    async def _end_all(self) -> None:
        while self._left:
            plan = self._left[0]
            reaper = Command(Request(argv=(b"reap",), plan=plan, grace=self._grace))
            try:
                async with asyncio.timeout(self._grace + _SECONDS):
                    await _process.run(self._link, reaper, log_in=False)
            except (TransportError, TimeoutError):
                return  # lost again, or a file system that hangs: the next login tries again
            if not reaper.complete:
                return
            if plan in self._left:  # else it was pushed out meanwhile
                self._left.remove(plan)

    async def close(self) -> None:
        """Give up."""
        if self._ending is not None and not self._ending.done():
            self._ending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await finish(self._ending)
