"""A stack in containers as others see it: an SSH client, and what the engine has of a run."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from transport_testbed.stack import Endpoint, Stack, StackSpec
from transport_testbed.stack._runs import Run, state_directory
from transport_testbed.stack.containers import ContainersProvider, engine

from .containers_due import due

asyncssh = pytest.importorskip("asyncssh", reason="no SSH client: python -m pip install asyncssh")

PROVIDER = ContainersProvider()
#: The database takes the longest, and no test asks it.
SPEC = StackSpec(accounting=False)


def need_containers() -> None:
    """Skip the module that calls it where there are none, and say why; where CI has them, fail."""
    if reason := PROVIDER.unavailable():
        reason = f"no stack in containers here: {reason}"
        if due(os.environ, os.geteuid(), sys.version_info[:2], engine.compose_command()):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason, allow_module_level=True)


async def connected(endpoint: Endpoint, held: AsyncExitStack) -> Any:
    """Log in as the endpoint says, by way of the hops before it."""
    hop = await connected(endpoint.via, held) if endpoint.via else None
    known = asyncssh.import_known_hosts(endpoint.known_hosts)
    return await held.enter_async_context(
        asyncssh.connect(
            endpoint.host, endpoint.port, username=endpoint.user, tunnel=hop, config=None,
            known_hosts=known, client_keys=[endpoint.identity], agent_path=None,
            login_timeout=10,
        )
    )  # fmt: skip


def client(stack: Stack, name: str, command: str) -> Any:
    """Run a command at an endpoint."""

    async def work() -> Any:
        async with AsyncExitStack() as held:
            connection = await connected(stack.endpoint(name), held)
            return await connection.run(command, timeout=20)

    return asyncio.run(work())


def ssh(stack: Stack, name: str, command: str) -> str:
    """Standard output of a command that succeeds."""
    done = client(stack, name, command)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def container(stack: Stack, service: str) -> Any:
    """The container of a service."""
    name = "com.docker.compose.service"
    return next(each for each in engine.containers(stack.token) if each.labels[name] == service)


def networks(stack: Stack) -> dict[str, Any]:
    """Both networks, by what compose.yaml calls them."""
    found = engine.client().networks.list(filters={"label": f"{engine.RUN}={stack.token}"})
    return {each.attrs["Labels"]["com.docker.compose.network"]: each for each in found}


def left(token: str) -> list[str]:
    """What the engine, the processes and the file system still have of a run."""
    ours = {"label": f"{engine.RUN}={token}"}
    docker = engine.client()
    found = [each.name for each in engine.containers(token)]
    found += [each.name for each in docker.networks.list(filters=ours)]
    found += [each.name for each in docker.volumes.list() if token[:12] in each.name]
    run = Run.recorded(state_directory() / token, token)
    found += [str(pid) for pid in run.members()]
    return found + ([str(run.root)] if run.root.exists() else [])


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether the condition comes to hold in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
