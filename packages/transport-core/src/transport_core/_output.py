"""A bounded collector of bytes: keeps up to its limit, and says when it was passed; pure."""

from __future__ import annotations

DEFAULT_OUTPUT_LIMIT = 64 * 1024 * 1024
"""Bytes per stream that ``run`` keeps unless told otherwise (RUN-10)."""


class BoundedOutput:
    """Collects chunks until ``limit`` bytes are kept; the rest is dropped."""

    __slots__ = ("_kept", "_limit", "exceeded")

    def __init__(self, limit: int | None) -> None:
        """Keep at most ``limit`` bytes; None keeps all."""
        self._limit = limit
        # Not a list of chunks: small ones would cost many times their size.
        self._kept = bytearray()
        self.exceeded = False

    def feed(self, data: bytes) -> bool:
        """Keep what fits, and return whether all of it did."""
        room = len(data) if self._limit is None else self._limit - len(self._kept)
        if len(data) > room:
            self.exceeded = True
            data = data[:room]
        self._kept += data
        return not self.exceeded

    def getvalue(self) -> bytes:
        """Return what was kept."""
        return bytes(self._kept)
