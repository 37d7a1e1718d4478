"""Files on this machine: put and get are one copy with two names."""

import asyncio
import os
import stat
import time
from pathlib import Path
from typing import Any, Literal

import pytest
from transport_core import (
    AlreadyExistsError,
    BytesMoved,
    Event,
    IsADirectoryTransferError,
    NotADirectoryTransferError,
    NotFoundError,
    PermissionDeniedError,
    SizeMismatchError,
    Symlinks,
    TransferError,
    TransferLimitError,
    TransferTimeoutError,
    UnsafePathError,
)
from transport_local import LocalTransport

Verb = Literal["put", "get"]
both = pytest.mark.parametrize("verb", ["put", "get"])
# A user of its own for what root may do anyway.
unprivileged = pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")


async def move(here: LocalTransport, verb: Verb, source: Any, target: Any, **options: Any) -> Any:
    """Copy by either verb: both take the source first."""
    return await getattr(here, verb)(source, target, **options)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def make_tree(root: Path) -> Path:
    (root / "sub" / "empty").mkdir(parents=True)
    (root / "a").write_bytes(b"alpha")
    (root / "sub" / "none").touch()
    (root / "sub" / "tool").write_bytes(b"#!")
    (root / "sub" / "tool").chmod(0o750)
    (root / "sub" / "link").symlink_to("../a")
    return root


@both
@pytest.mark.asyncio
async def test_a_file_arrives_whole_under_exactly_the_name(verb: Verb, tmp_path: Path) -> None:
    content = os.urandom(3 * 1024 * 1024 + 7)
    source = tmp_path / "source"
    source.write_bytes(content)
    source.chmod(0o640)
    seen: list[Event] = []
    async with LocalTransport(name="n", on_event=seen.append) as here:
        result = await move(here, verb, source, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == content
    assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == 0o640
    assert (result.files, result.bytes) == (1, len(content))
    assert seen == [BytesMoved(transport="n", direction=verb, files=1, bytes=len(content))]
    assert names(tmp_path) == ["source", "target"]


@pytest.mark.asyncio
async def test_a_relative_remote_path_starts_from_the_transport_s_cwd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "remote").mkdir()
    (tmp_path / "local").mkdir()
    monkeypatch.chdir(tmp_path / "local")
    Path("here").write_bytes(b"1")
    async with LocalTransport(cwd=tmp_path / "remote") as here:
        await here.put("here", "there")
        await here.get("there", "back")
    assert names(tmp_path / "remote") == ["there"]
    assert names(tmp_path / "local") == ["back", "here"]


@both
@pytest.mark.asyncio
async def test_a_tree_arrives_with_modes_links_and_empty_things(verb: Verb, tmp_path: Path) -> None:
    source = make_tree(tmp_path / "source")
    (source / "sub").chmod(0o500)
    target = tmp_path / "target"
    async with LocalTransport() as here:
        result = await move(here, verb, source, target)
    assert (result.files, result.bytes) == (3, 7)
    assert names(target / "sub") == ["empty", "link", "none", "tool"]
    assert (target / "sub" / "link").readlink() == Path("../a")
    assert stat.S_IMODE((target / "sub" / "tool").stat().st_mode) == 0o750
    assert stat.S_IMODE((target / "sub").stat().st_mode) == 0o500
    (source / "sub").chmod(0o700)
    (target / "sub").chmod(0o700)


@both
@pytest.mark.asyncio
async def test_a_tree_onto_a_tree_merges(verb: Verb, tmp_path: Path) -> None:
    source = make_tree(tmp_path / "source")
    target = tmp_path / "target"
    (target / "sub").mkdir(parents=True)
    (target / "mine").write_bytes(b"kept")
    (target / "a").write_bytes(b"old")
    async with LocalTransport() as here:
        await move(here, verb, source, target)
        await move(here, verb, source, target)
    assert names(target) == ["a", "mine", "sub"]
    assert (target / "a").read_bytes() == b"alpha"


@both
@pytest.mark.asyncio
async def test_setuid_is_never_copied_and_a_mode_is_for_files(verb: Verb, tmp_path: Path) -> None:
    source = make_tree(tmp_path / "source")
    (source / "sub" / "tool").chmod(0o6755)
    (source / "sub").chmod(0o2755)
    async with LocalTransport() as here:
        await move(here, verb, source, tmp_path / "copied")
        await move(here, verb, source, tmp_path / "set", mode=0o600)
    assert stat.S_IMODE((tmp_path / "copied" / "sub" / "tool").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "copied" / "sub").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "set" / "a").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "set" / "sub" / "tool").stat().st_mode) == 0o600


@both
@pytest.mark.asyncio
@pytest.mark.parametrize(
    "name", [b"-f", b" ", b"a\nb", b"*", b"~", b"#", b"\xff\xfe", b"'\"$x`", b"n" * 255]
)
async def test_any_name_is_taken_as_it_is(verb: Verb, name: bytes, tmp_path: Path) -> None:
    source = os.fsencode(tmp_path) + b"/" + name
    Path(os.fsdecode(source)).write_bytes(b"1")
    (tmp_path / "d").mkdir()
    async with LocalTransport() as here:
        await move(here, verb, source, os.fsencode(tmp_path) + b"/d/" + name)
    assert os.listdir(os.fsencode(tmp_path / "d")) == [name]


@both
@pytest.mark.asyncio
async def test_without_overwrite_nothing_that_exists_changes(verb: Verb, tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"new")
    (tmp_path / "there").write_bytes(b"old")
    (tmp_path / "dangling").symlink_to("nowhere")
    tree, full = make_tree(tmp_path / "tree"), make_tree(tmp_path / "full")
    async with LocalTransport() as here:
        for what, where in ((source, "there"), (source, "dangling"), (tree, full), (tree, "there")):
            with pytest.raises(AlreadyExistsError) as caught:
                await move(here, verb, what, tmp_path / where, overwrite=False)
            assert isinstance(caught.value, FileExistsError)
        await move(here, verb, source, tmp_path / "free", overwrite=False)
        await move(here, verb, tree, tmp_path / "free-tree", overwrite=False)
    assert (tmp_path / "there").read_bytes() == b"old"
    assert (tmp_path / "free").read_bytes() == b"new"
    assert not [name for name in names(tmp_path) if name.startswith(".")]


@both
@pytest.mark.asyncio
async def test_failures_are_typed_with_both_paths_and_their_cause(
    verb: Verb, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"1")
    tree = make_tree(tmp_path / "tree")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "fifo")
    cases: list[tuple[Any, Any, dict[str, Any], type[TransferError], type[OSError]]] = [
        ("absent", "x", {}, NotFoundError, FileNotFoundError),
        ("absent", "no/parent", {"parents": True}, NotFoundError, FileNotFoundError),
        (file, "no/parent", {}, NotFoundError, FileNotFoundError),
        (file, "file/below", {}, NotADirectoryTransferError, NotADirectoryError),
        (file, tree, {}, IsADirectoryTransferError, IsADirectoryError),
        (tree, file, {}, NotADirectoryTransferError, NotADirectoryError),
        (file, "x", {"kind": "tree"}, NotADirectoryTransferError, NotADirectoryError),
        (tree, "x", {"kind": "file"}, IsADirectoryTransferError, IsADirectoryError),
        (file, "n" * 256, {}, TransferError, OSError),
        ("loop", "x", {}, TransferError, OSError),
        ("fifo", "x", {}, UnsafePathError, OSError),
        ("/dev/null", "x", {}, UnsafePathError, OSError),
        (tree, tree / "sub" / "x", {}, TransferError, OSError),
        (tree, tree / "new" / "x", {"parents": True}, TransferError, OSError),
    ]
    before = sorted(tmp_path.rglob("*"))
    async with LocalTransport(name="n") as here:
        for source, target, options, kind, builtin in cases:
            with pytest.raises(TransferError) as caught:
                await move(here, verb, tmp_path / source, tmp_path / target, **options)
            error = caught.value
            assert type(error) is kind, (source, target)
            assert isinstance(error, builtin)
            ends = (os.fsencode(tmp_path / source), os.fsencode(tmp_path / target))
            assert error.transport == "n"
            assert os.fsencode(error.local or b"") == ends[verb == "get"]
            assert os.fsencode(error.remote or b"") == ends[verb == "put"]
    assert sorted(tmp_path.rglob("*")) == before


@both
@pytest.mark.asyncio
async def test_the_member_that_failed_is_named(verb: Verb, tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    (tmp_path / "target" / "a").mkdir(parents=True)
    async with LocalTransport() as here:
        with pytest.raises(IsADirectoryTransferError, match=r"\('a'\)") as caught:
            await move(here, verb, tree, tmp_path / "target")
    assert isinstance(caught.value.__cause__, IsADirectoryError)


@both
@pytest.mark.asyncio
async def test_parents_are_made_on_demand(verb: Verb, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    async with LocalTransport() as here:
        await move(here, verb, tmp_path / "file", tmp_path / "a/b/c", parents=True)
    assert (tmp_path / "a" / "b" / "c").read_bytes() == b"1"


@pytest.mark.asyncio
@pytest.mark.parametrize("target", ["/etc/hostname", "../outside", "sub/../../outside"])
async def test_a_link_that_leads_out_is_kept_on_put_and_refused_on_get(
    target: str, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(target)
    async with LocalTransport() as here:
        await here.put(tree, tmp_path / "put")
        with pytest.raises(UnsafePathError):
            await here.get(tree, tmp_path / "get")
    assert (tmp_path / "put" / "link").readlink() == Path(target)
    assert not names(tmp_path / "get")


@both
@pytest.mark.asyncio
async def test_links_are_followed_on_demand_and_cycles_end(verb: Verb, tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    async with LocalTransport() as here:
        await move(here, verb, tree, tmp_path / "flat", symlinks=Symlinks.FOLLOW)
        assert (tmp_path / "flat" / "sub" / "link").read_bytes() == b"alpha"
        assert not (tmp_path / "flat" / "sub" / "link").is_symlink()
        (tree / "sub" / "up").symlink_to("..")
        with pytest.raises(TransferError, match="endless"):
            await move(here, verb, tree, tmp_path / "x", symlinks=Symlinks.FOLLOW)


@both
@pytest.mark.asyncio
async def test_a_link_planted_in_the_destination_is_not_written_through(
    verb: Verb, tmp_path: Path
) -> None:
    tree = make_tree(tmp_path / "tree")
    (tmp_path / "outside").mkdir()
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "sub").symlink_to(tmp_path / "outside")
    async with LocalTransport() as here:
        with pytest.raises(UnsafePathError):
            await move(here, verb, tree, tmp_path / "target")
    assert not names(tmp_path / "outside")


@pytest.mark.asyncio
async def test_the_limits_of_get_hold(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    async with LocalTransport() as here:
        assert (await here.get(tree, tmp_path / "fits", max_bytes=7, max_files=7)).bytes == 7
        with pytest.raises(TransferLimitError, match="max_bytes=6"):
            await here.get(tree, tmp_path / "x", max_bytes=6)
        with pytest.raises(TransferLimitError, match="max_files=6"):
            await here.get(tree, tmp_path / "y", max_files=6)
        with pytest.raises(TransferLimitError):
            await here.get(tree / "a", tmp_path / "z", max_bytes=4)
    assert not (tmp_path / "z").exists()


@both
@pytest.mark.asyncio
@pytest.mark.parametrize("change", [b"grown", b""])
async def test_a_source_that_changes_size_while_it_is_read_is_an_error(
    verb: Verb, change: bytes, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 2_000_000)

    def alter(done: int, total: int | None) -> None:
        if done < 2_000_000:
            with source.open("ab" if change else "r+b") as file:
                file.write(change) if change else file.truncate(1_500_000)

    async with LocalTransport() as here:
        with pytest.raises(SizeMismatchError):
            await move(here, verb, source, tmp_path / "target", progress=alter)
    assert names(tmp_path) == ["source"]


@both
@pytest.mark.asyncio
async def test_progress_is_told_on_the_loop_up_to_the_end(verb: Verb, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 5_000_000)
    (tmp_path / "empty").touch()
    tree = make_tree(tmp_path / "tree")
    told: list[tuple[int, int | None]] = []
    loop = asyncio.get_running_loop()

    def progress(done: int, total: int | None) -> None:
        assert asyncio.get_running_loop() is loop
        told.append((done, total))

    async with LocalTransport() as here:
        for name, size in (("file", 5_000_000), ("empty", 0), ("tree", 7)):
            told.clear()
            await move(here, verb, tmp_path / name, tmp_path / f"to-{name}", progress=progress)
            assert told[-1] == (size, size)
            assert told == sorted(set(told))
    assert tree.is_dir()


@both
@pytest.mark.asyncio
@pytest.mark.parametrize("kind", [ZeroDivisionError, OSError, TimeoutError, asyncio.CancelledError])
@pytest.mark.parametrize("size", [0, 10, 5_000_000])
async def test_progress_that_raises_fails_the_transfer_and_nothing_is_left(
    verb: Verb, kind: type[BaseException], size: int, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"x" * size)

    def progress(done: int, total: int | None) -> None:
        raise kind("of mine")

    async with LocalTransport() as here:
        with pytest.raises(kind, match="of mine"):
            await move(here, verb, tmp_path / "file", tmp_path / "target", progress=progress)
    assert names(tmp_path) == ["file"]


@both
@pytest.mark.asyncio
async def test_a_timeout_leaves_no_partial_file(verb: Verb, tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.truncate(20_000_000_000)  # sparse: it takes no room, and seconds to copy
    async with LocalTransport() as here:
        began = time.monotonic()
        with pytest.raises(TransferTimeoutError) as caught:
            await move(here, verb, tmp_path / "file", tmp_path / "target", timeout=0.1)
        assert time.monotonic() - began < 2
        assert isinstance(caught.value, TimeoutError)
        with pytest.raises(TransferTimeoutError):
            await move(here, verb, tmp_path / "file", tmp_path / "target", timeout=1e-9)
    assert names(tmp_path) == ["file"]


@both
@pytest.mark.asyncio
async def test_cancelling_waits_until_no_partial_file_is_left(verb: Verb, tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.truncate(20_000_000_000)
    async with LocalTransport() as here:
        begun = asyncio.Event()
        call = asyncio.create_task(
            move(
                here, verb, tmp_path / "file", tmp_path / "target",
                progress=lambda done, total: begun.set(),
            )
        )  # fmt: skip
        await begun.wait()
        assert len(names(tmp_path)) == 2
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert names(tmp_path) == ["file"]


@both
@pytest.mark.asyncio
async def test_the_temporary_file_is_private(verb: Verb, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 3_000_000)
    modes: set[int] = set()

    def look(done: int, total: int | None) -> None:
        modes.update(
            stat.S_IMODE(entry.stat().st_mode)
            for entry in tmp_path.iterdir()
            if entry.name.startswith(".")
        )

    before = os.umask(0)
    try:
        async with LocalTransport() as here:
            await move(
                here, verb, tmp_path / "file", tmp_path / "target", mode=0o666, progress=look
            )
    finally:
        os.umask(before)
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == 0o666


@both
@pytest.mark.asyncio
async def test_many_at_once_to_one_name_leave_one_whole_file(verb: Verb, tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"source{number}").write_bytes(b"%02d" % number * 50_000)
    async with LocalTransport() as here:
        await asyncio.gather(
            *(
                move(here, verb, tmp_path / f"source{number}", tmp_path / "target")
                for number in range(20)
            )
        )
    content = (tmp_path / "target").read_bytes()
    assert content == content[:2] * 50_000
    assert len(names(tmp_path)) == 21


@both
@pytest.mark.asyncio
async def test_many_at_once_without_overwrite_have_one_winner(verb: Verb, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"1")
    async with LocalTransport() as here:
        ends = await asyncio.gather(
            *(
                move(here, verb, tmp_path / "source", tmp_path / "target", overwrite=False)
                for _ in range(30)
            ),
            return_exceptions=True,
        )
    assert sum(isinstance(end, AlreadyExistsError) for end in ends) == 29
    assert names(tmp_path) == ["source", "target"]


@both
@pytest.mark.asyncio
async def test_the_same_name_on_both_sides_keeps_the_content(verb: Verb, tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    async with LocalTransport() as here:
        await move(here, verb, tree / "a", tree / "a")
        await move(here, verb, tree, tree)
    assert (tree / "a").read_bytes() == b"alpha"
    assert names(tree) == ["a", "sub"]


@both
@pytest.mark.asyncio
async def test_a_file_of_mode_zero_is_kept_as_such(verb: Verb, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"1")
    async with LocalTransport() as here:
        await move(here, verb, source, tmp_path / "target", mode=0)
    assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == 0


@both
@unprivileged
@pytest.mark.asyncio
async def test_what_may_not_be_read_or_written_is_a_typed_error(verb: Verb, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    (tmp_path / "secret").write_bytes(b"1")
    (tmp_path / "secret").chmod(0)
    (tmp_path / "closed").mkdir(0o500)
    async with LocalTransport() as here:
        with pytest.raises(PermissionDeniedError):
            await move(here, verb, tmp_path / "secret", tmp_path / "x")
        with pytest.raises(PermissionDeniedError):
            await move(here, verb, tmp_path / "file", tmp_path / "closed" / "x")


@both
@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"source": ""}, ValueError),
        ({"source": b"\0"}, ValueError),
        ({"target": ""}, ValueError),
        ({"target": 3}, TypeError),
        ({"mode": "644"}, TypeError),
        ({"mode": 0o10000}, ValueError),
        ({"kind": "folder"}, ValueError),
        ({"symlinks": "never"}, ValueError),
        ({"timeout": 0}, ValueError),
    ],
)
async def test_impossible_arguments_move_nothing(
    verb: Verb, arguments: dict[str, Any], kind: type[Exception], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    given = {"source": tmp_path / "file", "target": tmp_path / "x", **arguments}
    async with LocalTransport() as here:
        with pytest.raises(kind) as caught:
            await move(here, verb, given.pop("source"), given.pop("target"), **given)
    assert type(caught.value) is kind
    assert names(tmp_path) == ["file"]
