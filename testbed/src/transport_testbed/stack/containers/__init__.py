"""The containers provider: the hosts of compose.yaml, each a container on one engine.

Knows the order of things. Needs an engine on this very machine, and root: the suite looks at the
servers' processes and files as this machine sees them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from transport_testbed.stack._provider import StackError
from transport_testbed.stack._runs import Run, login_uid, sweep
from transport_testbed.stack._spec import Stack, StackSpec
from transport_testbed.stack._timings import Timings
from transport_testbed.stack.containers import compose, describe, engine, images
from transport_testbed.stack.containers.ready import await_ready

__all__ = ["ContainersProvider"]

#: The ports on which the bastion listens, as compose.yaml publishes them.
PORTS = range(2200, 2210)


class ContainersProvider:
    """Brings stacks up in containers: all of their parts, but for those of a profile."""

    name = "containers"

    def unavailable(self) -> str | None:
        """Say why this cannot work here, or None."""
        if sys.platform != "linux":
            return f"needs an engine on this machine itself, and {sys.platform} has it in another"
        if os.geteuid() != 0:
            return "needs root: the servers' processes and files, which the suite looks at, are its"
        return engine.missing() or images.missing()

    def start(self, spec: StackSpec, *, keep: bool = False) -> Stack:
        """Bring a stack up; StackError when a part does not come up."""
        timings = Timings()
        self.sweep()
        timings.mark("sweep")
        run = Run.create(keep=keep)
        try:
            with engine.asked():
                return self._start(run, spec, timings)
        except BaseException:
            self._end(run)
            raise

    def _start(self, run: Run, spec: StackSpec, timings: Timings) -> Stack:
        handle = compose.handle(run, spec)
        if not images.present(*(f"{images.prefix()}/{host}" for host in images.HOSTS)):
            compose.build(handle)
        timings.mark("build")
        compose.up(handle, run)
        timings.mark("up")
        await_ready(run, spec)
        timings.mark("ready")
        return _describe(run, spec, timings)

    def stop(self, stack: Stack) -> None:
        """End everything of *stack*, from any process. Stopping twice is silent."""
        self._end(Run.recorded(Path(stack.root), stack.token))

    def _end(self, run: Run) -> None:
        try:
            with engine.asked():
                engine.remove(run.token)
        finally:
            run.end()

    def runs(self, stack: Stack) -> bool:
        """Whether every host of *stack* is there and at work."""
        with engine.asked():
            hosts = engine.containers(stack.token)
        return bool(hosts) and all(each.status == "running" for each in hosts)

    def sweep(self) -> list[str]:
        """Remove what dead runners left behind; return the directories and runs removed."""
        removed = sweep()
        with engine.asked():
            left = engine.runs()
        for run in left:
            if run.orphaned:
                # What does not end is no reason to start nothing any more.
                with suppress(StackError, OSError):
                    # The engine makes the directory once more for a container it was starting.
                    self._end(run)
                    removed.append(run.token)
        return removed


def _published(run: Run) -> Mapping[int, int]:
    """Return this machine's port for each of the bastion's; a start may change them."""
    hosts = {engine.service(each): each for each in engine.containers(run.token)}
    bound = hosts["bastion"].attrs["NetworkSettings"]["Ports"]
    return {port: int(bound[f"{port}/tcp"][0]["HostPort"]) for port in PORTS}


def _describe(run: Run, spec: StackSpec, timings: Timings) -> Stack:
    servers = describe.servers(run.root)
    pids = describe.server_pids(run.root, engine.processes(run.token))
    logs = {path.stem: str(path) for path in (run.root / "log").glob("*.log")}
    return Stack(
        provider="containers",
        token=run.token,
        root=str(run.root),
        uid=login_uid(),
        versions=describe.versions(run.root),
        endpoints=describe.endpoints(run.root, _published(run)),
        # Slurm's commands are within.
        environment={},
        logs=logs,
        # Its network has no address of this machine (compose.yaml).
        isolated=True,
        why_not_isolated="",
        # The image is not built with one.
        python_free=True,
        accounting=spec.accounting,
        timings=timings.total(),
        pids=pids,
        host_keys={f"sshd-{name}": str(run.root / "keys" / f"host-{name}") for name in servers},
        spare_host_key=str(run.root / "keys" / "host-spare"),
    )
