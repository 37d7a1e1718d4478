"""Many SFTP requests under way at once on one file, and none left when it ends or is cancelled.

asyncssh's own parallel reader leaves tasks behind whose errors nobody fetches when it is
cancelled; so each request here is a single one of asyncssh's, and the order is ours.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from typing import Any, cast

import asyncssh
from transport_core import SizeMismatchError

_NO_ATTRS = asyncssh.SFTPAttrs()
# Enough to keep a connection busy over 40 ms of round trip, at 2 MiB of memory.
_AHEAD = 16
_LARGEST = 128 * 1024
_SINGLE_REQUESTS = 0  # what ``open`` takes as block_size so that one read is one request
_CLOSE_SECONDS = 0.5
_leaving: set[asyncio.Task[None]] = set()  # the loop keeps no reference to its tasks


@contextlib.asynccontextmanager
async def opened(
    client: asyncssh.SFTPClient,
    path: bytes,
    flags: int,
    attrs: asyncssh.SFTPAttrs = _NO_ATTRS,
) -> AsyncGenerator[asyncssh.SFTPClientFile, None]:
    """Open a file, and close it; after a failure a silent server is not waited for."""
    opening = asyncio.ensure_future(
        client.open(path, flags, attrs, encoding=None, block_size=_SINGLE_REQUESTS)
    )
    try:
        file = await asyncio.shield(opening)
    except asyncio.CancelledError:
        # The server opens it all the same, and the session lives on for other transfers.
        leaving = asyncio.create_task(_leave(opening), name="leave a file")
        _leaving.add(leaving)
        leaving.add_done_callback(_leaving.discard)
        raise
    try:
        yield file
    except BaseException:
        await _close(file)
        raise
    await file.close()


async def _close(file: asyncssh.SFTPClientFile) -> None:
    with contextlib.suppress(asyncssh.Error, OSError, ValueError):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await file.close()


async def _leave(opening: asyncio.Future[asyncssh.SFTPClientFile]) -> None:
    """Close a file that nobody waits for; the answer comes, or the end of the session."""
    with contextlib.suppress(asyncssh.Error, OSError, ValueError):
        await _close(await opening)


def block_size(client: asyncssh.SFTPClient) -> int:
    """Return the bytes that one request moves: what the server allows, but no more than helps."""
    return min(_LARGEST, client.limits.max_read_len, client.limits.max_write_len)


async def read_blocks(
    file: asyncssh.SFTPClientFile, block: int, size: int
) -> AsyncGenerator[bytes, None]:
    """Give the first ``size`` bytes in order; fewer if the file ends before.

    Raises:
        SizeMismatchError: A read gave more than was asked for.
    """
    ahead: deque[asyncio.Task[memoryview]] = deque()
    asked = due = given = 0
    try:
        while asked < size or ahead:
            while asked < size and len(ahead) < _AHEAD:
                count = min(block, size - asked)
                ahead.append(asyncio.create_task(_read_exactly(file, asked, count)))
                asked += count
            data = cast(bytes, (await ahead.popleft()).obj)
            due, given = min(due + block, size), given + len(data)
            yield data
            if given < due:
                return  # the file ended, however large it was said to be
    finally:
        await _give_up(ahead)


async def _read_exactly(file: asyncssh.SFTPClientFile, offset: int, count: int) -> memoryview:
    """Read again after a short read, which is allowed before the end of the file.

    A view, since whoever waits for a task shows its result in its own repr (ERR-05).
    """
    parts: list[bytes] = []
    while count and (data := cast(bytes, await file.read(count, offset))):
        parts.append(data)
        if len(data) > count:
            raise SizeMismatchError("the server sent more than it was asked for")
        offset += len(data)
        count -= len(data)
    return memoryview(b"".join(parts))


async def write_blocks(
    file: asyncssh.SFTPClientFile,
    block: int,
    chunks: AsyncIterator[bytes],
    written: Callable[[int], None],
) -> None:
    """Write the chunks one behind the other; ``written`` is told of each block that arrived."""
    ahead: deque[asyncio.Task[int]] = deque()
    offset = 0
    try:
        async for chunk in chunks:
            for start in range(0, len(chunk), block):
                if len(ahead) >= _AHEAD:
                    written(await ahead.popleft())
                data = chunk[start : start + block]
                ahead.append(asyncio.create_task(file.write(data, offset)))
                offset += len(data)
        while ahead:
            written(await ahead.popleft())
    finally:
        await _give_up(ahead)


async def _give_up(tasks: Iterable[asyncio.Task[Any]]) -> None:
    left = list(tasks)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
