"""The facade: lifecycle, checks before anything is done, events; the work is done below."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from transport_core import (
    DEFAULT_OUTPUT_LIMIT,
    BytesMoved,
    Capability,
    CommandError,
    CommandResult,
    ConfigurationError,
    EventSink,
    Progress,
    RemoteProcess,
    SourceKind,
    Stdin,
    Symlinks,
    TransferResult,
)
from transport_core.authoring import (
    Calls,
    CommandTold,
    Deadline,
    End,
    PathArg,
    Word,
    check_limit,
    check_stdin,
    emit,
    encode_argv,
    encode_env,
    encode_path,
    finish,
    short_argv,
)

from ._checks import check_grace, check_name, check_sink, checked_option, copy_options
from ._copy import CopyOrder
from ._files import Copiers, transfer
from ._group import Groups
from ._process import KILL_SECONDS
from ._run import Order, run
from ._streaming import LocalProcess

_CLOSE_SECONDS = KILL_SECONDS + 3.0

_CAPABILITIES = frozenset(Capability) - {Capability.CONNECTION, Capability.FILE_OPERATIONS}


class LocalTransport:
    """Run, put and get on this machine: ``remote`` paths are paths here."""

    def __init__(
        self,
        *,
        cwd: PathArg | None = None,
        env: Mapping[str, str | bytes] | None = None,
        name: str = "local",
        on_event: EventSink | None = None,
        kill_grace: float = 2.0,
    ) -> None:
        """Do no I/O.

        Args:
            cwd: Where commands start and relative remote paths begin; None is the process's
                own working directory at the time of opening.
            env: Added to the process's own environment for each command; programs are looked
                up in its PATH.
            name: For people and logs.
            on_event: Called with each typed event, on the event loop.
            kill_grace: Seconds between TERM and KILL when a command is stopped.

        Raises:
            ConfigurationError: An option is impossible.
        """
        self._cwd = b"" if cwd is None else checked_option(encode_path, cwd, "cwd")
        self._env = checked_option(encode_env, env)
        self._grace = checked_option(check_grace, kill_grace)
        self._name = checked_option(check_name, name)
        self._sink = checked_option(check_sink, on_event)
        self._calls = Calls(name)
        self._base = b""
        self._copiers: Copiers | None = None
        self._starting, self._groups = asyncio.Lock(), Groups()

    @property
    def name(self) -> str:
        """For people and logs."""
        return self._name

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do."""
        return _CAPABILITIES

    def __repr__(self) -> str:
        """Show its name, and whether it is open."""
        return f"<LocalTransport {self._name} {'open' if self._calls.is_open else 'closed'}>"

    # -- lifecycle

    async def __aenter__(self) -> Self:
        """Open; no thread is started before the first transfer.

        Raises:
            TransportClosedError: It is open already.
            ConfigurationError: The process's own working directory does not exist any more.
        """
        self._calls.open()
        try:
            self._base = os.path.join(os.getcwdb(), self._cwd)
        except OSError as error:
            await self._calls.close(0.0)
            raise ConfigurationError(
                "the working directory of this process does not exist any more",
                transport=self._name,
                hint="change to another directory before opening the transport",
            ) from error
        self._copiers = Copiers()
        self._starting, self._groups = asyncio.Lock(), Groups()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Close."""
        await self.aclose()

    async def aclose(self) -> None:
        """Stop the calls in flight; twice is silent, bounded by ``kill_grace`` plus 5 seconds."""
        await finish(self._close(self._copiers, asyncio.current_task()))

    async def _close(self, copiers: Copiers | None, closer: asyncio.Task[object] | None) -> None:
        await self._calls.close(self._grace + _CLOSE_SECONDS, closer=closer)
        if copiers is not None:
            copiers.close()

    # -- the three verbs

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
            argv: The program and its arguments, each byte for byte.
            stdin: None (empty), bytes, text, a path, an open file, or an async iterator.
            env: Variables that are added to this process's own and the transport's.
            cwd: Where it starts; relative to the transport's ``cwd``.
            timeout: Seconds for the whole call; None waits without end.
            output_limit: Bytes of each stream; past it the command is stopped. None is no limit.
            check: Whether another exit than 0 is a CommandFailedError.

        Raises:
            TypeError, ValueError: An argument is impossible.
            CommandError: One of its kinds; not started, failed, or stopped.
            NotFoundError, PermissionDeniedError, IsADirectoryTransferError: The path given as
                ``stdin`` cannot be read, and nothing was started.
            TransportClosedError: Not open, or closed meanwhile.

        :meth:`transport_core.Transport.run` has it in full.
        """
        order = self._order(argv, env, cwd, timeout)
        check_stdin(stdin)
        check_limit(output_limit, "output_limit")
        order = replace(order, stdin=stdin, output_limit=output_limit)
        about = CommandTold(self._name, short_argv(order.argv), self._sink)
        with self._calls.track(), about as told:
            result = await run(order)
            told.ended(result)
        return self._checked(result) if check else result

    @contextlib.asynccontextmanager
    async def stream(
        self,
        argv: Sequence[Word],
        *,
        env: Mapping[str, str | bytes] | None = None,
        cwd: PathArg | None = None,
        timeout: float | None = None,
    ) -> AsyncGenerator[RemoteProcess, None]:
        """Start a program that runs as long as the context, at most.

        An async context manager, ``async with transport.stream(argv) as process``, which gives a
        :class:`transport_core.RemoteProcess` and ends the program's process group when it is left.

        ``timeout`` is seconds for the whole context; then leaving it raises CommandTimeoutError.
        The other arguments, and the errors of entering it, are those of ``run``.
        :meth:`transport_core.StreamingTransport.stream` has it in full.
        """
        order = self._order(argv, env, cwd, timeout)
        process = LocalProcess(order)
        about = CommandTold(self._name, short_argv(order.argv), self._sink)
        with self._calls.track(process.stop), about as told:
            async with process.running():
                yield process
            told.ended(process.result())

    def _order(
        self,
        argv: Sequence[Word],
        env: Mapping[str, str | bytes] | None,
        cwd: PathArg | None,
        timeout: float | None,
    ) -> Order:
        words = encode_argv(argv)
        values = self._env | encode_env(env)
        where = b"" if cwd is None else encode_path(cwd, "cwd")
        return Order(
            argv=words,
            env=dict(os.environ) | {key: os.fsdecode(value) for key, value in values.items()},
            cwd=os.path.join(self._base, where),
            deadline=Deadline(timeout),
            grace=self._grace,
            name=self._name,
            starting=self._starting,
            groups=self._groups,
        )

    def _checked(self, result: CommandResult) -> CommandResult:
        try:
            return result.check()
        except CommandError as error:
            error.transport = self._name
            raise

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
        """Copy a file or tree to exactly the name ``remote``; each file atomically.

        Args:
            local: A file, or a directory with all below it.
            remote: What will exist afterwards; relative to the transport's ``cwd``.
            mode: Permission bits of each file; None copies them.
            overwrite: Whether what exists may be replaced, or merged with if it is a tree.
            parents: Whether to make missing parent directories.
            symlinks: What becomes of links inside a tree.
            kind: ``"file"`` or ``"tree"`` to insist on one.
            timeout: Seconds for the whole call; None waits without end.
            progress: Called with bytes done and bytes in all.

        Raises:
            TypeError, ValueError: An argument is impossible.
            TransferError: One of its kinds; many are also the builtin kind.
            TransportClosedError: Not open, or closed meanwhile.

        :meth:`transport_core.Transport.put` has it in full.
        """
        here, there = encode_path(local, "local"), encode_path(remote, "remote")
        options = copy_options(
            mode=mode, overwrite=overwrite, parents=parents, symlinks=symlinks, kind=kind,
            progress=progress,
        )  # fmt: skip
        deadline = Deadline(timeout)
        with self._calls.track():
            order = CopyOrder(
                source=here,
                source_end=End("local", "source", here),
                target=os.path.join(self._base, there),
                target_end=End("remote", "destination", there),
                links_stay_inside=False,
                **options,
            )
            return await self._transfer("put", order, (here, there), deadline, progress)

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
        """Copy a file or tree to exactly the name ``local``; each file atomically.

        ``max_bytes`` of content and ``max_files`` entries, directories and links included, are
        limits beyond which it is TransferLimitError; None is no limit. The other arguments, and
        the errors, are those of ``put``. :meth:`transport_core.Transport.get` has it in full.
        """
        there, here = encode_path(remote, "remote"), encode_path(local, "local")
        options = copy_options(
            mode=mode, overwrite=overwrite, parents=parents, symlinks=symlinks, kind=kind,
            progress=progress, max_bytes=max_bytes, max_files=max_files,
        )  # fmt: skip
        deadline = Deadline(timeout)
        with self._calls.track():
            order = CopyOrder(
                source=os.path.join(self._base, there),
                source_end=End("remote", "source", there),
                target=here,
                target_end=End("local", "destination", here),
                links_stay_inside=True,
                **options,
            )
            return await self._transfer("get", order, (here, there), deadline, progress)

    async def _transfer(
        self,
        direction: str,
        order: CopyOrder,
        paths: tuple[bytes, bytes],
        deadline: Deadline,
        progress: Progress | None,
    ) -> TransferResult:
        assert self._copiers is not None  # noqa: S101 - the call is tracked, so it is open
        result = await transfer(
            order,
            paths=paths,
            copiers=self._copiers,
            deadline=deadline,
            progress=progress,
            name=self._name,
        )
        event = BytesMoved(
            transport=self._name, direction=direction, files=result.files, bytes=result.bytes
        )
        emit(event, self._sink)
        return result
