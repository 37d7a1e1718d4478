"""The calls in flight of one open transport."""

import asyncio

import pytest
from transport_core import TransportClosedError
from transport_core.authoring import Calls


async def call(calls: Calls, gate: asyncio.Event) -> str:
    with calls.track():
        await gate.wait()
        return "done"


@pytest.mark.asyncio
async def test_calls_are_let_in_only_while_it_is_open() -> None:
    calls = Calls("t")
    for _ in range(2):
        with pytest.raises(TransportClosedError, match=r"not open \[t\]") as caught:
            calls.track().__enter__()
        assert caught.value.retry_safe
        calls.open()
        assert calls.is_open
        with calls.track():
            pass
        assert [await calls.close(1), calls.is_open, await calls.close(1)] == [True, False, False]


@pytest.mark.asyncio
async def test_opening_twice_is_an_error() -> None:
    calls = Calls("t")
    calls.open()
    with pytest.raises(TransportClosedError, match="open already"):
        calls.open()
    assert calls.is_open


@pytest.mark.asyncio
async def test_closing_ends_the_calls_in_flight_as_closed() -> None:
    calls, gate = Calls("t"), asyncio.Event()
    calls.open()
    tasks = [asyncio.create_task(call(calls, gate)) for _ in range(3)]
    await asyncio.sleep(0)
    assert await calls.close(1)
    for task in tasks:
        with pytest.raises(TransportClosedError, match="during the call") as caught:
            await task
        assert not caught.value.retry_safe
        assert not task.cancelled()


@pytest.mark.asyncio
async def test_the_task_of_a_closed_call_goes_on_uncancelled() -> None:
    calls, gate = Calls("t"), asyncio.Event()
    calls.open()

    async def use() -> int:
        with pytest.raises(TransportClosedError):
            await call(calls, gate)
        await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    using = asyncio.create_task(use())
    await asyncio.sleep(0)
    await calls.close(1)
    assert await using == 0


@pytest.mark.asyncio
async def test_a_cancellation_of_the_user_s_own_stays_one() -> None:
    calls, gate = Calls("t"), asyncio.Event()
    calls.open()
    task = asyncio.create_task(call(calls, gate))
    await asyncio.sleep(0)
    task.cancel()
    await calls.close(1)
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.asyncio
async def test_closing_is_bounded_where_a_call_does_not_end() -> None:
    calls, gate = Calls("t"), asyncio.Event()
    calls.open()

    async def stubborn() -> None:
        with calls.track():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                await gate.wait()
                raise

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    assert not await calls.close(0.05)
    gate.set()
    with pytest.raises(TransportClosedError):
        await task


@pytest.mark.asyncio
async def test_two_calls_of_one_task_are_counted() -> None:
    calls = Calls("t")
    calls.open()
    with calls.track():
        with calls.track():
            pass
        closing = asyncio.create_task(calls.close(1))
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(1)
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()
    assert await closing


@pytest.mark.asyncio
async def test_a_task_that_closes_within_its_own_call_stops_it_and_goes_on() -> None:
    """It cannot be waited for, nor cancelled: the call gives what stops it."""
    calls, stopped = Calls("t"), []

    async def stop() -> None:
        stopped.append(True)

    async def closes(closer: "asyncio.Task[object] | None") -> bool:
        return await calls.close(5, closer=closer)

    calls.open()
    with calls.track(stop), calls.track():
        assert await calls.close(5)
        assert not await asyncio.create_task(closes(asyncio.current_task()))
    assert stopped == [True, True]
    calls.open()
    with calls.track():
        assert await calls.close(5)
    assert stopped == [True, True]


def test_it_may_be_opened_on_one_loop_after_another() -> None:
    """Each time with a call in flight when it is closed."""
    calls = Calls("t")

    async def use() -> bool:
        calls.open()
        task = asyncio.create_task(call(calls, asyncio.Event()))
        await asyncio.sleep(0)
        closed = await calls.close(5)
        with pytest.raises(TransportClosedError, match="during the call"):
            await task
        return closed

    assert [asyncio.run(use()), asyncio.run(use())] == [True, True]


def test_a_call_on_another_loop_is_told_where_it_belongs() -> None:
    """What its own loop left when it ended is beyond reach: closing is silent, as is opening."""
    calls = Calls("t")

    async def leave_open() -> None:
        calls.open()
        calls.track().__enter__()

    async def call_it() -> None:
        with calls.track():
            pass

    asyncio.run(leave_open())
    assert calls.is_stranded
    with pytest.raises(TransportClosedError, match="another event loop") as caught:
        asyncio.run(call_it())
    assert caught.value.retry_safe
    assert not asyncio.run(calls.close(1))
    with pytest.raises(TransportClosedError, match="is not open"):
        asyncio.run(call_it())
    asyncio.run(leave_open())
    asyncio.run(leave_open())


@pytest.mark.asyncio
async def test_it_is_closed_only_where_it_was_opened() -> None:
    """As long as its loop runs: another could not wait for the calls there."""
    calls = Calls("t")
    calls.open()
    with pytest.raises(TransportClosedError, match="another event loop"):
        await asyncio.to_thread(asyncio.run, calls.close(1))
    assert calls.is_open
    assert await calls.close(1)
