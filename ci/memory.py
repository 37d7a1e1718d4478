"""Prints how much memory a call needs at its peak, and exits with 1 if it is too much.

``nox -s memory``. Endless output against ``output_limit``, and files of 1 GiB against files of
64 MiB, here and by SSH; each figure is taken in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from bench import hop_of
from transport_core import OutputLimitError, Transport
from transport_local import LocalTransport
from transport_ssh import SSHOptions, SSHTransport
from transport_testbed.conformance._memory import memory, peak_reset
from transport_testbed.stack import Endpoint, StackSpec, providers

MIB = 1024 * 1024
LIMIT = 64 * MIB
SMALL, LARGE = 64 * MIB, 1024 * MIB
SLACK = 32 * MIB
FLAT = 8 * MIB
"""Bytes by which the peaks of a small and a large file may differ: what the allocator rounds."""

ENDLESS = {
    "stdout": ["dd", "if=/dev/zero", "bs=65536"],
    "both streams": ["sh", "-c", "dd if=/dev/zero bs=65536 >&2 & exec dd if=/dev/zero bs=65536"],
}


async def endless(transport: Transport, which: str, _size: int, _folder: Path) -> None:
    """Run a command that never stops writing."""
    call = transport.run(ENDLESS[which], output_limit=LIMIT)
    (error,) = await asyncio.gather(call, return_exceptions=True)
    assert isinstance(error, OutputLimitError), error
    assert error.result is not None
    assert max(len(error.result.stdout), len(error.result.stderr)) == LIMIT


async def put(transport: Transport, _which: str, size: int, folder: Path) -> None:
    """Copy a file there."""
    source = folder / "source"
    with source.open("wb") as file:
        file.truncate(size)
    assert (await transport.put(source, folder / "there" / "file")).bytes == size


async def get(transport: Transport, _which: str, size: int, folder: Path) -> None:
    """Copy a file here."""
    source = folder / "there" / "source"
    with source.open("wb") as file:
        file.truncate(size)
    assert (await transport.get(source, folder / "here")).bytes == size


WORKS: dict[str, Callable[[Transport, str, int, Path], Any]] = {
    "endless": endless,
    "put": put,
    "get": get,
}


async def peak(work: str, which: str, size: int, endpoint: Endpoint | None, folder: Path) -> int:
    """Return by how many bytes the peak of one call is above what was needed before it."""
    opened: AbstractAsyncContextManager[Transport]
    opened = SSHTransport(SSHOptions(**hop_of(endpoint))) if endpoint else LocalTransport()
    async with opened as transport:
        await transport.run(["true"])
        assert peak_reset(), "only Linux tells how much memory a process has needed"
        before = memory("VmRSS")
        await WORKS[work](transport, which, size, folder)
        return memory("VmHWM") - before


def measure(work: str, which: str, size: int, told: str | None) -> None:
    """Print one figure of this process."""
    endpoint = Endpoint.from_json(told) if told else None
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - the login is another user
        os.mkdir(f"{folder}/there")
        os.chmod(f"{folder}/there", 0o777)  # noqa: S103 - as above
        print(asyncio.run(peak(work, which, size, endpoint, Path(folder))))


def measured(place: str, endpoint: Endpoint | None, work: str, which: str, size: int) -> int:
    """Return what another process measures."""
    told = json.dumps([work, which, size, endpoint and endpoint.to_json()])
    done = subprocess.run([sys.executable, __file__, told], stdout=subprocess.PIPE, check=True)
    print(f"{place}: {work} {which or size // MIB}: peak {int(done.stdout) / MIB:.1f} MiB more")
    return int(done.stdout)


def judged(what: str, found: int, most: int) -> int:
    """Print one figure with its bound; return 1 if it is over."""
    verdict = "" if found <= most else "  OVER"
    print(f"{what}: {found / MIB:.1f} MiB (at most {most / MIB:.0f}){verdict}", flush=True)
    return found > most


def compare(place: str, endpoint: Endpoint | None) -> int:
    """Measure at one place; return how many figures are over."""
    found = measured(place, endpoint, "endless", "stdout", 0)
    over = judged(f"{place}: endless stdout", found, LIMIT + SLACK)
    found = measured(place, endpoint, "endless", "both streams", 0)
    over += judged(f"{place}: endless stdout and stderr", found, 2 * LIMIT + SLACK)
    for work in ("put", "get"):
        small, large = (measured(place, endpoint, work, "", size) for size in (SMALL, LARGE))
        over += judged(f"{place}: {work} of 1 GiB against 64 MiB", large - small, FLAT)
    return over


def main() -> int:
    """Measure here and on a stack, or take the one figure that is asked for."""
    if len(sys.argv) > 1:
        measure(*json.loads(sys.argv[1]))
        return 0
    over = compare("local", None)
    provider = providers()[0]
    stack = provider.start(StackSpec(slurm=False, jump=False, shells=("bash",)))
    try:
        over += compare("ssh", stack.endpoint("bash"))
    finally:
        provider.stop(stack)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
