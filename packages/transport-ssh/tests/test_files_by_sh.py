"""Files by ``sh``: what is held of them, what an end means, and what a lost put leaves."""

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from transport_core import (
    CommandError,
    CommandNotExecutableError,
    CommandNotFoundError,
    ConnectionLostError,
    Delivery,
    OutputLimitError,
    TransferError,
    TransportError,
    UnsupportedOperationError,
)
from transport_ssh import (
    KnownHosts,
    PrivateKey,
    SSHOptions,
    SSHTransport,
    _sh_scripts,
    _wire,
)
from transport_ssh._command import Request
from transport_ssh._link import Link
from transport_ssh._process import started
from transport_ssh._sh_files import ShellFiles, Step, stands_for
from transport_testbed._faults import Sessions
from transport_testbed._outside import content_of, pids
from transport_testbed.stack import Stack, StackSpec, providers

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Servers without Slurm and without a jump host; one of them has no SFTP."""
    provider = next((each for each in providers() if not each.unavailable()), None)
    if provider is None:
        pytest.skip("no stack here")
    up = provider.start(StackSpec(slurm=False, jump=False, shells=("bash",)))
    yield up
    provider.stop(up)


@pytest.fixture
def place(stack: Stack) -> Path:
    """A directory that the login may write."""
    path = tempfile.mkdtemp(dir=stack.root)
    os.chown(path, stack.uid, stack.uid)
    return Path(path)


def options(stack: Stack) -> SSHOptions:
    """Return how to log in where files go by sh."""
    endpoint = stack.endpoint("no-sftp")
    return SSHOptions(
        host=endpoint.host,
        port=endpoint.port,
        user=endpoint.user,
        auth=PrivateKey(endpoint.identity),
        known_hosts=KnownHosts(text=endpoint.known_hosts),
        files="exec",
    )


def offset_of(path: Path) -> int:
    """Return how far a process has read a file that it has open; 0 if none has."""
    for fd in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.readlink(fd) == str(path):
                info = Path(fd.parent.parent, "fdinfo", fd.name).read_text()
                return int(info.split()[1])
    return 0


async def settled(path: Path) -> int:
    """Return how far a file has been read, once nobody reads on."""
    before = -1
    while (now := offset_of(path)) != before:
        before = now
        await asyncio.sleep(0.03)
    return now


@pytest.mark.asyncio
async def test_a_slow_reader_holds_the_other_side_up(stack: Stack, place: Path) -> None:
    """However much it has read, what is on the way does not grow (FILE-11)."""
    file, taken = place / "file", 0
    ahead: list[int] = []
    with file.open("wb") as new:
        new.truncate(64 * MIB)
    link = Link(options(stack), "sh", None)
    reading = ShellFiles(link, 1.0, print).read(os.fsencode(file), 64 * MIB)
    async with contextlib.aclosing(reading) as pieces:
        async for piece in pieces:
            taken += len(piece)
            if taken // MIB > len(ahead):
                ahead.append(await settled(file) - taken)
            if taken > 12 * MIB:
                break
    await link.close()
    assert 0 < max(ahead) < 6 * MIB, [each // MIB for each in ahead]


@pytest.mark.parametrize(
    ("kind", "delivery", "told"),
    [
        (CommandNotFoundError, Delivery.NOT_SENT, UnsupportedOperationError),
        (CommandNotExecutableError, Delivery.NOT_SENT, UnsupportedOperationError),
        (OutputLimitError, Delivery.UNKNOWN, TransferError),
        (OutputLimitError, Delivery.FINISHED, TransferError),
        (CommandError, Delivery.UNKNOWN, TransferError),
    ],
)
def test_only_a_shell_that_is_missing_is_told_as_missing(
    kind: type[CommandError], delivery: Delivery, told: type[TransportError]
) -> None:
    """A script that ran and had to be stopped keeps what is known of it."""
    found = stands_for(kind("why", delivery=delivery), "site")
    assert (type(found), found.delivery, found.transport) == (told, delivery, "site")
    assert ("no sh" in found.message) is (told is UnsupportedOperationError)


@pytest.mark.asyncio
async def test_a_script_that_says_too_much_is_not_told_as_unsent(
    stack: Stack, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ran: the error does not claim otherwise, and keeps its cause."""
    chatty = (b"sh", b"-c", b"echo made; head -c 200000 /dev/zero >&2; sleep 9", b"sh")
    monkeypatch.setattr(_sh_scripts, "set_mode", lambda *_: chatty)
    link = Link(options(stack), "sh", None)
    with pytest.raises(TransferError) as caught:
        await ShellFiles(link, 1.0, print).set_mode(os.fsencode(place), 0o700)
    await link.close()
    assert caught.value.delivery is Delivery.UNKNOWN
    assert isinstance(caught.value.__cause__, OutputLimitError)


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["lost", "killed"])
async def test_a_temporary_of_a_script_that_was_killed_is_removed(
    stack: Stack, place: Path, tmp_path: Path, how: str
) -> None:
    """With the connection: at the next login; alone: at once (FILE-02)."""
    (tmp_path / "source").write_bytes(b"n" * (8 * MIB))
    found = options(stack)
    faults = Sessions.of(stack, stack.endpoint("no-sftp"))

    def disturb(done: int, total: int | None) -> None:
        if done != 6 * MIB:  # more than a window: the script is there
            return
        (temp,) = (os.fsencode(name) for name in os.listdir(place))
        script = [pid for pid in pids() if temp in content_of(pid, "cmdline")]
        assert script
        for pid in script:
            os.kill(pid, signal.SIGSTOP)
        if how == "lost":
            with faults.cut():
                pass
        for pid in script:
            os.kill(pid, signal.SIGKILL)

    async with SSHTransport(found) as ssh:
        with pytest.raises(ConnectionLostError if how == "lost" else TransferError):
            await ssh.put(tmp_path / "source", place / "file", progress=disturb)
        if how == "killed":
            assert os.listdir(place) == []
            return
        assert len(os.listdir(place)) == 1
        await ssh.run(["true"])
        async with asyncio.timeout(5):
            while os.listdir(place):
                await asyncio.sleep(0.01)


@pytest.mark.asyncio
async def test_a_put_that_is_stopped_before_it_was_fed_ends_at_once(
    stack: Stack, place: Path
) -> None:
    """TERM may come while the shell starts its cat, which then never hears of it (FILE-02)."""
    temp = place / "temp"
    script = b'trap \'\' TERM; cat >"$1"; rm "$1"'
    argv = (b"sh", b"-c", script, b"sh", os.fsencode(temp))
    step = Step(Request(argv=argv, plan=_wire.plan(argv), stdin=b"content", grace=9.0), 7)
    link = Link(options(stack), "sh", None)
    with contextlib.suppress(RuntimeError):
        async with asyncio.timeout(5), started(link, step):
            while not temp.exists():
                await asyncio.sleep(0.01)
            raise RuntimeError("given up")
    await link.close()
    assert (step.stopped, temp.exists()) == (True, False)
