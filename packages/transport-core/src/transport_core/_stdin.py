"""Standard input in all its forms (RUN-7), turned into chunks of bytes."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
from collections.abc import AsyncGenerator, AsyncIterable, Generator
from typing import BinaryIO, TypeAlias

from ._argv import encode_text, encode_word
from ._source import open_source
from ._threads import off_loop, own_thread

Stdin: TypeAlias = (
    bytes
    | bytearray
    | memoryview
    | str
    | os.PathLike[str]
    | os.PathLike[bytes]
    | BinaryIO
    | AsyncIterable[bytes]
    | None
)
"""What a command reads: None (empty), bytes, ``str`` (text in UTF-8, not a path), a local path as
``pathlib.Path``, an open binary file, or an asynchronous iterator of bytes."""

CHUNK = 64 * 1024
_BUFFERED = (io.BufferedReader, io.BufferedRandom)


def check_stdin(stdin: Stdin) -> None:
    """Check the kind of ``stdin`` before anything is sent.

    Raises:
        TypeError: It is none of the allowed kinds, or a file opened as text.
        ValueError: It is a closed file, or text or a path that no bytes stand for.
    """
    if isinstance(stdin, os.PathLike):
        encode_word(stdin, "stdin")
        return
    if isinstance(stdin, str):
        encode_text(stdin, "stdin")
        return
    if stdin is None or isinstance(stdin, (bytes, bytearray, memoryview)):
        return
    if isinstance(stdin, io.TextIOBase):
        raise TypeError("stdin is a file opened as text; open it with mode 'rb'")
    if hasattr(stdin, "read"):
        if getattr(stdin, "closed", False):
            raise ValueError("stdin is a closed file")
        return
    if not isinstance(stdin, AsyncIterable):
        raise TypeError(
            "stdin must be None, bytes, str, a path, an open binary file or an async iterator "
            f"of bytes, not {type(stdin).__name__}"
        )


async def stdin_chunks(stdin: Stdin) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of ``stdin``; files are read off the event loop. Close it after use.

    An unread pipe, terminal or socket is awaited on the event loop, so that nothing of it outlives
    a cancellation. A file object of another class (a wrapper) is read in a thread, which ends with
    its ``read``.

    Raises:
        OSError: A path cannot be opened or read.
        TypeError: An iterator or file gives something that is not bytes.
    """
    if stdin is None:
        return
    if isinstance(stdin, str):
        stdin = encode_text(stdin, "stdin")
    if isinstance(stdin, (bytes, bytearray, memoryview)):
        view = memoryview(stdin).cast("B")
        for start in range(0, len(view), CHUNK):
            yield bytes(view[start : start + CHUNK])
    elif isinstance(stdin, os.PathLike):
        with await _opened(stdin) as file:
            async with contextlib.aclosing(_file_chunks(file)) as chunks:
                async for chunk in chunks:
                    yield chunk
    elif isinstance(stdin, AsyncIterable):
        async for chunk in stdin:
            yield _as_bytes(chunk)
    else:
        async with contextlib.aclosing(_file_chunks(stdin)) as chunks:
            async for chunk in chunks:
                yield chunk


async def _opened(path: os.PathLike[str] | os.PathLike[bytes]) -> BinaryIO:
    """Open a file in a thread; one that a cancelled call does not take is closed."""
    files: list[BinaryIO] = []
    try:
        await off_loop(lambda: files.append(open_source(path)))
    except asyncio.CancelledError:
        for file in files:
            file.close()
        raise
    return files[0]


async def _file_chunks(file: BinaryIO) -> AsyncGenerator[bytes, None]:
    with _watched(file) as fd, own_thread() as in_thread:
        # Of a pipe what is there: read() would wait until there is more.
        read = file.read1 if fd is not None and isinstance(file, _BUFFERED) else file.read
        while True:
            if fd is not None:
                await _readable(fd)
            chunk = await in_thread(read, CHUNK)
            if not chunk:
                return
            yield _as_bytes(chunk)


@contextlib.contextmanager
def _watched(file: BinaryIO) -> Generator[int | None, None, None]:
    """Give a descriptor that the event loop can watch; None for a file that keeps nobody waiting.

    A thread that reads a pipe, terminal or socket waits for as long as nobody writes, and cannot
    be ended: it would outlive its call, and keep the interpreter from ending.
    """
    # Of other kinds nothing is known: what their fileno() says may not be what they read.
    if not isinstance(file, (io.FileIO, *_BUFFERED)):
        yield None
        return
    # One of our own: the caller's may be watched by the loop already.
    fd, loop = os.dup(file.fileno()), asyncio.get_running_loop()
    try:
        loop.add_reader(fd, lambda: None)
        loop.remove_reader(fd)
    except (OSError, NotImplementedError):  # a regular file, /dev/null; a loop that watches none
        os.close(fd)
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


async def _readable(fd: int) -> None:
    """Wait until a read will not: for bytes, or for the end."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)


def _as_bytes(chunk: object) -> bytes:
    if not isinstance(chunk, (bytes, bytearray, memoryview)):
        raise TypeError(f"stdin gave {type(chunk).__name__} where bytes are needed")
    return bytes(chunk)
