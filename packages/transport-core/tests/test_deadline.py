"""One deadline a call, with a clock of the test's."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transport_core.authoring import Deadline, check_timeout


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@given(st.floats(1e-3, 1e6), st.lists(st.floats(0, 1e5), max_size=5))
def test_what_is_left_and_what_went_by_add_up(timeout: float, steps: list[float]) -> None:
    clock = Clock()
    deadline = Deadline(timeout, clock)
    for step in steps:
        clock.now += step
    left = deadline.remaining
    assert left is not None
    assert left == pytest.approx(max(0.0, timeout - deadline.elapsed), abs=1e-6)
    assert deadline.expired == (left == 0.0)


def test_without_a_timeout_it_never_expires() -> None:
    clock = Clock()
    deadline = Deadline(None, clock)
    clock.now += 1e9
    assert (deadline.remaining, deadline.expired, deadline.elapsed) == (None, False, 1e9)


@given(st.one_of(st.none(), st.floats(), st.integers(), st.booleans(), st.text()))
def test_a_timeout_is_none_or_positive_seconds_or_refused(timeout: Any) -> None:
    try:
        checked = check_timeout(timeout)
    except (TypeError, ValueError):
        return
    assert checked is None or 0 < checked < math.inf


@pytest.mark.parametrize("timeout", [0, -1, -0.0, math.nan, -math.inf, -(10**400)])
def test_no_time_is_refused(timeout: float) -> None:
    with pytest.raises(ValueError, match="wait must be greater than 0"):
        check_timeout(timeout, "wait")


@pytest.mark.parametrize("timeout", [True, "1", b"2", [1]])
def test_what_is_no_number_is_refused(timeout: Any) -> None:
    with pytest.raises(TypeError, match="timeout must be a number"):
        check_timeout(timeout)


@pytest.mark.parametrize("timeout", [math.inf, 10**400, None])
def test_infinity_is_no_limit(timeout: float | None) -> None:
    assert check_timeout(timeout) is None
    assert Deadline(timeout).remaining is None
