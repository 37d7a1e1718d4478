"""What a connection does next, by table, and as a machine that Hypothesis drives."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule
from transport_core import (
    AuthenticationError,
    ConnectivityError,
    HostKeyError,
    TransportClosedError,
)
from transport_ssh._backoff import Backoff
from transport_ssh._link_state import Dial, LinkState, Loss, Phase, Refuse, Use, Wait

GATE = Loss("hop 1 of 2: u@gate:22", "closed by the other side")
TARGET = Loss("hop 2 of 2: u@h:22", "closed by the other side")


class Link:
    """A state with its clock."""

    def __init__(self, per_minute: int = 10) -> None:
        self.now = 0.0
        self.state = LinkState(Backoff(per_minute, lambda: self.now, lambda: 1.0), "ssh://u@h:22")

    def dial(self) -> Dial:
        """Need the connection where there is none, and wait as long as is asked."""
        plan = self.state.needed()
        assert isinstance(plan, Dial)
        self.now += plan.delay
        self.state.begun()
        return plan

    def connect(self) -> Dial:
        """Dial with success."""
        plan = self.dial()
        assert self.state.dialled(plan.number)
        return plan


# --- the connection


def test_one_dial_serves_all_who_need_the_connection() -> None:
    """The first call dials, the others wait for it, and later ones use what it opened."""
    link = Link()
    plan = link.state.needed()
    assert plan == Dial(number=1, attempt=1, delay=0.0)
    assert link.state.needed() == Wait()
    assert link.state.dialled(1)
    assert link.state.needed() == Use()


def test_after_a_loss_the_next_call_dials_at_once() -> None:
    """A connection that was of use is replaced without a pause."""
    link = Link()
    plan = link.connect()
    link.state.served()
    assert link.state.lost(plan.number, GATE)
    assert link.state.loss == GATE
    assert link.state.needed() == Dial(number=2, attempt=1, delay=0.0)


def test_a_connection_lost_before_it_served_counts_as_a_failed_login() -> None:
    """A server that lets us in and throws us out is not asked again and again at once."""
    link = Link()
    delays = []
    for _ in range(4):
        plan = link.connect()
        delays.append(plan.delay)
        assert link.state.lost(plan.number, TARGET)
    assert delays == [0.0, 0.5, 1.0, 2.0]


def test_late_news_of_an_older_connection_ends_nothing() -> None:
    """Its hops may be heard to end long after the next connection stands."""
    link = Link()
    first = link.connect()
    assert link.state.lost(first.number, TARGET)
    link.connect()
    assert not link.state.lost(first.number, GATE)
    assert link.state.needed() == Use()


def test_a_connection_is_lost_once_and_the_first_hop_to_end_is_named() -> None:
    """The hops behind it end with it, or because we cut them."""
    link = Link()
    plan = link.connect()
    assert link.state.lost(plan.number, GATE)
    assert not link.state.lost(plan.number, TARGET)
    assert link.state.loss == GATE


def test_a_hop_that_ends_while_the_next_is_dialled_ends_what_was_dialled() -> None:
    """What is connected through it is of no use."""
    link = Link()
    plan = link.dial()
    assert not link.state.lost(plan.number, GATE)
    assert not link.state.lost(plan.number, TARGET)
    assert not link.state.dialled(plan.number)
    assert link.state.loss == GATE
    assert isinstance(link.state.needed(), Dial)


@pytest.mark.parametrize("kind", (ConnectivityError, HostKeyError, OSError, AuthenticationError))
def test_a_failed_dial_is_repeated_only_by_a_later_call_and_after_a_pause(kind: type) -> None:
    """Half a second, then twice as long each time; a callback that failed is no refusal."""
    link = Link()
    for attempt, delay in ((1, 0.0), (2, 0.5), (3, 1.0)):
        plan = link.dial()
        assert (plan.attempt, plan.delay) == (attempt, delay)
        link.state.failed(plan.number, kind("x"))
        assert link.state.phase is Phase.IDLE


def test_a_refused_login_is_not_tried_again_for_ten_minutes() -> None:
    """Following calls get the refusal at once: a site locks who is refused too often."""
    link = Link()
    plan = link.dial()
    refusal = AuthenticationError("no", tried=("publickey",), hop=TARGET.hop, hint="check the key")
    link.state.failed(plan.number, refusal)
    for _ in range(100):
        link.now += 5.9
        answer = link.state.needed()
        assert isinstance(answer, Refuse)
        assert isinstance(answer.error, AuthenticationError)
        assert answer.error.__cause__ is refusal
        assert (answer.error.message, answer.error.hop) == ("no", TARGET.hop)
        assert str(answer.error.hint).startswith("check the key; this transport does not log in")
    link.now = 600.0
    assert isinstance(link.state.needed(), Dial)


def test_a_login_after_the_quiet_time_that_fails_otherwise_is_no_refusal() -> None:
    """The old refusal is not told again."""
    link = Link()
    link.state.failed(link.dial().number, AuthenticationError("not let in", tried=("password",)))
    link.now = 600.0
    link.state.failed(link.dial().number, ConnectivityError("unreachable"))
    assert isinstance(link.state.needed(), Dial)


def test_what_holds_a_login_back_is_said_as_long_as_it_does() -> None:
    """For the call that runs out of time meanwhile."""
    link = Link(per_minute=1)
    plan = link.connect()
    assert link.state.held is None
    link.state.served()
    link.state.lost(plan.number, TARGET)
    second = link.state.needed()
    assert isinstance(second, Dial)
    assert second.delay == 60.0
    assert "logins_per_minute=1" in str(link.state.held)
    link.now += 60.0
    link.state.begun()
    assert link.state.held is None


def test_a_connection_that_is_left_is_followed_by_another_at_once() -> None:
    """It served, so leaving it is no failure; what is heard of its end ends nothing."""
    link = Link()
    first = link.connect()
    served = [link.state.has_served]
    link.state.served()
    served.append(link.state.has_served)
    link.state.left()
    assert not link.state.lost(first.number, TARGET)
    second = link.connect()
    assert (second.attempt, second.delay) == (1, 0.0)
    assert [*served, link.state.has_served] == [False, True, False]


def test_closed_is_final() -> None:
    """Whatever is heard afterwards, no call is served, and what was dialled is to be cut."""
    link = Link()
    plan = link.dial()
    link.state.close()
    assert not link.state.dialled(plan.number)
    assert not link.state.lost(plan.number, TARGET)
    link.state.failed(plan.number, ConnectivityError("x"))
    link.state.close()
    answer = link.state.needed()
    assert isinstance(answer, Refuse)
    assert isinstance(answer.error, TransportClosedError)
    assert answer.error.transport == "ssh://u@h:22"


class LinkMachine(RuleBasedStateMachine):
    """Calls, dials and losses in any order, on one clock."""

    PER_MINUTE = 2

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.state = LinkState(Backoff(self.PER_MINUTE, lambda: self.now, lambda: 1.0), "t")
        self.plan: Dial | None = None
        """The dial under way."""
        self.begins = 0.0
        self.tried = False
        self.logins: list[float] = []
        self.waiting = 0
        self.answered: list[str] = []
        self.calls = 0
        self.open: int | None = None
        """The number of the connection in use."""
        self.closed = False

    old = Bundle("old")

    @rule()
    def call(self) -> None:
        """A call needs the connection: it is answered now, or when the dial ends."""
        self.calls += 1
        answer = self.state.needed()
        if isinstance(answer, Dial):
            assert self.plan is None, "a second dial"
            assert self.open is None
            self.plan, self.begins, self.tried = answer, self.now + answer.delay, False
        assert self.closed <= isinstance(answer, Refuse)
        if isinstance(answer, (Dial, Wait)):
            assert self.plan is not None, "waits for nothing"
            self.waiting += 1
        else:
            assert isinstance(answer, Refuse) or self.open is not None
            self.answered.append("now")

    @rule(seconds=st.sampled_from((1, 5, 30, 601)))
    def wait(self, seconds: int) -> None:
        """Time passes, no further than to the login that is planned."""
        begins = self.begins if self.plan is not None and not self.tried else self.now + seconds
        self.now = min(self.now + seconds, begins)

    @precondition(lambda self: self.plan is not None and not self.tried)
    @rule()
    def begin(self) -> None:
        """The delay is over."""
        self.now, self.tried = self.begins, True
        self.state.begun()
        self.logins.append(self.now)

    @precondition(lambda self: self.plan is not None)
    @rule(target=old, outcome=st.sampled_from(("yes", "yes", "no", "refused", "early loss")))
    def dial_ends(self, outcome: str) -> int:
        """The dial under way ends, and with it the waiting of all who wait."""
        if not self.tried:
            self.begin()
        assert self.plan is not None
        number, self.plan, self.tried = self.plan.number, None, False
        if outcome == "early loss":
            assert not self.state.lost(number, TARGET)
        if outcome in ("yes", "early loss"):
            kept = self.state.dialled(number)
            assert kept == (outcome == "yes" and not self.closed)
            self.open = number if kept else None
        else:
            error = (
                AuthenticationError("no", tried=("password",))
                if outcome == "refused"
                else OSError("no")
            )
            self.state.failed(number, error)
        self.answered += ["by the dial"] * self.waiting
        self.waiting = 0
        return number

    @rule(number=old)
    def hear(self, number: int) -> None:
        """A hop of some connection ended: only that of the one in use counts."""
        assert self.state.lost(number, GATE) == (number == self.open)
        if number == self.open:
            self.open = None

    @precondition(lambda self: self.open is not None)
    @rule()
    def serve(self) -> None:
        """A session opens on the connection in use."""
        self.state.served()

    @precondition(lambda self: self.open is not None)
    @rule()
    def lose(self) -> None:
        """The connection in use ends."""
        assert self.open is not None
        assert self.state.lost(self.open, TARGET)
        self.open = None

    @precondition(lambda self: self.calls > 8)
    @rule()
    def close(self) -> None:
        """Cut what there is, as the link does."""
        self.state.close()
        self.closed, self.open = True, None

    @invariant()
    def every_call_is_answered_once(self) -> None:
        """No call waits for a dial that nobody makes, and none is answered twice."""
        assert len(self.answered) + self.waiting == self.calls
        assert (self.waiting == 0) or self.plan is not None

    @invariant()
    def the_budget_is_kept(self) -> None:
        """In no minute are there more logins than allowed."""
        for first, later in zip(self.logins, self.logins[self.PER_MINUTE :], strict=False):
            assert later - first >= 60


TestLinkMachine = LinkMachine.TestCase
TestLinkMachine.settings = settings(max_examples=80, stateful_step_count=60, deadline=None)
