"""When the next login may be tried: exponential delays, jitter, a budget; pure, clock injected."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

# 0, 0.5, 1, 2, 4, … 30 seconds: the first retry is at once, since most losses are one-off.
_FIRST = 0.5
_LONGEST = 30.0
_MINUTE = 60.0


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
        self.failures = 0
        """Failed logins since the last success."""

    def delay(self) -> float:
        """Return the seconds to wait before the next login."""
        now = self._clock()
        while self._logins and now - self._logins[0] >= _MINUTE:
            self._logins.popleft()
        budget = 0.0
        if len(self._logins) >= self._per_minute:
            budget = self._logins[0] + _MINUTE - now
        return max(budget, self._retry_delay())

    def _retry_delay(self) -> float:
        if self.failures == 0:
            return 0.0
        longest: float = min(_LONGEST, _FIRST * 2.0 ** (self.failures - 1))
        return longest * (0.5 + 0.5 * self._jitter())

    def attempted(self) -> None:
        """A login is being tried."""
        self._logins.append(self._clock())

    def succeeded(self) -> None:
        """The login was let in."""
        self.failures = 0

    def failed(self) -> None:
        """The login failed."""
        self.failures += 1
