"""Gets a file or tree over SFTP into a Landing, which keeps it within the destination (FILE-8)."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import AsyncGenerator, Generator
from typing import BinaryIO, cast

import asyncssh
from asyncssh.constants import FXF_READ
from transport_core import (
    SizeMismatchError,
    Symlinks,
    TransferError,
    TransferResult,
    UnsafePathError,
)
from transport_core.authoring import (
    Entry,
    EntryKind,
    Landing,
    check_member,
    entered,
    off_loop,
    require_kind,
)

from ._blocks import block_size, opened, read_blocks
from ._file_errors import raise_explained
from ._transfer import Tally, Transfer

_CHUNK = 1024 * 1024
# A server may nest without end; what it shows from a real file system keeps to PATH_MAX.
_DEEPEST = 256
_LONGEST = 4096


async def get(client: asyncssh.SFTPClient, transfer: Transfer) -> TransferResult:
    """Copy ``transfer.remote`` to ``transfer.local``."""
    tally = Tally(transfer)
    try:
        root = _entry((), await client.stat(transfer.remote))
    except asyncssh.SFTPError as error:
        await raise_explained(client, error, transfer.remote)
    is_tree = root.kind is EntryKind.DIRECTORY
    require_kind(transfer.kind, is_tree=is_tree)
    async with entered(_landing(transfer)) as landing:
        getting = _Get(client, transfer, landing, tally)
        await getting.member(root)
        async with contextlib.aclosing(getting.below(root)) as entries:
            async for entry in entries:
                await getting.member(entry)
        await off_loop(landing.finish)
    return tally.result()


@contextlib.contextmanager
def _landing(transfer: Transfer) -> Generator[Landing, None, None]:
    # It holds a descriptor from its making on, and a call may be cancelled just then.
    landing = Landing(transfer.local, overwrite=transfer.overwrite, parents=transfer.parents)
    try:
        yield landing
    finally:
        landing.close()


def _entry(path: tuple[bytes, ...], attrs: asyncssh.SFTPAttrs, target: bytes = b"") -> Entry:
    bits = attrs.permissions or 0
    mode = stat.S_IMODE(bits) & 0o777
    if stat.S_ISREG(bits):
        return Entry(path=path, kind=EntryKind.FILE, size=attrs.size or 0, mode=mode)
    if stat.S_ISDIR(bits):
        return Entry(path=path, kind=EntryKind.DIRECTORY, mode=mode)
    if stat.S_ISLNK(bits):
        return Entry(path=path, kind=EntryKind.LINK, target=target)
    raise UnsafePathError("the remote source is neither file, directory nor link")


class _Get:
    """One get under way."""

    def __init__(
        self, client: asyncssh.SFTPClient, transfer: Transfer, landing: Landing, tally: Tally
    ) -> None:
        self._client = client
        self._transfer = transfer
        self._landing = landing
        self._tally = tally

    def _remote(self, path: tuple[bytes, ...]) -> bytes:
        root = self._transfer.remote
        return b"/".join((root.rstrip(b"/"), *path)) if path else root

    async def below(self, entry: Entry) -> AsyncGenerator[Entry, None]:
        """Give the members of a directory, each before what is below it."""
        if entry.kind is not EntryKind.DIRECTORY:
            return
        if len(entry.path) >= _DEEPEST or len(self._remote(entry.path)) >= _LONGEST:
            raise TransferError(
                f"the source is nested deeper than {_DEEPEST} directories or {_LONGEST} bytes"
            )
        async with contextlib.aclosing(self._members(entry)) as members:
            async for member in members:
                yield member
                async with contextlib.aclosing(self.below(member)) as deeper:
                    async for each in deeper:
                        yield each

    async def _members(self, entry: Entry) -> AsyncGenerator[Entry, None]:
        seen: set[bytes] = set()
        listing = cast(
            AsyncGenerator[asyncssh.SFTPName, None],
            self._client.scandir(self._remote(entry.path)),
        )
        async with contextlib.aclosing(listing) as names:
            async for found in names:
                name = cast(bytes, found.filename)
                if name in seen:
                    raise UnsafePathError("the remote names one entry twice")
                seen.add(name)
                if name in (b".", b".."):
                    continue
                check_member(name)
                yield await self._look((*entry.path, name), found.attrs)

    async def _look(self, path: tuple[bytes, ...], attrs: asyncssh.SFTPAttrs) -> Entry:
        remote = self._remote(path)
        if attrs.permissions is None:
            attrs = await self._client.lstat(remote)
        if not stat.S_ISLNK(attrs.permissions or 0):
            return _entry(path, attrs)
        if self._transfer.symlinks is Symlinks.FOLLOW:
            return _entry(path, await self._client.stat(remote))
        return _entry(path, attrs, await self._client.readlink(remote))

    async def member(self, entry: Entry) -> None:
        """Land one entry."""
        self._tally.listed(entry.size)
        if entry.kind is EntryKind.DIRECTORY:
            await off_loop(self._landing.make_directory, entry.path, entry.mode)
        elif entry.kind is EntryKind.LINK:
            await off_loop(self._landing.make_link, entry.path, entry.target)
        else:
            await self._file(entry)
            self._tally.files += 1

    async def _file(self, entry: Entry) -> None:
        mode = entry.mode if self._transfer.mode is None else self._transfer.mode
        remote = self._remote(entry.path)
        async with opened(self._client, remote, FXF_READ) as source:
            new_file = self._landing.new_file(entry.path, size=entry.size, mode=mode)
            async with entered(new_file) as file:
                await self._copy(source, file, entry.size)
                if await source.read(1, entry.size):
                    raise SizeMismatchError(f"more than the announced {entry.size} bytes came")

    async def _copy(self, source: asyncssh.SFTPClientFile, file: BinaryIO, size: int) -> None:
        """Write in larger pieces than are read: each costs a change of thread."""
        blocks = read_blocks(source, block_size(self._client), size)
        async with contextlib.aclosing(blocks):
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
