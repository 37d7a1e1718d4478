"""Work that a cancelled call still finishes."""

import asyncio

import pytest
from transport_core import _shield
from transport_core.authoring import finish, stoppable


@pytest.mark.asyncio
async def test_finish_gives_the_result_or_the_error() -> None:
    async def gives() -> int:
        return 3

    async def fails() -> None:
        raise ZeroDivisionError

    assert await finish(gives()) == 3
    with pytest.raises(ZeroDivisionError):
        await finish(fails())


@pytest.mark.asyncio
@pytest.mark.parametrize("outcome", [None, ZeroDivisionError()])
async def test_finish_waits_however_often_it_is_cancelled(outcome: Exception | None) -> None:
    gate, done = asyncio.Event(), []

    async def work() -> None:
        await gate.wait()
        done.append(1)
        if outcome is not None:
            raise outcome

    task = asyncio.create_task(finish(work()))
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [1]


@pytest.mark.asyncio
async def test_work_that_is_itself_cancelled_is_a_cancellation() -> None:
    work = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(finish(work))
    await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.asyncio
async def test_what_is_stoppable_gives_the_result_or_the_error() -> None:
    async def gives() -> int:
        return 3

    async def fails() -> None:
        raise ZeroDivisionError

    assert await stoppable(gives(), 1.0) == 3
    with pytest.raises(ZeroDivisionError):
        await stoppable(fails(), 1.0)


@pytest.mark.asyncio
async def test_a_clean_up_that_waits_for_ever_is_broken_off_at_every_level() -> None:
    ended: list[int] = []

    async def silent(level: int) -> None:
        try:
            if level:
                await silent(level - 1)
            await asyncio.Event().wait()
        finally:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(level)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await stoppable(silent(3), 0.05)
    assert ended == [0, 1, 2, 3]


@pytest.mark.asyncio
async def test_a_clean_up_in_time_is_not_broken_off() -> None:
    closed: list[int] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.02)
            closed.append(1)

    task = asyncio.create_task(stoppable(work(), 30.0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed == [1]


@pytest.mark.asyncio
async def test_what_nothing_can_break_off_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The thread of a hung disk: it cleans up when the disk answers."""
    monkeypatch.setattr(_shield, "_GIVEN_UP", 0.1)
    disk, cleaned = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            await finish(disk.wait())
        finally:
            cleaned.set()

    task = asyncio.create_task(stoppable(work(), 0.01))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not cleaned.is_set()
    disk.set()
    await asyncio.wait_for(cleaned.wait(), 5)
