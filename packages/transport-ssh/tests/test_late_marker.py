"""A command that is cancelled before its begin marker came: its group is ended all the same."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest
from transport_ssh import KnownHosts, PrivateKey, SSHOptions, SSHTransport
from transport_ssh._command import Command
from transport_testbed._outside import content_of, pids, stat_of
from transport_testbed.stack import Stack, StackSpec, providers

# Longer than a process takes to be seen, shorter than the time between TERM and KILL.
_LATE = 0.4


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One server."""
    provider = next((each for each in providers() if not each.unavailable()), None)
    if provider is None:
        pytest.skip("no stack here")
    up = provider.start(StackSpec(slurm=False, jump=False, logins=False, shells=("bash",)))
    yield up
    provider.stop(up)


def running(mark: str) -> list[int]:
    """Return the processes that carry a mark, this one and those that ended apart."""
    word = f"MARK={mark}".encode()
    return [
        pid
        for pid in pids()
        if pid != os.getpid() and word in content_of(pid, "environ") and stat_of(pid)[0] not in "ZX"
    ]


@pytest.mark.asyncio
async def test_children_whose_parent_has_gone_are_ended(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sshd's signal reaches none of them; what tells their group is on its way (RUN-11)."""
    received = Command.data_received

    def late(self: Command, data: bytes, datatype: int | None) -> None:
        asyncio.get_running_loop().call_later(_LATE, received, self, data, datatype)

    monkeypatch.setattr(Command, "data_received", late)
    endpoint = stack.endpoint("bash")
    options = SSHOptions(
        host=endpoint.host,
        port=endpoint.port,
        user=endpoint.user,
        auth=PrivateKey(endpoint.identity),
        known_hosts=KnownHosts(text=endpoint.known_hosts),
    )
    mark = os.urandom(8).hex()
    words = ["sh", "-c", "sleep 100 & sleep 100 & exit 0"]
    async with SSHTransport(options) as ssh:
        call = asyncio.create_task(ssh.run(words, env={"MARK": mark}))
        async with asyncio.timeout(5):
            while len(running(mark)) != 2:  # the parent has gone
                await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        monkeypatch.undo()
        assert running(mark) == []
