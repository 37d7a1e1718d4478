"""Calls what the user gave to be asked for secrets, off the event loop.

Must not know what is asked for, nor what becomes of the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import threading
from collections.abc import Callable
from typing import Any

from transport_core import AuthenticationError, Delivery, TransportError


async def ask(what: str, callback: Callable[..., Any], *arguments: object) -> Any:
    """Return what a callback answers; a plain function runs in a thread of its own.

    Raises:
        AuthenticationError: It raised, and that is the cause.
    """
    try:
        if inspect.iscoroutinefunction(callback):
            return await callback(*arguments)
        answer = await _in_thread(callback, *arguments)
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


async def _in_thread(callback: Callable[..., Any], *arguments: object) -> Any:
    """Run it in a thread that nobody has to wait for: it may sit at a prompt for ever.

    The threads of asyncio would be waited for, by a cancellation or by the end of the loop.
    """
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def tell(error: BaseException | None, answer: object) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(answer)

    def work() -> None:
        error: BaseException | None = None
        answer = None
        try:
            answer = callback(*arguments)
        except StopIteration:
            error = RuntimeError("it raised StopIteration")  # which a future refuses
        except BaseException as caught:  # noqa: BLE001 - handed to who waits
            error = caught
        # The loop may be closed by now, and then nobody waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, error, answer)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name="ssh-ask", daemon=True).start()
    return await done
