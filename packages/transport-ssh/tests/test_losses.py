"""What a call is told of a connection that ended, on real servers: which hop, and what to do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transport_core import (
    AuthenticationError,
    CommandTimeoutError,
    ConnectionLost,
    ConnectionLostError,
    Delivery,
    Event,
    Reconnecting,
    TransferTimeoutError,
)
from transport_ssh import Hop, KnownHosts, PrivateKey, SSHOptions, SSHTransport
from transport_testbed._faults import Sessions
from transport_testbed._outside import ServerLog
from transport_testbed.stack import Stack, StackSpec, providers


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A target, and the same behind a jump host."""
    provider = providers()[0]
    if why := provider.unavailable():
        pytest.skip(why)
    found = provider.start(StackSpec(slurm=False, shells=("bash",)))
    yield found
    provider.stop(found)


def options(stack: Stack, name: str, **more: Any) -> SSHOptions:
    """Return how to log in to an endpoint."""
    endpoint = stack.endpoint(name)
    hops = [
        Hop(
            host=each.host,
            port=each.port,
            user=each.user,
            auth=PrivateKey(each.identity),
            known_hosts=KnownHosts(text=each.known_hosts),
        )
        for each in (endpoint.via, endpoint)
        if each
    ]
    target = {field: getattr(hops[-1], field) for field in ("host", "port", "user", "auth")}
    known = hops[-1].known_hosts
    return SSHOptions(**target, known_hosts=known, via=tuple(hops[:-1]), **more)


def faults(stack: Stack, name: str) -> Sessions:
    """Return what ends the logins of an endpoint."""
    return Sessions.of(stack, stack.endpoint(name))


async def running(transport: SSHTransport, where: Path) -> asyncio.Task[Any]:
    """Start a command that does not end by itself, and wait until it runs."""
    call = asyncio.create_task(
        transport.run(["sh", "-c", 'echo up > "$1"; sleep 60', "sh", str(where / "up")])
    )
    async with asyncio.timeout(10):
        while not (where / "up").exists():
            await asyncio.sleep(0.01)
    return call


@pytest.mark.parametrize(
    ("killed", "hop"), (("bastion", "hop 1 of 2: hop@"), ("jump-bash", "hop 2 of 2: "))
)
@pytest.mark.asyncio
async def test_a_lost_command_names_the_hop_that_ended(
    stack: Stack, workdir: Path, killed: str, hop: str
) -> None:
    """The jump host or the target; the event says the same, and the next call connects."""
    events: list[Event] = []
    async with SSHTransport(options(stack, "jump-bash"), on_event=events.append) as transport:
        call = await running(transport, workdir)
        with faults(stack, killed).cut(), pytest.raises(ConnectionLostError) as caught:
            await call
        assert str(caught.value.hop).startswith(hop)
        assert caught.value.delivery is Delivery.UNKNOWN
        assert "find out whether it ran" in str(caught.value)
        assert (await transport.run(["printf", "on"])).stdout == b"on"
    lost = [event for event in events if isinstance(event, ConnectionLost)]
    again = [event for event in events if isinstance(event, Reconnecting)]
    assert [str(event.hop).startswith(hop) for event in lost] == [True]
    assert [(event.attempt, event.delay) for event in again] == [(1, 0.0)]


@pytest.mark.asyncio
async def test_a_lost_transfer_names_the_hop_that_ended(stack: Stack, workdir: Path) -> None:
    """As a command does."""
    (workdir / "source").write_bytes(b"x" * 2**25)
    async with SSHTransport(options(stack, "jump-bash")) as transport:
        begun = asyncio.Event()
        call = asyncio.create_task(
            transport.put(workdir / "source", workdir / "there", progress=lambda *_: begun.set())
        )
        await begun.wait()
        with faults(stack, "bastion").cut(), pytest.raises(ConnectionLostError) as caught:
            await call
        assert str(caught.value.hop).startswith("hop 1 of 2: hop@")
        assert str(caught.value.hint).startswith("repeat it")


@pytest.mark.asyncio
async def test_a_call_that_the_login_budget_holds_back_says_so(stack: Stack, workdir: Path) -> None:
    """It was never sent, and the hint names the option; the event has the delay."""
    events: list[Event] = []
    chosen = options(stack, "bash", logins_per_minute=1)
    (workdir / "source").write_bytes(b"x")
    async with SSHTransport(chosen, on_event=events.append) as transport:
        await transport.run(["true"])
        call = await running(transport, workdir)
        with faults(stack, "bash").cut(), pytest.raises(ConnectionLostError):
            await call
        with pytest.raises(CommandTimeoutError, match="it waited for the login") as late:
            await transport.run(["true"], timeout=0.1)
        assert late.value.delivery is Delivery.NOT_SENT
        assert "logins_per_minute=1" in str(late.value.hint)
        with pytest.raises(TransferTimeoutError) as stuck:
            await transport.put(workdir / "source", workdir / "there", timeout=0.1)
        assert "logins_per_minute=1" in str(stuck.value.hint)
    again = [event for event in events if isinstance(event, Reconnecting)]
    assert [50.0 < event.delay <= 60.0 for event in again] == [True]


@pytest.mark.asyncio
async def test_a_refused_login_is_refused_once_on_the_server(stack: Stack, workdir: Path) -> None:
    """Twenty calls that find the reconnect refused are one login, until it is opened anew."""
    key = workdir / "key"
    good, other = (Path(stack.endpoint(name).identity) for name in ("bash", "bastion"))
    key.write_bytes(good.read_bytes())
    key.chmod(0o600)
    chosen = replace(options(stack, "bash"), auth=PrivateKey(key))
    async with SSHTransport(chosen) as transport:
        call = await running(transport, workdir)
        key.write_bytes(other.read_bytes())
        with faults(stack, "bash").cut(), pytest.raises(ConnectionLostError):
            await call
        before = connections(stack)
        for _ in range(20):
            with pytest.raises(AuthenticationError) as refused:
                await transport.run(["true"])
            assert refused.value.delivery is Delivery.NOT_SENT
        assert "does not log in again for" in str(refused.value.hint)
        assert connections(stack) - before == 1
        key.write_bytes(good.read_bytes())
        await transport.aclose()
        async with transport:
            assert (await transport.run(["printf", "on"])).stdout == b"on"


def connections(stack: Stack) -> int:
    """Count the connections that the direct server has taken."""
    ServerLog(stack.logs["sshd-direct"]).logins()  # waits until the log is quiet
    return Path(stack.logs["sshd-direct"]).read_bytes().count(b"Connection from ")


@pytest.fixture
def workdir(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that the login may use, too."""
    path = Path(stack.root, f"work-{os.urandom(4).hex()}")
    path.mkdir()
    if os.geteuid() == 0:
        os.chown(path, stack.uid, stack.uid)
    return path
