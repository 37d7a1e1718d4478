"""Sizes, limits and progress of transfers (FILE-07, 09, 12)."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from functools import partial

from transport_core import TransferError, TransferLimitError, TransferTimeoutError

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause
from transport_testbed.conformance.samples import (
    content,
    differs,
    failure,
    failures,
    local_names,
    members,
)

MIB = 1024 * 1024
OLD = b"old content"


class _StopError(Exception):
    """What the caller's own progress callback raises."""


class FilesSizesTests:
    """Every byte is counted, announced and limited."""

    @clause("FILE-07")
    async def test_every_size_arrives_whole(self, case: Case) -> None:
        """Nothing, one byte, and sizes around every usual block, there and back."""
        tree, back, remote = case.local("tree"), case.local("back"), case.remote("d")
        tree.mkdir()
        block = os.urandom(MIB + 1)
        sizes = (0, 1, 4095, 4096, 32767, 32769, 65536, 65537, MIB, MIB + 1)
        for size in sizes:
            (tree / f"{size}").write_bytes(block[:size])
        (tree / "empty").mkdir()
        put = await case.transport.put(tree, remote)
        got = await case.transport.get(remote, back)
        for result in (put, got):
            assert (result.files, result.bytes) == (len(sizes), sum(sizes))
        for size in sizes:
            there = content(case, os.path.join(remote, b"%d" % size))
            assert not differs(there, block[:size])
            assert not differs((back / f"{size}").read_bytes(), block[:size])
        assert members(case, os.path.join(remote, b"empty")) == set()
        assert (back / "empty").is_dir()

    @clause("FILE-07")
    async def test_a_source_that_shrinks_is_an_error(self, case: Case) -> None:
        """Cut short while it is read, it is an error, or was read before: never a part."""
        source, where, folder = case.local("source"), case.remote("d"), case.local("l")
        whole = b"c" * (8 * MIB)
        big = case.remote("big")
        case.probe.make_dir(where)
        folder.mkdir()
        target, back = os.path.join(where, b"file"), folder / "file"

        def cut(shorten: Callable[[], None]) -> Callable[[int, int | None], None]:
            # Only a transfer that is still under way can be cut short.
            return lambda done, total: None if done == total else shorten()

        source.write_bytes(whole)
        case.probe.write(big, whole)
        put = case.transport.put(source, target, progress=cut(lambda: os.truncate(source, 1000)))
        found = await asyncio.gather(put, return_exceptions=True)
        if isinstance(found[0], BaseException):
            assert isinstance(found[0], TransferError), repr(found[0])
            assert members(case, where) == set()
        else:
            assert len(content(case, target)) == len(whole), "a part, and no error"
        get = case.transport.get(
            big, back, progress=cut(lambda: case.probe.write(big, b"c" * 1000))
        )
        found = await asyncio.gather(get, return_exceptions=True)
        if isinstance(found[0], BaseException):
            assert isinstance(found[0], TransferError), repr(found[0])
            assert local_names(folder) == set()
        else:
            assert back.stat().st_size == len(whole), "a part, and no error"

    @clause("FILE-09")
    async def test_limits_on_what_is_fetched_hold_exactly(self, case: Case) -> None:
        """One byte or one entry too many is an error that leaves nothing."""
        folder, tree, file = case.local("l"), case.remote("tree"), case.remote("file")
        folder.mkdir()
        case.probe.make_dir(tree)
        for name in (b"/a", b"/b", b"/c"):
            case.probe.write(tree + name, b"x" * 100)
        case.probe.write(file, b"x" * 1000)
        get = case.transport.get
        out = folder / "out"
        await failure(TransferLimitError, get(file, out, max_bytes=999))
        await failure(TransferLimitError, get(file, out, max_bytes=0))
        assert local_names(folder) == set()
        await failure(TransferLimitError, get(tree, folder / "t1", max_bytes=299))
        await failure(TransferLimitError, get(tree, folder / "t2", max_files=2))
        left = [path for path in folder.rglob("*") if path.name not in ("a", "b", "c", "t1", "t2")]
        assert not left, "temporary names"
        assert (await get(file, out, max_bytes=1000)).bytes == 1000
        result = await get(tree, folder / "t3", max_bytes=300, max_files=4)
        assert (result.files, result.bytes) == (3, 300)

    @clause("FILE-12")
    async def test_progress_is_told_on_the_loop_up_to_the_end(self, case: Case) -> None:
        """Bytes done never fall, end at the size, and are told where the loop runs."""
        source, remote = case.local("source"), case.remote("file")
        source.write_bytes(b"p" * (3 * MIB))
        here = threading.get_ident()
        told: list[tuple[int, int | None, int]] = []

        def note(done: int, total: int | None) -> None:
            told.append((done, total, threading.get_ident()))

        for start in (
            partial(case.transport.put, source, remote),
            partial(case.transport.get, remote, case.local("back")),
        ):
            told.clear()
            await start(progress=note)
            assert told, "progress was never told"
            done = [entry[0] for entry in told]
            assert done == sorted(done)
            assert done[-1] == 3 * MIB
            assert {entry[1] for entry in told} <= {3 * MIB, None}
            assert {entry[2] for entry in told} == {here}, "told on another thread"

    @clause("FILE-12")
    async def test_progress_that_raises_fails_the_transfer_cleanly(self, case: Case) -> None:
        """The caller's error comes out, the old content stays, no temporary name is left."""
        source, where, folder = case.local("source"), case.remote("d"), case.local("l")
        source.write_bytes(b"p" * (3 * MIB))
        case.probe.make_dir(where)
        folder.mkdir()
        big = case.remote("big")
        case.probe.write(big, b"p" * (3 * MIB))
        case.probe.write(where + b"/file", OLD)

        def refuse(done: int, total: int | None) -> None:
            raise _StopError

        errors = await failures(
            (Exception, case.transport.put(source, where + b"/file", progress=refuse)),
            (Exception, case.transport.get(big, folder / "file", progress=refuse)),
        )
        for error in errors:
            assert isinstance(error.__cause__ or error, _StopError), repr(error)
        assert content(case, where + b"/file") == OLD
        assert members(case, where) == {b"file"}
        assert local_names(folder) == set()
        source.write_bytes(b"next")
        await case.transport.put(source, where + b"/file")
        assert content(case, where + b"/file") == b"next"

    @clause("FILE-09")
    async def test_a_timeout_leaves_no_partial_file(self, case: Case) -> None:
        """Out of time, nothing is under the name and nothing beside it, on either side."""
        source, folder, where = case.local("source"), case.local("l"), case.remote("d")
        with source.open("wb") as file:
            file.truncate(32 * MIB)
        folder.mkdir()
        case.probe.make_dir(where)
        big = case.remote("big")
        case.probe.write(big, b"\0" * (8 * MIB))
        put, get = case.transport.put, case.transport.get
        target = os.path.join(where, b"file")
        error = await failure(TransferTimeoutError, put(source, target, timeout=1e-6))
        assert isinstance(error, TimeoutError)
        await failure(TransferTimeoutError, get(big, folder / "file", timeout=1e-6))
        assert members(case, where) == set()
        # In the middle, or not: how fast the place is nobody knows.
        found = await asyncio.gather(put(source, target, timeout=0.01), return_exceptions=True)
        late = isinstance(found[0], TransferTimeoutError)
        assert late or not isinstance(found[0], BaseException), repr(found[0])
        assert members(case, where) == (set() if late else {b"file"})
        assert local_names(folder) == set()
