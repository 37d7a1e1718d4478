"""Standard input in all its forms (RUN-7), turned into chunks of bytes."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterable, AsyncIterator
from typing import BinaryIO, TypeAlias

from ._argv import encode_text, encode_word

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
"""None is empty; ``str`` is text (UTF-8), not a path; a path is a ``pathlib.Path``."""

CHUNK = 64 * 1024


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


async def stdin_chunks(stdin: Stdin) -> AsyncIterator[bytes]:
    """Yield the bytes of ``stdin``; files are read off the event loop.

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
        file = await asyncio.to_thread(open, os.fspath(stdin), "rb")
        try:
            async for chunk in _file_chunks(file):
                yield chunk
        finally:
            file.close()
    elif isinstance(stdin, AsyncIterable):
        async for chunk in stdin:
            yield _as_bytes(chunk)
    else:
        async for chunk in _file_chunks(stdin):
            yield chunk


async def _file_chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(file.read, CHUNK):
        yield _as_bytes(chunk)


def _as_bytes(chunk: object) -> bytes:
    if not isinstance(chunk, (bytes, bytearray, memoryview)):
        raise TypeError(f"stdin gave {type(chunk).__name__} where bytes are needed")
    return bytes(chunk)
