"""What a local path holds: one file, or a tree in the order in which it is to be made.

Reads the local file system, blocking: call it off the event loop. Knows no destination.
"""

from __future__ import annotations

import enum
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from ._errors import IsADirectoryTransferError, NotADirectoryTransferError, TransferError


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
    """The nine permission bits: setuid, setgid and sticky are not copied (FILE-3)."""
    target: bytes = b""
    """Where a link points."""


def scan(root: bytes, symlinks: Symlinks) -> Iterator[Entry]:
    """Yield the root, then everything below it, each directory before its members.

    The root itself is followed if it is a link: the caller named it.

    Raises:
        OSError: Something cannot be read.
        TransferError: A member is a device, socket or pipe, or links make an endless tree.
    """
    yield from _scan(root, (), symlinks, os.stat(root), frozenset())


def _scan(
    root: bytes,
    path: tuple[bytes, ...],
    symlinks: Symlinks,
    info: os.stat_result,
    above: frozenset[tuple[int, int]],
) -> Iterator[Entry]:
    full = os.path.join(root, *path)
    mode = stat.S_IMODE(info.st_mode) & 0o777
    if stat.S_ISREG(info.st_mode):
        yield Entry(path=path, kind=EntryKind.FILE, size=info.st_size, mode=mode)
    elif stat.S_ISLNK(info.st_mode):
        yield Entry(path=path, kind=EntryKind.LINK, target=os.readlink(full))
    elif stat.S_ISDIR(info.st_mode):
        here = (info.st_dev, info.st_ino)
        if here in above:
            raise TransferError("links make an endless tree", local=full)
        yield Entry(path=path, kind=EntryKind.DIRECTORY, mode=mode)
        for name in sorted(os.listdir(full)):
            member = os.path.join(full, name)
            found = os.stat(member) if symlinks is Symlinks.FOLLOW else os.lstat(member)
            yield from _scan(root, (*path, name), symlinks, found, above | {here})
    else:
        raise TransferError("neither file, directory nor link", local=full)


def require_kind(kind: str | None, *, is_tree: bool) -> None:
    """Check what the caller insisted on (FILE-4): ``"file"``, ``"tree"`` or None.

    Raises:
        TransferError: The source is the other kind; also the builtin error of that kind.
        ValueError: ``kind`` is no known kind.
    """
    if kind not in (None, "file", "tree"):
        raise ValueError(f"kind must be 'file', 'tree' or None, not {kind!r}")
    if kind == "file" and is_tree:
        raise IsADirectoryTransferError("the source is a directory, a file was insisted on")
    if kind == "tree" and not is_tree:
        raise NotADirectoryTransferError("the source is a file, a tree was insisted on")
