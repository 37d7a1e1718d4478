"""The other side's files by POSIX ``sh``, for a server without SFTP: one session for each step.

Runs what _sh_scripts says, and streams: no file is ever whole in memory. What is done in which
order is in _put and _get.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
from collections import deque
from collections.abc import AsyncGenerator

from transport_core import (
    CommandError,
    CommandNotExecutableError,
    CommandNotFoundError,
    Delivery,
    SizeMismatchError,
    Stdin,
    TransferError,
    TransportError,
    UnsupportedOperationError,
)
from transport_core.authoring import finish

from . import _run_errors, _sh_scripts, _tree, _wire
from ._command import Command, Request
from ._link import Link
from ._process import run
from ._remote import Left, NewFile
from ._tree import Found

_HELD = 1024 * 1024
# How long a call that fails waits for the removal of a temporary that KILL left.
_REMOVING_SECONDS = 1.0


class Step(Command):
    """One script under way; its stdout is taken piece by piece, no faster than it is read."""

    def __init__(self, request: Request, announced: int) -> None:
        """Wait for the channel; ``announced`` is how many bytes of stdin the script was told of."""
        super().__init__(request)
        self._left = announced + len(request.plan.header)
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._news = asyncio.Event()
        self.removing: asyncio.Task[None] | None = None
        """What removes its temporary file, if it could not do so itself."""

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Keep stdout until it is taken; more is not sent while there is much."""
        if datatype is not None:
            super().data_received(data, datatype)
            return
        piece = self.begin.feed(data)
        if piece:
            self._pieces.append(piece)
            self._held += len(piece)
            if self._held > _HELD:
                # In the next turn of the loop, never at once: see SSHProcess._flow.
                asyncio.get_running_loop().call_soon(self._hold)
            self._news.set()

    def _hold(self) -> None:
        if self._held > _HELD and self.channel is not None and not self.closed.is_set():
            self.channel.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The session ended."""
        super().connection_lost(exc)
        self._news.set()

    async def pieces(self, running: asyncio.Task[None]) -> AsyncGenerator[bytes, None]:
        """Give stdout until the session is over."""
        running.add_done_callback(lambda _: self._news.set())
        while True:
            while self._pieces:
                piece = self._pieces.popleft()
                self._held -= len(piece)
                yield piece
            if running.done():
                return
            self._news.clear()
            if self.channel is not None:
                self.channel.resume_reading()
            if not self._pieces:
                await self._news.wait()

    async def feed(self) -> None:
        """Send stdin and its end; given up, another end."""
        try:
            await super().feed()
        finally:
            self.cut_input()

    def cut_input(self) -> None:
        """Send an end that no put takes for the proper one: it takes its temporary away.

        TERM alone is not enough: a shell acts on it when its ``cat`` has ended, and one that
        was being started when TERM came never heard of it.
        """
        if self.channel is not None:
            # After the proper end, nothing can be written any more.
            with contextlib.suppress(OSError):
                self.channel.write(b"" if self._left > 0 else b"\0")
                self.channel.write_eof()

    def _write(self, data: bytes) -> bool:
        self._left -= len(data)
        return super()._write(data)


class ShellFiles:
    """RemoteFiles by ``sh``."""

    # Each is a session, and others may want one.
    at_once = 4

    def __init__(self, link: Link, grace: float, left: Left) -> None:
        """Do no I/O; ``grace`` is the time between TERM and KILL in seconds.

        ``left`` is told of a temporary file whose script nobody saw end.
        """
        self._link = link
        self._grace = grace
        self._left = left

    async def look(self, path: bytes, *, follow: bool) -> Found | None:
        """See RemoteFiles."""
        argv = _sh_scripts.look(path, follow=follow)
        try:
            line, target, *_ = (await self._answer(argv)).split(b"\0")
        except FileNotFoundError:
            return None
        return _sh_scripts.found(line, argv[-1], target)

    async def members(
        self, path: bytes, most: int | None
    ) -> AsyncGenerator[tuple[bytes, Found], None]:
        """See RemoteFiles; gathered first, since each member needs a session of its own."""
        found: list[tuple[bytes, Found]] = []
        listed = _sh_scripts.Members(path)
        answers = self._answers(_sh_scripts.members(path))
        async with contextlib.aclosing(answers):
            async for piece in answers:
                found += listed.feed(piece)
                if most is not None and len(found) > most:
                    break
        for each in found:
            yield each

    async def link_target(self, path: bytes) -> bytes:
        """See RemoteFiles."""
        found = await self.look(path, follow=False)
        return (found and found.target) or b""

    async def read(self, path: bytes, size: int) -> AsyncGenerator[bytes, None]:
        """See RemoteFiles."""
        done = 0
        answers = self._answers(_sh_scripts.read(path))
        async with contextlib.aclosing(answers):
            async for piece in answers:
                done += len(piece)
                if done > size:
                    raise SizeMismatchError(f"more than the announced {size} bytes came")
                yield piece

    async def put_file(self, target: bytes, new: NewFile) -> None:
        """See RemoteFiles."""
        temp = _tree.temp_beside(target)
        argv = _sh_scripts.put_file(
            target,
            temp,
            _tree.parent_of(target),
            overwrite=new.overwrite,
            size=new.size,
            mode=new.mode,
        )
        content = _counted(new)
        async with contextlib.aclosing(content):
            await self._answer(argv, content, new.size, temp)

    async def put_link(self, target: bytes, points_to: bytes, *, overwrite: bool) -> None:
        """See RemoteFiles."""
        temp, parent = _tree.temp_beside(target), _tree.parent_of(target)
        argv = _sh_scripts.put_link(target, temp, parent, overwrite=overwrite, points_to=points_to)
        await self._answer(argv, temp=temp)

    async def make_directory(self, path: bytes, *, follow: bool) -> bool:
        """See RemoteFiles."""
        argv = _sh_scripts.make_directory(path, _tree.parent_of(path), follow=follow)
        return await self._answer(argv) == b"made\n"

    async def make_parents(self, path: bytes) -> None:
        """See RemoteFiles."""
        await self._answer(_sh_scripts.make_parents(_tree.parent_of(path)))

    async def set_mode(self, path: bytes, mode: int) -> None:
        """See RemoteFiles."""
        await self._answer(_sh_scripts.set_mode(path, mode))

    async def _answer(
        self,
        argv: tuple[bytes, ...],
        stdin: Stdin = None,
        announced: int = 0,
        temp: bytes | None = None,
    ) -> bytes:
        """Run a script to its end and return its stdout, which is short."""
        answer = b""
        answers = self._answers(argv, stdin, announced, temp)
        async with contextlib.aclosing(answers):
            async for piece in answers:
                answer += piece
                if len(answer) > _sh_scripts.LONGEST_ANSWER:
                    raise OSError(errno.EMSGSIZE, "the other side answers without end")
        return answer

    async def _answers(
        self,
        argv: tuple[bytes, ...],
        stdin: Stdin = None,
        announced: int = 0,
        temp: bytes | None = None,
    ) -> AsyncGenerator[bytes, None]:
        """Run a script and give its stdout as it comes; left early, it is stopped."""
        request = Request(
            argv=argv,
            plan=_wire.plan(argv),
            stdin=stdin,
            output_limit=_sh_scripts.LONGEST_ANSWER,
            grace=self._grace,
        )
        step = Step(request, announced)
        running = asyncio.create_task(run(self._link, step))
        running.add_done_callback(functools.partial(self._ended, step, temp))
        try:
            async with contextlib.aclosing(step.pieces(running)) as pieces:
                async for piece in pieces:
                    yield piece
            await running
        finally:
            running.cancel()
            await finish(asyncio.wait({running}))
            if step.removing is not None:
                await asyncio.wait({step.removing}, timeout=_REMOVING_SECONDS)
        self._check(step)

    def _ended(self, step: Step, temp: bytes | None, running: asyncio.Task[None]) -> None:
        """Tell of what may be left: a script that exits takes its temporary away, KILL does not."""
        error = None if running.cancelled() else running.exception()
        unsent = isinstance(error, TransportError) and error.delivery is Delivery.NOT_SENT
        if temp is not None and step.channel is not None and step.status is None and not unsent:
            step.removing = self._left(temp)

    def _check(self, step: Step) -> None:
        """Raise what the end of a script stands for."""
        try:
            result = _run_errors.outcome(step, self._link.name)
        except CommandError as error:
            raise stands_for(error, self._link.name) from error
        if not result.ok:
            raise _sh_scripts.failure(result.exit_status, result.stderr)


def stands_for(error: CommandError, name: str) -> TransportError:
    """Return what it means for a transfer that a script has no result."""
    if isinstance(error, (CommandNotFoundError, CommandNotExecutableError)):
        return UnsupportedOperationError(
            "the other side runs no sh, which files need where there is no SFTP",
            delivery=error.delivery,
            transport=name,
            hint="ask the site for the sftp subsystem",
        )
    # It ran, and may have done its work: it said too much.
    return TransferError(error.message, delivery=error.delivery, transport=name)


async def _counted(new: NewFile) -> AsyncGenerator[bytes, None]:
    """Give the content; what was taken is told."""
    async for chunk in new.content:
        yield chunk
        new.moved(len(chunk))
