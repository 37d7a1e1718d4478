"""Broken in bytes, in and out (RUN-07, 08)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterable
from dataclasses import replace
from typing import Any

from transport_core import (
    CommandResult,
)
from transport_local import LocalTransport


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


class InheritsStdin(LocalTransport):
    """Without an input of its own, a command reads what was meant for its caller."""

    async def run(self, argv: Any, *, stdin: Any = None, **options: Any) -> Any:
        given = b"for the caller" if stdin is None else stdin
        return await super().run(argv, stdin=given, **options)


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
