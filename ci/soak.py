"""Counts what must not be left behind, on the testbed's stack. ``nox -s soak``.

1000 commands over one transport make one login in the server's log. 200 calls that time out, 200
that are cancelled and 200 whose session is killed on the server, each at a random moment, leave no
remote process, descriptor, task, thread or temporary file more than there was. Commands and
transfers, direct and behind the jump host. Exits with 1 if a figure is not as it must be.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import hop_of
from transport_core import CommandTimeoutError, ConnectivityError, TransferTimeoutError
from transport_core.authoring import TEMP_PREFIX
from transport_ssh import Hop, SSHOptions, SSHTransport
from transport_testbed._faults import Sessions
from transport_testbed._outside import LocalProbe, ServerLog
from transport_testbed.stack import Endpoint, Stack, StackSpec, providers

TIMES = 200
SLEEPERS = "sleep 1000 & sleep 1000"
SIZE = 8 * 1024 * 1024
LATEST = 0.04
"""Seconds within which a fault comes: from before a session is open to within the transfer."""
SETTLE = 15.0
"""Seconds at most in which what was stopped is gone."""

MOMENTS = random.Random()  # noqa: S311 - moments, no secrets

Call = Callable[[float | None], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Held:
    """What there is at one moment."""

    processes: int
    descriptors: int
    tasks: int
    threads: int
    temp_files_here: int
    temp_files_there: int


class Soak:
    """One account, and the calls that are disturbed."""

    def __init__(self, stack: Stack, endpoint: Endpoint, folder: Path) -> None:
        """Prepare files; ``folder`` has a directory for each side."""
        self.here, self.there = folder / "here", folder / "there"
        (self.here / "source").write_bytes(os.urandom(SIZE))
        (self.there / "source").write_bytes(os.urandom(SIZE))
        self.marker = "marker-" + secrets.token_hex(16)
        log = stack.logs[f"sshd-{endpoint.server}"]
        self.probe = LocalProbe(log=ServerLog(log, endpoint.user))
        self._faults = Sessions.of(stack, endpoint)
        via = (Hop(**hop_of(endpoint.via)),) if endpoint.via else ()
        self.transport = SSHTransport(
            SSHOptions(**hop_of(endpoint), via=via, logins_per_minute=100_000)
        )
        argv = ["sh", "-c", SLEEPERS, self.marker]
        run, put, get = self.transport.run, self.transport.put, self.transport.get
        self.calls: dict[str, Call] = {
            "runs": lambda seconds: run(argv, timeout=seconds),
            "puts": lambda seconds: put(self.here / "source", self.there / "put", timeout=seconds),
            "gets": lambda seconds: get(self.there / "source", self.here / "got", timeout=seconds),
        }
        """What is disturbed, by name."""

    def held(self) -> Held:
        """Count."""
        return Held(
            len(self.probe.processes(self.marker)),
            len(os.listdir("/proc/self/fd")),
            len(asyncio.all_tasks()),
            threading.active_count(),
            *(len(list(side.glob(TEMP_PREFIX.decode() + "*"))) for side in (self.here, self.there)),
        )

    async def settled(self, before: Held) -> Held:
        """Count again, once it is as before or the time is over."""
        await self._until(lambda: self.held() == before)
        return self.held()

    async def time_out(self, call: Call) -> bool:
        """Return whether the end of a call that timed out was not confirmed."""
        try:
            await call(MOMENTS.uniform(0.001, LATEST))
        except TransferTimeoutError:
            return False
        except CommandTimeoutError as error:
            return not error.stopped
        return False  # it was faster

    async def cancel(self, call: Call) -> bool:
        """Return whether a cancelled call ended otherwise."""
        task = asyncio.ensure_future(call(None))
        await asyncio.sleep(MOMENTS.uniform(0, LATEST))
        task.cancel()
        (found,) = await asyncio.gather(task, return_exceptions=True)
        return isinstance(found, Exception)

    async def kill(self, call: Call) -> bool:
        """Return whether a call whose session was killed failed otherwise than by the loss."""
        await self.transport.run(["/bin/true"], check=True)
        task = asyncio.ensure_future(call(None))
        if call is self.calls["runs"]:
            # What the server had not yet told of a command when it died, nobody can know: a
            # command is killed while it runs, a transfer at any moment.
            await self._until(lambda: bool(self.probe.processes(self.marker)))
            await asyncio.sleep(0.05)
        await asyncio.sleep(MOMENTS.uniform(0, LATEST))
        await asyncio.to_thread(self._cut)
        (found,) = await asyncio.gather(task, return_exceptions=True)
        await self.transport.run(["/bin/true"], check=True)
        await self._until(lambda: not self.probe.processes(self.marker))
        return isinstance(found, BaseException) and not isinstance(found, ConnectivityError)

    async def _until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + SETTLE
        while not condition() and time.monotonic() < end:  # noqa: ASYNC110 - nobody sets an event
            await asyncio.sleep(0.05)

    def _cut(self) -> None:
        with self._faults.cut():
            pass


async def warm(soak: Soak) -> None:
    """Open what stays open: a session for files, and the threads of the loop's executor."""
    await soak.transport.put(soak.here / "source", soak.there / "put")
    await soak.transport.get(soak.there / "source", soak.here / "got")
    await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.05) for _ in range(64)))


async def disturbed(soak: Soak, fault: Callable[[Call], Awaitable[bool]]) -> list[str]:
    """Disturb each kind of call, print the figures, and return those that are not as before."""
    wrong: list[str] = []
    for name, call in soak.calls.items():
        await warm(soak)
        before = soak.held()
        odd = 0
        for _ in range(TIMES):
            odd += await fault(call)
        await warm(soak)  # reconnects, where it was lost
        after = await soak.settled(before)
        more = {what: count - asdict(before)[what] for what, count in asdict(after).items()}
        figures = {**more, "ended otherwise": odd}
        what = f"{TIMES} {name}, {fault.__name__}"
        print(f"  {what}: " + ", ".join(f"{n} {key}" for key, n in figures.items()), flush=True)
        wrong += [f"{what}: {n} {key}" for key, n in figures.items() if n > 0]
    return wrong


async def soak_one(stack: Stack, name: str, folder: Path) -> list[str]:
    """Return what is wrong at one account."""
    endpoint = stack.endpoint(name)
    soak = Soak(stack, endpoint, folder)
    transport, logins = soak.transport, soak.probe.logins
    before, started = len(asyncio.all_tasks()), logins() or 0
    async with transport:
        for _ in range(10):
            await asyncio.gather(*(transport.run(["/bin/true"], check=True) for _ in range(100)))
        wrong = await disturbed(soak, soak.time_out) + await disturbed(soak, soak.cancel)
        made = (logins() or 0) - started
        print(f"  logins of {1000 + 6 * TIMES} calls: {made} (must be 1)")
        wrong += [f"{made} logins"] if made != 1 else []
        wrong += await disturbed(soak, soak.kill)
    left = len(asyncio.all_tasks()) - before
    print(f"  tasks after closing: {left} (must be 0)")
    return wrong + ([f"{left} tasks after closing"] if left else [])


def main() -> int:
    """Start a stack, count on a direct login and behind the jump host, stop it."""
    provider = providers()[0]
    stack = provider.start(StackSpec(slurm=False, shells=("bash",)))
    wrong: list[str] = []
    try:
        for name in ("bash", "jump-bash"):
            print(f"{name}: more than before, after", flush=True)
            with tempfile.TemporaryDirectory(dir=stack.root) as folder:
                os.chmod(folder, 0o755)  # noqa: S103 - the login is another user
                for side in ("here", "there"):
                    os.mkdir(f"{folder}/{side}")
                    os.chmod(f"{folder}/{side}", 0o777)  # noqa: S103 - as above
                found = asyncio.run(soak_one(stack, name, Path(folder)))
            wrong += [f"{name}: {each}" for each in found]
    finally:
        provider.stop(stack)
    print("\n".join(["", "not as it must be:", *wrong]) if wrong else "all as it must be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
