"""Commands that are stopped, detached or refused."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest
from local_support import alive, pids, until
from transport_core import (
    CommandError,
    CommandFinished,
    CommandStarted,
    CommandTimeoutError,
    Event,
)
from transport_local import LocalTransport


@pytest.mark.asyncio
async def test_at_the_timeout_children_and_grandchildren_are_gone(tmp_path: Path) -> None:
    script = "echo out; echo err >&2; (sleep 99 & echo $! >>pids; wait) & echo $! $$ >>pids; wait"
    async with LocalTransport(cwd=tmp_path) as here:
        with pytest.raises(CommandTimeoutError) as caught:
            await here.run(["sh", "-c", script], timeout=0.2)
    error = caught.value
    assert isinstance(error, TimeoutError)
    assert error.stopped
    assert error.result is not None
    assert (error.result.stdout, error.result.stderr) == (b"out\n", b"err\n")
    assert error.result.exit_signal == "TERM"
    assert len(pids(tmp_path / "pids")) == 3
    assert not any(alive(pid) for pid in pids(tmp_path / "pids"))


@pytest.mark.asyncio
async def test_a_group_that_ignores_term_is_killed_after_the_grace(tmp_path: Path) -> None:
    script = "trap '' TERM; (trap '' TERM; sleep 99) & echo $! $$ >pids; while :; do sleep 1; done"
    async with LocalTransport(cwd=tmp_path, kill_grace=0.1) as here:
        began = time.monotonic()
        with pytest.raises(CommandTimeoutError) as caught:
            await here.run(["sh", "-c", script], timeout=0.2)
    assert 0.3 <= time.monotonic() - began < 2.2, "longer than the grace that is the default"
    assert caught.value.result is not None
    assert caught.value.result.exit_signal == "KILL"
    assert not any(alive(pid) for pid in pids(tmp_path / "pids"))


@pytest.mark.asyncio
async def test_a_group_may_clean_up_within_the_grace() -> None:
    script = "trap 'sleep 0.1; echo cleaned; exit 0' TERM; while :; do sleep 0.02; done"
    async with LocalTransport(kill_grace=3) as here:
        with pytest.raises(CommandTimeoutError) as caught:
            await here.run(["sh", "-c", script], timeout=0.2)
    assert caught.value.result is not None
    assert caught.value.result.stdout == b"cleaned\n"


@pytest.mark.asyncio
async def test_a_child_that_holds_the_pipes_is_waited_for_and_ended_at_the_timeout(
    tmp_path: Path,
) -> None:
    """The leader is gone by then: its group is ended all the same."""
    async with LocalTransport(cwd=tmp_path) as here:
        result = await here.run(["sh", "-c", "(sleep 0.2; echo late) &"])
        assert result.stdout == b"late\n"
        with pytest.raises(CommandTimeoutError) as caught:
            await here.run(["sh", "-c", "sleep 99 & echo $! >pids"], timeout=0.3)
    assert caught.value.stopped
    assert caught.value.result is not None
    assert caught.value.result.exit_status == 0
    assert not any(alive(pid) for pid in pids(tmp_path / "pids"))


@pytest.mark.asyncio
async def test_a_detached_child_does_not_delay_run_and_outlives_the_transport(
    tmp_path: Path,
) -> None:
    async with LocalTransport(cwd=tmp_path) as here:
        began = time.monotonic()
        await here.run(["sh", "-c", "sleep 30 </dev/null >/dev/null 2>&1 & echo $! >pids"])
        assert time.monotonic() - began < 5
    (pid,) = pids(tmp_path / "pids")
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


@pytest.mark.asyncio
async def test_cancelling_ends_the_group_then_lets_the_cancellation_through(tmp_path: Path) -> None:
    async with LocalTransport(cwd=tmp_path) as here:
        call = asyncio.create_task(here.run(["sh", "-c", "sleep 99 & echo $! $$ >pids; wait"]))
        await until(lambda: pids(tmp_path / "pids"))
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert not any(alive(pid) for pid in pids(tmp_path / "pids"))


@pytest.mark.asyncio
async def test_cancelling_again_and_again_still_ends_the_group(tmp_path: Path) -> None:
    script = "trap '' TERM; echo $$ >pids; while :; do sleep 0.05; done"
    async with LocalTransport(cwd=tmp_path, kill_grace=0.2) as here:
        call = asyncio.create_task(here.run(["sh", "-c", script]))
        await until(lambda: pids(tmp_path / "pids"))
        while not call.done():
            call.cancel()
            await asyncio.sleep(0.01)
        assert call.cancelled()
    assert not any(alive(pid) for pid in pids(tmp_path / "pids"))


@pytest.mark.asyncio
async def test_a_timeout_without_room_starts_nothing(tmp_path: Path) -> None:
    async with LocalTransport(cwd=tmp_path) as here:
        with pytest.raises(CommandTimeoutError, match="never started") as caught:
            await here.run(["touch", "ran"], timeout=1e-9)
    assert caught.value.retry_safe
    assert not (tmp_path / "ran").exists()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"argv": "ls"}, TypeError),
        ({"argv": [1]}, TypeError),
        ({"argv": []}, ValueError),
        ({"argv": [""]}, ValueError),
        ({"argv": ["a\0b"]}, ValueError),
        ({"argv": ["\ud800"]}, ValueError),
        ({"env": {"A=B": "1"}}, ValueError),
        ({"env": {"": "1"}}, ValueError),
        ({"env": {"A": "\0"}}, ValueError),
        ({"env": {"A": 1}}, TypeError),
        ({"cwd": ""}, ValueError),
        ({"cwd": 3}, TypeError),
        ({"stdin": 3}, TypeError),
        ({"timeout": 0}, ValueError),
        ({"timeout": -1}, ValueError),
        ({"timeout": float("nan")}, ValueError),
        ({"timeout": True}, TypeError),
        ({"output_limit": -1}, ValueError),
        ({"output_limit": 1.5}, TypeError),
    ],
)
async def test_impossible_arguments_start_nothing(
    arguments: dict[str, object], kind: type[Exception], tmp_path: Path
) -> None:
    async with LocalTransport(cwd=tmp_path) as here:
        with pytest.raises(kind) as caught:
            await here.run(**{"argv": ["touch", "ran"], **arguments})  # type: ignore[arg-type]
    assert type(caught.value) is kind
    assert not list(tmp_path.iterdir())


@pytest.mark.asyncio
async def test_events_tell_names_and_numbers_only() -> None:
    seen: list[Event] = []
    async with LocalTransport(name="n", on_event=seen.append) as here:
        await here.run(["sh", "-c", "exit 3", "password"])
        with pytest.raises(CommandTimeoutError):
            await here.run(["sleep", "9"], timeout=0.05)
    started, finished, _, stopped = seen
    assert started == CommandStarted(transport="n", command="sh (and 3 arguments)")
    assert isinstance(finished, CommandFinished)
    assert (finished.exit_status, finished.exit_signal) == (3, None)
    assert isinstance(stopped, CommandFinished)
    assert stopped.error == "CommandTimeoutError"
    assert "password" not in repr(seen)


@pytest.mark.asyncio
async def test_a_hundred_at_once_all_succeed() -> None:
    async with LocalTransport() as here:
        results = await asyncio.gather(*(here.run(["echo", str(n)]) for n in range(100)))
    assert [int(result.stdout) for result in results] == list(range(100))


@pytest.mark.asyncio
async def test_a_status_that_somebody_else_took_is_an_error_and_not_zero() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        async with LocalTransport() as here:
            with pytest.raises(CommandError, match="SIGCHLD") as caught:
                await here.run(["sh", "-c", "echo out; exit 7"])
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert caught.value.result is not None
    assert caught.value.result.exit_status is None
    assert caught.value.result.stdout == b"out\n"


@pytest.mark.asyncio
async def test_it_works_where_the_system_has_no_pidfd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    async with LocalTransport() as here:
        assert (await here.run(["sh", "-c", "exit 5"])).exit_status == 5
        with pytest.raises(CommandTimeoutError):
            await here.run(["sleep", "9"], timeout=0.1)


@pytest.mark.asyncio
async def test_a_block_that_never_waits_ends_nothing_that_was_detached(tmp_path: Path) -> None:
    script = "sleep 30 </dev/null >/dev/null 2>&1 & echo $! >pid; exit 0"
    here = LocalTransport(cwd=tmp_path)
    async with here, here.stream(["sh", "-c", script], timeout=0.5):
        time.sleep(1.0)
    (pid,) = pids(tmp_path / "pid")
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)
