"""The containers provider: the hosts of compose.yaml, each a container on one engine.

Knows the order of things. Needs an engine on this very machine, and root: the suite looks at the
servers' processes and files as this machine sees them.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transport_testbed.stack._provider import StackError
from transport_testbed.stack._runs import TOKEN_VARIABLE, Run, login_uid, sweep
from transport_testbed.stack._spec import Stack, StackSpec
from transport_testbed.stack._timings import Timings
from transport_testbed.stack.containers import describe, engine, images

__all__ = ["ContainersProvider"]

#: Seconds in which every host has to be usable.
PATIENCE = 60.0

#: The ports on which the bastion listens, as compose.yaml publishes them.
PORTS = range(2200, 2210)


class ContainersProvider:
    """Brings stacks up in containers."""

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
            compose = _compose(run, spec)
            if not images.present(*(f"{images.prefix()}/{host}" for host in images.HOSTS)):
                _build(compose)
            timings.mark("build")
            _up(compose)
            timings.mark("up")
            _await_ready(run, spec)
            timings.mark("ready")
            return _describe(run, spec, timings)
        except BaseException:
            self._end(run)
            raise

    def stop(self, stack: Stack) -> None:
        """End everything of *stack*, from any process. Stopping twice is silent."""
        self._end(Run.recorded(Path(stack.root), stack.token))

    def _end(self, run: Run) -> None:
        engine.remove(run.token)
        run.end()

    def sweep(self) -> list[str]:
        """Remove what dead runners left behind; return the directories and runs removed."""
        removed = sweep()
        for token in engine.runs():
            run = Run.of_token(token)
            if run.orphaned:
                # The engine makes the directory once more for a container that it was starting.
                self._end(run)
                removed.append(token)
        return removed


def _compose(run: Run, spec: StackSpec) -> Any:
    """Return testcontainers' handle on the stack of a run; nothing is started."""
    from testcontainers.compose import DockerCompose  # noqa: PLC0415 - an optional extra

    profiles = [name for name in ("accounting", "workstation") if getattr(spec, name)]
    command = _command(run, profiles)
    return DockerCompose(
        images.folder(), docker_command_path=str(command), profiles=profiles, wait=False
    )


def _command(run: Run, profiles: list[str]) -> Path:
    """Write a script that calls compose for this run, whatever the caller's environment says.

    testcontainers puts "compose" before all it says, which a binary of its own would take for a
    question it does not know, and answer with its help and success.
    """
    found = engine.compose_command()
    if found is None:
        raise StackError("compose", "is not here any more")
    values = {
        # Compose belongs to the run: without it, the engine gets no more orders.
        TOKEN_VARIABLE: run.token,
        "TESTBED_ROOT": str(run.root),
        "TESTBED_RUN": run.token,
        "TESTBED_OWNER": engine.owner(),
        "TESTBED_UID": str(login_uid()),
        "TESTBED_RUNNER": str(os.geteuid()),
        "TESTBED_PROFILES": ",".join(profiles),
        "TESTBED_IMAGES": images.prefix(),
        # The files tell when a host is usable: asked all the time, its health would cost as
        # much as the tests.
        "TESTBED_INTERVAL": "60s",
        # The engine that DOCKER_HOST names, as for docker's SDK, which knows no contexts.
        "DOCKER_CONTEXT": "default",
    }
    lines = ["#!/bin/sh", '[ "$1" = compose ] && shift']
    lines.append("unset $(env | grep -o '^COMPOSE_[A-Z_]*')")
    lines += [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    # A file .env beside compose.yaml is for those who use it by hand.
    options = f"--env-file /dev/null -p intercede-{run.token[:12]}"
    lines.append(f'exec {shlex.join(found)} {options} "$@"')
    script = run.root / "compose"
    script.write_text("\n".join(lines) + "\n")
    script.chmod(0o700)
    return script


def _build(compose: Any) -> None:
    with images.base() as base:
        every = ("--profile", "accounting", "--profile", "workstation")
        argv = [*compose.docker_compose_command(), *every, "build", "-q"]
        argv += ["--build-arg", f"BASE_IMAGE={base}"]
        _call("build", argv)


def _up(compose: Any) -> None:
    try:
        compose.start()
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace")
        raise StackError("compose", "up failed", output=_end_of(said)) from error


def _call(part: str, argv: list[str]) -> None:
    done = subprocess.run(argv, cwd=images.folder(), capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stdout + done.stderr
        raise StackError(part, f"exit status {done.returncode}", output=_end_of(said))


def _end_of(text: str, lines: int = 15) -> str:
    return "\n".join(text.splitlines()[-lines:])


def _await_ready(run: Run, spec: StackSpec) -> None:
    """Return when each host has said that it is usable."""
    hosts = {"bastion", "login", "controller", "c1", "c2"}
    hosts |= {name for name in ("accounting", "workstation") if getattr(spec, name)}
    deadline = time.monotonic() + PATIENCE
    looked = time.monotonic()
    while waited := sorted(host for host in hosts if not (run.root / "ready" / host).exists()):
        if time.monotonic() - looked > 1:
            _check_running(run)
            looked = time.monotonic()
        if time.monotonic() > deadline:
            _fail(run, waited[0], f"is not usable after {PATIENCE:g} s")
        time.sleep(0.01)


def _check_running(run: Run) -> None:
    for container in engine.containers(run.token):
        if container.status != "running":
            _fail(run, _service(container), f"has {container.status}")


def _fail(run: Run, host: str, problem: str) -> None:
    """Raise with the last words of a host's container."""
    said = ""
    for container in engine.containers(run.token):
        if _service(container) == host:
            said = container.logs(tail=15).decode(errors="replace")
    hint = "" if (run.root / "ready").exists() else (
        f"no file of the containers appeared in {run.root}: does the engine run on this machine?"
    )  # fmt: skip
    raise StackError(host, problem, output=_end_of(said), hint=hint)


def _service(container: Any) -> str:
    return str(container.labels.get("com.docker.compose.service", container.name))


def _published(run: Run) -> Mapping[int, int]:
    """Return this machine's port for each of the bastion's; a start may change them."""
    bastion = next(each for each in engine.containers(run.token) if _service(each) == "bastion")
    bound = bastion.attrs["NetworkSettings"]["Ports"]
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
