"""Standard input in all its forms."""

import io
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
