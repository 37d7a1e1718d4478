"""Broken where it gets long, much or little (RUN-01, 05, 06, 07, 08, 10)."""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from transport_core import (
    CommandNotFoundError,
    ConnectionLostError,
    Delivery,
    OutputLimitError,
)
from transport_core.authoring import encode_argv
from transport_local import LocalTransport

MIB = 1024 * 1024


class DropsWordsPastAMebibyte(LocalTransport):
    """Sends as much of an argv as fits into its buffer."""

    async def run(self, argv: Any, **options: Any) -> Any:
        words, room = [], MIB
        for word in encode_argv(argv):
            room -= len(word)
            words += [word] if room > 0 else []
        return await super().run(words, **options)


class RunsThroughEnv(LocalTransport):
    """Has env(1) set the variables, which takes a program named ``a=b`` for one more."""

    async def run(self, argv: Any, *, env: Any = None, **options: Any) -> Any:
        words = [b"env", *encode_argv(argv)] if env else argv
        return await super().run(words, env=env, **options)


class LongWordsEndTheConnection(LocalTransport):
    """Sends what the other side takes for an attack."""

    async def run(self, argv: Any, **options: Any) -> Any:
        if max(map(len, encode_argv(argv))) > 262_144:
            raise ConnectionLostError("closed by the other side", delivery=Delivery.UNKNOWN)
        return await super().run(argv, **options)


class SomeSignalsAreCodes(LocalTransport):
    """Knows the name of some signals only."""

    async def run(self, argv: Any, **options: Any) -> Any:
        result = await super().run(argv, **options)
        if result.exit_signal == "SEGV":
            return replace(result, exit_status=139, exit_signal=None)
        return result


class LosesTheHundredthMegabyte(LocalTransport):
    """Its window closes for ever at 64 MiB."""

    async def run(self, argv: Any, **options: Any) -> Any:
        result = await super().run(argv, **options)
        return replace(result, stderr=result.stderr[: 64 * MIB])


class LimitsAfterTheFact(LocalTransport):
    """Looks at the size of the output when it has far more than that."""

    async def run(self, argv: Any, *, output_limit: Any = 64 * MIB, **options: Any) -> Any:
        later = None if output_limit is None else 3 * output_limit
        try:
            return await super().run(argv, output_limit=later, **options)
        except OutputLimitError as error:
            assert error.result is not None
            error.result = replace(error.result, stdout=error.result.stdout[:output_limit])
            raise


class NothingIsNoLimit(LocalTransport):
    """Takes a limit of 0 for none."""

    async def run(self, argv: Any, *, output_limit: Any = 64 * MIB, **options: Any) -> Any:
        return await super().run(argv, output_limit=output_limit or None, **options)


class CountsTheShellsWords(LocalTransport):
    """What a shell says of a missing program is its output, and too much."""

    async def run(self, argv: Any, *, output_limit: Any = 64 * MIB, **options: Any) -> Any:
        try:
            return await super().run(argv, output_limit=output_limit, **options)
        except CommandNotFoundError as error:
            if output_limit is not None and output_limit < 40:
                raise OutputLimitError("too much") from error
            raise


class GivesUpUnreadInput(LocalTransport):
    """Sends no more of its input once nobody has read for a moment."""

    async def run(self, argv: Any, *, stdin: Any = None, **options: Any) -> Any:
        if isinstance(stdin, bytes) and len(stdin) > MIB:
            stdin = _hasty(stdin)
        return await super().run(argv, stdin=stdin, **options)


async def _hasty(data: bytes) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    for start in range(0, len(data), 65536):
        asked = loop.time()
        yield data[start : start + 65536]
        if loop.time() - asked > 0.3:
            return


class ReadsPipesInAThread(LocalTransport):
    """Lets a thread wait for a pipe, and leaves it there."""

    async def run(self, argv: Any, *, stdin: Any = None, **options: Any) -> Any:
        if isinstance(stdin, io.BufferedReader):
            stdin = _threaded(stdin)
        return await super().run(argv, stdin=stdin, **options)


async def _threaded(file: io.BufferedReader) -> AsyncIterator[bytes]:
    loop, come = asyncio.get_running_loop(), asyncio.Queue[bytes]()

    def read() -> None:
        with contextlib.suppress(RuntimeError, ValueError):  # the loop is closed, or the file
            while chunk := file.read1(65536):
                loop.call_soon_threadsafe(come.put_nowait, chunk)
            loop.call_soon_threadsafe(come.put_nowait, b"")

    # Not of the executor's: what waits there for a thread is withdrawn with the call.
    threading.Thread(target=read, daemon=True).start()
    while chunk := await come.get():
        yield chunk


class ReadsFilesWhole(LocalTransport):
    """Waits for the end of a pipe before it sends what came."""

    async def run(self, argv: Any, *, stdin: Any = None, **options: Any) -> Any:
        if isinstance(stdin, io.BufferedReader):
            stdin = _whole(stdin)
        return await super().run(argv, stdin=stdin, **options)


async def _whole(file: io.BufferedReader) -> AsyncIterator[bytes]:
    chunks: list[bytes] = []
    loop = asyncio.get_running_loop()
    end = loop.create_future()
    fd = file.fileno()
    loop.add_reader(fd, lambda: chunks.append(file.read1(65536)))
    try:
        await end  # of a pipe that stays open it never comes
    finally:
        loop.remove_reader(fd)
    yield b"".join(chunks)
