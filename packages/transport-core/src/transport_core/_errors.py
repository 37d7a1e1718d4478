"""The one tree of errors; every transport raises these and nothing else.

TransportError(Exception)              .delivery .transport .hop .hint
├─ ConfigurationError (ValueError)
├─ TransportClosedError
├─ UnsupportedOperationError           the transport, or its target, cannot do this
├─ ConnectivityError (ConnectionError)
│   ├─ ConnectTimeoutError (TimeoutError)
│   └─ ConnectionLostError
├─ AuthenticationError                 .tried
├─ HostKeyError                        .reason .seen .expected
├─ CommandError                        .result
│   ├─ CommandFailedError  CommandNotFoundError  CommandNotExecutableError  WorkingDirectoryError
│   └─ CommandTimeoutError (TimeoutError)  OutputLimitError
└─ TransferError (OSError)             .local .remote .side
    ├─ NotFoundError  AlreadyExistsError  PermissionDeniedError  IsADirectoryTransferError
    ├─ NotADirectoryTransferError  NoSpaceError  UnsafePathError  SizeMismatchError
    └─ TransferLimitError  TransferTimeoutError (TimeoutError)
"""

from __future__ import annotations

import enum
import errno
import os
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from ._redact import escape

if TYPE_CHECKING:
    from ._results import CommandResult

Side: TypeAlias = Literal["local", "remote"]
"""One side of a transfer."""


class Delivery(enum.Enum):
    """What is known of a request when its call failed (ERR-2).

    It tells of the command or transfer, not of what a command asked of others.
    """

    NOT_SENT = "not sent"
    """Nothing ran, provably; sending it again cannot run it twice."""
    FINISHED = "finished"
    """It ran to its end, or was answered whole; a job that it asked for may come all the same."""
    UNKNOWN = "unknown"
    """It may have run, in part or whole; a second ``sbatch`` may make a second job."""


class TransportError(Exception):
    """Base of all errors of a transport.

    Attributes:
        delivery: What is known of the request; claimed only where it is proven.
        transport: The transport's name, or None.
        hop: None, or which hop of the connection failed, such as ``"hop 1 of 2: bastion:22"``.
        hint: What to try, for people; or None.
    """

    def __init__(
        self,
        message: str,
        *,
        delivery: Delivery = Delivery.UNKNOWN,
        transport: str | None = None,
        hop: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.delivery = delivery
        self.transport = transport
        self.hop = hop
        self.hint = hint

    def __str__(self) -> str:
        """The message, then where, then what is known of the request, then what to try."""
        where = f" [{self.hop}]" if self.hop else (f" [{self.transport}]" if self.transport else "")
        hint = f"; try: {self.hint}" if self.hint else ""
        return f"{self.message}{where} (delivery: {self.delivery.value}){hint}"

    @property
    def retry_safe(self) -> bool:
        """Whether sending the same request again cannot run it twice.

        That it would go better is another question: a refused login is safe to repeat by this
        measure, and must not be repeated in a loop.
        """
        return self.delivery is Delivery.NOT_SENT


class ConfigurationError(TransportError, ValueError):
    """An option is impossible; found before anything was sent, and nothing was."""

    def __init__(
        self,
        message: str,
        *,
        delivery: Delivery = Delivery.NOT_SENT,
        transport: str | None = None,
        hop: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, delivery=delivery, transport=transport, hop=hop, hint=hint)


class TransportClosedError(TransportError):
    """The transport is not open: your code did not open it, or has closed it.

    Not the world's doing: that is ConnectionLostError.
    """


class UnsupportedOperationError(TransportError):
    """The transport, or the server it talks to, cannot do what was asked (CAP)."""


class ConnectivityError(TransportError, ConnectionError):
    """The other side cannot be reached or does not speak the protocol."""


class ConnectTimeoutError(ConnectivityError, TimeoutError):
    """The connection was not established in time."""


class ConnectionLostError(ConnectivityError):
    """An established connection broke; ``delivery`` says what is known of the call."""


class AuthenticationError(TransportError):
    """The server did not let us in. Never retried by itself: sites lock accounts.

    Attributes:
        tried: The methods that were given to it, in order, such as ``("publickey",)``; empty if
            it asked for none that is configured.
    """

    def __init__(
        self,
        message: str,
        *,
        tried: tuple[str, ...] = (),
        delivery: Delivery = Delivery.UNKNOWN,
        transport: str | None = None,
        hop: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, delivery=delivery, transport=transport, hop=hop, hint=hint)
        self.tried = tried


class HostKeyError(TransportError):
    """The server's host key is not the pinned one; no credential was sent.

    Attributes:
        reason: ``"unknown"``, ``"changed"`` or ``"revoked"``.
        seen: SHA256 fingerprint of the key that the server showed, or None.
        expected: Fingerprints that are pinned for this host.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "unknown",
        seen: str | None = None,
        expected: tuple[str, ...] = (),
        delivery: Delivery = Delivery.NOT_SENT,
        transport: str | None = None,
        hop: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, delivery=delivery, transport=transport, hop=hop, hint=hint)
        self.reason = reason
        self.seen = seen
        self.expected = expected


class CommandError(TransportError):
    """A command did not succeed. ``result`` holds what is known: whole, partial, or None."""

    def __init__(
        self,
        message: str,
        *,
        result: CommandResult | None = None,
        delivery: Delivery = Delivery.FINISHED,
        transport: str | None = None,
        hop: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, delivery=delivery, transport=transport, hop=hop, hint=hint)
        self.result = result


class CommandFailedError(CommandError):
    """The command ran and reported failure; raised by ``check`` only."""


class CommandNotFoundError(CommandError):
    """There is no such program on the target. Not a program that exits 127."""


class CommandNotExecutableError(CommandError):
    """The program exists and cannot be executed. Not a program that exits 126."""


class WorkingDirectoryError(CommandError):
    """The working directory asked for cannot be entered; the command was not started."""


class CommandTimeoutError(CommandError, TimeoutError):
    """The command was stopped at its timeout; ``result`` has the output until then.

    Attributes:
        stopped: Whether the end of the remote process group was confirmed.
    """

    stopped: bool = True


class OutputLimitError(CommandError):
    """The command wrote more than ``output_limit`` bytes and was stopped.

    Attributes:
        stopped: Whether the end of the remote process group was confirmed.
    """

    stopped: bool = True


class TransferError(TransportError, OSError):
    """A file or tree was not transferred; both paths are in ``local`` and ``remote``.

    ``delivery`` is FINISHED where the system answered, UNKNOWN where the call was broken off.

    It is an ``OSError``: ``errno`` is set where it is known, and ``filename`` is the path that
    failed, as far as that is known: of a member of a tree, its own.

    Attributes:
        side: Which side failed, ``"local"`` or ``"remote"``; None if it is not known. So of a
            NotFoundError of ``get``, whether the output is not there yet, or your own directory.
    """

    default_errno: ClassVar[int | None] = None

    def __init__(
        self,
        message: str,
        *,
        local: str | bytes | os.PathLike[str] | os.PathLike[bytes] | None = None,
        remote: str | bytes | os.PathLike[str] | os.PathLike[bytes] | None = None,
        side: Side | None = None,
        delivery: Delivery = Delivery.FINISHED,
        transport: str | None = None,
        hop: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, delivery=delivery, transport=transport, hop=hop, hint=hint)
        self.local = local
        self.remote = remote
        self.side = side
        self.filename = local if remote is None or side == "local" else remote
        if self.default_errno is not None:
            self._set_errno(self.default_errno)

    def _set_errno(self, number: int | None) -> None:
        self.errno = number
        self.strerror = None if number is None else os.strerror(number)

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep what OSError holds outside of its ``__dict__`` when pickled."""
        outside = {"errno": self.errno, "strerror": self.strerror, "filename": self.filename}
        return type(self), (self.message,), {**self.__dict__, **outside}

    def __str__(self) -> str:
        """The text of TransportError, with the paths; not OSError's ``[Errno …]``."""
        paths = [
            f"{what} '{escape(os.fsencode(path))}'"
            for what, path in (("local", self.local), ("remote", self.remote))
            if path is not None
        ]
        text = TransportError.__str__(self)
        return f"{text}; {', '.join(paths)}" if paths else text


class NotFoundError(TransferError, FileNotFoundError):
    """The source, or the destination's parent, does not exist."""

    default_errno = errno.ENOENT


class AlreadyExistsError(TransferError, FileExistsError):
    """The destination exists and ``overwrite=False``; it was not changed."""

    default_errno = errno.EEXIST


class PermissionDeniedError(TransferError, PermissionError):
    """The operating system, here or there, does not allow it."""

    default_errno = errno.EACCES


class IsADirectoryTransferError(TransferError, IsADirectoryError):
    """A directory stands where a file is needed."""

    default_errno = errno.EISDIR


class NotADirectoryTransferError(TransferError, NotADirectoryError):
    """Something else stands where a directory is needed."""

    default_errno = errno.ENOTDIR


class NoSpaceError(TransferError):
    """The disk or the quota is full."""

    default_errno = errno.ENOSPC


class UnsafePathError(TransferError):
    """A name or link from the other side would lead out of the destination; not followed."""


class SizeMismatchError(TransferError):
    """The bytes that arrived are not as many as the source announced."""


class TransferLimitError(TransferError):
    """``max_bytes`` or ``max_files`` was exceeded; nothing was left under the final name."""


class TransferTimeoutError(TransferError, TimeoutError):
    """The transfer was not done in time; nothing partial was left."""

    default_errno = errno.ETIMEDOUT


_BY_ERRNO: dict[int, type[TransferError]] = {
    errno.ENOENT: NotFoundError,
    errno.EEXIST: AlreadyExistsError,
    errno.ENOTEMPTY: AlreadyExistsError,
    errno.EACCES: PermissionDeniedError,
    errno.EPERM: PermissionDeniedError,
    errno.EROFS: PermissionDeniedError,
    errno.EISDIR: IsADirectoryTransferError,
    errno.ENOTDIR: NotADirectoryTransferError,
    errno.ENOSPC: NoSpaceError,
    errno.EDQUOT: NoSpaceError,
}


def transfer_error(
    error: OSError,
    *,
    local: str | bytes | os.PathLike[str] | os.PathLike[bytes] | None = None,
    remote: str | bytes | os.PathLike[str] | os.PathLike[bytes] | None = None,
    transport: str | None = None,
) -> TransferError:
    """Return the TransferError that an operating system's error stands for.

    One that is a TransferError already is the same error, with what it lacks. The caller raises
    it ``from error`` unless it is ``error``, so that the cause is kept.
    """
    if isinstance(error, TransferError):
        error.local = local if error.local is None else error.local
        error.remote = remote if error.remote is None else error.remote
        error.transport = error.transport or transport
        if error.filename is None:
            mine = error.remote is None or error.side == "local"
            error.filename = error.local if mine else error.remote
        return error
    kind = _BY_ERRNO.get(error.errno or 0, TransferError)
    known = os.strerror(error.errno) if error.errno else str(error)
    reason = error.strerror or known or type(error).__name__
    found = kind(reason, local=local, remote=remote, transport=transport)
    found._set_errno(error.errno)  # noqa: SLF001 - of this module
    return found
