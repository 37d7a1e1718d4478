"""The queue of sessions, by table; no network."""

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
