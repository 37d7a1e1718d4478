"""Standard input in all its forms."""

import asyncio
import contextlib
import io
import os
import threading
import time
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from transport_core.authoring import check_stdin, stdin_chunks


async def pieces(*chunks: Any) -> AsyncIterator[Any]:
    for chunk in chunks:
        yield chunk


async def joined(stdin: Any) -> bytes:
    check_stdin(stdin)
    return b"".join([chunk async for chunk in stdin_chunks(stdin)])


class Slow(os.PathLike[str]):
    """A path on a disk that takes its time to open it."""

    def __init__(self, path: Path, asked: threading.Event) -> None:
        self._path, self._asked = path, asked

    def __fspath__(self) -> str:
        self._asked.set()
        time.sleep(0.2)
        return str(self._path)


@pytest.mark.asyncio
async def test_every_form_gives_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 200_000)
    forms: list[tuple[Any, bytes]] = [
        (None, b""),
        (b"", b""),
        (b"a\0\xff", b"a\0\xff"),
        (bytearray(b"a"), b"a"),
        (memoryview(b"abcd")[::1], b"abcd"),
        ("é\udcff", "é".encode() + b"\xff"),
        (path, b"x" * 200_000),
        (io.BytesIO(b"y" * 200_000), b"y" * 200_000),
        (pieces(b"a", bytearray(b"b"), memoryview(b"c"), b""), b"abc"),
        (b"z" * 200_000, b"z" * 200_000),
    ]
    for stdin, expected in forms:
        assert await joined(stdin) == expected


@pytest.mark.asyncio
async def test_chunks_are_small_enough_to_control_the_flow() -> None:
    sizes = [len(chunk) async for chunk in stdin_chunks(b"x" * 200_000)]
    assert max(sizes) == 64 * 1024


@pytest.mark.parametrize("stdin", [1, ["a"], object(), iter([b"a"]), io.StringIO("text")])
def test_other_kinds_are_refused(stdin: Any) -> None:
    with pytest.raises(TypeError, match="stdin"):
        check_stdin(stdin)


def test_a_closed_file_is_refused() -> None:
    file = io.BytesIO()
    file.close()
    with pytest.raises(ValueError, match="closed"):
        check_stdin(file)


@pytest.mark.asyncio
async def test_a_source_may_give_bytes_only(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="str where bytes"):
        await joined(pieces("text"))
    with pytest.raises(FileNotFoundError):
        await joined(tmp_path / "absent")


@pytest.mark.asyncio
@pytest.mark.parametrize("buffering", [0, -1])
async def test_a_pipe_gives_what_is_there_and_holds_no_thread(buffering: int) -> None:
    """A read of a pipe cannot be ended, so none is begun before there is something."""
    inside, outside = os.pipe()
    before, threads = set(os.listdir("/proc/self/fd")), threading.active_count()
    with open(inside, "rb", buffering=buffering) as file, open(outside, "wb", 0) as writer:
        async with contextlib.aclosing(stdin_chunks(file)) as chunks:
            writer.write(b"some")
            assert await anext(chunks) == b"some"
            later: asyncio.Task[bytes] = asyncio.ensure_future(anext(chunks))
            await asyncio.wait({later}, timeout=0.05)
            assert not later.done()
            later.cancel()
            await asyncio.wait({later})
        assert set(os.listdir("/proc/self/fd")) == before
    for _ in range(200):
        if threading.active_count() <= threads:  # one of an earlier test may have been counted
            break
        await asyncio.sleep(0.01)
    assert threading.active_count() <= threads, "a thread still reads"


@pytest.mark.asyncio
async def test_a_pipe_is_read_to_its_end() -> None:
    """Also where its end comes later than its last bytes, and where it is a device."""
    inside, outside = os.pipe()
    with open(inside, "rb") as file:
        writing = asyncio.create_task(asyncio.to_thread(_write, outside, b"x" * 300_000))
        assert await joined(file) == b"x" * 300_000
        await writing
    with open("/dev/null", "rb") as file:
        assert await joined(file) == b""


def _write(fd: int, data: bytes) -> None:
    with open(fd, "wb") as file:
        file.write(data)


@pytest.mark.asyncio
async def test_a_path_is_closed_though_the_call_ends_while_it_is_opened(tmp_path: Path) -> None:
    path, asked = tmp_path / "file", threading.Event()
    path.write_bytes(b"x")
    before = set(os.listdir("/proc/self/fd"))
    call = asyncio.create_task(anext(stdin_chunks(Slow(path, asked))))
    while not asked.is_set():
        await asyncio.sleep(0.01)
    call.cancel()
    with warnings.catch_warnings():
        # What the collector has to close is told; it would hide that it was left open.
        warnings.simplefilter("error", ResourceWarning)
        with pytest.raises(asyncio.CancelledError):
            await call
        assert set(os.listdir("/proc/self/fd")) <= before


@pytest.mark.asyncio
async def test_the_end_of_a_path_does_not_wait_for_the_loops_threads(tmp_path: Path) -> None:
    path, free = tmp_path / "file", threading.Event()
    path.write_bytes(b"x")
    async with contextlib.aclosing(stdin_chunks(path)) as chunks:
        assert await anext(chunks) == b"x"
        others = [asyncio.ensure_future(asyncio.to_thread(free.wait, 20)) for _ in range(40)]
        async with asyncio.timeout(10):
            assert [chunk async for chunk in chunks] == []
    free.set()
    await asyncio.gather(*others)
