"""The two ends of a transfer, and how an error says at which of them it failed, and where.

Said where it fails, in the same words by every transport. Pure: knows no file system.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal

from ._errors import (
    Delivery,
    NotFoundError,
    Side,
    SizeMismatchError,
    TransferError,
    TransferLimitError,
    UnsafePathError,
    transfer_error,
)
from ._redact import escape

_TILDE = {
    "local": "~ is not expanded: give Path(...).expanduser()",
    "remote": "~ is not expanded: a relative path starts where commands do, which at a login is"
    " its home directory",
}
_PARENTS = "parents=True makes it"
# Found at the destination, of what came from the source: either may be to blame.
_OF_EITHER_END = (SizeMismatchError, UnsafePathError)


@dataclass(frozen=True, slots=True)
class End:
    """One end of a transfer."""

    side: Side
    role: Literal["source", "destination"]
    path: bytes
    """As the caller named it."""

    @contextlib.contextmanager
    def at(self, member: tuple[bytes, ...] = ()) -> Generator[None, None, None]:
        """Let what fails say that it failed here, of a tree at which member; the innermost counts.

        Raises:
            TransferError: For an OSError, which is its cause. One that is of this kind already
                is the same error, with more in it.
        """
        try:
            yield
        except OSError as error:
            # A lost connection has no end, nor has a limit that the caller set.
            if isinstance(error, (ConnectionError, TransferLimitError)):
                raise
            found = self._told(error, member)
            if found is error:
                raise
            raise found from error

    def _told(self, error: OSError, member: tuple[bytes, ...]) -> TransferError:
        found = transfer_error(error)
        if found.side is not None:
            return found
        if found is not error:
            self._explain(found, member)
        if member:
            found.message += f" ('{escape(b'/'.join(member))}')"
        if self.role == "source" or not isinstance(found, _OF_EITHER_END):
            found.side = self.side
            found.filename = b"/".join((self.path.rstrip(b"/"), *member)) if member else self.path
        return found

    def _explain(self, found: TransferError, member: tuple[bytes, ...]) -> None:
        """Give what the system says a subject, and a hint where one helps."""
        if not isinstance(found, NotFoundError) or member:
            found.message = f"{self.side} {self.role}: {found.message}"
            return
        missing = "source" if self.role == "source" else "parent directory"
        found.message = f"the {self.side} {missing} does not exist"
        found.hint = _tilde(self.side, self.path) or (
            _PARENTS if self.role == "destination" else None
        )


def stdin_error(
    error: OSError, path: os.PathLike[str] | os.PathLike[bytes] | bytes, transport: str
) -> TransferError:
    """Return the error for a path given as stdin that cannot be read; nothing was sent.

    The caller raises it ``from error``, so that the cause is kept.
    """
    found = transfer_error(error, local=path, transport=transport)
    found.message = f"stdin cannot be read: {found.message}"
    found.delivery, found.side = Delivery.NOT_SENT, "local"
    if isinstance(found, NotFoundError):
        found.hint = _tilde("local", os.fsencode(path))
    return found


def _tilde(side: Side, path: bytes) -> str | None:
    return _TILDE[side] if path.startswith(b"~") else None
