"""Trees: merging, links, what leads out of them, and many at once (FILE-01, 04, 08, 11)."""

from __future__ import annotations

import asyncio
import os
import pathlib

from transport_core import (
    AlreadyExistsError,
    Capability,
    Symlinks,
    TransferError,
    UnsafePathError,
)

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause
from transport_testbed.conformance._memory import memory, peak_reset
from transport_testbed.conformance.samples import (
    content,
    failure,
    link_at,
    local_names,
    members,
    mode_of,
    present,
)

MIB = 1024 * 1024


def _plant(tree: pathlib.Path) -> None:
    """Make ``a``, ``sub/b`` and ``sub/deep/c``, each holding its name."""
    (tree / "sub" / "deep").mkdir(parents=True)
    for name in ("a", "sub/b", "sub/deep/c"):
        (tree / name).write_text(name)


class FilesTreesTests:
    """A tree arrives as it was, where it was sent, and nowhere else."""

    @clause("FILE-01")
    async def test_a_tree_stands_under_exactly_the_name_given(self, case: Case) -> None:
        """New or over a tree that is there, it is the destination, never inside it."""
        tree, back, remote = case.local("tree"), case.local("back"), case.remote("d")
        _plant(tree)
        for _ in range(2):
            put = await case.transport.put(tree, remote)
            got = await case.transport.get(remote, back)
            assert (put.files, put.bytes) == (got.files, got.bytes) == (3, 16)
        assert members(case, remote) == local_names(back) == {b"a", b"sub"}
        assert content(case, remote + b"/sub/deep/c") == b"sub/deep/c"
        assert (back / "sub" / "deep" / "c").read_text() == "sub/deep/c"

    @clause("FILE-04")
    async def test_a_tree_onto_a_tree_merges(self, case: Case) -> None:
        """Members of the same name are replaced, all others stay; without overwrite, all do."""
        tree, back, remote = case.local("tree"), case.local("back"), case.remote("d")
        _plant(tree)
        (back / "sub").mkdir(parents=True)
        (back / "sub" / "mine").write_text("mine")
        (back / "a").write_text("old")
        case.probe.make_dir(remote)
        case.probe.make_dir(remote + b"/sub")
        case.probe.write(remote + b"/sub/mine", b"mine")
        case.probe.write(remote + b"/a", b"old")
        put, get = case.transport.put, case.transport.get
        await failure(AlreadyExistsError, put(tree, remote, overwrite=False))
        await failure(AlreadyExistsError, get(remote, back, overwrite=False))
        assert members(case, remote + b"/sub") == {b"mine"}
        assert content(case, remote + b"/a") == b"old"
        await put(tree, remote)
        assert members(case, remote + b"/sub") == {b"mine", b"b", b"deep"}
        assert content(case, remote + b"/sub/mine") == b"mine"
        assert content(case, remote + b"/a") == b"a"
        await get(remote, back)
        assert local_names(back / "sub") == {b"mine", b"b", b"deep"}
        assert (back / "a").read_text() == "a"

    @clause("FILE-03", needs=(Capability.MODES,))
    async def test_modes_of_a_tree_travel(self, case: Case) -> None:
        """Directories too, those without write permission too; ``mode`` is for files."""
        tree, remote = case.local("tree"), case.remote("d")
        _plant(tree)
        (tree / "a").chmod(0o640)
        (tree / "sub" / "deep").chmod(0o555)
        (tree / "sub").chmod(0o750)
        await case.transport.put(tree, remote)
        modes = [mode_of(case, remote + name) for name in (b"/a", b"/sub", b"/sub/deep")]
        assert modes == [0o640, 0o750, 0o555]
        other = case.remote("other")
        await case.transport.put(tree, other, mode=0o600)
        assert mode_of(case, other + b"/sub/b") == 0o600
        assert mode_of(case, other + b"/sub") & 0o100, "a directory that cannot be entered"
        (tree / "sub" / "deep").chmod(0o755)

    @clause("FILE-08", needs=(Capability.SYMLINKS,))
    async def test_links_inside_a_tree_are_kept_or_followed(self, case: Case) -> None:
        """Kept by default, dangling or not; on request their content comes instead."""
        tree, back, remote = case.local("tree"), case.local("back"), case.remote("d")
        _plant(tree)
        (tree / "sub" / "link").symlink_to("../a")
        (tree / "folder").symlink_to("sub/deep")
        (tree / "dangling").symlink_to("nothing here")
        await case.transport.put(tree, remote)
        assert link_at(case, remote + b"/sub/link") == b"../a"
        assert link_at(case, remote + b"/folder") == b"sub/deep"
        assert link_at(case, remote + b"/dangling") == b"nothing here"
        await case.transport.get(remote, back)
        assert os.readlink(back / "sub" / "link") == "../a"
        assert os.readlink(back / "folder") == "sub/deep"
        (tree / "dangling").unlink()
        followed = case.remote("followed")
        await case.transport.put(tree, followed, symlinks=Symlinks.FOLLOW)
        assert content(case, followed + b"/sub/link") == b"a"
        assert content(case, followed + b"/folder/c") == b"sub/deep/c"
        await case.transport.get(followed, case.local("f"), symlinks=Symlinks.FOLLOW)
        assert not (case.local("f") / "folder").is_symlink()
        assert (case.local("f") / "folder" / "c").read_text() == "sub/deep/c"

    @clause("FILE-08", needs=(Capability.SYMLINKS,))
    async def test_a_link_that_leads_out_of_a_fetched_tree_is_refused(self, case: Case) -> None:
        """Absolute, upwards, or upwards by way of a folder: nothing outside is touched."""
        outside = case.local("outside")
        outside.mkdir()
        for index, target in enumerate(
            (os.fsencode(outside), b"../outside", b"sub/../../outside", b"..")
        ):
            tree = case.remote(f"tree{index}")
            case.probe.make_dir(tree)
            case.probe.make_link(target, tree + b"/link")
            error = await failure(
                UnsafePathError, case.transport.get(tree, case.local(f"back{index}"))
            )
            assert isinstance(error, OSError)
            assert not (case.local(f"back{index}") / "link").is_symlink()
        assert local_names(outside) == set()

    @clause("FILE-08")
    async def test_a_link_planted_at_the_destination_is_not_followed(self, case: Case) -> None:
        """A fetched tree does not write through a link that stands where it has a folder."""
        outside, back, tree = case.local("outside"), case.local("back"), case.remote("d")
        outside.mkdir()
        back.mkdir()
        (back / "sub").symlink_to(outside)
        case.probe.make_dir(tree)
        case.probe.make_dir(tree + b"/sub")
        case.probe.write(tree + b"/sub/file", b"x")
        await failure(TransferError, case.transport.get(tree, back))
        assert local_names(outside) == set()

    @clause("FILE-08")
    async def test_what_is_neither_file_nor_tree_is_refused(self, case: Case) -> None:
        """A pipe or device is an error at once: nobody waits for it, none is made."""
        tree, remote, back = case.local("tree"), case.remote("d"), case.local("back")
        tree.mkdir()
        os.mkfifo(tree / "pipe")
        put, get = case.transport.put, case.transport.get
        await failure(TransferError, put(tree, remote, timeout=10.0))
        await failure(TransferError, put(tree / "pipe", case.remote("p"), timeout=10.0))
        assert not present(case, case.remote("p"))
        folder = case.remote("with-pipe")
        case.probe.make_dir(folder)
        case.probe.make_pipe(folder + b"/pipe")
        await failure(UnsafePathError, get(folder, back, timeout=10.0))
        await failure(UnsafePathError, get("/dev/null", case.local("null"), timeout=10.0))
        assert not (back / "pipe").exists()
        assert not case.local("null").exists()

    @clause("FILE-11")
    async def test_many_transfers_at_once_all_arrive(self, case: Case) -> None:
        """Twenty up and twenty down together, none mixed up with another."""
        sources = [case.local(f"s{n}") for n in range(20)]
        backs = [case.local(f"b{n}") for n in range(20)]
        for n, source in enumerate(sources):
            source.write_bytes(b"%d," % n * 5000)
            case.probe.write(case.remote(f"there{n}"), b"%d;" % n * 5000)
        found = await asyncio.gather(
            *(case.transport.put(s, case.remote(f"r{n}")) for n, s in enumerate(sources)),
            *(case.transport.get(case.remote(f"there{n}"), b) for n, b in enumerate(backs)),
            return_exceptions=True,
        )
        assert not [error for error in found if isinstance(error, BaseException)]
        for n in range(20):
            assert content(case, case.remote(f"r{n}")) == b"%d," % n * 5000
            assert backs[n].read_bytes() == b"%d;" % n * 5000

    @clause("FILE-11")
    async def test_memory_does_not_grow_with_the_size_of_a_file(self, case: Case) -> None:
        """A file is never whole in memory, there or back."""
        source, remote, back = case.local("source"), case.remote("file"), case.local("back")
        size = 32 * MIB
        with source.open("wb") as file:
            file.truncate(size)
        if not peak_reset():
            return  # only Linux tells a peak from now on; elsewhere this cannot be seen
        before = memory("VmRSS")
        await case.transport.put(source, remote)
        await case.transport.get(remote, back)
        assert memory("VmHWM") - before < size // 2
        assert back.stat().st_size == size
