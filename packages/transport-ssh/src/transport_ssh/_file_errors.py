"""From SFTP's status codes to the contract's file errors.

SFTP version 3 has few codes: most failures are one "Failure" (draft-ietf-secsh-filexfer-02), so
the cause is looked for afterwards, by attributes of the paths and the space that is left.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import NoReturn

import asyncssh
from transport_core import ConnectionLostError, Delivery, TransferError, TransportError
from transport_core.authoring import escape, transfer_error

from ._transfer import Transfer
from ._tree import parent_of

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

# What the systems of servers allow, and few servers tell.
_LONGEST_NAME = 255
_LONGEST_PATH = 4095
_SAY_NO_MORE = "a quota may be used up, or a limit of the server's reached: ask there"
_REPEAT = "repeat it: no file is there in part. The next call connects"


def typed(error: Exception, transfer: Transfer, name: str) -> TransportError:
    """Return the contract's error, with both paths; the caller keeps the cause."""
    if isinstance(error, TransportError) and not isinstance(error, TransferError):
        if isinstance(error, ConnectionLostError) and error.delivery is not Delivery.NOT_SENT:
            error.hint = _REPEAT
        error.transport = error.transport or name
        return error
    if isinstance(error, asyncssh.SFTPError):
        cause = _as_os_error(error)
    else:
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
    """Raise what a server's answer was about, as far as that can be found."""
    raise (await _explained(client, error, path) or _unexplained(error)) from error


async def _explained(
    client: asyncssh.SFTPClient, error: asyncssh.SFTPError, path: bytes
) -> OSError | None:
    """Return what an answer that says little of ``path`` was about; None if that is not found."""
    if isinstance(error, asyncssh.SFTPBadMessage) and _is_too_long(path):
        return OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    if type(error) not in (asyncssh.SFTPFailure, asyncssh.SFTPNoSuchFile):
        return None
    parent = parent_of(path)
    with contextlib.suppress(asyncssh.SFTPError):
        attrs = await client.stat(parent)
        if attrs.permissions is not None and not stat.S_ISDIR(attrs.permissions):
            return OSError(errno.ENOTDIR, "the parent is not a directory")
    if type(error) is asyncssh.SFTPFailure:
        with contextlib.suppress(asyncssh.SFTPError):
            space = await client.statvfs(parent)
            # Some have no count of blocks or of inodes.
            if (space.blocks and not space.bavail) or (space.files and not space.favail):
                return OSError(errno.ENOSPC, "no space is left on the remote disk")
    return None


def _unexplained(error: asyncssh.SFTPError) -> OSError:
    found = _as_os_error(error)
    if type(error) is not asyncssh.SFTPFailure:
        return found
    told = transfer_error(OSError(errno.EIO, f"the server says '{found.strerror}', and no more"))
    told.hint = _SAY_NO_MORE
    return told


def _is_too_long(path: bytes) -> bool:
    return len(path) > _LONGEST_PATH or any(len(name) > _LONGEST_NAME for name in path.split(b"/"))
