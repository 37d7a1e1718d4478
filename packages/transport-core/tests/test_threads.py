"""Blocking work in threads, and what a cancellation makes of it."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from transport_core.authoring import entered, off_loop, own_thread


@contextlib.contextmanager
def others() -> Iterator[None]:
    """The loop's threads are busy with somebody else's work."""
    gate, loop = threading.Event(), asyncio.get_running_loop()
    pool = ThreadPoolExecutor(1)
    loop.set_default_executor(pool)
    pool.submit(gate.wait, 30)
    try:
        yield
    finally:
        gate.set()


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
async def test_work_that_waits_for_a_thread_is_withdrawn_when_cancelled() -> None:
    """A timeout holds, however long others keep the loop's threads; nothing runs afterwards."""
    done: list[int] = []
    with others():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await off_loop(done.append, 1)
        steps = Steps()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), entered(steps.manager()):
                raise AssertionError("nobody could enter")
    await off_loop(done.append, 2)
    assert (done, steps.seen) == ([2], [])


@pytest.mark.asyncio
@pytest.mark.parametrize("moment", ["within", "while leaving"])
async def test_what_was_entered_is_left_though_the_threads_are_busy(moment: str) -> None:
    """It is told of the cancellation that it did not come to its end."""
    steps = Steps()

    async def use() -> None:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(entered(steps.manager()))
            busy.enter_context(others())
            if moment == "within":
                await asyncio.Event().wait()

    with contextlib.ExitStack() as busy, pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await use()
    assert steps.seen == ["enter", "CancelledError", "exit"]


@pytest.mark.asyncio
async def test_a_thread_of_its_own_keeps_nobody_waiting() -> None:
    """Work in it that never ends is left to itself, and the loop's threads are free."""
    gate = threading.Event()
    with own_thread() as run:
        assert await run(int, "3") == 3
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await run(gate.wait, 30)
    assert await off_loop(int, "4") == 4
    gate.set()
