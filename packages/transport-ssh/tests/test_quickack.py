"""Connecting to a name with several addresses, of which some do not answer."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from transport_ssh import _quickack

pytestmark = pytest.mark.asyncio

Found = list[tuple[int, int, int, str, tuple[str, int]]]


@contextlib.contextmanager
def silent() -> Iterator[tuple[str, int]]:
    """Give an address that drops what comes: a listener whose backlog is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        yield listener.getsockname()


@contextlib.asynccontextmanager
async def answering() -> AsyncIterator[tuple[str, int]]:
    """Give an address that accepts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()


def refusing() -> tuple[str, int]:
    """Return an address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address: tuple[str, int] = listener.getsockname()
        return address


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Say which addresses every name has."""

    def say(*addresses: tuple[str, int]) -> None:
        async def getaddrinfo(*_: object, **__: object) -> Found:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", each) for each in addresses]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)

    return say


def ours() -> list[socket.socket]:
    """Return the sockets that are open."""
    every = [each for each in gc.get_objects() if type(each) is _quickack.QuickAckSocket]
    return [each for each in every if each.fileno() != -1]


async def test_an_address_that_does_not_answer_does_not_keep_from_the_next(
    resolve: Callable[..., None],
) -> None:
    """It has a short time for itself, not the whole of connect_timeout."""
    async with answering() as good:
        with silent() as bad:
            resolve(bad, good)
            started = time.monotonic()
            async with asyncio.timeout(5):
                sock = await _quickack.connect("name", 22)
            with sock:
                assert sock.getpeername() == good
                assert ours() == [sock]
            assert time.monotonic() - started < 3


async def test_an_address_that_refuses_costs_no_time(resolve: Callable[..., None]) -> None:
    """The next is tried at once."""
    async with answering() as good:
        resolve(*(refusing() for _ in range(16)), good)
        started = time.monotonic()
        with await _quickack.connect("name", 22) as sock:
            assert sock.getpeername() == good
        assert time.monotonic() - started < 3, "each had the head start of one that is silent"
        assert ours() == []


async def test_if_none_answers_it_says_why(resolve: Callable[..., None]) -> None:
    """As before; a name without an address too."""
    resolve(refusing(), refusing())
    with pytest.raises(ConnectionRefusedError):
        await _quickack.connect("name", 22)
    resolve()
    with pytest.raises(OSError, match="no address"):
        await _quickack.connect("name", 22)
    assert ours() == []


async def test_cancelled_it_leaves_no_socket(resolve: Callable[..., None]) -> None:
    """Neither while several are tried."""
    with silent() as first, silent() as second:
        resolve(first, second)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.6):
                await _quickack.connect("name", 22)
        assert ours() == []


async def test_cancelled_at_any_moment_it_leaves_no_socket(resolve: Callable[..., None]) -> None:
    """Also if one has just connected."""
    async with answering() as good:
        for turns in range(12):
            resolve(refusing(), good, good)
            connecting = asyncio.create_task(_quickack.connect("name", 22))
            for _ in range(turns):
                await asyncio.sleep(0)
            connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                (await connecting).close()
            assert ours() == []
