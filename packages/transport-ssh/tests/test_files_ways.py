"""The ways that files go, on real servers: which is taken, what is said, what is left."""

import asyncio
import dataclasses
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from transport_core import (
    Capability,
    ConfigurationError,
    ConnectionLostError,
    Delivery,
    Event,
    SessionGranted,
    SizeMismatchError,
    TransportClosedError,
    UnsupportedOperationError,
    Warned,
)
from transport_ssh import KnownHosts, PrivateKey, SSHOptions, SSHTransport
from transport_ssh._sftp import SharedSFTP
from transport_testbed._faults import Sessions
from transport_testbed._outside import ancestors
from transport_testbed.stack import Endpoint, Stack, StackSpec, providers

MIB = 1024 * 1024

pytestmark = pytest.mark.asyncio(loop_scope="function")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Servers without Slurm and without a jump host."""
    provider = next((each for each in providers() if not each.unavailable()), None)
    if provider is None:
        pytest.skip("no stack here")
    up = provider.start(StackSpec(slurm=False, jump=False, shells=("bash",)))
    yield up
    provider.stop(up)


@pytest.fixture
def place(stack: Stack) -> str:
    """A directory that the login may write."""
    path = tempfile.mkdtemp(dir=stack.root)
    os.chown(path, stack.uid, stack.uid)
    return path


class Told:
    """A transport's events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def of(self, kind: type[Event]) -> list[Any]:
        """Return those of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


def transport(endpoint: Endpoint, told: Told | None = None, **options: Any) -> SSHTransport:
    """Return a transport to an endpoint."""
    return SSHTransport(
        SSHOptions(
            host=endpoint.host,
            port=endpoint.port,
            user=endpoint.user,
            auth=PrivateKey(endpoint.identity),
            known_hosts=KnownHosts(text=endpoint.known_hosts),
            **options,
        ),
        on_event=told.events.append if told else None,
    )


def servers_of_files(stack: Stack, daemon: str) -> list[int]:
    """Return the SFTP servers below a daemon."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            line = Path("/proc", entry, "cmdline").read_bytes() if entry.isdigit() else b""
        except OSError:
            continue
        if b"sftp-server" in line and stack.pids[daemon] in ancestors(int(entry)):
            found.append(int(entry))
    return found


@pytest.mark.parametrize("why", ["no subsystem", "an rc file that prints"])
async def test_where_there_is_no_sftp_files_go_by_sh_and_it_is_said_once(
    stack: Stack, place: str, tmp_path: Path, why: str
) -> None:
    """The server is asked for SFTP once for each connection, and nothing of that is left."""
    quiet = why == "no subsystem"
    endpoint = stack.endpoint("no-sftp" if quiet else "bash")
    if not quiet:
        endpoint = dataclasses.replace(endpoint, user="n_bash")
    source, back, told = tmp_path / "source", tmp_path / "back", Told()
    source.write_bytes(os.urandom(MIB))
    async with transport(endpoint, told) as ssh:
        for _ in range(2):
            await ssh.put(source, f"{place}/file")
            await ssh.get(f"{place}/file", back)
        assert back.read_bytes() == source.read_bytes()
        assert len(told.of(Warned)) == 1
        assert "sh" in told.of(Warned)[0].message
        async with asyncio.timeout(5):
            while not quiet and servers_of_files(stack, "sshd-direct"):
                await asyncio.sleep(0.01)


async def test_a_way_that_was_chosen_is_not_left(stack: Stack, place: str, tmp_path: Path) -> None:
    """SFTP alone is an error where there is none, and so is sh where there is no shell."""
    source = tmp_path / "source"
    source.write_bytes(b"x")
    for name, way in (("no-sftp", "sftp"), ("sftp-only", "exec")):
        async with transport(stack.endpoint(name), files=way) as ssh:
            with pytest.raises(UnsupportedOperationError) as caught:
                await ssh.put(source, f"{place}/file")
            assert caught.value.delivery is Delivery.NOT_SENT
    assert os.listdir(place) == []


async def test_a_command_on_an_account_for_files_only_is_refused_and_never_hangs(
    stack: Stack, place: str, tmp_path: Path
) -> None:
    """What sshd says proves that nothing ran, whatever stdin does; files still move."""

    async def never() -> AsyncIterator[bytes]:
        yield b"\0\0"
        await asyncio.sleep(60)

    source = tmp_path / "source"
    source.write_bytes(b"x")
    async with asyncio.timeout(20), transport(stack.endpoint("sftp-only")) as ssh:
        for stdin in (None, b"x" * MIB, never()):
            with pytest.raises(UnsupportedOperationError, match="commands=False") as caught:
                await ssh.run(["touch", f"{place}/ran"], stdin=stdin)
            assert caught.value.delivery is Delivery.NOT_SENT
        await ssh.put(source, f"{place}/file")
    assert os.listdir(place) == ["file"]


async def test_with_commands_off_none_is_claimed_and_none_is_sent(
    stack: Stack, tmp_path: Path
) -> None:
    """A call says so at once, and opens no session."""
    told = Told()
    ssh = transport(stack.endpoint("sftp-only"), told, commands=False)
    claimed = {Capability.RUN, Capability.SIGNALS, Capability.STOP} & ssh.capabilities
    assert not claimed
    with pytest.raises(TransportClosedError):
        await ssh.run(["true"])
    async with ssh:
        with pytest.raises(UnsupportedOperationError) as caught:
            await ssh.run(["true"])
        assert caught.value.delivery is Delivery.NOT_SENT
    assert told.of(SessionGranted) == []
    with pytest.raises(ConfigurationError):
        transport(stack.endpoint("sftp-only"), commands=False, files="exec")
    with pytest.raises(ConfigurationError, match="auto"):
        transport(stack.endpoint("sftp-only"), files="scp")


@pytest.mark.parametrize("how", ["cancel", "cut", "grown", "shrunk"])
async def test_a_put_by_sh_that_ends_early_leaves_no_temporary(
    stack: Stack, place: str, tmp_path: Path, how: str
) -> None:
    """Given up, cut off or given another size, also with one session alone; the old file stays."""
    endpoint = stack.endpoint("no-sftp")
    source, there = tmp_path / "source", Path(place, "file")
    source.write_bytes(b"n" * (8 * MIB))
    there.write_bytes(b"old")
    faults = Sessions.of(stack, endpoint)
    wanted = {
        "cancel": asyncio.CancelledError,
        "cut": ConnectionLostError,
        "grown": SizeMismatchError,
        "shrunk": SizeMismatchError,
    }

    def disturb(done: int, total: int | None) -> None:
        if done != MIB:
            return
        if how == "cancel":
            call.cancel()
        elif how == "cut":
            with faults.cut():
                pass
        else:
            os.truncate(source, 9 * MIB if how == "grown" else 2 * MIB)

    async with transport(endpoint, files="exec", max_sessions=1) as ssh:
        call = asyncio.create_task(ssh.put(source, there, progress=disturb))
        with pytest.raises(wanted[how]):
            await call
        async with asyncio.timeout(5):  # after a cut nobody can wait for the other side
            while os.listdir(place) != ["file"]:
                await asyncio.sleep(0.01)
    assert there.read_bytes() == b"old"


async def test_progress_knows_the_total_of_a_tree_from_the_beginning(
    stack: Stack, place: str, tmp_path: Path
) -> None:
    """It is counted before anything is sent."""
    for n in range(40):
        (tmp_path / f"d{n}").mkdir()
        for k in range(10):
            (tmp_path / f"d{n}" / f"{k}").write_bytes(b"x")
    totals = set()

    def note(done: int, total: int | None) -> None:
        totals.add(total)

    async with transport(stack.endpoint("bash")) as ssh:
        found = await ssh.put(tmp_path, f"{place}/tree", progress=note)
    assert (found.files, totals) == (400, {400})


async def test_a_session_that_is_given_up_while_it_is_looked_at_is_not_used(
    stack: Stack, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that waits for a session may take it just then: the transfer opens another."""
    (tmp_path / "file").write_bytes(b"x")
    look = SharedSFTP._is_alive

    async def taken_meanwhile(shared: SharedSFTP, client: Any) -> bool:
        alive = await look(shared, client)
        shared._give_up_if_idle()
        return alive

    async with transport(stack.endpoint("bash")) as ssh:
        await ssh.put(tmp_path / "file", f"{place}/a")
        monkeypatch.setattr(SharedSFTP, "_is_alive", taken_meanwhile)
        await ssh.put(tmp_path / "file", f"{place}/b")
    assert Path(place, "b").read_bytes() == b"x"
