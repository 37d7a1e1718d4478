"""Commands that are ended where the login makes that hard: wrappers, noise, slowness; real sshd."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from transport_core import CommandTimeoutError, ConnectionLostError, WorkingDirectoryError
from transport_ssh import KnownHosts, PrivateKey, SSHOptions, SSHTransport, _orphans
from transport_testbed._faults import Sessions
from transport_testbed._outside import content_of, pids, stat_of
from transport_testbed.stack import Endpoint, Stack, StackSpec, providers

pytestmark = pytest.mark.asyncio

WRAPPER = """#!/bin/sh
# Runs what was asked for, and does not give way to it by exec.
sh -c "$SSH_ORIGINAL_COMMAND"
code=$?
exit $code
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One server."""
    provider = next((each for each in providers() if not each.unavailable()), None)
    if provider is None:
        pytest.skip("no stack here")
    up = provider.start(StackSpec(slurm=False, jump=False, logins=False, shells=("bash",)))
    yield up
    provider.stop(up)


@pytest.fixture
def wrapped(stack: Stack) -> Iterator[None]:
    """Every login's command runs within a wrapper that is its parent."""
    wrapper = Path(stack.root, "wrapper")
    wrapper.write_text(WRAPPER)
    wrapper.chmod(0o755)
    keys = Path(stack.endpoint("bash").identity + ".pub")
    before = keys.read_text()
    keys.write_text(f'command="{wrapper}" {before}')
    yield
    keys.write_text(before)


@contextlib.contextmanager
def rc_file(endpoint: Endpoint, text: str) -> Iterator[None]:
    """Have each login read this first."""
    path = Path(endpoint.home, ".bashrc")
    before = path.read_text() if path.exists() else None
    path.write_text(text)
    path.chmod(0o644)
    yield
    if before is None:
        path.unlink()
    else:
        path.write_text(before)


def transport(endpoint: Endpoint, **more: Any) -> SSHTransport:
    """Return one to an endpoint."""
    options = SSHOptions(
        host=endpoint.host,
        port=endpoint.port,
        user=endpoint.user,
        auth=PrivateKey(endpoint.identity),
        known_hosts=KnownHosts(text=endpoint.known_hosts),
        **more,
    )
    return SSHTransport(options)


def marked() -> dict[str, str]:
    """Return an environment by which the processes of a call are found."""
    return {"MARK": os.urandom(8).hex()}


def running(env: dict[str, str]) -> list[int]:
    """Return the processes that carry a mark, those that ended apart."""
    word = f"MARK={env['MARK']}".encode()
    return [
        pid for pid in pids() if word in content_of(pid, "environ") and stat_of(pid)[0] not in "ZX"
    ]


async def until(true: Callable[[], bool]) -> None:
    """Wait for it."""
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("wrapped")
async def test_a_command_within_a_wrapper_is_ended_politely_and_with_its_children(
    stack: Stack,
) -> None:
    """The wrapper leads its group, since it does not give way by exec (RUN-11)."""
    endpoint, env = stack.endpoint("bash"), marked()
    note = Path(endpoint.home, f"note-{env['MARK']}")
    script = 'trap "echo got > $0; exit" TERM; sleep 100 >/dev/null 2>&1 & sleep 100 & wait'
    async with transport(endpoint, kill_grace=2.0) as ssh:
        with pytest.raises(CommandTimeoutError) as caught:
            await ssh.run(["sh", "-c", script, note.name], env=env, timeout=1.0)
        assert running(env) == []
        assert note.read_text() == "got\n"
        assert caught.value.stopped


@pytest.mark.usefixtures("wrapped")
async def test_a_stream_within_a_wrapper_can_be_signalled(stack: Stack) -> None:
    """As one without a wrapper (STRM-06)."""
    script = "trap 'echo got; exit 5' TERM; echo up; while :; do sleep 0.1; done"
    async with (
        transport(stack.endpoint("bash")) as ssh,
        ssh.stream(["sh", "-c", script]) as process,
    ):
        seen = b""
        async for chunk in process.stdout:
            if not seen:
                await process.terminate()
            seen += chunk
            if b"got" in seen:
                break
        assert seen.split() == [b"up", b"got"]


@pytest.mark.usefixtures("wrapped")
async def test_what_a_wrapper_left_running_is_ended_at_the_next_login(stack: Stack) -> None:
    """The wrapper as well as the command (LIFE-05)."""
    endpoint, env = stack.endpoint("bash"), marked()
    faults = Sessions.of(stack, endpoint)
    async with transport(endpoint, kill_grace=0.5) as ssh:
        with contextlib.suppress(ConnectionLostError):
            async with ssh.stream(["sleep", "1000"], env=env) as process:
                with faults.cut():
                    await process.wait()
        assert running(env) != []
        await ssh.run(["true"])
        await until(lambda: running(env) == [])


async def test_an_orphan_is_ended_however_long_others_hold_every_session(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time begins with its turn (LIFE-05)."""
    monkeypatch.setattr(_orphans, "_SECONDS", 1.0)
    endpoint, env = stack.endpoint("alone"), marked()
    faults = Sessions.of(stack, endpoint)
    async with transport(endpoint, kill_grace=0.5, max_sessions=1) as ssh:
        call = asyncio.create_task(ssh.run(["sleep", "1000"], env=env))
        await until(lambda: running(env) != [])
        with faults.cut(), pytest.raises(ConnectionLostError):
            await call
        await ssh.run(["sleep", "2.5"])
        await until(lambda: running(env) == [])


async def test_what_a_login_prints_is_no_answer_to_whether_a_command_has_gone(
    stack: Stack,
) -> None:
    """Nor does it hide the answer, though it looks like the beginning of one."""
    endpoint, env = stack.endpoint("bash"), marked()
    async with transport(endpoint, kill_grace=0.5) as ssh:
        with rc_file(endpoint, "echo host:blue\n"), pytest.raises(CommandTimeoutError) as caught:
            await ssh.run(["sleep", "1000"], env=env, timeout=0.5)
        assert caught.value.stopped
        assert running(env) == []


async def test_a_command_is_asked_to_end_while_a_login_takes_its_time(stack: Stack) -> None:
    """What would see it end is late, and KILL must not be the first that it hears (RUN-11)."""
    endpoint, env = stack.endpoint("bash"), marked()
    slow = Path(endpoint.home, "slow")
    note = Path(endpoint.home, f"note-{env['MARK']}")
    script = 'trap "echo got > $0; exit" TERM; echo up > $0; while :; do sleep 0.1; done'
    async with transport(endpoint, kill_grace=0.5) as ssh:
        with rc_file(endpoint, "[ -e slow ] && exec sleep 10\n"):
            call = asyncio.create_task(ssh.run(["sh", "-c", script, note.name], env=env))
            await until(lambda: note.exists() and note.read_text() == "up\n")
            slow.touch()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            slow.unlink()
        assert note.read_text() == "got\n"


async def test_a_directory_that_cannot_be_entered_is_named(stack: Stack) -> None:
    """And who takes ``~`` for something special is told that it is not."""
    async with transport(stack.endpoint("bash")) as ssh:
        with pytest.raises(WorkingDirectoryError, match="'/no/such place'") as caught:
            await ssh.run(["pwd"], cwd="/no/such place")
        assert caught.value.hint is None
        with pytest.raises(WorkingDirectoryError, match="'~/data'") as caught:
            await ssh.run(["pwd"], cwd="~/data", env={"A": "1"})
        assert "is not expanded" in str(caught.value.hint)
