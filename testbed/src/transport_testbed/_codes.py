"""One-time codes, as the app on a telephone makes them (RFC 6238), each given out once.

Must not know who takes them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import time
from collections.abc import Iterator
from pathlib import Path

STEP = 30
"""Seconds."""


def code(seed: str, step: int) -> str:
    """Return the six digits of a step, the seed being in base32."""
    digest = hmac.digest(base64.b32decode(seed), step.to_bytes(8, "big"), "sha1")
    start = digest[-1] & 15
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**6:06d}"


def fresh(seed: str, claims: Path, reach: int) -> str:
    """Return a code that no process has been given before, of a step as near to now as can be.

    Args:
        seed: In base32.
        claims: A directory in which steps that were given out are noted.
        reach: Steps from now that the server takes.

    Raises:
        RuntimeError: All within reach have been given out.
    """
    name = hashlib.sha256(seed.encode()).hexdigest()[:16]
    for step in _around(int(time.time()) // STEP, reach):
        try:
            os.close(os.open(claims / f"{name}-{step}", os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            continue
        return code(seed, step)
    raise RuntimeError(f"all codes of {2 * reach * STEP} s are used up")


def _around(now: int, reach: int) -> Iterator[int]:
    yield now
    for distance in range(1, reach + 1):
        yield now + distance
        yield now - distance
