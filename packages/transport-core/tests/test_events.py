"""Events: to a callback and to logging, and never in the way."""

import logging

import pytest
from transport_core import (
    CommandFinished,
    CommandResult,
    CommandStarted,
    ConnectionLost,
    Event,
    Warned,
)
from transport_core.authoring import CommandTold, emit

STARTED = CommandStarted(transport="t", command="ls")


def test_an_event_goes_to_the_callback_and_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Event] = []
    with caplog.at_level(logging.DEBUG, "intercede.transport"):
        emit(STARTED, seen.append)
        emit(STARTED, None)
    assert seen == [STARTED]
    assert [record.getMessage() for record in caplog.records] == [repr(STARTED)] * 2


@pytest.mark.parametrize(
    ("event", "level"),
    [
        (STARTED, logging.DEBUG),
        (Warned(transport="t", message="m"), logging.WARNING),
        (ConnectionLost(transport="t", reason="r"), logging.WARNING),
    ],
)
def test_what_is_odd_is_a_warning(
    event: Event, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "intercede.transport"):
        emit(event, None)
    assert [record.levelno for record in caplog.records] == [level]


def test_a_callback_that_raises_is_logged_and_disturbs_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(event: Event) -> None:
        raise ZeroDivisionError

    emit(STARTED, broken)
    assert "event callback failed on CommandStarted" in caplog.text


def test_each_start_of_a_command_is_followed_by_one_end() -> None:
    seen: list[Event] = []
    with CommandTold("t", "ls", seen.append) as told:
        told.ended(CommandResult(argv=(b"ls",), exit_status=3, duration=1.0))
    with pytest.raises(ZeroDivisionError), CommandTold("t", "ls", seen.append):
        raise ZeroDivisionError
    started, ended, again, failed = seen
    assert started == again == STARTED
    assert isinstance(ended, CommandFinished)
    assert (ended.exit_status, ended.error) == (3, None)
    assert isinstance(failed, CommandFinished)
    assert (failed.exit_status, failed.error) == (None, "ZeroDivisionError")
