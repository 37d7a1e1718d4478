"""When a login may be tried again, by table; the clock is a number."""

import pytest
from transport_ssh._backoff import Backoff, Pause


class Clock:
    """A time that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("failures", "jitter", "seconds"),
    (
        (0, 1.0, 0.0),
        (1, 1.0, 0.5),
        (1, 0.0, 0.25),
        (2, 1.0, 1.0),
        (3, 1.0, 2.0),
        (6, 1.0, 16.0),
        (7, 1.0, 30.0),
        (7, 0.0, 15.0),
        (5000, 1.0, 30.0),
    ),
)
def test_pauses_double_up_to_half_a_minute(failures: int, jitter: float, seconds: float) -> None:
    """Jitter takes up to a half off, so that many transports do not come back at once."""
    backoff = Backoff(100, Clock(), lambda: jitter)
    for _ in range(failures):
        backoff.failed()
    pause = backoff.pause()
    assert pause.seconds == seconds
    assert bool(pause.why) == bool(failures)
    backoff.succeeded()
    assert backoff.pause() == Pause(0.0, "")


def test_the_budget_of_logins_is_kept_even_when_all_succeed() -> None:
    """Sites lock accounts that log in too often."""
    clock = Clock()
    backoff = Backoff(2, clock, lambda: 0.0)
    for _ in range(2):
        assert backoff.pause().seconds == 0
        backoff.attempted()
        backoff.succeeded()
    clock.now = 10.0
    assert backoff.pause().seconds == 50.0
    assert "logins_per_minute=2" in backoff.pause().why
    clock.now = 60.0
    assert backoff.pause().seconds == 0


def test_the_longer_of_two_pauses_counts() -> None:
    """The reason that is told is that of the longer one."""
    clock = Clock()
    backoff = Backoff(1, clock, lambda: 1.0)
    backoff.attempted()
    for _ in range(7):
        backoff.failed()
    assert backoff.pause().seconds == 60.0
    clock.now = 40.0
    backoff.failed()
    assert backoff.pause().seconds == 30.0
    clock.now = 50.0
    pause = backoff.pause()
    assert pause.seconds == 20.0
    assert pause.why.startswith("8 logins in a row")


def test_the_time_since_a_failure_counts_as_waited() -> None:
    """Who calls an hour after it does not wait at all, and is told of nothing that holds it."""
    clock = Clock()
    backoff = Backoff(100, clock, lambda: 1.0)
    for _ in range(7):
        backoff.failed()
    clock.now = 12.0
    assert backoff.pause().seconds == 18.0
    assert "the next waits 18.0 s" in backoff.pause().why
    clock.now = 3600.0
    assert backoff.pause() == Pause(0.0, "")
    backoff.failed()
    assert backoff.pause().seconds == 30.0


def test_a_refusal_is_followed_by_ten_quiet_minutes() -> None:
    """And by the pause of a failure; a login that is of use ends both."""
    clock = Clock()
    backoff = Backoff(100, clock, lambda: 1.0)
    assert backoff.quiet == 0
    backoff.refused()
    clock.now = 599.0
    assert backoff.quiet == 1.0
    clock.now = 600.0
    assert (backoff.quiet, backoff.pause().seconds) == (0, 0)
    backoff.refused()
    assert backoff.pause().seconds == 1.0
    backoff.succeeded()
    assert (backoff.quiet, backoff.pause().seconds) == (0, 0)
