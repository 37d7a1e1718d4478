"""The queue of sessions, by table, and as a machine that Hypothesis drives; no network."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from transport_ssh._sessions import Sessions


class Turn:
    """A call that waits."""

    def __init__(self) -> None:
        self.told = False

    def done(self) -> bool:
        return self.told

    def set_result(self, result: None, /) -> None:
        self.told = True


def test_sessions_are_given_in_the_order_of_asking() -> None:
    """Nobody overtakes."""
    sessions = Sessions(2)
    assert sessions.try_take()
    assert sessions.try_take()
    assert not sessions.try_take()
    first, second = Turn(), Turn()
    sessions.wait(first)
    sessions.wait(second)
    assert sessions.waiting == 2
    sessions.give_back()
    assert (first.told, second.told) == (True, False)
    sessions.give_back()
    assert second.told
    assert sessions.used == 2


def test_a_call_that_gave_up_is_passed_over() -> None:
    """Its turn goes to the next."""
    sessions = Sessions(1)
    assert sessions.try_take()
    gone, next_one = Turn(), Turn()
    sessions.wait(gone)
    sessions.wait(next_one)
    gone.told = True
    sessions.give_back()
    assert next_one.told
    assert sessions.used == 1


def test_a_call_costs_the_same_however_many_wait() -> None:
    """Thousands may queue up at once, and those who wait are not looked at for it (LIFE-06)."""
    looked: list[Turn] = []

    class Seen(Turn):
        def done(self) -> bool:
            looked.append(self)
            return super().done()

    sessions = Sessions(1)
    assert sessions.try_take()
    turns = [Seen() for _ in range(100)]
    for waiting, turn in enumerate(turns, 1):
        assert not sessions.try_take()
        sessions.wait(turn)
        assert sessions.waiting == waiting
    for turn in turns[:90]:
        sessions.leave(turn)
    sessions.leave(turns[0])  # twice is silent
    assert sessions.waiting == 10
    assert looked == []
    sessions.give_back()
    assert looked == [turns[90]]


def test_a_refusal_lowers_the_limit_but_never_below_one() -> None:
    """The server knows better."""
    sessions = Sessions(10)
    for _ in range(4):
        assert sessions.try_take()
    assert sessions.refused() == 3
    sessions.used = 1
    assert sessions.refused() == 1
    sessions.used = 0
    assert sessions.refused() == 1


def test_many_grants_raise_the_limit_up_to_the_ceiling() -> None:
    """A refusal by lag is forgotten."""
    sessions = Sessions(2)
    sessions.used = 2
    sessions.refused()
    waiting = Turn()
    sessions.used = 1
    sessions.wait(waiting)
    for _ in range(50):
        sessions.granted()
    assert sessions.limit == 2
    assert waiting.told
    for _ in range(100):
        sessions.granted()
    assert sessions.limit == 2


class SessionsMachine(RuleBasedStateMachine):
    """Calls that come, wait, give up and end, and a server that grants and refuses."""

    CEILING = 5

    def __init__(self) -> None:
        super().__init__()
        self.sessions = Sessions(self.CEILING)
        self.queue: list[Turn] = []
        self.holding = 0

    @rule()
    def call(self) -> None:
        """Take a session or queue up."""
        if self.sessions.try_take():
            assert not self.queue, "overtook those who wait"
            self.holding += 1
        else:
            turn = Turn()
            self.queue.append(turn)
            self.sessions.wait(turn)
            self.served()

    @precondition(lambda self: self.queue)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        """A call that waits is cancelled."""
        turn = self.queue.pop(data.draw(st.integers(0, len(self.queue) - 1)))
        turn.told = True
        self.sessions.leave(turn)

    @precondition(lambda self: self.holding)
    @rule()
    def end(self) -> None:
        """A session ends, and those who have waited longest get what is free."""
        self.holding -= 1
        self.sessions.give_back()
        self.served()

    @precondition(lambda self: self.holding)
    @rule()
    def refuse(self) -> None:
        """The server grants fewer."""
        before = self.holding
        assert 1 <= self.sessions.refused() <= max(1, before - 1)

    @precondition(lambda self: self.holding)
    @rule(times=st.sampled_from((1, 20, 50)))
    def grant(self, times: int) -> None:
        """The server grants many."""
        for _ in range(times):
            self.sessions.granted()
        self.served()

    def served(self) -> None:
        """Those who were told are the first of the queue, in its order."""
        told = [turn.told for turn in self.queue]
        count = sum(told)
        assert told == [True] * count + [False] * (len(told) - count), "not in order"
        del self.queue[:count]
        self.holding += count

    @invariant()
    def nothing_is_lost(self) -> None:
        """Sessions in use are those that calls hold; the limit is within its bounds."""
        assert self.sessions.used == self.holding
        assert 1 <= self.sessions.limit <= self.CEILING
        assert self.sessions.used <= self.CEILING
        assert self.sessions.waiting == len(self.queue)

    @invariant()
    def nobody_waits_for_a_free_session(self) -> None:
        """As long as there is one, it has been given."""
        assert not self.queue or self.sessions.used >= self.sessions.limit


TestSessionsMachine = SessionsMachine.TestCase
TestSessionsMachine.settings = settings(max_examples=80, stateful_step_count=50, deadline=None)
