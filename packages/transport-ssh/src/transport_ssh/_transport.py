"""The facade: lifecycle, checks before a byte is sent, events; the work is done below."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from transport_core import (
    DEFAULT_OUTPUT_LIMIT,
    BytesMoved,
    Capability,
    CommandResult,
    Delivery,
    EventSink,
    Progress,
    RemoteProcess,
    SourceKind,
    Stdin,
    Symlinks,
    TransferResult,
    TransportClosedError,
    TransportError,
    UnsupportedOperationError,
)
from transport_core.authoring import (
    Calls,
    CommandTold,
    Deadline,
    End,
    PathArg,
    Word,
    check_callback,
    check_kind,
    check_limit,
    check_mode,
    check_progress,
    check_stdin,
    emit,
    encode_argv,
    encode_env,
    encode_path,
    finish,
    off_loop,
    short_argv,
)

from . import _wire
from ._options import SSHOptions
from ._transfer import Transfer

if TYPE_CHECKING:
    from ._engine import Engine

# Above the grace: what it takes to open a second session, to see a group end, and to give up.
_CLOSE_SECONDS = 8.0

_CAPABILITIES = frozenset(
    {
        Capability.RUN,
        Capability.FILES,
        Capability.SIGNALS,
        Capability.STOP,
        Capability.SYMLINKS,
        Capability.MODES,
        Capability.CONNECTION,
        Capability.EVENTS,
        Capability.STREAMING,
    }
)
_OF_COMMANDS = frozenset(
    {Capability.RUN, Capability.SIGNALS, Capability.STOP, Capability.STREAMING}
)


class SSHTransport:
    """Run, put and get on a host by SSH, over one connection.

    Needs nothing on the other side but POSIX ``sh`` and the POSIX utilities; files go by SFTP
    where there is SFTP.
    """

    def __init__(self, options: SSHOptions, *, on_event: EventSink | None = None) -> None:
        """Do no I/O; ``on_event`` is called with each typed event, on the event loop.

        Raises:
            TypeError: ``options`` is no SSHOptions, or ``on_event`` cannot be called or is awaited.
        """
        if not isinstance(options, SSHOptions):
            raise TypeError(f"options must be SSHOptions, not {type(options).__name__}")
        check_callback(on_event, "on_event")
        self._options = options
        self._sink = on_event
        self._calls = Calls(self.name)
        self._engine: Engine | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Build from plain values; ``SSHOptions.from_mapping`` has the names."""
        return cls(SSHOptions.from_mapping(options))

    @classmethod
    def from_ssh_config(
        cls,
        alias: str,
        *,
        path: str | os.PathLike[str] | None = None,
        on_event: EventSink | None = None,
        **overrides: Any,
    ) -> Self:
        """Build as ``ssh alias`` would connect; ``SSHOptions.from_ssh_config`` has the details."""
        return cls(SSHOptions.from_ssh_config(alias, path=path, **overrides), on_event=on_event)

    @property
    def name(self) -> str:
        """``ssh://user@host:port``."""
        return f"ssh://{self._options.label}"

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do; without those of commands if they are off."""
        return _CAPABILITIES if self._options.commands else _CAPABILITIES - _OF_COMMANDS

    def __repr__(self) -> str:
        """Show where to, and whether it is open."""
        via = "".join(f" via {hop.label}" for hop in self._options.via)
        return f"<SSHTransport {self.name}{via} {'open' if self._calls.is_open else 'closed'}>"

    # -- lifecycle

    async def __aenter__(self) -> Self:
        """Connect and log in.

        Raises:
            ConnectivityError, AuthenticationError, HostKeyError: At the hop that ``hop`` names.
            ConfigurationError: A key or known_hosts file cannot be used.
            TransportClosedError: It is open already.
        """
        self._calls.open()
        try:
            # asyncssh takes 0.2 s to import: only who connects pays, and not on the loop.
            module = await off_loop(importlib.import_module, "transport_ssh._engine")
            self._engine = cast("Engine", module.Engine(self._options, self.name, self._sink))
            with self._calls.track():
                await self._engine.open()
        except BaseException:
            await self.aclose()
            raise
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
        """Stop the calls in flight and close the connection; twice is silent, bounded in time."""
        # Of a loop that is over, nothing is left that could be waited for.
        stranded = self._calls.is_stranded
        if not stranded:
            self._calls.check_loop()
        engine, self._engine = self._engine, None
        await finish(self._close(None if stranded else engine, asyncio.current_task()))

    async def _close(self, engine: Engine | None, closer: asyncio.Task[object] | None) -> None:
        await self._calls.close(self._options.kill_grace + _CLOSE_SECONDS, closer=closer)
        if engine is not None:
            await engine.close()

    def _open_engine(self) -> Engine:
        if self._engine is None:
            raise TransportClosedError("the transport is not open", transport=self.name)
        return self._engine

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
        """Run a program on the host with exactly these words; no shell interprets them.

        Args:
            argv: The program and its arguments, each byte for byte.
            stdin: None (empty), bytes, text, a local path, an open file, or an async iterator.
            env: Variables that are added to those of the login.
            cwd: Where it starts; relative to the login's directory.
            timeout: Seconds for the whole call, all waiting included; None waits without end.
            output_limit: Bytes of each stream; past it the command is stopped. None is no limit.
            check: Whether another exit than 0 is a CommandFailedError.

        Raises:
            TypeError, ValueError: An argument cannot be sent.
            CommandError: One of its kinds; not started, failed, or stopped.
            ConnectivityError, AuthenticationError, HostKeyError: No connection, or lost.
            TransportClosedError: Not open, or closed meanwhile.
            UnsupportedOperationError: The account runs no commands.

        :meth:`transport_core.Transport.run` has it in full.
        """
        words = encode_argv(argv)
        values = encode_env(env)
        where = None if cwd is None else encode_path(cwd, "cwd")
        check_stdin(stdin)
        check_limit(output_limit, "output_limit")
        deadline = Deadline(timeout)
        with self._calls.track():
            engine = self._open_engine()
            self._require_commands()
            plan = _wire.plan(words, values, where)
            with CommandTold(self.name, short_argv(words), self._sink) as told:
                result = await engine.run(words, plan, stdin, deadline, output_limit)
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
        words = encode_argv(argv)
        values = encode_env(env)
        where = None if cwd is None else encode_path(cwd, "cwd")
        deadline = Deadline(timeout)
        about = CommandTold(self.name, short_argv(words), self._sink)
        with self._calls.track(), about as told:
            engine = self._open_engine()
            self._require_commands()
            plan = _wire.plan(words, values, where, look_up=True)
            async with engine.stream(words, plan, deadline) as process:
                with self._calls.track(process.stop):
                    yield process
            told.ended(process.result())

    def _require_commands(self) -> None:
        if not self._options.commands:
            raise UnsupportedOperationError(
                "commands are off for this account, which may move files only",
                delivery=Delivery.NOT_SENT,
                transport=self.name,
                hint="use another account, or leave commands on if this one has them after all",
            )

    def _checked(self, result: CommandResult) -> CommandResult:
        try:
            return result.check()
        except TransportError as error:
            error.transport = self.name
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
        """Copy a local file or tree to exactly the name ``remote``; each file atomically.

        Args:
            local: A file, or a directory with all below it.
            remote: What will exist afterwards; relative to the login's directory.
            mode: Permission bits of each file; None copies them.
            overwrite: Whether what exists may be replaced, or merged with if it is a tree.
            parents: Whether to make missing parent directories.
            symlinks: What becomes of links inside a tree.
            kind: ``"file"`` or ``"tree"`` to insist on one.
            timeout: Seconds for the whole call, all waiting included; None waits without end.
            progress: Called with bytes done and bytes in all.

        Raises:
            TypeError, ValueError: An argument is impossible.
            TransferError: One of its kinds; many are also the builtin kind.
            ConnectivityError, AuthenticationError, HostKeyError: No connection, or lost.

        :meth:`transport_core.Transport.put` has it in full.
        """
        here, there = encode_path(local, "local"), encode_path(remote, "remote")
        check_mode(mode)
        check_kind(kind)
        check_progress(progress)
        symlinks = Symlinks(symlinks)
        deadline = Deadline(timeout)
        with self._calls.track():
            transfer = Transfer(
                source=End("local", "source", here),
                destination=End("remote", "destination", there),
                mode=mode,
                overwrite=overwrite,
                parents=parents,
                symlinks=symlinks,
                kind=kind,
                deadline=deadline,
                progress=progress,
            )
            result = await self._open_engine().put(transfer)
        self._moved("put", result)
        return result

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
        """Copy a remote file or tree to exactly the name ``local``; each file atomically.

        ``max_bytes`` of content and ``max_files`` entries, directories and links included, are
        limits beyond which it is TransferLimitError; None is no limit. The other arguments, and
        the errors, are those of ``put``. :meth:`transport_core.Transport.get` has it in full.
        """
        there, here = encode_path(remote, "remote"), encode_path(local, "local")
        check_mode(mode)
        check_kind(kind)
        check_progress(progress)
        symlinks = Symlinks(symlinks)
        check_limit(max_bytes, "max_bytes")
        check_limit(max_files, "max_files")
        deadline = Deadline(timeout)
        with self._calls.track():
            transfer = Transfer(
                source=End("remote", "source", there),
                destination=End("local", "destination", here),
                mode=mode,
                overwrite=overwrite,
                parents=parents,
                symlinks=symlinks,
                kind=kind,
                deadline=deadline,
                max_bytes=max_bytes,
                max_files=max_files,
                progress=progress,
            )
            result = await self._open_engine().get(transfer)
        self._moved("get", result)
        return result

    def _moved(self, direction: str, result: TransferResult) -> None:
        emit(
            BytesMoved(
                transport=self.name, direction=direction, files=result.files, bytes=result.bytes
            ),
            self._sink,
        )
