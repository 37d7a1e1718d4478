"""What to do about an open of a session that failed: one call's, over any number of connections.

Pure: no I/O, no asyncio and no asyncssh. _link carries out what is decided here.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from transport_core import Delivery

# A refused open is asked again after 5, 10, 20 … 500 ms: sshd frees a session some
# milliseconds after the client has seen its end.
_ASK_AGAIN_FIRST = 0.005
_ASK_AGAIN_LONGEST = 0.5
_MOST_REFUSALS = 12  # 2 seconds of asking or more
_MOST_LOSSES = 3


class Answer(enum.Enum):
    """What came of asking for a session."""

    REFUSED = "no channel was opened"
    DENIED = "a channel was opened, and the request in it refused"
    GARBLED = "what answered does not speak the subsystem's protocol"
    BROKEN = "something else failed"


class Reason(enum.Enum):
    """Why a session is not asked for again."""

    LOST = "the connection was lost"
    DENIED = "the server refuses such a request"
    NO_SESSION = "the server grants no session at all"
    GARBLED = "the subsystem is not there"


@dataclass(frozen=True, slots=True)
class Redial:
    """Nothing ran: ask again on the next connection."""


@dataclass(frozen=True, slots=True)
class AskAgain:
    """Nothing ran: ask again on this connection."""

    pause: float
    """Seconds to wait before it."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Nothing ran: give this connection up, and ask again on the next."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The call fails."""

    reason: Reason
    delivery: Delivery


_FINAL = {
    Answer.DENIED: Reason.DENIED,
    Answer.GARBLED: Reason.GARBLED,
    Answer.BROKEN: Reason.LOST,
}


class Opens:
    """How often one call's open has failed, and what to do about it."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        """``jitter`` gives a random number from 0 to 1."""
        self._jitter = jitter
        self._losses = 0
        self._refusals = 0
        self._alone = 0
        self._has_left = False

    def failed(
        self, answer: Answer, *, closed: bool, sent: bool, cut: bool, live: int, served: bool
    ) -> Redial | AskAgain | Leave | GiveUp:
        """Decide on a failed open.

        Args:
            answer: How it failed.
            closed: Whether the connection has ended.
            sent: Whether the request may have reached the server.
            cut: Whether the server closed the channel of the request by itself.
            live: Sessions of ours that are open on the link, or whose request is on the wire.
            served: Whether the connection has granted sessions, and may be given up.
        """
        if sent:
            denied = answer in (Answer.REFUSED, Answer.DENIED) and not closed and not cut
            return _given_up(Reason.DENIED) if denied else GiveUp(Reason.LOST, Delivery.UNKNOWN)
        if closed:
            self._losses += 1
            return Redial() if self._losses <= _MOST_LOSSES else _given_up(Reason.LOST)
        if answer is not Answer.REFUSED:
            return _given_up(_FINAL[answer])
        self._refusals += 1
        # With none of ours open, no end of ours can free one: it is not a matter of waiting. Those
        # in a row count, since a server takes a moment to free what has just ended.
        self._alone = 0 if live else self._alone + 1
        if self._alone >= _MOST_REFUSALS:
            return self._hopeless(served=served)
        pause = min(_ASK_AGAIN_FIRST * 2.0 ** min(self._refusals - 1, 10), _ASK_AGAIN_LONGEST)
        return AskAgain(pause * (0.5 + 0.5 * self._jitter()))

    def _hopeless(self, *, served: bool) -> Leave | GiveUp:
        """Decide on a connection without a session: commands that nobody can end may hold all."""
        if not served or self._has_left:
            return _given_up(Reason.NO_SESSION)
        self._has_left, self._alone = True, 0
        return Leave()


def _given_up(reason: Reason) -> GiveUp:
    return GiveUp(reason, Delivery.NOT_SENT)
