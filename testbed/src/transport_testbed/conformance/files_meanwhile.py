"""What changes while files are on their way: sources and destinations (FILE-01, 04, 07)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import Callable
from functools import partial

from transport_core import Progress, TransferError

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause
from transport_testbed.conformance.samples import content, look, members

MIB = 1024 * 1024
WHOLE = b"w" * (4 * MIB)
MANY = 40
"""Members of a tree: more than a transport would move at once."""


def _once(change: Callable[[], None]) -> Progress:
    """Return a progress that makes a change the first time it is told."""
    changes = [change]

    def tell(done: int, total: int | None) -> None:
        if changes:
            # Over already: what it would have met in the way stands there now.
            with contextlib.suppress(FileExistsError):
                changes.pop()()

    return tell


def _grow(path: os.PathLike[str]) -> None:
    with open(path, "ab") as file:
        file.write(b"more" * MIB)


class FilesMeanwhileTests:
    """Nobody stops the world for a transfer."""

    @clause("FILE-07")
    async def test_a_source_that_grows_is_an_error_or_whole(self, case: Case) -> None:
        """Longer while it is read, it is an error, or arrives as it was or is: never between."""
        source, where = case.local("source"), case.remote("d")
        case.probe.make_dir(where)
        big, target, back = case.remote("big"), os.path.join(where, b"file"), case.local("back")
        source.write_bytes(WHOLE)
        case.probe.write(big, WHOLE)
        longer = WHOLE + b"more" * MIB
        put = case.transport.put(source, target, progress=_once(partial(_grow, source)))
        found = await asyncio.gather(put, return_exceptions=True)
        if isinstance(found[0], BaseException):
            assert isinstance(found[0], TransferError), repr(found[0])
            assert members(case, where) == set()
        else:
            assert look(case, target).st_size in (len(WHOLE), len(longer)), "a part, and no error"
        grow = partial(case.probe.write, big, longer)
        get = case.transport.get(big, back, progress=_once(grow))
        found = await asyncio.gather(get, return_exceptions=True)
        if isinstance(found[0], BaseException):
            assert isinstance(found[0], TransferError), repr(found[0])
            assert not back.exists()
        else:
            assert back.stat().st_size in (len(WHOLE), len(longer)), "a part, and no error"

    @clause("FILE-07")
    async def test_a_member_that_vanishes_is_told(self, case: Case) -> None:
        """A tree of which a file is gone before it was read does not count as put."""
        tree, remote = case.local("tree"), case.remote("d")
        tree.mkdir()
        for n in range(MANY):
            (tree / f"{n:02}").write_bytes(b"%02d" % n * 50_000)
        last = f"{MANY - 1:02}"
        put = case.transport.put(tree, remote, progress=_once((tree / last).unlink))
        found = await asyncio.gather(put, return_exceptions=True)
        arrived = members(case, remote)
        if isinstance(found[0], BaseException):
            assert isinstance(found[0], TransferError), repr(found[0])
            assert last.encode() not in arrived
        else:
            assert len(arrived) == MANY, "a member is missing, and no error"
        for name in arrived:
            whole = content(case, os.path.join(remote, name)) == name * 50_000
            assert whole, f"a part of a file: {name!r}"

    @clause("FILE-04")
    async def test_what_appears_at_the_destination_meanwhile_is_not_entered(
        self, case: Case
    ) -> None:
        """A directory, or a link to one, that takes the name meanwhile is never moved into."""
        source, outside = case.local("source"), case.remote("outside")
        source.write_bytes(WHOLE)
        case.probe.make_dir(outside)
        for overwrite in (True, False):
            folder, link = case.remote(), case.remote()
            for target, appear in (
                (folder, partial(case.probe.make_dir, folder)),
                (link, partial(case.probe.make_link, outside, link)),
            ):
                call = case.transport.put(
                    source, target, overwrite=overwrite, progress=_once(appear)
                )
                found = await asyncio.gather(call, return_exceptions=True)
                if isinstance(found[0], BaseException):
                    assert isinstance(found[0], TransferError), repr(found[0])
                else:
                    assert content(case, target) == WHOLE
            if stat.S_ISDIR(look(case, folder).st_mode):
                assert members(case, folder) == set(), "it was moved into the directory"
        assert members(case, outside) == set(), "it was moved into what a link leads to"
