"""A bounded collector of bytes: keeps up to its limit, and says when it was passed; pure."""

from __future__ import annotations

import io

DEFAULT_OUTPUT_LIMIT = 64 * 1024 * 1024
"""Bytes per stream that ``run`` keeps unless told otherwise (RUN-10)."""


class BoundedOutput:
    """Collects chunks until ``limit`` bytes are kept; the rest is dropped."""

    __slots__ = ("_kept", "_limit", "exceeded")

    def __init__(self, limit: int | None) -> None:
        """Keep at most ``limit`` bytes; None keeps all."""
        self._limit = limit
        # Not a list of chunks: small ones would cost many times their size. Not a bytearray: what
        # it holds is copied to become bytes, and BytesIO gives away what it holds.
        self._kept = io.BytesIO()
        self.exceeded = False

    def feed(self, data: bytes) -> bool:
        """Keep what fits, and return whether all of it did."""
        room = len(data) if self._limit is None else self._limit - self._kept.tell()
        if len(data) > room:
            self.exceeded = True
            data = data[:room]
        self._kept.write(data)
        return not self.exceeded

    def getvalue(self) -> bytes:
        """Return what was kept."""
        return self._kept.getvalue()
