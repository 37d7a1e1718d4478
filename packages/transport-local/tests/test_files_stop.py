"""Limits, progress, timeout, cancel and many copies at once."""

import asyncio
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from local_support import Verb, both, make_tree, move, names, unprivileged
from transport_core import (
    AlreadyExistsError,
    PermissionDeniedError,
    SizeMismatchError,
    TransferLimitError,
    TransferTimeoutError,
)
from transport_local import LocalTransport


@pytest.mark.asyncio
async def test_the_limits_of_get_hold(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    async with LocalTransport() as here:
        assert (await here.get(tree, tmp_path / "fits", max_bytes=7, max_files=7)).bytes == 7
        with pytest.raises(TransferLimitError, match="max_bytes=6"):
            await here.get(tree, tmp_path / "x", max_bytes=6)
        with pytest.raises(TransferLimitError, match="max_files=6"):
            await here.get(tree, tmp_path / "y", max_files=6)
        with pytest.raises(TransferLimitError):
            await here.get(tree / "a", tmp_path / "z", max_bytes=4)
    assert not (tmp_path / "z").exists()


@both
@pytest.mark.asyncio
@pytest.mark.parametrize("change", [b"grown", b""])
async def test_a_source_that_changes_size_while_it_is_read_is_an_error(
    verb: Verb, change: bytes, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 2_000_000)

    def alter(done: int, total: int | None) -> None:
        if done < 2_000_000:
            with source.open("ab" if change else "r+b") as file:
                file.write(change) if change else file.truncate(1_500_000)

    async with LocalTransport() as here:
        with pytest.raises(SizeMismatchError):
            await move(here, verb, source, tmp_path / "target", progress=alter)
    assert names(tmp_path) == ["source"]


@both
@pytest.mark.asyncio
async def test_progress_is_told_on_the_loop_up_to_the_end(verb: Verb, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 5_000_000)
    (tmp_path / "empty").touch()
    tree = make_tree(tmp_path / "tree")
    told: list[tuple[int, int | None]] = []
    loop = asyncio.get_running_loop()

    def progress(done: int, total: int | None) -> None:
        assert asyncio.get_running_loop() is loop
        told.append((done, total))

    async with LocalTransport() as here:
        for name, size in (("file", 5_000_000), ("empty", 0), ("tree", 7)):
            told.clear()
            await move(here, verb, tmp_path / name, tmp_path / f"to-{name}", progress=progress)
            assert told[-1] == (size, size)
            assert told == sorted(set(told))
    assert tree.is_dir()


@both
@pytest.mark.asyncio
@pytest.mark.parametrize("kind", [ZeroDivisionError, OSError, TimeoutError, asyncio.CancelledError])
@pytest.mark.parametrize("size", [0, 10, 5_000_000])
async def test_progress_that_raises_fails_the_transfer_and_nothing_is_left(
    verb: Verb, kind: type[BaseException], size: int, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"x" * size)

    def progress(done: int, total: int | None) -> None:
        raise kind("of mine")

    async with LocalTransport() as here:
        with pytest.raises(kind, match="of mine"):
            await move(here, verb, tmp_path / "file", tmp_path / "target", progress=progress)
    assert names(tmp_path) == ["file"]


@both
@pytest.mark.asyncio
async def test_a_timeout_leaves_no_partial_file(verb: Verb, tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.truncate(20_000_000_000)  # sparse: it takes no room, and seconds to copy
    async with LocalTransport() as here:
        began = time.monotonic()
        with pytest.raises(TransferTimeoutError) as caught:
            await move(here, verb, tmp_path / "file", tmp_path / "target", timeout=0.1)
        assert time.monotonic() - began < 5
        assert isinstance(caught.value, TimeoutError)
        with pytest.raises(TransferTimeoutError):
            await move(here, verb, tmp_path / "file", tmp_path / "target", timeout=1e-9)
    assert names(tmp_path) == ["file"]


@both
@pytest.mark.asyncio
async def test_cancelling_waits_until_no_partial_file_is_left(verb: Verb, tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.truncate(20_000_000_000)
    async with LocalTransport() as here:
        begun = asyncio.Event()
        call = asyncio.create_task(
            move(
                here, verb, tmp_path / "file", tmp_path / "target",
                progress=lambda done, total: begun.set(),
            )
        )  # fmt: skip
        await begun.wait()
        assert len(names(tmp_path)) == 2
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert names(tmp_path) == ["file"]


@both
@pytest.mark.asyncio
async def test_the_temporary_file_is_private(verb: Verb, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 3_000_000)
    modes: set[int] = set()

    def look(done: int, total: int | None) -> None:
        modes.update(
            stat.S_IMODE(entry.stat().st_mode)
            for entry in tmp_path.iterdir()
            if entry.name.startswith(".")
        )

    before = os.umask(0)
    try:
        async with LocalTransport() as here:
            await move(
                here, verb, tmp_path / "file", tmp_path / "target", mode=0o666, progress=look
            )
    finally:
        os.umask(before)
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == 0o666


@both
@pytest.mark.asyncio
async def test_many_at_once_to_one_name_leave_one_whole_file(verb: Verb, tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"source{number}").write_bytes(b"%02d" % number * 50_000)
    async with LocalTransport() as here:
        await asyncio.gather(
            *(
                move(here, verb, tmp_path / f"source{number}", tmp_path / "target")
                for number in range(20)
            )
        )
    content = (tmp_path / "target").read_bytes()
    assert content == content[:2] * 50_000
    assert len(names(tmp_path)) == 21


@both
@pytest.mark.asyncio
async def test_many_at_once_without_overwrite_have_one_winner(verb: Verb, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"1")
    async with LocalTransport() as here:
        ends = await asyncio.gather(
            *(
                move(here, verb, tmp_path / "source", tmp_path / "target", overwrite=False)
                for _ in range(30)
            ),
            return_exceptions=True,
        )
    assert sum(isinstance(end, AlreadyExistsError) for end in ends) == 29
    assert names(tmp_path) == ["source", "target"]


@both
@pytest.mark.asyncio
async def test_the_same_name_on_both_sides_keeps_the_content(verb: Verb, tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    async with LocalTransport() as here:
        await move(here, verb, tree / "a", tree / "a")
        await move(here, verb, tree, tree)
    assert (tree / "a").read_bytes() == b"alpha"
    assert names(tree) == ["a", "sub"]


@both
@pytest.mark.asyncio
async def test_a_file_of_mode_zero_is_kept_as_such(verb: Verb, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"1")
    async with LocalTransport() as here:
        await move(here, verb, source, tmp_path / "target", mode=0)
    assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == 0


@both
@unprivileged
@pytest.mark.asyncio
async def test_what_may_not_be_read_or_written_is_a_typed_error(verb: Verb, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    (tmp_path / "secret").write_bytes(b"1")
    (tmp_path / "secret").chmod(0)
    (tmp_path / "closed").mkdir(0o500)
    async with LocalTransport() as here:
        with pytest.raises(PermissionDeniedError):
            await move(here, verb, tmp_path / "secret", tmp_path / "x")
        with pytest.raises(PermissionDeniedError):
            await move(here, verb, tmp_path / "file", tmp_path / "closed" / "x")


@both
@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"source": ""}, ValueError),
        ({"source": b"\0"}, ValueError),
        ({"target": ""}, ValueError),
        ({"target": 3}, TypeError),
        ({"mode": "644"}, TypeError),
        ({"mode": 0o10000}, ValueError),
        ({"kind": "folder"}, ValueError),
        ({"symlinks": "never"}, ValueError),
        ({"timeout": 0}, ValueError),
    ],
)
async def test_impossible_arguments_move_nothing(
    verb: Verb, arguments: dict[str, Any], kind: type[Exception], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    given = {"source": tmp_path / "file", "target": tmp_path / "x", **arguments}
    async with LocalTransport() as here:
        with pytest.raises(kind) as caught:
            await move(here, verb, given.pop("source"), given.pop("target"), **given)
    assert type(caught.value) is kind
    assert names(tmp_path) == ["file"]
