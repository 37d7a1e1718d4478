"""Gets a file or tree into a Landing, which keeps it within the destination (FILE-8).

Must not know asyncssh, nor how the other side is asked.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Generator
from typing import BinaryIO

from transport_core import Symlinks, TransferResult
from transport_core.authoring import (
    Entry,
    EntryKind,
    Landing,
    entered,
    off_loop,
    require_kind,
)

from . import _tree
from ._remote import RemoteFiles
from ._transfer import Tally, Transfer

_CHUNK = 1024 * 1024


async def get(remote: RemoteFiles, transfer: Transfer) -> TransferResult:
    """Copy ``transfer.remote`` to ``transfer.local``."""
    tally = Tally(transfer)
    with transfer.source.at():
        root = _tree.entry_of((), await _existing(remote, transfer.remote))
        is_tree = root.kind is EntryKind.DIRECTORY
        require_kind(transfer.kind, is_tree=is_tree)
    async with entered(_landing(transfer)) as landing:
        getting = _Get(remote, transfer, landing, tally)
        await getting.member(root)
        async with contextlib.aclosing(getting.below(root)) as entries:
            async for entry in entries:
                await getting.member(entry)
        with transfer.destination.at():
            await off_loop(landing.finish)
    return tally.result()


@contextlib.contextmanager
def _landing(transfer: Transfer) -> Generator[Landing, None, None]:
    # It holds a descriptor from its making on, and a call may be cancelled just then.
    with transfer.destination.at():
        landing = Landing(transfer.local, overwrite=transfer.overwrite, parents=transfer.parents)
    try:
        yield landing
    finally:
        landing.close()


async def _existing(remote: RemoteFiles, path: bytes) -> _tree.Found:
    """Return what stands there, through a link."""
    found = await remote.look(path, follow=True)
    if found is None:
        # With a slash at its end, a file itself is in the way.
        above = path.rstrip(b"/") if path.endswith(b"/") else _tree.parent_of(path)
        raise _tree.missing(await remote.look(above or b"/", follow=True))
    return found


class _Get:
    """One get under way."""

    def __init__(
        self, remote: RemoteFiles, transfer: Transfer, landing: Landing, tally: Tally
    ) -> None:
        self._remote = remote
        self._transfer = transfer
        self._here, self._there = transfer.destination, transfer.source
        self._landing = landing
        self._tally = tally

    def _path(self, path: tuple[bytes, ...]) -> bytes:
        return _tree.below(self._there.path, path)

    async def below(self, entry: Entry, links: int = 0) -> AsyncGenerator[Entry, None]:
        """Give the members of a directory, each before what is below it.

        ``links`` is how many were followed on the way to it.
        """
        if entry.kind is not EntryKind.DIRECTORY:
            return
        with self._there.at(entry.path):
            _tree.check_depth(entry.path, self._path(entry.path), links)
        async with contextlib.aclosing(self._members(entry)) as members:
            async for member, followed in members:
                yield member
                async with contextlib.aclosing(self.below(member, links + followed)) as deeper:
                    async for each in deeper:
                        yield each

    async def _members(self, entry: Entry) -> AsyncGenerator[tuple[Entry, bool], None]:
        """Give each with whether it is what a link leads to."""
        listing = _tree.Listing()
        members = self._remote.members(self._path(entry.path), self._tally.entries_left)
        with self._there.at(entry.path):
            async with contextlib.aclosing(members) as names:
                async for name, found in names:
                    if listing.admits(name):
                        path = (*entry.path, name)
                        with self._there.at(path):
                            member = await self._look(path, found)
                        yield member, found.kind is not member.kind

    async def _look(self, path: tuple[bytes, ...], found: _tree.Found) -> Entry:
        """Return a member as the policy for links has it."""
        if found.kind is not EntryKind.LINK:
            return _tree.entry_of(path, found)
        if self._transfer.symlinks is Symlinks.FOLLOW:
            return _tree.entry_of(path, await _existing(self._remote, self._path(path)))
        target = found.target
        if target is None:
            target = await self._remote.link_target(self._path(path))
        return Entry(path=path, kind=EntryKind.LINK, target=target)

    async def member(self, entry: Entry) -> None:
        """Land one entry."""
        self._tally.listed(entry.size)
        with self._here.at(entry.path):
            await self._land(entry)

    async def _land(self, entry: Entry) -> None:
        if entry.kind is EntryKind.DIRECTORY:
            await off_loop(self._landing.make_directory, entry.path, entry.mode)
        elif entry.kind is EntryKind.LINK:
            await off_loop(self._landing.make_link, entry.path, entry.target)
        else:
            await self._file(entry)
            self._tally.files += 1

    async def _file(self, entry: Entry) -> None:
        mode = entry.mode if self._transfer.mode is None else self._transfer.mode
        new_file = self._landing.new_file(entry.path, size=entry.size, mode=mode)
        async with entered(new_file) as file, contextlib.aclosing(self._read(entry)) as blocks:
            await self._copy(blocks, file)

    async def _read(self, entry: Entry) -> AsyncGenerator[bytes, None]:
        reading = self._remote.read(self._path(entry.path), entry.size)
        with self._there.at(entry.path):
            async with contextlib.aclosing(reading) as blocks:
                async for block in blocks:
                    yield block

    async def _copy(self, blocks: AsyncGenerator[bytes, None], file: BinaryIO) -> None:
        """Write in larger pieces than are read: each costs a change of thread."""
        pending: list[bytes] = []
        count = 0
        async for data in blocks:
            pending.append(data)
            count += len(data)
            if count >= _CHUNK:
                await off_loop(_write_all, file, b"".join(pending))
                self._tally.moved(count)
                pending, count = [], 0
        if count:
            await off_loop(_write_all, file, b"".join(pending))
            self._tally.moved(count)


def _write_all(file: BinaryIO, data: bytes) -> None:
    """Write again after a short write, so that a full disk says so by itself."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
