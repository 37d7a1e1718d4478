"""Copies a file or tree to exactly one name, blocking: made for a thread, stopped by a flag.

Must not know asyncio, nor which of the two sides is called remote.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from transport_core import (
    Progress,
    SizeMismatchError,
    SourceKind,
    Symlinks,
    TransferError,
    TransferLimitError,
    UnsafePathError,
)
from transport_core.authoring import (
    End,
    Entry,
    EntryKind,
    Landing,
    open_source,
    require_kind,
    scan,
)

_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyOrder:
    """A checked call of put or get."""

    source: bytes
    source_end: End
    target: bytes
    target_end: End
    mode: int | None
    overwrite: bool
    parents: bool
    symlinks: Symlinks
    kind: SourceKind | None
    links_stay_inside: bool
    """Refuse links that lead out of the tree: for trees of the other side (FILE-8)."""
    max_bytes: int | None = None
    max_files: int | None = None


class HaltedError(Exception):
    """The copy was told to stop; never leaves this distribution."""


class Copying:
    """One copy under way."""

    def __init__(self, order: CopyOrder, tell: Progress | None) -> None:
        """Prepare; ``tell`` is called in the copying thread, and may raise to stop it."""
        self._order = order
        self._tell = tell
        self._halted = threading.Event()
        self._buffer = memoryview(b"")
        self._listed = 0
        self._entries = 0
        self._total: int | None = None
        self.files = 0
        self.bytes = 0

    @property
    def is_halted(self) -> bool:
        """Whether it was told to stop."""
        return self._halted.is_set()

    def halt(self) -> None:
        """Make it stop at the next chunk or entry; called from any thread."""
        self._halted.set()

    def work(self) -> None:
        """Copy all of it.

        Raises:
            TransferError, OSError: It failed; no partial file is left.
            HaltedError: ``halt`` was called.
        """
        order = self._order
        entries = self._entries_of(order)
        root = next(entries)
        is_tree = root.kind is EntryKind.DIRECTORY
        with order.source_end.at():
            require_kind(order.kind, is_tree=is_tree)
        if is_tree:
            _refuse_nesting(order)
        if self._tell is not None:
            self._total = self._announced(order) if is_tree else root.size
        with order.target_end.at():
            landing = Landing(order.target, overwrite=order.overwrite, parents=order.parents)
        with landing:
            for entry in itertools.chain((root,), entries):
                self._count(entry)
                with order.target_end.at(entry.path):
                    self._member(landing, entry)
            with order.target_end.at():
                landing.finish()

    def _entries_of(self, order: CopyOrder) -> Iterator[Entry]:
        for entry in scan(order.source, order.symlinks, end=order.source_end):
            self._check()
            yield entry

    def _announced(self, order: CopyOrder) -> int:
        return sum(entry.size for entry in self._entries_of(order))

    def _check(self) -> None:
        if self._halted.is_set():
            raise HaltedError

    def _count(self, entry: Entry) -> None:
        self._entries += 1
        self._listed += entry.size
        limit = self._order.max_files
        if limit is not None and self._entries > limit:
            raise TransferLimitError(f"the source has more than max_files={limit} entries")
        limit = self._order.max_bytes
        if limit is not None and self._listed > limit:
            raise TransferLimitError(f"the source has more than max_bytes={limit} bytes")

    def _member(self, landing: Landing, entry: Entry) -> None:
        if entry.kind is EntryKind.DIRECTORY:
            landing.make_directory(entry.path, entry.mode)
        elif entry.kind is EntryKind.LINK:
            landing.make_link(entry.path, entry.target, inside=self._order.links_stay_inside)
        else:
            self._file(landing, entry)

    def _file(self, landing: Landing, entry: Entry) -> None:
        mode = entry.mode if self._order.mode is None else self._order.mode
        with (
            self._opened(entry) as source,
            landing.new_file(entry.path, size=entry.size, mode=mode) as file,
        ):
            self._pump(source, file, entry)
            self._told()
        self.files += 1

    @contextlib.contextmanager
    def _opened(self, entry: Entry) -> Generator[BinaryIO, None, None]:
        """Open a source file, which may have become something else since it was listed."""
        path = os.path.join(self._order.source, *entry.path)
        follow = not entry.path or self._order.symlinks is Symlinks.FOLLOW
        with contextlib.ExitStack() as stack:
            with self._order.source_end.at(entry.path):
                file = stack.enter_context(open_source(path, follow=follow))
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise UnsafePathError("a file of the source was replaced while it was read")
            yield file

    def _pump(self, source: BinaryIO, file: BinaryIO, entry: Entry) -> None:
        left = entry.size
        if left and len(self._buffer) < min(left, _CHUNK):
            self._buffer = memoryview(bytearray(min(left, _CHUNK)))
        while left:
            self._check()
            with self._order.source_end.at(entry.path):
                count = os.readv(source.fileno(), [self._buffer[: min(left, _CHUNK)]])
            if not count:
                break  # the Landing tells that it shrank
            _write(file, self._buffer[:count])
            left -= count
            self.bytes += count
            if left:
                self._told()
        with self._order.source_end.at(entry.path):
            if not left and os.read(source.fileno(), 1):
                raise SizeMismatchError(f"the source grew beyond the announced {entry.size} bytes")

    def _told(self) -> None:
        self._check()
        if self._tell is not None:
            self._tell(self.bytes, self._total)
            self._check()  # progress may have cancelled its own call


def _write(file: BinaryIO, data: memoryview) -> None:
    while data:
        data = data[file.write(data) :]


def _refuse_nesting(order: CopyOrder) -> None:
    """Refuse a tree into itself: it would find what it makes, without end."""
    source = os.path.realpath(order.source)
    target = os.path.realpath(order.target)
    if target != source and target.startswith(source.rstrip(b"/") + b"/"):
        raise TransferError("the destination lies inside the source")
