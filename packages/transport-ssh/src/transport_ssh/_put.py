"""Puts a file or tree over SFTP: each file whole under its name, or not at all (FILE-2)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
from collections.abc import AsyncGenerator, Iterable
from typing import BinaryIO

import asyncssh
from asyncssh.constants import FXF_CREAT, FXF_EXCL, FXF_WRITE
from transport_core import AlreadyExistsError, SizeMismatchError, TransferResult, UnsafePathError
from transport_core.authoring import (
    Entry,
    EntryKind,
    entered,
    finish,
    off_loop,
    require_kind,
    scan,
    temp_name,
)

from ._blocks import block_size, opened, write_blocks
from ._file_errors import raise_explained
from ._transfer import Tally, Transfer

_CHUNK = 1024 * 1024
_FILES_AT_ONCE = 16
_CLEAN_SECONDS = 2.0


async def put(client: asyncssh.SFTPClient, transfer: Transfer) -> TransferResult:
    """Copy ``transfer.local`` to ``transfer.remote``."""
    entries = await off_loop(lambda: list(scan(transfer.local, transfer.symlinks)))
    is_tree = entries[0].kind is EntryKind.DIRECTORY
    require_kind(transfer.kind, is_tree=is_tree)
    putting = _Put(client, transfer)
    for entry in entries:
        putting.tally.listed(entry.size)
    await putting.prepare(is_tree=is_tree)
    await putting.directories([e for e in entries if e.kind is EntryKind.DIRECTORY])
    await _members(putting, (e for e in entries if e.kind is not EntryKind.DIRECTORY))
    await putting.finish_directories()
    return putting.tally.result()


async def _members(putting: _Put, entries: Iterable[Entry]) -> None:
    """Put files and links, a few at a time; the first failure ends the others."""
    left = iter(entries)

    async def some() -> None:
        for entry in left:
            await putting.member(entry)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_FILES_AT_ONCE):
                group.create_task(some())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures.exceptions[0].__cause__


class _Put:
    """One put under way."""

    def __init__(self, client: asyncssh.SFTPClient, transfer: Transfer) -> None:
        self.tally = Tally(transfer)
        self._client = client
        self._transfer = transfer
        self._made: list[tuple[bytes, int]] = []

    def _remote(self, path: tuple[bytes, ...]) -> bytes:
        root = self._transfer.remote
        return root if not path else b"/".join((root.rstrip(b"/"), *path))

    async def _kind(self, path: bytes, *, follow: bool = False) -> int | None:
        """Return the type bits of what stands there, None for nothing."""
        try:
            attrs = await (self._client.stat(path) if follow else self._client.lstat(path))
        except asyncssh.SFTPNoSuchFile:
            return None
        return stat.S_IFMT(attrs.permissions or 0)

    async def prepare(self, *, is_tree: bool) -> None:
        """Look at the destination once, before anything is written."""
        remote = self._transfer.remote
        if self._transfer.parents:
            await self._make_parents(remote)
        there = await self._kind(remote, follow=is_tree)
        if there is None:
            if not is_tree and remote.endswith(b"/"):
                raise IsADirectoryError(errno.EISDIR, "the destination is named as a directory")
            return
        if not self._transfer.overwrite:
            raise AlreadyExistsError("the destination exists, and overwrite is off")
        if is_tree and there != stat.S_IFDIR:
            raise NotADirectoryError(errno.ENOTDIR, "the destination is not a directory")
        if not is_tree and there == stat.S_IFDIR:
            raise IsADirectoryError(errno.EISDIR, "the destination is a directory")

    async def _make_parents(self, path: bytes) -> None:
        parent = path.rstrip(b"/").rpartition(b"/")[0]
        if not parent or await self._kind(parent, follow=True) is not None:
            return
        await self._make_parents(parent)
        try:
            await self._client.mkdir(parent)
        except asyncssh.SFTPError as error:
            # Another call may have made it meanwhile.
            if await self._kind(parent, follow=True) != stat.S_IFDIR:
                await raise_explained(self._client, error, parent)

    async def directories(self, entries: list[Entry]) -> None:
        """Make the directories, or merge into those that are there; modes come last."""
        for entry in entries:
            path = self._remote(entry.path)
            try:
                await self._client.mkdir(path, asyncssh.SFTPAttrs(permissions=0o700))
                self._made.append((path, entry.mode))
            except asyncssh.SFTPError as error:
                there = await self._kind(path, follow=not entry.path)
                if there is None:
                    await raise_explained(self._client, error, path)
                if not entry.path and not self._transfer.overwrite:
                    raise AlreadyExistsError("the destination exists") from error
                if there != stat.S_IFDIR:
                    raise NotADirectoryError(
                        errno.ENOTDIR, "something else stands where a directory is needed"
                    ) from error

    async def finish_directories(self) -> None:
        """Set the modes of directories that were made, deepest first."""
        for path, mode in reversed(self._made):
            await self._client.chmod(path, mode)

    async def member(self, entry: Entry) -> None:
        """Put one file or link."""
        target = self._remote(entry.path)
        parent = target.rpartition(b"/")[0]
        temp = parent + b"/" + temp_name() if b"/" in target else temp_name()
        try:
            if entry.kind is EntryKind.LINK:
                await self._client.symlink(entry.target, temp)
            else:
                await self._write(entry, temp)
            await self._publish(temp, target)
        except asyncssh.SFTPError as error:
            await finish(self._clean(temp))
            await raise_explained(self._client, error, target)
        except BaseException:
            await finish(self._clean(temp))
            raise
        if entry.kind is EntryKind.FILE:
            self.tally.files += 1

    async def _write(self, entry: Entry, temp: bytes) -> None:
        local = os.path.join(self._transfer.local, *entry.path)
        flags = FXF_WRITE | FXF_CREAT | FXF_EXCL
        async with entered(_Reading(local)) as source:
            # Readable to nobody else until it has its mode (FILE-3).
            private = asyncssh.SFTPAttrs(permissions=0o600)
            async with opened(self._client, temp, flags, private) as file:
                content = _content(source, entry.size)
                async with contextlib.aclosing(content):
                    await write_blocks(file, block_size(self._client), content, self.tally.moved)
                mode = entry.mode if self._transfer.mode is None else self._transfer.mode
                await file.setstat(asyncssh.SFTPAttrs(permissions=mode))
                attrs = await file.stat()
        if attrs.size != entry.size:
            raise SizeMismatchError(f"{attrs.size} bytes stand there, {entry.size} were sent")

    async def _publish(self, temp: bytes, target: bytes) -> None:
        """Give it its name; with overwrite off, a hard link fails if the name exists."""
        if self._transfer.overwrite:
            there = await self._kind(target)
            if there == stat.S_IFDIR:
                raise IsADirectoryError(errno.EISDIR, "a directory stands at the destination")
            if there not in (None, stat.S_IFREG, stat.S_IFLNK):
                raise UnsafePathError("a device, pipe or socket stands at the destination")
            await self._client.posix_rename(temp, target)
            return
        try:
            await self._client.link(temp, target)
        except asyncssh.SFTPError as error:
            if await self._kind(target) is not None:
                raise AlreadyExistsError("the destination exists, and overwrite is off") from error
            raise
        await self._client.remove(temp)

    async def _clean(self, temp: bytes) -> None:
        with contextlib.suppress(asyncssh.Error, OSError, TimeoutError):
            async with asyncio.timeout(_CLEAN_SECONDS):
                await self._client.remove(temp)


async def _content(source: BinaryIO, size: int) -> AsyncGenerator[bytes, None]:
    """Give a file's content, which must have the size that was announced."""
    done = 0
    while chunk := await off_loop(source.read, _CHUNK):
        done += len(chunk)
        if done > size:
            break
        yield chunk
    if done != size:
        raise SizeMismatchError(f"the source changed from {size} bytes while it was read")


class _Reading(contextlib.AbstractContextManager[BinaryIO]):
    """Opens a file where it is entered: in a thread."""

    def __init__(self, path: bytes) -> None:
        self._path = path

    def __enter__(self) -> BinaryIO:
        self._file = open(self._path, "rb", buffering=0)
        return self._file

    def __exit__(self, *exc: object) -> None:
        self._file.close()
