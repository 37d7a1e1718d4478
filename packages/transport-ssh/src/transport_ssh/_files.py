"""Which way files go on a link: SFTP, or ``sh`` where the server has none."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import asyncssh
from transport_core import EventSink, UnsupportedOperationError, Warned
from transport_core.authoring import emit

from ._link import Link
from ._options import SSHOptions
from ._remote import Left, RemoteFiles
from ._sftp import SharedSFTP
from ._sftp_files import SFTPFiles
from ._sh_files import ShellFiles


class Files:
    """Gives transfers the other side's files, in the way that was chosen or found."""

    def __init__(
        self,
        link: Link,
        options: SSHOptions,
        sink: EventSink | None,
        left: Left,
    ) -> None:
        """Open nothing yet; ``left`` is told of temporary files that may be left."""
        self._left = left
        self._link = link
        self._sftp = SharedSFTP(link)
        self._shell = ShellFiles(link, options.kill_grace, left)
        self._way = options.files
        self._may_fall_back = options.files == "auto" and options.commands
        self._sink = sink
        self._without: asyncssh.SSHClientConnection | None = None

    @contextlib.asynccontextmanager
    async def remote(self) -> AsyncIterator[RemoteFiles]:
        """Give the files for one transfer.

        Raises:
            ConnectivityError: No connection.
            UnsupportedOperationError: The server does not offer the way that was asked for.
        """
        async with contextlib.AsyncExitStack() as stack:
            yield await self._enter(stack)

    async def _enter(self, stack: contextlib.AsyncExitStack) -> RemoteFiles:
        if self._way == "exec":
            return self._shell
        # A server that refused once is not asked again on the same connection.
        if self._without is not None and await self._link.connection() is self._without:
            return self._shell
        try:
            client = await stack.enter_async_context(self._sftp.client())
            return SFTPFiles(client, self._left)
        except UnsupportedOperationError as error:
            if not self._may_fall_back:
                raise
            return await self._fall_back(error)

    async def _fall_back(self, error: UnsupportedOperationError) -> RemoteFiles:
        known = self._without
        self._without = await self._link.connection()
        if known is not self._without:
            emit(
                Warned(
                    transport=self._link.name,
                    message=f"files go through sh: {error.message}",
                ),
                self._sink,
            )
        return self._shell

    async def close(self) -> None:
        """Close what is shared."""
        await self._sftp.close()
