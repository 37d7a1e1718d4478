"""When the next login may be tried: exponential delays, jitter, a budget; pure, clock injected."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

# 0, 0.5, 1, 2, 4, … 30 seconds: the first retry is at once, since most losses are one-off.
_FIRST = 0.5
_LONGEST = 30.0
_MINUTE = 60.0
# Sites lock an account, or ban an address, after three to five refused logins within 10 or
# 15 minutes (defaults of pam_faillock and fail2ban), so one transport causes two at the most.
_QUIET = 600.0


@dataclass(frozen=True, slots=True)
class Pause:
    """How long the next login has to wait."""

    seconds: float
    why: str
    """What holds it back, for people; empty if nothing does."""


class Backoff:
    """Counts failed and made logins of one transport."""

    def __init__(
        self,
        per_minute: int,
        clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        """``jitter`` gives a random number from 0 to 1."""
        self._per_minute = per_minute
        self._clock = clock
        self._jitter = jitter
        self._logins: deque[float] = deque()
        self._refused_at: float | None = None
        self._failures = 0
        self._failed_at = 0.0

    def pause(self) -> Pause:
        """Return what to wait for before the next login."""
        budget, retry = self._budget_delay(), self._retry_delay()
        if budget > retry:
            return Pause(
                budget,
                f"logins_per_minute={self._per_minute} holds the next login back for"
                f" {budget:.1f} s; raise it if the site allows more",
            )
        if retry:
            return Pause(
                retry,
                f"{self._failures} logins in a row came to nothing; the next waits {retry:.1f} s",
            )
        return Pause(0.0, "")

    def _budget_delay(self) -> float:
        now = self._clock()
        while self._logins and now - self._logins[0] >= _MINUTE:
            self._logins.popleft()
        if len(self._logins) < self._per_minute:
            return 0.0
        return self._logins[0] + _MINUTE - now

    def _retry_delay(self) -> float:
        if self._failures == 0:
            return 0.0
        longest: float = min(_LONGEST, _FIRST * 2.0 ** min(self._failures - 1, 10))
        since = self._clock() - self._failed_at
        return max(0.0, longest * (0.5 + 0.5 * self._jitter()) - since)

    @property
    def quiet(self) -> float:
        """Seconds for which no login may be tried at all, since one was refused."""
        if self._refused_at is None:
            return 0.0
        return max(0.0, self._refused_at + _QUIET - self._clock())

    def attempted(self) -> None:
        """A login is being tried."""
        self._logins.append(self._clock())

    def succeeded(self) -> None:
        """The login was of use."""
        self._failures = 0
        self._refused_at = None

    def failed(self) -> None:
        """The login came to nothing."""
        self._failures += 1
        self._failed_at = self._clock()

    def refused(self) -> None:
        """The server did not accept who we say we are."""
        self.failed()
        self._refused_at = self._clock()
