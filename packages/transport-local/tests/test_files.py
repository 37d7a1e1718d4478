"""Files on this machine: put and get are one copy with two names."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from local_support import Verb, both, make_tree, move, names
from transport_core import (
    AlreadyExistsError,
    BytesMoved,
    Event,
    IsADirectoryTransferError,
    NotADirectoryTransferError,
    NotFoundError,
    Symlinks,
    TransferError,
    UnsafePathError,
)
from transport_local import LocalTransport


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
async def test_an_error_says_which_side_failed_and_at_which_path(
    verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path is as the caller gave it, and of a member of a tree its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"1")
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    os.mkfifo(tmp_path / "tree" / "deep" / "fifo")
    mine, theirs = ("local", "remote") if verb == "put" else ("remote", "local")
    cases: list[tuple[str, str, str, str, str]] = [
        ("no", "x", mine, "no", f"the {mine} source does not exist"),
        ("file", "no/x", theirs, "no/x", f"the {theirs} parent directory does not exist"),
        ("tree", "x", mine, "tree/deep/fifo", r"is no source \('deep/fifo'\)"),
        ("file", "tree", theirs, "tree", f"{theirs} destination: a directory stands there"),
        ("~/x", "x", mine, "~/x", "~ is not expanded"),
    ]
    async with LocalTransport(cwd=tmp_path) as here:
        for source, target, side, where, text in cases:
            with pytest.raises(TransferError, match=text) as caught:
                await move(here, verb, source, target)
            assert (caught.value.side, os.fsdecode(caught.value.filename)) == (side, where)


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
