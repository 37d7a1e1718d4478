"""The Transport protocol: its docstrings are the contract in short; docs/ has it whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Literal, Protocol, Self, TypeAlias, runtime_checkable

from ._argv import PathArg, Word
from ._capabilities import Capability
from ._output import DEFAULT_OUTPUT_LIMIT
from ._results import CommandResult, TransferResult
from ._source import Symlinks
from ._stdin import Stdin

Progress: TypeAlias = Callable[[int, int | None], None]
"""Called with bytes done and bytes total (None if unknown), on the event loop."""

SourceKind: TypeAlias = Literal["file", "tree"]
"""``"file"`` or ``"tree"``; what the source of a put or get has to be."""


@runtime_checkable
class Transport(Protocol):
    """A way to reach one computing resource: run an argv, put files, get files.

    Structural: nobody has to inherit from it. Construction does no I/O; ``async with`` opens
    and closes; one open transport serves any number of tasks of one event loop.
    """

    @property
    def name(self) -> str:
        """For people and logs, such as ``ssh://alice@login:22``; holds no secret."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do."""
        ...

    async def __aenter__(self) -> Self:
        """Open.

        Raises:
            ConnectivityError, AuthenticationError, HostKeyError: It cannot be reached;
                nothing is left half open.
            TransportClosedError: It is open already.
        """
        ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Close, as ``aclose`` does."""
        ...

    async def aclose(self) -> None:
        """Close, bounded in time; twice is silent.

        Calls in flight fail with TransportClosedError, and their remote processes are stopped.
        """
        ...

    async def run(
        self,
        argv: Sequence[Word],
        *,
        stdin: Stdin = None,
        env: Mapping[str, str | bytes] | None = None,
        cwd: PathArg | None = None,
        timeout: float | None = None,
        output_limit: int | None = DEFAULT_OUTPUT_LIMIT,
        check: bool = False,
    ) -> CommandResult:
        """Run a program with exactly these words; no shell interprets them.

        Args:
            argv: The program and its arguments, byte for byte.
            stdin: What it reads; None is empty.
            env: Added to the login environment.
            cwd: Where it starts; relative to the login's working directory.
            timeout: Seconds, all waiting included (for a login, for a session); then the remote
                process group is ended. None waits without end.
            output_limit: Bytes kept per stream; past it the command is stopped. None: no limit.
            check: Raise CommandFailedError unless it exits with 0.

        Raises:
            TypeError, ValueError: An argument cannot be sent; nothing was.
            CommandNotFoundError, CommandNotExecutableError, WorkingDirectoryError: Not started.
            CommandTimeoutError, OutputLimitError: Stopped; ``result`` has the output until then.
            CommandFailedError: With ``check``.
            ConnectivityError: No connection, or lost; ``delivery`` says whether it may have run.
            TransportClosedError: Not open, or closed meanwhile.
        """
        ...

    async def put(
        self,
        local: PathArg,
        remote: PathArg,
        *,
        mode: int | None = None,
        overwrite: bool = True,
        parents: bool = False,
        symlinks: Symlinks = Symlinks.KEEP,
        kind: SourceKind | None = None,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> TransferResult:
        """Copy a local file or tree to exactly the name ``remote``.

        Args:
            local: A file, or a directory with all below it.
            remote: What will exist afterwards; relative to the login's working directory.
            mode: Permission bits of the file, or of every file of the tree; None copies them.
            overwrite: False fails if ``remote`` exists. A tree onto a tree merges.
            parents: Make missing parent directories.
            symlinks: What becomes of links inside a tree.
            kind: Insist on ``"file"`` or ``"tree"``.
            timeout: Seconds, all waiting included; None waits without end.
            progress: Called with bytes done and total.

        Raises:
            TypeError, ValueError: An argument is impossible; nothing was sent.
            TransferError: One of its kinds; many are also the builtin kind.
            ConnectivityError, TransportClosedError: As in ``run``.
        """
        ...

    async def get(
        self,
        remote: PathArg,
        local: PathArg,
        *,
        mode: int | None = None,
        overwrite: bool = True,
        parents: bool = False,
        symlinks: Symlinks = Symlinks.KEEP,
        kind: SourceKind | None = None,
        timeout: float | None = None,
        max_bytes: int | None = None,
        max_files: int | None = None,
        progress: Progress | None = None,
    ) -> TransferResult:
        """Copy a remote file or tree to exactly the name ``local``.

        Args:
            remote: A file, or a directory with all below it; relative to the login's working
                directory.
            local: What will exist afterwards.
            mode: Permission bits of the file, or of every file of the tree; None copies them.
            overwrite: False fails if ``local`` exists. A tree onto a tree merges.
            parents: Make missing parent directories.
            symlinks: What becomes of links inside a tree.
            kind: Insist on ``"file"`` or ``"tree"``.
            timeout: Seconds, all waiting included; None waits without end.
            max_bytes: Bytes of content at most; None is no limit.
            max_files: Entries at most, directories and links included; None is no limit.
            progress: Called with bytes done and total.

        Raises:
            TransferLimitError: There is more than ``max_bytes`` or ``max_files``; found while
                reading, and nothing is left under the final name of what was being read.
            TypeError, ValueError, TransferError: As in ``put``.
            ConnectivityError, TransportClosedError: As in ``run``.
        """
        ...
