"""Counts what must not be left behind: logins, processes, descriptors. ``nox -s soak``.

On the testbed's stack, looked at from outside: 1000 commands over one transport make one login
in the server's log; 100 timeouts and 100 cancels of a shell with two sleeping processes leave
none of them. Exits with 1 if a figure is not as it must be.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from pathlib import Path

from bench import hop_of
from transport_core import CommandTimeoutError
from transport_ssh import Hop, SSHOptions, SSHTransport
from transport_testbed.stack import Endpoint, Stack, StackSpec, providers

SLEEPERS = "sleep 1000 & sleep 1000"


def transport_to(endpoint: Endpoint) -> SSHTransport:
    """Return a transport to one account, with its hops."""
    via = (Hop(**hop_of(endpoint.via)),) if endpoint.via else ()
    return SSHTransport(SSHOptions(**hop_of(endpoint), via=via))


def processes(marker: str) -> int:
    """Count live processes whose argv or environment holds the marker; zombies do not count."""
    found = 0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        found += marker.encode() in text and int(entry.name) != os.getpid()
    return found


def logins(stack: Stack, endpoint: Endpoint) -> int:
    """Count the logins in the server's own log."""
    log = Path(stack.logs[f"sshd-{endpoint.server}"]).read_text(errors="replace")
    return log.count("Accepted publickey for " + endpoint.user)


async def soak(stack: Stack, name: str) -> list[tuple[str, int, int]]:
    """Return what was counted, and what it must be."""
    endpoint = stack.endpoint(name)
    before = logins(stack, endpoint)
    marker = "marker-" + secrets.token_hex(16)
    argv = ["sh", "-c", SLEEPERS, marker]
    async with transport_to(endpoint) as transport:
        for _ in range(10):
            await asyncio.gather(*(transport.run(["/bin/true"], check=True) for _ in range(100)))
        figures = [("logins of 1000 commands", logins(stack, endpoint) - before, 1)]
        descriptors = len(os.listdir("/proc/self/fd"))
        unconfirmed = 0
        for _ in range(100):
            try:
                await transport.run(argv, timeout=0.05)
            except CommandTimeoutError as error:
                unconfirmed += not error.stopped
        figures.append(("left of 100 timeouts", processes(marker), 0))
        figures.append(("timeouts whose end was not confirmed", unconfirmed, 0))
        for turn in range(100):
            task = asyncio.create_task(transport.run(argv))
            await asyncio.sleep(0.001 * (turn % 50))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        figures.append(("left of 100 cancels", processes(marker), 0))
        more = len(os.listdir("/proc/self/fd")) - descriptors
        figures.append(("descriptors more than before", more, 0))
        tasks = len(asyncio.all_tasks()) - 1
    figures.append(("logins in all", logins(stack, endpoint) - before, 1))
    figures.append(("tasks after closing", len(asyncio.all_tasks()) - 1, 0))
    print(f"{name}: {tasks} tasks while open")
    return figures


def main() -> int:
    """Start a stack, count on a direct login and behind the jump host, stop it."""
    provider = providers()[0]
    stack = provider.start(StackSpec(slurm=False))
    wrong = 0
    try:
        for name in ("bash", "jump-bash"):
            for what, found, wanted in asyncio.run(soak(stack, name)):
                print(f"{name}: {what}: {found} (must be {wanted})", flush=True)
                wrong += found != wanted
    finally:
        provider.stop(stack)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
