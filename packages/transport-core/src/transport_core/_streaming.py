"""StreamingTransport, the optional protocol: a command whose streams are read while it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

from ._argv import PathArg, Word
from ._protocol import Transport
from ._results import CommandResult


@runtime_checkable
class RemoteProcess(Protocol):
    """A command that runs; it is stopped when the context that gave it is left.

    Once the context is left, its methods raise TransportClosedError.
    """

    @property
    def stdout(self) -> AsyncIterator[bytes]:
        """What it writes to standard output, in chunks as they come; for one reader.

        Asking for it is a promise to read it: unread output then holds the command up, and on a
        transport with one channel the other stream too.

        Raises:
            ConnectionLostError: While iterating; the end of the iteration is the stream's end.
            CommandError: While iterating: it was asked for too late, after more had come than is
                kept of a stream that nobody has asked for.
            RuntimeError: While iterating: another task is reading it.
        """
        ...

    @property
    def stderr(self) -> AsyncIterator[bytes]:
        """What it writes to standard error; as ``stdout``."""
        ...

    async def write(self, data: bytes) -> bool:
        """Send to its standard input, no faster than it is read.

        Returns whether it may be read: input that nobody takes is no error.

        Raises:
            TypeError: ``data`` is not bytes.
            ValueError: ``close_stdin`` was called.
            ConnectionLostError: The connection broke.
        """
        ...

    async def close_stdin(self) -> None:
        """End its standard input; twice is silent."""
        ...

    async def wait(self) -> CommandResult:
        """Wait until it has exited, and return how; ``stdout`` and ``stderr`` of it are empty.

        What it has written and nobody has read can still be read. It does not end the reading of
        a stream that somebody asked for; one that nobody asked for does not hold it up.

        Raises:
            ConnectionLostError: The connection broke before its end was told.
            CommandError: Its end was not told; CommandNotExecutableError and its like, where the
                other side could tell only now that it was not started.
        """
        ...

    async def terminate(self) -> None:
        """Ask its process group to end (TERM); of no effect once it has ended."""
        ...

    async def kill(self) -> None:
        """End its process group (KILL); of no effect once it has ended."""
        ...


@runtime_checkable
class StreamingTransport(Transport, Protocol):
    """A transport that can stream (``Capability.STREAMING``)."""

    def stream(
        self,
        argv: Sequence[Word],
        *,
        env: Mapping[str, str | bytes] | None = None,
        cwd: PathArg | None = None,
        timeout: float | None = None,
    ) -> AbstractAsyncContextManager[RemoteProcess]:
        """Start a program, for as long as a context lasts: ``async with t.stream(argv) as p``.

        Leaving the context stops the process group if the command still runs. The context is
        entered and left by one task; others may read and write.

        Args:
            argv: The program and its arguments, as in ``run``.
            env: Added to the login environment.
            cwd: Where it starts; relative to the login's working directory.
            timeout: Seconds for the whole context, all waiting included. Then its body is
                cancelled, and the process group ended.

        Raises, when entered:
            TypeError, ValueError: An argument cannot be sent; nothing was.
            CommandNotFoundError, CommandNotExecutableError, WorkingDirectoryError: Not started.
            ConnectivityError, TransportClosedError: As in ``run``.

        Raises, when left:
            CommandTimeoutError: The time was over; the result in it is empty.
            ConnectionLostError: The connection broke while it ran, and nobody was told so.
            TransportClosedError: The transport was closed meanwhile.
        """
        ...
