"""What is done about an open that failed, by table."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from transport_core import Delivery
from transport_ssh._opens import Answer, AskAgain, GiveUp, Leave, Opens, Reason, Redial

LOST = GiveUp(Reason.LOST, Delivery.UNKNOWN)
NOT_SENT = Delivery.NOT_SENT


@pytest.mark.parametrize(
    ("answer", "closed", "sent", "cut", "decision"),
    (
        # Nothing was sent: it ran nothing, whatever failed.
        (Answer.REFUSED, False, False, False, AskAgain(0.005)),
        (Answer.REFUSED, True, False, False, Redial()),
        (Answer.DENIED, False, False, False, GiveUp(Reason.DENIED, NOT_SENT)),
        (Answer.DENIED, True, False, False, Redial()),
        (Answer.GARBLED, False, False, False, GiveUp(Reason.GARBLED, NOT_SENT)),
        (Answer.GARBLED, True, False, False, Redial()),
        (Answer.BROKEN, False, False, False, GiveUp(Reason.LOST, NOT_SENT)),
        (Answer.BROKEN, True, False, False, Redial()),
        # The request is out: only a clear no says that nothing ran.
        (Answer.DENIED, False, True, False, GiveUp(Reason.DENIED, NOT_SENT)),
        (Answer.REFUSED, False, True, False, GiveUp(Reason.DENIED, NOT_SENT)),
        (Answer.DENIED, True, True, False, LOST),
        (Answer.DENIED, False, True, True, LOST),
        (Answer.REFUSED, True, True, False, LOST),
        (Answer.BROKEN, False, True, False, LOST),
        (Answer.BROKEN, True, True, True, LOST),
        (Answer.GARBLED, False, True, False, LOST),
    ),
)
def test_a_failed_open_is_repeated_only_if_it_ran_nothing(
    answer: Answer, closed: bool, sent: bool, cut: bool, decision: object
) -> None:
    """UNKNOWN wherever the request may have been carried out."""
    opens = Opens(lambda: 1.0)
    assert opens.failed(answer, closed=closed, sent=sent, cut=cut, live=0, served=True) == decision


def _refuse(opens: Opens, live: int, *, served: bool = False) -> Redial | AskAgain | Leave | GiveUp:
    return opens.failed(
        Answer.REFUSED, closed=False, sent=False, cut=False, live=live, served=served
    )


@pytest.mark.parametrize(
    ("jitter", "first", "longest"), ((lambda: 1.0, 0.005, 0.5), (lambda: 0.0, 0.0025, 0.25))
)
def test_a_refused_open_is_asked_again_ever_more_slowly(
    jitter: Callable[[], float], first: float, longest: float
) -> None:
    """For ever, as long as a session of ours is open that may end."""
    opens = Opens(jitter)
    decisions = [_refuse(opens, live=1) for _ in range(2000)]
    pauses = [each.pause for each in decisions if isinstance(each, AskAgain)]
    assert len(pauses) == 2000
    assert pauses == sorted(pauses)
    assert pauses[:3] == [first, first * 2, first * 4]
    assert pauses[-1] == longest


def test_a_server_that_grants_no_session_is_given_up() -> None:
    """With none of ours open there is nothing to wait for; what was refused before is no matter."""
    opens = Opens(lambda: 1.0)
    for _ in range(30):
        assert isinstance(_refuse(opens, live=1), AskAgain)
    for _ in range(11):
        assert isinstance(_refuse(opens, live=0), AskAgain)
    assert _refuse(opens, live=0) == GiveUp(Reason.NO_SESSION, NOT_SENT)


def test_a_connection_that_grants_no_session_any_more_is_left_once() -> None:
    """Commands that nobody can end hold them all, and the next connection has its own."""
    opens = Opens(lambda: 1.0)
    assert all(isinstance(_refuse(opens, live=0, served=True), AskAgain) for _ in range(11))
    assert _refuse(opens, live=0, served=True) == Leave()
    assert all(isinstance(_refuse(opens, live=0, served=True), AskAgain) for _ in range(11))
    assert _refuse(opens, live=0, served=True) == GiveUp(Reason.NO_SESSION, NOT_SENT)


def test_a_server_that_has_just_freed_a_session_is_not_given_up() -> None:
    """Only refusals in a row with none of ours open count, however many came before."""
    opens = Opens(lambda: 1.0)
    for _ in range(3):
        assert all(isinstance(_refuse(opens, live=1), AskAgain) for _ in range(40))
        assert all(isinstance(_refuse(opens, live=0), AskAgain) for _ in range(11))
    assert _refuse(opens, live=0) == GiveUp(Reason.NO_SESSION, NOT_SENT)


def test_an_open_is_moved_to_a_new_connection_three_times() -> None:
    """Whoever loses every connection is told so; it was never sent."""
    opens = Opens(lambda: 1.0)
    lose = [
        opens.failed(Answer.BROKEN, closed=True, sent=False, cut=False, live=0, served=False)
        for _ in range(4)
    ]
    assert lose == [Redial()] * 3 + [GiveUp(Reason.LOST, NOT_SENT)]
