"""What one connection does next: needs and news in, decisions out.

Pure: no I/O, no asyncio and no asyncssh; the clock is _backoff's. _link carries out what is
decided here, and reports what came of it.
"""

from __future__ import annotations

import copy
import enum
from dataclasses import dataclass

from transport_core import AuthenticationError, TransportClosedError, TransportError

from ._backoff import Backoff


class Phase(enum.Enum):
    """What there is."""

    IDLE = "no connection"
    DIALLING = "a dial under way"
    OPEN = "a connection"
    CLOSED = "closed for good"


@dataclass(frozen=True, slots=True)
class Use:
    """The connection stands."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A dial is under way, and serves all who wait for it."""


@dataclass(frozen=True, slots=True)
class Dial:
    """Dial, and report back under this number."""

    number: int
    attempt: int
    """1 for the first try after a loss."""
    delay: float
    """Seconds to wait before it."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The call fails at once."""

    error: TransportError


@dataclass(frozen=True, slots=True)
class Loss:
    """How a connection ended."""

    hop: str
    """The first hop that was heard to end: those behind it end with it."""
    reason: str


class LinkState:
    """The states of one link; at most one dial is under way, and closed is final."""

    def __init__(self, backoff: Backoff, name: str) -> None:
        """``name`` is the transport's, for errors."""
        self.phase = Phase.IDLE
        self.held: str | None = None
        """What a dial that waits is waiting for, for people."""
        self.loss: Loss | None = None
        """How the latest connection ended; None while it has not."""
        self._backoff = backoff
        self._name = name
        self._number = 0
        self._attempt = 0
        self._served = False
        self._refusal: AuthenticationError | None = None

    def needed(self) -> Use | Wait | Dial | Refuse:
        """A call needs the connection.

        A login that the server refused is not tried again for some minutes, whoever calls: each
        refusal brings the account nearer to being locked.
        """
        if self.phase is Phase.CLOSED:
            return Refuse(TransportClosedError("the transport was closed", transport=self._name))
        if self.phase is Phase.OPEN:
            return Use()
        if self.phase is Phase.DIALLING:
            return Wait()
        if self._refusal is not None and self._backoff.quiet:
            return Refuse(_refused_before(self._refusal, self._backoff.quiet))
        return self._next()

    def _next(self) -> Dial:
        pause = self._backoff.pause()
        self.phase, self.loss, self._refusal = Phase.DIALLING, None, None
        self.held = pause.why or None
        self._number += 1
        self._attempt += 1
        return Dial(self._number, self._attempt, pause.seconds)

    def begun(self) -> None:
        """The delay is over, and the login is being tried."""
        self.held = None
        self._backoff.attempted()

    def dialled(self, number: int) -> bool:
        """Note that a dial succeeded; return whether it is to be used, else it is to be cut."""
        if not self._current(number, Phase.DIALLING):
            return False
        self._served = False
        if self.loss is not None:
            self._ended()
            return False
        self.phase, self._attempt = Phase.OPEN, 0
        return True

    def failed(self, number: int, error: BaseException) -> None:
        """Note that a dial failed; who waited for it gets the error, and nobody dials again."""
        if not self._current(number, Phase.DIALLING):
            return
        self.phase, self.held = Phase.IDLE, None
        # A callback that failed has been refused by nobody, and nothing was given to the server.
        if isinstance(error, AuthenticationError) and error.tried:
            self._refusal = error
            self._backoff.refused()
        else:
            self._backoff.failed()

    def lost(self, number: int, loss: Loss) -> bool:
        """Note that a hop has ended; return whether that ends the connection in use.

        What is heard of an older connection, or of one that ended already, ends nothing.
        """
        if self._current(number, Phase.DIALLING):
            self.loss = self.loss or loss
        if not self._current(number, Phase.OPEN):
            return False
        self.loss = loss
        self._ended()
        return True

    def served(self) -> None:
        """A session was opened: the login was of use."""
        self._served = True
        self._backoff.succeeded()

    @property
    def has_served(self) -> bool:
        """Whether a session was opened on the connection in use."""
        return self._served

    def left(self) -> None:
        """Note that the connection in use is given up, since another one is of more use."""
        self.phase = Phase.IDLE

    def close(self) -> None:
        """Note that no call is to be served any more."""
        self.phase, self.held = Phase.CLOSED, None

    def _ended(self) -> None:
        self.phase = Phase.IDLE
        if not self._served:
            # Let in and thrown out, again and again, must not become a storm of logins.
            self._backoff.failed()

    def _current(self, number: int, phase: Phase) -> bool:
        return number == self._number and self.phase is phase


def _refused_before(refusal: AuthenticationError, seconds: float) -> AuthenticationError:
    """Return the refusal for a call that came after it."""
    error = copy.copy(refusal)
    error.__cause__ = refusal
    error.hint = (
        f"{refusal.hint}; this transport does not log in again for {seconds:.0f} s, "
        "lest the account be locked: close and open it once that is mended"
    )
    return error
