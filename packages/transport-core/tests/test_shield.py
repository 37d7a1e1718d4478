"""Work that a cancelled call still finishes."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import pytest
from transport_core.authoring import entered, finish, off_loop, stoppable


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
async def test_off_loop_waits_for_its_thread_when_cancelled() -> None:
    begun, gate, done = threading.Event(), threading.Event(), []

    def work() -> None:
        begun.set()
        gate.wait(5)
        done.append(threading.current_thread() is not threading.main_thread())

    task = asyncio.create_task(off_loop(work))
    while not begun.is_set():
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.sleep(0)
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [True]


class Steps:
    """A blocking context manager that writes down what happens to it."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    @contextlib.contextmanager
    def manager(self, *, swallow: bool = False) -> Iterator[int]:
        self.seen.append("enter")
        self.gate.wait(5)
        try:
            yield 3
        except BaseException as error:
            self.seen.append(type(error).__name__)
            if not swallow:
                raise
        finally:
            self.seen.append("exit")


@pytest.mark.asyncio
async def test_entered_enters_and_leaves() -> None:
    steps = Steps()
    async with entered(steps.manager()) as value:
        assert value == 3
    assert steps.seen == ["enter", "exit"]


@pytest.mark.asyncio
async def test_entered_tells_the_manager_what_was_raised() -> None:
    steps = Steps()

    async def fail(*, swallow: bool) -> None:
        async with entered(steps.manager(swallow=swallow)):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail(swallow=False)
    await fail(swallow=True)
    assert steps.seen == ["enter", "ZeroDivisionError", "exit"] * 2


@pytest.mark.asyncio
async def test_entered_leaves_what_was_entered_while_it_was_cancelled() -> None:
    steps = Steps()
    steps.gate.clear()

    async def use() -> None:
        async with entered(steps.manager()):
            raise AssertionError("it was cancelled before")

    task = asyncio.create_task(use())
    while not steps.seen:
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.sleep(0)
    steps.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps.seen == ["enter", "CancelledError", "exit"]


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
