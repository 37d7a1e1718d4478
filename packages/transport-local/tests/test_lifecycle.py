"""Opening and closing: nothing is left, whoever calls it and whatever is under way."""

import asyncio
import contextlib
import gc
import os
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
from local_support import alive, pids
from transport_core import (
    Capability,
    ConfigurationError,
    TransferResult,
    TransferTimeoutError,
    Transport,
    TransportClosedError,
)
from transport_core.authoring import shape_problems
from transport_local import LocalTransport


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def children() -> list[str]:
    return Path("/proc/self/task", str(os.getpid()), "children").read_text().split()


def test_it_has_the_contract_s_shape() -> None:
    assert shape_problems(LocalTransport) == []
    assert isinstance(LocalTransport(), Transport)


def test_construction_needs_no_loop_and_touches_nothing(tmp_path: Path) -> None:
    here = LocalTransport(cwd=tmp_path / "absent", name="mine")
    assert here.name == "mine"
    assert repr(here) == "<LocalTransport mine closed>"
    assert Capability.STOP in here.capabilities
    assert Capability.CONNECTION not in here.capabilities


@pytest.mark.parametrize(
    "options",
    [
        {"cwd": ""},
        {"cwd": "a\0b"},
        {"cwd": 3},
        {"env": {"A-B": "1"}},
        {"env": {"A": "\0"}},
        {"env": ["A"]},
        {"name": ""},
        {"name": 3},
        {"kill_grace": -1},
        {"kill_grace": float("nan")},
        {"kill_grace": float("inf")},
        {"kill_grace": True},
        {"on_event": 3},
        {"on_event": asyncio.sleep},
    ],
)
def test_impossible_options_are_configuration_errors(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        LocalTransport(**options)


@pytest.mark.asyncio
async def test_use_before_opening_and_after_closing_is_an_error(tmp_path: Path) -> None:
    here = LocalTransport(cwd=tmp_path)
    for _ in range(2):
        for call in (here.run(["true"]), here.put("a", "b"), here.get("a", "b")):
            with pytest.raises(TransportClosedError) as caught:
                await call
            assert caught.value.retry_safe
        await here.aclose()
        async with here:
            assert repr(here) == "<LocalTransport local open>"
            assert (await here.run(["true"])).ok
        await here.aclose()
        await here.aclose()


@pytest.mark.asyncio
async def test_opening_twice_at_once_is_an_error_and_the_first_goes_on() -> None:
    async with LocalTransport() as here:
        with pytest.raises(TransportClosedError, match="open already"):
            await here.__aenter__()
        assert (await here.run(["true"])).ok


@pytest.mark.asyncio
async def test_opening_calls_and_closing_may_come_from_different_tasks() -> None:
    here = LocalTransport()
    await asyncio.create_task(here.__aenter__())
    results = await asyncio.gather(
        *(asyncio.create_task(here.run(["echo", "x"])) for _ in range(5))
    )
    assert [result.stdout for result in results] == [b"x\n"] * 5
    await asyncio.create_task(here.aclose())


@pytest.mark.asyncio
async def test_closing_fails_the_calls_in_flight_and_stops_their_processes(tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(20_000_000_000)
    here = LocalTransport(cwd=tmp_path)
    await here.__aenter__()
    begun = asyncio.Event()
    calls: list[asyncio.Task[Any]] = [
        asyncio.create_task(here.run(["sh", "-c", "sleep 99 & wait"])),
        asyncio.create_task(here.run(["sleep", "99"], timeout=60)),
        asyncio.create_task(
            here.get("big", tmp_path / "copy", progress=lambda done, total: begun.set())
        ),
    ]
    await begun.wait()
    assert len(children()) == 2
    await here.aclose()
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(end) for end in ends] == [TransportClosedError] * 3
    assert not children()
    assert [entry.name for entry in tmp_path.iterdir()] == ["big"]


@pytest.mark.asyncio
async def test_closing_is_bounded_by_the_grace(tmp_path: Path) -> None:
    here = LocalTransport(kill_grace=0.1)
    await here.__aenter__()
    call = asyncio.create_task(here.run(["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]))
    while not children():
        await asyncio.sleep(0.01)
    began = time.monotonic()
    await here.aclose()
    assert time.monotonic() - began < 2.0, "longer than the grace that is the default"
    with pytest.raises(TransportClosedError):
        await call


@pytest.mark.asyncio
async def test_a_working_directory_of_the_process_that_is_gone_is_a_typed_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    here = LocalTransport()
    with pytest.raises(ConfigurationError, match="does not exist any more"):
        await here.__aenter__()
    monkeypatch.chdir(tmp_path)
    async with here:
        assert (await here.run(["true"])).ok


@pytest.mark.asyncio
async def test_no_thread_starts_before_the_first_transfer(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    (tmp_path / "a").touch()
    async with LocalTransport(cwd=tmp_path) as here:
        await here.run(["cat"], stdin=b"x")
        assert set(threading.enumerate()) == before
        await here.get("a", tmp_path / "b")
        assert set(threading.enumerate()) != before
    assert set(threading.enumerate()) == before


@pytest.mark.asyncio
async def test_nothing_is_left_after_failures_of_every_kind(tmp_path: Path) -> None:
    await asyncio.to_thread(int)  # the loop's own thread and its descriptors
    before, tasks = descriptors(), asyncio.all_tasks()
    (tmp_path / "input").write_bytes(b"x")

    async def breaks() -> Any:
        yield b"x"
        raise ZeroDivisionError

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with LocalTransport(cwd=tmp_path, kill_grace=0.05) as here:
            for _ in range(5):
                await asyncio.gather(
                    here.run(["no-such-program"], stdin=b"x"),
                    here.run(["true"], cwd="absent", stdin=tmp_path / "input"),
                    here.run(["cat"], stdin=tmp_path / "input"),
                    here.run(["sleep", "9"], stdin=breaks()),
                    here.run(["sleep", "9"], timeout=0.01, stdin=b"x" * 1_000_000),
                    here.run(["yes"], output_limit=10, stdin=tmp_path / "input"),
                    here.get("absent", tmp_path / "x"),
                    here.put(tmp_path, tmp_path / "inside"),
                    return_exceptions=True,
                )
        gc.collect()
    assert descriptors() == before
    assert asyncio.all_tasks() == tasks
    assert not children()


@pytest.mark.asyncio
async def test_no_file_is_copied_on_the_loop(tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(500_000_000)
    async with LocalTransport(cwd=tmp_path) as here:
        on_loop, in_all = time.thread_time(), time.process_time()
        await here.get("big", tmp_path / "copy")
        await here.put(tmp_path / "copy", "again")
        on_loop, in_all = time.thread_time() - on_loop, time.process_time() - in_all
    # Of what was computed, not of the clock: a busy machine changes neither.
    assert on_loop < in_all / 4


@pytest.mark.asyncio
async def test_a_transfer_that_still_waits_for_its_turn_keeps_its_timeout(tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(20_000_000_000)
    (tmp_path / "small").touch()
    async with LocalTransport(cwd=tmp_path) as here:
        calls = [asyncio.create_task(here.get("big", tmp_path / f"copy{n}")) for n in range(20)]
        await asyncio.sleep(0.01)
        began = time.monotonic()
        with pytest.raises(TransferTimeoutError):
            await here.get("small", tmp_path / "x", timeout=0.05)
        assert time.monotonic() - began < 5
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(end) for end in ends} == {TransportClosedError}
    assert sorted(os.listdir(tmp_path)) == ["big", "small"]


@pytest.mark.asyncio
async def test_a_call_made_while_it_closes_ends_as_closed(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    here = LocalTransport(cwd=tmp_path)
    await here.__aenter__()
    closing = asyncio.ensure_future(here.aclose())
    calls = [asyncio.create_task(here.get("a", tmp_path / f"{n}")) for n in range(3)]
    ends = await asyncio.gather(*calls, return_exceptions=True)
    await closing
    assert {type(end) for end in ends} <= {TransportClosedError, TransferResult}
    await here.aclose()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "script", ("sleep 99 & echo $! >{}; exit 0", "echo $$ >{}; exec >/dev/null 2>&1; sleep 99")
)
async def test_closing_ends_streams_of_its_own_task_together(script: str, tmp_path: Path) -> None:
    """The bound is for all of them, however many there are."""
    async with contextlib.AsyncExitStack() as stack:
        here = await stack.enter_async_context(LocalTransport(cwd=tmp_path, kill_grace=0.1))
        for n in range(12):
            argv = ["sh", "-c", script.format(f"pid-{n}")]
            process = await stack.enter_async_context(here.stream(argv))
            if "exit" in script:
                await process.wait()
            else:
                assert [chunk async for chunk in process.stdout] == []
        left = [pid for path in tmp_path.glob("pid-*") for pid in pids(path)]
        assert len(left) == 12
        await here.aclose()
        assert [pid for pid in left if alive(pid)] == []
    assert not children()


@pytest.mark.asyncio
async def test_what_closing_cannot_wait_for_is_killed_and_reaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transport_local._transport._CLOSE_SECONDS", -1.5)
    stubborn = "echo $$ >pid; trap '' TERM; echo up; while :; do sleep 0.1; done"
    async with contextlib.AsyncExitStack() as stack:
        here = await stack.enter_async_context(LocalTransport(cwd=tmp_path))
        process = await stack.enter_async_context(here.stream(["sh", "-c", stubborn]))
        assert await anext(process.stdout) == b"up\n"
        await here.aclose()
        (pid,) = pids(tmp_path / "pid")
        assert not alive(pid)
        assert str(pid) not in children()
