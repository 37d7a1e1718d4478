"""Who may open a session now: a fair queue and a learned limit; decides, does no I/O (RUN-13).

A server refuses sessions beyond its MaxSessions, and frees one only some time after the client
has seen its end, so a refusal is ordinary: the open ran nothing and is asked again.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol


class Turn(Protocol):
    """What a waiting call is told through; an asyncio.Future fits."""

    def done(self) -> bool:
        """Whether it was told, or has given up."""
        ...

    def set_result(self, result: None, /) -> None:
        """Tell it that it may go on."""
        ...


# Grants without a refusal after which one session more is tried.
_GROW_AFTER = 50


class Sessions:
    """Counts sessions in use, and lets waiting calls go in their order."""

    def __init__(self, limit: int) -> None:
        """Begin with ``limit`` sessions at once, optimistically; never more."""
        self._ceiling = limit
        # Ordered, and any of them leaves in no time, however many wait.
        self._waiting: OrderedDict[Turn, None] = OrderedDict()
        self._calm = 0
        self.limit = limit
        self.used = 0

    @property
    def waiting(self) -> int:
        """Calls that wait."""
        return len(self._waiting)

    def try_take(self) -> bool:
        """Take a session if one is free and nobody waits."""
        if self.used < self.limit and not self._waiting:
            self.used += 1
            return True
        return False

    def wait(self, turn: Turn) -> None:
        """Queue up; the turn's result is set when a session was taken for it."""
        self._waiting[turn] = None

    def leave(self, turn: Turn) -> None:
        """A turn that waits has given up."""
        self._waiting.pop(turn, None)

    def give_back(self) -> None:
        """A session has ended: it goes to the first who waits."""
        self.used -= 1
        self._serve()

    def refused(self) -> int:
        """The server refused an open: return the limit learned from it.

        The call keeps its turn and asks again, so it does not count among those that work.
        """
        self._calm = 0
        self.limit = max(1, min(self.limit, self.used - 1))
        return self.limit

    def granted(self) -> None:
        """The server granted an open; after many, one more is tried."""
        self._calm += 1
        if self._calm >= _GROW_AFTER and self.limit < self._ceiling:
            self._calm = 0
            self.limit += 1
            self._serve()

    def _serve(self) -> None:
        while self._waiting and self.used < self.limit:
            turn, _ = self._waiting.popitem(last=False)
            if not turn.done():
                self.used += 1
                turn.set_result(None)
