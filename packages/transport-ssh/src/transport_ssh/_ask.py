"""Waits for this side, off the event loop and by the clock: the user's callbacks, and the disk.

Must not know what is asked for, nor what becomes of the answer.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import inspect
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

from transport_core import AuthenticationError, ConfigurationError, Delivery, TransportError

T = TypeVar("T")

_NO_TEXT = re.compile("[\ud800-\udfff]")


class Clock:
    """The seconds that one hop's login has, and who of this side is being waited for."""

    def __init__(self, seconds: float) -> None:
        """Nothing is spent yet."""
        self.pending: str | None = None
        """Who has not answered, for people; None while only the network is waited for."""
        self._left = seconds

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Charge what is done meanwhile.

        Raises:
            TimeoutError: The seconds are spent.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._left):
                yield
        finally:
            self._left -= loop.time() - began

    @contextlib.contextmanager
    def waiting_for(self, whom: str) -> Iterator[None]:
        """Note who is waited for until they answer."""
        before, self.pending = self.pending, whom
        yield
        # Not after an exception: who is cut short by the end of the time is who did not answer.
        self.pending = before


def check_text(what: str, answer: object) -> str:
    """Return an answer that can be sent, which is as UTF-8.

    Raises:
        ConfigurationError: It is none. It is not shown, nor is the codec asked, whose error has it.
    """
    if not isinstance(answer, str):
        raise ConfigurationError(f"{what} must return a str")
    if _NO_TEXT.search(answer):
        raise ConfigurationError(
            f"{what} returned no text that can be sent: there is a lone surrogate in it",
            hint="decode what was typed as UTF-8, without surrogateescape",
        )
    return answer


async def ask(what: str, callback: Callable[..., Any], *arguments: object) -> Any:
    """Return what a callback answers; a plain function runs in a thread of its own.

    Raises:
        AuthenticationError: It raised, and that is the cause.
    """
    try:
        if inspect.iscoroutinefunction(callback):
            return await callback(*arguments)
        answer = await in_thread(callback, *arguments)
        return await answer if inspect.isawaitable(answer) else answer
    except TransportError:
        raise
    except Exception as error:
        # Not with the error's own text: it may hold what was typed.
        raise AuthenticationError(
            f"{what} raised {type(error).__name__}",
            delivery=Delivery.NOT_SENT,
            hint="the error's cause says more",
        ) from error


async def in_thread(function: Callable[..., T], *arguments: object) -> T:
    """Run it in a thread that nobody has to wait for: a prompt or a disk may hang for ever.

    The threads of asyncio would be waited for, by a cancellation or by the end of the loop.
    """
    loop = asyncio.get_running_loop()
    # What came of it is a secret, and goes beside the event: a task shows what it waits for.
    outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
    ended = asyncio.Event()

    def work() -> None:
        try:
            outcome.set_result(function(*arguments))
        except BaseException as error:  # noqa: BLE001 - handed to who waits
            outcome.set_exception(error)
        # The loop may be closed by now, and then nobody waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(ended.set)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name="ssh-ask", daemon=True).start()
    await ended.wait()
    return outcome.result()
