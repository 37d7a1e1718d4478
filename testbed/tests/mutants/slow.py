"""Transports that are right, on a place that takes its time."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from transport_core import CommandTimeoutError, Delivery
from transport_local import LocalTransport

from .connections import HeldTransport

SECONDS = 1.7
"""More than a test of the suite first gives a command."""


class _Slow:
    """A script has to wait for a session, and may not get one in its time."""

    async def run(self, argv: Any, *, timeout: Any = None, **options: Any) -> Any:
        if argv[0] == "sh":
            given = SECONDS if timeout is None else timeout
            await asyncio.sleep(min(SECONDS, given))
            if given < SECONDS:
                raise CommandTimeoutError("no session in time", delivery=Delivery.NOT_SENT)
            timeout = timeout and timeout - SECONDS
        return await super().run(argv, timeout=timeout, **options)


class SlowTransport(_Slow, LocalTransport):
    """This machine, late."""


class SlowHeldTransport(_Slow, HeldTransport):
    """The simulated connection, late."""


class StarvedOnceTransport(HeldTransport):
    """Its server gets no processor for longer than the bound, once."""

    _seen = 0.0
    _starved = False

    async def connected(self) -> None:
        now = time.monotonic()
        if now - self._seen > self.target.facts.get("dead_after", 30.0) and self._seen:
            if not self._starved:
                self.lose()
            self._starved = True
        self._seen = now
        await super().connected()
