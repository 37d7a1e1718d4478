"""The other side's files over SFTP: single requests, many on the way at once.

What is done in which order is in _put and _get.
"""

from __future__ import annotations

import asyncio
import contextlib
import stat
from collections.abc import AsyncGenerator, AsyncIterator
from typing import cast

import asyncssh
from asyncssh.constants import FXF_CREAT, FXF_EXCL, FXF_READ, FXF_WRITE
from transport_core import (
    AlreadyExistsError,
    Delivery,
    SizeMismatchError,
    UnsupportedOperationError,
)
from transport_core.authoring import EntryKind, finish

from . import _tree
from ._blocks import block_size, opened, read_blocks, write_blocks
from ._file_errors import raise_explained
from ._remote import Left, NewFile
from ._translate import LOST
from ._tree import Found

_CLEAN_SECONDS = 2.0
_KINDS = {
    stat.S_IFREG: EntryKind.FILE,
    stat.S_IFDIR: EntryKind.DIRECTORY,
    stat.S_IFLNK: EntryKind.LINK,
}


class SFTPFiles:
    """RemoteFiles over one SFTP session."""

    at_once = 16

    def __init__(self, client: asyncssh.SFTPClient, left: Left) -> None:
        """Do no I/O; ``left`` is told of a temporary file that the loss of the connection left."""
        self._client = client
        self._left = left

    async def look(self, path: bytes, *, follow: bool) -> Found | None:
        """See RemoteFiles."""
        async with self._explaining(path):
            try:
                ask = self._client.stat if follow else self._client.lstat
                return _found(await ask(path))
            except asyncssh.SFTPNoSuchFile:
                return None

    @contextlib.asynccontextmanager
    async def _explaining(self, path: bytes) -> AsyncIterator[None]:
        """Turn an answer that says little into what it was about."""
        try:
            yield
        except LOST:
            raise
        except asyncssh.SFTPError as error:
            await raise_explained(self._client, error, path)

    async def members(
        self, path: bytes, most: int | None
    ) -> AsyncGenerator[tuple[bytes, Found], None]:
        """See RemoteFiles; a listing comes in parts, so that nothing has to be cut off."""
        del most
        listing = cast(AsyncGenerator[asyncssh.SFTPName, None], self._client.scandir(path))
        async with self._explaining(path), contextlib.aclosing(listing) as names:
            async for each in names:
                name = cast(bytes, each.filename)
                yield name, await self._attributes(path, name, each.attrs)

    async def _attributes(self, path: bytes, name: bytes, attrs: asyncssh.SFTPAttrs) -> Found:
        if attrs.permissions is None:
            attrs = await self._client.lstat(_tree.below(path, (name,)))
        return _found(attrs)

    async def link_target(self, path: bytes) -> bytes:
        """See RemoteFiles."""
        async with self._explaining(path):
            return await self._client.readlink(path)

    async def read(self, path: bytes, size: int) -> AsyncGenerator[bytes, None]:
        """See RemoteFiles."""
        async with self._explaining(path), opened(self._client, path, FXF_READ) as file:
            blocks = read_blocks(file, block_size(self._client), size)
            async with contextlib.aclosing(blocks):
                async for block in blocks:
                    yield block
            if await file.read(1, size):
                raise SizeMismatchError(f"more than the announced {size} bytes came")

    async def put_file(self, target: bytes, new: NewFile) -> None:
        """See RemoteFiles."""
        async with self._temporary(target) as temp:
            await self._write(temp, new)
            await self._publish(temp, target, overwrite=new.overwrite)

    async def put_link(self, target: bytes, points_to: bytes, *, overwrite: bool) -> None:
        """See RemoteFiles."""
        async with self._temporary(target) as temp:
            await self._client.symlink(points_to, temp)
            await self._publish(temp, target, overwrite=overwrite)

    @contextlib.asynccontextmanager
    async def _temporary(self, target: bytes) -> AsyncIterator[bytes]:
        """Give a name beside the target, of which nothing is left after a failure."""
        temp = _tree.temp_beside(target)
        try:
            # Before it is removed: it may be what fills the disk.
            async with self._explaining(target):
                yield temp
        except BaseException:
            await finish(self._clean(temp))
            raise

    async def _write(self, temp: bytes, new: NewFile) -> None:
        flags = FXF_WRITE | FXF_CREAT | FXF_EXCL
        # Readable to nobody else until it has its mode (FILE-3).
        private = asyncssh.SFTPAttrs(permissions=0o600)
        async with opened(self._client, temp, flags, private) as file:
            await write_blocks(file, block_size(self._client), new.content, new.moved)
            await file.setstat(asyncssh.SFTPAttrs(permissions=new.mode))
            attrs = await file.stat()
        if attrs.size != new.size:
            raise SizeMismatchError(f"{attrs.size} bytes stand there, {new.size} were sent")

    async def _publish(self, temp: bytes, target: bytes, *, overwrite: bool) -> None:
        """Give it its name; with overwrite off, nothing that exists is replaced."""
        if not overwrite:
            taken = AlreadyExistsError("the destination exists, and overwrite is off")
            await self._name(temp, target, taken)
            return
        _tree.check_replaceable(await self.look(target, follow=False))
        try:
            await self._client.posix_rename(temp, target)
        except asyncssh.SFTPOpUnsupported:
            await self._name(temp, target, _cannot_replace())

    async def _name(self, temp: bytes, target: bytes, taken: Exception) -> None:
        """Give it a name that is free, or raise ``taken``."""
        try:
            both = await self._linked(temp, target)
        except asyncssh.SFTPError as error:
            if await self.look(target, follow=False) is not None:
                raise taken from error
            raise
        if both:
            await self._client.remove(temp)

    async def _linked(self, temp: bytes, target: bytes) -> bool:
        """Give it a name that is free, and return whether it has the old one too."""
        try:
            await self._client.link(temp, target)
        except asyncssh.SFTPOpUnsupported:
            # Like a hard link, the plain rename of version 3 fails if the name exists.
            await self._client.rename(temp, target)
            return False
        return True

    async def _clean(self, temp: bytes) -> None:
        try:
            async with asyncio.timeout(_CLEAN_SECONDS):
                await self._client.remove(temp)
        except (*LOST, TimeoutError):
            self._left(temp)
        except (asyncssh.Error, OSError):
            pass  # it was never made, or has its name already

    async def make_directory(self, path: bytes, *, follow: bool) -> bool:
        """See RemoteFiles."""
        try:
            await self._client.mkdir(path, asyncssh.SFTPAttrs(permissions=0o700))
        except LOST:
            raise
        except asyncssh.SFTPError as error:
            there = await self.look(path, follow=follow)
            if there is None:
                await raise_explained(self._client, error, path)
            _tree.check_directory(there)
            return False
        return True

    async def make_parents(self, path: bytes) -> None:
        """See RemoteFiles."""
        missing: list[bytes] = []
        parent = _tree.parent_of(path)
        while parent not in (b"/", b".") and await self.look(parent, follow=True) is None:
            missing.append(parent)
            parent = _tree.parent_of(parent)
        for each in reversed(missing):
            await self._make_parent(each)

    async def _make_parent(self, path: bytes) -> None:
        try:
            await self._client.mkdir(path)
        except asyncssh.SFTPError as error:
            # Another call may have made it meanwhile; or a link stands there that leads nowhere.
            there = await self.look(path, follow=True) or await self.look(path, follow=False)
            if there is None:
                await raise_explained(self._client, error, path)
            _tree.check_directory(there)

    async def set_mode(self, path: bytes, mode: int) -> None:
        """See RemoteFiles."""
        async with self._explaining(path):
            given = (await self._client.stat(path)).permissions or 0
            await self._client.chmod(path, mode | (given & stat.S_ISGID))


def _cannot_replace() -> UnsupportedOperationError:
    return UnsupportedOperationError(
        "the server cannot replace a file in one step: its SFTP lacks posix-rename@openssh.com",
        delivery=Delivery.FINISHED,
        hint="files='exec' goes by sh, where commands are allowed; or remove the old file before",
    )


def _found(attrs: asyncssh.SFTPAttrs) -> Found:
    bits = attrs.permissions or 0
    return Found(
        kind=_KINDS.get(stat.S_IFMT(bits)), size=attrs.size or 0, mode=stat.S_IMODE(bits) & 0o777
    )
