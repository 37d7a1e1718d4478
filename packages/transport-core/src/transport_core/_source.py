"""What a local path holds: one file, or a tree in the order in which it is to be made.

Reads the local file system, blocking: call it off the event loop. Knows no destination.
"""

from __future__ import annotations

import enum
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ._argv import PathArg
from ._ends import End
from ._errors import (
    IsADirectoryTransferError,
    NotADirectoryTransferError,
    TransferError,
    UnsafePathError,
)


class EntryKind(enum.Enum):
    """The kinds that a transfer moves; others (devices, sockets, pipes) are refused."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"


class Symlinks(enum.Enum):
    """What becomes of symbolic links inside a tree (FILE-8)."""

    KEEP = "keep"
    FOLLOW = "follow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One member of a source."""

    path: tuple[bytes, ...]
    """Names below the root; empty for the root itself."""
    kind: EntryKind
    size: int = 0
    """Bytes announced; of files only."""
    mode: int = 0
    """The nine permission bits; setuid, setgid and sticky are not copied (FILE-3)."""
    target: bytes = b""
    """Where a link points."""


def scan(root: bytes, symlinks: Symlinks, *, end: End | None = None) -> Iterator[Entry]:
    """Yield the root, then everything below it, each directory before its members.

    The root itself is followed if it is a link: the caller named it.

    Args:
        root: Where it is.
        symlinks: What becomes of links.
        end: What errors call it; None for the local source ``root``.

    Raises:
        TransferError: Something cannot be read, or links make an endless tree.
        UnsafePathError: A member is a device, socket or pipe.
    """
    end = end or End("local", "source", root)
    # A stack and no recursion: a path of 4096 bytes can be 2000 directories deep. Of each level
    # the paths to come, and what lies above them.
    levels: list[tuple[Iterator[tuple[bytes, ...]], frozenset[tuple[int, int]]]]
    levels = [(iter([()]), frozenset())]
    while levels:
        paths, above = levels[-1]
        path = next(paths, None)
        if path is None:
            levels.pop()
            continue
        full = os.path.join(root, *path)
        follow = not path or symlinks is Symlinks.FOLLOW
        with end.at(path):
            info = os.stat(full, follow_symlinks=follow)
            entry = _entry(full, path, info)
            here = (info.st_dev, info.st_ino)
            if here in above and entry.kind is EntryKind.DIRECTORY:
                raise TransferError("links make an endless tree")
        yield entry
        if entry.kind is EntryKind.DIRECTORY:
            with end.at(path):
                names = sorted(os.listdir(full))
            levels.append((_below(path, names), above | {here}))


def _below(path: tuple[bytes, ...], names: list[bytes]) -> Iterator[tuple[bytes, ...]]:
    """Give the paths in a directory one by one: its names are all that is kept of it."""
    return ((*path, name) for name in names)


def _entry(full: bytes, path: tuple[bytes, ...], info: os.stat_result) -> Entry:
    mode = stat.S_IMODE(info.st_mode) & 0o777
    if stat.S_ISREG(info.st_mode):
        return Entry(path=path, kind=EntryKind.FILE, size=info.st_size, mode=mode)
    if stat.S_ISLNK(info.st_mode):
        return Entry(path=path, kind=EntryKind.LINK, target=os.readlink(full))
    if stat.S_ISDIR(info.st_mode):
        return Entry(path=path, kind=EntryKind.DIRECTORY, mode=mode)
    raise UnsafePathError("a device, pipe or socket is no source")


def open_source(path: PathArg, *, follow: bool = True) -> BinaryIO:
    """Open a file for reading, unbuffered; a pipe without a writer is not waited for.

    What it is may be asked of the open file: it cannot be replaced any more.

    Args:
        path: Where it is.
        follow: Whether a link in its last part is followed.

    Raises:
        OSError: It cannot be opened, or is a directory.
    """

    # The file object owns what an opener gives, and closes it if it is a directory.
    def opener(name: PathArg, flags: int) -> int:
        flags |= os.O_NONBLOCK | os.O_NOCTTY | (0 if follow else os.O_NOFOLLOW)
        return os.open(name, flags | os.O_CLOEXEC)

    return open(path, "rb", buffering=0, opener=opener)


def check_kind(kind: str | None) -> None:
    """Check the option before anything is looked at.

    Raises:
        ValueError: ``kind`` is neither ``"file"`` nor ``"tree"`` nor None.
    """
    if kind not in (None, "file", "tree"):
        raise ValueError(f"kind must be 'file', 'tree' or None, not {kind!r}")


def require_kind(kind: str | None, *, is_tree: bool) -> None:
    """Check what the caller insisted on (FILE-4): ``"file"``, ``"tree"`` or None.

    Raises:
        TransferError: The source is the other kind; also the builtin error of that kind.
        ValueError: ``kind`` is no known kind.
    """
    check_kind(kind)
    if kind == "file" and is_tree:
        raise IsADirectoryTransferError("the source is a directory, a file was insisted on")
    if kind == "tree" and not is_tree:
        raise NotADirectoryTransferError("the source is a file, a tree was insisted on")
