"""Broken in limits, in stopping, or in crowds (RUN-10 to 13)."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import Any

from transport_core import (
    CommandTimeoutError,
    OutputLimitError,
    TransportError,
)
from transport_local import LocalTransport

from . import _naive


class TruncatesSilently(LocalTransport):
    """Output past the limit is cut, and nobody is told."""

    async def run(self, argv: Any, **options: Any) -> Any:
        try:
            return await super().run(argv, **options)
        except OutputLimitError as error:
            return error.result


class ForgetsWhatWasKept(LocalTransport):
    """The error of the limit carries nothing."""

    async def run(self, argv: Any, **options: Any) -> Any:
        try:
            return await super().run(argv, **options)
        except OutputLimitError as error:
            error.result = None
            raise


class LimitIsOffByOne(LocalTransport):
    """Output of exactly the limit is too much."""

    async def run(self, argv: Any, *, output_limit: int | None = 2**26, **options: Any) -> Any:
        limit = output_limit - 1 if output_limit and output_limit < 100 else output_limit
        try:
            return await super().run(argv, output_limit=limit, **options)
        except OutputLimitError as error:
            raise AssertionError("within the limit") from error


class EndsTheLeaderOnly(LocalTransport):
    """At timeout and cancel, children live on."""

    async def run(self, argv: Any, *, timeout: float | None = None, **options: Any) -> Any:
        if options.get("stdin") is None and options.get("cwd") is None:
            return await _naive.leader_only(argv, options.get("env"), timeout)
        return await super().run(argv, timeout=timeout, **options)


class ForgetsPartialOutput(LocalTransport):
    """A timeout carries no output."""

    async def run(self, argv: Any, **options: Any) -> Any:
        try:
            return await super().run(argv, **options)
        except CommandTimeoutError as error:
            if error.result is not None:
                error.result = replace(error.result, stdout=b"", stderr=b"")
            raise


class TimeoutIsAResult(LocalTransport):
    """What was stopped looks like what ended."""

    async def run(self, argv: Any, **options: Any) -> Any:
        try:
            return await super().run(argv, **options)
        except CommandTimeoutError as error:
            return error.result


class CancelLeavesTheCommand(LocalTransport):
    """A cancelled call leaves its command running."""

    async def run(self, argv: Any, **options: Any) -> Any:
        if b"sleep 1000" not in b"".join(map(os.fsencode, argv)):
            return await super().run(argv, **options)
        _naive.start(argv, options.get("env"))
        return await super().run(["sleep", "900"], **options)


class SwallowsCancel(LocalTransport):
    """Turns a cancellation into an error of its own."""

    async def run(self, argv: Any, **options: Any) -> Any:
        try:
            return await super().run(argv, **options)
        except asyncio.CancelledError as error:
            raise TransportError("cancelled") from error


class KillsAtOnce(LocalTransport):
    """Gives no time to tidy up."""

    async def run(self, argv: Any, *, timeout: float | None = None, **options: Any) -> Any:
        try:
            return await super().run(argv, timeout=timeout, **options)
        except CommandTimeoutError:
            # What the program did when it was asked politely is undone, as if it had no time.
            tidied = [word for word in argv if os.fsencode(word).endswith(b"/tidied")]
            for path in tidied:
                with open(path, "wb"):
                    pass
            raise


class ReservesItsGrace(LocalTransport):
    """Takes what it needs to end a command out of the caller's time."""

    async def run(self, argv: Any, *, timeout: float | None = None, **options: Any) -> Any:
        less = None if timeout is None else max(timeout - 2.0, 0.0)
        return await super().run(argv, timeout=less, **options)


class ReturnsAtExit(LocalTransport):
    """Does not wait for the end of the streams."""

    async def run(self, argv: Any, **options: Any) -> Any:
        if options.get("stdin") is not None or options.get("cwd") is not None:
            return await super().run(argv, **options)
        return await _naive.leader_only(argv, options.get("env"), None)


class RefusesCrowds(LocalTransport):
    """Takes ten calls at once, and refuses the eleventh."""

    _running = 0

    async def run(self, argv: Any, **options: Any) -> Any:
        if self._running >= 10:
            raise TransportError("too many sessions")
        self._running += 1
        try:
            return await super().run(argv, **options)
        finally:
            self._running -= 1


class MixesUpResults(LocalTransport):
    """Gives one call the result of another."""

    _last: Any = None
    _begun = 0  # how many run at once is up to the machine

    async def run(self, argv: Any, **options: Any) -> Any:
        self._begun += 1
        result = await super().run(argv, **options)
        mixed, self._last = self._last, result
        return mixed if mixed is not None and self._begun > 5 else result


class ServesTheLastFirst(LocalTransport):
    """Two at a time, the newest first: who waits is overtaken."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._free = 2
        self._waiting: list[asyncio.Future[None]] = []

    async def run(self, argv: Any, **options: Any) -> Any:
        if self._free == 0:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        else:
            self._free -= 1
        try:
            return await super().run(argv, **options)
        finally:
            if self._waiting:
                self._waiting.pop().set_result(None)
            else:
                self._free += 1


class TransfersComeFirst(LocalTransport):
    """A command waits until no transfer is under way."""

    _moving = 0

    async def put(self, *args: Any, **options: Any) -> Any:
        self._moving += 1
        try:
            return await super().put(*args, **options)
        finally:
            self._moving -= 1

    async def run(self, argv: Any, **options: Any) -> Any:
        while self._moving:
            await asyncio.sleep(0.001)
        return await super().run(argv, **options)
