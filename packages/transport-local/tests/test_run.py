"""Commands on this machine: real processes, looked at from outside."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from local_support import alive, pids
from transport_core import (
    CommandError,
    CommandFailedError,
    CommandNotExecutableError,
    CommandNotFoundError,
    Delivery,
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
@pytest.mark.parametrize("name", ["TERM", "KILL", "USR1", "SEGV", "RTMIN"])
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
