"""A bounded collector of bytes: keeps up to its limit, and says when it was passed; pure."""

from __future__ import annotations

import io

DEFAULT_OUTPUT_LIMIT = 64 * 1024 * 1024
"""Bytes per stream that ``run`` keeps unless told otherwise (RUN-10)."""


_MUCH = 1024 * 1024
# As it grows, a block is copied, old and new side by side, while the allocator takes it for small:
# glibc does so up to 32 MiB. So one that grows begins above that; memory that nothing was written
# to is none.
_RESERVED = 33 * 1024 * 1024


class BoundedOutput:
    """Collects chunks until ``limit`` bytes are kept; the rest is dropped."""

    __slots__ = ("_kept", "_limit", "_reserved", "exceeded")

    def __init__(self, limit: int | None) -> None:
        """Keep at most ``limit`` bytes; None keeps all."""
        self._limit = limit
        # Not a list of chunks: small ones would cost many times their size. Not a bytearray: what
        # it holds is copied to become bytes, and BytesIO gives away what it holds.
        self._kept = io.BytesIO()
        self._reserved = False
        self.exceeded = False

    def feed(self, data: bytes) -> bool:
        """Keep what fits, and return whether all of it did."""
        size = self._kept.tell()
        room = len(data) if self._limit is None else self._limit - size
        if len(data) > room:
            self.exceeded = True
            data = data[:room]
        if size > _MUCH and not self._reserved:
            self._reserve()
        self._kept.write(data)
        return not self.exceeded

    def _reserve(self) -> None:
        little, self._kept = self._kept.getvalue(), io.BytesIO(bytes(_RESERVED))
        self._kept.write(little)
        self._reserved = True

    def getvalue(self) -> bytes:
        """Return what was kept."""
        self._kept.truncate()
        return self._kept.getvalue()
