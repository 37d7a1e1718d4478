"""What the tests of transport-local share: looks from outside, and small trees."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from transport_local import LocalTransport

Verb = Literal["put", "get"]
both = pytest.mark.parametrize("verb", ["put", "get"])
# A user of its own for what root may do anyway.
unprivileged = pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")


async def move(here: LocalTransport, verb: Verb, source: Any, target: Any, **options: Any) -> Any:
    """Copy by either verb: both take the source first."""
    return await getattr(here, verb)(source, target, **options)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def make_tree(root: Path) -> Path:
    (root / "sub" / "empty").mkdir(parents=True)
    (root / "a").write_bytes(b"alpha")
    (root / "sub" / "none").touch()
    (root / "sub" / "tool").write_bytes(b"#!")
    (root / "sub" / "tool").chmod(0o750)
    (root / "sub" / "link").symlink_to("../a")
    return root


def alive(pid: int) -> bool:
    """Whether a process runs and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return False
    return state not in (b"Z", b"X")


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Poll until it holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        await asyncio.sleep(0.01)


def pids(path: Path) -> list[int]:
    return [int(word) for word in path.read_text().split()] if path.exists() else []
