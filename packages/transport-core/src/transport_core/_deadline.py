"""One deadline a call: all waiting is charged to it; pure, the clock is injected."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


def check_timeout(timeout: float | None, what: str = "timeout") -> float | None:
    """Return a timeout in seconds, None for no limit (infinity counts as none).

    Raises:
        TypeError: It is no number.
        ValueError: It is not greater than 0, or not a number (NaN).
    """
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"{what} must be a number of seconds, not {type(timeout).__name__}")
    try:
        seconds = float(timeout)
    except OverflowError:  # an int beyond every float
        seconds = math.inf if timeout > 0 else -math.inf
    if math.isnan(seconds) or seconds <= 0:
        raise ValueError(f"{what} must be greater than 0 seconds, and is {seconds}")
    return None if math.isinf(seconds) else seconds


class Deadline:
    """When a call has to be over."""

    __slots__ = ("_at", "_clock", "_started", "timeout")

    def __init__(self, timeout: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the deadline now; ``timeout`` in seconds as for ``check_timeout``."""
        self.timeout = check_timeout(timeout)
        self._clock = clock
        self._started = clock()
        self._at = None if self.timeout is None else self._started + self.timeout

    @property
    def elapsed(self) -> float:
        """Seconds since the call began."""
        return self._clock() - self._started

    @property
    def remaining(self) -> float | None:
        """Seconds left, never negative; None without limit."""
        return None if self._at is None else max(0.0, self._at - self._clock())

    @property
    def expired(self) -> bool:
        """Whether no time is left."""
        return self.remaining == 0.0
