"""What put and get need of the other side, whatever way it is asked: over SFTP, or by ``sh``.

Every method raises OSError with an errno, or an error of the contract, and changes nothing
beyond what it says. Must not know asyncssh.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ._tree import Found

Left: TypeAlias = Callable[[bytes], asyncio.Task[None] | None]
"""Told of a temporary file that may be left; gives what removes it, if anything can now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """A file to be written."""

    content: AsyncGenerator[bytes, None]
    """Exactly ``size`` bytes, or an exception."""
    size: int
    mode: int
    overwrite: bool
    moved: Callable[[int], None]
    """Told of bytes that were taken."""


class RemoteFiles(Protocol):
    """The other side's file system."""

    at_once: int
    """Files that are worth writing at the same time."""

    async def look(self, path: bytes, *, follow: bool) -> Found | None:
        """Return what stands there, None for nothing; ``follow`` looks through a link."""
        ...

    def members(self, path: bytes, most: int | None) -> AsyncGenerator[tuple[bytes, Found], None]:
        """Give the names in a directory as the other side sends them.

        May end after ``most`` and one more.
        """
        ...

    async def link_target(self, path: bytes) -> bytes:
        """Return where a link points."""
        ...

    def read(self, path: bytes, size: int) -> AsyncGenerator[bytes, None]:
        """Give the content of a file that was announced with ``size`` bytes.

        Raises:
            SizeMismatchError: There is more.
        """
        ...

    async def put_file(self, target: bytes, new: NewFile) -> None:
        """Write a file whole and verified under its name, or leave what was there (FILE-2)."""
        ...

    async def put_link(self, target: bytes, points_to: bytes, *, overwrite: bool) -> None:
        """Make a symbolic link under its name, or leave what was there."""
        ...

    async def make_directory(self, path: bytes, *, follow: bool) -> bool:
        """Make a directory that is closed to others; False if one is there already.

        ``follow`` takes a link to a directory for one.
        """
        ...

    async def make_parents(self, path: bytes) -> None:
        """Make the directories above a path that are not there."""
        ...

    async def set_mode(self, path: bytes, mode: int) -> None:
        """Set a directory's permission bits; a setgid bit that it was given stays."""
        ...
