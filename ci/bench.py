"""Prints the speed of transport-ssh as ratios to its peers, measured in this process.

Run it with ``nox -s bench``. It starts the testbed's stack, interleaves the candidates, and
prints medians; only the ratios mean anything on another machine.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncssh
from transport_ssh import Hop, KnownHosts, PrivateKey, SSHOptions, SSHTransport
from transport_testbed.stack import Endpoint, StackSpec, providers

CIPHER = "aes128-gcm@openssh.com"  # what transport-ssh negotiates with OpenSSH
ROUNDS = 400
PROGRAM = "/bin/true"
Candidate = Callable[[], Awaitable[Any]]


async def medians(candidates: dict[str, Candidate], rounds: int) -> dict[str, float]:
    """Return the median seconds of each, interleaved so that a noisy moment hits all."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, call in candidates.items():
            started = time.perf_counter()
            await call()
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values[rounds // 10 :]) for name, values in times.items()}


def hop_of(endpoint: Endpoint) -> dict[str, Any]:
    """Return the options of one endpoint."""
    return {
        "host": endpoint.host,
        "port": endpoint.port,
        "user": endpoint.user,
        "auth": PrivateKey(endpoint.identity),
        "known_hosts": KnownHosts(text=endpoint.known_hosts),
    }


async def raw(endpoint: Endpoint, tunnel: asyncssh.SSHClientConnection | None) -> Any:
    """Return a plain asyncssh connection."""
    return await asyncssh.connect(
        endpoint.host,
        endpoint.port,
        username=endpoint.user,
        client_keys=[endpoint.identity],
        known_hosts=asyncssh.import_known_hosts(endpoint.known_hosts),
        agent_path=None,
        config=None,
        encryption_algs=[CIPHER],
        **({"tunnel": tunnel} if tunnel is not None else {}),
    )


async def compare(endpoint: Endpoint) -> None:
    """Print one table row: ours against asyncssh's own run."""
    hop = await raw(endpoint.via, None) if endpoint.via else None
    connection = await raw(endpoint, hop)
    via = (Hop(**hop_of(endpoint.via)),) if endpoint.via else ()
    async with SSHTransport(SSHOptions(**hop_of(endpoint), via=via)) as transport:
        found = await medians(
            {
                "asyncssh": lambda: connection.run(PROGRAM),
                "ours": lambda: transport.run([PROGRAM]),
            },
            ROUNDS if hop is None else ROUNDS // 8,
        )
    connection.close()
    if hop is not None:
        hop.close()
    ratio = found["ours"] / found["asyncssh"]
    print(
        f"{endpoint.name:12} run({PROGRAM}): asyncssh {found['asyncssh'] * 1000:6.2f} ms, "
        f"transport-ssh {found['ours'] * 1000:6.2f} ms, ratio {ratio:.2f}",
        flush=True,
    )


def main() -> None:
    """Start a stack, compare on some of its endpoints, stop it."""
    provider = providers()[0]
    stack = provider.start(StackSpec(slurm=False))
    try:
        print(f"OpenSSH {stack.versions['openssh']}, asyncssh {asyncssh.__version__}, {CIPHER}")
        subprocess.run(["nproc"], check=False)
        for name in ("dash", "bash", "fish", "jump-bash"):
            asyncio.run(compare(stack.endpoint(name)))
    finally:
        provider.stop(stack)


if __name__ == "__main__":
    main()
