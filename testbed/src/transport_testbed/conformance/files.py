"""One file: exact names, kinds of source and destination, overwriting (FILE-01, 04)."""

from __future__ import annotations

import asyncio
import os
from typing import Any, cast

from transport_core import (
    AlreadyExistsError,
    IsADirectoryTransferError,
    NotADirectoryTransferError,
    TransferError,
)

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause
from transport_testbed.conformance.samples import (
    content,
    differs,
    failure,
    link_at,
    local_names,
    members,
    present,
)


class FilesTests:
    """What is named is what will exist, and nothing else changes."""

    @clause("FILE-01")
    async def test_a_file_stands_under_exactly_the_name_given(self, case: Case) -> None:
        """New or over an old file, the content is under the name, and nothing beside it."""
        source, back = case.local("source"), case.local("back")
        where = case.remote("d")
        case.probe.make_dir(where)
        remote = os.path.join(where, b"file")
        for data in (b"first, and longer", b"second\0\xff\r\n"):
            source.write_bytes(data)
            put = await case.transport.put(source, remote)
            assert not differs(content(case, remote), data)
            assert (put.files, put.bytes) == (1, len(data))
            got = await case.transport.get(remote, back)
            assert not differs(back.read_bytes(), data)
            assert (got.files, got.bytes) == (1, len(data))
        assert members(case, where) == {b"file"}
        assert local_names(back.parent) == {b"source", b"back"}

    @clause("FILE-01")
    async def test_a_directory_at_the_destination_is_never_entered(self, case: Case) -> None:
        """A file sent to a directory's name is an error, not a file inside it."""
        source, folder = case.local("source"), case.local("folder")
        source.write_bytes(b"x")
        folder.mkdir()
        where, remote = case.remote("d"), case.remote("file")
        case.probe.make_dir(where)
        case.probe.write(remote, b"x")
        error = await failure(IsADirectoryTransferError, case.transport.put(source, where))
        assert isinstance(error, IsADirectoryError)
        await failure(IsADirectoryTransferError, case.transport.get(remote, folder))
        assert members(case, where) == set()
        assert local_names(folder) == set()

    @clause("FILE-01")
    async def test_a_link_at_the_destination_is_not_written_through(self, case: Case) -> None:
        """A link of the destination's name is replaced or refused; what it points to stays."""
        source, folder = case.local("source"), case.local("folder")
        source.write_bytes(b"new")
        folder.mkdir()
        where, kept = case.remote("d"), case.remote("kept")
        case.probe.make_dir(where)
        case.probe.write(kept, b"old")
        for target, link in ((kept, case.remote("to-file")), (where, case.remote("to-dir"))):
            case.probe.make_link(target, link)
            await asyncio.gather(case.transport.put(source, link), return_exceptions=True)
        local_kept, local_link = case.local("kept"), case.local("link")
        local_kept.write_bytes(b"old")
        for there, here in ((local_kept, local_link), (folder, case.local("link2"))):
            here.symlink_to(there)
            await asyncio.gather(case.transport.get(kept, here), return_exceptions=True)
        assert (content(case, kept), members(case, where)) == (b"old", set())
        assert (local_kept.read_bytes(), local_names(folder)) == (b"old", set())

    @clause("FILE-04")
    async def test_without_overwrite_what_exists_stays(self, case: Case) -> None:
        """Files, directories and dangling links at the destination are left as they are."""
        source = case.local("source")
        source.write_bytes(b"new")
        file, link, folder = case.remote("file"), case.remote("link"), case.remote("d")
        case.probe.write(file, b"old")
        case.probe.make_link(b"nowhere", link)
        case.probe.make_dir(folder)
        for remote in (file, link):
            error = await failure(
                AlreadyExistsError, case.transport.put(source, remote, overwrite=False)
            )
            assert isinstance(error, FileExistsError)
        await failure(TransferError, case.transport.put(source, folder, overwrite=False))
        local = case.local("local")
        local.write_bytes(b"old")
        await failure(AlreadyExistsError, case.transport.get(file, local, overwrite=False))
        assert (content(case, file), link_at(case, link)) == (b"old", b"nowhere")
        assert (local.read_bytes(), members(case, folder)) == (b"old", set())
        await case.transport.put(source, case.remote("new"), overwrite=False)
        await case.transport.get(file, case.local("new"), overwrite=False)
        assert content(case, case.remote("new")) == b"new"
        assert case.local("new").read_bytes() == b"old"

    @clause("FILE-04")
    async def test_of_many_that_do_not_overwrite_one_wins(self, case: Case) -> None:
        """No race makes a put without overwrite replace another's file."""
        where = case.remote("d")
        case.probe.make_dir(where)
        remote = os.path.join(where, b"file")
        sources = [case.local(f"source{n}") for n in range(8)]
        for source in sources:
            source.write_bytes(source.name.encode() * 2000)
        found = await asyncio.gather(
            *(case.transport.put(source, remote, overwrite=False) for source in sources),
            return_exceptions=True,
        )
        winners = [
            source
            for source, outcome in zip(sources, found, strict=True)
            if not isinstance(outcome, BaseException)
        ]
        others = [outcome for outcome in found if isinstance(outcome, BaseException)]
        assert len(winners) == 1, f"{len(winners)} calls each say that they made the file"
        assert {type(error) for error in others} == {AlreadyExistsError}
        assert content(case, remote) == winners[0].read_bytes()
        assert members(case, where) == {b"file"}

    @clause("FILE-04")
    async def test_a_file_never_replaces_a_directory_nor_the_reverse(self, case: Case) -> None:
        """The kinds at source and destination must agree, overwriting or not."""
        tree, file = case.local("tree"), case.local("file")
        tree.mkdir()
        (tree / "member").write_bytes(b"x")
        file.write_bytes(b"x")
        folder, plain = case.remote("d"), case.remote("plain")
        case.probe.make_dir(folder)
        case.probe.write(plain, b"old")
        await failure(NotADirectoryTransferError, case.transport.put(tree, plain))
        await failure(IsADirectoryTransferError, case.transport.put(file, folder))
        await failure(NotADirectoryTransferError, case.transport.get(folder, file))
        await failure(IsADirectoryTransferError, case.transport.get(plain, tree))
        assert (content(case, plain), members(case, folder)) == (b"old", set())
        assert (file.read_bytes(), local_names(tree)) == (b"x", {b"member"})

    @clause("FILE-04")
    async def test_a_caller_can_insist_on_a_file_or_on_a_tree(self, case: Case) -> None:
        """The other kind is an error, and nothing is made."""
        tree, file, out = case.local("tree"), case.local("file"), case.local("out")
        tree.mkdir()
        file.write_bytes(b"x")
        folder, plain, new = case.remote("d"), case.remote("plain"), case.remote("new")
        case.probe.make_dir(folder)
        case.probe.write(plain, b"x")
        is_dir, no_dir = IsADirectoryTransferError, NotADirectoryTransferError
        await failure(is_dir, case.transport.put(tree, new, kind="file"))
        await failure(no_dir, case.transport.put(file, new, kind="tree"))
        await failure(is_dir, case.transport.get(folder, out, kind="file"))
        await failure(no_dir, case.transport.get(plain, out, kind="tree"))
        await failure(ValueError, case.transport.put(file, new, kind=cast("Any", "dir")))
        assert not present(case, new)
        assert not out.exists()
        await case.transport.put(file, new, kind="file")
        await case.transport.get(folder, out, kind="tree")
        assert out.is_dir()
