"""A transport that streams through itself: what the mutants of streams are made from."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from transport_local import LocalTransport

from .connections import HeldTransport


class _Process:
    """What a transport gives: it does the reading, writing and waiting itself."""

    def __init__(self, transport: Any, inner: Any) -> None:
        self._transport = transport
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @property
    def stdout(self) -> AsyncIterator[bytes]:
        chunks: AsyncIterator[bytes] = self._transport.read(self._inner, self._inner.stdout)
        return chunks

    @property
    def stderr(self) -> AsyncIterator[bytes]:
        chunks: AsyncIterator[bytes] = self._transport.read(self._inner, self._inner.stderr)
        return chunks

    async def write(self, data: Any) -> Any:
        return await self._transport.write(self._inner, data)

    async def close_stdin(self) -> None:
        await self._transport.close_stdin(self._inner)

    async def wait(self) -> Any:
        return await self._transport.wait(self._inner)

    async def kill(self) -> None:
        await self._transport.kill(self._inner)


class Does:
    """Passes on what is done with a process; nothing is broken here."""

    def begin(self, process: Any) -> None:
        """Change a process before anybody uses it."""

    async def read(self, process: Any, stream: Any) -> Any:
        async for chunk in stream:
            yield chunk

    async def write(self, process: Any, data: Any) -> Any:
        return await process.write(data)

    async def close_stdin(self, process: Any) -> None:
        await process.close_stdin()

    async def wait(self, process: Any) -> Any:
        return await process.wait()

    async def kill(self, process: Any) -> None:
        await process.kill()


class Streams(Does, LocalTransport):
    """Streams through itself."""

    @contextlib.asynccontextmanager
    async def stream(self, argv: Any, **options: Any) -> Any:
        async with super().stream(argv, **options) as process:
            self.begin(process)
            yield _Process(self, process)


class HeldStreams(Does, HeldTransport):
    """The same, with a connection."""

    @contextlib.asynccontextmanager
    async def stream(self, argv: Any, **options: Any) -> Any:
        async with super().stream(argv, **options) as process:
            yield _Process(self, process)
