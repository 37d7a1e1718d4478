"""A checked call of put or get, and what it has moved so far. Must not know asyncssh."""

from __future__ import annotations

from dataclasses import dataclass

from transport_core import (
    Progress,
    SourceKind,
    Symlinks,
    TransferLimitError,
    TransferResult,
)
from transport_core.authoring import Deadline, End


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What the caller asked for."""

    source: End
    destination: End
    mode: int | None
    overwrite: bool
    parents: bool
    symlinks: Symlinks
    kind: SourceKind | None
    deadline: Deadline
    progress: Progress | None
    max_bytes: int | None = None
    max_files: int | None = None

    @property
    def local(self) -> bytes:
        """The path on this side."""
        return (self.source if self.source.side == "local" else self.destination).path

    @property
    def remote(self) -> bytes:
        """The path on the other side."""
        return (self.source if self.source.side == "remote" else self.destination).path


class CallerError(Exception):
    """Carries what the caller's own progress raised past the translation of errors."""

    def __init__(self, error: Exception) -> None:
        """Hold it."""
        super().__init__()
        self.error = error


class Tally:
    """Counts files and bytes, tells progress, and enforces the limits while it counts."""

    def __init__(self, transfer: Transfer) -> None:
        """Begin at nothing."""
        self._transfer = transfer
        self.total: int | None = None
        """Bytes announced by the source; None until it is known."""
        self.entries = 0
        self.files = 0
        self.bytes = 0

    def listed(self, size: int) -> None:
        """Count one entry of the source, before it is read.

        Raises:
            TransferLimitError: There are more than ``max_files``, or more than ``max_bytes``
                are announced.
        """
        self.entries += 1
        self.total = (self.total or 0) + size
        limit = self._transfer.max_files
        if limit is not None and self.entries > limit:
            raise TransferLimitError(f"the source has more than max_files={limit} entries")
        self._check_bytes(self.total)

    @property
    def entries_left(self) -> int | None:
        """Entries that may still be listed; None without a limit."""
        limit = self._transfer.max_files
        return None if limit is None else max(0, limit - self.entries)

    def moved(self, count: int) -> None:
        """Count bytes of content, and tell the caller.

        Raises:
            TransferLimitError: More than ``max_bytes`` came.
            CallerError: The caller's progress raised.
        """
        self.bytes += count
        self._check_bytes(self.bytes)
        if self._transfer.progress is None:
            return
        try:
            self._transfer.progress(self.bytes, self.total)
        except Exception as error:
            raise CallerError(error) from error

    def _check_bytes(self, count: int) -> None:
        limit = self._transfer.max_bytes
        if limit is not None and count > limit:
            raise TransferLimitError(f"the source has more than max_bytes={limit} bytes")

    def result(self) -> TransferResult:
        """Return what was moved."""
        return TransferResult(
            files=self.files, bytes=self.bytes, seconds=self._transfer.deadline.elapsed
        )
