"""Streams over a real sshd: what the shared suite cannot see of this transport."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from transport_core import (
    CommandFinished,
    CommandNotFoundError,
    CommandStarted,
    CommandTimeoutError,
    ConnectionLostError,
    Event,
)
from transport_ssh import KnownHosts, PrivateKey, SSHOptions, SSHTransport
from transport_ssh._streaming import SSHProcess
from transport_testbed.stack import StackSpec, providers

PROVIDER = providers()[0]
if reason := PROVIDER.unavailable():
    pytest.skip(f"no stack here: {reason}", allow_module_level=True)


@pytest.fixture(scope="module")
def options() -> Iterator[SSHOptions]:
    """One sshd, one shell."""
    stack = PROVIDER.start(StackSpec(slurm=False, jump=False, shells=("bash",)))
    bash = stack.endpoint("bash")
    yield SSHOptions(
        host=bash.host,
        port=bash.port,
        user=bash.user,
        auth=PrivateKey(bash.identity),
        known_hosts=KnownHosts(text=bash.known_hosts),
    )
    PROVIDER.stop(stack)


@pytest.mark.asyncio
async def test_a_program_that_turns_out_not_to_start_is_told_with_its_end(
    options: SSHOptions, tmp_path: Path
) -> None:
    """Its file can be executed, and its interpreter is missing: exec knows, and nobody else."""
    program = tmp_path / "program"
    program.write_text("#!/no/such/interpreter\n")
    async with SSHTransport(options) as transport:
        await transport.put(program, "program", mode=0o755)
        # By wait, or at entering already where the news of its end comes as soon.
        with pytest.raises(CommandNotFoundError):
            async with transport.stream(["./program"]) as process:
                await process.wait()


@pytest.mark.asyncio
async def test_a_timeout_spares_what_a_finished_command_has_detached(options: SSHOptions) -> None:
    """Also while its last bytes wait on the server for a reader that is slow."""
    # More than the window that the client has granted, and less than the server keeps beside it.
    script = "sleep 60 </dev/null >/dev/null 2>&1 & echo $!; head -c 2120000 /dev/zero"
    async with SSHTransport(options) as transport:
        pid = b""

        async def idles() -> None:
            nonlocal pid
            async with transport.stream(["sh", "-c", script], timeout=4.0) as process:
                pid = (await anext(process.stdout)).partition(b"\n")[0]
                assert (await process.wait()).ok
                await asyncio.Event().wait()

        with pytest.raises(CommandTimeoutError):
            await idles()
        lives = 'read -r l </proc/$1/stat; p=$1; set -- ${l##*)}; [ "$1" != Z ] && kill $p'
        assert (await transport.run(["sh", "-c", lives, "sh", pid])).ok, "it was ended"


@pytest.mark.asyncio
async def test_what_the_shell_has_built_in_is_not_waited_for(options: SSHOptions) -> None:
    """It does not say where the program is, so its output and its end tell that it was there."""
    async with SSHTransport(options) as transport:
        started = time.monotonic()
        async with transport.stream(["printf", "x"]) as process:
            assert [chunk async for chunk in process.stdout] == [b"x"]
        async with transport.stream(["true"]) as process:
            assert (await process.wait()).ok
        assert time.monotonic() - started < 4.0


@pytest.mark.asyncio
async def test_a_loss_that_nobody_was_told_of_is_told_at_leaving(options: SSHOptions) -> None:
    """The group could not be stopped: whoever leaves must not take it for ended."""
    async with SSHTransport(options) as transport:
        with pytest.raises(ConnectionLostError):
            async with transport.stream(["sleep", "1000"]) as process:
                await lose(process)
        async with transport.stream(["sleep", "1000"]) as process:
            await lose(process)
            with pytest.raises(ConnectionLostError):
                await process.wait()


async def lose(process: object) -> None:
    """Break the connection under a process, and wait until it has noticed."""
    assert isinstance(process, SSHProcess)
    assert process.command.connection is not None
    process.command.connection.abort()
    async with asyncio.timeout(5):
        await process.command.closed.wait()


@pytest.mark.asyncio
async def test_a_stream_is_told_as_a_command(options: SSHOptions) -> None:
    """It begins and ends as one, with how it ended where that is known."""
    seen: list[Event] = []
    async with SSHTransport(options, on_event=seen.append) as transport:
        async with transport.stream(["sh", "-c", "exit 3"]) as process:
            await process.wait()
        with pytest.raises(CommandNotFoundError):
            async with transport.stream(["no-such-program"]):
                pass
    told = [event for event in seen if isinstance(event, (CommandStarted, CommandFinished))]
    assert [type(event) for event in told] == [CommandStarted, CommandFinished] * 2
    assert [
        (event.exit_status, event.error) for event in told if isinstance(event, CommandFinished)
    ] == [(3, None), (None, "CommandNotFoundError")]
