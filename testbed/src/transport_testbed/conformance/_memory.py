"""How much memory this process has needed, on systems that tell. Must not know transports."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import pathlib


def peak_reset() -> bool:
    """Make the process's peak memory start from now; False where the system cannot.

    What is free already is given back first: memory that is taken from it would be no more than
    there was, and up to 64 MiB of what others have used stay with glibc otherwise (mallopt(3)).
    """
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):  # another libc
        ctypes.CDLL(None).malloc_trim(0)
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def memory(field: str) -> int:
    """Return a field of the process's memory in bytes: ``"VmRSS"`` now, ``"VmHWM"`` its peak."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0
