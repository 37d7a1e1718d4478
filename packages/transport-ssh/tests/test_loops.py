"""One transport and several event loops, on a real server."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest
from transport_core import TransportClosedError
from transport_ssh import KnownHosts, PrivateKey, SSHOptions, SSHTransport
from transport_testbed.stack import Stack, StackSpec, providers


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A server."""
    provider = providers()[0]
    if why := provider.unavailable():
        pytest.skip(why)
    found = provider.start(StackSpec(slurm=False, jump=False, shells=("bash",)))
    yield found
    provider.stop(found)


@pytest.fixture
def transport(stack: Stack) -> SSHTransport:
    """A transport to it, not open."""
    there = stack.endpoint("bash")
    options = SSHOptions(
        host=there.host,
        port=there.port,
        user=there.user,
        auth=PrivateKey(there.identity),
        known_hosts=KnownHosts(text=there.known_hosts),
    )
    return SSHTransport(options)


def test_it_may_be_opened_on_one_loop_after_another(transport: SSHTransport) -> None:
    """Each time with a call in flight when it is closed."""

    async def use() -> int | None:
        async with transport:
            call = asyncio.create_task(transport.run(["sleep", "60"]))
            done = await transport.run(["true"])
        with pytest.raises(TransportClosedError):
            await call
        return done.exit_status

    assert [asyncio.run(use()), asyncio.run(use())] == [0, 0]


@pytest.mark.filterwarnings("ignore:unclosed")  # what it is about: nobody closed it in time
def test_what_was_left_open_on_a_loop_that_is_over_is_told_and_closed_in_silence(
    transport: SSHTransport,
) -> None:
    """The usual mistake of a program that is not async: one asyncio.run for each call."""

    async def run() -> int | None:
        return (await transport.run(["true"])).exit_status

    async def open_and_run() -> int | None:
        async with transport:
            return await run()

    asyncio.run(transport.__aenter__())
    with pytest.raises(TransportClosedError, match="another event loop"):
        asyncio.run(run())
    asyncio.run(transport.aclose())
    gc.collect()  # as long as the warning is expected
    assert asyncio.run(open_and_run()) == 0
