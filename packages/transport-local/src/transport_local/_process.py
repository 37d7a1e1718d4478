"""One child process in a group of its own: started, drained, fed, and stopped whole.

Knows no deadline and no error of the contract; _run decides when it has to stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable

from transport_core import Stdin

from ._group import Ending, Groups, ending
from ._pipes import Drain, Feed, Inlet, Output

KILL_SECONDS = 2.0
"""How long the end of a group is awaited after SIGKILL; only a hung disk takes longer."""
_KILL_AT_ONCE = 0.5  # the same, where nobody has the time
_LEAVE_SECONDS = 1.0  # what a stdin source may take to end once it is cancelled
_POLL = (0.002, 0.05)  # seconds between two looks: first, doubled up to the last


class Process:
    """A running child; ``close`` it whatever happened."""

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        pipes: tuple[int, int],
        outputs: tuple[Output, Output],
        inlet: int | None,
        groups: Groups,
    ) -> None:
        """Begin to drain both streams, and to watch for the end."""
        self._child = child
        self._groups = groups
        self._loop = asyncio.get_running_loop()
        self._pidfd = -1
        self._timer: asyncio.TimerHandle | None = None
        self._feed: Feed | None = None
        self.over: asyncio.Future[None] = self._loop.create_future()
        """Done once it ended with both streams at their end, or has to be stopped."""
        self.failure: BaseException | None = None
        """What the stdin source raised."""
        self.ending: Ending | None = None
        """None until the child has ended; its descendants may live on."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when it has ended, and when a stream has."""
        self.stdout = Drain(pipes[0], outputs[0], self._changed)
        self.stderr = Drain(pipes[1], outputs[1], self._changed)
        self.inlet = None if inlet is None else Inlet(inlet)
        """What it reads, unless that is a file or nothing."""
        self._watch()

    @property
    def is_complete(self) -> bool:
        """Whether it ended, and both streams are at their end (RUN-12)."""
        return self.ending is not None and self.stdout.is_closed and self.stderr.is_closed

    @property
    def exceeded(self) -> str | None:
        """Which stream has passed its limit."""
        for name, drain in (("stdout", self.stdout), ("stderr", self.stderr)):
            if drain.output.exceeded:
                return name
        return None

    def feed(self, stdin: Stdin) -> None:
        """Write ``stdin`` into the inlet, which is closed afterwards."""
        if self.inlet is not None:
            self._feed = Feed(self.inlet, stdin, self._failed)

    def _failed(self, error: BaseException) -> None:
        if not self.over.done():
            self.failure = error
            self._finish()

    def _changed(self) -> None:
        if self.is_complete or self.exceeded:
            self._finish()
        self.on_change()

    def _finish(self) -> None:
        if not self.over.done():
            self.over.set_result(None)

    # -- its end

    def _watch(self) -> None:
        try:
            self._pidfd = os.pidfd_open(self._child.pid)
        except (AttributeError, OSError):  # not Linux; a sandbox; no descriptor left
            self._look_again(_POLL[0])
        else:
            self._loop.add_reader(self._pidfd, self._look)

    def _look_again(self, delay: float) -> None:
        if not self._look():
            later = min(2 * delay, _POLL[1])
            self._timer = self._loop.call_later(delay, self._look_again, later)

    def _look(self) -> bool:
        if self.ending is None:
            self.ending = ending(self._child)
        if self.ending is None:
            return False
        self._unwatch()
        self._changed()
        return True

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def signal(self, number: int) -> None:
        """Send a signal to the group; of no effect if nothing of it is left."""
        if self._look() and self.ending is not None and not self.ending.is_known:
            return  # reaped by somebody else: its number may be a stranger's by now
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, number)

    async def stop(self, grace: float) -> bool:
        """End the group: TERM, ``grace`` seconds, KILL; return whether nothing of it lives.

        It works after the child's own end too, since the child is not reaped before ``close``.
        """
        gone = False
        for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, KILL_SECONDS)):
            self.signal(number)
            gone = await self._gone_within(seconds)
            if gone:
                break
        self.take_rest()
        return gone

    async def kill(self) -> bool:
        """End the group at once, for who cannot wait for its grace; return whether it is gone."""
        self.signal(signal.SIGKILL)
        return await self._gone_within(_KILL_AT_ONCE)

    def take_rest(self) -> None:
        """Read what both pipes still hold, without waiting."""
        self.stdout.take_rest()
        self.stderr.take_rest()

    async def _gone_within(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        delay = _POLL[0]
        while True:
            if self._look() and not await self._groups.is_alive(self._child.pid):
                return True
            left = end - time.monotonic()
            if left <= 0:
                return False
            await asyncio.sleep(min(delay, left))
            delay = min(2 * delay, _POLL[1])

    async def close(self) -> None:
        """Reap the child and close every descriptor."""
        self._unwatch()
        self.stdout.close()
        self.stderr.close()
        if self._feed is not None:
            await self._feed.leave(_LEAVE_SECONDS)
        if self.inlet is not None:
            self.inlet.close()
        self._child.poll()


def spawn(
    argv: tuple[bytes, ...],
    *,
    env: dict[str, str],
    cwd: bytes,
    stdin: int,
    outputs: tuple[Output, Output],
    groups: Groups,
) -> Process:
    """Start a program in a session of its own.

    ``stdin`` is a descriptor, or ``subprocess.DEVNULL``, or ``subprocess.PIPE`` for an inlet.
    It is started on the event loop: the system call keeps Python from running other threads
    as well, so a thread would gain nothing (about 1 ms).

    Raises:
        OSError: It could not be started; nothing is left of it.
    """
    with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:

        def pipe(*, reads: bool) -> tuple[int, int]:
            ends = os.pipe()
            mine, its = ends if reads else ends[::-1]
            ours.callback(os.close, mine)
            theirs.callback(os.close, its)
            return mine, its

        out, its_out = pipe(reads=True)
        err, its_err = pipe(reads=True)
        inlet = None
        if stdin == subprocess.PIPE:
            inlet, stdin = pipe(reads=False)
        child = subprocess.Popen(
            argv, stdin=stdin, stdout=its_out, stderr=its_err, env=env, cwd=cwd,
            start_new_session=True,
        )  # fmt: skip
        try:
            process = Process(child, (out, err), outputs, inlet, groups)
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            raise
        ours.pop_all()
        return process
