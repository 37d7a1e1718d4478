"""From SFTP's status codes to the contract's file errors.

SFTP version 3 has few codes: most failures are one "Failure" (draft-ietf-secsh-filexfer-02), so
the cause is looked for afterwards, by attributes of the paths and the space that is left.
"""

from __future__ import annotations

import contextlib
import errno
import stat
from typing import NoReturn

import asyncssh
from transport_core import TransferError, TransportError
from transport_core.authoring import escape, transfer_error

from ._transfer import Transfer

_BY_KIND: tuple[tuple[type[asyncssh.SFTPError], int], ...] = (
    (asyncssh.SFTPNoSuchFile, errno.ENOENT),
    (asyncssh.SFTPNoSuchPath, errno.ENOENT),
    (asyncssh.SFTPPermissionDenied, errno.EACCES),
    (asyncssh.SFTPWriteProtect, errno.EROFS),
    (asyncssh.SFTPFileAlreadyExists, errno.EEXIST),
    (asyncssh.SFTPNoSpaceOnFilesystem, errno.ENOSPC),
    (asyncssh.SFTPQuotaExceeded, errno.EDQUOT),
    (asyncssh.SFTPNotADirectory, errno.ENOTDIR),
    (asyncssh.SFTPFileIsADirectory, errno.EISDIR),
)


def typed(error: Exception, transfer: Transfer, name: str) -> TransportError:
    """Return the contract's error, with both paths; the caller keeps the cause."""
    if isinstance(error, TransportError):
        if isinstance(error, TransferError):
            error.local = error.local or transfer.local
            error.remote = error.remote or transfer.remote
        error.transport = error.transport or name
        return error
    if isinstance(error, asyncssh.SFTPError):
        return transfer_error(
            _as_os_error(error), local=transfer.local, remote=transfer.remote, transport=name
        )
    cause = error if isinstance(error, OSError) else OSError(errno.EIO, escape(str(error)))
    return transfer_error(cause, local=transfer.local, remote=transfer.remote, transport=name)


def _as_os_error(error: asyncssh.SFTPError) -> OSError:
    for kind, number in _BY_KIND:
        if isinstance(error, kind):
            return OSError(number, escape(error.reason))
    return OSError(errno.EIO, escape(error.reason))


async def raise_explained(
    client: asyncssh.SFTPClient, error: asyncssh.SFTPError, path: bytes
) -> NoReturn:
    """Raise what a server's answer was about, if that can be found; else the answer itself."""
    found = await _explained(client, error, path)
    if found is error:
        raise error
    raise found from error


async def _explained(
    client: asyncssh.SFTPClient, error: asyncssh.SFTPError, path: bytes
) -> Exception:
    """Return what a bare "Failure" on writing ``path`` was about, as an OSError if it is found."""
    if type(error) not in (asyncssh.SFTPFailure, asyncssh.SFTPNoSuchFile):
        return error
    parent = path.rpartition(b"/")[0] or (b"/" if path.startswith(b"/") else b".")
    with contextlib.suppress(asyncssh.SFTPError):
        attrs = await client.stat(parent)
        if attrs.permissions is not None and not stat.S_ISDIR(attrs.permissions):
            return OSError(errno.ENOTDIR, "the parent is not a directory")
    if type(error) is asyncssh.SFTPFailure:
        with contextlib.suppress(asyncssh.SFTPError):
            space = await client.statvfs(parent)
            if space.bavail == 0:
                return OSError(errno.ENOSPC, "no space is left on the remote disk")
    return error
