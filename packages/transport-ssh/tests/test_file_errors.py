"""What goes wrong with files, on real servers, by either way: which error, and what it says."""

import contextlib
import os
import re
import shlex
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from transport_core import (
    AlreadyExistsError,
    ConnectionLostError,
    Delivery,
    IsADirectoryTransferError,
    NoSpaceError,
    NotADirectoryTransferError,
    NotFoundError,
    Symlinks,
    TransferError,
    UnsafePathError,
    UnsupportedOperationError,
)
from transport_ssh import KnownHosts, PrivateKey, SSHOptions, SSHTransport
from transport_testbed._faults import Sessions
from transport_testbed._outside import ancestors
from transport_testbed.stack import Stack, StackSpec, providers

pytestmark = pytest.mark.asyncio(loop_scope="function")

ways = pytest.mark.parametrize("way", ["sftp", "exec"])


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
def place(stack: Stack) -> Iterator[Path]:
    """A directory that the login may write."""
    path = tempfile.mkdtemp(dir=stack.root)
    os.chown(path, stack.uid, stack.uid)
    yield Path(path)
    subprocess.run(["rm", "-rf", path], check=True)  # however deep it is


def transport(stack: Stack, way: str = "auto") -> SSHTransport:
    """Return a transport whose files go one way."""
    endpoint = stack.endpoint("bash")
    options: dict[str, Any] = {"files": way}
    return SSHTransport(
        SSHOptions(
            host=endpoint.host,
            port=endpoint.port,
            user=endpoint.user,
            auth=PrivateKey(endpoint.identity),
            known_hosts=KnownHosts(text=endpoint.known_hosts),
            **options,
        )
    )


def make(stack: Stack, folder: Path) -> Path:
    """Make a directory of the login's."""
    folder.mkdir()
    os.chown(folder, stack.uid, stack.uid)
    return folder


async def serve_by(stack: Stack, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have SFTP served by a command, in which ``SERVER`` is the program of the stack's own."""
    opening = asyncssh.SSHClientConnection.open_session
    server = shlex.quote(await program_of_sftp(stack))

    async def instead(self: Any, *args: Any, **options: Any) -> Any:
        if options.pop("subsystem", None):
            args = (command.replace("SERVER", server),)
        return await opening(self, *args, **options)

    monkeypatch.setattr(asyncssh.SSHClientConnection, "open_session", instead)


async def program_of_sftp(stack: Stack) -> str:
    """Return what serves files there."""
    async with transport(stack, "sftp") as ssh:
        with pytest.raises(NotFoundError):
            await ssh.get("absent", "absent")
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                program = (entry / "cmdline").read_bytes().decode().partition("\0")[0]
                ours = stack.pids["sshd-direct"] in ancestors(int(entry.name))
                if ours and program.endswith("sftp-server"):
                    return program
    raise AssertionError("nothing serves files")


@ways
async def test_an_error_says_which_side_failed_and_at_which_path(
    stack: Stack, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """So that who waits for an output does not wait for a directory of their own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    os.mkfifo(tmp_path / "tree" / "deep" / "fifo")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "link").symlink_to("nowhere")
    (tmp_path / "ok" / "sub").mkdir(parents=True)
    (tmp_path / "ok" / "sub" / "x").touch()
    rt = make(stack, place / "rt")
    make(stack, rt / "sub").joinpath("shut").touch(mode=0)
    pipes = make(stack, place / "pipes")
    os.mkfifo(make(stack, pipes / "deep") / "fifo")
    make(stack, make(stack, make(stack, place / "way") / "sub") / "x")
    (place / "f").touch()
    (make(stack, place / "dangling") / "link").symlink_to("nowhere")
    p = str(place)
    follow = {"symlinks": Symlinks.FOLLOW}
    table: list[tuple[str, str, str, dict[str, Any], str, str, str]] = [
        ("put", "no", f"{p}/n", {}, "local", "no", "the local source does not exist"),
        ("put", "file", f"{p}/no/n", {}, "remote", f"{p}/no/n",
         r"the remote parent directory does not exist .*try: parents=True"),
        ("get", f"{p}/no", "n", {}, "remote", f"{p}/no", "the remote source does not exist"),
        ("get", f"{p}/f", "no/n", {}, "local", "no/n",
         r"the local parent directory does not exist .*try: parents=True"),
        ("get", "~/no", "n", {}, "remote", "~/no", "~ is not expanded"),
        ("put", "file", "~/no", {}, "remote", "~/no", "~ is not expanded"),
        ("put", "tree", f"{p}/n", {}, "local", "tree/deep/fifo", r"\('deep/fifo'\)"),
        ("put", "odd", f"{p}/n", follow, "local", "odd/link", r"\('link'\)"),
        ("put", "ok", f"{p}/way", {}, "remote", f"{p}/way/sub/x", r"\('sub/x'\)"),
        ("get", f"{p}/rt", "rt", {}, "remote", f"{p}/rt/sub/shut", r"\('sub/shut'\)"),
        ("get", f"{p}/pipes", "pp", {}, "remote", f"{p}/pipes/deep/fifo", r"\('deep/fifo'\)"),
        ("get", f"{p}/dangling", "d", follow, "remote", f"{p}/dangling/link", r"\('link'\)"),
    ]  # fmt: skip
    async with transport(stack, way) as ssh:
        for verb, source, target, options, side, filename, text in table:
            with pytest.raises(TransferError, match=text) as caught:
                await getattr(ssh, verb)(source, target, **options)
            found = caught.value
            assert (found.side, os.fsdecode(found.filename)) == (side, filename), text
            assert found.transport == ssh.name


async def test_a_stdin_that_is_missing_is_told_as_that(stack: Stack, tmp_path: Path) -> None:
    """With the transport's name, and as a local file."""
    os.mkfifo(tmp_path / "pipe")
    async with transport(stack) as ssh:
        for name, kind in (("absent", NotFoundError), ("pipe", TransferError)):
            with pytest.raises(kind, match="stdin") as caught:
                await ssh.run(["true"], stdin=tmp_path / name)
            assert (caught.value.transport, caught.value.side) == (ssh.name, "local")
            assert caught.value.delivery is Delivery.NOT_SENT


@ways
async def test_a_put_that_was_lost_may_be_made_again(
    stack: Stack, place: Path, tmp_path: Path, way: str
) -> None:
    """Each file is whole or not there, so nobody has to find out whether it ran."""
    (tmp_path / "source").write_bytes(b"x" * (8 << 20))
    faults = Sessions.of(stack, stack.endpoint("bash"))
    told: list[int] = []

    def cut(done: int, total: int | None) -> None:
        if not told:
            told.append(done)
            with faults.cut():
                pass

    async with transport(stack, way) as ssh:
        with pytest.raises(ConnectionLostError) as caught:
            await ssh.put(tmp_path / "source", place / "file", progress=cut)
    assert (caught.value.hint or "").startswith("repeat it")


@pytest.mark.parametrize("full", ["size=256k", "nr_inodes=2"])
async def test_an_upload_that_fills_the_disk_itself_is_told_as_that(
    stack: Stack, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    """Of blocks or of inodes; the server itself says "Failure" only."""
    mount = f"mount -t tmpfs -o {full} none {shlex.quote(str(place))}"
    async with transport(stack) as ssh:
        allowed = await ssh.run(["unshare", "-rm", "sh", "-c", mount])
        if not allowed.ok:
            pytest.skip(f"no file system of its own: {allowed.stderr_text}")
    await serve_by(
        stack, f"exec unshare -rm sh -c {shlex.quote(mount + ' && exec SERVER')}", monkeypatch
    )
    (tmp_path / "tree").mkdir()
    for number in range(3):
        (tmp_path / "tree" / f"{number}").write_bytes(b"x" * (1 << 18))
    async with transport(stack, "sftp") as ssh:
        with pytest.raises(NoSpaceError) as caught:
            await ssh.put(tmp_path / "tree", place / "tree")
    assert caught.value.side == "remote"


async def test_a_failure_that_cannot_be_explained_names_what_the_server_may_not_tell(
    stack: Stack, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file may be no larger than a limit, which is none of the disk."""
    await serve_by(stack, "ulimit -f 64; exec SERVER", monkeypatch)
    (tmp_path / "source").write_bytes(b"x" * (1 << 20))
    async with transport(stack, "sftp") as ssh:
        with pytest.raises(TransferError, match="the server says 'Failure'") as caught:
            await ssh.put(tmp_path / "source", place / "file")
    assert "quota" in (caught.value.hint or "")
    assert os.listdir(place) == []


@pytest.mark.parametrize("lacks", ["posix-rename", "hardlink", "posix-rename,hardlink"])
async def test_a_server_without_extensions_takes_what_is_new_and_replaces_nothing_by_halves(
    stack: Stack, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacks: str
) -> None:
    """A plain rename never overwrites; what cannot be done says that it cannot."""
    await serve_by(stack, f"exec SERVER -P {lacks}", monkeypatch)
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "f").write_bytes(b"new")
    (tree / "link").symlink_to("f")
    (place / "old").write_bytes(b"old")
    async with transport(stack, "sftp") as ssh:
        for overwrite in (True, False):
            await ssh.put(tree / "f", place / f"file-{overwrite}", overwrite=overwrite)
            await ssh.put(tree, place / f"tree-{overwrite}", overwrite=overwrite)
        with pytest.raises(AlreadyExistsError):
            await ssh.put(tree / "f", place / "old", overwrite=False)
        if "posix-rename" in lacks:
            with pytest.raises(UnsupportedOperationError, match="posix-rename") as caught:
                await ssh.put(tree / "f", place / "old")
            assert caught.value.transport == ssh.name
    assert (place / "old").read_bytes() == b"old"
    assert (place / "tree-True" / "f").read_bytes() == (place / "file-False").read_bytes() == b"new"
    assert (place / "tree-False" / "link").readlink() == Path("f")
    names = sorted(os.listdir(place))
    assert names == ["file-False", "file-True", "old", "tree-False", "tree-True"]


@ways
async def test_parents_as_deep_as_a_path_can_be_are_made(
    stack: Stack, place: Path, tmp_path: Path, way: str
) -> None:
    """On either side; of 1500 names."""
    (tmp_path / "f").write_bytes(b"x")
    there, here = f"{place}{'/a' * 1500}/f", f"{tmp_path}{'/a' * 1500}/f"
    try:
        async with transport(stack, way) as ssh:
            await ssh.put(tmp_path / "f", there, parents=True)
            await ssh.get(there, here, parents=True)
        assert Path(here).read_bytes() == b"x"
    finally:  # what pytest removes folders with is recursive, and would fail
        subprocess.run(["rm", "-rf", tmp_path / "a"], check=True)


@ways
async def test_a_setgid_bit_that_a_new_directory_inherits_stays(
    stack: Stack, place: Path, tmp_path: Path, way: str
) -> None:
    """Whoever shares a project's directory relies on it; elsewhere none is set."""
    (tmp_path / "tree" / "sub").mkdir(parents=True, mode=0o750)
    (tmp_path / "tree").chmod(0o2755)
    make(stack, place / "project").chmod(0o2775)
    async with transport(stack, way) as ssh:
        for folder in ("project/t", "t"):
            await ssh.put(tmp_path / "tree", place / folder)
    modes = {
        name: stat.S_IMODE((place / name).stat().st_mode)
        for name in ("project/t", "project/t/sub", "t", "t/sub")
    }
    assert modes == {"project/t": 0o2755, "project/t/sub": 0o2750, "t": 0o755, "t/sub": 0o750}


@ways
async def test_a_tree_does_not_go_where_a_link_leads_nowhere(
    stack: Stack, place: Path, tmp_path: Path, way: str
) -> None:
    """It is something that exists, and no directory; nor are parents made there."""
    (tmp_path / "tree").mkdir()
    (place / "link").symlink_to("nowhere")
    async with transport(stack, way) as ssh:
        with pytest.raises(AlreadyExistsError):
            await ssh.put(tmp_path / "tree", place / "link", overwrite=False)
        for target in (place / "link", place / "link" / "in"):
            with pytest.raises(NotADirectoryTransferError):
                await ssh.put(tmp_path / "tree", target, parents=True)
    assert os.listdir(place) == ["link"]


@ways
@pytest.mark.parametrize("name", ["n" * 256, "d/" * 2100 + "f"], ids=["name", "path"])
async def test_a_name_that_is_too_long_is_told_as_that(
    stack: Stack, place: Path, tmp_path: Path, way: str, name: str
) -> None:
    """As the operating system has it."""
    (tmp_path / "f").touch()
    async with transport(stack, way) as ssh:
        for call in (ssh.put(tmp_path / "f", f"{place}/{name}"), ssh.get(f"{place}/{name}", "x")):
            with pytest.raises(TransferError, match="name too long") as caught:
                await call
            assert re.fullmatch("File name too long", caught.value.strerror or "")


@ways
async def test_links_that_make_an_endless_tree_are_told_as_that(
    stack: Stack, place: Path, tmp_path: Path, way: str
) -> None:
    """As in a put, and long before the system would follow no more of them."""
    (place / "loop").symlink_to(".")
    async with transport(stack, way) as ssh:
        with pytest.raises(TransferError, match="links make an endless tree") as caught:
            await ssh.get(place, tmp_path / "x", symlinks=Symlinks.FOLLOW)
    assert caught.value.side == "remote"


@ways
async def test_what_is_refused_before_it_is_sent_is_of_its_kind(
    stack: Stack, place: Path, tmp_path: Path, way: str
) -> None:
    """A pipe at the destination, and a directory."""
    (tmp_path / "f").touch()
    os.mkfifo(place / "pipe")
    async with transport(stack, way) as ssh:
        with pytest.raises(UnsafePathError):
            await ssh.put(tmp_path / "f", place / "pipe")
        with pytest.raises(IsADirectoryTransferError, match=r"^remote destination: "):
            await ssh.put(tmp_path / "f", place)
