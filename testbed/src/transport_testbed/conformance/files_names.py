"""Where files go: parents, odd names, relative paths; and what cannot be (FILE-05, 06, 10)."""

from __future__ import annotations

import os
from typing import Any, cast

from transport_core import (
    Capability,
    NotADirectoryTransferError,
    NotFoundError,
    PermissionDeniedError,
    TransferError,
)

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause
from transport_testbed.conformance.samples import (
    NAMES,
    content,
    failure,
    failures,
    local_names,
    members,
    mode_of,
    present,
    sh,
)


class FilesNamesTests:
    """A name is a name, and an error says which."""

    @clause("FILE-05")
    async def test_missing_parents_are_made_only_when_asked(self, case: Case) -> None:
        """Without ``parents`` a missing parent is not found, and no part of it is made."""
        source = case.local("source")
        source.write_bytes(b"x")
        remote, local = case.remote("a") + b"/b/file", case.local("a") / "b" / "file"
        error = await failure(NotFoundError, case.transport.put(source, remote))
        assert isinstance(error, FileNotFoundError)
        there = case.remote("there")
        case.probe.write(there, b"y")
        await failure(NotFoundError, case.transport.get(there, local))
        assert not present(case, case.remote("a"))
        assert not local.parent.parent.exists()
        for _ in range(2):  # the second time they are there already
            await case.transport.put(source, remote, parents=True)
            await case.transport.get(there, local, parents=True)
        assert (content(case, remote), local.read_bytes()) == (b"x", b"y")

    @clause("FILE-06")
    async def test_any_name_is_only_a_name(self, case: Case) -> None:
        """Names that are globbed, expanded or options elsewhere arrive as they are."""
        tree, back, remote = case.local("tree"), case.local("back"), case.remote("d")
        tree.mkdir()
        for name in NAMES:
            with open(os.path.join(os.fsencode(tree), name), "wb") as file:
                file.write(name)
        await case.transport.put(tree, remote)
        assert members(case, remote) == set(NAMES)
        await case.transport.get(remote, back)
        assert local_names(back) == set(NAMES)
        wrong = [
            name
            for name in NAMES
            if content(case, os.path.join(remote, name)) != name
            or (back / os.fsdecode(name)).read_bytes() != name
        ]
        assert not wrong

    @clause("FILE-06")
    async def test_a_single_file_may_have_any_name(self, case: Case) -> None:
        """The same holds for the names that the caller passes."""
        remote = case.remote("d")
        local = os.fsencode(case.local("l"))
        case.probe.make_dir(remote)
        os.mkdir(local)
        for name in (b"-rf", b"end\n", b"\xff *$HOME'\"\\", b"n" * 255):
            there, here = os.path.join(remote, name), os.path.join(local, name)
            with open(here, "wb") as file:
                file.write(name)
            await case.transport.put(here, there)
            assert content(case, there) == name
            os.unlink(here)
            await case.transport.get(there, here)
            with open(here, "rb") as file:
                assert file.read() == name

    @clause("FILE-06")
    async def test_names_that_no_file_can_have_are_refused(self, case: Case) -> None:
        """NUL and nothing are the caller's errors, found before anything is sent."""
        source = case.local("source")
        source.write_bytes(b"x")
        where = case.remote("d")
        case.probe.make_dir(where)
        good = os.path.join(where, b"good")
        for name in ("", b"", "a\0b", where + b"/a\0"):
            await failure(ValueError, case.transport.put(source, name))
            await failure(ValueError, case.transport.put(name, good))
            await failure(ValueError, case.transport.get(name, case.local("out")))
        await failure(TypeError, case.transport.put(source, cast("Any", 7)))
        for mode in (0o77777, 755):  # a sticky bit means nothing on a file: it is no octal
            await failure(ValueError, case.transport.put(source, good, mode=mode))
        await failure(ValueError, case.transport.put(source, good, timeout=0))
        assert members(case, where) == set()

    @clause("FILE-06")
    async def test_a_relative_path_starts_from_the_remote_working_directory(
        self, case: Case
    ) -> None:
        """Where ``run`` starts is where a relative name is; it may look like an option."""
        source, back = case.local("source"), case.local("back")
        source.write_bytes(b"relative")
        name = f"-{case.marker}"
        await case.transport.put(source, name)
        await case.transport.get(name, back)
        assert back.read_bytes() == b"relative"
        home = case.target.home
        if home is not None:
            assert content(case, os.path.join(os.fsencode(home), os.fsencode(name))) == b"relative"
        if Capability.RUN in case.transport.capabilities:
            shown = await case.transport.run(sh('cat "./$1"; rm -f "./$1"', name))
            assert shown.stdout == b"relative"

    @clause("FILE-10")
    async def test_errors_are_typed_and_carry_both_paths(self, case: Case) -> None:
        """A missing source, and a file where a directory is needed, are told by type."""
        plain, source, out = case.remote("plain"), case.local("source"), case.local("out")
        case.probe.write(plain, b"x")
        source.write_bytes(b"x")
        missing, gone = case.remote("missing"), case.local("missing")
        put, get = case.transport.put, case.transport.get
        not_dir = NotADirectoryTransferError
        table: list[tuple[type[TransferError], type[OSError], Any, Any, Any]] = [
            (NotFoundError, FileNotFoundError, get(missing, out), out, missing),
            (NotFoundError, FileNotFoundError, put(gone, missing), gone, missing),
            (not_dir, NotADirectoryError, get(plain + b"/x", out), out, plain),
            (not_dir, NotADirectoryError, put(source, plain + b"/x"), source, plain),
        ]
        errors = await failures(*((kind, call) for kind, _, call, _, _ in table))
        for (_, builtin, _, local, remote), error in zip(table, errors, strict=True):
            assert isinstance(error, builtin)
            assert error.local is not None
            assert error.remote is not None
            assert os.fsencode(error.local) == os.fsencode(local)
            assert os.fsencode(error.remote).startswith(remote)
            assert os.fsdecode(local) in str(error)
            assert os.fsdecode(remote) in str(error)

    @clause("FILE-10")
    async def test_an_error_that_names_a_side_names_the_one_that_failed(self, case: Case) -> None:
        """Whether an output is not there yet, or the caller's own directory is missing."""
        plain, source = case.remote("plain"), case.local("source")
        case.probe.write(plain, b"x")
        source.write_bytes(b"x")
        gone, missing = case.local("gone"), case.remote("missing")
        put, get = case.transport.put, case.transport.get
        table = (
            (put(gone, case.remote("new")), "local", os.fsencode(gone)),
            (put(source, missing + b"/x"), "remote", missing + b"/x"),
            (get(missing, case.local("new")), "remote", missing),
            (get(plain, gone / "x"), "local", os.fsencode(gone / "x")),
        )
        errors = await failures(*((NotFoundError, call) for call, _, _ in table))
        for (_, side, path), error in zip(table, errors, strict=True):
            assert error.side in (None, side)
            if error.side is not None:
                assert error.filename is not None, "a side, and no path"
                assert os.fsencode(error.filename) == path

    @clause("FILE-10", offers=("unprivileged",))
    async def test_what_is_not_permitted_is_told_by_type(self, case: Case) -> None:
        """A directory that may not be written and a file that may not be read."""
        source, out = case.local("source"), case.local("out")
        source.write_bytes(b"x")
        folder, secret = case.remote("d"), case.remote("secret")
        case.probe.make_dir(folder, 0o555)
        case.probe.write(secret, b"x", 0)
        error = await failure(PermissionDeniedError, case.transport.put(source, folder + b"/x"))
        assert isinstance(error, PermissionError)
        await failure(PermissionDeniedError, case.transport.get(secret, out))
        assert members(case, folder) == set()
        assert mode_of(case, secret) == 0
        assert not out.exists()
