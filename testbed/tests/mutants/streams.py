"""Broken in bytes, in stopping, or in crowds (RUN-07, 08, 10, 11, 12, 13)."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterable
from dataclasses import replace
from typing import Any

from transport_core import (
    CommandResult,
    CommandTimeoutError,
    OutputLimitError,
    TransportError,
)
from transport_local import LocalTransport

from . import _naive


class _Results(LocalTransport):
    """Changes what comes back."""

    def change(self, result: CommandResult) -> CommandResult:
        raise NotImplementedError

    async def run(self, argv: Any, **options: Any) -> Any:
        return self.change(await super().run(argv, **options))


class MergesStreams(_Results):
    """Both streams in one, as a terminal shows them."""

    def change(self, result: CommandResult) -> CommandResult:
        return replace(result, stdout=result.stdout + result.stderr, stderr=b"")


class StripsOutput(_Results):
    """Removes white space at the end."""

    def change(self, result: CommandResult) -> CommandResult:
        return replace(result, stdout=result.stdout.rstrip())


class LosesTheLastByte(_Results):
    """Loses the end of a full buffer."""

    def change(self, result: CommandResult) -> CommandResult:
        full = len(result.stdout) > 65536
        return replace(result, stdout=result.stdout[:-1] if full else result.stdout)


class TranslatesNewlines(_Results):
    """Takes output for text."""

    def change(self, result: CommandResult) -> CommandResult:
        return replace(result, stdout=result.stdout.replace(b"\r\n", b"\n"))


class DecodesOutput(_Results):
    """Takes output for UTF-8."""

    def change(self, result: CommandResult) -> CommandResult:
        return replace(result, stdout=result.stdout.decode("utf-8", "replace").encode())


class SwapsBlocks(_Results):
    """Blocks arrive in another order."""

    def change(self, result: CommandResult) -> CommandResult:
        out, block = result.stdout, 1024 * 1024
        if len(out) > 2 * block:
            out = out[block : 2 * block] + out[:block] + out[2 * block :]
        return replace(result, stdout=out)


class LosesStdinByte(LocalTransport):
    """Loses the last byte of its input."""

    async def run(self, argv: Any, *, stdin: Any = None, **options: Any) -> Any:
        if isinstance(stdin, bytes) and len(stdin) > 65536:
            stdin = stdin[:-1]
        return await super().run(argv, stdin=stdin, **options)


class TextIsAPath(LocalTransport):
    """Takes text for the name of a file."""

    async def run(self, argv: Any, *, stdin: Any = None, **options: Any) -> Any:
        if isinstance(stdin, str) and not os.path.exists(stdin):
            stdin = None
        return await super().run(argv, stdin=stdin, **options)


class NeedsItsInputRead(LocalTransport):
    """Input that is left over is a failure."""

    async def run(self, argv: Any, *, stdin: Any = None, **options: Any) -> Any:
        result = await super().run(argv, stdin=stdin, **options)
        if isinstance(stdin, bytes) and len(stdin) > 2**22:
            return replace(result, exit_status=141)
        return result


class DrainsIterators(LocalTransport):
    """Takes an iterator whole before it starts."""

    async def run(self, argv: Any, *, stdin: Any = None, **options: Any) -> Any:
        if isinstance(stdin, AsyncIterable):
            stdin = b"".join([bytes(chunk) async for chunk in stdin])
        return await super().run(argv, stdin=stdin, **options)


class SwallowsInputErrors(LocalTransport):
    """An iterator that fails looks like one that ended."""

    async def run(self, argv: Any, *, stdin: Any = None, **options: Any) -> Any:
        if isinstance(stdin, AsyncIterable):
            stdin = _silenced(stdin)
            argv = ["cat"] if b"sleep 1000" in b"".join(map(os.fsencode, argv)) else argv
        return await super().run(argv, stdin=stdin, **options)


async def _silenced(chunks: AsyncIterable[bytes]) -> Any:
    with contextlib.suppress(LookupError):
        async for chunk in chunks:
            yield chunk


class AcceptsTextFiles(LocalTransport):
    """Encodes a file that was opened as text."""

    async def run(self, argv: Any, *, stdin: Any = None, **options: Any) -> Any:
        if hasattr(stdin, "encoding"):
            stdin = stdin.read().encode()
        return await super().run(argv, stdin=stdin, **options)


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
    _running = 0

    async def run(self, argv: Any, **options: Any) -> Any:
        self._running += 1
        try:
            result = await super().run(argv, **options)
        finally:
            self._running -= 1
        mixed, self._last = self._last, result
        return mixed if mixed is not None and self._running > 5 else result


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
