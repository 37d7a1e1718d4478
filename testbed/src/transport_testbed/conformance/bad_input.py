"""What no call can do anything with: options, paths and sizes that are refused, never followed.

A value that can be judged here is a TypeError or ValueError before anything is sent; what only
the other side can know is an error of the tree. Nothing hangs, and nothing else comes out.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import math
import os
import pathlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from transport_core import (
    CommandError,
    CommandTimeoutError,
    IsADirectoryTransferError,
    NotADirectoryTransferError,
    NotFoundError,
    TransferError,
    TransportError,
    UnsafePathError,
    WorkingDirectoryError,
)

from transport_testbed.conformance._case import Case
from transport_testbed.conformance._clause import clause
from transport_testbed.conformance.samples import (
    content,
    failure,
    failures,
    link_at,
    local_names,
    look,
    members,
    present,
    sh,
)

FLAG = True
NO_NUMBERS: tuple[Any, ...] = (FLAG, "1", b"1", [], 1j, object())
NO_COUNTS: tuple[Any, ...] = (*NO_NUMBERS, 1.5, math.inf)
NO_SECONDS = (0, -0.0, -1e-9, math.nan, -math.inf, -(2**2000))
LONE = "a\udfff\ud800"
"""Text that no bytes stand for."""

# Neither the other side nor this one has such a name: NAME_MAX is 255, PATH_MAX 4096.
TOO_LONG = (b"n" * 256, b"/".join([b"n" * 200] * 21))


def _closed() -> io.BytesIO:
    file = io.BytesIO()
    file.close()
    return file


Bad = Iterable[tuple[type[Exception], str, Any]]
"""The error, the option, the value."""


def _each(kind: type[Exception], option: str, *values: Any) -> Bad:
    return [(kind, option, value) for value in values]


def _run_options() -> Bad:
    """Give options of ``run`` that nothing can be done with, and what they are."""
    yield from _each(TypeError, "timeout", *NO_NUMBERS)
    yield from _each(ValueError, "timeout", *NO_SECONDS)
    yield from _each(TypeError, "output_limit", *NO_COUNTS)
    yield from _each(ValueError, "output_limit", -1)
    parts = (part for part in [b"x"])
    yield from _each(TypeError, "stdin", 7, 3.5, [b"x"], (b"x",), {"a": 1}, parts, object(), len)
    yield from _each(TypeError, "stdin", io.StringIO("x"))
    yield from _each(ValueError, "stdin", LONE, pathlib.Path("a\0b"), _closed())
    yield from _each(TypeError, "cwd", 7, FLAG, [], ["/"])
    yield from _each(ValueError, "cwd", "", b"", "a\0b", LONE)
    yield from _each(TypeError, "env", "A=b", b"A=b", ["A"], {b"A": "b"}, 7)
    yield from _each(ValueError, "env", {"A": LONE}, {LONE: "v"})


def _copy_options() -> Bad:
    """Give the same of ``put`` and ``get``."""
    yield from _each(TypeError, "timeout", *NO_NUMBERS)
    yield from _each(ValueError, "timeout", *NO_SECONDS)
    yield from _each(TypeError, "mode", *NO_COUNTS, "0644")
    yield from _each(ValueError, "mode", -1, 0o10000, 2**70)
    yield from _each(ValueError, "kind", "", "dir", "FILE", 7, FLAG, b"file", [])
    yield from _each(ValueError, "symlinks", "", "skip", None, 7, FLAG, [])
    yield from _each(TypeError, "progress", 7, "x", [], FLAG)


def _get_options() -> Bad:
    """Give those that ``get`` has besides."""
    for name in ("max_bytes", "max_files"):
        yield from _each(TypeError, name, *NO_COUNTS)
        yield from _each(ValueError, name, -1)


async def _refused(call: Callable[..., Awaitable[object]], bad: Bad) -> None:
    """Call with one option after the other; each must be refused by type, and say which it was."""
    for kind, name, value in bad:
        try:
            error = await failure(kind, call(**{name: value}))
        except AssertionError as wrong:
            raise AssertionError(f"{name}={value!r:.40}: {wrong}") from wrong
        assert not isinstance(error, UnicodeError), f"{name}: {error!r} shows the value"


class BadInputTests:
    """Whatever is passed in: a documented error or a result, in bounded time."""

    @clause("RUN-01", "RUN-07", "RUN-09", "RUN-10", "RUN-11", "ERR-04")
    async def test_options_of_run_that_are_impossible_are_refused_before_anything_is_sent(
        self, case: Case
    ) -> None:
        """Each by TypeError or ValueError, and no command has begun."""
        trace = case.remote("trace")

        async def call(**option: Any) -> object:
            return await case.transport.run(["touch", trace], **option)

        await _refused(call, _run_options())
        for words in ({"touch"}, {"touch": 1}, iter(["touch"]), bytearray(b"touch"), 7.5):
            await failure(TypeError, case.transport.run(words))  # type: ignore[arg-type]
        await failure(ValueError, case.transport.run(["touch", trace, LONE]))
        assert not present(case, trace), "a refused call was sent all the same"

    @clause("FILE-03", "FILE-04", "FILE-08", "FILE-09", "FILE-12", "ERR-04")
    async def test_options_of_copies_that_are_impossible_are_refused_before_anything_is_moved(
        self, case: Case
    ) -> None:
        """Also where there is nothing to set, to follow or to tell."""
        where, folder = case.remote("d"), case.local("l")
        empty, there = case.local("empty"), case.remote("there")
        case.probe.make_dir(where)
        case.probe.write(there, b"")
        folder.mkdir()
        empty.write_bytes(b"")

        async def put(**option: Any) -> object:
            return await case.transport.put(empty, where + b"/f", **option)

        async def get(**option: Any) -> object:
            return await case.transport.get(there, folder / "f", **option)

        await _refused(put, _copy_options())
        await _refused(get, _copy_options())
        await _refused(get, _get_options())
        assert members(case, where) == set()
        assert local_names(folder) == set()

    @clause("RUN-10", "RUN-11", "FILE-09")
    async def test_numbers_beyond_every_clock_and_disk_are_no_limit(self, case: Case) -> None:
        """Seconds that no clock can count and bytes that no disk can hold are simply enough."""
        source, remote = case.local("source"), case.remote("f")
        source.write_bytes(b"x")
        for seconds in (math.inf, 1e300, 2**70, 2**2000):
            found = await case.transport.run(["printf", "x"], timeout=seconds, output_limit=2**70)
            assert found.stdout == b"x"
            await case.transport.put(source, remote, timeout=seconds)
            back = case.local()
            await case.transport.get(
                remote, back, timeout=seconds, max_bytes=2**70, max_files=2**70
            )
            assert back.read_bytes() == b"x"

    @clause("RUN-11")
    async def test_no_time_at_all_is_a_timeout(self, case: Case) -> None:
        """However short: an error in bounded time, and not a hang or another error."""
        for seconds in (1e-9, 5e-324):
            await failure(CommandTimeoutError, case.transport.run(["sleep", "9"], timeout=seconds))

    @clause("RUN-06")
    async def test_what_is_no_directory_to_run_in_is_told_by_type(self, case: Case) -> None:
        """A file, a loop of links, a name that is too long."""
        plain, loop = case.remote("plain"), case.remote("loop")
        case.probe.write(plain, b"", 0o755)
        case.probe.make_link(b"loop", loop)
        long = (case.remote(name) for name in TOO_LONG)
        run = case.transport.run
        wrong = (plain, loop, b"/dev/null", *long)
        await failures(*((WorkingDirectoryError, run(["true"], cwd=each)) for each in wrong))

    @clause("RUN-01", "ERR-04")
    async def test_more_than_a_process_can_be_given_is_an_error_or_arrives(
        self, case: Case
    ) -> None:
        """Words and variables beyond what the system takes: of the tree, and nothing is cut off."""
        size, run = 256 * 1024, case.transport.run
        script = sh('printf "%s" "${#1}${#A}"', b"x" * size)
        calls = (run(script), run(sh('printf "%s" "${#A}"'), env={"A": "x" * size}))
        for found in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(found, BaseException):
                assert isinstance(found, CommandError), repr(found)[:200]
            else:
                assert int(found.stdout.rstrip(b"0") or 0) in (size, size // 10), "it was cut"

    @clause("FILE-01", "FILE-10")
    async def test_names_of_directories_are_no_names_of_files(self, case: Case) -> None:
        """A file does not go to ``d``, ``d/``, ``d/.`` or ``d/..``, nor come from ``f/``."""
        source, folder = case.local("source"), case.local("l")
        source.write_bytes(b"mine")
        (folder / "in").mkdir(parents=True)
        where, plain = case.remote("d"), case.remote("plain")
        case.probe.make_dir(where)
        case.probe.make_dir(where + b"/in")
        case.probe.write(plain, b"theirs")
        put, get = case.transport.put, case.transport.get
        here = os.fsencode(folder)
        ends = (b"/in", b"/in/", b"/in/.", b"/in/..", b"/new/")
        calls = [put(source, where + end) for end in ends]
        calls += [get(plain, here + end) for end in ends]
        await failures(*((IsADirectoryTransferError, call) for call in calls))
        from_plain = (get(plain + b"/", folder / "x"), put(os.fsencode(source) + b"/", plain))
        await failures(*((NotADirectoryTransferError, call) for call in from_plain))
        assert members(case, where) == {b"in"}
        assert members(case, where + b"/in") == set()
        assert local_names(folder) == {b"in"}
        assert local_names(folder / "in") == set()
        assert content(case, plain) == b"theirs"

    @clause("FILE-01")
    async def test_a_tree_may_be_named_by_any_name_of_its_directory(self, case: Case) -> None:
        """``d/``, ``d/.`` and ``d/in/..`` are ``d``, as source and as destination."""
        tree, where = case.local("tree"), case.remote("d")
        (tree / "in").mkdir(parents=True)
        (tree / "f").write_bytes(b"x")
        await case.transport.put(tree, where)
        for number, end in enumerate((b"", b"/", b"/.", b"/in/..")):
            back = case.local(f"back-{number}")
            (back / "in").mkdir(parents=True)
            await case.transport.put(os.fsencode(tree) + end, where + end)
            await case.transport.get(where + end, os.fsencode(back) + end)
            assert members(case, where) == local_names(back) == {b"f", b"in"}
        assert members(case, where + b"/in") == set()

    @clause("FILE-04", "FILE-08")
    async def test_what_is_neither_file_nor_directory_is_not_replaced_and_not_read(
        self, case: Case
    ) -> None:
        """A named pipe is refused on both sides, at once, and is there afterwards."""
        pipe, here, source = case.remote("pipe"), case.local("pipe"), case.local("source")
        case.probe.make_pipe(pipe)
        before = look(case, pipe)
        os.mkfifo(here)
        source.write_bytes(b"x")
        plain = case.remote("plain")
        case.probe.write(plain, b"x")
        put, get = case.transport.put, case.transport.get
        out = case.local("out")
        calls = (put(here, case.remote("new")), put(source, pipe), get(pipe, out), get(plain, here))
        await failures(*((UnsafePathError, call) for call in calls))
        assert look(case, pipe).st_ino == before.st_ino
        assert here.is_fifo()
        assert not out.exists()
        assert not present(case, case.remote("new"))

    @clause("FILE-01", "FILE-10")
    async def test_links_that_lead_nowhere_are_no_source_and_are_replaced(self, case: Case) -> None:
        """As a source not found or an error of the tree; at the destination only a name."""
        source, out = case.local("source"), case.local("out")
        source.write_bytes(b"x")
        put, get = case.transport.put, case.transport.get
        for name, target, kind in (
            ("dangling", b"nowhere", NotFoundError),
            ("link", b"link", TransferError),
        ):
            link, here = case.remote(name), case.local(name)
            case.probe.make_link(target, link)
            here.symlink_to(os.fsdecode(target))
            await failures((kind, get(link, out)), (kind, put(here, case.remote("new"))))
            assert link_at(case, link) == target
            await put(source, link)
            assert content(case, link) == b"x"
            await get(link, here)
            assert not here.is_symlink()
            assert here.read_bytes() == b"x"
        assert not out.exists()
        assert not present(case, case.remote("nowhere"))

    @clause("FILE-10")
    async def test_names_that_are_too_long_are_errors_of_the_tree(self, case: Case) -> None:
        """One byte more than a name or a path may have, on either side; nothing is made."""
        source, plain = case.local("source"), case.remote("plain")
        source.write_bytes(b"x")
        case.probe.write(plain, b"x")
        where, folder = case.remote("d"), case.local("l")
        case.probe.make_dir(where)
        folder.mkdir()
        here = os.fsencode(folder)
        put, get = case.transport.put, case.transport.get
        for name in TOO_LONG:
            there, mine = os.path.join(where, name), os.path.join(here, name)
            calls = (put(source, there), get(there, folder / "x"), get(plain, mine))
            await failures(*((TransferError, call) for call in (*calls, put(mine, where + b"/x"))))
        assert members(case, where) == set()
        assert local_names(folder) == set()

    # One that meets its own output ends where paths do: many levels, each of some round trips.
    @clause("FILE-01", "FILE-02", seconds=90.0)
    async def test_a_copy_onto_itself_or_into_itself_ends_and_harms_nothing(
        self, case: Case
    ) -> None:
        """Where both sides see the same files; elsewhere there is no such source."""
        plain, tree = case.remote("plain"), case.remote("tree")
        case.probe.write(plain, b"content")
        case.probe.make_dir(tree)
        case.probe.write(tree + b"/f", b"content")
        copies: list[Callable[..., Awaitable[object]]] = [case.transport.put]
        if pathlib.Path(os.fsdecode(plain)).exists():
            copies.append(case.transport.get)
        ways = ((plain, plain), (tree, tree), (tree, tree + b"/in"))
        for copy, (source, dest) in itertools.product(copies, ways):
            found = (await asyncio.gather(copy(source, dest), return_exceptions=True))[0]
            known = isinstance(found, TransportError) or not isinstance(found, BaseException)
            assert known, repr(found)
            assert content(case, plain) == content(case, tree + b"/f") == b"content"
        left = [name for name in members(case, tree) if name not in (b"f", b"in")]
        assert not left
