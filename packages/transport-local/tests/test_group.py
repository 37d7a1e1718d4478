"""Which process groups live: one look at /proc for all who ask at once, and never an old one."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Awaitable, Callable

import pytest
from transport_local import LocalTransport, _group

Look = Callable[[], Awaitable[frozenset[bytes]]]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Filled with one entry a look."""
    made: list[int] = []
    look: Look = _group._live_groups

    async def counted() -> frozenset[bytes]:
        made.append(1)
        return await look()

    monkeypatch.setattr(_group, "_live_groups", counted)
    return made


@pytest.mark.asyncio
async def test_many_commands_that_are_stopped_at_once_share_each_look(looks: list[int]) -> None:
    """Else each would read all of /proc, on the event loop."""
    async with LocalTransport() as here:
        runs = [asyncio.create_task(here.run(["sleep", "60"])) for _ in range(50)]
        while len(_children()) < 50:
            await asyncio.sleep(0.01)
        for each in runs:
            each.cancel()
        ends = await asyncio.gather(*runs, return_exceptions=True)
    assert {type(end) for end in ends} == {asyncio.CancelledError}
    assert 0 < len(looks) < 50


@pytest.mark.asyncio
async def test_a_look_that_began_before_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have begun when there was no process of the group yet."""
    gate, groups = asyncio.Event(), _group.Groups()
    look: Look = _group._live_groups

    async def slow() -> frozenset[bytes]:
        found = await look()
        await gate.wait()
        return found

    monkeypatch.setattr(_group, "_live_groups", slow)
    first = asyncio.create_task(groups.is_alive(2**22 + 1))
    await asyncio.sleep(0.05)
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as child:
        try:
            second = asyncio.create_task(groups.is_alive(child.pid))
            await asyncio.sleep(0)
            gate.set()
            assert [await first, await second] == [False, True]
        finally:
            child.kill()
    assert not await groups.is_alive(child.pid)


def _children() -> list[str]:
    words = ["ps", "--ppid", str(os.getpid()), "-o", "comm="]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return [name for name in done.stdout.split() if name == "sleep"]
