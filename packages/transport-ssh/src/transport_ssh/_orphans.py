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
# What one may take above the grace, once it is its turn: a session, and an end that is seen.
_SECONDS = 15.0


class Orphans:
    """What lost connections left, until it is ended."""

    def __init__(self, link: Link, grace: float) -> None:
        """Watch a link; ``grace`` is the seconds between TERM and KILL."""
        self._link = link
        self._grace = grace
        self._left: dict[_wire.Plan, bool] = {}
        """What is left, the oldest first, and whether this login has tried to end it."""
        self._ending: asyncio.Task[None] | None = None
        link.on_connected = self._connected

    def add(self, leader: _leader.Leader) -> None:
        """Note a command whose connection broke; it is ended when there is another one."""
        self._add(_wire.own(_leader.reap_script(leader, self._grace)))

    def add_file(self, path: bytes) -> asyncio.Task[None] | None:
        """Note a temporary file that is left; removed likewise, or now by what is returned."""
        return self._add(_wire.plan([b"rm", b"-f", b"--", path]))

    def _add(self, plan: _wire.Plan) -> asyncio.Task[None] | None:
        self._left[plan] = False
        if len(self._left) > _MOST:
            del self._left[next(iter(self._left))]
        if self._link.is_open:
            self._start()
            return self._ending
        return None

    def _connected(self) -> None:
        self._left = dict.fromkeys(self._left, False)
        self._start()

    def _start(self) -> None:
        if self._left and (self._ending is None or self._ending.done()):
            self._ending = asyncio.create_task(self._end(), name="end orphans")

    async def _end(self) -> None:
        """Try each once for each login, one that comes while an earlier try fails included."""
        while self._link.is_open and (plan := self._untried()):
            self._left[plan] = True
            if await self._is_ended(plan):
                self._left.pop(plan, None)  # it may have been pushed out meanwhile

    def _untried(self) -> _wire.Plan | None:
        return next((plan for plan, tried in self._left.items() if not tried), None)

    async def _is_ended(self, plan: _wire.Plan) -> bool:
        """Run one script, and return whether it ran to its end: a file system may hang."""
        reaper = Command(Request(argv=(b"reap",), plan=plan, grace=self._grace))
        try:
            await _process.run_if_connected(self._link, reaper, self._grace + _SECONDS)
        except (TransportError, TimeoutError):
            return False
        return reaper.complete and reaper.begin.value is not None

    async def close(self) -> None:
        """Give up."""
        if self._ending is not None and not self._ending.done():
            self._ending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await finish(self._ending)
