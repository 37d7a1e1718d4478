"""Calls of compose for one run, by testcontainers: what is built, what is started.

Must not know when a host is usable.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

from transport_testbed.stack._provider import StackError
from transport_testbed.stack._runs import TOKEN_VARIABLE, Run, login_uid
from transport_testbed.stack._spec import StackSpec
from transport_testbed.stack.containers import engine, images


def handle(run: Run, spec: StackSpec) -> Any:
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
        "TESTBED_RECORD": run.record(),
        "TESTBED_UID": str(login_uid()),
        "TESTBED_RUNNER": str(os.geteuid()),
        "TESTBED_PROFILES": ",".join(profiles),
        "TESTBED_IMAGES": images.prefix(),
        # The files tell when a host is usable: asked all the time, its health would cost as
        # much as the tests.
        "TESTBED_INTERVAL": "60s",
        "DOCKER_HOST": engine.address(),
    }
    lines = ["#!/bin/sh", '[ "$1" = compose ] && shift']
    lines.append("unset DOCKER_CONTEXT $(env | grep -o '^COMPOSE_[A-Z_]*')")
    lines += [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    # A file .env beside compose.yaml is for those who use it by hand.
    options = f"--env-file /dev/null -p intercede-{run.token[:12]}"
    lines.append(f'exec {shlex.join(found)} {options} "$@"')
    script = run.root / "compose"
    script.write_text("\n".join(lines) + "\n")
    script.chmod(0o700)
    return script


def build(compose: Any) -> None:
    """Build the images, from what base there is; StackError with the end of what was said."""
    with images.base() as base:
        every = ("--profile", "accounting", "--profile", "workstation")
        argv = [*compose.docker_compose_command(), *every, "build", "-q"]
        argv += ["--build-arg", f"BASE_IMAGE={base}"]
        _call("build", argv)


def up(compose: Any, run: Run) -> None:
    """Start the hosts; StackError with the end of what was said."""
    try:
        compose.start()
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace")
        raise StackError("compose", "up failed", output=end_of(said)) from error
    except PermissionError as error:
        hint = "is /tmp mounted noexec? It has the script that calls compose"
        raise StackError("compose", str(error), hint=hint) from error
    if not engine.containers(run.token):
        # Some versions refuse a file, or an option, and exit 0.
        argv = [*compose.docker_compose_command(), "config", "--quiet"]
        done = subprocess.run(
            argv, cwd=images.folder(), capture_output=True, text=True, check=False
        )
        said = end_of(done.stdout + done.stderr)
        raise StackError("compose", "up started nothing, and told no error", output=said)


def _call(part: str, argv: list[str]) -> None:
    done = subprocess.run(argv, cwd=images.folder(), capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stdout + done.stderr
        raise StackError(part, f"exit status {done.returncode}", output=end_of(said))


def end_of(text: str, lines: int = 15) -> str:
    """Return the last lines of what was said."""
    return "\n".join(text.splitlines()[-lines:])
