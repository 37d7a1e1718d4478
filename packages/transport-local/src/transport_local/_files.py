"""One call of put or get: a copy in a thread, its deadline, and its progress on the event loop.

Must not know how a copy is made.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import time
from collections.abc import Callable

from transport_core import Delivery, Progress, TransferResult, TransferTimeoutError
from transport_core.authoring import Deadline, finish, transfer_error

from ._copy import Copying, CopyOrder, HaltedError

# How long the thread's clean-up is awaited; a chunk takes milliseconds, a hung disk for ever.
_HALT_SECONDS = 10.0
_BETWEEN_TELLS = 0.02  # seconds: more often nobody can look
_THREADS = 8  # copies at once; more would only fight for the same disk


class Copiers:
    """The threads that copy; none is started before the first copy."""

    def __init__(self) -> None:
        self._executor = concurrent.futures.ThreadPoolExecutor(_THREADS, "transport-local")
        self._jobs: set[concurrent.futures.Future[None]] = set()

    def submit(self, work: Callable[[], None]) -> concurrent.futures.Future[None]:
        """Begin work in a thread, or queue it."""
        job = self._executor.submit(work)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        return job

    def close(self) -> None:
        """End the threads; one that a hung disk holds is not waited for."""
        self._executor.shutdown(wait=not self._jobs, cancel_futures=True)


async def transfer(
    order: CopyOrder,
    *,
    paths: tuple[bytes, bytes],
    copiers: Copiers,
    deadline: Deadline,
    progress: Progress | None,
    name: str,
) -> TransferResult:
    """Copy; ``paths`` are local and remote as the caller named them, for errors.

    Raises:
        TransferError: One of its kinds, the builtin one too.
        BaseException: What ``progress`` raised.
    """
    if deadline.expired:
        raise _timeout_error(deadline, paths, name, delivery=Delivery.NOT_SENT)
    teller = None if progress is None else _Teller(progress)
    copying = Copying(order, None if teller is None else teller.tell)
    if teller is not None:
        teller.copying = copying
    running = copiers.submit(copying.work)
    job = asyncio.wrap_future(running)
    try:
        await asyncio.wait({job}, timeout=deadline.remaining)
    finally:
        copying.halt()  # at once: the thread is not to publish while the loop goes round
        if not job.done():
            running.cancel()  # it may still be in the queue
            await finish(_ended(job))
    try:
        _raise_failure(job)
        if teller is not None:
            teller.last(copying.bytes)
    except (HaltedError, asyncio.CancelledError):
        if teller is not None and teller.failure is not None:
            raise teller.failure from None
        raise _timeout_error(deadline, paths, name, delivery=Delivery.UNKNOWN) from None
    except OSError as error:
        found = transfer_error(error, local=paths[0], remote=paths[1], transport=name)
        raise found from (error if found is not error else error.__cause__)
    return TransferResult(files=copying.files, bytes=copying.bytes, seconds=deadline.elapsed)


async def _ended(job: asyncio.Future[None]) -> None:
    """Wait until the thread of a stopped copy has cleaned up."""
    await asyncio.wait({job}, timeout=_HALT_SECONDS)
    if job.done() and not job.cancelled():
        job.exception()  # marks it as seen


def _raise_failure(job: asyncio.Future[None]) -> None:
    """Raise what ended the job, HaltedError if it does not end."""
    if not job.done():
        raise HaltedError
    job.result()


def _timeout_error(
    deadline: Deadline, paths: tuple[bytes, bytes], name: str, *, delivery: Delivery
) -> TransferTimeoutError:
    return TransferTimeoutError(
        f"the transfer was not done within {deadline.timeout or 0.0:g} s",
        local=paths[0],
        remote=paths[1],
        delivery=delivery,
        transport=name,
    )


class _Teller:
    """Calls progress on the event loop, while the copying thread waits for its answer."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._loop = asyncio.get_running_loop()
        self._next = 0.0
        self._told: tuple[int, int | None] | None = None
        self._total: int | None = None
        self.copying: Copying | None = None
        self.failure: BaseException | None = None

    def tell(self, done: int, total: int | None) -> None:
        """Report from the copying thread; raises HaltedError where progress raised."""
        self._total = total
        now = time.monotonic()
        # The last word is never left out: a transfer must fail before it is published.
        if now < self._next and done != total:
            return
        self._next = now + _BETWEEN_TELLS
        answer: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._loop.call_soon_threadsafe(self._answer, answer, done, total)
        while not answer.done():
            with contextlib.suppress(concurrent.futures.TimeoutError):
                answer.result(1.0)
            if self.copying is not None and self.copying.is_halted:
                break
        if self.failure is not None:
            raise HaltedError

    def _answer(
        self, answer: concurrent.futures.Future[None], done: int, total: int | None
    ) -> None:
        if self.copying is None or not self.copying.is_halted:
            self._call(done, total)
        answer.set_result(None)

    def _call(self, done: int, total: int | None) -> None:
        if self.failure is not None or (done, total) == self._told:
            return
        self._told = (done, total)
        try:
            self._progress(done, total)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - raised by transfer
            self.failure = error

    def last(self, done: int) -> None:
        """Report the end, on the event loop, unless it was reported; raises HaltedError too."""
        self._call(done, done if self._total is None else self._total)
        if self.failure is not None:
            raise HaltedError
