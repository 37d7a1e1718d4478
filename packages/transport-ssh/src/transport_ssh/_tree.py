"""What becomes of each entry of a transfer: kinds, destinations, names, depth; pure.

Whatever way the files go, what is refused and as which error is decided here. Must not know
asyncssh, nor how anything is asked of the other side.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

from transport_core import AlreadyExistsError, TransferError, UnsafePathError
from transport_core.authoring import Entry, EntryKind, check_member, temp_name

# A server may nest without end; what it shows from a real file system keeps to PATH_MAX.
_DEEPEST = 256
_LONGEST = 4096
# The least that a system follows in one path is 32, and what is no loop has a few.
_MOST_LINKS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What stands at a remote path."""

    kind: EntryKind | None
    """None for a device, a socket or a pipe."""
    size: int = 0
    mode: int = 0
    """The nine permission bits."""
    target: bytes | None = None
    """Where a link points; None if that has to be asked for."""


def below(root: bytes, path: tuple[bytes, ...]) -> bytes:
    """Return the remote path of a member of a tree."""
    return b"/".join((root.rstrip(b"/"), *path)) if path else root


def parent_of(path: bytes) -> bytes:
    """Return the directory that holds a path; ``.`` for a relative name."""
    trimmed = path.rstrip(b"/")
    if b"/" not in trimmed:
        return b"/" if path.startswith(b"/") else b"."
    return trimmed.rpartition(b"/")[0].rstrip(b"/") or b"/"


def temp_beside(path: bytes) -> bytes:
    """Return a temporary name in the directory of a path, so that a rename is enough (FILE-2)."""
    folder, slash, _ = path.rpartition(b"/")
    return folder + slash + temp_name()


def entry_of(path: tuple[bytes, ...], found: Found) -> Entry:
    """Return what was found as an entry of the source.

    Raises:
        UnsafePathError: It is neither file, directory nor link.
    """
    if found.kind is None:
        raise UnsafePathError("a device, pipe or socket is no source")
    if found.kind is EntryKind.LINK:
        return Entry(path=path, kind=found.kind, target=found.target or b"")
    size = found.size if found.kind is EntryKind.FILE else 0
    return Entry(path=path, kind=found.kind, size=size, mode=found.mode)


def missing(parent: Found | None) -> OSError:
    """Return the error for a source of which nothing stands there."""
    if parent is not None and parent.kind is not EntryKind.DIRECTORY:
        return NotADirectoryError(errno.ENOTDIR, "what should hold it is no directory")
    return FileNotFoundError(errno.ENOENT, "nothing stands there")


def check_depth(path: tuple[bytes, ...], remote: bytes, links: int) -> None:
    """Check that a directory is not nested without end.

    ``remote`` is its whole path, and ``links`` were followed in it.

    Raises:
        TransferError: It is too deep.
    """
    if links > _MOST_LINKS:
        raise TransferError("links make an endless tree")
    if len(path) >= _DEEPEST or len(remote) >= _LONGEST:
        raise TransferError(
            f"the source is nested deeper than {_DEEPEST} directories or {_LONGEST} bytes"
        )


class Listing:
    """The names of one remote directory, each a plain name and there once."""

    def __init__(self) -> None:
        """Begin with none."""
        self._seen: set[bytes] = set()

    def admits(self, name: bytes) -> bool:
        """Return whether the next name is a member; ``.`` and ``..`` are none, and come once.

        Raises:
            UnsafePathError: It is no plain name, or came before.
        """
        if name in self._seen:
            raise UnsafePathError("the remote names one entry twice")
        self._seen.add(name)
        return name not in (b".", b"..") and bool(check_member(name))


def check_destination(there: Found | None, path: bytes, *, is_tree: bool, overwrite: bool) -> None:
    """Check what stands at the destination before anything is written (FILE-1, FILE-4).

    Raises:
        AlreadyExistsError: Something, and ``overwrite`` is off.
        OSError: It is of the other kind, or a file is named as a directory.
    """
    if there is None:
        if not is_tree and path.endswith(b"/"):
            raise IsADirectoryError(errno.EISDIR, "it is named as a directory")
        return
    if not overwrite:
        raise AlreadyExistsError("the destination exists, and overwrite is off")
    if is_tree:
        check_directory(there)
    else:
        check_replaceable(there)


def check_directory(there: Found) -> None:
    """Check that what stands where a directory is needed is one.

    Raises:
        NotADirectoryError: It is not.
    """
    if there.kind is not EntryKind.DIRECTORY:
        raise NotADirectoryError(errno.ENOTDIR, "something else stands where a directory is needed")


def check_replaceable(there: Found | None) -> None:
    """Check that a file or link may take the place of what stands under its name.

    Raises:
        IsADirectoryError: A directory does.
        UnsafePathError: A device, socket or pipe does.
    """
    if there is not None and there.kind is None:
        raise UnsafePathError("a device, pipe or socket stands at the destination")
    if there is not None and there.kind is EntryKind.DIRECTORY:
        raise IsADirectoryError(errno.EISDIR, "a directory stands there")
