"""Commands on this machine: real processes, looked at from outside."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from transport_core import (
    CommandError,
    CommandFailedError,
    CommandFinished,
    CommandNotExecutableError,
    CommandNotFoundError,
    CommandStarted,
    CommandTimeoutError,
    Delivery,
    Event,
    IsADirectoryTransferError,
    NotFoundError,
    OutputLimitError,
    WorkingDirectoryError,
)
from transport_local import LocalTransport

HARD_WORDS = [
    b"", b" ", b"'", b'"', b"$HOME", b"`id`", b"a\nb", b"\\", b"!", b"=ls", b"-n", b"--", b"*",
    b"~", b"\xff\xfe", "é\N{COMBINING ACUTE ACCENT}".encode(), b"\x1b]0;x\x07", b"x" * 100_000,
]  # fmt: skip


def alive(pid: int) -> bool:
    """Whether a process runs and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return False
    return state not in (b"Z", b"X")


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Poll until it holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        await asyncio.sleep(0.01)


def pids(path: Path) -> list[int]:
    return [int(word) for word in path.read_text().split()] if path.exists() else []


@pytest.mark.asyncio
async def test_every_word_arrives_byte_for_byte(tmp_path: Path) -> None:
    async with LocalTransport(cwd=tmp_path) as here:
        result = await here.run(["printf", "%s\\0", *HARD_WORDS])
    assert result.stdout.split(b"\0")[:-1] == HARD_WORDS
    assert result.argv[2:] == tuple(HARD_WORDS)


@pytest.mark.asyncio
@pytest.mark.parametrize("code", [0, 1, 126, 127, 128, 129, 255])
async def test_exit_codes_arrive_as_they_are(code: int) -> None:
    async with LocalTransport() as here:
        result = await here.run(["sh", "-c", f"exit {code}"])
    assert (result.exit_status, result.exit_signal, result.ok) == (code, None, code == 0)


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["TERM", "KILL", "INT", "HUP", "SEGV", "RTMIN"])
async def test_death_by_signal_is_no_exit_code(name: str) -> None:
    number = int(getattr(signal, f"SIG{name}"))
    async with LocalTransport() as here:
        result = await here.run(["sh", "-c", f"kill -{number} $$"])
    assert (result.exit_status, result.exit_signal) == (None, name)


@pytest.mark.asyncio
async def test_check_raises_with_the_transport_s_name_and_the_result() -> None:
    async with LocalTransport(name="mine") as here:
        with pytest.raises(CommandFailedError, match=r"exited with 3 \[mine\]") as caught:
            await here.run(["sh", "-c", "echo out; exit 3"], check=True)
    assert caught.value.result is not None
    assert caught.value.result.stdout == b"out\n"


@pytest.mark.asyncio
async def test_what_cannot_be_started_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    (tmp_path / "stale").write_text("#!/no/such/interpreter\n")
    (tmp_path / "stale").chmod(0o755)
    (tmp_path / "blank").write_text("echo no first line\n")
    (tmp_path / "blank").chmod(0o755)
    (tmp_path / "loop").symlink_to("loop")
    cases: list[tuple[list[str], str | None, type[CommandError]]] = [
        (["no-such-program-here"], None, CommandNotFoundError),
        (["./absent"], None, CommandNotFoundError),
        (["plain/below"], None, CommandNotFoundError),
        (["x" * 300], None, CommandNotFoundError),
        (["./plain"], None, CommandNotExecutableError),
        (["./stale"], None, CommandNotExecutableError),
        (["./blank"], None, CommandNotExecutableError),
        (["./loop"], None, CommandNotExecutableError),
        ([str(tmp_path)], None, CommandNotExecutableError),
        ([str(tmp_path)], str(tmp_path), CommandNotExecutableError),
        (["true"], "absent", WorkingDirectoryError),
        (["true"], "plain", WorkingDirectoryError),
        (["true"], "loop", WorkingDirectoryError),
        (["absent"], "absent", WorkingDirectoryError),
    ]
    async with LocalTransport(cwd=tmp_path) as here:
        for argv, cwd, kind in cases:
            with pytest.raises(CommandError) as caught:
                await here.run(argv, cwd=cwd)
            assert type(caught.value) is kind, argv
            assert caught.value.delivery is Delivery.NOT_SENT
            assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.asyncio
async def test_an_argv_too_long_for_the_system_is_a_typed_error_without_its_values() -> None:
    async with LocalTransport() as here:
        with pytest.raises(CommandError, match="send content by stdin") as caught:
            await here.run(["true", "secret" * 100_000])
    assert caught.value.retry_safe
    assert "secretsecret" not in str(caught.value)


@pytest.mark.asyncio
async def test_env_adds_to_the_environment_and_its_path_finds_programs(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text('#!/bin/sh\nprintf "%s|" "$ONE" "$TWO" "$HOME"\n')
    tool.chmod(0o755)
    async with LocalTransport(env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "ONE": "1"}) as here:
        result = await here.run(["tool"], env={"TWO": b"a\nb \xff'", "HOME": "/elsewhere"})
    assert result.stdout == b"1|a\nb \xff'|/elsewhere|"


@pytest.mark.asyncio
async def test_cwd_starts_from_the_transport_s(tmp_path: Path) -> None:
    below = tmp_path / "a 'b\nc"
    below.mkdir()
    async with LocalTransport(cwd=tmp_path) as here:
        assert (await here.run(["pwd"])).stdout == os.fsencode(tmp_path) + b"\n"
        assert (await here.run(["pwd"], cwd=below.name)).stdout == os.fsencode(below) + b"\n"
        assert (await here.run(["pwd"], cwd="/")).stdout == b"/\n"


async def pieces() -> AsyncIterator[bytes]:
    for number in range(1000):
        yield b"%d\n" % number
        if not number % 100:
            await asyncio.sleep(0)


@pytest.mark.asyncio
async def test_stdin_in_every_form(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"from\0a path")
    big = os.urandom(3_000_001)
    async with LocalTransport() as here:
        assert (await here.run(["cat"])).stdout == b""
        assert (await here.run(["cat"], stdin=b"")).stdout == b""
        assert (await here.run(["cat"], stdin=big)).stdout == big
        assert (await here.run(["cat"], stdin=bytearray(b"\0\xff"))).stdout == b"\0\xff"
        assert (await here.run(["cat"], stdin=memoryview(b"view"))).stdout == b"view"
        assert (await here.run(["cat"], stdin="é\n")).stdout == "é\n".encode()
        assert (await here.run(["cat"], stdin=path)).stdout == b"from\0a path"
        with path.open("rb") as file:
            file.read(4)
            assert (await here.run(["cat"], stdin=file)).stdout == b"\0a path"
        expected = b"".join(b"%d\n" % number for number in range(1000))
        assert (await here.run(["cat"], stdin=pieces())).stdout == expected


@pytest.mark.asyncio
async def test_a_command_that_does_not_read_it_all_is_no_error() -> None:
    async with LocalTransport() as here:
        result = await here.run(["head", "-c", "3"], stdin=b"abcdef" * 1_000_000)
        assert (result.stdout, result.ok) == (b"abc", True)
        assert (await here.run(["true"], stdin=b"x" * 10_000_000)).ok


@pytest.mark.asyncio
async def test_a_source_that_waits_does_not_hold_a_command_that_has_ended() -> None:
    async def waits() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.Event().wait()

    async with LocalTransport() as here:
        result = await here.run(["head", "-c", "5"], stdin=waits(), timeout=5)
    assert result.stdout == b"first"


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", [ZeroDivisionError, TimeoutError, OSError, BrokenPipeError])
async def test_a_source_that_raises_stops_the_command_before_it_sees_an_end_of_file(
    kind: type[Exception], tmp_path: Path
) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield b"half"
        raise kind("of mine")

    async with LocalTransport(cwd=tmp_path) as here:
        with pytest.raises(kind, match="of mine"):
            await here.run(["sh", "-c", "cat >got; touch whole"], stdin=breaks())
    assert not (tmp_path / "whole").exists()


@pytest.mark.asyncio
async def test_a_source_may_not_give_text() -> None:
    async def text() -> AsyncIterator[str]:
        yield "text"

    async with LocalTransport() as here:
        with pytest.raises(TypeError, match="str where bytes"):
            await here.run(["cat"], stdin=text())  # type: ignore[arg-type]


@pytest.mark.asyncio
async def test_a_stdin_path_that_cannot_be_read_is_a_typed_error_and_nothing_runs(
    tmp_path: Path,
) -> None:
    async with LocalTransport(cwd=tmp_path) as here:
        with pytest.raises(NotFoundError, match="stdin cannot be read") as caught:
            await here.run(["touch", "ran"], stdin=tmp_path / "absent")
        assert caught.value.retry_safe
        with pytest.raises(IsADirectoryTransferError):
            await here.run(["touch", "ran"], stdin=tmp_path)
        os.mkfifo(tmp_path / "fifo")
        result = await here.run(["cat"], stdin=tmp_path / "fifo", timeout=5)
        assert result.stdout == b""
    assert not (tmp_path / "ran").exists()


@pytest.mark.asyncio
async def test_both_streams_are_whole_and_apart() -> None:
    script = "import os\nfor i in range(300): os.write(1,b'o'*50000); os.write(2,b'e'*50001)"
    async with LocalTransport() as here:
        result = await here.run(["python3", "-c", script])
    assert result.stdout == b"o" * 15_000_000
    assert result.stderr == b"e" * 15_000_300


@pytest.mark.asyncio
@pytest.mark.parametrize("stream", [1, 2])
async def test_past_the_output_limit_the_group_is_stopped(stream: int, tmp_path: Path) -> None:
    script = f"sleep 99 & echo $! $$ >pids; yes >&{stream}"
    async with LocalTransport(cwd=tmp_path) as here:
        with pytest.raises(OutputLimitError) as caught:
            await here.run(["sh", "-c", script], output_limit=1001)
    error = caught.value
    assert error.result is not None
    assert error.stopped
    kept = error.result.stdout if stream == 1 else error.result.stderr
    assert kept == b"y\n" * 500 + b"y"
    assert not any(alive(pid) for pid in pids(tmp_path / "pids"))


@pytest.mark.asyncio
async def test_output_of_exactly_the_limit_is_a_result() -> None:
    async with LocalTransport() as here:
        assert (await here.run(["printf", "12345"], output_limit=5)).stdout == b"12345"
        assert (await here.run(["true"], output_limit=0)).ok
        with pytest.raises(OutputLimitError):
            await here.run(["printf", "1"], output_limit=0)


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
    assert 0.3 <= time.monotonic() - began < 1.5
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
