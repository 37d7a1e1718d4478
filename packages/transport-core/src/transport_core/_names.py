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

    ``depth`` 0 is a link directly in the tree's root.

    Raises:
        UnsafePathError: It is absolute, empty, or climbs above the root at any point.
    """
    inside = bool(target) and not target.startswith(b"/") and b"\0" not in target
    level = depth
    for part in target.split(b"/"):
        level += {b"..": -1, b".": 0, b"": 0}.get(part, 1)
        inside = inside and level >= 0
    if not inside:
        raise UnsafePathError(f"a link in the tree leads out of it: '{escape(target)}'")
    return target
