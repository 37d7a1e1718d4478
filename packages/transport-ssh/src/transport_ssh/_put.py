"""Puts a file or tree: in which order, with what checks; each file whole, or not at all (FILE-2).

Must not know asyncssh, nor how the other side is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import stat
from collections.abc import AsyncGenerator, Iterator
from typing import BinaryIO

from transport_core import (
    AlreadyExistsError,
    NotFoundError,
    SizeMismatchError,
    Symlinks,
    TransferResult,
    UnsafePathError,
)
from transport_core.authoring import (
    Entry,
    EntryKind,
    entered,
    off_loop,
    open_source,
    require_kind,
    scan,
)

from . import _tree
from ._remote import NewFile, RemoteFiles
from ._transfer import Tally, Transfer

_CHUNK = 1024 * 1024
# Entries of the source that are looked at in one go: each costs a change of thread otherwise.
_BATCH = 256


async def put(remote: RemoteFiles, transfer: Transfer) -> TransferResult:
    """Copy ``transfer.local`` to ``transfer.remote``."""
    putting = _Put(remote, transfer)
    # Looked through once before anything is sent: what cannot be read, or is neither file nor
    # tree, is told while nothing has changed, and progress knows the total. No entry is kept.
    root = await putting.survey()
    is_tree = root.kind is EntryKind.DIRECTORY
    await putting.prepare(is_tree=is_tree)
    if is_tree:
        await putting.tree()
    else:
        await putting.member(root)
    return putting.tally.result()


class _Put:
    """One put under way."""

    def __init__(self, remote: RemoteFiles, transfer: Transfer) -> None:
        self.tally = Tally(transfer)
        self._remote = remote
        self._transfer = transfer
        self._there = transfer.destination
        self._made: list[tuple[tuple[bytes, ...], int]] = []
        self._vanished = 0

    async def _entries(self) -> AsyncGenerator[Entry, None]:
        end = self._transfer.source
        source = scan(end.path, self._transfer.symlinks, end=end)
        while batch := await off_loop(_some, source):
            for entry in batch:
                yield entry

    async def survey(self) -> Entry:
        """Count the source, and return its root."""
        root: Entry | None = None
        async with contextlib.aclosing(self._entries()) as entries:
            async for entry in entries:
                if root is None:
                    root = entry
                    is_tree = root.kind is EntryKind.DIRECTORY
                    with self._transfer.source.at():
                        require_kind(self._transfer.kind, is_tree=is_tree)
                self.tally.listed(entry.size)
        self._vanished = self.tally.entries
        assert root is not None  # noqa: S101 - scan gives the root, or raises
        return root

    async def prepare(self, *, is_tree: bool) -> None:
        """Look at the destination once, before anything is written."""
        path, overwrite = self._there.path, self._transfer.overwrite
        with self._there.at():
            if self._transfer.parents:
                await self._remote.make_parents(path)
            there = await self._remote.look(path, follow=is_tree)
            if there is None and is_tree:  # or a link that leads nowhere
                there = await self._remote.look(path, follow=False)
            _tree.check_destination(there, path, is_tree=is_tree, overwrite=overwrite)

    async def tree(self) -> None:
        """Put directories in order, each before its members, and files a few at a time."""
        files: asyncio.Queue[Entry | None] = asyncio.Queue(self._remote.at_once)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._remote.at_once):
                    group.create_task(self._work_off(files))
                async with contextlib.aclosing(self._entries()) as entries:
                    async for entry in entries:
                        self._vanished -= 1
                        if entry.kind is EntryKind.DIRECTORY:
                            await self._directory(entry)
                        else:
                            await files.put(entry)
                for _ in range(self._remote.at_once):
                    await files.put(None)
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from failures.exceptions[0].__cause__
        if self._vanished > 0:
            raise NotFoundError(f"{self._vanished} members have vanished", side="local")
        # Deepest first: one without write permission must have been filled before.
        for path, mode in reversed(self._made):
            with self._there.at(path):
                await self._remote.set_mode(_tree.below(self._there.path, path), mode)

    async def _work_off(self, files: asyncio.Queue[Entry | None]) -> None:
        while (entry := await files.get()) is not None:
            await self.member(entry)

    async def _directory(self, entry: Entry) -> None:
        """Make a directory, or merge into the one that is there."""
        path = _tree.below(self._there.path, entry.path)
        with self._there.at(entry.path):
            if await self._remote.make_directory(path, follow=not entry.path):
                self._made.append((entry.path, entry.mode))
            elif not entry.path and not self._transfer.overwrite:
                raise AlreadyExistsError("the destination exists, and overwrite is off")

    async def member(self, entry: Entry) -> None:
        """Put one file or link."""
        with self._there.at(entry.path):
            await self._member(entry)

    async def _member(self, entry: Entry) -> None:
        target = _tree.below(self._there.path, entry.path)
        if entry.kind is EntryKind.LINK:
            await self._remote.put_link(target, entry.target, overwrite=self._transfer.overwrite)
            return
        async with (
            entered(_Reading(self._transfer, entry)) as source,
            contextlib.aclosing(self._content(source, entry)) as content,
        ):
            new = NewFile(
                content=content,
                size=entry.size,
                mode=entry.mode if self._transfer.mode is None else self._transfer.mode,
                overwrite=self._transfer.overwrite,
                moved=self.tally.moved,
            )
            await self._remote.put_file(target, new)
        self.tally.files += 1

    async def _content(self, source: BinaryIO, entry: Entry) -> AsyncGenerator[bytes, None]:
        """Give a file's content, which must have the size that was announced."""
        done, size = 0, entry.size
        with self._transfer.source.at(entry.path):
            while chunk := await off_loop(source.read, _CHUNK):
                done += len(chunk)
                if done > size:
                    break
                yield chunk
            if done != size:
                raise SizeMismatchError(f"the source changed from {size} bytes while it was read")


def _some(entries: Iterator[Entry]) -> list[Entry]:
    return list(itertools.islice(entries, _BATCH))


class _Reading(contextlib.AbstractContextManager[BinaryIO]):
    """Opens a file where it is entered, in a thread; it may be another since it was listed."""

    def __init__(self, transfer: Transfer, entry: Entry) -> None:
        self._end, self._member = transfer.source, entry.path
        self._path = os.path.join(transfer.local, *entry.path)
        self._follow = not entry.path or transfer.symlinks is Symlinks.FOLLOW

    def __enter__(self) -> BinaryIO:
        with self._end.at(self._member):
            self._file = open_source(self._path, follow=self._follow)
            if not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
                self._file.close()
                raise UnsafePathError("a file of the source was replaced while it was read")
        return self._file

    def __exit__(self, *exc: object) -> None:
        self._file.close()
