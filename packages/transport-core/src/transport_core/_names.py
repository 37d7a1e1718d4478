"""Which names and links from the other side are safe, and how temporary files are named; pure."""

from __future__ import annotations

import secrets

from ._errors import UnsafePathError
from ._redact import escape

TEMP_PREFIX = b".intercede-"
"""Begins every temporary name of ours, in the directory of the final name (FILE-2)."""


def temp_name() -> bytes:
    """Return a new name that nobody can guess: 128 random bits."""
    return TEMP_PREFIX + secrets.token_hex(16).encode() + b".tmp"


def check_member(name: bytes) -> bytes:
    """Return the name of one directory entry that a remote sent, if it is only a name.

    Raises:
        UnsafePathError: It is empty, ``.``, ``..``, or holds ``/`` or NUL.
    """
    if name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
        raise UnsafePathError(
            f"the remote sent a directory entry named '{escape(name)}', which is no plain name"
        )
    return name


def check_link(target: bytes, depth: int) -> bytes:
    """Return a link's target if it stays inside a tree whose root is ``depth`` folders above it.

    ``depth`` 0 is a link directly in the tree's root. ``..`` may only stand at the beginning:
    after a name it climbs from where that name leads, and the name may be a link itself.

    Raises:
        UnsafePathError: It is absolute, empty, climbs above the root, or climbs after a name.
    """
    inside = bool(target) and not target.startswith(b"/") and b"\0" not in target
    parts = [part for part in target.split(b"/") if part not in (b"", b".")]
    climbs = parts.count(b"..")
    if not inside or climbs > depth or b".." in parts[climbs:]:
        raise UnsafePathError(f"a link in the tree leads out of it: '{escape(target)}'")
    return target
