"""A hostile server on ``get``: whatever it says, nothing outside of the destination is touched."""

from __future__ import annotations

import asyncio
import itertools
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import hostile_protocol
import hostile_server as hostile
import pytest
from hostile_attacks import ATTACKS, MIB, Attack
from hostile_server import Lies, Node, file, folder
from transport_core import (
    IsADirectoryTransferError,
    Symlinks,
    TransferTimeoutError,
    TransportError,
    UnsafePathError,
)
from transport_core.authoring import TEMP_PREFIX

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]

# Far above what a get of a lie takes; a hang is ended by it, and then takes longer than it.
_TIMEOUT = 2.5
_SLACK = 3.0
_MOST_MEMORY = 48 * MIB


def snapshot(top: Path, leave_out: Path) -> dict[str, tuple[Any, ...]]:
    """Return all that stands below a directory, but for one path and what is below it."""
    found: dict[str, tuple[Any, ...]] = {}
    for where, folders, names in os.walk(top):
        folders[:] = [name for name in folders if Path(where, name) != leave_out]
        for name in (*folders, *names):
            path = Path(where, name)
            info = path.lstat()
            if path in (leave_out, leave_out.parent):
                continue  # the destination's parent holds it, so its own time changes
            content = path.read_bytes() if stat.S_ISREG(info.st_mode) else b""
            found[str(path)] = (info.st_mode, info.st_ino, info.st_mtime_ns, content)
    return found


def arrived(dest: Path, mine: set[str]) -> dict[str, bytes]:
    """Return the files at the destination, where nothing else may stand but folders and links.

    ``mine`` are the odd things that stood there before. A path may be too long to be used whole.
    """
    if dest.is_file() and not dest.is_symlink():
        return {"": dest.read_bytes()}
    found: dict[str, bytes] = {}
    if not dest.is_dir():
        return found
    for where, folders, names, here in os.fwalk(dest):
        for name in (*folders, *names):
            path = os.path.relpath(os.path.join(where, name), dest)
            info = os.lstat(name, dir_fd=here)
            assert not os.fsencode(name).startswith(TEMP_PREFIX), path
            assert not info.st_mode & 0o7000, f"odd mode of {path}"
            if path in mine:
                continue
            if stat.S_ISREG(info.st_mode):
                opener = lambda name, flags, here=here: os.open(name, flags, dir_fd=here)  # noqa: E731
                with open(name, "rb", opener=opener) as file:
                    found[path] = file.read()
            elif not stat.S_ISLNK(info.st_mode):
                assert stat.S_ISDIR(info.st_mode), f"{path} is no file, folder or link"
            else:
                real, top = os.path.realpath(dest / path), os.path.realpath(dest)
                assert real == top or real.startswith(top + "/"), f"{path} leads out to {real}"
    return found


def odd_in(dest: Path) -> set[str]:
    """Return the links and pipes below a directory."""
    odd = (path for path in dest.rglob("*") if path.is_symlink() or path.is_fifo())
    return {str(path.relative_to(dest)) for path in odd}


class Count:
    """How many attacks were made, and how many files stood outside afterwards."""

    made = 0
    outside = 0


@pytest.fixture(scope="module")
def count(request: pytest.FixtureRequest) -> Iterator[Count]:
    """Say at the end how it went."""
    count = Count()
    yield count
    plugins = request.config.pluginmanager
    terminal, capture = plugins.get_plugin("terminalreporter"), plugins.get_plugin("capturemanager")
    if terminal is None or capture is None or hasattr(request.config, "workerinput"):
        return  # a worker of xdist has seen a part only, and has no terminal
    with capture.global_and_fixture_disabled():
        terminal.write_line(
            f"\nhostile server: {count.made} attacks, {count.outside} files outside"
        )


@dataclass(frozen=True)
class Place:
    """A destination, and what is around it."""

    top: Path
    dest: Path
    outside: Path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A destination beside something that must not be touched."""
    outside, area = tmp_path / "outside", tmp_path / "area"
    for each in (outside, area):
        each.mkdir()
        (each / "victim").write_bytes(b"untouched")
    return Place(tmp_path, area / "dest", outside)


async def attacked(attack: Attack, place: Place) -> TransportError | None:
    """Make one attack; return what the call raised."""
    lies = Lies(attack.root, attack.answer)
    given = {"timeout": _TIMEOUT, **attack.options}
    async with hostile.lying(lies) as transport:
        started = time.monotonic()
        try:
            async with asyncio.timeout(given["timeout"] + _SLACK):
                await transport.get("/root", place.dest, **given)
        except TransportError as error:
            return error
        finally:
            assert time.monotonic() - started < given["timeout"] + _SLACK, "it hangs"
    return None


@pytest.mark.parametrize(
    "attack", (*ATTACKS, *hostile_protocol.ATTACKS), ids=lambda attack: attack.name
)
async def test_nothing_outside_of_the_destination_is_touched(
    attack: Attack, place: Place, count: Count
) -> None:
    """A typed error or exactly the right content, no temporary file, in bounded time and memory."""
    attack.plant(place.dest, place.outside)
    mine = odd_in(place.dest)
    before, held = snapshot(place.top, place.dest), hostile.memory()
    error = await attacked(attack, place)
    after = snapshot(place.top, place.dest)
    count.made += 1
    count.outside += len(set(after.items()) ^ set(before.items()))
    assert after == before
    assert hostile.memory() - held < _MOST_MEMORY
    assert not list(place.dest.parent.glob(f"{TEMP_PREFIX.decode()}*"))
    if attack.error is None:
        assert error is None, repr(error)
        assert arrived(place.dest, set()) == attack.content
        return
    assert isinstance(error, attack.error), repr(error)
    assert not {"\x1b", "\x07", "\r", "\n", "\u202e"} & set(str(error)), repr(str(error))
    assert len(str(error)) < 4096 + 1024
    if not place.dest.is_symlink():
        arrived(place.dest, mine)


async def test_a_link_that_is_swapped_in_while_a_tree_comes_is_not_followed(
    place: Place, count: Count
) -> None:
    """Each member is made below directories that are entered anew, without following links."""
    swapped = itertools.count()

    def answer(kind: int, number: int, node: Node | None) -> bytes | None:
        folder_here = place.dest / "d"
        if kind == hostile.OPEN and folder_here.is_dir() and not folder_here.is_symlink():
            folder_here.rename(place.dest / f"was-{next(swapped)}")
            folder_here.symlink_to(place.outside)
        return None

    before = snapshot(place.top, place.dest)
    files = folder(*((b"f%d" % n, file()) for n in range(4)))
    error = await attacked(Attack(name="swap", root=folder((b"d", files)), answer=answer), place)
    count.made += 1
    assert next(swapped) == 1
    assert isinstance(error, UnsafePathError)
    assert snapshot(place.top, place.dest) == before


async def test_after_a_malformed_answer_the_next_transfer_works(place: Place) -> None:
    """A session that broke is given up, and not kept for the next call."""
    broken = [True]

    def answer(kind: int, number: int, node: Node | None) -> bytes | None:
        return b"\xff" * 8 if kind == hostile.STAT and broken.pop() else None

    lies = Lies(file(b"mine"), lambda *asked: answer(*asked) if broken else None)
    async with hostile.lying(lies) as transport:
        with pytest.raises(TransportError):
            await transport.get("/root", place.dest, timeout=_TIMEOUT)
        await transport.get("/root", place.dest, timeout=_TIMEOUT)
    assert place.dest.read_bytes() == b"mine"


async def test_a_directory_at_the_place_of_a_file_stays(place: Place, count: Count) -> None:
    """A server that says file where a directory stands does not get it replaced."""
    place.dest.mkdir()
    (place.dest / "mine").write_bytes(b"mine")
    error = await attacked(Attack(name="file over a folder", root=file()), place)
    count.made += 1
    assert isinstance(error, IsADirectoryTransferError)
    assert (place.dest / "mine").read_bytes() == b"mine"


_FOLLOWED = [each for each in ATTACKS if each.error is not TransferTimeoutError]


@pytest.mark.parametrize("attack", _FOLLOWED, ids=lambda attack: attack.name)
async def test_nothing_outside_is_touched_where_links_are_followed(
    attack: Attack, place: Place, count: Count
) -> None:
    """The same lies; which of them are refused then is another matter."""
    attack.plant(place.dest, place.outside)
    mine = odd_in(place.dest)
    before = snapshot(place.top, place.dest)
    followed = replace(attack, options={**attack.options, "symlinks": Symlinks.FOLLOW})
    await attacked(followed, place)
    count.made += 1
    after = snapshot(place.top, place.dest)
    count.outside += len(set(after.items()) ^ set(before.items()))
    assert after == before
    if not place.dest.is_symlink():
        arrived(place.dest, mine)


@pytest.mark.parametrize("silent", ["lstat", "open", "write", "close"])
async def test_a_silent_server_does_not_hold_a_put_beyond_its_timeout(
    silent: str, tmp_path: Path
) -> None:
    """Neither at the request itself, nor at the clean-up after it."""
    kinds = {"lstat": hostile.LSTAT, "open": hostile.OPEN, "write": 6, "close": hostile.CLOSE}
    stalling = hostile.refusing(kinds[silent], hostile.StallError)

    def answer(kind: int, number: int, node: Node | None) -> bytes:
        stalling(kind, number, node)
        if kind == hostile.OPEN:
            return hostile.packet(hostile.HANDLE, number, hostile.text(b"h"))
        return hostile.status(number, 2 if kind in (hostile.LSTAT, hostile.STAT) else 0)

    source = tmp_path / "source"
    source.write_bytes(b"x" * 100_000)
    async with hostile.lying(Lies(folder(), answer)) as transport:
        started = time.monotonic()
        with pytest.raises(TransportError):
            async with asyncio.timeout(1.0 + 2 * _SLACK):
                await transport.put(source, "/root/new", timeout=1.0)
        assert time.monotonic() - started < 1.0 + 2 * _SLACK
