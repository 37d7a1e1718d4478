"""Whole or not at all, and never wider than asked: atomic files and modes (FILE-02, 03)."""

from __future__ import annotations

import asyncio
import contextlib
import os
from functools import partial

from transport_core import Capability, TransferResult

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause
from transport_testbed.conformance.samples import (
    content,
    differs,
    in_turns,
    local_names,
    look,
    members,
    mode_of,
)

MIB = 1024 * 1024
OLD = b"old content"


class FilesAtomicTests:
    """Whoever looks sees the old content, the new content or nothing."""

    @clause("FILE-02")
    async def test_who_watches_sees_the_old_or_the_new(self, case: Case) -> None:
        """While a file is replaced, its name never stands for a part."""
        source, where = case.local("source"), case.remote("d")
        new = os.urandom(4 * MIB)
        source.write_bytes(new)
        case.probe.make_dir(where)
        remote = os.path.join(where, b"file")
        case.probe.write(remote, OLD)
        back = case.local("back")
        back.write_bytes(OLD)
        sizes: set[int] = set()

        def watch(*_: object) -> None:
            sizes.add(look(case, remote).st_size)
            sizes.add(back.stat().st_size)

        for start in (
            partial(case.transport.put, source, remote),
            partial(case.transport.get, remote, back),
        ):
            call = asyncio.create_task(start(progress=watch))
            async for _ in in_turns(call.done, 20.0):
                watch()
            await call
        assert sizes <= {len(OLD), len(new)}, "sizes seen under the final name"
        assert content(case, remote) == new
        assert back.read_bytes() == new
        assert members(case, where) == {b"file"}

    @clause("FILE-02")
    async def test_a_transfer_that_is_given_up_leaves_the_old_and_nothing_else(
        self, case: Case
    ) -> None:
        """Cancelled in the middle, on either side: old content, and no temporary name."""
        source, where = case.local("source"), case.remote("d")
        source.write_bytes(b"n" * (8 * MIB))
        folder = case.local("l")
        folder.mkdir()
        back = folder / "file"
        case.probe.make_dir(where)
        remote, big = os.path.join(where, b"file"), case.remote("big")
        case.probe.write(remote, OLD)
        case.probe.write(big, b"n" * (8 * MIB))
        back.write_bytes(OLD)
        calls: list[asyncio.Task[TransferResult]] = []

        def give_up(done: int, total: int | None) -> None:
            if total is None or done < total:
                calls[-1].cancel()

        ended: list[bool] = []
        for start in (
            partial(case.transport.put, source, remote),
            partial(case.transport.get, big, back),
        ):
            calls.append(asyncio.create_task(start(progress=give_up)))
            found = await asyncio.gather(calls[-1], return_exceptions=True)
            ended.append(isinstance(found[0], asyncio.CancelledError))
        # One that reports only its end could not be given up: then it is done, whole.
        assert not differs(content(case, remote), OLD if ended[0] else b"n" * (8 * MIB))
        assert not differs(back.read_bytes(), OLD if ended[1] else b"n" * (8 * MIB))
        assert members(case, where) == {b"file"}
        assert local_names(folder) == {b"file"}

    @clause("FILE-03", needs=(Capability.MODES,))
    async def test_modes_are_copied_or_set_and_setuid_is_not(self, case: Case) -> None:
        """Permission bits travel both ways; setuid and setgid only when asked for."""
        source, back = case.local("source"), case.local("back")
        source.write_bytes(b"x")
        os.utime(source, (0, 1_000_000_000))
        remote, there = case.remote("file"), case.remote("there")
        case.probe.write(there, b"x", 0o755)
        for bits, asked, wanted in (
            (0o640, None, 0o640),
            (0o4755, None, 0o755),
            (0o2711, None, 0o711),
            (0o444, None, 0o444),
            (0o600, 0o755, 0o755),
            (0o644, 0o600, 0o600),
            (0o644, 0, 0),
        ):
            source.chmod(bits)
            await case.transport.put(source, remote, mode=asked)
            assert mode_of(case, remote) == wanted, f"put: {bits:o} with mode={asked}"
        assert look(case, remote).st_mtime > 1_000_000_001, "the mtime was preserved"
        for asked, wanted in ((None, 0o755), (0o640, 0o640)):
            await case.transport.get(there, back, mode=asked)
            assert back.stat().st_mode & 0o7777 == wanted, f"get with mode={asked}"

    @clause("FILE-03", needs=(Capability.MODES,))
    async def test_content_is_never_readable_wider_than_asked(self, case: Case) -> None:
        """From the first byte on, no name in the directory is open to group or others."""
        source, where, folder = case.local("source"), case.remote("d"), case.local("l")
        source.write_bytes(b"s" * (2 * MIB))
        source.chmod(0o644)
        case.probe.make_dir(where)
        folder.mkdir()
        big = case.remote("big")
        case.probe.write(big, b"s" * (2 * MIB), 0o644)
        wide: set[str] = set()

        def watch(*_: object) -> None:
            for name in members(case, where):
                # It may have been renamed between the listing and the look.
                found = case.probe.lstat(os.path.join(where, name))
                if found is not None and found.st_mode & 0o077:
                    wide.add(f"remote {found.st_mode:o}")
            for entry in folder.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    if (mode := entry.stat().st_mode) & 0o077:
                        wide.add(f"local {mode & 0o777:o}")

        await case.transport.put(source, where + b"/file", mode=0o600, progress=watch)
        await case.transport.get(big, folder / "file", mode=0o600, progress=watch)
        watch()
        assert not wide
